import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';

/** A rule of a role, as Kubernetes has it. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** What one account may do: in every watched namespace, in the cluster, in its own namespace. */
export interface AccountRules {
  readonly watched?: readonly Rule[];
  readonly cluster?: readonly Rule[];
  readonly own: readonly Rule[];
}

/** Namespace of our accounts. */
export const SYSTEM_NAMESPACE = 'rambo-system';

/** Every permission of our accounts, as the chart gives them. */
export function accountRules(): Readonly<Record<'controller' | 'api' | 'modelgateway' | 'setup', AccountRules>> {
  const file = path.join(fileURLToPath(new URL('../..', import.meta.url)), 'charts/rambo/files/rbac.yaml');
  const rules: ReturnType<typeof accountRules> = parse(readFileSync(file, 'utf8'));
  return rules;
}

/** Namespace, accounts and roles of the processes: least privilege is used every day, and it is that of the chart. */
export function accountsYaml(): string {
  const rules = accountRules();
  const manifests = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM_NAMESPACE } },
    ...(['controller', 'api', 'modelgateway'] as const).flatMap((component) => account(`rambo-${component}`, rules[component])),
  ];
  return manifests.map((manifest) => stringify(manifest)).join('---\n');
}

function account(name: string, { watched = [], cluster = [], own }: AccountRules): readonly object[] {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const subjects = [{ kind: 'ServiceAccount', name, namespace: SYSTEM_NAMESPACE }];
  const local = { name: `${name}-own`, namespace: SYSTEM_NAMESPACE };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: SYSTEM_NAMESPACE }, automountServiceAccountToken: false },
    { apiVersion, kind: 'ClusterRole', metadata: { name }, rules: [...cluster, ...watched] },
    { apiVersion, kind: 'ClusterRoleBinding', metadata: { name }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name }, subjects },
    { apiVersion, kind: 'Role', metadata: local, rules: own },
    { apiVersion, kind: 'RoleBinding', metadata: local, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: local.name }, subjects },
  ];
}
