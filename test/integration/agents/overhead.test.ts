import { AgentSite, type RunningGateway } from './site.ts';

/* What the platform adds to a model call: the journal, the budget and the stream. The figures are printed. */

const STEPS = 60;

let site: AgentSite;
let gateway: RunningGateway;
beforeAll(async () => {
  site = await AgentSite.start();
  await site.addModel('main');
  await site.addModel('limited', { limits: { rpm: 100_000, tpm: 1_000_000_000, concurrency: 1_000 } });
  gateway = await site.gateway();
});
afterAll(() => site.stop());

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

interface Timed { readonly first: number; readonly whole: number }

/** Milliseconds until the first piece and until the end of a streamed answer. */
async function timed(ask: () => Promise<Response>): Promise<Timed> {
  const started = performance.now();
  const response = await ask();
  let first: number | undefined;
  for await (const chunk of response.body ?? []) if (first === undefined && Buffer.from(chunk as Uint8Array).includes('"content":"')) first = performance.now() - started;
  return { first: first ?? 0, whole: performance.now() - started };
}

test('what a step costs beyond the bare model call', async () => {
  const turn = { text: 'an answer of some words for the measure', tools: [{ name: 'look', arguments: {} }], chunk: 8, repeat: true } as const;
  const spec = { limits: { maxSteps: 1_000, repeatWindow: 100 } };
  const bare: Timed[] = [];
  const through: Timed[] = [];
  const limited: Timed[] = [];
  const trips: number[] = [];
  const agent = await site.agent(gateway, [{ ...turn, tools: [] }], { spec });
  await agent.open();
  // One agent run per measurement, so that each is a first step; the bare call has the same prompt. In turns, so that the machine's load hits both alike.
  for (let i = 0; i < STEPS; i++) {
    const one = await site.agent(gateway, [{ ...turn, tools: [] }], { spec, node: `n${i}` });
    await one.open();
    through.push(await timed(() => one.stream(1)));
    const body = site.model.calls().at(-1)?.body;
    const other = await site.agent(gateway, [{ ...turn, tools: [] }], { spec: { ...spec, modelRef: { name: 'limited' } }, node: `l${i}` });
    await other.open();
    limited.push(await timed(() => other.stream(1)));
    const asked = performance.now();
    await site.sql('SELECT 1');
    trips.push(performance.now() - asked);
    bare.push(await timed(() => fetch(`${site.model.url}/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })));
  }
  const figures = {
    bare: median(bare.map(({ whole }) => whole)), gateway: median(through.map(({ whole }) => whole)), limited: median(limited.map(({ whole }) => whole)),
    bareFirst: median(bare.map(({ first }) => first)), gatewayFirst: median(through.map(({ first }) => first)),
  };
  const step = figures.gateway - figures.bare;
  const first = figures.gatewayFirst - figures.bareFirst;
  process.stderr.write(`overhead of a step: ${step.toFixed(1)} ms, of the first piece: ${first.toFixed(1)} ms (bare call ${figures.bare.toFixed(1)} ms; one round trip ${median(trips).toFixed(1)} ms; median of ${STEPS}); of a Model with limits ${(figures.limited - figures.gateway).toFixed(1)} ms more\n`);
  // Figures, no gates (aims: 15 ms and 30 ms on a quiet machine). What holds everywhere: each answer came in pieces, the first before the end.
  expect(through.every((one) => one.first > 0 && one.first < one.whole)).toBe(true);
}, 180_000);
