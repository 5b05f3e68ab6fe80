import { ValueError, firstLine, shorten } from '../errors.ts';
import type { Problem } from '../types.ts';

/** Collects everything that is wrong, so that a person sees all of it at once. */
export class Problems {
  readonly found: Problem[] = [];

  /** Adds one problem of a node, or of the workflow itself when `node` is undefined. */
  add(node: string | undefined, field: string, reason: string, message: string, value?: unknown): void {
    const where = node === undefined ? field : `node ${JSON.stringify(node)}, ${field}`;
    const shown = value === undefined ? undefined : shorten(typeof value === 'string' ? value : JSON.stringify(value));
    this.found.push({
      ...(node === undefined ? {} : { node }), field, reason, message: `${where}: ${message}`, ...(shown === undefined ? {} : { value: shown }),
    });
  }

  /** Runs something that may throw a ValueError, which becomes a problem; undefined then. */
  guard<T>(node: string | undefined, field: string, value: unknown, run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      this.add(node, field, error instanceof ValueError ? error.reason : 'ExpressionInvalid', firstLine(error), value);
      return undefined;
    }
  }
}
