import { CONDITIONS, REASONS, timestamp, type NewCondition } from '../../crds/conditions.ts';
import type { ModelStatus } from '../../crds/model.ts';
import { ANNOTATIONS } from '../../crds/names.ts';
import { cleanText } from '../../engine/index.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { Asks, Standing } from './asks.ts';
import { conditionsOf, type Trouble } from './conditions.ts';
import { mirrorFacts, sameStatus, statusPatch, type MirrorFacts, type ModelObject } from './definition.ts';
import { Deletions } from './deletions.ts';
import { troubleOf } from './troubles.ts';

/** What Models need. */
export interface ModelParts {
  readonly clock: Clock;
  readonly cached: (key: string) => ModelObject | undefined;
  /** Only the owner of the singleton shard writes. */
  readonly owns: () => boolean;
  readonly asks: Asks;
  readonly store: {
    upsert(mirror: MirrorFacts & { readonly probedAt: number | undefined }): Promise<void>;
    remove(namespace: string, name: string, uid: string): Promise<void>;
  };
  readonly patchStatus: (object: ModelObject, patch: unknown) => Promise<void>;
  /** What agents see of it changed. */
  readonly changed: (namespace: string, name: string) => void;
}

/** Names in the status: the first of what a provider lists. */
const SHOWN = 24;

/** Mirrors Models, asks whether they answer, and says so in their conditions. Keys are `namespace/name`. */
export class Models {
  readonly #p: ModelParts;
  readonly #deletions: Deletions;

  constructor(parts: ModelParts) {
    this.#p = parts;
    this.#deletions = new Deletions(parts.store.remove);
  }

  /** The watch showed a deletion: the next pass removes the mirror of that object. */
  deleted(key: string, uid: string): void {
    this.#deletions.add(key, uid);
  }

  /** Another replica acts from now on. */
  forget(): void {
    this.#p.asks.forget();
  }

  /** One pass over one Model. Writes only what differs. */
  async reconcile(key: string): Promise<'done' | { readonly afterMs: number; readonly reason: string }> {
    if (!this.#p.owns()) return 'done';
    const object = this.#p.cached(key);
    await this.#deletions.carryOut(key);
    if (object === undefined) {
      this.#p.asks.forget(key);
      return 'done';
    }
    if (object.spec === undefined) {
      await this.#write(object, [{ about: 'Accepted', reason: REASONS.invalid, message: object.problem ?? 'the object cannot be read' }], undefined);
      return 'done';
    }
    const missing = this.#missing(object);
    const standing = await this.#p.asks.look(key, object, questionOf(object), () => this.#p.store.upsert({ ...mirrorFacts(object, object.status ?? {}), probedAt: undefined }));
    const trouble = troubleOf(standing);
    await this.#write(object, [...missing, ...(trouble === undefined ? [] : [trouble])], standing);
    return { afterMs: standing.waitMs, reason: 'Probe' };
  }

  #missing(object: ModelObject): readonly Trouble[] {
    return (object.spec?.fallback ?? []).filter(({ name }) => this.#p.cached(`${object.namespace}/${name}`) === undefined).map(({ name }): Trouble => ({
      about: 'ResolvedRefs', reason: REASONS.modelNotFound, message: `fallback: there is no Model ${JSON.stringify(name)} in namespace ${object.namespace}`,
    }));
  }

  async #write(object: ModelObject, troubles: readonly Trouble[], standing: Standing | undefined): Promise<void> {
    const status = modelStatus(object, troubles, standing, this.#p.clock.now());
    const same = sameStatus(object.status, status, ['lastProbe']);
    const shown = same ? object.status ?? status : status;
    await this.#p.store.upsert({ ...mirrorFacts(object, shown), probedAt: shown.lastProbe === undefined ? undefined : Date.parse(shown.lastProbe) });
    if (same) return;
    await this.#p.patchStatus(object, statusPatch(object.status, status));
    this.#p.changed(object.namespace, object.name);
  }
}

/** What the gateway is asked about: another version of the spec, or somebody who wishes a fresh look. */
function questionOf({ uid, generation, annotations }: ModelObject): string {
  return JSON.stringify([uid, generation, annotations[ANNOTATIONS.refresh]]);
}

/** The status a Model should have. */
export function modelStatus(object: ModelObject, troubles: readonly Trouble[], standing: Standing | undefined, now: number): ModelStatus {
  const reachable: readonly NewCondition[] = standing === undefined ? [] : [reachability(standing)];
  const conditions = conditionsOf(troubles, { reason: REASONS.answers, message: 'the model answers' }, object.generation, object.status?.conditions ?? [], now, reachable);
  const models = standing?.answer?.ok === true ? standing.answer.models?.slice(0, SHOWN).map((name) => cleanText(name, 128)) : undefined;
  return {
    observedGeneration: object.generation, conditions: [...conditions],
    ...(standing?.answer === undefined ? {} : { lastProbe: timestamp(now) }),
    ...(models === undefined || models.length === 0 ? {} : { models }),
  };
}

function reachability(standing: Standing): NewCondition {
  const type = CONDITIONS.reachable;
  const trouble = troubleOf(standing);
  if (trouble === undefined) return { type, status: 'True', reason: REASONS.answers, message: 'the model answers' };
  return { type, status: trouble.unknown === true || trouble.about !== 'Ready' ? 'Unknown' : 'False', reason: trouble.reason, message: trouble.message };
}
