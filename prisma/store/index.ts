/** The store: what the controller writes and what the API reads. Functions take a `Db` or one transaction of it. */
export type * from './types.ts';
export { openStore, ping, type Db, type Executor, type Statement, type StoreOptions } from './db.ts';
export { NEWEST_MIGRATION, openReadyStore } from './schema.ts';
export { RowError } from './errors.ts';
export { commitBatch, commitHalving } from './commit.ts';
export {
  acquireShards, leaveShards, succeedShards, listShards, releaseShards, renewShards, type ShardRenewal, type ShardRow, type ShardWish,
} from './shards.ts';
export {
  dueTimers, findIdempotent, FIRST_OUTBOX_ID, loadLiveRuns, loadOutbox, loadRun, loadRuns, markProjected, runByUid, runsByUids, unprojectedRuns,
} from './runs.ts';
export { FIRST_ID } from './pages.ts';
export { lastRestored } from './restoration.ts';
export { deadLetter, listDeadLetters } from './dead-letter.ts';
export { keepAgentKey, readAgentKey } from './agent-keys.ts';
export { forgetModelLimits, readModelLimit, writeModelLimit, type ModelLimitRow } from './model-limits.ts';
export {
  deletePool, deleteWorkflow, getPool, getWorkflow, listPools, listWorkflowNodes, listWorkflows, poolKeys, upsertPool, upsertWorkflow, workflowKeys,
  type MirrorKey, type ObjectCursor,
} from './mirrors.ts';
export {
  getRun, getRuns, getRunByName, getRunDefinition, listAttempts, listEvents, listNodes, listRuns, runsStand, type AttemptCursor, type NodeCursor,
} from './reads.ts';
export {
  accessTokenByHash, accessTokenById, accountByFirebase, accountById, placeOfNamespace, placesOfProjects, touchAccessToken, type AccessTokenRow, type AccountRow, type PlaceRow,
} from './gateway-reads.ts';
export {
  childrenByIds, listChildren, listMembers, listProjectEvents, listProjects, listTaskRuns, projectsByIds, type ChildFilters, type ChildQuery, type ChildRow, type ChildRows,
  type ChildTable, type ListCursor, type MemberRow, type ProjectEventRow, type ProjectQuery, type ProjectRow, type RequirementRow, type SprintRow, type TaskRow, type TaskRunRow, type TicketRow,
} from './project-reads.ts';
export {
  getTalk, listAgentRuns, getBudgetLimit, listBudgetLimits, listTalks, listTurns, setBudgetLimit, type AgentCursor, type AgentRunQuery, type SetLimitRow, type TalkRow,
} from './agent-reads.ts';
export type * from './agent-types.ts';
export { BUDGET_LEVELS } from './agent-types.ts';
export { agentEvents, agentJournal, appendToAgentRun, getAgentRun, lockAgentRun, writeAppending, type Appended, type Appending } from './agent-journal.ts';
export { continueAgentRun, createAgentRun, getRevision, putRevision, type AgentRunCreate, type Opened, type Opening } from './agent-open.ts';
export {
  findReservation, fits, journaledLimit, leftOf, lockAccounts, makeAccounts, orphanedReservations, raiseAccount, readAccounts, renewReservations, reserve, settle, warnAccounts, type Reserved,
} from './agent-budget.ts';
export {
  addAgentCall, answerOfStep, callByChild, callsOver, changeAgentCall, editAgentCall, eventOfCall, getAgentCall, lastAgentCalls, openChild, openChildren, renewAgentCalls, stillWaiting, waitingPhase,
  type AgentCallRow, type CallChange, type CallRef, type OpenChild,
} from './agent-calls.ts';
export {
  addApproval, APPROVAL_STATES, approvalById, approvalOfCall, expiredApprovals, getApproval, listApprovals,
  type ApprovalCreate, type ApprovalPreview, type ApprovalQuery, type ApprovalRow, type ApprovalState,
} from './agent-approvals.ts';
export { answerInput, expireInput, type InputVerdict } from './agent-answers.ts';
export {
  addInput, answersOf, expiredInputs, INPUT_STATES, inputById, inputOfCall, listInputs, questionsOf,
  type InputCreate, type InputQuery, type InputRow, type InputState,
} from './agent-inputs.ts';
export {
  approvedExactly, BUDGET_PAUSED, decideApproval, expireApproval, listDoubts, raiseBudget, settleDoubt, wakeOf,
  type ApprovalVerdict, type Decided, type DoubtQuery, type DoubtRow, type DoubtVerdict, type Raise, type Refusal, type RefusalCode, type Wake,
} from './agent-decisions.ts';
export {
  budgetLimits, earlierTurns, eventsOfKinds, lookAtOpenAgentRuns, openAgentRunsOf, openConversation, overdueAgentRuns, unheardAgentRuns,
  type BudgetLimitRow, type ConversationRow, type NeedyAgentRun, type OpenSlice,
} from './agent-gateway-reads.ts';
export {
  agentAccountsSince, agentKeys, agentsByName, agentUsageOpen, agentUsageSettled, deleteAgent, deleteModel, deleteToolServer, getAgent, getModel, getToolServer, listAgents, listModels, listToolServers, modelKeys,
  modelsByName, toolServerKeys, toolServersByName, upsertAgent, upsertModel, upsertToolServer, type AgentDefinitionRow, type AgentRow, type AgentUsageRow, type ModelRow, type ToolServerRow,
} from './agent-mirrors.ts';
export { dropExpiredMemories, MOST_MEMORIES, saveMemory, searchMemories, type MemoryRow } from './agent-memory.ts';
