import type { Blow } from './kill-site.ts';
import { SHAPES, type Kill, type Shape } from './kill-shapes.ts';

/** One run of the matrix: a shape, and what is done to it. */
export interface Job {
  readonly shape: Shape;
  readonly name: string;
  readonly blow: Blow;
  /** Whether a person has to be asked what became of a call. */
  readonly doubt: boolean;
}

/**
 * Where processes are killed. Journal: the gateway before a transaction and after its commit; outside.fetch: around a call of a model or a
 * tool. Left out is what comes by the clock, and so at another place in every run: beats, logs, leases of shards, tidying of the outbox, status.
 */
const POINTS = /^(journal\.|outside\.fetch\.|runner\.(receive|ack|execute\.|agent\.|request\.)|pg\.(commit|run-get)\.|nats\.(receive|reply)\.(result|cmd)|nats\.(dispatch|request)\.)/;
/** In a run of one call after the other the second is the unkeyed one: killed between its dispatch and its result, nobody can know. */
const UNKNOWABLE = new Set(['journal.ToolDispatched.after#2', 'journal.ToolCompleted.before#2']);
/** Boundaries of the journal, after which NATS is wiped. */
const ROWS = /^journal\.\w+\.after$/;

function job(shape: Shape, name: string, blow: Blow): Job {
  return { shape, name: `${shape.name}: ${name}`, blow, doubt: false };
}

function kill(shape: Shape, at: Kill): Job {
  const doubt = shape.agent === 'first' && UNKNOWABLE.has(`${at.point}#${at.hit}`);
  return { ...job(shape, `kill at ${at.point}#${at.hit}`, { kills: [at] }), doubt };
}

function wipe(shape: Shape, at: Kill): Job {
  return job(shape, `wipe NATS at ${at.point}#${at.hit}`, { kills: [], wipe: at });
}

function silent(shape: Shape): Job {
  return job(shape, 'kill whoever takes a decision, after its commit', { kills: [], silent: true });
}

/** Everything: each hit of each point that a run of this shape passes, twice over, because some are passed more often at times. */
export function jobsOf(shape: Shape, runs: readonly ReadonlyMap<string, number>[]): readonly Job[] {
  const [first, ...others] = runs;
  const points = [...first ?? []].map(([point, hits]) => ({ point, hits: Math.min(hits, ...others.map((other) => other.get(point) ?? 0)) }));
  const every = points.flatMap(({ point, hits }) => Array.from({ length: hits }, (_, i) => ({ point, hit: i + 1 })));
  const fresh = every.filter((at) => !shape.before.some(({ point, hit }) => point === at.point && hit === at.hit));
  const decided = shape.agent === 'approval' || shape.agent === 'long' || shape.agent === 'asking';
  return [
    ...fresh.filter(({ point }) => POINTS.test(point)).map((at) => kill(shape, at)),
    ...every.filter(({ point }) => ROWS.test(point)).map((at) => wipe(shape, at)),
    ...(decided ? [silent(shape)] : []),
  ];
}

/** The few that are in every run of the tests: each shape, each process, both sides of a commit. */
export function sample(): readonly Job[] {
  const at = (point: string, hit = 1): Kill => ({ point, hit });
  const [first, approval, lost, resumed, conversation, parallel, nested, long, asking] = SHAPES as readonly [Shape, Shape, Shape, Shape, Shape, Shape, Shape, Shape, Shape];
  return [
    kill(first, at('journal.ModelRequested.after', 2)),
    kill(first, at('journal.ToolDispatched.after', 2)),
    kill(first, at('journal.ToolCompleted.before', 2)),
    wipe(first, at('journal.ModelCompleted.after')),
    kill(lost, at('pg.commit.after', 2)),
    kill(approval, at('journal.ApprovalRequested.after')),
    silent(approval),
    kill(resumed, at('journal.Woken.after')),
    kill(conversation, at('runner.agent.model.after', 2)),
    kill(parallel, at('journal.ToolCompleted.after')),
    kill(nested, at('nats.receive.cmd')),
    wipe(nested, at('journal.ToolDispatched.after')),
    kill(long, at('journal.ContextCompacted.before')),
    wipe(long, at('journal.BudgetExceeded.after')),
    kill(asking, at('journal.InputRequested.before')),
    kill(asking, at('journal.InputRequested.after', 2)),
    kill(asking, at('outside.fetch.after', 4)),
    wipe(asking, at('journal.InputRequested.after')),
  ];
}
