import { address } from './send';
import { ApiError, errorOf, sentence, unreachable } from './problem';
import type { Media, UploadAnswer } from './types';

export type UploadState = 'waiting' | 'sending' | 'storing' | 'done' | 'failed' | 'cancelled';

export class Upload {
  state: UploadState = $state('waiting');
  sent = $state(0);
  problem = $state('');
  media: Media | null = $state.raw(null);

  constructor(
    readonly id: number,
    readonly file: File,
    readonly bucket: string,
    readonly folder: string,
  ) {}
}

/** Sends one request; resolves with the answer, rejects with an `ApiError`, and reports the bytes that left. */
export type Transport = (form: FormData, onSent: (bytes: number) => void, signal: AbortSignal) => Promise<UploadAnswer>;

const perRequest = 10;
const smallEnough = 4_000_000;
const parallel = 2;
const finished = new Set<UploadState>(['done', 'failed', 'cancelled']);

/**
 * Files on their way to the library. Small files share a request, large ones travel alone; two requests run at a time.
 * A file that fails takes none of its neighbours with it.
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

  constructor(private transport: Transport) {}

  readonly active = $derived(this.items.filter((item) => !finished.has(item.state)));
  readonly failed = $derived(this.items.filter((item) => item.state === 'failed'));
  readonly done = $derived(this.items.filter((item) => item.state === 'done'));
  readonly totalBytes = $derived(this.items.reduce((sum, item) => sum + (item.state === 'cancelled' || item.state === 'failed' ? 0 : item.file.size), 0));
  readonly sentBytes = $derived(this.items.reduce((sum, item) => sum + (item.state === 'cancelled' || item.state === 'failed' ? 0 : Math.min(item.sent, item.file.size)), 0));
  readonly progress = $derived(this.totalBytes ? this.sentBytes / this.totalBytes : this.active.length ? 0 : 1);

  add(files: { file: File; folder: string }[], bucket: string) {
    this.items.push(...files.map(({ file, folder }) => new Upload(this.next++, file, bucket, folder)));
    this.pump();
  }

  cancel(item: Upload) {
    if (finished.has(item.state)) return;
    const request = [...this.running].find(([, batch]) => batch.includes(item));
    item.state = 'cancelled';
    // The others of its request go again.
    if (request) this.stop(request[0]);
    this.pump();
  }

  cancelAll() {
    for (const item of this.items) if (!finished.has(item.state)) item.state = 'cancelled';
    for (const control of [...this.running.keys()]) this.stop(control);
  }

  retry(item?: Upload) {
    for (const one of item ? [item] : this.items.filter((x) => x.state === 'failed')) {
      if (one.state !== 'failed' && one.state !== 'cancelled') continue;
      one.state = 'waiting';
      one.sent = 0;
      one.problem = '';
    }
    this.pump();
  }

  /** Takes what is over out of the list. */
  clear() {
    this.items = this.items.filter((item) => !finished.has(item.state));
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
      void this.sendBatch(batch);
    }
    if (this.running.size === 0) this.speed = 0;
  }

  /** The next files for one request: of one folder, of different names, few bytes together. */
  private nextBatch(): Upload[] {
    const waiting = this.items.filter((item) => item.state === 'waiting');
    const first = waiting[0];
    if (!first) return [];
    const batch = [first];
    let bytes = first.file.size;
    for (const item of waiting.slice(1)) {
      if (batch.length === perRequest || bytes >= smallEnough) break;
      if (item.bucket !== first.bucket || item.folder !== first.folder) continue;
      if (bytes + item.file.size > smallEnough || batch.some((other) => other.file.name === item.file.name)) continue;
      batch.push(item);
      bytes += item.file.size;
    }
    return batch;
  }

  private async sendBatch(batch: Upload[]) {
    const control = new AbortController();
    this.running.set(control, batch);
    const form = new FormData();
    form.append('bucket', batch[0]!.bucket);
    if (batch[0]!.folder) form.append('folder', batch[0]!.folder);
    for (const item of batch) {
      item.state = 'sending';
      item.sent = 0;
      form.append('file', item.file, item.file.name);
    }
    let before = 0;
    const onSent = (bytes: number) => {
      if (!this.running.has(control)) return;
      this.measure(bytes - before);
      before = bytes;
      // The files follow one another in the body, so the bytes that left tell which file is on its way.
      let rest = bytes;
      for (const item of batch) {
        item.sent = Math.min(item.file.size, Math.max(0, rest));
        rest -= item.file.size;
        if (item.state === 'sending' && rest >= 0) item.state = 'storing';
      }
    };
    try {
      const answer = await this.transport(form, onSent, control.signal);
      if (!this.running.has(control)) return;
      this.settle(batch, answer);
    } catch (error) {
      if (!this.running.has(control)) return;
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
    } finally {
      this.running.delete(control);
      this.pump();
    }
  }

  private settle(batch: Upload[], answer: UploadAnswer) {
    const problems = new Map(answer.problems.map(({ name, problem }) => [name, problem]));
    const stored = [...answer.items];
    for (const item of batch) {
      const problem = problems.get(item.file.name);
      const media = problem ? undefined : stored.shift();
      if (media) {
        item.state = 'done';
        item.sent = item.file.size;
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

export const uploads = new Uploads(xhr);

/** The files of a drop, with the folders they lie in, walking into dropped folders. */
export async function droppedFiles(data: DataTransfer, into: string): Promise<{ file: File; folder: string }[]> {
  const entries = [...data.items].filter((item) => item.kind === 'file').map((item) => item.webkitGetAsEntry?.() ?? null);
  if (entries.every((entry) => entry === null)) return [...data.files].map((file) => ({ file, folder: into }));
  const found: { file: File; folder: string }[] = [];
  const walk = async (entry: FileSystemEntry, folder: string): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      if (!clutter(file.name)) found.push({ file, folder });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    const inside = join(folder, entry.name);
    // A reader hands out its entries in portions until one is empty.
    for (;;) {
      const portion = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (portion.length === 0) return;
      for (const child of portion) await walk(child, inside);
    }
  };
  for (const entry of entries) if (entry) await walk(entry, into);
  return found;
}

/** The files of an `<input type=file>`, with the folders below the chosen one. */
export function chosenFiles(files: FileList, into: string): { file: File; folder: string }[] {
  return [...files]
    .filter((file) => !file.webkitRelativePath || !clutter(file.name))
    .map((file) => ({ file, folder: join(into, file.webkitRelativePath.split('/').slice(0, -1).join('/')) }));
}

const clutter = (name: string) => name === '.DS_Store' || name === 'Thumbs.db' || name === 'desktop.ini';
const join = (a: string, b: string) => (a && b ? `${a}/${b}` : a || b);
