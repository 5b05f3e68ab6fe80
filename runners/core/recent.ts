/**
 * Remembers at least the last `atLeast` keys, and at most twice as many. Two generations: taking the oldest out of one set, key by
 * key, walks over all that were taken out before it (5 % of a busy runner).
 */
export class RecentKeys {
  readonly #atLeast: number;
  #young = new Set<string>();
  #old: ReadonlySet<string> = new Set();

  constructor(atLeast: number) {
    this.#atLeast = atLeast;
  }

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  add(key: string): void {
    this.#young.add(key);
    if (this.#young.size < this.#atLeast) return;
    this.#old = this.#young;
    this.#young = new Set();
  }
}
