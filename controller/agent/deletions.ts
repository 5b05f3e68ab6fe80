/** Objects the watch showed as deleted, until their mirrors are gone: an object made anew under the same name is another one. */
export class Deletions {
  readonly #remove: (namespace: string, name: string, uid: string) => Promise<void>;
  readonly #uids = new Map<string, readonly string[]>();

  constructor(remove: (namespace: string, name: string, uid: string) => Promise<void>) {
    this.#remove = remove;
  }

  /** Notes a deletion of `namespace/name`. */
  add(key: string, uid: string): void {
    this.#uids.set(key, [...(this.#uids.get(key) ?? []), uid]);
  }

  /** Removes the mirrors of what was deleted under this key. */
  async carryOut(key: string): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    for (const uid of this.#uids.get(key) ?? []) {
      await this.#remove(namespace, name, uid);
      // One by one: another may have been noted meanwhile.
      const left = (this.#uids.get(key) ?? []).filter((each) => each !== uid);
      if (left.length > 0) this.#uids.set(key, left);
      else this.#uids.delete(key);
    }
  }
}
