/**
 * The promises of RamBo (I1 to I10 of the reliability page) as questions to what is left after a fault: rows, objects of the
 * API server, and the ledger of effects that nodes kept. Each returns what is wrong; nothing wrong is an empty list.
 * I9 is about the audit of the gateway, which does not exist yet; I11 is looked at over many seeds, see main.ts.
 */

/** A run's row. */
export interface RunFacts { readonly id: string; readonly phase: string; readonly source: string; readonly name: string; readonly done: number; readonly total: number }
/** A node or item of a run. */
export interface NodeFacts { readonly run: string; readonly node: string; readonly item: number; readonly status: string; readonly attempt: number }
/** An attempt that ended. */
export interface AttemptFacts { readonly run: string; readonly node: string; readonly item: number; readonly attempt: number; readonly status: string; readonly reason: string | null }
/** An entry of a run's history. */
export interface EventFacts { readonly run: string; readonly seq: number; readonly kind: string; readonly node: string | null; readonly item: number | null; readonly attempt: number | null }
/** A WorkflowRun as the API server has it. */
export interface ObjectFacts { readonly uid: string; readonly phase: string | undefined; readonly progress: string | undefined }
/** A line a node left: it ran under this key as this attempt. */
export interface LedgerLine { readonly key: string; readonly run: string; readonly node: string; readonly item: number; readonly attempt: number }

/** Everything the oracle looks at, once the faults have stopped and the runs have ended, or should have. */
export interface World {
  readonly runs: readonly RunFacts[];
  readonly nodes: readonly NodeFacts[];
  readonly attempts: readonly AttemptFacts[];
  readonly events: readonly EventFacts[];
  readonly objects: readonly ObjectFacts[];
  readonly outbox: number;
  /** Pods of attempts that still exist, by run id. */
  readonly pods: readonly { readonly run: string; readonly name: string }[];
  readonly ledger: readonly LedgerLine[];
  /** Files with one name per effect: made once per key. */
  readonly effects: ReadonlyMap<string, number>;
  /** Results that runners were told are recorded. */
  readonly recorded: readonly Omit<LedgerLine, 'key'>[];
  /** Runs that a caller was told are accepted, with the phase they have to end in. */
  readonly accepted: ReadonlyMap<string, string>;
  /** Writes under an epoch that was not current, as a trigger in the database saw them. */
  readonly staleWrites: readonly string[];
  /** NATS lost its memory meanwhile: a dispatch whose publishing was in doubt may then have come to two runners. */
  readonly natsLost: boolean;
  /** Final phases that were seen before, by run: they never change. */
  readonly seenFinal: ReadonlyMap<string, string>;
}

const FINAL = new Set(['Succeeded', 'Failed', 'Cancelled']);
const OVER = new Set(['Succeeded', 'Failed', 'Skipped', 'Omitted', 'Cancelled']);

/** All that is wrong. */
export function violations(world: World): readonly string[] {
  return [
    ...attemptsRise(world), ...finalStays(world), ...effectsOnce(world), ...allEnd(world), ...nothingOrphaned(world), ...acceptedKept(world),
    ...recordedKept(world), ...projected(world), ...historyOnce(world), ...world.staleWrites.map((text) => `I10 written under a stale epoch: ${text}`),
  ];
}

/** I1: attempts of a place are numbered without gaps, one at most succeeds, and it is the last. */
function attemptsRise({ nodes, attempts }: World): readonly string[] {
  const places = Map.groupBy(attempts, (a) => `${a.run}/${a.node}/${a.item}`);
  return nodes.flatMap((node) => {
    const own = places.get(`${node.run}/${node.node}/${node.item}`) ?? [];
    const numbers = own.map((a) => a.attempt).sort((a, b) => a - b);
    const where = `${node.node}[${node.item}] of ${node.run}`;
    const out: string[] = [];
    if (numbers.some((n, i) => n !== i + 1)) out.push(`I1 attempts of ${where} are ${numbers.join(', ')}`);
    const good = own.filter((a) => a.status === 'Succeeded');
    if (good.length > 1) out.push(`I1 ${where} succeeded ${good.length} times`);
    if (good.length === 1 && good[0]?.attempt !== node.attempt) out.push(`I1 ${where} stands at attempt ${node.attempt}, but ${good[0]?.attempt ?? 0} succeeded`);
    return out;
  });
}

/** I2: what has ended stays as it ended, in rows and objects. */
function finalStays({ runs, nodes, seenFinal }: World): readonly string[] {
  const changed = runs.filter((run) => seenFinal.has(run.id) && seenFinal.get(run.id) !== run.phase).map((run) => `I2 run ${run.id} was ${seenFinal.get(run.id) ?? ''} and is ${run.phase}`);
  const over = new Set(runs.filter((run) => FINAL.has(run.phase)).map((run) => run.id));
  const open = nodes.filter((node) => over.has(node.run) && !OVER.has(node.status)).map((node) => `I2 run ${node.run} has ended, its node ${node.node}[${node.item}] is ${node.status}`);
  return [...changed, ...open];
}

/** I3: one effect per key, made by at least one attempt; and no attempt ran twice, as long as the stream kept its memory. */
function effectsOnce({ ledger, effects, natsLost }: World): readonly string[] {
  const out = [...effects].filter(([, n]) => n !== 1).map(([key, n]) => `I3 effect ${key} happened ${n} times`);
  for (const [place, lines] of Map.groupBy(ledger, (l) => `${l.run}/${l.node}/${l.item}/${l.attempt}`)) {
    if (lines.length > 1 && !natsLost) out.push(`I3 attempt ${place} ran ${lines.length} times`);
  }
  for (const [place, lines] of Map.groupBy(ledger, (l) => `${l.run}/${l.node}/${l.item}`)) {
    if (new Set(lines.map((l) => l.key)).size > 1) out.push(`I3 the key of ${place} changed between attempts`);
  }
  return out;
}

/** I4: every accepted run ends, and as it has to. */
function allEnd({ runs, accepted }: World): readonly string[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  return [...accepted].flatMap(([id, expected]) => {
    const phase = byId.get(id)?.phase;
    return phase === undefined || phase === expected ? [] : [`I4 run ${id} (${byId.get(id)?.name ?? ''}) is ${phase}, it has to end ${expected}`];
  });
}

/** I5: no pod of an attempt outlives its run. */
function nothingOrphaned({ runs, pods }: World): readonly string[] {
  const live = new Set(runs.filter((run) => !FINAL.has(run.phase)).map((run) => run.id));
  return pods.filter((pod) => !live.has(pod.run)).map((pod) => `I5 pod ${pod.name} is left over from run ${pod.run}`);
}

/** I6: what was accepted has its row. */
function acceptedKept({ runs, accepted }: World): readonly string[] {
  const known = new Set(runs.map((run) => run.id));
  return [...accepted.keys()].filter((id) => !known.has(id)).map((id) => `I6 run ${id} was accepted and is not there`);
}

/** I6, I7: what a runner was told is recorded is there, and did not become a lost attempt. */
function recordedKept({ attempts, recorded }: World): readonly string[] {
  const known = new Map(attempts.map((a) => [`${a.run}/${a.node}/${a.item}/${a.attempt}`, a]));
  return recorded.flatMap((r) => {
    const place = `${r.run}/${r.node}/${r.item}/${r.attempt}`;
    const row = known.get(place);
    if (row === undefined) return [`I6 the result of ${place} was acknowledged and is not there`];
    return row.reason === 'RunnerLost' ? [`I6 the result of ${place} was acknowledged and then counted as lost`] : [];
  });
}

/** I7: the outbox is empty; the status of an object is what the rows say. */
function projected({ runs, objects, outbox }: World): readonly string[] {
  const out = outbox === 0 ? [] : [`I7 ${outbox} rows are left in the outbox`];
  const byUid = new Map(objects.map((object) => [object.uid, object]));
  for (const run of runs.filter((r) => r.source === 'cr')) {
    const object = byUid.get(run.id);
    if (object === undefined) continue;
    if (object.phase !== run.phase) out.push(`I7 WorkflowRun ${run.name} says ${object.phase ?? 'nothing'}, its row ${run.phase}`);
    else if (object.progress !== `${run.done}/${run.total}`) out.push(`I7 WorkflowRun ${run.name} says ${object.progress ?? 'nothing'}, its row ${run.done}/${run.total}`);
  }
  return out;
}

/** No transition is recorded twice: history has no gaps, and one end per attempt and per run. */
function historyOnce({ events }: World): readonly string[] {
  const out: string[] = [];
  for (const [run, own] of Map.groupBy(events, (e) => e.run)) {
    const seqs = own.map((e) => e.seq).sort((a, b) => a - b);
    if (seqs.some((seq, i) => seq !== i + 1)) out.push(`I1 the history of ${run} has gaps or repeats: ${seqs.join(', ')}`);
    for (const [what, same] of Map.groupBy(own.filter((e) => /^(Node|Attempt)(Succeeded|Failed)$|^Run(Succeeded|Failed|Cancelled)$/.test(e.kind)), (e) => `${e.kind} ${e.node ?? ''}[${e.item ?? ''}] ${e.attempt ?? ''}`)) {
      if (same.length > 1) out.push(`I1 ${what} of ${run} is recorded ${same.length} times`);
    }
  }
  return out;
}
