import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DEMO_ACCOUNTS, DEMO_PROJECT, signIn } from './auth-accounts.ts';
import { type Call, print, restOf, until } from './demo-tools.ts';
import { ROOT, type StackAddresses } from './stack.ts';

/* What people do with the gateway: sign in, own a project, start runs for its tasks, bring what they had in the prototype. */

interface Thing { readonly id: string; readonly version: number; readonly namespace?: string | null; readonly phase?: string }
interface Imported { readonly id: string; readonly status: string; readonly created: number; readonly updated: number; readonly unchanged: number; readonly keptRaw: number; readonly preferences: number }
interface List<T> { readonly items: readonly T[] }

/** Goes through it on the running stack, prints each step, and returns whether all went as it should. A second time finds what the first one made. */
export async function demoGateway(stack: StackAddresses, say: (line: string) => void): Promise<boolean> {
  const [admin, manager] = await Promise.all(['ADMIN', 'MANAGER'].map((role) => door(stack, role)));
  if (admin === undefined || manager === undefined) return false;
  say('signed in as manager@rambo.example, and as admin@rambo.example with a second factor');
  const known = (await manager<List<Thing>>('GET', '/projects?first=100')).items.find(({ namespace }) => namespace === 'default');
  const project = known ?? await manager<Thing>('POST', '/projects', { name: 'Demo', description: 'Made by make demo' });
  const bound = project.namespace != null ? project : await admin<Thing>('PUT', `/projects/${project.id}/namespace`, { version: project.version, namespace: 'default' });
  print(`project Demo ${project.id}, bound to namespace ${bound.namespace ?? ''} by the administrator`);
  const task = await manager<Thing>('POST', `/projects/${project.id}/tasks`, { title: 'Say hello', assignedTo: 'hello' });
  const run = await manager<Thing>('POST', `/tasks/${task.id}/runs`, { workflow: 'hello', input: { name: 'Ada' } });
  const ended = await until(() => manager<Thing>('GET', `/runs/${run.id}`), ({ phase }) => ['Succeeded', 'Failed', 'Cancelled'].includes(phase ?? ''));
  print(`task "Say hello" started workflow hello: ${ended.phase ?? ''}`);
  const document = readFileSync(path.join(ROOT, 'examples/prototype/export.json'), 'utf8');
  const begun = await manager<Imported>('POST', '/imports', { export: JSON.parse(document) });
  const done = await until(() => manager<Imported>('GET', `/imports/${begun.id}`), ({ status }) => status !== 'RUNNING');
  print(`imported examples/prototype/export.json: ${done.created} made, ${done.updated + done.unchanged} known from before, ${done.preferences} preference, ${done.keptRaw} kept as it was`);
  const { items: entries } = await admin<List<{ readonly operation: string; readonly outcome: string }>>('GET', '/audit?first=3');
  print(`the audit ends with ${entries.map(({ operation, outcome }) => `${operation} ${outcome}`).join(', ')}`);
  const stranger = await door(stack, 'VIEWER');
  const refused = await stranger?.('GET', `/projects/${project.id}`).then(() => 'it was shown', (error: unknown) => String(error));
  print(`viewer@rambo.example asks for the project: ${refused ?? ''}`);
  return ended.phase === 'Succeeded' && done.status === 'DONE' && refused?.includes('NOT_FOUND') === true;
}

/** REST as a signed-in demo account; undefined where there is none. */
async function door(stack: StackAddresses, role: string): Promise<Call | undefined> {
  const account = DEMO_ACCOUNTS.find((one) => one.role === role);
  if (account === undefined || stack.authEmulator === '') return undefined;
  const { idToken } = await signIn(stack.authEmulator, DEMO_PROJECT, account);
  return restOf(stack.apiUrl, idToken);
}
