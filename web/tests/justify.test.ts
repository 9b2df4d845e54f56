import { describe, expect, test } from 'vitest';
import { beside, justify, rowAt, rowOf, shownRatio } from '../src/lib/justify';

const many = (n: number) => Float32Array.from({ length: n }, (_, i) => [1.5, 0.66, 1, 1.33, 2.4][i % 5]!);

describe('justified rows', () => {
  test('full rows end exactly at the width, and no row is higher than the target', () => {
    const l = justify(many(500), 1000, 180, 4);
    for (let row = 0; row < l.rows - 1; row++) {
      const end = l.first[row + 1]! - 1;
      expect(l.x[end]! + l.w[end]!).toBeCloseTo(1000, 1);
      expect(l.h[row]).toBeLessThanOrEqual(180);
    }
  });

  test('the last row keeps the target height instead of growing', () => {
    const l = justify([1.5, 1.5], 2000, 180);
    expect(l.rows).toBe(1);
    expect(l.h[0]).toBe(180);
    expect(l.total).toBe(180);
  });

  test('items added at the end leave every full row where it was', () => {
    const before = justify(many(200), 900, 160);
    const after = justify(many(400), 900, 160);
    for (let row = 0; row < before.rows - 1; row++) expect(after.y[row]).toBe(before.y[row]);
  });

  test('items added before the origin leave every row after it as it is', () => {
    const ratio = many(500);
    const before = justify(ratio.slice(200), 900, 160);
    const after = justify(ratio, 900, 160, 4, 200);
    const from = rowOf(after, 200);
    expect(after.first[from]).toBe(200);
    for (let row = 0; row < before.rows; row++) {
      expect(after.first[from + row]).toBe(before.first[row]! + 200);
      expect(after.h[from + row]).toBeCloseTo(before.h[row]!, 4);
      expect(after.y[from + row]! - after.y[from]!).toBeCloseTo(before.y[row]!, 3);
    }
    for (let row = 1; row < from; row++) expect(after.x[after.first[row + 1]! - 1]! + after.w[after.first[row + 1]! - 1]!).toBeCloseTo(900, 1);
    expect(after.first[0]).toBe(0);
    expect(after.h[0]).toBeLessThanOrEqual(160);
  });

  test('nothing gives no rows', () => {
    const l = justify([], 900, 160);
    expect([l.rows, l.total]).toEqual([0, 0]);
  });

  test('rows are found by place and by item', () => {
    const l = justify(many(300), 900, 160);
    expect(rowAt(l, -50)).toBe(0);
    expect(rowAt(l, l.y[7]! + 1)).toBe(7);
    expect(rowAt(l, 1e9)).toBe(l.rows - 1);
    expect(rowOf(l, l.first[9]!)).toBe(9);
    expect(rowOf(l, l.first[9]! - 1)).toBe(8);
  });

  test('the item below is the nearest one of the next row, and the ends hold', () => {
    const l = justify(Float32Array.from({ length: 12 }, () => 1), 403, 100, 1);
    const inRow = l.first[1]!;
    expect(beside(l, 1, 1)).toBe(inRow + 1);
    expect(beside(l, inRow + 1, -1)).toBe(1);
    expect(beside(l, 0, -1)).toBe(0);
    expect(beside(l, 11, 1)).toBe(11);
  });

  test('a hundred thousand items are laid out within one frame or two', () => {
    const ratios = many(100_000);
    const start = performance.now();
    expect(justify(ratios, 1200, 196).first.at(-1)).toBe(100_000);
    expect(performance.now() - start).toBeLessThan(500);
  });

  test('extreme and unknown shapes are shown in bounds', () => {
    expect(shownRatio(65535, 1)).toBe(3);
    expect(shownRatio(1, 65535)).toBe(0.5);
    expect(shownRatio(null, null)).toBe(1);
    expect(shownRatio(0, 10)).toBe(1);
  });
});
