import { afterEach, expect, test } from 'vitest';
import { buckets, canIn, canSomewhere, forgetBuckets } from '../src/lib/buckets.svelte';
import { session } from '../src/lib/session.svelte';
import type { Bucket, BucketRole, User } from '../src/lib/types';

const bucket = (slug: string, my_role: BucketRole) => ({ id: slug, slug, name: slug, my_role }) as Bucket;

afterEach(() => {
  forgetBuckets();
  session.user = null;
});

test('what one is in a bucket decides there, and the account where the bucket is not known', () => {
  session.user = { permissions: ['library.read'] } as unknown as User;
  buckets.items = [bucket('photos', 'reader'), bucket('mine', 'writer'), bucket('ours', 'manager')];
  expect(['photos', 'mine', 'ours', 'unknown'].map((slug) => canIn('library.write', slug))).toEqual([false, true, true, false]);
  expect(['photos', 'mine', 'ours'].map((slug) => canIn('buckets.manage', slug))).toEqual([false, false, true]);
  expect(canIn('library.read', 'unknown')).toBe(true);
  expect([canSomewhere('restore'), canSomewhere('buckets.manage'), canSomewhere('users.manage')]).toEqual([true, true, false]);
  buckets.items = [bucket('photos', 'reader')];
  expect([canSomewhere('library.delete'), canSomewhere('library.read')]).toEqual([false, true]);
});
