import { send } from './send';
import type { Bucket, Page } from './types';

const key = 'safelight.bucket';

/** The buckets one may see, and the one looked at last. */
export const buckets = $state({ items: [] as Bucket[], loaded: false });

let loading: Promise<void> | null = null;

export function loadBuckets(fresh = false): Promise<void> {
  if (buckets.loaded && !fresh) return Promise.resolve();
  loading ??= send<Page<Bucket>>('GET', '/buckets', { query: { limit: 500 } })
    .then((page) => {
      buckets.items = page.items;
      buckets.loaded = true;
    })
    .finally(() => (loading = null));
  return loading;
}

export function forgetBuckets() {
  buckets.items = [];
  buckets.loaded = false;
}

/** The slug to open when the address names none. */
export function usualBucket(): string | null {
  let slug: string | null = null;
  try {
    slug = localStorage.getItem(key);
  } catch {
    // Then the first bucket it is.
  }
  return buckets.items.find((b) => b.slug === slug)?.slug ?? buckets.items[0]?.slug ?? null;
}

export function rememberBucket(slug: string) {
  try {
    localStorage.setItem(key, slug);
  } catch {
    // Only a convenience.
  }
}

export const bucketName = (slug: string) => buckets.items.find((b) => b.slug === slug)?.name ?? slug;
