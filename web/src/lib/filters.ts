/** How filters are said to people, and how the form of filters reads and writes them. */
import { date } from './format';
import { format, parse, type Filter, type FilterKey } from './search';
import { monthName } from './timeline';

const kinds: Record<string, string> = { image: 'Pictures', video: 'Videos', other: 'Other files' };
const being: Record<string, string> = { favourite: 'Favourites', restored: 'Restored', described: 'With a description', untagged: 'Without tags' };

/** `2019`, `2019-07` or `2019-07-31` for people. */
function day(text: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return date(text);
  return /^\d{4}-\d{2}$/.test(text) ? monthName(text) : text;
}

function size(text: string): string {
  const found = /^([<>]=?)?(\d+(?:\.\d+)?)([kmgt]?b?)$/i.exec(text);
  if (!found) return text;
  const unit = { k: 'kB', m: 'MB', g: 'GB', t: 'TB' }[found[3]!.charAt(0).toLowerCase()] ?? 'bytes';
  return `${found[1]?.startsWith('>') ? 'Over' : found[1] ? 'Under' : 'Size'} ${found[2]} ${unit}`;
}

/** A filter as a chip says it: `Tag: sea`, `Over 2 MB`. */
export function labelOf({ key, value }: Filter): string {
  switch (key) {
    case 'type':
      return kinds[value.toLowerCase()] ?? `Type: ${value}`;
    case 'is':
      return being[value.toLowerCase()] ?? `Is ${value}`;
    case 'size':
      return size(value);
    case 'before':
      return `Before ${day(value)}`;
    case 'after':
      return `After ${day(value)}`;
    case 'taken': {
      const [from, to] = value.split('..') as [string, string?];
      if (to === undefined) return `Taken ${day(from)}`;
      return from && to ? `Taken ${day(from)} to ${day(to)}` : from ? `Taken since ${day(from)}` : `Taken until ${day(to)}`;
    }
    default:
      return `${key.charAt(0).toUpperCase()}${key.slice(1)}: ${value}`;
  }
}

/** What the form of filters holds. Days are `2019-07-31`, sizes are megabytes. */
export type FilterForm = { kind: string; is: string[]; tags: string[]; camera: string; from: string; to: string; least: string; most: string };

const firstDay = (text: string) => (/^\d{4}$/.test(text) ? `${text}-01-01` : /^\d{4}-\d{2}$/.test(text) ? `${text}-01` : text);
function endDay(text: string): string {
  if (/^\d{4}$/.test(text)) return `${text}-12-31`;
  const [year, month] = text.split('-').map(Number) as [number, number];
  return /^\d{4}-\d{2}$/.test(text) ? new Date(Date.UTC(year, month, 0)).toISOString().slice(0, 10) : text;
}

const factors: Record<string, number> = { '': 1e-6, b: 1e-6, k: 1e-3, m: 1, g: 1e3, t: 1e6 };
const megabytes = (value: string) => {
  const found = /(\d+(?:\.\d+)?)([kmgtb]?)/i.exec(value);
  return found ? String(Number((Number(found[1]) * factors[found[2]!.toLowerCase()]!).toPrecision(6))) : '';
};

export function formOf(q: string): FilterForm {
  const { filters } = parse(q);
  const one = (key: FilterKey) => filters.findLast((filter) => filter.key === key)?.value ?? '';
  const many = (key: FilterKey) => filters.filter((filter) => filter.key === key).map(({ value }) => value);
  const taken = one('taken');
  const [from = '', to = from] = taken.split('..');
  const sizes = many('size');
  return {
    kind: one('type'),
    is: many('is'),
    tags: many('tag'),
    camera: one('camera'),
    from: firstDay(from),
    to: to && endDay(to),
    least: megabytes(sizes.find((value) => value.startsWith('>')) ?? ''),
    most: megabytes(sizes.find((value) => value.startsWith('<')) ?? ''),
  };
}

/** The search that a form stands for. Words and filters that the form doesn't know stay. */
export function searchOf(form: FilterForm, q: string): string {
  const { text, filters } = parse(q);
  const ours: FilterKey[] = ['type', 'is', 'tag', 'camera', 'taken', 'size'];
  const made: Filter[] = filters.filter(({ key }) => !ours.includes(key));
  const put = (key: FilterKey, value: string) => value && made.push({ key, value });
  put('type', form.kind);
  form.is.forEach((value) => put('is', value));
  form.tags.forEach((value) => put('tag', value));
  put('camera', form.camera.trim());
  put('taken', form.from || form.to ? `${form.from}..${form.to}` : '');
  put('size', Number(form.least) > 0 ? `>${form.least}mb` : '');
  put('size', Number(form.most) > 0 ? `<${form.most}mb` : '');
  return format(text, made);
}
