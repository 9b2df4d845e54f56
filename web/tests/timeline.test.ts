import { describe, expect, test } from 'vitest';
import { markAt, monthName, place, years, type Month } from '../src/lib/timeline';

const months: Month[] = [
  { month: '2021-02', count: 10 },
  { month: '2021-01', count: 90 },
  { month: '2020-12', count: 0 },
  { month: '2019-07', count: 100 },
];

describe('the timeline', () => {
  test('fills its height by how much a month holds, with room for the smallest', () => {
    const marks = place(months, 416);
    expect(marks.map(({ h }) => h)).toEqual([24, 184, 4, 204]);
    expect(marks.map(({ y }) => y)).toEqual([0, 24, 208, 212]);
  });

  test('has room for more months than pixels', () => {
    const many = Array.from({ length: 1000 }, (_, i) => ({ month: `${3000 - i}-01`, count: 1 }));
    const marks = place(many, 500);
    expect(marks.at(-1)!.y + marks.at(-1)!.h).toBeCloseTo(500);
    expect(years(marks).length).toBeLessThan(25);
  });

  test('finds the month under a finger, also beyond the ends', () => {
    const marks = place(months, 416);
    expect([-5, 0, 30, 210, 300, 9999].map((y) => markAt(marks, y))).toEqual([0, 0, 1, 2, 3, 3]);
  });

  test('writes a year where it begins, if there is room', () => {
    expect(years(place(months, 416))).toEqual([
      { year: '2021', y: 0 },
      { year: '2020', y: 208 },
    ]);
  });

  test('is calm about nothing', () => {
    expect([place([], 400), years([])]).toEqual([[], []]);
    expect(place([{ month: '2020-01', count: 0 }], 0)).toEqual([{ month: '2020-01', count: 0, y: 0, h: 0 }]);
  });

  test('names months', () => {
    expect(monthName('2019-07')).toBe('July 2019');
  });
});
