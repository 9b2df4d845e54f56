// Uploads a file with tus-js-client in the ways that it knows: in chunks with a pause in between, in parallel pieces that
// are put together, and of a length that is not known beforehand.
//
//   node tus-js-client.mjs ENDPOINT COOKIE FILE
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { Readable } from 'node:stream';

const { Upload } = createRequire(new URL('../../web/package.json', import.meta.url))('tus-js-client');
const [endpoint, Cookie, path] = process.argv.slice(2);
const headers = { Cookie, 'Sec-Fetch-Site': 'same-origin' };
const metadata = { filename: basename(path) };

function upload(options, then = () => {}, source = createReadStream(path)) {
  return new Promise((resolve, reject) => {
    const one = new Upload(source, {
      endpoint,
      headers,
      metadata,
      retryDelays: [0, 200, 1000],
      onError: reject,
      onSuccess: () => resolve(one.url),
      ...options,
    });
    then(one);
    one.start();
  });
}

let paused = false;
console.log('uploaded', await upload({ chunkSize: 1_000_000 }, (one) => {
  one.options.onChunkComplete = (_, accepted) => {
    if (paused || accepted < 2_000_000) return;
    paused = true;
    void one.abort().then(() => one.start());
  };
}));
if (!paused) throw new Error('it was never paused');
console.log('uploaded', await upload({ parallelUploads: 3 }));
// A stream that is no file tells no length.
const unknown = Readable.from(createReadStream(path));
console.log('uploaded', await upload({ chunkSize: 700_000, uploadLengthDeferred: true, uploadDataDuringCreation: true }, undefined, unknown));
console.log('uploaded', await upload({ chunkSize: 2_000_000, overridePatchMethod: true }));
const removed = await new Promise((resolve, reject) => {
  const one = new Upload(createReadStream(path), {
    endpoint, headers, metadata, chunkSize: 500_000, onError: reject, onChunkComplete: () => void one.abort(true).then(() => resolve(one.url), reject),
  });
  one.start();
});
const gone = await fetch(new URL(removed, endpoint), { method: 'HEAD', headers: { ...headers, 'Tus-Resumable': '1.0.0' } });
if (gone.status !== 404) throw new Error(`a removed upload answers ${gone.status}`);
