import { api } from './base';
import { errorOf, unreachable } from './problem';

type Query = Record<string, string | number | boolean | null | undefined>;
type Options = { query?: Query; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal };

const listeners = { ended: () => {}, reached: (_: boolean) => {} };

/** Names who wants to hear that the session is over, and whether the server could be reached. */
export function onSend(handlers: Partial<typeof listeners>) {
  Object.assign(listeners, handlers);
}

export function address(path: string, query: Query = {}): string {
  const pairs = Object.entries(query).flatMap(([key, value]) => (value === null || value === undefined ? [] : [[key, String(value)]]));
  const text = new URLSearchParams(pairs).toString();
  return api + path + (text ? `?${text}` : '');
}

/**
 * Sends one request to the API and returns the answer's JSON (`undefined` for 204).
 *
 * Throws an `ApiError` with a readable message, or the `AbortError` of `signal`. A request that came too fast is sent
 * again some times: it was turned away before anything was done with it, whatever it is.
 */
export async function send<T = void>(method: string, path: string, options: Options = {}, again = 5): Promise<T> {
  const { query, body, headers, signal } = options;
  let answer: Response;
  try {
    answer = await fetch(address(path, query), {
      method,
      signal,
      headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    listeners.reached(false);
    throw unreachable();
  }
  listeners.reached(true);
  const json: unknown = answer.status === 204 ? undefined : await answer.json().catch(() => undefined);
  if (answer.ok) return json as T;
  const error = errorOf(answer.status, json, answer.headers.get('retry-after'));
  if (error.code === 'not-signed-in') listeners.ended();
  if (error.code !== 'rate-limited' || !again) throw error;
  await new Promise((over) => setTimeout(over, error.retryAfter! * 1000));
  return send(method, path, options, again - 1);
}
