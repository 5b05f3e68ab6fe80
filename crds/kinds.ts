import type { z } from 'zod';
import type { Rule } from './rules.ts';
import { agentSpecSchema, agentStatusSchema } from './agent.ts';
import { modelSpecSchema, modelStatusSchema } from './model.ts';
import { runnerPoolSpecSchema, runnerPoolStatusSchema } from './runner-pool.ts';
import { toolServerSpecSchema, toolServerStatusSchema } from './tool-server.ts';
import { workflowRunRootRules } from './workflow-run-rules.ts';
import { workflowRunSpecSchema, workflowRunStatusSchema } from './workflow-run.ts';
import { workflowSpecSchema, workflowStatusSchema } from './workflow.ts';

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  /** 1 shows the column with `-o wide` only. */
  readonly priority?: number;
  readonly description?: string;
}

/** All that makes one CRD. */
export interface KindDefinition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly columns: readonly PrinterColumn[];
  /** Rules over the whole object. */
  readonly rules: readonly Rule<never>[];
}

const AGE: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/** Names of objects that others refer to become part of NATS subjects, label values and pod names. */
function labelName(kind: string): Rule<never> {
  return {
    cel: "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
    message: `metadata.name of a ${kind} may have at most 63 characters and no dot: choose a shorter name`,
  };
}

const workflow: KindDefinition = {
  kind: 'Workflow',
  plural: 'workflows',
  singular: 'workflow',
  shortName: 'wf',
  description: 'Workflow is a graph of nodes. A WorkflowRun executes it.',
  spec: workflowSpecSchema,
  status: workflowStatusSchema,
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
    { name: 'Nodes', type: 'integer', jsonPath: '.status.nodeCount' },
    { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason' },
    { name: 'Message', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].message', priority: 1 },
    AGE,
  ],
  rules: [labelName('Workflow')],
};

const workflowRun: KindDefinition = {
  kind: 'WorkflowRun',
  plural: 'workflowruns',
  singular: 'workflowrun',
  shortName: 'wfr',
  description: 'WorkflowRun is one execution of a Workflow. Its spec never changes, but for suspend and cancel.',
  spec: workflowRunSpecSchema,
  status: workflowRunStatusSchema,
  columns: [
    { name: 'Workflow', type: 'string', jsonPath: '.spec.workflowRef.name' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
    { name: 'Progress', type: 'string', jsonPath: '.status.progress' },
    { name: 'Started', type: 'date', jsonPath: '.status.startedAt', description: 'Time since the run started.' },
    { name: 'Finished', type: 'date', jsonPath: '.status.finishedAt', description: 'Time since the run ended.' },
    { name: 'Message', type: 'string', jsonPath: '.status.conditions[?(@.type=="Completed")].message', priority: 1 },
    AGE,
  ],
  rules: workflowRunRootRules,
};

const runnerPool: KindDefinition = {
  kind: 'RunnerPool',
  plural: 'runnerpools',
  singular: 'runnerpool',
  shortName: 'pool',
  description: 'RunnerPool keeps warm pods that pull nodes. A pool is a trust boundary.',
  spec: runnerPoolSpecSchema,
  status: runnerPoolStatusSchema,
  columns: [
    { name: 'Ready', type: 'integer', jsonPath: '.status.ready' },
    { name: 'Starting', type: 'integer', jsonPath: '.status.starting' },
    { name: 'Min', type: 'integer', jsonPath: '.spec.minReady' },
    { name: 'Max', type: 'integer', jsonPath: '.spec.max' },
    AGE,
  ],
  rules: [labelName('RunnerPool')],
};

const READY: readonly PrinterColumn[] = [
  { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
  { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason' },
];
const READY_MESSAGE: PrinterColumn = { name: 'Message', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].message', priority: 1 };

const model: KindDefinition = {
  kind: 'Model',
  plural: 'models',
  singular: 'model',
  shortName: 'mdl',
  description: 'Model says where a language model answers, what it can do and what it costs. Its key is read by the model gateway only.',
  spec: modelSpecSchema,
  status: modelStatusSchema,
  columns: [
    { name: 'Provider', type: 'string', jsonPath: '.spec.provider' },
    { name: 'Model', type: 'string', jsonPath: '.spec.model' },
    ...READY, READY_MESSAGE, AGE,
  ],
  rules: [labelName('Model'), {
    cel: '!has(self.spec.fallback) || !self.spec.fallback.exists(f, f.name == self.metadata.name)',
    message: 'spec.fallback may not name the Model itself: name another one',
  }],
};

const toolServer: KindDefinition = {
  kind: 'ToolServer',
  plural: 'toolservers',
  singular: 'toolserver',
  shortName: 'tools',
  description: 'ToolServer offers tools to agents: an MCP server, or operations of an HTTP API.',
  spec: toolServerSpecSchema,
  status: toolServerStatusSchema,
  columns: [
    { name: 'Tools', type: 'integer', jsonPath: '.status.toolCount' },
    ...READY, READY_MESSAGE,
    { name: 'Discovery', type: 'string', jsonPath: '.status.discoveryHash', priority: 1 },
    AGE,
  ],
  rules: [labelName('ToolServer')],
};

const agent: KindDefinition = {
  kind: 'Agent',
  plural: 'agents',
  singular: 'agent',
  shortName: 'ag',
  description: 'Agent is a model with instructions, tools, limits and a budget. A node of type agent runs it.',
  spec: agentSpecSchema,
  status: agentStatusSchema,
  columns: [
    { name: 'Model', type: 'string', jsonPath: '.spec.modelRef.name' },
    { name: 'Tools', type: 'integer', jsonPath: '.status.tools' },
    ...READY,
    { name: 'Runs', type: 'integer', jsonPath: '.status.usage.runs' },
    { name: 'Cost', type: 'string', jsonPath: '.status.usage.costUsd', description: 'USD spent by its runs.' },
    { name: 'Revision', type: 'string', jsonPath: '.status.stableRevision', priority: 1 },
    READY_MESSAGE, AGE,
  ],
  rules: [labelName('Agent')],
};

/** Every kind of RamBo, in the order their CRDs are installed. */
export const KINDS: readonly KindDefinition[] = [workflow, workflowRun, runnerPool, model, toolServer, agent];
