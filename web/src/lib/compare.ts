/** The geometry of looking at a picture in a frame: fitting, zooming about a point, panning, and the divider. */
export type Size = { w: number; h: number };
export type Rect = { x: number; y: number; w: number; h: number };
/** `z` is the zoom relative to fitting; x and y move the fitted picture in frame pixels, after zooming. */
export type View = { z: number; x: number; y: number };

export const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** Where a picture lies when it is shown whole and centred. Small pictures are not enlarged beyond `most` times. */
export function fit(picture: Size, frame: Size, most = 2): Rect {
  if (!picture.w || !picture.h || !frame.w || !frame.h) return { x: 0, y: 0, w: 0, h: 0 };
  const scale = Math.min(frame.w / picture.w, frame.h / picture.h, most);
  const w = picture.w * scale;
  const h = picture.h * scale;
  return { x: (frame.w - w) / 2, y: (frame.h - h) / 2, w, h };
}

/** Where the picture lies under a view. */
export const placed = (fitted: Rect, view: View): Rect => ({ x: view.x + fitted.x * view.z, y: view.y + fitted.y * view.z, w: fitted.w * view.z, h: fitted.h * view.z });

/** Keeps a picture that is larger than the frame covering it, and a smaller one centred. */
export function settle(view: View, fitted: Rect, frame: Size): View {
  const axis = (offset: number, start: number, size: number, room: number) => {
    const length = size * view.z;
    if (length <= room) return (room - length) / 2 - start * view.z;
    return clamp(offset, room - length - start * view.z, -start * view.z);
  };
  return { z: view.z, x: axis(view.x, fitted.x, fitted.w, frame.w), y: axis(view.y, fitted.y, fitted.h, frame.h) };
}

/** Zooms by a factor so that the point (x, y) of the frame keeps showing the same place of the picture. */
export function zoomAbout(view: View, factor: number, x: number, y: number, most: number): View {
  const z = clamp(view.z * factor, 1, most);
  const k = z / view.z;
  return { z, x: x - (x - view.x) * k, y: y - (y - view.y) * k };
}

/** The part of the frame in which the picture can be seen, as the divider's way from 0 to 1. */
export function visible(rect: Rect, frame: Size): { from: number; to: number } {
  const from = clamp(rect.x, 0, frame.w);
  return { from, to: Math.max(from, clamp(rect.x + rect.w, 0, frame.w)) };
}

/** The divider's share (0..1) for a place of the frame, and back. */
export const shareAt = (x: number, span: { from: number; to: number }) => (span.to > span.from ? clamp((x - span.from) / (span.to - span.from), 0, 1) : 0.5);
export const placeOf = (share: number, span: { from: number; to: number }) => span.from + (span.to - span.from) * share;
