import { afterEach, describe, expect, test, vi } from 'vitest';
import { ApiError, errorOf, sentence } from '../src/lib/problem';
import { address, onSend, send } from '../src/lib/send';

const answer = (status: number, body?: unknown, headers: Record<string, string> = {}) =>
  vi.stubGlobal('fetch', vi.fn(() => Promise.resolve(new Response(body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body), { status, headers }))));

afterEach(() => {
  vi.unstubAllGlobals();
  onSend({ ended: () => {}, reached: () => {} });
});

describe('problems become errors with a sentence', () => {
  test('a known code has our own words', () => {
    const error = errorOf(409, { type: '/problems/last-owner', title: 'Last owner', status: 409, detail: 'internal wording' });
    expect([error.code, error.message]).toEqual(['last-owner', 'This is the only owner left. Make somebody else an owner first.']);
  });

  test('an unknown code shows the detail, then the title', () => {
    expect(errorOf(422, { type: '/problems/bad-mask', detail: 'The mask has another size.' }).message).toBe('The mask has another size.');
    expect(errorOf(422, { type: '/problems/bad-mask', title: 'Bad mask' }).message).toBe('Bad mask');
  });

  test('the insides of a failing server are not shown', () => {
    expect(errorOf(500, { title: 'Internal Server Error' }).message).toContain('isn’t your fault');
    expect(errorOf(502, undefined).message).toContain('isn’t your fault');
    expect(sentence(new TypeError('x is undefined'))).toContain('isn’t your fault');
  });

  test('fields and the time to wait are kept', () => {
    const error = errorOf(429, { type: '/problems/too-many-attempts', errors: [{ field: 'email', detail: 'x' }] }, '25');
    expect([error.retryAfter, error.fields[0]?.field]).toEqual([25, 'email']);
    expect(errorOf(429, {}, 'Sat, 21 Nov 2026 12:00:00 GMT').retryAfter).toBeNull();
  });
});

describe('send', () => {
  test('builds the address without what is not given', () => {
    expect(address('/media', { q: 'a&b', folder: '', cursor: null, sort: undefined, limit: 5 })).toBe('/api/v1/media?q=a%26b&folder=&limit=5');
  });

  test('returns the answer, and nothing for 204', async () => {
    answer(200, { id: '1' });
    expect(await send('GET', '/media/1')).toEqual({ id: '1' });
    answer(204);
    expect(await send('DELETE', '/media/1')).toBeUndefined();
  });

  test('throws what the problem says, also when the body is not JSON', async () => {
    answer(404, { type: '/problems/not-found', title: 'Not found', status: 404, detail: 'No such media.' });
    await expect(send('GET', '/media/1')).rejects.toMatchObject({ code: 'not-found', status: 404, message: 'No such media.' });
    answer(502, '<html>Bad gateway</html>');
    await expect(send('GET', '/media/1')).rejects.toBeInstanceOf(ApiError);
  });

  test('asks again when it was too fast, as long as the server says and not for ever', async () => {
    vi.useFakeTimers();
    const slow = () => new Response(JSON.stringify({ type: '/problems/rate-limited', status: 429 }), { status: 429, headers: { 'retry-after': '3' } });
    const asked = vi.fn(() => Promise.resolve(asked.mock.calls.length < 3 ? slow() : new Response('{"id":"1"}')));
    vi.stubGlobal('fetch', asked);
    const sent = send('POST', '/media/1/copy', { body: {} });
    await vi.advanceTimersByTimeAsync(2900);
    expect(asked).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await sent).toEqual({ id: '1' });
    expect(asked).toHaveBeenCalledTimes(3);
    answer(429, { type: '/problems/rate-limited', status: 429 }, { 'retry-after': '1' });
    const never = expect(send('GET', '/media')).rejects.toMatchObject({ code: 'rate-limited' });
    await vi.advanceTimersByTimeAsync(20_000);
    await never;
    expect(fetch).toHaveBeenCalledTimes(6);
    vi.useRealTimers();
    // Too many wrong passwords are told at once.
    answer(429, { type: '/problems/too-many-attempts', status: 429 }, { 'retry-after': '60' });
    await expect(send('POST', '/auth/login', { body: {} })).rejects.toMatchObject({ retryAfter: 60 });
  });

  test('tells when the session has ended, but not for a wrong password', async () => {
    const ended = vi.fn();
    onSend({ ended });
    answer(401, { type: '/problems/wrong-credentials', status: 401 });
    await expect(send('POST', '/auth/login', { body: {} })).rejects.toThrow();
    expect(ended).not.toHaveBeenCalled();
    answer(401, { type: '/problems/not-signed-in', status: 401 });
    await expect(send('GET', '/media')).rejects.toThrow();
    expect(ended).toHaveBeenCalledOnce();
  });

  test('a server that does not answer is told as such; an abort is not', async () => {
    const reached = vi.fn();
    onSend({ reached });
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
    await expect(send('GET', '/media')).rejects.toMatchObject({ code: 'unreachable' });
    expect(reached).toHaveBeenCalledWith(false);
    const control = new AbortController();
    control.abort();
    vi.stubGlobal('fetch', () => Promise.reject(new DOMException('x', 'AbortError')));
    await expect(send('GET', '/media', { signal: control.signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(reached).toHaveBeenCalledTimes(1);
  });
});
