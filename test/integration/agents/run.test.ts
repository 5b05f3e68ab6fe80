import { AgentStack } from './stack-site.ts';

/** Agents as nodes of workflows on a whole stack: controller, runner and model gateway as they are shipped. */

let s: AgentStack;
beforeAll(async () => { s = await AgentStack.start(); }, 1_200_000);
afterAll(() => s.stop());

test('an agent of a workflow answers; every step is in its journal', async () => {
  await s.script('echo', [{ text: 'You are welcome.' }]);
  await s.agent('polite', { modelRef: { name: 'echo' }, instructions: { text: 'Be polite.' } });
  const run = await s.run('polite');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'You are welcome.' } });
  expect(await s.journal(run)).toEqual(['RunStarted', 'ModelRequested', 'ModelCompleted', 'RunCompleted']);
});
