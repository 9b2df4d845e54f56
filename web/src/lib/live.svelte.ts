import { address, onSend, send } from './send';
import { sessionEnded } from './session.svelte';
import type { Batch, JobState, Restoration } from './types';

export type Events = {
  media: { id: string; bucket: string; change: 'created' | 'updated' | 'trashed' | 'removed' | 'many' };
  /** One sees other buckets now, or may do other things in them. */
  buckets: Record<string, never>;
  restoration: Restoration;
  batch: Batch;
  job: { id: string; kind: string; state: JobState; progress: number };
  scan: { media_id: string; job_id: string; state: JobState; progress: number; items: string[]; error: { code: string; detail: string } | null };
};

/** The one event stream. `lost` turns true when it has been away for a while, which the shell shows as a banner. */
export const live = $state({ open: false, lost: false, offline: typeof navigator !== 'undefined' && !navigator.onLine });

const handlers = new Map<string, Set<(data: never) => void>>();
let source: EventSource | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;
let grace: ReturnType<typeof setTimeout> | undefined;
let wait = 1000;
/** Something may have happened unheard. */
let gap = false;

/** Hears one kind of event until the returned function is called. */
export function on<K extends keyof Events>(kind: K, handler: (data: Events[K]) => void): () => void {
  const set = handlers.get(kind) ?? new Set();
  handlers.set(kind, set.add(handler as (data: never) => void));
  return () => set.delete(handler as (data: never) => void);
}

const reopened = new Set<() => void>();
/** Calls when the stream is back after a gap: whatever it would have told has to be asked for. */
export function onReopen(handler: () => void): () => void {
  reopened.add(handler);
  return () => reopened.delete(handler);
}

function missing() {
  live.open = false;
  gap = true;
  grace ??= setTimeout(() => (live.lost = true), 4000);
}

export function connect() {
  if (source) return;
  clearTimeout(retry);
  const stream = (source = new EventSource(address('/events')));
  stream.onopen = () => {
    clearTimeout(grace);
    grace = undefined;
    wait = 1000;
    live.open = true;
    live.lost = false;
    if (gap) for (const handler of reopened) handler();
    gap = false;
  };
  stream.onerror = () => {
    missing();
    // The browser itself tries again after a broken connection, but gives up on an answer such as 401 or 503.
    if (stream.readyState === EventSource.CLOSED && source === stream) {
      source = null;
      wait = Math.min(wait * 2, 30_000);
      retry = setTimeout(reconnect, wait);
    }
  };
  stream.addEventListener('bye', missing);
  stream.addEventListener('session-ended', () => {
    disconnect();
    sessionEnded();
  });
  for (const kind of ['media', 'buckets', 'restoration', 'batch', 'job', 'scan']) {
    stream.addEventListener(kind, (event) => {
      const data = JSON.parse((event as MessageEvent<string>).data) as never;
      for (const handler of handlers.get(kind) ?? []) handler(data);
    });
  }
}

async function reconnect() {
  // Finds out whether it was the session; `send` reports that by itself.
  const fine = await send('GET', '/auth/me').then(
    () => true,
    () => false,
  );
  if (fine) connect();
  else if (wanted) {
    wait = Math.min(wait * 2, 30_000);
    retry = setTimeout(reconnect, wait);
  }
}

/** Closes the stream for a while. */
function rest() {
  if (!source) return;
  source.close();
  source = null;
  gap = true;
  live.open = false;
}

let wanted = false;
export function watch() {
  wanted = true;
  connect();
}

export function disconnect() {
  wanted = false;
  source?.close();
  source = null;
  clearTimeout(retry);
  clearTimeout(grace);
  grace = undefined;
  gap = false;
  Object.assign(live, { open: false, lost: false });
}

if (typeof addEventListener === 'function') {
  addEventListener('online', () => {
    live.offline = false;
    if (wanted && !source) void reconnect();
  });
  addEventListener('offline', () => (live.offline = true));
  // Over HTTP/1.1 a browser has six connections to a server, for all its tabs: one that nobody looks at gives its up.
  let hidden: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(rest, 60_000);
    else if (wanted) connect();
  });
  // The same for a page that is kept for the back button.
  addEventListener('pagehide', rest);
  addEventListener('pageshow', () => wanted && connect());
}
onSend({ reached: (yes) => (yes ? (live.offline = !navigator.onLine) : missing()) });
