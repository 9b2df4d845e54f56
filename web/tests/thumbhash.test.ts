import { expect, test } from 'vitest';
import { decodeThumbhash } from '../src/lib/thumbhash';

test('a flat grey hash gives a flat grey preview', () => {
  // luma 32/63, no colour, no waves; landscape with 4 rows of coefficients.
  const head = 32 | (32 << 6) | (32 << 12);
  const tail = 4 | (1 << 15);
  const bytes = [head & 255, (head >> 8) & 255, head >> 16, tail & 255, tail >> 8, ...Array.from({ length: 16 }, () => 0x77)];
  const preview = decodeThumbhash(btoa(String.fromCharCode(...bytes)))!;
  expect([preview.w, preview.h]).toEqual([32, 18]);
  const [r, g, b, a] = preview.rgba;
  expect(a).toBe(255);
  for (const channel of [r!, g!, b!]) expect(Math.abs(channel - 130)).toBeLessThan(12);
  expect(preview.rgba.at(-4)).toBe(r);
});

test('rubbish gives nothing instead of an exception', () => {
  expect(decodeThumbhash('###')).toBeNull();
  expect(decodeThumbhash('')).toBeNull();
  expect(decodeThumbhash(btoa('abc'))).toBeNull();
});
