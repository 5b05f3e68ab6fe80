import type { Clock } from '../../platform/clock/index.ts';

/** What a command is told while it runs. */
export interface Input {
  /** A person sits at both ends: may be asked, and sees pieces as they come. */
  readonly interactive: boolean;
  /** The next line; undefined when there are no more. `prompt` is shown to people only. */
  line(prompt: string): Promise<string | undefined>;
  /** Calls back at each Ctrl-C from now on, in place of what was called before; without one the program ends. */
  interrupted(handler: (() => void) | undefined): void;
  close(): void;
}

/** What a command sees of the terminal and the machine; tests give their own. */
export interface Io {
  readonly clock: Clock;
  /** Opens standard input; for commands that ask or read lines. */
  readonly open?: () => Input;
  /** The answer of the command, on standard output. */
  print(text: string): void;
  /** Progress and hints, on standard error. */
  say(line: string): void;
  /** Code the process ends with; 0 unless told otherwise. */
  exit(code: number): void;
}

/** Bytes as people read them. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** A count with separators: 12,345. */
export function countText(n: number): string {
  return n.toLocaleString('en-US');
}

/** `1 run`, `2 runs`. */
export function plural(n: number, what: string): string {
  return `${countText(n)} ${what}${n === 1 ? '' : 's'}`;
}

/** 20261126-101500, in UTC: for names of files. */
export function stamp(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
}

/** Prose of a help text: paragraphs keep their blank lines, the terminal breaks the rest. */
export function prose(text: string): string {
  return text.split(/\n{2,}/).map((paragraph) => paragraph.replaceAll('\n', ' ')).join('\n\n');
}
