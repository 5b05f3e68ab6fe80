import { KubeError } from '../../platform/kube/errors.ts';
import { tokenOf, type TokenServer } from './kube-token.ts';

/** An API server of whoever calls, that gives or refuses. */
function server(username: string, give: () => unknown = () => ({ status: { token: 'the token' } })): TokenServer & { readonly asked: { readonly path: string; readonly body: unknown }[] } {
  const asked: { readonly path: string; readonly body: unknown }[] = [];
  return { asked, json: async ({ path, body }) => {
    asked.push({ path, body });
    return path.endsWith('/selfsubjectreviews') ? { status: { userInfo: { username } } } : give();
  } };
}

test('of the service account that the kubeconfig is of: for the audience alone, ten minutes', async () => {
  const asked = server('system:serviceaccount:team-a:robot');
  expect(await tokenOf(asked, 'rambo', undefined)).toBe('the token');
  expect(asked.asked[1]).toEqual({
    path: '/api/v1/namespaces/team-a/serviceaccounts/robot/token',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['rambo'], expirationSeconds: 600 } },
  });
});

test('of the one that is named, without asking who calls', async () => {
  const asked = server('ada');
  await tokenOf(asked, 'other', 'team-b/robot');
  expect(asked.asked.map(({ path }) => path)).toEqual(['/api/v1/namespaces/team-b/serviceaccounts/robot/token']);
});

test.each(['ada', 'system:node:x', 'system:serviceaccount:a/../b:c', 'system:serviceaccount:a:b/../c', ''])('%j is no service account: told what to do', async (username) => {
  await expect(tokenOf(server(username), 'rambo', undefined)).rejects.toMatchObject({ code: 'Usage', message: expect.stringContaining('--service-account') as string });
});

test.each(['robot', 'a/b/c', '../a/b', 'a/', '/b', 'A/b', 'a/b?x=1'])('%j names none', async (named) => {
  await expect(tokenOf(server('ada'), 'rambo', named)).rejects.toMatchObject({ code: 'Usage' });
});

test('refused is told with the right that is missing; what else goes wrong is told as it is', async () => {
  const refuse = (status: number) => server('ada', () => { throw new KubeError(status, 'Forbidden', 'no'); });
  await expect(tokenOf(refuse(403), 'rambo', 'a/b')).rejects.toMatchObject({ code: 'Forbidden', message: expect.stringContaining('create serviceaccounts/token') as string });
  await expect(tokenOf(refuse(404), 'rambo', 'a/b')).rejects.toMatchObject({ status: 404 });
});
