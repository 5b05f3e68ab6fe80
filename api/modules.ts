import { agentEventStream } from './agent/agent-sse.ts';
import { budgetOperations } from './agent/budgets.ts';
import { conversationOperations } from './agent/conversations.ts';
import { decisionOperations } from './agent/decisions.ts';
import { agentDefinitionOperations } from './agent/definitions.ts';
import { inputOperations } from './agent/inputs.ts';
import { agentOperations } from './agent/operations.ts';
import { replayOperations } from './agent/replay.ts';
import { agentRunOperations } from './agent/run-operations.ts';
import { fileOperations } from './file/operations.ts';
import { authOperations } from './auth/operations/index.ts';
import { registry } from './operations/registry.ts';
import type { RestStream } from './operations/stream-route.ts';
import { importOperations } from './project/import/operations.ts';
import { projectOperations } from './project/operations.ts';
import { definitionOperations } from './workflow/definition-operations.ts';
import { runOperations } from './workflow/run-operations.ts';
import { workflowOperations } from './workflow/operations.ts';

/** All operations, module by module: GraphQL, REST, OpenAPI and the authorisation matrix are made from this list. */
export const operations = registry(authOperations, projectOperations, runOperations, definitionOperations, agentOperations, workflowOperations, fileOperations, importOperations,
  agentRunOperations, replayOperations, conversationOperations, decisionOperations, inputOperations, budgetOperations, agentDefinitionOperations);

/** Streams of REST beside them. */
export const streams: readonly RestStream[] = [agentEventStream];
