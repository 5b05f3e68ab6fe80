import type { RunnerSpec } from '../../crds/node.ts';

/** A volume as a node may ask for it. */
export type NodeVolume = NonNullable<RunnerSpec['volumes']>[number];

/** The volume of a pod: one of four kinds, none of which can reach the host; an emptyDir where none is named. */
export function podVolume(volume: NodeVolume): Readonly<Record<string, unknown>> {
  const { name, emptyDir, configMap, secret, persistentVolumeClaim } = volume;
  if (configMap !== undefined) return { name, configMap };
  if (secret !== undefined) return { name, secret };
  if (persistentVolumeClaim !== undefined) return { name, persistentVolumeClaim };
  return { name, emptyDir: emptyDir ?? {} };
}

/** Where a volume appears in the container. */
export function podMount(volume: NodeVolume): Readonly<Record<string, unknown>> {
  const { name, mountPath, readOnly } = volume;
  return { name, mountPath, ...(readOnly === undefined ? {} : { readOnly }) };
}
