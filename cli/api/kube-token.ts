import { z } from 'zod';
import type { KubeClient } from '../../platform/kube/client.ts';
import { hasStatus } from '../../platform/kube/errors.ts';
import { CliError } from '../errors.ts';

/* A token for the API out of a kubeconfig: asked of the API server for a service account, good for ten minutes and for nothing but the API. */

/** The API server, as far as this needs it. */
export type TokenServer = Pick<KubeClient, 'json'>;

const reviewSchema = z.looseObject({ status: z.looseObject({ userInfo: z.looseObject({ username: z.string().default('') }) }) });
const tokenSchema = z.looseObject({ status: z.looseObject({ token: z.string().min(1) }) });
const ACCOUNT = /^system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})$/;
const NAMED = /^([a-z0-9-]{1,63})\/([a-z0-9.-]{1,253})$/;
/** The shortest that the API server gives. */
const SECONDS = 600;

/**
 * A token for `audience`: of the service account that is named (`namespace/name`), else of the one that the kubeconfig is of. Throws CliError that
 * says what is missing: a person is no service account, and may need the right to `create serviceaccounts/token`.
 */
export async function tokenOf(server: TokenServer, audience: string, account: string | undefined): Promise<string> {
  const [namespace, name] = account === undefined ? await ownAccount(server) : parsed(account);
  const answer = await server.json({
    verb: 'create', resource: 'serviceaccounts', path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [audience], expirationSeconds: SECONDS } },
  }).catch((error: unknown) => {
    if (hasStatus(error, 403)) throw new CliError('Forbidden', `your kubeconfig may not ask for a token of service account ${namespace}/${name}: it needs \`create serviceaccounts/token\` there, or set RAMBO_TOKEN`, { cause: error });
    throw error;
  });
  return tokenSchema.parse(answer).status.token;
}

function parsed(account: string): readonly [string, string] {
  const [, namespace, name] = NAMED.exec(account) ?? [];
  if (namespace === undefined || name === undefined) throw new CliError('Usage', `--service-account: ${JSON.stringify(account)} is no namespace/name`);
  return [namespace, name];
}

async function ownAccount(server: TokenServer): Promise<readonly [string, string]> {
  const answer = await server.json({ verb: 'create', resource: 'selfsubjectreviews', path: '/apis/authentication.k8s.io/v1/selfsubjectreviews', body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' } });
  const { username } = reviewSchema.parse(answer).status.userInfo;
  const [, namespace, name] = ACCOUNT.exec(username) ?? [];
  if (namespace === undefined || name === undefined) {
    throw new CliError('Usage', `your kubeconfig is that of ${username}, and the API takes tokens of service accounts: name one with --service-account namespace/name (RAMBO_SERVICE_ACCOUNT), or set RAMBO_TOKEN`);
  }
  return [namespace, name];
}
