import { on, onReopen } from './live.svelte';
import { ApiError, sentence } from './problem';
import { send } from './send';
import type { Media, Page } from './types';

export type ListingQuery = {
  bucket?: string;
  folder?: string;
  /** The folders below it too. */
  recursive?: boolean;
  q?: string;
  sort?: string;
  /** The latest day, for a list that begins in the past. */
  taken_to?: string;
  trashed?: boolean;
};

const size = 200;

/**
 * The list of media being looked at, loaded page by page. One for the app: the viewer steps through it, and coming back
 * finds it where it was left.
 */
class Listing {
  items: Media[] = $state.raw([]);
  state: 'idle' | 'loading' | 'ready' | 'error' = $state('idle');
  more = $state(false);
  loadingMore = $state(false);
  error = $state('');
  /** The server does not know the bucket or folder. */
  missing = $state(false);
  query: ListingQuery = $state.raw({});
  /** The app's address of the page that shows it, and where that was scrolled to. */
  home = '';
  top = 0;

  private key = '';
  private cursor: string | null = null;
  private running: AbortController | null = null;
  private waiting = new Map<string, string>();
  private flush: ReturnType<typeof setTimeout> | undefined;
  private again: ReturnType<typeof setTimeout> | undefined;

  /** Shows the list of a query; does nothing when it is the present one. */
  open(query: ListingQuery): Promise<void> {
    const key = JSON.stringify(query);
    if (key === this.key && this.state !== 'error') return Promise.resolve();
    this.key = key;
    this.query = query;
    this.top = 0;
    this.items = [];
    return this.reload();
  }

  async reload(): Promise<void> {
    this.running?.abort();
    const running = (this.running = new AbortController());
    if (this.items.length === 0) this.state = 'loading';
    this.loadingMore = false;
    this.missing = false;
    try {
      const page = await send<Page<Media>>('GET', '/media', { query: { ...this.query, limit: size }, signal: running.signal });
      this.take(page, true);
      this.state = 'ready';
    } catch (error) {
      if (running.signal.aborted) return;
      this.error = sentence(error);
      this.missing = error instanceof ApiError && error.status === 404;
      this.state = 'error';
    }
  }

  async loadMore(): Promise<void> {
    if (!this.cursor || this.loadingMore || this.state !== 'ready') return;
    this.loadingMore = true;
    this.error = '';
    const signal = this.running?.signal;
    try {
      this.take(await send<Page<Media>>('GET', '/media', { query: { ...this.query, limit: size, cursor: this.cursor }, signal }), false);
    } catch (error) {
      if (signal?.aborted) return;
      this.error = sentence(error);
    }
    this.loadingMore = false;
  }

  private take(page: Page<Media>, fresh: boolean) {
    if (fresh) this.items = page.items;
    else {
      const known = new Set(this.items.map((item) => item.id));
      this.items = [...this.items, ...page.items.filter((item) => !known.has(item.id))];
    }
    this.cursor = page.next_cursor;
    this.more = page.next_cursor !== null;
  }

  /** Reads the beginning again and keeps what was loaded beyond it, so that nobody loses the place. */
  async refresh(): Promise<void> {
    if (this.items.length <= size) return this.reload();
    const key = this.key;
    const page = await send<Page<Media>>('GET', '/media', { query: { ...this.query, limit: size } }).catch(() => null);
    if (!page || key !== this.key) return;
    if (page.next_cursor === null) return this.take(page, true);
    const fresh = new Set(page.items.map((item) => item.id));
    const last = this.items.findIndex((item) => item.id === page.items.at(-1)?.id);
    this.items = [...page.items, ...this.items.slice(last + 1).filter((item) => !fresh.has(item.id))];
  }

  /** Puts in or replaces what belongs into the present list, and takes out what no longer does. */
  put(changed: Media[]) {
    if (this.state !== 'ready') return;
    let items = this.items;
    let unsure = false;
    for (const media of changed) {
      const at = items.findIndex((item) => item.id === media.id);
      // Whether words fit, only the server knows: what is there stays until it has said so.
      if (this.query.q || this.query.recursive || this.query.taken_to) {
        if (at >= 0) items = items.with(at, media);
        unsure = true;
      } else if (!this.belongs(media)) items = at < 0 ? items : items.toSpliced(at, 1);
      else if (at >= 0) items = items.with(at, media);
      else if (this.query.sort) unsure = true;
      else {
        // Newest first; what is older than all that is loaded comes with its page.
        const place = items.findIndex((item) => item.created_at < media.created_at);
        if (place >= 0) items = items.toSpliced(place, 0, media);
        else if (!this.more) items = [...items, media];
      }
    }
    this.items = items;
    // The same with the place in another order.
    if (unsure) void this.refresh();
  }

  remove(ids: Iterable<string>) {
    const gone = new Set(ids);
    this.items = this.items.filter((item) => !gone.has(item.id));
  }

  private belongs(media: Media): boolean {
    const { bucket, folder, trashed } = this.query;
    return (!bucket || bucket === media.bucket) && (folder === undefined || folder === media.folder) && (media.state === 'trashed') === !!trashed;
  }

  forget() {
    this.running?.abort();
    this.key = this.home = '';
    this.items = [];
    this.state = 'idle';
  }

  /** An event says that a media changed: a few are asked for one by one, a flood by reading the list again. */
  heard(id: string, bucket: string, change: string) {
    if (this.state !== 'ready' || (this.query.bucket && this.query.bucket !== bucket)) return;
    // Many at once, told without their names.
    if (change === 'many') {
      this.again ??= setTimeout(() => {
        this.again = undefined;
        void this.reload();
      }, 500);
      return;
    }
    if (change === 'removed' || (change === 'trashed' && !this.query.trashed)) return this.remove([id]);
    this.waiting.set(id, change);
    clearTimeout(this.flush);
    this.flush = setTimeout(() => void this.catchUp(), 250);
  }

  private async catchUp() {
    const ids = [...this.waiting.keys()];
    this.waiting.clear();
    if (ids.length > 20) return this.refresh();
    const found = await Promise.allSettled(ids.map((id) => send<Media>('GET', `/media/${id}`)));
    this.put(found.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])));
  }
}

export const listing = new Listing();
on('media', ({ id, bucket, change }) => listing.heard(id, bucket, change));
onReopen(() => listing.state === 'ready' && void listing.refresh());
