import { describe, expect, it } from 'vitest';
import { join, meant, priceOf, split, stateOf } from '../src/lib/models';
import type { Field, Model } from '../src/lib/types';

const model = (more: object) => ({ enabled: true, available: true, remote: true, retired_at: null, unavailable_reason: null, settings: {}, ...more }) as unknown as Model;
const field = (more: Partial<Field>): Field => ({ name: 'scale', title: 'Scale', kind: 'number', required: false, ...more });

describe('models', () => {
  it('say where they stand and what they cost', () => {
    expect(stateOf(model({})).word).toBe('Ready');
    expect(stateOf(model({ enabled: false, available: false })).word).toBe('Switched off');
    expect(stateOf(model({ retired_at: '2026-11-21T00:00:00Z', available: false })).word).toBe('No longer offered');
    expect(stateOf(model({ available: false, unavailable_reason: 'No key.' }))).toMatchObject({ word: 'Not available', why: 'No key.' });
    expect(priceOf(model({ remote: false }))).toBe('costs nothing');
    expect(priceOf(model({ settings: { price_usd: 0.004 } }))).toBe('about $0.004 a picture');
    expect(priceOf(model({ settings: { price_usd_per_second: 0.001, price_usd: 1 } }))).toBe('about $0.001 a second');
    expect(priceOf(model({}))).toBe('price not known');
  });

  it('take parameters as their forms say', () => {
    expect(meant(field({}), ' ')).toBeUndefined();
    expect(meant(field({ maximum: 4 }), '3.5')).toBe(3.5);
    expect(() => meant(field({ maximum: 4 }), '5')).toThrow('4');
    expect(() => meant(field({ kind: 'integer' }), '2.5')).toThrow('whole');
    expect(meant(field({ kind: 'boolean' }), 'true')).toBe(true);
    expect(meant(field({ kind: 'choice', choices: ['v1', 'v2'] }), '"v1"')).toBe('v1');
    expect(() => meant(field({ kind: 'other' }), '{')).toThrow('JSON');
  });

  it('keep parameters that a form does not know', () => {
    const form = { fields: [field({}), field({ name: 'words', kind: 'text' }), field({ name: 'version', kind: 'choice' })] };
    const parameters = { scale: 2, words: '12', version: 'v1', extra: { deep: [1] } };
    const { texts, rest } = split(form, parameters);
    expect(texts).toEqual({ scale: '2', words: '12', version: '"v1"' });
    expect(join(form, texts, rest)).toEqual(parameters);
    expect(join(null, {}, '')).toEqual({});
    expect(() => join(form, texts, '[1]')).toThrow('object');
  });
});
