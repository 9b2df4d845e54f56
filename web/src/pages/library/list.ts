/** The list view, loaded when it is chosen. */
import type { Layout } from '../../lib/justify';

export { default as Cells } from './ListCells.svelte';
export { default as Headings } from './ListHeadings.svelte';

const height = 53;
/** Of the headings above the lines, which stay while those scroll. */
export const head = 41;

/** One item to a row. */
export function layout(n: number, width: number): Layout {
  return {
    rows: n,
    first: new Uint32Array(n + 1).map((_, i) => i),
    y: new Float64Array(n).map((_, i) => head + i * height),
    h: new Float32Array(n).fill(height),
    x: new Float32Array(n),
    w: new Float32Array(n).fill(width),
    total: head + n * height,
  };
}
