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
    listing.place = { id: 'm10', y: 300 };
    await listing.open({ bucket: 'photos' });
    expect([asked.length, listing.place?.y]).toEqual([1, 300]);
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

  describe('begun in the middle', () => {
    /** A library of 1,000, of which a page may be asked for from or before a media. */
    const all = Array.from({ length: 1000 }, (_, n) => media(n));
    beforeEach(() => {
      vi.stubGlobal('fetch', (address: string) => {
        asked.push(address);
        const query = new URL(address, 'http://x').searchParams;
        const [way, at] = (query.get('cursor') ?? '').split(':') as [string, string?];
        const place = (name: string) => all.findIndex((one) => one.id === query.get(name));
        const back = way === 'back' || query.has('before');
        const from = at ? Number(at) : back ? place('before') : query.has('from') ? place('from') : query.has('taken_to') ? 450 : 0;
        if (from < 0) return Promise.resolve(new Response('{"type":"/problems/not-found","status":404}', { status: 404 }));
        const size = Number(query.get('limit'));
        const items = back ? all.slice(Math.max(0, from - size), from) : all.slice(from, from + size);
        const next = back ? (from > size ? `back:${from - size}` : null) : from + size < all.length ? `on:${from + size}` : null;
        return Promise.resolve(new Response(JSON.stringify({ items, next_cursor: next })));
      });
    });
    const ends = () => [ids()[0], ids().at(-1), listing.origin, listing.earlier, listing.more];

    test('it grows both ways, and rows are filled from where it began', async () => {
      await listing.open({ bucket: 'middle' }, { month: '2019-07' });
      expect([ends(), listing.place?.id]).toEqual([['m250', 'm649', 200, true, true], 'm450']);
      await listing.loadMore();
      await listing.loadEarlier();
      await listing.loadEarlier();
      expect(ends()).toEqual(['m0', 'm849', 450, false, true]);
      await listing.loadEarlier();
      expect([listing.items.length, new Set(ids()).size, asked.length]).toEqual([850, 850, 5]);
      listing.remove(['m3', 'm450', 'm700']);
      expect(listing.items[listing.origin]!.id).toMatch(/^m4[45]/);
    });

    test('a place that is kept is found again, also where it is near the beginning or gone', async () => {
      await listing.open({ bucket: 'kept' }, { place: { id: 'm700', y: 12 } });
      expect([ends(), listing.place]).toEqual([['m500', 'm899', 200, true, true], { id: 'm700', y: 12 }]);
      await listing.reload();
      expect(ends()).toEqual(['m500', 'm899', 200, true, true]);
      await listing.open({ bucket: 'near' }, { place: { id: 'm20', y: 12 } });
      expect(ends()).toEqual(['m0', 'm219', 0, false, true]);
      await listing.open({ bucket: 'gone' }, { place: { id: 'nobody', y: 12 } });
      expect(ends()).toEqual(['m0', 'm199', 0, false, true]);
    });

    test('a flood of changes reads on from the first that is there', async () => {
      await listing.open({ bucket: 'flood' }, { month: '2019-07' });
      await listing.refresh();
      expect(asked.at(-1)).toContain('from=m250');
      expect(ends()).toEqual(['m250', 'm649', 200, true, true]);
    });
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
