import type { KubeClient } from '../../platform/kube/client.ts';
import { isAlreadyExists } from '../../platform/kube/errors.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { crPath, KINDS, objectSchema, type AnyObject, type Plural } from '../io/cluster.ts';
import { plural as pluralText, type Io } from '../io/io.ts';
import { linesOf, type Backup } from './read.ts';

/**
 * Kinds that are created anew. Not WorkflowRuns: a run is bound to the uid of its object, a new object would be a new run
 * and would do everything again.
 */
const RECREATED: readonly Plural[] = ['workflows', 'runnerpools', 'models', 'toolservers', 'agents'];

/** Creates the definitions of a backup that the API server lacks. What is there already stays as it is; what is refused is named, and the rest goes on. */
export async function recreate(io: Io, cluster: KubeClient, backup: Backup): Promise<void> {
  const { objects } = backup.manifest;
  if ('skipped' in objects) {
    io.say(`no objects are created: the backup has none (${objects.skipped})`);
    return;
  }
  for (const kind of RECREATED) {
    const file = objects.find((entry) => entry.kind === KINDS[kind]);
    if (file === undefined) continue;
    const counts = { created: 0, kept: 0, refused: 0 };
    for await (const line of linesOf(backup.open(file))) {
      if (line !== '') counts[await create(io, cluster, kind, objectSchema.parse(JSON.parse(line)))]++;
    }
    io.say(`${KINDS[kind]}: ${pluralText(counts.created, 'object')} created, ${counts.kept} were there, ${counts.refused} refused`);
  }
}

async function create(io: Io, cluster: KubeClient, kind: Plural, object: AnyObject): Promise<'created' | 'kept' | 'refused'> {
  const { name, namespace } = object.metadata;
  try {
    await cluster.json({ verb: 'create', resource: kind, path: crPath(kind, namespace), query: { fieldManager: 'rambo-restore' }, body: fresh(object) });
    return 'created';
  } catch (error) {
    if (isAlreadyExists(error)) return 'kept';
    io.say(`  ${KINDS[kind]} ${namespace ?? ''}/${name} was refused: ${errorMessage(error)}`);
    return 'refused';
  }
}

/** The object as a person would have applied it: what the API server gave it is left out. */
export function fresh(object: AnyObject): AnyObject {
  const { status: _, metadata, ...rest } = object;
  const { name, namespace } = metadata;
  const kept = Object.fromEntries(['labels', 'annotations'].filter((key) => metadata[key] !== undefined).map((key) => [key, metadata[key]]));
  return { ...rest, metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...kept } };
}
