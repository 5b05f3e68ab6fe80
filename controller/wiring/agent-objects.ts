import { agentStatusSchema } from '../../crds/agent.ts';
import { modelStatusSchema } from '../../crds/model.ts';
import { parseAgent, parseModel, parseToolServer, type CustomResource, type Parsed } from '../../crds/parse.ts';
import type { DeepReadonly } from '../../crds/readonly.ts';
import { toolServerStatusSchema } from '../../crds/tool-server.ts';
import type { z } from 'zod';
import type { AgentObject, Definition, ModelObject, ToolServerObject } from '../agent/definition.ts';
import type { KubeObject } from '../runtime/reflector.ts';
import { problemText } from './objects.ts';

/** Cached Agents, Models and ToolServers as their room wants them: parsed at the door, once per version. */

function definitions<Spec, Status extends z.ZodType>(parse: (object: unknown) => Parsed<CustomResource<Spec, unknown>>, statusSchema: Status): (object: KubeObject | undefined) => Definition<Spec, DeepReadonly<z.output<Status>>> | undefined {
  const known = new WeakMap<KubeObject, Definition<Spec, DeepReadonly<z.output<Status>>> | undefined>();
  const read = (object: KubeObject): Definition<Spec, DeepReadonly<z.output<Status>>> | undefined => {
    const parsed = parse(object);
    const metadata = parsed.ok ? parsed.value.metadata : parsed.metadata;
    if (metadata === undefined) return undefined;
    // Read apart: a status that seems to be missing would be written again with each look at an unreadable definition.
    const status = statusSchema.safeParse(object['status']);
    return {
      namespace: metadata.namespace, name: metadata.name, uid: metadata.uid, generation: metadata.generation ?? 1, resourceVersion: metadata.resourceVersion ?? '',
      labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {},
      ...(parsed.ok ? { spec: parsed.value.spec } : { problem: problemText(parsed.problems) }),
      ...(status.success ? { status: status.data as DeepReadonly<z.output<Status>> } : {}),
    };
  };
  return (object) => {
    if (object === undefined) return undefined;
    if (!known.has(object)) known.set(object, read(object));
    return known.get(object);
  };
}

/** An Agent; undefined when not even its metadata can be read. */
export const toAgent: (object: KubeObject | undefined) => AgentObject | undefined = definitions(parseAgent, agentStatusSchema);
/** A Model; undefined when not even its metadata can be read. */
export const toModel: (object: KubeObject | undefined) => ModelObject | undefined = definitions(parseModel, modelStatusSchema);
/** A ToolServer; undefined when not even its metadata can be read. */
export const toToolServer: (object: KubeObject | undefined) => ToolServerObject | undefined = definitions(parseToolServer, toolServerStatusSchema);
