import { loadBuckets } from './buckets.svelte';
import { plural } from './format';
import { listing, type ListingQuery } from './listing.svelte';
import { errorOf, sentence } from './problem';
import { send } from './send';
import { toast } from './toasts.svelte';
import type { BulkAction, BulkAnswer, BulkRun, Media } from './types';

/** What something is done to: what is picked, or everything that a search finds. */
export type Those = { media: Media[] } | { search: ListingQuery; found: number | null };

export const thoseName = (those: Those) =>
  'media' in those ? (those.media.length === 1 ? `“${those.media[0]!.name}”` : plural(those.media.length, 'file')) : those.found === null ? 'everything found' : plural(those.found, 'file');

type More = { bucket?: string; folder?: string; tags?: string[]; on_conflict?: string };
export type Said = {
  /** `moved to “Trips”`: what became of them. */
  done: string;
  undo?: (media: Media[]) => void;
};

const most = 1000;

/** Does one thing to many media in as few requests as possible, and tells what became of them. Returns whether all went well. */
export async function bulk(action: BulkAction, those: Those, more: More, said: Said): Promise<boolean> {
  try {
    const failed: NonNullable<BulkAnswer['failed']> = [];
    let done = 0;
    // More failed than are named.
    let untold = false;
    if ('media' in those) {
      const ids = those.media.map((one) => one.id);
      for (let from = 0; from < ids.length; from += most) {
        const answer = await send<BulkAnswer>('POST', '/media/bulk', { body: { action, ids: ids.slice(from, from + most), ...more } });
        failed.push(...(answer.failed ?? []));
        done += answer.done ?? 0;
        untold ||= !!answer.more;
      }
    } else {
      const answer = await send<BulkAnswer>('POST', '/media/bulk', { body: { action, search: those.search, ...more } });
      if (answer.job_id) {
        follow(answer.job_id, said);
        toast(`Working on ${thoseName(those)}. You can go on meanwhile.`);
        return true;
      }
      failed.push(...(answer.failed ?? []));
      done = answer.done ?? 0;
      untold = !!answer.more;
    }
    tell(those, done, failed, untold, said);
    void loadBuckets(true).catch(() => undefined);
    return failed.length === 0;
  } catch (error) {
    toast(sentence(error), { bad: true });
    return false;
  }
}

function tell(those: Those, done: number, failed: NonNullable<BulkAnswer['failed']>, untold: boolean, { done: what, undo }: Said) {
  const bad = new Set(failed.map(({ id }) => id));
  const fine = 'media' in those && !untold ? those.media.filter((one) => !bad.has(one.id)) : null;
  if (failed.length) {
    const why = errorOf(failed[0]!.problem.status, failed[0]!.problem).message;
    toast(failed.length === 1 ? why : `${untold ? `More than ${failed.length} files` : plural(failed.length, 'file')} stayed as they were. ${why}`, { bad: true });
  }
  if (done) toast(`${fine ? thoseName({ media: fine }) : plural(done, 'file')} ${what}`, undo && fine ? { action: { label: 'Undo', run: () => undo(fine) } } : {});
  else if (!failed.length) toast('There was nothing to do.');
}

/** Does what concerns many at once, such as a folder, and tells how many were done. Returns false where it goes on as a job. */
export async function whole(method: 'POST' | 'DELETE', path: string, options: { body?: unknown; query?: Record<string, string> }, done: string, say: (count: number) => string): Promise<boolean> {
  const answer = await send<BulkAnswer>(method, path, options);
  if (answer.job_id) {
    follow(answer.job_id, { done });
    toast('There is a lot in it: it goes on while you do something else.');
  } else {
    toast(say(answer.done ?? 0));
    if (answer.failed?.length) toast(errorOf(answer.failed[0]!.problem.status, answer.failed[0]!.problem).message, { bad: true });
  }
  void loadBuckets(true).catch(() => undefined);
  return !answer.job_id;
}

/** Asks now and then how far a long piece of work is, and says when it is over. */
function follow(id: string, { done: what }: Said, wait = 1000) {
  setTimeout(async () => {
    const run = await send<BulkRun>('GET', `/media/bulk/${id}`).catch(() => null);
    // Without a connection, or signed out: whoever comes back sees the result.
    if (!run) return;
    if (run.state === 'queued' || run.state === 'running') return follow(id, { done: what }, Math.min(wait * 1.5, 10_000));
    if (run.done) toast(`${plural(run.done, 'file')} ${what}`);
    if (run.failed_count || run.state === 'failed') {
      const first = run.failed[0];
      toast(`${plural(Math.max(run.failed_count, run.total - run.done), 'file')} stayed as they were. ${first ? errorOf(first.problem.status, first.problem).message : ''}`, { bad: true });
    }
    void listing.refresh();
    void loadBuckets(true).catch(() => undefined);
  }, wait);
}

/** Shows a change at once; the server's event about it follows. */
const patch = (media: Media[], change: (one: Media) => Partial<Media>) => listing.put(media.map((one) => ({ ...one, ...change(one) })));

export async function favour(those: Those, favourite: boolean) {
  if ('media' in those) patch(those.media, () => ({ favourite }));
  const fine = await bulk(favourite ? 'favourite' : 'unfavourite', those, {}, { done: favourite ? 'marked as favourite.' : 'no longer a favourite.' });
  if (!fine) void listing.refresh();
}

export async function tagAll(those: Those, add: string[], remove: string[]): Promise<boolean> {
  let fine = true;
  if (add.length) fine = await bulk('tag', those, { tags: add }, { done: `tagged ${add.map((tag) => `“${tag}”`).join(', ')}.` });
  if (remove.length) fine = (await bulk('untag', those, { tags: remove }, { done: `no longer tagged ${remove.map((tag) => `“${tag}”`).join(', ')}.` })) && fine;
  if ('media' in those) patch(those.media, (one) => ({ tags: [...new Set([...one.tags, ...add])].filter((tag) => !remove.includes(tag)) }));
  return fine;
}

const placeName = (folder: string) => (folder ? `“${folder}”` : 'the top folder');

export async function move(those: Those, folder: string, bucket?: string): Promise<boolean> {
  const fine = await bulk('move', those, { folder, ...(bucket ? { bucket } : {}), on_conflict: 'rename' }, { done: `moved to ${placeName(folder)}.` });
  if ('media' in those && fine) patch(those.media, (one) => ({ folder, bucket: bucket ?? one.bucket }));
  else void listing.refresh();
  return fine;
}

export const copy = (those: Those, folder: string, bucket?: string) =>
  bulk('copy', those, { folder, ...(bucket ? { bucket } : {}), on_conflict: 'rename' }, { done: `copied to ${placeName(folder)}.` });

export async function trashAll(those: Those) {
  const fine = await bulk('trash', those, {}, {
    done: 'moved to the trash.',
    undo: async (media) => {
      await bulk('untrash', { media }, {}, { done: 'put back.' });
      void listing.refresh();
    },
  });
  if ('media' in those && fine) listing.remove(those.media.map((one) => one.id));
  else void listing.refresh();
}
