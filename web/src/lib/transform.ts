/** Renderings of a picture, as their canonical text: `fit=cover&h=256&w=256`. */
import { address } from './send';
import type { Media } from './types';

export const formats = [
  ['auto', 'Best for the browser'],
  ['jpeg', 'JPEG'],
  ['webp', 'WebP'],
  ['avif', 'AVIF'],
  ['png', 'PNG'],
] as const;

export type Rendering = Record<string, string>;

/** Leaves out what says nothing. */
export const tidy = (rendering: Rendering): Rendering => Object.fromEntries(Object.entries(rendering).filter(([, value]) => value !== ''));
export const readTransform = (text: string): Rendering => Object.fromEntries(new URLSearchParams(text));
export const writeTransform = (rendering: Rendering) =>
  Object.entries(tidy(rendering))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join('&');

export const renderedAt = (media: Media, rendering: Rendering) => address(`/media/${media.id}/content`, { ...tidy(rendering), v: media.sha256.slice(0, 12) });
