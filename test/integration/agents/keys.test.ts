import { agentKeyOf } from '../../../platform/agent-token/index.ts';
import { keepAgentKey, readAgentKey } from '../../../prisma/store/index.ts';
import { AgentSite, type RunningGateway } from './site.ts';

/** A controller that comes back with another seed of the NATS account, and so with another key to sign the tokens of agents with. */

let site: AgentSite;
let gateway: RunningGateway;
beforeAll(async () => {
  site = await AgentSite.start();
  await site.addModel('main');
  gateway = await site.gateway();
});
afterAll(() => site.stop());

const OTHER = agentKeyOf('SAANOTHERSEED');

test('attempts of the old key go on, those of the new one are believed as soon as it is known, without a restart of the gateway', async () => {
  const first = await site.agent(gateway, [{ text: 'one' }, { text: 'two' }]);
  expect(await first.open()).toMatchObject({ status: 200 });
  const second = await first.next(OTHER);
  // A key that nobody has written down signs for nobody, and being asked for it does not keep it out for long.
  expect(await second.open()).toMatchObject({ status: 401, body: { error: { code: 'Unauthenticated' } } });
  expect(await first.ask(1)).toMatchObject({ status: 200 });
  await keepAgentKey(site.db, OTHER.kid, JSON.stringify(OTHER.publicKey));
  await site.until('the new key to be believed', async () => (await second.open()).status === 200);
  expect(await site.row(first.agentRun)).toMatchObject({ epoch: 2, step: 1 });
  // The old key is still good; its attempt is not the newest any more.
  expect(await first.ask(2)).toMatchObject({ status: 409, body: { error: { code: 'Fenced' } } });
  const third = await second.next();
  expect(await third.open()).toMatchObject({ status: 200, body: { state: { step: 1 } } });
});

test('what is written down for a kid stays: nobody replaces a key by one of their own', async () => {
  await keepAgentKey(site.db, OTHER.kid, JSON.stringify(OTHER.publicKey));
  const evil = agentKeyOf('SAANEVILSEED');
  await keepAgentKey(site.db, OTHER.kid, JSON.stringify(evil.publicKey));
  expect(JSON.parse(await readAgentKey(site.db, OTHER.kid) ?? '')).toEqual(OTHER.publicKey);
  const forged = await site.attempt(gateway, { inline: { modelRef: { name: 'main' } } }, { key: { ...evil, kid: OTHER.kid } });
  expect(await forged.open()).toMatchObject({ status: 401 });
});
