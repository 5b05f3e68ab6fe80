import type { KubeletCluster } from '../../hack/e2e/cluster.ts';

declare global {
  var ramboE2eCluster: { readonly cluster: KubeletCluster; readonly dir: string } | undefined;
}

/** Remembers the cluster that set-up started. jest loads set-up and teardown apart: only the process is common to both. */
export function keepCluster(cluster: KubeletCluster, dir: string): void {
  globalThis.ramboE2eCluster = { cluster, dir };
}

/** The cluster that set-up started, once; none where one was there before. */
export function takeCluster(): { readonly cluster: KubeletCluster; readonly dir: string } | undefined {
  const kept = globalThis.ramboE2eCluster;
  globalThis.ramboE2eCluster = undefined;
  return kept;
}
