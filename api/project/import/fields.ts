import { isStorable, nameOf, storable } from './text.ts';

/** A record of the prototype as it was parsed. */
export type Json = Readonly<Record<string, unknown>>;

/** Whether a value is an object that is no list. */
export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Times before and after are no times of the prototype: numbers in the wrong unit, or nonsense. */
const [EARLIEST, LATEST] = [Date.UTC(1990, 0), Date.UTC(2200, 0)];

/**
 * Takes fields out of a record. What a column holds exactly is taken; whatever it does not (a status nobody knows, a name that
 * was cut, human words for a time, fields of which we know nothing) stays in `rest()`, unchanged.
 */
export class Fields {
  readonly #record: Json;
  readonly #taken = new Set<string>();

  constructor(record: Json) {
    this.#record = record;
  }

  /** A text of any length; empty where there is none. */
  text(name: string): string {
    const value = this.#own(name);
    if (typeof value !== 'string') return '';
    if (isStorable(value)) this.#taken.add(name);
    return storable(value);
  }

  /** A name: short enough for an index. `fallback` where there is none. */
  name(name: string, fallback: string, limit?: number): string {
    const value = this.#own(name);
    if (typeof value !== 'string') return fallback;
    const short = nameOf(value, limit);
    if (short === value && short.trim() !== '') this.#taken.add(name);
    return short.trim() === '' ? fallback : short;
  }

  /** One of the words of `words` (as the prototype writes them), as the constant of ours; spelling and case may differ. */
  choice<T extends string>(name: string, words: Readonly<Record<string, T>>, fallback: T): T {
    const value = this.#own(name);
    if (typeof value !== 'string') return fallback;
    if (Object.hasOwn(words, value)) {
      this.#taken.add(name);
      return words[value] ?? fallback;
    }
    const plain = bare(value);
    const near = Object.entries(words).find(([word, constant]) => bare(word) === plain || bare(constant) === plain);
    return near?.[1] ?? fallback;
  }

  /** A moment, epoch milliseconds. The field stays in the rest: its zone and its digits are the person's. */
  time(name: string): number | undefined {
    const value = this.#own(name);
    if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}/.test(value)) return undefined;
    const at = Date.parse(value);
    return at >= EARLIEST && at <= LATEST ? at : undefined;
  }

  /** A day, `YYYY-MM-DD`; taken only where it is written so. */
  day(name: string): string | undefined {
    const at = this.time(name);
    if (at === undefined) return undefined;
    const day = new Date(at).toISOString().slice(0, 10);
    if (this.#own(name) === day) this.#taken.add(name);
    return day;
  }

  /** An object; taken where it is one. */
  object(name: string): Json | undefined {
    const value = this.#own(name);
    if (!isRecord(value)) return undefined;
    this.#taken.add(name);
    return value;
  }

  /** A list; taken where it is one. */
  list(name: string): readonly unknown[] | undefined {
    const value = this.#own(name);
    if (!Array.isArray(value)) return undefined;
    this.#taken.add(name);
    const items: readonly unknown[] = value;
    return items;
  }

  /** An id as text: numbers count too. Not taken. */
  id(name: string): string | undefined {
    const value = this.#own(name);
    if (typeof value === 'number' && Number.isFinite(value)) return String(value);
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  /** The value itself; not taken. */
  peek(name: string): unknown {
    return this.#own(name);
  }

  /** Says that a field is told elsewhere. */
  take(...names: readonly string[]): void {
    for (const name of names) this.#taken.add(name);
  }

  /** Every field that was not taken, as it was. */
  rest(): Json {
    return Object.fromEntries(Object.entries(this.#record).filter(([name]) => !this.#taken.has(name)));
  }

  #own(name: string): unknown {
    return Object.hasOwn(this.#record, name) ? this.#record[name] : undefined;
  }
}

function bare(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '');
}
