import { REASONS } from '../../crds/conditions.ts';
import type { DiscoveredTool, KnownTools } from '../../crds/agent-revision.ts';
import { specHash } from '../../crds/canonical.ts';
import { ANNOTATIONS } from '../../crds/names.ts';
import { toolServerUrl, type ToolServerSpec } from '../../crds/tool-server.ts';
import { operationsOf, takeIn } from '../../engine/index.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { Asks, Standing } from './asks.ts';
import type { Trouble } from './conditions.ts';
import { mirrorFacts, sameStatus, statusPatch, type MirrorFacts, type ToolServerObject } from './definition.ts';
import { Deletions } from './deletions.ts';
import { egressProblem } from './stdio.ts';
import { toolServerStatus, toolTroubles } from './tool-server-status.ts';
import { troubleOf } from './troubles.ts';

/** What is known of a server's tools, and since when. */
export interface Discovery {
  readonly uid: string;
  readonly known: KnownTools;
  readonly discoveryHash: string;
  readonly acceptedHash: string | undefined;
  readonly discoveredAt: number;
}

/** What ToolServers need. */
export interface ToolServerParts {
  readonly clock: Clock;
  readonly cached: (key: string) => ToolServerObject | undefined;
  readonly owns: () => boolean;
  readonly asks: Asks;
  readonly store: {
    upsert(mirror: MirrorFacts, discovery: Discovery | undefined): Promise<void>;
    /** What the mirror knows of the tools of exactly that object. */
    discovery(namespace: string, name: string, uid: string): Promise<Discovery | undefined>;
    remove(namespace: string, name: string, uid: string): Promise<void>;
  };
  readonly patchStatus: (object: ToolServerObject, patch: unknown) => Promise<void>;
  /** Brings the Deployment of a server over stdio to what its spec says, and away where it has none; says what is wrong with it. */
  readonly deploy: (object: ToolServerObject) => Promise<string | undefined>;
  readonly changed: (namespace: string, name: string) => void;
}

/** Mirrors ToolServers, finds their tools and says what they are in their status. Keys are `namespace/name`. */
export class ToolServers {
  readonly #p: ToolServerParts;
  readonly #deletions: Deletions;
  readonly #found = new Map<string, Discovery>();

  constructor(parts: ToolServerParts) {
    this.#p = parts;
    this.#deletions = new Deletions(parts.store.remove);
  }

  /** What is known of the tools of a server; undefined before they were found, or while another replica looks. */
  discovery(key: string): Discovery | undefined {
    return this.#found.get(key);
  }

  /** The watch showed a deletion: the next pass removes the mirror of that object. What it owns goes with it. */
  deleted(key: string, uid: string): void {
    this.#deletions.add(key, uid);
  }

  /** Another replica acts from now on. */
  forget(): void {
    this.#p.asks.forget();
    this.#found.clear();
  }

  /** One pass over one ToolServer. Writes only what differs. */
  async reconcile(key: string): Promise<'done' | { readonly afterMs: number; readonly reason: string }> {
    if (!this.#p.owns()) return 'done';
    const object = this.#p.cached(key);
    await this.#deletions.carryOut(key);
    if (object === undefined) {
      this.#p.asks.forget(key);
      this.#found.delete(key);
      return 'done';
    }
    const before = await this.#load(key, object);
    const refused = specTroubles(object);
    if (object.spec === undefined || refused.length > 0) {
      await this.#write(object, refused, before);
      return 'done';
    }
    const down = await this.#p.deploy(object);
    const standing = await this.#p.asks.look(key, object, questionOf(object), () => this.#p.store.upsert(mirrorFacts(object, object.status ?? {}), before));
    const discovery = this.#takeIn(object, object.spec, standing, before);
    if (discovery !== undefined) this.#found.set(key, discovery);
    await this.#write(object, [...answerTroubles(standing, object.spec, down), ...toolTroubles(object.spec, discovery)], discovery, standing);
    if (discovery?.discoveryHash !== before?.discoveryHash || discovery?.acceptedHash !== before?.acceptedHash) this.#p.changed(object.namespace, object.name);
    return { afterMs: standing.waitMs, reason: 'Discovery' };
  }

  async #load(key: string, object: ToolServerObject): Promise<Discovery | undefined> {
    const held = this.#found.get(key);
    if (held?.uid === object.uid) return held;
    const stored = await this.#p.store.discovery(object.namespace, object.name, object.uid);
    if (stored === undefined) this.#found.delete(key);
    else this.#found.set(key, stored);
    return stored;
  }

  /** What is known after the last answer. The last good discovery stays while a server does not answer. */
  #takeIn(object: ToolServerObject, spec: ToolServerSpec, standing: Standing, before: Discovery | undefined): Discovery | undefined {
    const offered = offeredBy(spec, standing, before);
    if (offered === undefined) return before;
    const place = placeOf(object, spec);
    // What its owner writes into the spec is accepted by that.
    const taken = takeIn(offered, spec, acceptedAt(place, before), spec.http === undefined ? object.annotations[ANNOTATIONS.acceptSchemas] : 'any');
    const protocol = standing.answer?.ok === true ? standing.answer.protocol : undefined;
    const known: KnownTools = { tools: taken.tools, accepted: taken.accepted, place, ...(protocol === undefined ? {} : { protocol }) };
    const stopped = taken.tools.some((tool) => tool.refused?.reason === 'ToolChanged');
    const made: Discovery = { uid: object.uid, known, discoveryHash: taken.discoveryHash, acceptedHash: stopped ? before?.acceptedHash : taken.discoveryHash, discoveredAt: this.#p.clock.now() };
    return before !== undefined && says(before) === says(made) ? before : made;
  }

  async #write(object: ToolServerObject, troubles: readonly Trouble[], discovery: Discovery | undefined, standing?: Standing): Promise<void> {
    const status = toolServerStatus(object, troubles, discovery, standing, this.#p.clock.now());
    const same = sameStatus(object.status, status, ['discoveredAt']);
    await this.#p.store.upsert(mirrorFacts(object, same ? object.status ?? status : status), discovery);
    if (same) return;
    await this.#p.patchStatus(object, statusPatch(object.status, status));
    this.#p.changed(object.namespace, object.name);
  }
}

/** What a server offers by a new answer; undefined while there is none and what is known stays. */
function offeredBy(spec: ToolServerSpec, { answer, fresh }: Standing, before: Discovery | undefined): readonly DiscoveredTool[] | undefined {
  if (spec.http !== undefined) return operationsOf(spec);
  if (answer?.ok !== true || (before !== undefined && !fresh)) return undefined;
  return answer.tools ?? [];
}

/** Where the tools are found. Operations over HTTP are the spec itself, wherever its base is. */
function placeOf(object: ToolServerObject, spec: ToolServerSpec): string {
  return specHash(spec.http === undefined ? [toolServerUrl(object.namespace, object.name, spec), spec.mcp?.stdio ?? null] : object.uid);
}

/** What was accepted of the tools at that place. A server its owner moved is another one. */
function acceptedAt(place: string, before: Discovery | undefined): Readonly<Record<string, string>> {
  if (before === undefined || (before.known.place !== undefined && before.known.place !== place)) return {};
  return before.known.accepted;
}

function says({ known, discoveryHash, acceptedHash }: Discovery): string {
  return specHash([known, discoveryHash, acceptedHash ?? '']);
}

/** What in the spec itself keeps it from being used. */
function specTroubles({ spec, problem }: ToolServerObject): readonly Trouble[] {
  if (spec === undefined) return [{ about: 'Accepted', reason: REASONS.invalid, message: problem ?? 'the object cannot be read' }];
  const closed = spec.mcp?.stdio === undefined ? undefined : egressProblem(spec.egress ?? []);
  if (closed !== undefined) return [{ about: 'Accepted', reason: REASONS.invalid, message: closed }];
  const field = spec.auth?.perUser === undefined ? (spec.auth?.tokenExchange === undefined ? undefined : 'auth.tokenExchange') : 'auth.perUser';
  if (field === undefined) return [];
  return [{ about: 'Accepted', reason: REASONS.unsupportedField, message: `${field}: this release does not run it yet; ignoring it would call the tools as nobody` }];
}

/** What the gateway could not do. Operations over HTTP that need no credentials need no gateway to be known. */
function answerTroubles(standing: Standing, spec: ToolServerSpec, down: string | undefined): readonly Trouble[] {
  const trouble = troubleOf(standing);
  if (trouble === undefined || (trouble.unknown === true && spec.http !== undefined && standing.silent)) return [];
  return [down === undefined ? trouble : { ...trouble, message: `${trouble.message}; ${down}` }];
}

/** What the gateway is asked about: another version of the spec, an acceptance, or somebody who wishes a fresh look. */
function questionOf({ uid, generation, annotations }: ToolServerObject): string {
  return JSON.stringify([uid, generation, annotations[ANNOTATIONS.acceptSchemas], annotations[ANNOTATIONS.refresh]]);
}
