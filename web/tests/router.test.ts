import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { encodePath, match } from '../src/lib/match';
import { go, here, ours, setQuery, start } from '../src/lib/router.svelte';

const page = (name: string) => () => Promise.resolve({ default: { name } as never });

describe('matching', () => {
  test('literal parts, parameters and the rest', () => {
    expect(match('/library', '/library')).toEqual({});
    expect(match('/media/:id', '/media/42')).toEqual({ id: '42' });
    expect(match('/library/:bucket/*folder', '/library/photos')).toEqual({ bucket: 'photos', folder: '' });
    expect(match('/library/:bucket/*folder', '/library/photos/a%20b/c%2Fd')).toEqual({ bucket: 'photos', folder: 'a b/c/d' });
  });

  test('what does not fit', () => {
    expect(match('/library', '/')).toBeNull();
    expect(match('/media/:id', '/media')).toBeNull();
    expect(match('/media/:id', '/media/1/2')).toBeNull();
    expect(match('/setup', '/login')).toBeNull();
  });

  test('a broken escape is taken as it is', () => {
    expect(match('/media/:id', '/media/%E0%A4%A')).toEqual({ id: '%E0%A4%A' });
  });

  test('folder paths survive the way through an address', () => {
    const folder = 'Ünicode/50 % off/#1';
    expect(match('/x/*f', `/x/${encodePath(folder)}`)).toEqual({ f: folder });
  });
});

describe('routing', () => {
  let allowed = true;
  beforeEach(async () => {
    allowed = true;
    history.replaceState(null, '', '/library');
    document.body.innerHTML = '<h1 tabindex="-1">Title</h1>';
    await start(
      [
        { path: '/library', load: page('library') },
        { path: '/media/:id', load: page('media') },
        { path: '/secret', load: page('secret'), needs: ['users.manage'] },
        { path: '/broken', load: () => Promise.reject(new Error('no chunk')) },
        { path: '/login', load: page('login'), bare: true },
      ],
      page('lost'),
      (route, path) => (route.bare || allowed ? (route.needs ? page('forbidden') : undefined) : `/login?next=${encodeURIComponent(path)}`),
    );
  });
  afterEach(() => vi.restoreAllMocks());

  const shown = () => (here.page as unknown as { name: string } | null)?.name;

  test('the address, the parameters and the focus follow', async () => {
    await go('/media/7?x=1');
    expect([shown(), here.params.id, here.query.get('x'), location.pathname]).toEqual(['media', '7', '1', '/media/7']);
    expect(document.activeElement?.tagName).toBe('H1');
  });

  test('an unknown address shows the lost page under its own address', async () => {
    await go('/nowhere');
    expect([shown(), location.pathname]).toEqual(['lost', '/nowhere']);
  });

  test('the guard may send elsewhere or put another page in place', async () => {
    await go('/secret');
    expect([shown(), location.pathname]).toEqual(['forbidden', '/secret']);
    allowed = false;
    await go('/media/7?x=1');
    expect([shown(), here.query.get('next')]).toEqual(['login', '/media/7?x=1']);
  });

  test('a missing chunk is told instead of leaving the old page', async () => {
    await go('/broken');
    expect(here.broken).toBe(true);
  });

  test('the later of two navigations wins', async () => {
    await Promise.all([go('/media/1'), go('/media/2')]);
    expect([here.params.id, location.pathname]).toEqual(['2', '/media/2']);
  });

  test('filters change the query without a step in the history, and empty ones leave it', async () => {
    await go('/library?q=a&type=image');
    const push = vi.spyOn(history, 'pushState');
    const params = here.params;
    await setQuery({ q: 'b', type: null });
    expect(location.search).toBe('?q=b');
    expect(push).not.toHaveBeenCalled();
    expect(here.params).toBe(params);
  });

  test('only plain clicks on pages of ours are taken', () => {
    const anchor = (href: string, set: (a: HTMLAnchorElement) => void = () => {}) => {
      const a = document.createElement('a');
      a.href = href;
      set(a);
      return a;
    };
    const click = (init: MouseEventInit = {}) => new MouseEvent('click', { button: 0, ...init });
    expect(ours(click(), anchor('/library'))).toBe(true);
    expect(ours(click({ ctrlKey: true }), anchor('/library'))).toBe(false);
    expect(ours(click({ button: 1 }), anchor('/library'))).toBe(false);
    expect(ours(click(), anchor('/library', (a) => (a.target = '_blank')))).toBe(false);
    expect(ours(click(), anchor('/library', (a) => a.setAttribute('download', '')))).toBe(false);
    expect(ours(click(), anchor('https://example.org/library'))).toBe(false);
    expect(ours(click(), anchor('/api/v1/media/1/content'))).toBe(false);
    expect(ours(click(), anchor('/apiary'))).toBe(true);
  });
});
