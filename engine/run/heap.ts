/** The smallest number first; each number at most once. Keeps the order of starting independent of how a state came about. */
export class Heap {
  private readonly items: number[] = [];
  private readonly members = new Set<number>();

  get size(): number {
    return this.items.length;
  }

  push(value: number): void {
    if (this.members.has(value)) return;
    this.members.add(value);
    const items = this.items;
    let at = items.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] ?? 0;
      if (above <= value) break;
      items[at] = above;
      at = parent;
    }
    items[at] = value;
  }

  peek(): number | undefined {
    return this.items[0];
  }

  pop(): number | undefined {
    const items = this.items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined) return undefined;
    this.members.delete(top);
    if (items.length > 0) this.sink(last);
    return top;
  }

  clear(): void {
    this.items.length = 0;
    this.members.clear();
  }

  private sink(value: number): void {
    const items = this.items;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let least = items[child];
      if (least === undefined) break;
      const right = items[child + 1];
      if (right !== undefined && right < least) {
        child += 1;
        least = right;
      }
      if (least >= value) break;
      items[at] = least;
      at = child;
    }
    items[at] = value;
  }
}
