import { expect, test } from 'vitest';
import { batchSays } from '../src/lib/batches';
import type { Batch } from '../src/lib/types';

const batch = (state: Batch['state'], counts: Partial<Batch['counts']>, remaining_s: number | null = null) =>
  batchSays({ state, remaining_s, counts: { total: 0, waiting: 0, running: 0, restored: 0, unchanged: 0, failed: 0, cancelled: 0, ...counts } } as Batch);

test('a batch says how it stands', () => {
  expect(batch('running', { waiting: 9, running: 1 })).toBe('Restoring: 10 pictures to go.');
  expect(batch('running', { waiting: 1, restored: 3, unchanged: 1, failed: 2 }, 90)).toMatch(/^Restoring: 3 restored, 1 needed nothing, 2 failed, 1 picture to go, about /);
  expect(batch('paused', { waiting: 2 }, 90)).toBe('Paused: 2 pictures to go.');
  expect(batch('cancelled', { cancelled: 2, restored: 1 })).toBe('Stopped: 1 restored, 2 pictures to go.');
  expect(batch('finished', { restored: 195, failed: 5 })).toBe('Finished: 195 restored, 5 failed.');
  expect(batch('finished', {})).toBe('Finished: its pictures were removed.');
});
