import { describe, expect, test, vi } from 'vitest';
import { ApiError, unreachable } from '../src/lib/problem';
import type { Media, UploadAnswer } from '../src/lib/types';
import { chosenFiles } from '../src/lib/files';
import { Uploads, type Desk, type Transport } from '../src/lib/uploads.svelte';

type Call = { names: string[]; folder: string | null; sent: (n: number) => void; answer: (a?: Partial<UploadAnswer>) => void; fail: (e: unknown) => void; signal: AbortSignal };

/** A transport whose requests are answered by the test. */
function desk() {
  const calls: Call[] = [];
  const transport: Transport = (form, onSent, signal) =>
    new Promise((resolve, reject) => {
      const names = form.getAll('file').map((f) => (f as File).name);
      calls.push({
        names,
        folder: form.get('folder') as string | null,
        sent: onSent,
        answer: (a = {}) => resolve({ items: names.map((name) => ({ id: name, name }) as Media), problems: [], ...a }),
        fail: reject,
        signal,
      });
    });
  return { calls, uploads: new Uploads(transport) };
}

const file = (name: string, size = 10) => ({ file: new File([new Uint8Array(size)], name), folder: '' });
const settled = () => new Promise((resolve) => setTimeout(resolve));
const states = (u: Uploads) => u.items.map((item) => item.state);

describe('the upload queue', () => {
  test('sends small files ten at a time, two requests at once', async () => {
    const { calls, uploads } = desk();
    uploads.add(Array.from({ length: 25 }, (_, i) => file(`${i}.jpg`)), 'photos');
    expect(calls.map((c) => c.names.length)).toEqual([10, 10]);
    calls[0]!.answer();
    await settled();
    expect(calls.map((c) => c.names.length)).toEqual([10, 10, 5]);
    calls[1]!.answer();
    calls[2]!.answer();
    await settled();
    expect(uploads.done).toHaveLength(25);
    expect(uploads.active).toHaveLength(0);
    expect(uploads.progress).toBe(1);
  });

  test('large files travel alone', () => {
    const { calls, uploads } = desk();
    uploads.add([file('a', 5_000_000), file('b', 5_000_000), file('c')], 'photos');
    expect(calls.map((c) => c.names)).toEqual([['a'], ['b']]);
  });

  test('different folders and equal names never share a request', () => {
    const { calls, uploads } = desk();
    uploads.add([{ ...file('a'), folder: 'x' }, { ...file('b'), folder: 'y' }, { ...file('c'), folder: 'x' }, { ...file('a'), folder: 'x' }], 'photos');
    expect(calls.map((c) => [c.folder, ...c.names])).toEqual([
      ['x', 'a', 'c'],
      ['y', 'b'],
    ]);
  });

  test('the bytes that left are given to the files in order', () => {
    const { calls, uploads } = desk();
    uploads.add([file('a', 100), file('b', 100)], 'photos');
    calls[0]!.sent(150);
    expect(uploads.items.map((i) => i.sent)).toEqual([100, 50]);
    expect(states(uploads)).toEqual(['storing', 'sending']);
    expect(uploads.progress).toBe(0.75);
  });

  test('what came too fast is sent again and never fails', async () => {
    vi.useFakeTimers();
    const { calls, uploads } = desk();
    uploads.add([file('a'), file('b')], 'photos');
    for (let n = 0; n < 8; n++) {
      calls[n]!.fail(new ApiError('rate-limited', 429, 'x', [], 1));
      await vi.advanceTimersByTimeAsync(30_100);
    }
    expect(calls).toHaveLength(9);
    calls[8]!.answer();
    await vi.advanceTimersByTimeAsync(0);
    vi.useRealTimers();
    expect(states(uploads)).toEqual(['done', 'done']);
  });

  test('a bad file is told beside the good ones', async () => {
    const { calls, uploads } = desk();
    uploads.add([file('a'), file('bad'), file('c')], 'photos');
    calls[0]!.answer({
      items: [{ id: '1', name: 'a (2)' } as Media, { id: '2', name: 'c' } as Media],
      problems: [{ name: 'bad', problem: { type: '/problems/bad-name', title: 'Bad name', status: 422, detail: 'This name can’t be kept.' } }],
    });
    await settled();
    expect(states(uploads)).toEqual(['done', 'failed', 'done']);
    expect(uploads.items[0]!.media?.name).toBe('a (2)');
    expect(uploads.items[1]!.problem).toBe('This name can’t be kept.');
    expect(uploads.items[2]!.media?.name).toBe('c');
  });

  test('cancelling one file of a request sends the others again', async () => {
    const { calls, uploads } = desk();
    uploads.add([file('a'), file('b'), file('c')], 'photos');
    uploads.cancel(uploads.items[1]!);
    expect(calls[0]!.signal.aborted).toBe(true);
    expect(calls[1]!.names).toEqual(['a', 'c']);
    calls[0]!.fail(new DOMException('x', 'AbortError'));
    calls[1]!.answer();
    await settled();
    expect(states(uploads)).toEqual(['done', 'cancelled', 'done']);
  });

  test('cancelling all stops what runs and what waits', async () => {
    const { calls, uploads } = desk();
    uploads.add(Array.from({ length: 30 }, (_, i) => file(`${i}`)), 'photos');
    uploads.cancelAll();
    await settled();
    expect(calls).toHaveLength(2);
    expect(calls.every((c) => c.signal.aborted)).toBe(true);
    expect(new Set(states(uploads))).toEqual(new Set(['cancelled']));
  });

  test('a failed request can be tried again', async () => {
    const { calls, uploads } = desk();
    uploads.add([file('a')], 'photos');
    calls[0]!.fail(new ApiError('http-500', 500, 'Broken.'));
    await settled();
    expect([states(uploads), uploads.items[0]!.problem]).toEqual([['failed'], 'Broken.']);
    uploads.retry();
    calls[1]!.answer();
    await settled();
    expect(states(uploads)).toEqual(['done']);
  });

  test('a full disk stops the rest instead of failing file by file', async () => {
    const { calls, uploads } = desk();
    uploads.add(Array.from({ length: 40 }, (_, i) => file(`${i}`)), 'photos');
    calls[0]!.fail(new ApiError('disk-full', 507, 'Full.'));
    await settled();
    expect(calls).toHaveLength(2);
    expect(uploads.failed).toHaveLength(30);
  });

  test('an empty file counts as sent', async () => {
    const { calls, uploads } = desk();
    uploads.add([file('empty', 0)], 'photos');
    calls[0]!.answer();
    await settled();
    expect(uploads.progress).toBe(1);
  });
});

type Large = { name: string; url: string; begun: (url: string) => void; sent: (n: number) => void; done: (id?: string) => void; fail: (e: unknown) => void; signal: AbortSignal };

/** The same for large files. */
function largeDesk(more: Partial<Desk> = {}) {
  const calls: Large[] = [];
  const discarded: string[] = [];
  const uploads = new Uploads(() => Promise.reject(new Error('no form is sent')), {
    large: ({ name, url }, on, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError')));
        calls.push({ name, url, ...on, done: (id = 'id') => resolve(id), fail: reject, signal });
      }),
    media: async (id) => ({ id, name: 'stored' }) as Media,
    discard: async (url) => void discarded.push(url),
    ...more,
  });
  return { calls, discarded, uploads };
}

/** Says that it is large without being it. */
const large = (name: string, size = 20_000_000, lastModified = 5) => ({ file: Object.defineProperty(new File([], name, { lastModified }), 'size', { value: size }), folder: 'trip' });

describe('large files', () => {
  test('are paused and go on where they stood', async () => {
    const { calls, uploads } = largeDesk();
    uploads.add([large('film')], 'photos');
    await settled();
    calls[0]!.begun('/api/v1/uploads/1');
    calls[0]!.sent(9_000_000);
    uploads.pause();
    await settled();
    expect([states(uploads), calls[0]!.signal.aborted, uploads.active.length]).toEqual([['paused'], true, 0]);
    uploads.resume();
    await settled();
    expect(calls[1]!.url).toBe('/api/v1/uploads/1');
    calls[1]!.sent(20_000_000);
    expect(states(uploads)).toEqual(['storing']);
    calls[1]!.done();
    await settled();
    await settled();
    expect([states(uploads), uploads.items[0]!.media?.name]).toEqual([['done'], 'stored']);
  });

  test('wait for the connection by themselves, and less long when it is back', async () => {
    vi.useFakeTimers();
    const { calls, uploads } = largeDesk();
    uploads.add([large('film')], 'photos');
    await vi.advanceTimersByTimeAsync(0);
    calls[0]!.begun('/api/v1/uploads/1');
    calls[0]!.fail(unreachable());
    await vi.advanceTimersByTimeAsync(0);
    expect([states(uploads), uploads.offline]).toEqual([['offline'], true]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(calls[1]!.url).toBe('/api/v1/uploads/1');
    calls[1]!.fail(new ApiError('upload-locked', 423, 'Locked.'));
    await vi.advanceTimersByTimeAsync(1000);
    expect(calls).toHaveLength(2);
    uploads.wake();
    await vi.advanceTimersByTimeAsync(0);
    expect(calls).toHaveLength(3);
    calls[2]!.fail(new ApiError('too-large', 413, 'Too large.'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([states(uploads), uploads.items[0]!.problem, calls.length]).toEqual([['failed'], 'Too large.', 3]);
    vi.useRealTimers();
  });

  test('that were cancelled are removed from the server, and those of somebody who leaves are not', async () => {
    const { calls, discarded, uploads } = largeDesk();
    uploads.add([large('a'), large('b')], 'photos');
    await settled();
    calls[0]!.begun('/u/1');
    calls[1]!.begun('/u/2');
    uploads.cancel(uploads.items[0]!);
    uploads.leave();
    await settled();
    expect([discarded, uploads.items.length]).toEqual([['/u/1'], 0]);
  });

  test('that were begun before the page was loaded wait for their file', async () => {
    const found = (id: string, filename: string, more = {}) => ({ id, filename, bucket: 'photos', folder: 'trip', modified_at: new Date(5).toISOString(), length: 20_000_000, offset: 7_000_000, expires_at: '', active: false, state: 'receiving' as const, media_id: null, problem: null, ...more });
    const { calls, discarded, uploads } = largeDesk({ unfinished: async () => [found('1', 'film'), found('2', 'other'), found('3', 'gone'), found('4', 'busy', { active: true })] });
    await uploads.recall();
    await uploads.recall();
    expect([states(uploads), uploads.items[0]!.sent, uploads.active.length]).toEqual([['lost', 'lost', 'lost'], 7_000_000, 0]);
    expect(uploads.choose(uploads.items[0]!, large('film', 20_000_001).file)).toBe(false);
    expect(uploads.choose(uploads.items[0]!, large('film', 20_000_000, 6).file)).toBe(false);
    expect(uploads.choose(uploads.items[0]!, large('film').file)).toBe(true);
    // The same file by any other way goes on as well.
    uploads.add([large('other')], 'photos');
    uploads.cancel(uploads.items[2]!);
    await settled();
    expect(calls.map((call) => call.url.split('/').pop())).toEqual(['1', '2']);
    expect(discarded.map((url) => url.split('/').pop())).toEqual(['3']);
    expect(uploads.items).toHaveLength(3);
    uploads.leave();
  });

  test('that are in the library already are not sent', async () => {
    const { calls, uploads } = largeDesk({ known: async (files) => new Map(files.filter((one) => one.name === 'known').map((one) => [one, { media: 'm', here: true }])) });
    uploads.add([large('known'), large('new'), large('huge', 100_000_000)], 'photos');
    await settled();
    await settled();
    expect(states(uploads)).toEqual(['known', 'sending', 'sending']);
    expect(calls.map((call) => call.name).toSorted()).toEqual(['huge', 'new']);
    uploads.leave();
  });
});

test('a chosen folder keeps its tree and leaves the clutter behind', () => {
  const inside = (path: string) => Object.defineProperty(new File([''], path.split('/').at(-1)!), 'webkitRelativePath', { value: path });
  const list = [inside('trip/a.jpg'), inside('trip/day 2/b.jpg'), inside('trip/.DS_Store')] as unknown as FileList;
  expect(chosenFiles(list, 'Family').map((f) => `${f.folder}/${f.file.name}`)).toEqual(['Family/trip/a.jpg', 'Family/trip/day 2/b.jpg']);
});
