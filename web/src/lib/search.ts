/**
 * What one may type into the search field: free words, and words such as `tag:sea` that filter. The address keeps the
 * whole text as `q`, which the server understands; here the filters are told apart, so that they can be shown as chips.
 */
export const filterKeys = ['type', 'camera', 'tag', 'folder', 'taken', 'before', 'after', 'size', 'is'] as const;
export type FilterKey = (typeof filterKeys)[number];
export type Filter = { key: FilterKey; value: string };

const tokens = (text: string) => text.match(/-?(?:[a-z]+:)?"[^"]*"?|\S+/gi) ?? [];

function filterOf(token: string): Filter | null {
  const found = /^([a-z]+):(.+)$/i.exec(token);
  const key = found?.[1]!.toLowerCase() as FilterKey;
  const value = found?.[2]!.replaceAll('"', '').trim();
  return value && filterKeys.includes(key) ? { key, value } : null;
}

/**
 * Tells filters from the words to look for. `typing`: a filter at the very end is still being written, so it belongs to
 * neither and is handed back as `rest`.
 */
export function parse(q: string, typing = false): { text: string; filters: Filter[]; rest: string } {
  const all = tokens(q);
  const last = all.at(-1) ?? '';
  // An open quotation goes on after a space.
  const open = typing && /^-?[a-z]+:/i.test(last) && (!/\s$/.test(q) || (last.match(/"/g)?.length ?? 0) === 1);
  if (open) all.pop();
  const filters: Filter[] = [];
  const words: string[] = [];
  for (const token of all) {
    const filter = filterOf(token);
    if (filter) filters.push(filter);
    else words.push(token);
  }
  return { text: words.join(' '), filters, rest: open ? last : '' };
}

/** A filter as it is typed. */
export const wordOf = ({ key, value }: Filter) => `${key}:${/[\s"]/.test(value) ? `"${value.replaceAll('"', '')}"` : value}`;

/** Puts words and filters together again, each filter once. */
export const format = (text: string, filters: Filter[]) => [text, ...new Set(filters.map(wordOf))].filter(Boolean).join(' ');

export const same = (a: Filter, b: Filter) => wordOf(a).toLowerCase() === wordOf(b).toLowerCase();
