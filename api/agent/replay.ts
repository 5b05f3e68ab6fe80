import { z } from 'zod';
import { revisionSpecSchema, type RevisionSpec } from '../../crds/agent-revision.ts';
import { replayAgentRun } from '../../engine/index.ts';
import { agentJournal, getRevision } from '../../prisma/store/index.ts';
import { defineEntity } from '../operations/entity.ts';
import { id } from '../operations/fields.ts';
import { defineQuery } from '../operations/operation.ts';
import type { Operation, OperationContext } from '../operations/operation.ts';
import { invalidField } from '../operations/problems.ts';
import { reachAgentRun } from './run-operations.ts';

/* A replay: what an agent run would have asked its model, made anew from its journal. It calls nothing and writes nothing. */

const HASH = z.string().regex(/^[0-9a-f]{64}$/, 'is no hash of a revision: 64 hexadecimal digits');

/** What a replay came to. */
const AgentReplay = defineEntity('AgentReplay', 'A strict replay of an agent run: answers and results of tools come from its journal, each request is made anew and compared with what was asked. Nothing is called.', z.object({
  agentRunId: id('The agent run.'), revision: z.string().describe('The revision that was replayed.'), alike: z.int().describe('Requests that came out alike, up to the divergence.'),
  tools: z.int().describe('Results of tools taken from the journal.'), diverged: z.boolean().describe('Whether a request came out otherwise.'),
  divergedSeq: z.int().nullable().describe('Place in the journal of the first request that differs.'), divergedStep: z.int().nullable().describe('Its step.'),
  recorded: z.string().nullable().describe('Hash of what was asked there.'), replayed: z.string().nullable().describe('Hash of what would be asked now.'),
}));

/** A revision of the namespace. Throws where there is none: those of other namespaces look the same as those that are not there. */
async function revisionOf({ services }: OperationContext, namespace: string, hash: string): Promise<RevisionSpec> {
  const bytes = await getRevision(services.db, hash);
  const spec = bytes === undefined ? undefined : revisionSpecSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  if (spec?.namespace !== namespace) throw invalidField('revision', hash, 'no agent of this namespace has such a revision');
  return spec;
}

/** The operation that replays. */
export const replayOperations: readonly Operation[] = [
  defineQuery({
    name: 'replayAgentRun', summary: 'Replays an agent run strictly, without calling anything.',
    description: 'With its own revision a divergence means that the journal or the code changed; with another one it is the first step that this revision would have taken otherwise.',
    rest: { method: 'GET', path: '/agent-runs/{id}/replay' },
    input: z.strictObject({ id: id('Which agent run.'), revision: HASH.optional().describe('Hash of another revision of an agent of its namespace; its own if not given.') }),
    output: AgentReplay, right: { verb: 'get', resource: 'agentruns', on: 'namespace' }, reach: reachAgentRun,
    run: async (context, { revision }, row) => {
      const hash = revision ?? row.revision;
      const spec = await revisionOf(context, row.namespace, hash);
      const { alike, tools, divergence } = replayAgentRun(await agentJournal(context.services.db, row.id), spec);
      return {
        agentRunId: row.id, revision: hash, alike, tools, diverged: divergence !== undefined, divergedSeq: divergence?.seq ?? null, divergedStep: divergence?.step ?? null,
        recorded: divergence?.recorded ?? null, replayed: divergence?.replayed ?? null,
      };
    },
  }),
];
