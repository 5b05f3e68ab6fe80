/**
 * An expression, template or value that cannot be computed. It never reaches a caller of the engine: a node or the run
 * fails with class `Invalid` and this reason, or the definition gets a Problem.
 */
export class ValueError extends Error {
  /** CamelCase and stable: becomes the reason of the node's error. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.name = 'ValueError';
    this.reason = reason;
  }
}

/** A caller broke a rule of this room's API: a bug, not bad input. */
export class EngineBug extends Error {
  readonly code = 'Bug';

  constructor(message: string) {
    super(message);
    this.name = 'EngineBug';
  }
}

/** First line of anything thrown: libraries draw the source below theirs. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0] ?? message;
}

/** `text` cut to `max` characters, with an ellipsis when something is missing. */
export function shorten(text: string, max = 120): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}
