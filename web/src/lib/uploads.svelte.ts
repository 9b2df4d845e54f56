import { api } from './base';
import { ApiError, errorOf, sentence, unreachable } from './problem';
import { address, send } from './send';
import type { Media, Unfinished, UploadAnswer } from './types';

/**
 * `offline` waits for the connection, `paused` for the person, and `lost` for the file: it was begun before the page was
 * loaded anew, and only the person can give the page the file again. `known` was there already; `placed` was elsewhere in
 * the library, and lies there now too without having been sent.
 */
export type UploadState = 'waiting' | 'sending' | 'storing' | 'paused' | 'offline' | 'lost' | 'done' | 'known' | 'placed' | 'failed' | 'cancelled';

export class Upload {
  state: UploadState = $state('waiting');
  sent = $state(0);
  problem = $state('');
  media: Media | null = $state.raw(null);
  /** None while it is lost. */
  file: File | null = $state.raw(null);
  /** Where the server keeps what has arrived of a large file. */
  url = '';
  /** Tries since something last arrived. */
  tries = 0;
  private constructor(
    readonly id: number,
    readonly name: string,
    readonly size: number,
    readonly bucket: string,
    readonly folder: string,
    readonly modified: number,
  ) {}

  static of(id: number, file: File, bucket: string, folder: string): Upload {
    const upload = new Upload(id, file.name, file.size, bucket, folder, file.lastModified);
    upload.file = file;
    return upload;
  }

  static lost(id: number, found: Unfinished): Upload {
    const upload = new Upload(id, found.filename, found.length ?? 0, found.bucket ?? '', found.folder, Date.parse(found.modified_at ?? '') || 0);
    upload.url = `${api}/uploads/${found.id}`;
    upload.state = 'lost';
    upload.sent = found.offset;
    return upload;
  }

  /** Goes by a protocol that can be interrupted. */
  get large() {
    return this.size > largeFrom;
  }
}

/** Sends one request; resolves with the answer, rejects with an `ApiError`, and reports the bytes that left. */
export type Transport = (form: FormData, onSent: (bytes: number) => void, signal: AbortSignal) => Promise<UploadAnswer>;

/** Sends a file of any size, or what is missing of it; resolves with the id of what it has become. */
export type LargeTransport = (
  what: { file: File; name: string; bucket: string; folder: string; url: string },
  on: { begun: (url: string) => void; sent: (bytes: number) => void },
  signal: AbortSignal,
) => Promise<string>;

type Where = { bucket: string; folder: string };

/** What the list needs beyond sending: injected, so that tests can do without a server. */
export type Desk = {
  large: LargeTransport;
  /** Of some files for a folder, those that need not be sent: the media that has the content, and whether it is there. */
  known: (files: File[], where: Where, signal: AbortSignal) => Promise<Map<File, { media: string; here: boolean }>>;
  /** Puts what the library has somewhere else too. */
  place: (media: string, where: Where, name: string) => Promise<Media>;
  media: (id: string) => Promise<Media>;
  discard: (url: string) => Promise<void>;
  unfinished: () => Promise<Unfinished[]>;
};

const perRequest = 10;
const smallEnough = 4_000_000;
const largeFrom = 8 * 1024 * 1024;
/** Up to here a file is hashed in one go, in memory. */
const hashedUpTo = 64 * 1024 * 1024;
const parallel = 2;
const finished = new Set<UploadState>(['done', 'known', 'placed', 'failed', 'cancelled']);
/** Those of which the person knows that nothing moves. */
const resting = new Set<UploadState>(['paused', 'lost']);
/** What passes by itself: the server is away, restarts, or has not noticed yet that the last connection is dead. */
const passing = (error: ApiError) => ['unreachable', 'wrong-offset', 'upload-interrupted', 'rate-limited'].includes(error.code) || [408, 423, 500, 502, 503, 504].includes(error.status);

/**
 * Files on their way to the library. Small files share a request, large ones travel alone and can be interrupted; two
 * requests run at a time. A file that fails takes none of its neighbours with it.
 */
export class Uploads {
  items: Upload[] = $state([]);
  /** Bytes per second, smoothed. */
  speed = $state(0);
  /** Called with what was stored. */
  onStored: (media: Media[]) => void = () => {};

  private next = 0;
  private running = new Map<AbortController, Upload[]>();
  private clock = 0;
  private moved = 0;
  private timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(
    private transport: Transport,
    private desk: Partial<Desk> = {},
  ) {}

  readonly active = $derived(this.items.filter((item) => !finished.has(item.state) && !resting.has(item.state)));
  readonly paused = $derived(this.items.filter((item) => item.state === 'paused'));
  readonly lost = $derived(this.items.filter((item) => item.state === 'lost'));
  readonly failed = $derived(this.items.filter((item) => item.state === 'failed'));
  readonly done = $derived(this.items.filter((item) => item.state === 'done'));
  readonly known = $derived(this.items.filter((item) => item.state === 'known'));
  readonly placed = $derived(this.items.filter((item) => item.state === 'placed'));
  /** Whoever leaves now leaves something behind: what is under way, or what went wrong and nobody has put away. */
  readonly unfinished = $derived(this.active.length + this.failed.length > 0);
  /** Nothing moves, because the server can't be reached. */
  readonly offline = $derived(this.active.some((item) => item.state === 'offline') && !this.active.some((item) => item.state === 'sending' || item.state === 'storing'));
  private readonly counted = $derived(this.items.filter((item) => !['cancelled', 'failed', 'lost'].includes(item.state)));
  readonly totalBytes = $derived(this.counted.reduce((sum, item) => sum + item.size, 0));
  readonly sentBytes = $derived(this.counted.reduce((sum, item) => sum + Math.min(item.sent, item.size), 0));
  readonly progress = $derived(this.totalBytes ? this.sentBytes / this.totalBytes : this.active.length ? 0 : 1);

  add(files: { file: File; folder: string }[], bucket: string) {
    for (const { file, folder } of files) if (!this.found(file, folder, bucket)) this.items.push(Upload.of(this.next++, file, bucket, folder));
    this.pump();
  }

  /** Goes on with a file that was lost, if this is it. */
  private found(file: File, folder: string, bucket: string): boolean {
    const lost = this.items.find((item) => item.state === 'lost' && item.folder === folder && item.bucket === bucket && same(item, file));
    if (!lost) return false;
    lost.file = file;
    lost.state = 'waiting';
    return true;
  }

  /** Goes on with a lost file. False when it is another file, or has changed since. */
  choose(item: Upload, file: File): boolean {
    if (item.state !== 'lost' || !same(item, file)) return false;
    item.file = file;
    item.state = 'waiting';
    this.pump();
    return true;
  }

  /** Asks what this person has begun and not finished, here or elsewhere. */
  async recall() {
    const unfinished = (await this.desk.unfinished?.().catch(() => [])) ?? [];
    for (const found of unfinished) {
      if (found.active || found.state !== 'receiving' || found.length === null) continue;
      const url = `${api}/uploads/${found.id}`;
      if (!this.items.some((item) => item.url === url)) this.items.push(Upload.lost(this.next++, found));
    }
    // What the last page was just sending is let go in a moment.
    if (unfinished.some((found) => found.active && !this.items.some((item) => item.url.endsWith(found.id)))) this.later(3000, () => void this.recall());
  }

  pause(item?: Upload) {
    for (const one of item ? [item] : this.active) {
      if (!one.large || finished.has(one.state) || one.state === 'storing') continue;
      const request = this.requestOf(one);
      one.state = 'paused';
      if (request) this.stop(request);
    }
    this.pump();
  }

  resume(item?: Upload) {
    for (const one of item ? [item] : this.paused) if (one.state === 'paused') one.state = 'waiting';
    this.pump();
  }

  /** The connection is back: nobody waits any longer. */
  wake() {
    for (const item of this.items) {
      if (item.state !== 'offline') continue;
      item.tries = 0;
      item.state = 'waiting';
    }
    this.pump();
  }

  cancel(item: Upload) {
    if (finished.has(item.state)) return;
    const request = this.requestOf(item);
    item.state = 'cancelled';
    // The others of its request go again.
    if (request) this.stop(request);
    this.discard(item);
    this.pump();
  }

  cancelAll() {
    for (const item of this.items) {
      if (finished.has(item.state) || item.state === 'lost') continue;
      item.state = 'cancelled';
      this.discard(item);
    }
    for (const control of [...this.running.keys()]) this.stop(control);
  }

  /** Somebody else comes: nothing goes on here, and what was begun can be gone on with later. */
  leave() {
    for (const item of this.items) if (!finished.has(item.state)) item.state = 'cancelled';
    for (const control of [...this.running.keys()]) this.stop(control);
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.items = [];
  }

  retry(item?: Upload) {
    for (const one of item ? [item] : this.items.filter((x) => x.state === 'failed')) {
      if ((one.state !== 'failed' && one.state !== 'cancelled') || !one.file) continue;
      one.state = 'waiting';
      one.tries = 0;
      if (!one.url) one.sent = 0;
      one.problem = '';
    }
    this.pump();
  }

  /** Takes what is over, or waits for a file, out of the list. */
  clear() {
    this.items = this.items.filter((item) => !finished.has(item.state) && item.state !== 'lost');
  }

  private requestOf(item: Upload) {
    return [...this.running].find(([, batch]) => batch.includes(item))?.[0];
  }

  private discard(item: Upload) {
    if (item.url) void this.desk.discard?.(item.url).catch(() => undefined);
    item.url = '';
  }

  private later(ms: number, then: () => void) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      then();
    }, ms);
    this.timers.add(timer);
  }

  private stop(control: AbortController) {
    const batch = this.running.get(control) ?? [];
    this.running.delete(control);
    control.abort();
    for (const item of batch) {
      if (item.state === 'sending' || item.state === 'storing') {
        item.state = 'waiting';
        item.sent = 0;
      }
    }
  }

  private pump() {
    while (this.running.size < parallel) {
      const batch = this.nextBatch();
      if (batch.length === 0) break;
      if (batch[0]!.large && this.desk.large) void this.sendLarge(batch[0]!, this.desk.large);
      else void this.sendBatch(batch);
    }
    if (this.running.size === 0) this.speed = 0;
  }

  /** The next files for one request: of one folder, of different names, few bytes together. */
  private nextBatch(): Upload[] {
    const waiting = this.items.filter((item) => item.state === 'waiting');
    const first = waiting[0];
    if (!first) return [];
    const batch = [first];
    let bytes = first.size;
    for (const item of waiting.slice(1)) {
      if (batch.length === perRequest || bytes >= smallEnough) break;
      if (item.bucket !== first.bucket || item.folder !== first.folder) continue;
      if (bytes + item.size > smallEnough || batch.some((other) => other.name === item.name)) continue;
      batch.push(item);
      bytes += item.size;
    }
    return batch;
  }

  /** Marks what need not be sent, and returns the rest. That nobody can be asked is no reason not to send. */
  private async unknown(batch: Upload[], signal: AbortSignal): Promise<Upload[]> {
    const asked = batch.filter((item) => item.file && !item.url && item.size > 0 && item.size <= hashedUpTo);
    if (!this.desk.known || asked.length === 0) return batch;
    const files = asked.map((item) => item.file!);
    const known = await this.desk.known(files, { bucket: batch[0]!.bucket, folder: batch[0]!.folder }, signal).catch(() => null);
    for (const item of known ? batch : []) {
      const found = item.file && known!.get(item.file);
      if (!found || item.state !== 'sending' || signal.aborted) continue;
      if (!found.here && !(await this.place(item, found.media))) continue;
      item.state = found.here ? 'known' : 'placed';
      item.sent = item.size;
    }
    return batch.filter((item) => item.state === 'sending');
  }

  /** Puts what the library has where it was to be sent. What can't be placed is sent, and told what is wrong with it. */
  private async place(item: Upload, media: string): Promise<boolean> {
    const { bucket, folder, name } = item;
    item.media = (await this.desk.place?.(media, { bucket, folder }, name).catch(() => null)) ?? null;
    if (item.media) this.onStored([item.media]);
    return item.media !== null;
  }

  private async sendLarge(item: Upload, large: LargeTransport) {
    const control = new AbortController();
    this.running.set(control, [item]);
    item.state = 'sending';
    const here = () => this.running.has(control);
    let before = item.sent;
    try {
      if ((await this.unknown([item], control.signal)).length === 0 || !here()) return;
      const on = {
        begun: (url: string) => {
          if (here()) item.url = url;
          // It was given up while the server was beginning.
          else if (item.state === 'cancelled') void this.desk.discard?.(url).catch(() => undefined);
        },
        sent: (bytes: number) => {
          if (!here()) return;
          if (bytes > before) item.tries = 0;
          this.measure(Math.max(0, bytes - before));
          before = item.sent = bytes;
          if (bytes >= item.size) item.state = 'storing';
          else item.state = 'sending';
        },
      };
      const { name, bucket, folder, url } = item;
      const id = await large({ file: item.file!, name, bucket, folder, url }, on, control.signal);
      if (!here()) return;
      item.sent = item.size;
      item.url = '';
      item.media = id && this.desk.media ? await this.desk.media(id).catch(() => null) : null;
      item.state = 'done';
      if (item.media) this.onStored([item.media]);
    } catch (error) {
      if (!here()) return;
      if (item.url && error instanceof ApiError && (error.status === 404 || error.status === 410)) {
        // The server has given up what was begun: from the beginning, then.
        item.url = '';
        item.sent = 0;
        item.state = 'waiting';
      } else if (error instanceof ApiError && passing(error) && (error.status !== 500 || item.tries < 5)) {
        this.wait([item], error);
      } else this.fail([item], error);
    } finally {
      this.running.delete(control);
      this.pump();
    }
  }

  private async sendBatch(all: Upload[]) {
    const control = new AbortController();
    this.running.set(control, all);
    for (const item of all) {
      item.state = 'sending';
      item.sent = 0;
    }
    try {
      const batch = this.desk.known ? await this.unknown(all, control.signal) : all;
      if (!this.running.has(control) || batch.length === 0) return;
      const answer = await this.transport(this.form(batch), this.counter(batch, control), control.signal);
      if (!this.running.has(control)) return;
      this.settle(batch, answer);
    } catch (error) {
      if (!this.running.has(control)) return;
      const left = all.filter((item) => !finished.has(item.state));
      // What came too fast was turned away before anything of it was taken.
      if (error instanceof ApiError && error.code === 'rate-limited') this.wait(left, error);
      else this.fail(left, error);
    } finally {
      this.running.delete(control);
      this.pump();
    }
  }

  /** Sends them again in a while, the longer the more often they were. */
  private wait(batch: Upload[], error: ApiError) {
    let wait = (error.retryAfter ?? 0) * 1000;
    for (const item of batch) {
      item.state = 'offline';
      wait = Math.max(wait, Math.min(30_000, 1000 * 2 ** item.tries++));
    }
    this.later(wait, () => {
      for (const item of batch) if (item.state === 'offline') item.state = 'waiting';
      this.pump();
    });
  }

  private form(batch: Upload[]): FormData {
    const form = new FormData();
    form.append('bucket', batch[0]!.bucket);
    if (batch[0]!.folder) form.append('folder', batch[0]!.folder);
    for (const item of batch) form.append('file', item.file!, item.name);
    return form;
  }

  private counter(batch: Upload[], control: AbortController) {
    let before = 0;
    return (bytes: number) => {
      if (!this.running.has(control)) return;
      this.measure(bytes - before);
      before = bytes;
      // The files follow one another in the body, so the bytes that left tell which file is on its way.
      let rest = bytes;
      for (const item of batch) {
        item.sent = Math.min(item.size, Math.max(0, rest));
        rest -= item.size;
        if (item.state === 'sending' && rest >= 0) item.state = 'storing';
      }
    };
  }

  private fail(batch: Upload[], error: unknown) {
    for (const item of batch) {
      item.state = 'failed';
      item.problem = sentence(error);
    }
    // Nothing else will fit or be let in either.
    if (error instanceof ApiError && ['disk-full', 'not-signed-in', 'unreachable', 'forbidden'].includes(error.code)) {
      for (const item of this.items) {
        if (item.state === 'waiting') {
          item.state = 'failed';
          item.problem = sentence(error);
        }
      }
    }
  }

  private settle(batch: Upload[], answer: UploadAnswer) {
    const problems = new Map(answer.problems.map(({ name, problem }) => [name, problem]));
    const stored = [...answer.items];
    for (const item of batch) {
      const problem = problems.get(item.name);
      const media = problem ? undefined : stored.shift();
      if (media) {
        item.state = 'done';
        item.sent = item.size;
        item.media = media;
      } else {
        item.state = 'failed';
        item.problem = problem ? errorOf(problem.status, problem).message : 'The server didn’t say what became of this file.';
      }
    }
    this.onStored(answer.items);
  }

  private measure(bytes: number) {
    const now = performance.now();
    this.moved += bytes;
    const passed = now - this.clock;
    if (passed > 2000) {
      // After a pause the old window says nothing.
      this.clock = now;
      this.moved = 0;
    } else if (passed > 400) {
      const rate = (this.moved / passed) * 1000;
      this.speed = this.speed ? this.speed * 0.6 + rate * 0.4 : rate;
      this.clock = now;
      this.moved = 0;
    }
  }
}

/** A file is the same if its name, its length and the time of its last change are. */
const same = (item: Upload, file: File) => item.name === file.name.trim().normalize('NFC') && item.size === file.size && (!item.modified || item.modified === file.lastModified);

/** Hashes files one by one and asks which of them are in the library. Without HTTPS browsers don't hash. */
const askKnown: Desk['known'] = async (files, where, signal) => {
  if (!globalThis.crypto?.subtle) return new Map();
  const hashed = new Map<File, string>();
  for (const file of files) {
    if (signal.aborted) return new Map();
    const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
    hashed.set(file, [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
  }
  const items = [...hashed].map(([file, sha256]) => ({ sha256, size_bytes: file.size }));
  const known = await send<{ items: { sha256: string; media_id: string; here: boolean }[] }>('POST', '/uploads/known', { body: { items, ...where }, signal });
  const found = new Map(known.items.map(({ sha256, media_id, here }) => [sha256, { media: media_id, here }]));
  return new Map(files.flatMap((file) => (found.has(hashed.get(file)!) ? [[file, found.get(hashed.get(file)!)!] as const] : [])));
};

/** fetch can't report what it has sent; XMLHttpRequest can. */
export const xhr: Transport = (form, onSent, signal) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const total = [...form.values()].reduce((sum, value) => sum + (value instanceof File ? value.size : 0), 0);
    request.open('POST', address('/media'));
    request.setRequestHeader('accept', 'application/json');
    request.upload.onprogress = (event) => onSent(event.total ? Math.round((event.loaded / event.total) * total) : 0);
    request.onload = () => {
      let body: unknown;
      try {
        body = JSON.parse(request.responseText);
      } catch {
        body = undefined;
      }
      const answer = body as Partial<UploadAnswer> | undefined;
      // Also an answer of only failures names each file.
      if (answer?.items && answer.problems) resolve(answer as UploadAnswer);
      else reject(errorOf(request.status, body, request.getResponseHeader('retry-after')));
    };
    request.onerror = () => reject(unreachable());
    signal.addEventListener('abort', () => {
      request.abort();
      reject(new DOMException('cancelled', 'AbortError'));
    });
    request.send(form);
  });

export const uploads = new Uploads(xhr, {
  large: async (what, on, signal) => (await import('./tus')).tus(what, on, signal),
  known: askKnown,
  place: (media, where, name) => send<Media>('POST', `/media/${media}/copy`, { body: { ...where, name, on_conflict: 'rename', plain: true } }),
  media: (id) => send<Media>('GET', `/media/${id}`),
  discard: (url) => send('DELETE', url.slice(api.length), { headers: { 'tus-resumable': '1.0.0' } }),
  unfinished: async () => (await send<{ items: Unfinished[] }>('GET', '/uploads')).items,
});
