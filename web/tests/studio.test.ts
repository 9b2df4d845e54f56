import { describe, expect, test, vi } from 'vitest';
import { draw, marks, toAlpha, type Stroke } from '../src/lib/mask';
import { allSteps, askedSteps, flatten, inEngineOrder, moved, newRow, presetSteps, requestOf, rowsOf, whoCan } from '../src/lib/pipeline';
import { Previewer, seen } from '../src/lib/preview.svelte';
import { copyTitle, stepsSay } from '../src/lib/presets';
import { leftSays, secondsLeft } from '../src/lib/remaining';
import type { Model, ModelStep, Preset } from '../src/lib/types';
import { deedOf, nextBrush } from '../src/pages/studio/keys';
import { Mix } from '../src/pages/studio/mix.svelte';

const known = ['deblock', 'inpaint', 'denoise', 'fade'].map((step) => ({ step, title: step.toUpperCase(), description: '', default_strength: 0.5 })) as ModelStep[];
const preset = (name: string, steps: Preset['steps'], shipped = false): Preset => ({ name, title: name, description: '', steps, shipped, recreates: false });
const model = (id: string, steps: string[], more: object = {}) => ({ id, name: id, engine: id, steps: known.filter((one) => steps.includes(one.step)), enabled: true, available: true, recreates: false, remote: true, ...more }) as unknown as Model;

describe('the list of steps', () => {
  const quick = preset('quick', [{ step: 'denoise', strength: 0.3 }], true);
  const album = preset('album', [{ step: 'fade', strength: 1 }, { step: 'denoise', strength: 0.4 }]);
  const both = preset('both', [{ preset: 'album' }, { step: 'denoise', strength: 0.2, model: 'far' }]);

  test('a shipped preset turns the engine’s steps on, an own one brings its own in its order', () => {
    expect(rowsOf(quick, [quick], known).map(({ step, on, strength }) => [step, on, strength])).toEqual([
      ['deblock', false, 0.5],
      ['inpaint', false, 0.5],
      ['denoise', true, 0.3],
      ['fade', false, 0.5],
    ]);
    expect(rowsOf(both, [album, both], known).map(({ step, on, model }) => [step, on, model])).toEqual([
      ['fade', true, null],
      ['denoise', true, null],
      ['denoise', true, 'far'],
    ]);
  });

  test('a preset that includes itself ends', () => {
    const one = preset('one', [{ preset: 'two' }, { step: 'fade', strength: 1 }]);
    const two = preset('two', [{ preset: 'one' }]);
    expect(flatten(one.steps, [one, two], ['one'])).toEqual([{ step: 'fade', strength: 1 }]);
  });

  test('an untouched preset is asked for by name; a mix by its steps, in order where it is another than the engine’s', () => {
    const rows = rowsOf(quick, [quick], known);
    const as = { rows, known, preset: 'quick', arranged: false, from: null };
    expect(requestOf(as)).toEqual({ preset: 'quick', keep_steps: true });
    expect(requestOf({ ...as, preset: null }, 'bWFzaw==')).toEqual({ steps: [{ step: 'denoise', strength: 0.3 }], mask: 'bWFzaw==', keep_steps: true });
    expect(requestOf({ ...as, preset: null, rows: moved([...rows].map((row) => ({ ...row, on: true })), 3, 0) }).in_order).toBe(true);
    const from = { restoration_id: 'r', place: 2 };
    expect(requestOf({ ...as, from })).toMatchObject({ from, in_order: true, steps: [{ step: 'denoise' }] });
    expect(requestOf(as, undefined, new Map([[rows[2]!.key, 'aGVyZQ==']]))).toEqual({ steps: [{ step: 'denoise', strength: 0.3, mask: 'aGVyZQ==' }], keep_steps: true });
  });

  test('rows move, and say whether the engine would put them like that', () => {
    expect(moved(['a', 'b', 'c'], 0, 2)).toEqual(['b', 'c', 'a']);
    expect(moved(['a', 'b'], 1, 2)).toEqual(['a', 'b']);
    expect(inEngineOrder([newRow('deblock', 1), newRow('fade', 1)], known)).toBe(true);
    expect(inEngineOrder([newRow('fade', 1), newRow('deblock', 1)], known)).toBe(false);
    expect(inEngineOrder([newRow('fade', 1, { on: false }), newRow('deblock', 1)], known)).toBe(true);
    expect(inEngineOrder([newRow('deblock', 1, { model: 'far' })], known)).toBe(false);
  });

  test('what is off or of no strength is neither asked for nor kept', () => {
    const rows = [newRow('fade', 0), newRow('denoise', 0.5, { on: false }), newRow('deblock', 1, { model: 'far', parameters: { size: 2 } }), newRow('inpaint', 1, { parameters: { size: 2 } })];
    expect(askedSteps(rows)).toEqual([{ step: 'deblock', strength: 1, model: 'far', parameters: { size: 2 } }, { step: 'inpaint', strength: 1 }]);
    expect(presetSteps(rows)).toEqual(askedSteps(rows));
  });

  test('who can do a step', () => {
    const models = [model('far', ['fade', 'denoise']), model('off', ['fade'], { enabled: false }), model('builtin', ['fade', 'deblock'])];
    expect(whoCan('fade', models).map((one) => one?.id ?? null)).toEqual([null, 'far']);
    expect(whoCan('denoise', models).map((one) => one?.id ?? null)).toEqual(['far']);
    expect(allSteps(models).map((one) => one.step)).toEqual(['deblock', 'fade', 'denoise']);
  });

  test('a mix forgets its preset when it is changed, and goes on from a kept picture', () => {
    const mix = new Mix(() => known, () => [model('builtin', ['deblock', 'inpaint', 'denoise', 'fade'])]);
    mix.apply(album, [album], false);
    expect([mix.preset, mix.arranged, mix.touched]).toEqual(['album', true, 0]);
    mix.set(mix.rows[0]!.key, { strength: 0.2 });
    expect([mix.preset, mix.base, mix.rows[0]!.strength, mix.touched]).toEqual([null, 'album', 0.2, 1]);
    mix.remove(mix.add('inpaint', null));
    const step = { strength: 1, engine: 'builtin', model: null, decision: 'applied' as const, width: 4, height: 4, has_picture: true };
    mix.again({ restoration_id: 'r', place: 1 }, [{ ...step, place: 0, step: 'deblock' }, { ...step, place: 1, step: 'fade' }], { w: 4, h: 4 });
    expect(mix.rows.map((row) => row.step)).toEqual(['fade']);
    expect(mix.from).toEqual({ restoration_id: 'r', place: 1 });
    mix.apply(album, [album]);
    expect([mix.from, mix.size]).toEqual([null, null]);
  });
});

describe('presets', () => {
  test('copies get names of their own', () => {
    expect(copyTitle('Album', ['Album'])).toBe('Album, copy');
    expect(copyTitle('Album, copy', ['Album, copy', 'Album, copy 2'])).toBe('Album, copy 3');
  });

  test('steps are said with what they include', () => {
    const album = preset('album', [{ step: 'fade', strength: 1 }]);
    expect(stepsSay(preset('x', [{ preset: 'album' }, { step: 'denoise', strength: 0.25 }]), [album], (step) => step)).toEqual(['fade 100\u00a0%', 'denoise 25\u00a0%']);
  });
});

describe('the brush', () => {
  test('strokes and what was found become one mask of one colour', () => {
    const done: string[] = [];
    const say = (name: string) => () => done.push(`${name} ${pen.globalCompositeOperation}`);
    const pen = { globalCompositeOperation: 'source-over' as GlobalCompositeOperation, lineWidth: 0, lineCap: 'butt' as CanvasLineCap, lineJoin: 'miter' as CanvasLineJoin, strokeStyle: '', fillStyle: '', beginPath() {}, moveTo() {}, lineTo() {}, clearRect() {}, stroke: say('stroke'), drawImage: say('image'), fillRect: say('fill') };
    const strokes: Stroke[] = [{ radius: 4, erase: false, points: [1, 1, 5, 5] }, { found: {} as CanvasImageSource }, { radius: 4, erase: true, points: [2, 2] }];
    draw(pen as unknown as Parameters<typeof draw>[0], strokes, 1, 10, 10, '#f00');
    expect(done).toEqual(['stroke source-over', 'image source-over', 'stroke destination-out', 'fill source-in']);
    expect(pen.lineWidth).toBe(8);
    expect(pen.globalCompositeOperation).toBe('source-over');
  });

  test('what was only erased marks nothing', () => {
    expect(marks([{ radius: 4, erase: true, points: [2, 2] }])).toBe(false);
    expect(marks([{ found: {} as CanvasImageSource }])).toBe(true);
  });

  test('grey becomes opacity', () => {
    const pixels = new Uint8ClampedArray([0, 0, 0, 255, 200, 200, 200, 255]);
    expect(toAlpha(pixels)).toBe(true);
    expect([...pixels]).toEqual([255, 255, 255, 0, 255, 255, 255, 200]);
    expect(toAlpha(new Uint8ClampedArray([9, 9, 9, 255]))).toBe(false);
  });

  test('its size grows by a quarter, always, and stays within bounds', () => {
    expect(nextBrush(24, 1)).toBe(30);
    expect(nextBrush(24, -1)).toBe(20);
    expect(nextBrush(4, 1)).toBe(6);
    expect(nextBrush(4, -1)).toBe(4);
    expect(nextBrush(120, 1)).toBe(120);
  });
});

describe('keys', () => {
  const press = (key: string, more: object = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...more });

  test('letters do what they say, and nothing where they are turned off', () => {
    expect(deedOf(press('B'), false)).toBe('blink');
    expect(deedOf(press('?'), false)).toBe('help');
    expect(deedOf(press('f'), false)).toBeNull();
    expect(deedOf(press('f'), true)).toBe('find');
    expect(deedOf(press('l'), false, false)).toBeNull();
    expect(deedOf(press('Escape'), false, false)).toBe('leave');
  });

  test('with Ctrl only those that are meant', () => {
    expect(deedOf(press('Enter', { ctrlKey: true }), false)).toBe('restore');
    expect(deedOf(press('z', { metaKey: true }), true)).toBe('undo');
    expect(deedOf(press('z', { ctrlKey: true }), false)).toBeNull();
    expect(deedOf(press('l', { ctrlKey: true }), false)).toBeNull();
  });
});

describe('the live preview', () => {
  test('asks for what is seen of the picture', () => {
    const picture = { w: 4000, h: 2000 };
    const frame = { w: 1000, h: 600 };
    expect(seen({ x: 0, y: 50, w: 1000, h: 500 }, frame, picture)).toEqual({ x: 0, y: 0, width: 4000, height: 2000 });
    expect(seen({ x: -500, y: -250, w: 4000, h: 2000 }, frame, picture)).toEqual({ x: 500, y: 250, width: 1000, height: 600 });
    expect(seen({ x: 0, y: 0, w: 0, h: 0 }, frame, picture)).toBeNull();
    const much = seen({ x: 0, y: 0, w: 1000, h: 600 }, frame, { w: 10_000, h: 6000 })!;
    expect(much.width * much.height).toBeLessThanOrEqual(16_000_000);
    expect(Math.abs(much.x + much.width / 2 - 5000)).toBeLessThan(2);
  });

  function slow() {
    let now = 0;
    const timers: { at: number; run: () => void }[] = [];
    const asked: { body: unknown; signal: AbortSignal; answer: (value: string) => void }[] = [];
    const previewer = new Previewer<string>(
      (body, signal) => new Promise((answer) => asked.push({ body, signal, answer })),
      400,
      60,
      (run, ms) => timers.push({ at: now + ms, run }),
      () => now,
    );
    const pass = async (ms: number) => {
      const until = now + ms;
      for (;;) {
        const next = timers.filter((one) => one.at <= until).toSorted((a, b) => a.at - b.at)[0];
        if (!next) break;
        timers.splice(timers.indexOf(next), 1);
        now = next.at;
        next.run();
        await vi.waitFor(() => undefined);
      }
      now = until;
      await Promise.resolve();
    };
    return { previewer, asked, pass };
  }

  test('changes close together are one request, and the newest wins', async () => {
    const { previewer, asked, pass } = slow();
    previewer.want(() => 1);
    previewer.want(() => 2);
    await pass(60);
    expect(asked.map((one) => one.body)).toEqual([2]);
    // The answer is late: the older one is given up after a while.
    previewer.want(() => 3);
    await pass(60);
    expect(asked.length).toBe(1);
    await pass(400);
    expect(asked.map((one) => one.body)).toEqual([2, 3]);
    expect(asked[0]!.signal.aborted).toBe(true);
    asked[0]!.answer('old');
    asked[1]!.answer('new');
    await vi.waitFor(() => expect(previewer.shown).toBe('new'));
    expect(previewer.busy).toBe(false);
  });

  test('an answer on the way is shown, then what was wanted meanwhile is asked for at once', async () => {
    const { previewer, asked, pass } = slow();
    previewer.want(() => 1);
    await pass(60);
    previewer.want(() => 2);
    asked[0]!.answer('one');
    await vi.waitFor(() => expect(previewer.shown).toBe('one'));
    await vi.waitFor(() => expect(asked.length).toBe(2));
    previewer.stop();
    expect(asked[1]!.signal.aborted).toBe(true);
    expect(previewer.shown).toBeNull();
  });
});

describe('remaining time', () => {
  test('nothing is said before something is known', () => {
    expect(secondsLeft({ at: 0, progress: 0 }, { at: 1000, progress: 0.5 })).toBeNull();
    expect(secondsLeft({ at: 0, progress: 0.1 }, { at: 9000, progress: 0.11 })).toBeNull();
    expect(leftSays(null)).toBe('');
  });

  test('then round numbers', () => {
    expect(secondsLeft({ at: 0, progress: 0 }, { at: 10_000, progress: 0.25 })).toBe(30);
    expect(leftSays(31)).toBe('about 35 s left');
    expect(leftSays(70)).toBe('about 1 min 30 s left');
    expect(leftSays(3)).toBe('almost done');
  });
});
