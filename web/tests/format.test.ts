import { describe, expect, test } from 'vitest';
import { agent } from '../src/lib/agent';
import { ago, bytes, duration, milliseconds, plural, words } from '../src/lib/format';
import { kindOf } from '../src/lib/media';

describe('formatters', () => {
  test('sizes', () => {
    expect([0, 1, 999, 1000, 4_130_000, 999_600, 5e12].map(bytes)).toEqual(['0 bytes', '1 byte', '999 bytes', '1.0 kB', '4.1 MB', '1.0 MB', '5.0 TB']);
    expect(bytes(42_400)).toBe('42 kB');
  });

  test('durations', () => {
    expect([0, 59.4, 60, 200, 7500, 90_000].map(duration)).toEqual(['0 s', '59 s', '1 min', '3 min 20 s', '2 h 5 min', '1 d 1 h']);
    expect([12.4, 1400, 65_000].map(milliseconds)).toEqual(['12 ms', '1.4 s', '1 min 5 s']);
  });

  test('how long ago', () => {
    const now = Date.parse('2026-11-21T12:00:00Z');
    expect(ago('2026-11-21T11:59:40Z', now)).toBe('just now');
    expect(ago('2026-11-21T11:55:00Z', now)).toBe('5 minutes ago');
    expect(ago('2026-11-21T09:00:00Z', now)).toBe('3 hours ago');
    expect(ago('2026-11-20T11:00:00Z', now)).toBe('yesterday');
    expect(ago('2026-10-01T12:00:00Z', now)).toBe('1 Oct 2026');
  });

  test('words and numbers', () => {
    expect(plural(1, 'file')).toBe('1 file');
    expect(plural(12_000, 'file')).toBe('12,000 files');
    expect(plural(0, 'person', 'people')).toBe('0 people');
    expect(words('local_contrast')).toBe('Local contrast');
    expect(words('media.upload')).toBe('Media upload');
  });

  test('browsers', () => {
    expect(agent('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36')).toBe('Chrome on Linux');
    expect(agent('Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18 Mobile Safari/604.1')).toBe('Safari on iOS');
    expect(agent('curl/8.5')).toBe('curl/8.5');
    expect(agent(null)).toBe('Unknown program');
  });

  test('types', () => {
    expect(kindOf('image/jpeg')).toBe('JPEG');
    expect(kindOf('application/octet-stream')).toBe('File');
    expect(kindOf('text/plain; charset=utf-8')).toBe('PLAIN');
  });
});
