import { describe, expect, test } from 'vitest';
import { ApiError } from '../src/lib/problem';
import type { Media, UploadAnswer } from '../src/lib/types';
import { chosenFiles, Uploads, type Transport } from '../src/lib/uploads.svelte';

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

test('a chosen folder keeps its tree and leaves the clutter behind', () => {
  const inside = (path: string) => Object.defineProperty(new File([''], path.split('/').at(-1)!), 'webkitRelativePath', { value: path });
  const list = [inside('trip/a.jpg'), inside('trip/day 2/b.jpg'), inside('trip/.DS_Store')] as unknown as FileList;
  expect(chosenFiles(list, 'Family').map((f) => `${f.folder}/${f.file.name}`)).toEqual(['Family/trip/a.jpg', 'Family/trip/day 2/b.jpg']);
});
