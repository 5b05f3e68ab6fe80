/** Texts longer than this are parsed every time: hostile ones must not fill the memory. */
const MOST_CHARACTERS = 8_192;
const MOST_ENTRIES = 512;

/** Remembers what became of short documents, the most recently used ones. */
export class DocumentCache<V> {
  readonly #entries = new Map<string, V>();

  get(text: string): V | undefined {
    const value = this.#entries.get(text);
    if (value === undefined) return undefined;
    this.#entries.delete(text);
    this.#entries.set(text, value);
    return value;
  }

  set(text: string, value: V): void {
    if (text.length > MOST_CHARACTERS) return;
    this.#entries.set(text, value);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MOST_ENTRIES) return;
      this.#entries.delete(oldest);
    }
  }

  /** Entries held. */
  get size(): number { return this.#entries.size; }
}
