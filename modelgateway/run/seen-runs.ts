const MOST_SEEN = 20_000;

/** Workflow runs that this gateway has to do with: of all that end, only theirs are looked at at once. The sweep finds the others. */
export class SeenRuns {
  readonly #runs = new Set<string>();

  add(run: string): void {
    if (this.#runs.size >= MOST_SEEN) this.#runs.clear();
    this.#runs.add(run);
  }

  /** Whether a run was seen; it has ended, so it is forgotten. */
  take(run: string): boolean { return this.#runs.delete(run); }
}
