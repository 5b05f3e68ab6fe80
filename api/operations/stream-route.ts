import type { z } from 'zod';
import type { Entity } from './entity.ts';
import type { Right } from './operation.ts';

/** A stream of server-sent events below /api/v1, as the OpenAPI document tells of it. It is no operation: it answers many times, and changes nothing. */
export interface RestStream {
  /** operationId. */
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** Braces name fields of the input. Always GET. */
  readonly path: string;
  /** What stands in the path and in the query string. */
  readonly input: z.ZodObject;
  readonly headers: readonly { readonly name: string; readonly schema: z.ZodType; readonly words: string }[];
  readonly right: Pick<Right, 'verb' | 'resource'>;
  /** Kinds of blocks that come, and what their data is. */
  readonly blocks: readonly { readonly event: string; readonly data: Entity; readonly words: string }[];
}
