/**
 * Rows of pictures that fill a width, by the greedy rule: a row closes as soon as its height falls to the target.
 * Typed arrays, so that 100,000 items lay out in one short task.
 */
export type Layout = {
  rows: number;
  /** The first item of each row; one entry more than rows. */
  first: Uint32Array;
  y: Float64Array;
  h: Float32Array;
  x: Float32Array;
  w: Float32Array;
  total: number;
};

/** Extremes are shown cropped: a panorama may not squeeze its row to a thread, nor a receipt fill it alone. */
export const shownRatio = (width: number | null, height: number | null) => (width && height ? Math.min(3, Math.max(0.5, width / height)) : 1);

/** Rows are filled from `origin` in both directions, so that what comes before it leaves the rows after it as they are. */
export function justify(ratio: ArrayLike<number>, width: number, target: number, gap = 4, origin = 0): Layout {
  const n = ratio.length;
  const x = new Float32Array(n);
  const w = new Float32Array(n);
  const first: number[] = [];
  const ys: number[] = [];
  const hs: number[] = [];
  let y = 0;
  const close = (start: number, end: number, height: number) => {
    let left = 0;
    for (let i = start; i < end; i++) {
      x[i] = left;
      w[i] = height * ratio[i]!;
      left += w[i]! + gap;
    }
    first.push(start);
    ys.push(y);
    hs.push(height);
    y += height + gap;
  };
  const above: [start: number, end: number, height: number][] = [];
  for (let end = Math.min(origin, n); end > 0; ) {
    let start = end;
    let sum = 0;
    let height = Infinity;
    while (start > 0 && height > target) {
      sum += ratio[--start]!;
      height = (width - gap * (end - start - 1)) / sum;
    }
    above.push([start, end, Math.min(height, target)]);
    end = start;
  }
  for (const row of above.reverse()) close(...row);
  let start = Math.min(origin, n);
  while (start < n) {
    let end = start;
    let sum = 0;
    let height = Infinity;
    while (end < n) {
      sum += ratio[end]!;
      end++;
      height = (width - gap * (end - start - 1)) / sum;
      if (height <= target) break;
    }
    close(start, end, Math.min(height, target));
    start = end;
  }
  first.push(n);
  return { rows: ys.length, first: Uint32Array.from(first), y: Float64Array.from(ys), h: Float32Array.from(hs), x, w, total: Math.max(0, y - gap) };
}

function last(n: number, holds: (i: number) => boolean): number {
  let low = 0;
  let high = n - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The last row whose top is at or above `y`. */
export const rowAt = (layout: Layout, y: number) => last(layout.rows, (row) => layout.y[row]! <= y);

/** The row that holds an item. */
export const rowOf = (layout: Layout, item: number) => last(layout.rows, (row) => layout.first[row]! <= item);

/** The item above (-1) or below (+1) another: the one whose centre is nearest in the next row. */
export function beside(layout: Layout, item: number, rows: number): number {
  const row = rowOf(layout, item) + rows;
  if (row < 0 || row >= layout.rows) return item;
  const centre = layout.x[item]! + layout.w[item]! / 2;
  let best = layout.first[row]!;
  let distance = Infinity;
  for (let i = best; i < layout.first[row + 1]!; i++) {
    const d = Math.abs(layout.x[i]! + layout.w[i]! / 2 - centre);
    if (d < distance) {
      distance = d;
      best = i;
    }
  }
  return best;
}
