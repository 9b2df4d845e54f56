import { send } from './send';
import { can } from './session.svelte';
import type { Bucket, BucketRole, Page, Permission } from './types';

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

/** What each role in a bucket gives there; the server goes by the same list. */
const reads: Permission[] = ['library.read'];
const writes: Permission[] = [...reads, 'library.write', 'library.delete', 'restore'];
const gives: Record<BucketRole, Permission[]> = { reader: reads, writer: writes, manager: [...writes, 'buckets.manage'] };

/** Whether one may do something in a bucket; of one that is not known yet, what the account may. */
export function canIn(permission: Permission, slug: string | null | undefined): boolean {
  const bucket = buckets.items.find((b) => b.slug === slug);
  return bucket ? gives[bucket.my_role].includes(permission) : can(permission);
}

/** Whether one may do something everywhere, or in one bucket at least. */
export const canSomewhere = (permission: Permission) => can(permission) || buckets.items.some((b) => gives[b.my_role].includes(permission));

export const bucketName = (slug: string) => buckets.items.find((b) => b.slug === slug)?.name ?? slug;
