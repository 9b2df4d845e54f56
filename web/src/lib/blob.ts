/** Answers of the API that are pictures, and requests that aren't JSON. */
import { errorOf, unreachable } from './problem';
import { address } from './send';

async function ask(path: string, init: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address(path), { method: 'POST', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw unreachable();
  }
  if (!answer.ok) throw errorOf(answer.status, await answer.json().catch(() => undefined), answer.headers.get('retry-after'));
  return answer;
}

/** Sends JSON and gets a picture. */
export const sendForPicture = async (path: string, body: unknown, signal?: AbortSignal): Promise<Blob> =>
  (await ask(path, { body: JSON.stringify(body), headers: { accept: 'image/*, application/json', 'content-type': 'application/json' }, signal })).blob();

/** Sends text of some kind and gets JSON. */
export const sendText = async <T>(path: string, text: string, type: string): Promise<T> =>
  (await ask(path, { body: text, headers: { accept: 'application/json', 'content-type': type } })).json() as Promise<T>;
