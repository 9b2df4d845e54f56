import { describe, expect, test } from 'vitest';
import { formOf, labelOf, searchOf } from '../src/lib/filters';
import { format, parse, wordOf } from '../src/lib/search';

describe('what is typed into the search', () => {
  test('is told apart into words and filters', () => {
    expect(parse('harbour tag:sea "old boat" -rain type:image')).toEqual({
      text: 'harbour "old boat" -rain',
      filters: [
        { key: 'tag', value: 'sea' },
        { key: 'type', value: 'image' },
      ],
      rest: '',
    });
  });

  test('keeps quoted values whole, and knows filters in any case', () => {
    expect(parse('tag:"old house" CAMERA:Leica').filters).toEqual([
      { key: 'tag', value: 'old house' },
      { key: 'camera', value: 'Leica' },
    ]);
  });

  test('leaves alone what only looks like a filter', () => {
    for (const text of ['tag:', 'note:this', '12:30', '-tag:sea', 'tag:""', ':', 'C:\\photos']) expect(parse(text)).toEqual({ text, filters: [], rest: '' });
  });

  test('a filter that is being typed is not one yet', () => {
    expect(parse('boat tag:se', true)).toEqual({ text: 'boat', filters: [], rest: 'tag:se' });
    expect(parse('boat tag:sea ', true)).toEqual({ text: 'boat', filters: [{ key: 'tag', value: 'sea' }], rest: '' });
    expect(parse('tag:"old ', true).rest).toBe('tag:"old ');
    expect(parse('tag:"old house" ', true).filters).toEqual([{ key: 'tag', value: 'old house' }]);
    expect(parse('just words', true)).toEqual({ text: 'just words', filters: [], rest: '' });
  });

  test('comes together again as it was', () => {
    for (const q of ['', 'boat', 'tag:sea', 'boat -rain tag:"old house" taken:2019..2021 size:>2mb']) {
      const { text, filters } = parse(q);
      expect(format(text, filters)).toBe(q);
    }
    expect(format('a', [{ key: 'tag', value: 'x' }, { key: 'tag', value: 'x' }])).toBe('a tag:x');
    expect(wordOf({ key: 'tag', value: 'say "cheese" now' })).toBe('tag:"say cheese now"');
  });
});

test('chips say filters in words', () => {
  const said = (q: string) => parse(q).filters.map(labelOf);
  expect(said('type:image is:untagged tag:sea size:>2.5mb size:<10kb')).toEqual(['Pictures', 'Without tags', 'Tag: sea', 'Over 2.5 MB', 'Under 10 kB']);
  expect(said('taken:2019-07 taken:2019..2021 taken:2019-07-14.. before:2020 after:1999-12-31')).toEqual(['Taken July 2019', 'Taken 2019 to 2021', 'Taken since 14 Jul 2019', 'Before 2020', 'After 31 Dec 1999']);
  expect(said('type:image/png size:odd is:strange')).toEqual(['Type: image/png', 'odd', 'Is strange']);
});

describe('the form of filters', () => {
  test('shows what is searched, and searches what it shows', () => {
    const q = 'boat folder:trips type:image is:favourite tag:sea tag:"old house" camera:leica taken:2019..2020-02 size:>2mb size:<0.5gb';
    const form = formOf(q);
    expect(form).toEqual({ kind: 'image', is: ['favourite'], tags: ['sea', 'old house'], camera: 'leica', from: '2019-01-01', to: '2020-02-29', least: '2', most: '500' });
    expect(searchOf(form, q)).toBe('boat folder:trips type:image is:favourite tag:sea tag:"old house" camera:leica taken:2019-01-01..2020-02-29 size:>2mb size:<500mb');
  });

  test('empties without touching the words', () => {
    expect(searchOf({ kind: '', is: [], tags: [], camera: ' ', from: '', to: '', least: '', most: '0' }, 'boat tag:sea before:2000')).toBe('boat before:2000');
  });

  test('leaves a range open at either end', () => {
    expect(searchOf({ ...formOf(''), from: '2019-01-01' }, '')).toBe('taken:2019-01-01..');
    expect(formOf('taken:..2020')).toMatchObject({ from: '', to: '2020-12-31' });
    expect(formOf('taken:1974')).toMatchObject({ from: '1974-01-01', to: '1974-12-31' });
  });
});
