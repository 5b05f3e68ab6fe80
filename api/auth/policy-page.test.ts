import { readFileSync } from 'node:fs';
import { INSTALLATION_RESOURCES, MEMBER_ROLES, NAMESPACE_RESOURCES, PROJECT_RESOURCES, TOKEN_SCOPES, USER_RESOURCES, USER_ROLES, VERBS } from '../ports.ts';
import type { Verb } from '../ports.ts';
import { INSTALLATION_RIGHTS, OWN_RIGHTS, PROJECT_RIGHTS, SCOPE_VERBS } from './policy.ts';
import type { PlaceResource, PlaceRole } from './policy.ts';

/* docs/authentication.md says what the tables say: on a failure copy what is expected here into the page. */

const page = readFileSync(new URL('../../docs/authentication.md', import.meta.url), 'utf8');

function words(verbs: readonly Verb[]): string {
  if (verbs.length === 0) return '-';
  if (verbs.length === VERBS.length) return 'all';
  const reads = (['get', 'list', 'watch'] as const).every((verb) => verbs.includes(verb));
  return [...(reads ? ['read'] : []), ...verbs.filter((verb) => !reads || !['get', 'list', 'watch'].includes(verb))].join(', ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

test('rights in a project', () => {
  const roles: readonly PlaceRole[] = ['OWNER', ...MEMBER_ROLES];
  const resources: readonly PlaceResource[] = [...new Set<PlaceResource>([...PROJECT_RESOURCES, ...NAMESPACE_RESOURCES])];
  expect(page).toContain(table(['', ...roles], resources.map((what) => [`\`${what}\``, ...roles.map((role) => words(PROJECT_RIGHTS[role][what]))])));
});
test('rights over one\'s own', () => {
  expect(page).toContain(table(['', ...USER_ROLES], USER_RESOURCES.map((what) => [`\`${what}\``, ...USER_ROLES.map((role) => words(OWN_RIGHTS[role][what]))])));
});
test('rights over the installation', () => {
  expect(page).toContain(table(['', ...USER_ROLES], INSTALLATION_RESOURCES.map((what) => [`\`${what}\``, ...USER_ROLES.map((role) => words(INSTALLATION_RIGHTS[role][what]))])));
});
test('scopes', () => {
  expect(page).toContain(table(['scope', 'runs', 'everything else'], TOKEN_SCOPES.map((scope) => [`\`${scope}\``, words(SCOPE_VERBS[scope].runs), words(SCOPE_VERBS[scope].rest)])));
});
