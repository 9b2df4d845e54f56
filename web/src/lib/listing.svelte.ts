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
  trashed?: boolean;
};

/** What somebody looks at: a media, and how far below the upper edge its row lies; else just under what stays there. */
export type Place = { id: string; y?: number };
/** Where a list is begun that is not begun at its beginning. */
export type Start = { id?: string; month?: string };

const size = 200;
/** Of a long list more comes at a time. */
const sizeOf = (loaded: number) => (loaded < 2000 ? size : 500);

/**
 * The list of media being looked at, loaded page by page from where somebody begins, in both directions. One for the app:
 * the viewer steps through it, and coming back finds it where it was left.
 */
class Listing {
  items: Media[] = $state.raw([]);
  state: 'idle' | 'loading' | 'ready' | 'error' = $state('idle');
  more = $state(false);
  loadingMore = $state(false);
  /** There is something before the first item too. */
  earlier = $state(false);
  loadingEarlier = $state(false);
  /** How many items stand before the one at which the list was begun: rows are filled from there, both ways. */
  origin = $state(0);
  error = $state('');
  /** The server does not know the bucket or folder. */
  missing = $state(false);
  query: ListingQuery = $state.raw({});
  /** The app's address of the page that shows it, and where that was scrolled to; none at its beginning. */
  home = '';
  place: Place | null = null;
  /** What was looked at alone since. */
  seen = '';

  private key = '';
  private ids = new Set<string>();
  private cursor: string | null = null;
  private back: string | null = null;
  private running: AbortController | null = null;
  private waiting = new Map<string, string>();
  private flush: ReturnType<typeof setTimeout> | undefined;
  private again: ReturnType<typeof setTimeout> | undefined;

  /** Shows the list of a query, begun where it is said; does nothing when it is the present one. */
  open(query: ListingQuery, start: Start & { place?: Place } = {}): Promise<void> {
    const key = JSON.stringify(query);
    if (key === this.key && this.state !== 'error') return Promise.resolve();
    this.key = key;
    this.query = query;
    return this.begin(start.place ? { id: start.place.id } : start, start.place);
  }

  /** Begins the present list somewhere else. */
  begin(start: Start, place: Place | null = null): Promise<void> {
    this.place = place;
    this.seen = '';
    this.empty();
    return this.reload(start);
  }

  private empty() {
    this.items = [];
    this.origin = 0;
    this.more = this.earlier = false;
  }

  /** Reads the list anew, from where somebody is in it. */
  async reload(start: Start = this.place && (this.earlier || this.items.length > size) ? { id: this.place.id } : {}): Promise<void> {
    this.running?.abort();
    const running = (this.running = new AbortController());
    if (this.items.length === 0) this.state = 'loading';
    this.loadingMore = this.loadingEarlier = false;
    this.missing = false;
    this.error = '';
    try {
      const page = await this.first(start, running.signal);
      const begun = page.items[0]?.id;
      const before = begun && (start.id || start.month) ? await this.page({ before: begun }, running.signal) : null;
      const items = [...(before?.items ?? []), ...page.items];
      this.ids = new Set(items.map((item) => item.id));
      this.back = before?.next_cursor ?? null;
      this.earlier = this.back !== null;
      this.origin = this.earlier ? before!.items.length : 0;
      // A month begins under what stays at the top.
      if (start.month && begun && before?.items.length) this.place ??= { id: begun };
      this.items = items;
      this.cursor = page.next_cursor;
      this.more = page.next_cursor !== null;
      this.state = 'ready';
    } catch (error) {
      if (running.signal.aborted) return;
      this.error = sentence(error);
      this.missing = error instanceof ApiError && error.status === 404;
      this.state = 'error';
    }
  }

  private page(more: Record<string, string | number | undefined>, signal?: AbortSignal) {
    return send<Page<Media>>('GET', '/media', { query: { ...this.query, limit: size, ...more }, signal });
  }

  /** The page at which to begin; the beginning where that place is no more. */
  private async first({ id, month }: Start, signal: AbortSignal): Promise<Page<Media>> {
    const page = id
      ? await this.page({ from: id }, signal).catch((error) => {
          if (error instanceof ApiError && error.status === 404) return null;
          throw error;
        })
      : month
        ? await this.page({ taken_to: month }, signal)
        : null;
    return page?.items.length ? page : this.page({}, signal);
  }

  async loadMore(): Promise<void> {
    if (!this.cursor || this.loadingMore || this.state !== 'ready') return;
    this.loadingMore = true;
    this.error = '';
    const signal = this.running?.signal;
    try {
      const page = await this.page({ limit: sizeOf(this.items.length), cursor: this.cursor }, signal);
      this.items = [...this.items, ...this.unknown(page.items)];
      this.cursor = page.next_cursor;
      this.more = page.next_cursor !== null;
    } catch (error) {
      if (signal?.aborted) return;
      this.error = sentence(error);
    }
    this.loadingMore = false;
  }

  /** Loads what stands before the first item. */
  async loadEarlier(): Promise<void> {
    if (!this.back || this.loadingEarlier || this.state !== 'ready') return;
    this.loadingEarlier = true;
    this.error = '';
    const signal = this.running?.signal;
    try {
      const page = await this.page({ limit: sizeOf(this.items.length), cursor: this.back }, signal);
      const fresh = this.unknown(page.items);
      this.items = [...fresh, ...this.items];
      this.origin += fresh.length;
      this.back = page.next_cursor;
      this.earlier = page.next_cursor !== null;
    } catch (error) {
      if (signal?.aborted) return;
      this.error = sentence(error);
    }
    this.loadingEarlier = false;
  }

  /** Those that are not here yet. */
  private unknown(items: Media[]) {
    return items.filter((item) => !this.ids.has(item.id) && this.ids.add(item.id));
  }

  /** Shows other items; those before the one at which the list was begun may have become more or fewer. */
  private arrange(items: Media[]) {
    const begun = this.items[this.origin]?.id;
    if (items.length !== this.items.length) this.ids = new Set(items.map((item) => item.id));
    if (this.origin) {
      const at = items.findIndex((item) => item.id === begun);
      this.origin = at >= 0 ? at : this.items.slice(0, this.origin).filter((item) => this.ids.has(item.id)).length;
    }
    this.items = items;
  }

  /** Reads the beginning again and keeps what was loaded beyond it, so that nobody loses the place. */
  async refresh(): Promise<void> {
    if (this.items.length <= size && !this.earlier) return this.reload({});
    const key = this.key;
    const page = await this.page(this.earlier ? { from: this.items[0]!.id } : {}).catch(() => null);
    if (!page || key !== this.key) return;
    if (page.next_cursor === null) {
      this.cursor = null;
      this.more = false;
      return this.arrange(page.items);
    }
    const fresh = new Set(page.items.map((item) => item.id));
    const last = this.items.findIndex((item) => item.id === page.items.at(-1)?.id);
    this.arrange([...page.items, ...this.items.slice(last + 1).filter((item) => !fresh.has(item.id))]);
  }

  /** Puts in or replaces what belongs into the present list, and takes out what no longer does. */
  put(changed: Media[]) {
    if (this.state !== 'ready') return;
    let items = this.items;
    let unsure = false;
    for (const media of changed) {
      const at = items.findIndex((item) => item.id === media.id);
      // Whether words fit, only the server knows: what is there stays until it has said so.
      if (this.query.q || this.query.recursive) {
        if (at >= 0) items = items.with(at, media);
        unsure = true;
      } else if (!this.belongs(media)) items = at < 0 ? items : items.toSpliced(at, 1);
      else if (at >= 0) items = items.with(at, media);
      else if (this.query.sort) unsure = true;
      else {
        // Newest first; what is older than all that is loaded comes with its page.
        const place = items.findIndex((item) => item.created_at < media.created_at);
        if (place === 0 && this.earlier) unsure = true;
        else if (place >= 0) items = items.toSpliced(place, 0, media);
        else if (!this.more) items = [...items, media];
      }
    }
    this.arrange(items);
    // The same with the place in another order.
    if (unsure) void this.refresh();
  }

  remove(ids: Iterable<string>) {
    const gone = new Set(ids);
    this.arrange(this.items.filter((item) => !gone.has(item.id)));
  }

  private belongs(media: Media): boolean {
    const { bucket, folder, trashed } = this.query;
    return (!bucket || bucket === media.bucket) && (folder === undefined || folder === media.folder) && (media.state === 'trashed') === !!trashed;
  }

  forget() {
    this.running?.abort();
    this.key = this.home = this.seen = '';
    this.place = null;
    this.empty();
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
