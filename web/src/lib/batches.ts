import { duration, plural } from './format';
import type { Batch } from './types';

/** How a batch stands, in a sentence. */
export function batchSays({ state, counts, remaining_s }: Batch): string {
  const ended = [
    counts.restored ? `${counts.restored} restored` : '',
    counts.unchanged ? `${counts.unchanged} needed nothing` : '',
    counts.failed ? `${counts.failed} failed` : '',
  ].filter(Boolean);
  const so = ended.length ? `${ended.join(', ')}` : '';
  const left = counts.waiting + counts.running + counts.cancelled;
  if (state === 'finished') return so ? `Finished: ${so}.` : 'Finished: its pictures were removed.';
  const rest = `${plural(left, 'picture')} to go`;
  const time = state === 'running' && remaining_s !== null ? `, about ${duration(Math.max(1, remaining_s))}` : '';
  const begun = { running: 'Restoring', paused: 'Paused', cancelled: 'Stopped' }[state];
  return `${begun}: ${so ? `${so}, ` : ''}${rest}${time}.`;
}
