import { describe, expect, test } from 'vitest';
import { fit, placed, placeOf, settle, shareAt, visible, zoomAbout, type View } from '../src/lib/compare';

const frame = { w: 1000, h: 600 };
const whole: View = { z: 1, x: 0, y: 0 };

describe('fitting', () => {
  test('a picture is shown whole, centred and in its shape', () => {
    expect(fit({ w: 4000, h: 2000 }, frame)).toEqual({ x: 0, y: 50, w: 1000, h: 500 });
    expect(fit({ w: 2000, h: 4000 }, frame)).toEqual({ x: 350, y: 0, w: 300, h: 600 });
  });

  test('a small picture is enlarged twice at most', () => {
    expect(fit({ w: 100, h: 100 }, frame)).toEqual({ x: 400, y: 200, w: 200, h: 200 });
  });

  test('an unknown size is nowhere', () => {
    expect(fit({ w: 0, h: 0 }, frame)).toEqual({ x: 0, y: 0, w: 0, h: 0 });
    expect(fit({ w: 65535, h: 1 }, frame).w).toBe(1000);
  });
});

describe('zooming', () => {
  const fitted = fit({ w: 4000, h: 2000 }, frame);

  test('the place under the pointer stays under it', () => {
    const at = { x: 730, y: 210 };
    const share = (view: View) => {
      const rect = placed(fitted, view);
      return [(at.x - rect.x) / rect.w, (at.y - rect.y) / rect.h];
    };
    const view = zoomAbout(whole, 3, at.x, at.y, 16);
    expect(share(view)[0]).toBeCloseTo(share(whole)[0]!, 9);
    expect(share(view)[1]).toBeCloseTo(share(whole)[1]!, 9);
  });

  test('stays between whole and the most', () => {
    expect(zoomAbout(whole, 0.1, 0, 0, 16).z).toBe(1);
    expect(zoomAbout(whole, 1000, 0, 0, 16).z).toBe(16);
  });

  test('in and out again ends where it began', () => {
    const back = settle(zoomAbout(zoomAbout(whole, 4, 300, 300, 16), 0.25, 300, 300, 16), fitted, frame);
    expect(back.z).toBeCloseTo(1, 9);
    expect(back.x).toBeCloseTo(0, 9);
    expect(back.y).toBeCloseTo(0, 9);
  });

  test('a picture larger than the frame covers it; a smaller side stays centred', () => {
    const dragged = settle({ z: 2, x: 900, y: -5000 }, fitted, frame);
    const rect = placed(fitted, dragged);
    expect(rect.x).toBeCloseTo(0, 9);
    expect(rect.y + rect.h).toBeCloseTo(frame.h, 9);
    const slight = placed(fitted, settle({ z: 1.1, x: 0, y: 400 }, fitted, frame));
    expect(slight.y).toBeCloseTo((frame.h - slight.h) / 2, 9);
  });
});

describe('the divider', () => {
  test('moves over the visible part of the picture only', () => {
    const tall = fit({ w: 2000, h: 4000 }, frame);
    const span = visible(tall, frame);
    expect(span).toEqual({ from: 350, to: 650 });
    expect(shareAt(350, span)).toBe(0);
    expect(shareAt(500, span)).toBe(0.5);
    expect(shareAt(900, span)).toBe(1);
    expect(placeOf(0.25, span)).toBe(425);
  });

  test('zoomed in it spans the frame', () => {
    expect(visible({ x: -500, y: 0, w: 3000, h: 1500 }, frame)).toEqual({ from: 0, to: 1000 });
  });

  test('without a picture it rests in the middle', () => {
    expect(shareAt(10, { from: 0, to: 0 })).toBe(0.5);
  });
});
