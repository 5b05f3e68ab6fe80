import { Command, Option } from 'commander';
import { z } from 'zod';
import { sleep } from '../../platform/clock/index.ts';
import { stepsTable } from '../agent/steps.ts';
import { call, everyItem } from '../api/call.ts';
import type { ApiRequest } from '../api/call.ts';
import { doorOf, withDoor } from '../api/door.ts';
import type { DoorOptions } from '../api/door.ts';
import { textTable } from '../api/table.ts';
import { CliError } from '../errors.ts';
import type { Io } from '../io/io.ts';
import { plain, plainJson } from '../io/plain.ts';

/* Looks at runs of agents: which there are, how one stands, what happened in it. */

interface LookOptions extends DoorOptions { readonly output: string }
interface RunsOptions extends LookOptions { readonly namespace: string; readonly phase?: string; readonly first: string }

const runSchema = z.looseObject({
  id: z.string(), agent: z.string().nullable(), phase: z.string(), step: z.int(), turn: z.int(), inputTokens: z.number(), outputTokens: z.number(), costUsd: z.string(), toolCalls: z.number(), pendingApprovals: z.number(), createdAt: z.string(),
  reason: z.string().nullable(),
});
const pageSchema = z.looseObject({ items: z.array(runSchema) });
const detailsSchema = z.looseObject({
  ...runSchema.shape, namespace: z.string(), runId: z.string(), node: z.string(), revision: z.string(), message: z.string().nullable(), output: z.unknown(), conversationId: z.string().nullable(), finishedAt: z.string().nullable(),
  modelCalls: z.number(), cachedTokens: z.number(), reasoningTokens: z.number(), usageUnknown: z.boolean(), principal: z.string(),
  budgets: z.array(z.looseObject({ level: z.string(), limitTokens: z.number().nullable(), limitUsd: z.string().nullable(), spentTokens: z.number(), spentUsd: z.string(), reservedTokens: z.number(), reservedUsd: z.string() })),
});

function outputOption(): Option {
  return new Option('-o, --output <format>', 'as a table, or as JSON').choices(['table', 'json']).default('table');
}

function get(path: string): ApiRequest {
  return { method: 'GET', path: `/api/v1${path}`, headers: {} };
}

/** `rambo agent runs`. */
export function runsCommand(io: Io): Command {
  return withDoor(new Command('runs').argument('[agent]', 'only those of this Agent'))
    .summary('list runs of agents, the newest first, with what they cost')
    .addOption(new Option('-n, --namespace <namespace>', 'their namespace').makeOptionMandatory())
    .addOption(new Option('--phase <phase>', 'only those in this phase: Running, WaitingApproval, InDoubt, Failed, ...'))
    .addOption(new Option('--first <n>', 'so many at most').default('20'))
    .addOption(outputOption())
    .addHelpText('after', `
Examples:
  rambo agent runs -n support
  rambo agent runs -n support triage --phase WaitingApproval`)
    .action(async (agent: string | undefined, options: RunsOptions) => {
      if (!/^([1-9]\d?|100)$/.test(options.first)) throw new CliError('Usage', `--first: ${options.first} is no number from 1 to 100`);
      const query = new URLSearchParams({ namespace: options.namespace, first: options.first, ...(agent === undefined ? {} : { agent }), ...(options.phase === undefined ? {} : { phase: options.phase }) });
      const answer = await call(await doorOf(options), get(`/agent-runs?${query.toString()}`), (ms) => sleep(io.clock, ms));
      const { items } = pageSchema.parse(answer);
      io.print(options.output === 'json' ? `${plainJson(Reflect.get(Object(answer), 'items'))}\n` : textTable(['ID', 'AGENT', 'PHASE', 'STEPS', 'TOOLS', 'TOKENS', 'USD', 'BEGAN', 'WHY'], items.map((run) => [
        run.id, run.agent, run.phase, run.step, run.toolCalls, `${run.inputTokens} + ${run.outputTokens}`, run.costUsd, run.createdAt.slice(0, 19).replace('T', ' '), run.reason,
      ])));
    });
}

/** `rambo agent show`. */
export function showCommand(io: Io): Command {
  return withDoor(new Command('show').argument('<agent-run>', 'its id'))
    .summary('show how a run of an agent stands: phase, output, tokens, cost, budgets')
    .addOption(outputOption())
    .action(async (agentRun: string, options: LookOptions) => {
      const answer = await call(await doorOf(options), get(`/agent-runs/${encodeURIComponent(agentRun)}`), (ms) => sleep(io.clock, ms));
      const run = detailsSchema.parse(answer);
      if (options.output === 'json') io.print(`${plainJson(answer)}\n`);
      else io.print(details(run));
    });
}

/** `rambo agent steps`. */
export function stepsCommand(io: Io): Command {
  return withDoor(new Command('steps').argument('<agent-run>', 'its id'))
    .summary('show each step of a run of an agent: tokens, cost, time')
    .description('Shows the whole journal of an agent run so far: answers of models with tokens and cost, calls of tools with their time, decisions of people. `rambo agent events` follows it.')
    .addOption(outputOption())
    .addHelpText('after', `
Examples:
  rambo agent steps <agent run>
  rambo agent steps <agent run> -o json | jq '.[] | select(.kind == "ToolRequested") | .payload'`)
    .action(async (agentRun: string, options: LookOptions) => {
      const page = (cursor?: string): ApiRequest => get(`/agent-runs/${encodeURIComponent(agentRun)}/steps?first=100${cursor === undefined ? '' : `&after=${encodeURIComponent(cursor)}`}`);
      const items = await everyItem(await doorOf(options), page(), page, (ms) => sleep(io.clock, ms));
      io.print(options.output === 'json' ? `${plainJson(items)}\n` : stepsTable(items));
    });
}

function details(run: z.output<typeof detailsSchema>): string {
  const facts: readonly (readonly [string, string])[] = [
    ['agent run', run.id], ['agent', run.agent ?? 'inline'], ['namespace', run.namespace], ['run', `${run.runId} node ${run.node}`], ['started by', run.principal], ['revision', run.revision],
    ...(run.conversationId === null ? [] : [['conversation', `${run.conversationId} turn ${run.turn}`] as const]),
    ['phase', run.reason === null ? run.phase : `${run.phase} (${run.reason})`], ...(run.message === null ? [] : [['message', run.message] as const]),
    ['began', run.createdAt], ['ended', run.finishedAt ?? '-'], ['steps', `${run.step} (${run.modelCalls} model, ${run.toolCalls} tool calls)`],
    ['tokens', `${run.inputTokens} (${run.cachedTokens} cached) + ${run.outputTokens} (${run.reasoningTokens} reasoning)`], ['cost', `${run.costUsd} USD${run.usageUnknown ? ', in part an estimate' : ''}`],
    ...(run.pendingApprovals === 0 ? [] : [['approvals', `${run.pendingApprovals} wait: rambo api agentApprovals --namespace ${run.namespace} --agent-run-id ${run.id} -o table`] as const]),
  ];
  const budgets = run.budgets.map(({ level, limitTokens, limitUsd, spentTokens, spentUsd, reservedTokens, reservedUsd }) => [level, spentTokens, reservedTokens, limitTokens ?? 'no limit', spentUsd, reservedUsd, limitUsd ?? 'no limit']);
  const output = run.phase === 'Succeeded' ? `\noutput:\n${plainJson(run.output)}\n` : '';
  return `${facts.map(([name, text]) => `${`${name}:`.padEnd(14)}${plain(text)}\n`).join('')}\n${textTable(['BUDGET', 'TOKENS', 'RESERVED', 'LIMIT', 'USD', 'RESERVED', 'LIMIT'], budgets)}${output}`;
}
