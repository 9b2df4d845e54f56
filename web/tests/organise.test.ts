import { afterEach, describe, expect, test, vi } from 'vitest';
import { bulk, thoseName } from '../src/lib/bulk';
import { best } from '../src/lib/duplicates';
import { layout } from '../src/pages/library/list';
import { toasts } from '../src/lib/toasts.svelte';
import { readTransform, writeTransform } from '../src/lib/transform';
import type { Media } from '../src/lib/types';

const media = (n: number, more: Partial<Media> = {}) =>
  ({ id: `m${n}`, bucket: 'photos', folder: '', name: `${n}.jpg`, content_type: 'image/jpeg', state: 'ready', size_bytes: 1000, width: 400, height: 300, favourite: false, tags: [], description: '', renditions: 0, taken_at: null, created_at: new Date(1e12 + n * 1000).toISOString(), ...more }) as Media;

type Sent = { action: string; ids?: string[]; search?: object };
const sent: Sent[] = [];
function answer(give: (body: Sent) => object, status = 200) {
  vi.stubGlobal('fetch', (address: string, init?: RequestInit) => {
    if (!address.endsWith('/media/bulk')) return Promise.resolve(new Response('{"items":[],"next_cursor":null}'));
    const body = JSON.parse(init!.body as string) as Sent;
    sent.push(body);
    return Promise.resolve(new Response(JSON.stringify(give(body)), { status }));
  });
}
afterEach(() => {
  sent.length = 0;
  toasts.length = 0;
  vi.unstubAllGlobals();
});

describe('a deed for many', () => {
  test('goes in portions of a thousand, and tells the sum', async () => {
    answer(({ ids }) => ({ done: ids!.length, failed: [], more: false }));
    expect(await bulk('trash', { media: Array.from({ length: 2500 }, (_, n) => media(n)) }, {}, { done: 'moved to the trash.' })).toBe(true);
    expect(sent.map(({ ids }) => ids!.length)).toEqual([1000, 1000, 500]);
    expect(toasts.map(({ text }) => text)).toEqual(['2,500 files moved to the trash.']);
  });

  test('names what stayed, and undoes only what was done', async () => {
    answer(() => ({ done: 1, failed: [{ id: 'm1', problem: { type: '/problems/forbidden', title: 'no', status: 403 } }], more: false }));
    const undo = vi.fn();
    expect(await bulk('trash', { media: [media(1), media(2)] }, {}, { done: 'moved to the trash.', undo })).toBe(false);
    expect(toasts.map(({ text }) => text)).toEqual(['Your account isn’t allowed to do this.', '“2.jpg” moved to the trash.']);
    toasts[1]!.action!.run();
    expect(undo.mock.calls[0]![0].map((one: Media) => one.id)).toEqual(['m2']);
  });

  test('on everything found sends the search, and says when it takes a while', async () => {
    answer(() => ({ job_id: 'j' }), 202);
    expect(await bulk('tag', { search: { bucket: 'photos', q: 'tag:sea' }, found: 4312 }, { tags: ['x'] }, { done: 'tagged.' })).toBe(true);
    expect(sent).toEqual([{ action: 'tag', search: { bucket: 'photos', q: 'tag:sea' }, tags: ['x'] }]);
    expect(toasts[0]!.text).toBe('Working on 4,312 files. You can go on meanwhile.');
  });

  test('that fails as a whole says why', async () => {
    answer(() => ({ type: '/problems/disk-full', title: 'full', status: 507 }), 507);
    expect(await bulk('copy', { media: [media(1)] }, {}, { done: 'copied.' })).toBe(false);
    expect(toasts).toMatchObject([{ bad: true }]);
  });
});

test('what a deed is done to has a name', () => {
  expect([thoseName({ media: [media(1)] }), thoseName({ media: [media(1), media(2)] }), thoseName({ search: {}, found: null }), thoseName({ search: {}, found: 12 })]).toEqual(['“1.jpg”', '2 files', 'everything found', '12 files']);
});

test('of duplicates the largest is best, then the one that people worked on, then the first', () => {
  expect(best([media(1), media(2, { width: 800, height: 600 })]).id).toBe('m2');
  expect(best([media(1, { size_bytes: 900 }), media(2)]).id).toBe('m2');
  expect(best([media(1), media(2, { tags: ['sea'] })]).id).toBe('m2');
  expect(best([media(2), media(1), media(3)]).id).toBe('m1');
});

test('a list is one line after another, below its headings', () => {
  const { rows, first, y, total } = layout(3, 500);
  expect([rows, [...first], [...y], total]).toEqual([3, [0, 1, 2, 3], [41, 94, 147], 200]);
});

test('a rendering is written in one order, without what says nothing', () => {
  expect(writeTransform({ w: '320', fit: 'cover', h: '', format: 'webp' })).toBe('fit=cover&format=webp&w=320');
  expect(readTransform('fit=cover&w=320')).toEqual({ fit: 'cover', w: '320' });
});
