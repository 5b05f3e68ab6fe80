import type { Clock } from '../../platform/clock/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { ObjectStore } from '../../platform/objects/index.ts';
import type { Appended, Db } from '../../prisma/store/index.ts';
import type { GatewayCounters } from '../counters.ts';
import type { Publisher } from '../run/notices.ts';

/** Reads keys of Secrets; throws RamboError `SecretMissing` or `SecretNotLabelled`. */
export interface SecretReader {
  read(namespace: string, name: string, key?: string): Promise<string>;
}

/** `fetch` by the rules of one namespace: guarded, redirects not followed. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** A model that looks at a text for a guardrail. Throws where it cannot be asked. */
export interface ModelJudge {
  (question: { readonly namespace: string; readonly agentRun: string; readonly model: string; readonly instructions: string; readonly text: string }): Promise<{ readonly flagged: boolean; readonly message?: string | undefined }>;
}

/** What the tools' half of the gateway is made of. */
export interface ToolParts {
  readonly db: Db;
  readonly bus: Publisher;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
  /** Keeps whole results; without it they are cut. */
  readonly objects?: Pick<ObjectStore, 'put'> | undefined;
  readonly secrets: SecretReader;
  readonly fetchFor: (namespace: string) => Fetch;
  /** Name of this process, new at every start. */
  readonly holder: string;
  /** Tells that a journal grew; after the commit. */
  readonly notify: (appended: Pick<Appended<unknown>, 'run' | 'events'>) => void;
  readonly judgeModel?: ModelJudge | undefined;
  readonly counters?: Pick<GatewayCounters, 'tool'>;
}
