/** Large files by tus. Loaded only when there is one: the client is as large as half of the library page. */
import { DetailedError, Upload as Tus } from 'tus-js-client';
import { errorOf, unreachable } from './problem';
import { address } from './send';
import type { LargeTransport } from './uploads.svelte';

/** Bytes in one request: proxies in front may not let more pass. */
const chunkBytes = 64 * 1024 * 1024;

function explain(error: Error | DetailedError) {
  const answer = error instanceof DetailedError ? error.originalResponse : null;
  if (!answer || answer.getStatus() === 0) return unreachable();
  let body: unknown;
  try {
    body = JSON.parse(answer.getBody());
  } catch {
    body = undefined;
  }
  return errorOf(answer.getStatus(), body, answer.getHeader('retry-after') ?? null);
}

export const tus: LargeTransport = ({ file, name, bucket, folder, url }, on, signal) =>
  new Promise((resolve, reject) => {
    let media = '';
    const sending = new Tus(file, {
      // One that has begun is never begun anew behind our back, as the client does where it finds an endpoint.
      endpoint: url ? null : new URL(address('/uploads'), document.baseURI).href,
      uploadUrl: url ? new URL(url, document.baseURI).href : null,
      chunkSize: chunkBytes,
      metadata: { filename: name, filetype: file.type, bucket, folder, modified: String(file.lastModified) },
      // Where it stands is asked from the server, and when to try again is decided by the list of uploads.
      storeFingerprintForResuming: false,
      retryDelays: null,
      onUploadUrlAvailable: () => on.begun(new URL(sending.url!).pathname),
      onProgress: (sent) => on.sent(sent),
      onAfterResponse: (_, answer) => {
        media = answer.getHeader('Safelight-Media-Id') ?? media;
      },
      onSuccess: () => resolve(media),
      onError: (error) => reject(explain(error)),
    });
    signal.addEventListener('abort', () => {
      void sending.abort();
      reject(new DOMException('stopped', 'AbortError'));
    });
    sending.start();
  });
