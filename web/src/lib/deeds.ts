import { plural } from './format';
import { loadBuckets } from './buckets.svelte';
import { listing } from './listing.svelte';
import { sentence } from './problem';
import { send } from './send';
import { toast } from './toasts.svelte';
import type { Media } from './types';

/** Does something to each of many, four at a time, and tells apart what worked. */
export async function each<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<{ done: [T, R][]; error: unknown }> {
  const rest = [...items];
  const done: [T, R][] = [];
  let error: unknown;
  const lane = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) {
      try {
        done.push([item, await work(item)]);
      } catch (cause) {
        error ??= cause;
      }
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  return { done, error };
}

const what = (media: Media[]) => (media.length === 1 ? `“${media[0]!.name}”` : plural(media.length, 'file'));

function counted() {
  void loadBuckets(true).catch(() => undefined);
}

/** Moves media to the trash, and offers to take it back. */
export async function trash(media: Media[]): Promise<boolean> {
  const { done, error } = await each(media, (one) => send('DELETE', `/media/${one.id}`));
  const gone = done.map(([one]) => one);
  listing.remove(gone.map((one) => one.id));
  if (error) toast(sentence(error), { bad: true });
  if (gone.length) toast(`${what(gone)} moved to the trash.`, { action: { label: 'Undo', run: () => void untrash(gone) } });
  counted();
  return !error;
}

export async function untrash(media: Media[]) {
  const { done, error } = await each(media, (one) => send<Media>('POST', `/media/${one.id}/untrash`));
  listing.put(done.map(([, back]) => back));
  if (error) toast(sentence(error), { bad: true });
  if (done.length) toast(`${what(done.map(([one]) => one))} put back.`);
  counted();
}

export async function purge(media: Media[]) {
  const { done, error } = await each(media, (one) => send('DELETE', `/media/${one.id}?purge=true`));
  listing.remove(done.map(([one]) => one.id));
  if (error) toast(sentence(error), { bad: true });
  if (done.length) toast(`${what(done.map(([one]) => one))} deleted for good.`);
  counted();
}
