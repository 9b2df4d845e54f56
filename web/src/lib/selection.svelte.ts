/** What is picked in a grid, by id; or everything that a search finds, also what hasn't been loaded. */
export class Selection {
  ids: ReadonlySet<string> = $state.raw(new Set());
  whole = $state(false);
  /** The item from which a range is picked. */
  private anchor: string | null = null;

  get size() {
    return this.ids.size;
  }

  has(id: string) {
    return this.whole || this.ids.has(id);
  }

  toggle(id: string) {
    const ids = new Set(this.ids);
    if (!ids.delete(id)) ids.add(id);
    this.ids = ids;
    this.whole = false;
    this.anchor = id;
  }

  /** Picks everything between the last picked item and this one. */
  extend(items: { id: string }[], id: string) {
    const to = items.findIndex((item) => item.id === id);
    const from = Math.max(0, items.findIndex((item) => item.id === (this.anchor ?? id)));
    if (to < 0) return;
    this.ids = new Set([...this.ids, ...items.slice(Math.min(from, to), Math.max(from, to) + 1).map((item) => item.id)]);
  }

  all(items: { id: string }[]) {
    this.ids = new Set([...this.ids, ...items.map((item) => item.id)]);
  }

  clear() {
    this.ids = new Set();
    this.whole = false;
    this.anchor = null;
  }
}
