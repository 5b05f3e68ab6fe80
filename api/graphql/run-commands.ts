import type { CancelMode } from '../../crds/workflow-run.ts';
import type { AuditEntry } from '../auth/audit.ts';
import { demand } from '../auth/can.ts';
import { ApiError, unavailable } from '../errors.ts';
import { startRun, steerRun } from '../workflow/start-run.ts';
import type { CommandOutcome } from '../workflow/start-run.ts';
import { builder } from './builder.ts';
import type { ApiContext } from './context.ts';
import { CancelModeEnum } from './enums.ts';
import { reachableRun } from './run-queries.ts';
import { RunRef } from './run.ts';
import type { RunSource } from './run.ts';
import { ConflictRef, InvalidRef, NotFoundRef } from './user-errors.ts';
import type { ConflictAnswer, InvalidAnswer, NotFoundAnswer } from './user-errors.ts';

/** Answers of commands. `kind` tells the members of the union apart. */
interface RunAnswer { readonly kind: 'Run'; readonly run: RunSource; readonly repeated: boolean }
type Answer = RunAnswer | NotFoundAnswer | ConflictAnswer | InvalidAnswer;

const RunPayloadRef = builder.objectRef<RunAnswer>('RunPayload').implement({
  description: 'The command is committed.',
  fields: (t) => ({
    run: t.field({ type: RunRef, description: 'The run after the command.', resolve: ({ run }) => run }),
    repeated: t.exposeBoolean('repeated', { description: 'Whether this changed nothing, because it had been asked before.' }),
  }),
});

const TYPE_NAMES = { Run: 'RunPayload', NotFound: 'NotFoundError', Conflict: 'ConflictError', Invalid: 'InvalidInputError' } as const;
const resolveType = (answer: Answer): string => TYPE_NAMES[answer.kind];

const StartRunResult = builder.unionType('StartRunResult', {
  description: 'What became of a start.', types: [RunPayloadRef, NotFoundRef, ConflictRef, InvalidRef], resolveType,
});
const RunCommandResult = builder.unionType('RunCommandResult', {
  description: 'What became of a command about a run.', types: [RunPayloadRef, NotFoundRef, ConflictRef, InvalidRef], resolveType,
});

const StartRunInput = builder.inputType('StartRunInput', {
  description: 'What to run. Exactly one of `workflow` and `definition`.',
  fields: (t) => ({
    namespace: t.string({ required: true, description: 'Namespace to run in.' }),
    workflow: t.string({ description: 'Name of a Workflow of that namespace.' }),
    definition: t.field({ type: 'JSON', description: 'An inline definition: the spec of a Workflow. Unknown fields are refused.' }),
    input: t.field({ type: 'JSON', description: 'Input of the run; `{}` if not given. Checked against the schema of the workflow.' }),
    name: t.string({ description: 'Name of the run; made from the workflow if not given.' }),
    priority: t.int({ description: 'Higher goes first; that of the workflow if not given.' }),
    idempotencyKey: t.string({
      description: 'Makes the start safe to repeat for 7 days: the same key of the same caller in the same namespace gives the same run, with another body a ConflictError.',
    }),
  }),
});

builder.mutationField('startRun', (t) => t.field({
  type: StartRunResult,
  description: 'Starts a run. Needs `create workflowruns`, else FORBIDDEN.',
  args: { input: t.arg({ type: StartRunInput, required: true, description: 'What to run.' }) },
  resolve: async (_, { input }, context) => {
    return audited(context, 'startRun', async () => {
      await demand(context.services.can, context.principal, 'create', { kind: 'namespace', resource: 'workflowruns', namespace: input.namespace });
      return start(context, input);
    });
  },
}));

/** Starts in one request at most. */
const MAX_STARTS = 100;

const StartRunsPayloadRef = builder.objectRef<{ readonly results: readonly Answer[] }>('StartRunsPayload').implement({
  description: 'What became of many starts.',
  fields: (t) => ({ results: t.field({ type: [StartRunResult], description: 'One answer per input, in their order.', resolve: ({ results }) => [...results] }) }),
});

builder.mutationField('startRuns', (t) => t.field({
  type: StartRunsPayloadRef,
  description: `Starts up to ${MAX_STARTS} runs at once; each succeeds or fails for itself. Needs \`create workflowruns\` in every namespace named, else FORBIDDEN and nothing is started.`,
  args: { inputs: t.arg({ type: [StartRunInput], required: true, description: 'What to run.' }) },
  resolve: async (_, { inputs }, context) => {
    if (inputs.length > MAX_STARTS) throw new ApiError('BAD_USER_INPUT', `inputs has ${inputs.length} entries: at most ${MAX_STARTS} runs start at once, send the rest in further requests`);
    await noted(context, 'startRuns', async () => {
      for (const namespace of new Set(inputs.map((input) => input.namespace))) {
        await demand(context.services.can, context.principal, 'create', { kind: 'namespace', resource: 'workflowruns', namespace });
      }
    });
    return { results: await Promise.all(inputs.map((input) => audited(context, 'startRuns', () => start(context, input)))) };
  },
}));

/** The caller's right has been checked. */
async function start(context: ApiContext, input: typeof StartRunInput.$inferInput): Promise<Answer> {
  const { definition, input: data, ...rest } = input;
  const request = { ...rest, ...(definition == null ? {} : { definition }), ...(data == null ? {} : { input: data }) };
  return answer(context, await startRun(context.services, context.principal, request, context.traceparent));
}

builder.mutationField('cancelRun', (t) => t.field({
  type: RunCommandResult,
  description: 'Cancels a run. Cancelling one that has ended changes nothing. Needs `patch workflowruns`.',
  args: {
    id: t.arg.id({ required: true, description: 'Id of the run.' }),
    mode: t.arg({ type: CancelModeEnum, required: true, defaultValue: 'Graceful', description: 'How.' }),
  },
  resolve: (_, { id, mode }, context) => steer(context, id, { verb: 'cancel', mode }),
}));

builder.mutationField('suspendRun', (t) => t.field({
  type: RunCommandResult,
  description: 'Suspends a run: it starts no more nodes. Needs `patch workflowruns`.',
  args: { id: t.arg.id({ required: true, description: 'Id of the run.' }) },
  resolve: (_, { id }, context) => steer(context, id, { verb: 'suspend' }),
}));

builder.mutationField('resumeRun', (t) => t.field({
  type: RunCommandResult,
  description: 'Resumes a suspended run. Needs `patch workflowruns`.',
  args: { id: t.arg.id({ required: true, description: 'Id of the run.' }) },
  resolve: (_, { id }, context) => steer(context, id, { verb: 'resume' }),
}));

type Steering = { readonly verb: 'cancel'; readonly mode: CancelMode } | { readonly verb: 'suspend' } | { readonly verb: 'resume' };

function steer(context: ApiContext, id: string, steering: Steering): Promise<Answer> {
  return audited(context, `${steering.verb}Run`, async () => {
    const run = await reachableRun(context, 'patch', id);
    if (run === undefined) return { kind: 'NotFound', message: `run ${id.slice(0, 64)} does not exist or is not yours to change` };
    return answer(context, await steerRun(context.services.commands, { v: 1, runId: run.id, principal: context.principal.name, ...steering }));
  });
}

const AUDITED = { Run: ['DONE', 'OK'], NotFound: ['REFUSED', 'NOT_FOUND'], Conflict: ['FAILED', 'CONFLICT'] } as const;

/** A command, with its entry in the audit. What was no proper request (Invalid) is in the log alone. */
async function audited(context: ApiContext, operation: string, work: () => Promise<Answer>): Promise<Answer> {
  const given = await noted(context, operation, work);
  if (given.kind === 'Invalid') return given;
  const [outcome, code] = AUDITED[given.kind];
  enter(context, { operation, outcome, code, ...(given.kind === 'Run' ? { resourceId: given.run.id } : {}) });
  return given;
}

/** Work whose refusal is written into the audit. */
async function noted<T>(context: ApiContext, operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiError) enter(context, { operation, outcome: 'REFUSED', code: error.publicCode });
    throw error;
  }
}

/** Nobody waits for it: the run's own history has who asked, in the transaction of its owner. */
function enter({ services, principal, requestId }: ApiContext, entry: Pick<AuditEntry, 'operation' | 'outcome' | 'code' | 'resourceId'>): void {
  void services.audit.add({ at: services.clock.now(), principal: principal.name, resource: 'workflowruns', requestId, ...entry });
}

/** The row is read after the owner's commit, so it shows the command's effect. */
async function answer(context: ApiContext, outcome: CommandOutcome): Promise<Answer> {
  if (outcome.kind !== 'Done') return outcome;
  const run = await context.services.runs.run(outcome.runId);
  if (run === undefined) throw unavailable();
  return { kind: 'Run', run, repeated: outcome.repeated };
}
