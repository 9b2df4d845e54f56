import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { listing } from '../src/lib/listing.svelte';
import { Selection } from '../src/lib/selection.svelte';
import type { Media } from '../src/lib/types';

const media = (n: number, more: Partial<Media> = {}) =>
  ({ id: `m${n}`, bucket: 'photos', folder: '', name: `${n}.jpg`, content_type: 'image/jpeg', state: 'ready', created_at: new Date(1e12 - n * 1000).toISOString(), ...more }) as Media;

/** A library of 5 in pages of 2. */
const asked: string[] = [];
beforeEach(() => {
  asked.length = 0;
  vi.stubGlobal('fetch', (address: string) => {
    asked.push(address);
    const cursor = Number(new URL(address, 'http://x').searchParams.get('cursor') ?? 0);
    const items = [0, 1, 2, 3, 4].slice(cursor, cursor + 2).map((n) => media(n * 10));
    return Promise.resolve(new Response(JSON.stringify({ items, next_cursor: cursor + 2 < 5 ? String(cursor + 2) : null })));
  });
});
afterEach(() => {
  listing.forget();
  vi.unstubAllGlobals();
});

const ids = () => listing.items.map((item) => item.id);

describe('the listing', () => {
  test('comes page by page until there is no more', async () => {
    await listing.open({ bucket: 'photos' });
    expect([ids(), listing.more]).toEqual([['m0', 'm10'], true]);
    await listing.loadMore();
    await listing.loadMore();
    await listing.loadMore();
    expect([ids(), listing.more]).toEqual([['m0', 'm10', 'm20', 'm30', 'm40'], false]);
    expect(asked).toHaveLength(3);
  });

  test('opening the same query again keeps what is there', async () => {
    await listing.open({ bucket: 'photos' });
    listing.top = 300;
    await listing.open({ bucket: 'photos' });
    expect([asked.length, listing.top]).toEqual([1, 300]);
  });

  test('new media take their place by time, and unknown later pages are left alone', async () => {
    await listing.open({ bucket: 'photos' });
    listing.put([media(5), media(99), media(-1)]);
    expect(ids()).toEqual(['m-1', 'm0', 'm5', 'm10']);
  });

  test('what no longer belongs leaves', async () => {
    await listing.open({ bucket: 'photos' });
    listing.put([media(0, { state: 'trashed' }), media(3, { bucket: 'other' })]);
    expect(ids()).toEqual(['m10']);
    listing.heard('m10', 'photos', 'trashed');
    expect(ids()).toEqual([]);
  });

  test('a flood of changes reads the beginning again and keeps what lies beyond', async () => {
    let total = 450;
    vi.stubGlobal('fetch', (address: string) => {
      const query = new URL(address, 'http://x').searchParams;
      const cursor = Number(query.get('cursor') ?? 0);
      const items = Array.from({ length: total }, (_, n) => media(n - (total - 450))).slice(cursor, cursor + 200);
      return Promise.resolve(new Response(JSON.stringify({ items, next_cursor: cursor + 200 < total ? String(cursor + 200) : null })));
    });
    await listing.open({ bucket: 'many' });
    await listing.loadMore();
    total = 453;
    await listing.refresh();
    expect(ids().slice(0, 4)).toEqual(['m-3', 'm-2', 'm-1', 'm0']);
    expect(listing.items).toHaveLength(403);
    expect(new Set(ids()).size).toBe(403);
  });

  test('a failure says so and can be tried again', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('{"type":"/problems/not-found","status":404}', { status: 404 })));
    await listing.open({ bucket: 'gone' });
    expect([listing.state, listing.missing]).toEqual(['error', true]);
  });
});

test('a selection grows from the last picked item', () => {
  const items = [0, 1, 2, 3, 4, 5].map((n) => media(n));
  const selection = new Selection();
  selection.toggle('m1');
  selection.extend(items, 'm3');
  expect([...selection.ids]).toEqual(['m1', 'm2', 'm3']);
  selection.toggle('m2');
  expect(selection.has('m2')).toBe(false);
  selection.all(items);
  expect(selection.size).toBe(6);
  selection.clear();
  expect(selection.size).toBe(0);
});
