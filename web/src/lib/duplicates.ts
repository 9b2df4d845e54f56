import type { Media } from './types';

/** What speaks for keeping one: more pixels, then more bytes, then what people put into it, then having been first. */
const merits = (one: Media) => [
  (one.width ?? 0) * (one.height ?? 0),
  one.size_bytes,
  Number(one.favourite) + one.tags.length + Number(one.description !== '') + one.renditions,
  Number(one.taken_at !== null),
  -new Date(one.created_at).getTime(),
];

/** The one of a group to keep, unless somebody knows better. */
export function best(items: Media[]): Media {
  return items.reduce((a, b) => {
    const [x, y] = [merits(a), merits(b)];
    const at = x.findIndex((value, i) => value !== y[i]);
    return at >= 0 && y[at]! > x[at]! ? b : a;
  });
}
