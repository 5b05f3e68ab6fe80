/** The engine's API: what the controller, the API's validation and the CLI use. Pure but for `compileSchemas`. */
export { compile, EMPTY, type CompileMeta } from './compile/compile.ts';
export { modeOf } from './compile/mode.ts';
export type { Compiled, CompileResult, Mode, NodePlan, Validators } from './compile/plan.ts';
export { compileSchemas, validateInput } from './schema/prepare.ts';
export { advance } from './run/advance.ts';
export { createRun, type RunState } from './run/state.ts';
export { restoreRun } from './run/restore.ts';
export { isDecision, isHeld } from './run/review.ts';
export {
  attemptInFlight, counts, failures, lastSeq, liveAttempts, nodeRow, nodeRows, nodeSpecOf, placementOf, redispatch, runRow, type Failure, type LiveAttempt,
} from './run/views.ts';
export { pendingTimers, type Timer } from './run/timers.ts';
export { replayAgentRun, type Divergence, type Replay } from './agent/replay.ts';
export { resolveAgent, type ResolvedAgent } from './agent/resolve.ts';
export { agentCycle, agentReferences, type AgentReferences, type AgentWorld, type ToolServerView, type WorkflowView } from './agent/world.ts';
export { decide, holds, parseGuardrail, parseMatch, parseProbe, probeArguments, type AgentFacts, type PolicyDecision } from './agent/policy.ts';
export { argumentProblems, modelArguments, schemaProblems, type Arguments } from './agent/arguments.ts';
export { answerProblems, takeInQuestion } from './agent/questions.ts';
export { operationsOf, takeIn, type TakenIn } from './agent/discovery.ts';
export { cleanText, headOf } from './agent/text.ts';
export { linearPattern } from './pattern.ts';
export type { AgentProblem } from './agent/problems.ts';
export { mirroredWorld, type MirroredDefinition, type MirroredRows } from './agent/mirrored.ts';
export { formatInstant, parseInstant } from './instant.ts';
