import { createInterface } from 'node:readline';
import type { Input } from './io.ts';

/** The process as far as lines need it. */
export interface Ends {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: { readonly isTTY?: boolean };
  /** Where prompts and what is typed are shown. */
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  on(event: 'SIGINT', listener: () => void): unknown;
  off(event: 'SIGINT', listener: () => void): unknown;
}

/** Opens the ends of a process: lines that come before somebody asks for them wait. */
export function openLines(ends: Ends): Input {
  const interactive = ends.stdin.isTTY === true && ends.stdout.isTTY === true && ends.stderr.isTTY === true;
  const reader = createInterface({ input: ends.stdin, terminal: interactive, ...(interactive ? { output: ends.stderr } : {}) });
  const lines: string[] = [];
  const waiting: ((line: string | undefined) => void)[] = [];
  const hear: { handler: (() => void) | undefined; over: boolean } = { handler: undefined, over: false };
  reader.on('line', (line) => {
    const next = waiting.shift();
    if (next === undefined) lines.push(line);
    else next(line);
  });
  reader.on('close', () => {
    hear.over = true;
    for (const next of waiting.splice(0)) next(undefined);
  });
  const interrupt = (): void => { hear.handler?.(); };
  // A terminal in raw mode gives Ctrl-C to whoever reads lines; else it is a signal.
  reader.on('SIGINT', interrupt);
  return {
    interactive,
    line: (prompt) => {
      const known = lines.shift();
      if (known !== undefined) return Promise.resolve(known);
      if (hear.over) return Promise.resolve(undefined);
      if (interactive) {
        reader.setPrompt(prompt);
        reader.prompt();
      }
      return new Promise((resolve) => { waiting.push(resolve); });
    },
    interrupted: (handler) => {
      ends.off('SIGINT', interrupt);
      if (handler !== undefined) ends.on('SIGINT', interrupt);
      hear.handler = handler;
    },
    close: () => {
      ends.off('SIGINT', interrupt);
      reader.close();
    },
  };
}
