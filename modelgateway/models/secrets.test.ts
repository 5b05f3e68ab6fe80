import { ManualClock } from '../../platform/clock/manual.ts';
import { KubeError } from '../../platform/kube/errors.ts';
import { kubeSecrets } from './secrets.ts';

interface Secret { readonly metadata: { readonly labels?: Readonly<Record<string, string>> }; readonly data?: Readonly<Record<string, string>> }
const LABELLED = { labels: { 'rambo.dev/credentials': 'true' } };
const base64 = (text: string): string => Buffer.from(text).toString('base64');

function site(first: Secret | 'missing' | 'away'): { readonly read: (key?: string) => Promise<string>; readonly clock: ManualClock; readonly asked: () => number; now: (secret: Secret | 'missing' | 'away') => void } {
  const clock = new ManualClock();
  let secret = first;
  let asked = 0;
  const secrets = kubeSecrets({ json: async ({ path }) => {
    asked += 1;
    expect(path).toBe('/api/v1/namespaces/team-a/secrets/key%2F..');
    if (secret === 'missing') throw new KubeError(404, 'NotFound', 'not found');
    if (secret === 'away') throw new Error('ECONNREFUSED');
    return secret;
  } }, clock);
  return { clock, asked: () => asked, now: (next) => { secret = next; }, read: (key) => secrets.read('team-a', 'key/..', key) };
}

test('a labelled Secret gives its key, without the line break that files end with', async () => {
  const { read } = site({ metadata: LABELLED, data: { apiKey: base64('sk-1\n'), other: base64('sk-2') } });
  expect([await read(), await read('other')]).toEqual(['sk-1', 'sk-2']);
});

test.each<[string, Secret]>([
  ['no labels', { metadata: {}, data: { apiKey: base64('sk-1') } }], ['another label', { metadata: { labels: { 'rambo.dev/other': 'true' } }, data: { apiKey: base64('sk-1') } }],
  ['the label with another value', { metadata: { labels: { 'rambo.dev/credentials': 'yes' } }, data: { apiKey: base64('sk-1') } }], ['the label, written otherwise', { metadata: { labels: { 'rambo.dev/credentials': 'True' } }, data: { apiKey: base64('sk-1') } }],
])('%s: it is not given out, and its value is in no message', async (_, secret) => {
  const error: unknown = await site(secret).read().catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'SecretNotLabelled' });
  expect(String(error)).not.toMatch(/sk-1|c2stMQ/);
});

test('a key that is missing, a Secret that is', async () => {
  await expect(site({ metadata: LABELLED, data: {} }).read()).rejects.toMatchObject({ code: 'SecretMissing', message: expect.stringContaining('has no key "apiKey"') });
  await expect(site({ metadata: LABELLED }).read('other')).rejects.toMatchObject({ code: 'SecretMissing', message: expect.stringContaining('has no key "other"') });
  await expect(site('missing').read()).rejects.toMatchObject({ code: 'SecretMissing', message: expect.stringContaining('there is no Secret') });
});

test('it is known for a minute: a changed key, and a label taken away, count then', async () => {
  const s = site({ metadata: LABELLED, data: { apiKey: base64('old') } });
  await s.read();
  s.now({ metadata: {}, data: { apiKey: base64('new') } });
  s.clock.advance(59_000);
  expect([await s.read(), s.asked()]).toEqual(['old', 1]);
  s.clock.advance(1_001);
  await expect(s.read()).rejects.toMatchObject({ code: 'SecretNotLabelled' });
});

test('one that is missing is looked for again soon; an API server that is away at once', async () => {
  const s = site('missing');
  await expect(s.read()).rejects.toMatchObject({ code: 'SecretMissing' });
  s.now({ metadata: LABELLED, data: { apiKey: base64('here') } });
  await expect(s.read()).rejects.toMatchObject({ code: 'SecretMissing' });
  s.clock.advance(5_001);
  expect(await s.read()).toBe('here');
  const away = site('away');
  await expect(away.read()).rejects.toMatchObject({ code: 'Unavailable' });
  away.now({ metadata: LABELLED, data: { apiKey: base64('back') } });
  expect(await away.read()).toBe('back');
});
