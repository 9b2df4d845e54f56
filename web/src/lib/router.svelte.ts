import { tick, type Component } from 'svelte';
import { base } from './base';
import { match, type Params } from './match';
import type { Permission } from './types';

type Loaded = { default: Component<any> };
export type Route = {
  path: string;
  load: () => Promise<Loaded>;
  /** Shown without the shell, to anybody. */
  bare?: boolean;
  needs?: Permission[];
};
/** Decides about a route before it is shown: an app path to go to instead, or a page to show in its place. */
export type Guard = (route: Route, path: string) => string | (() => Promise<Loaded>) | undefined;

type Here = { path: string; pattern: string; params: Params; query: URLSearchParams; bare: boolean; page: Component<any> | null; broken: boolean };

/** The page being shown. `path` is without the base. */
export const here: Here = $state({ path: '', pattern: '', params: {}, query: new URLSearchParams(), bare: true, page: null, broken: false });

let table: Route[] = [];
let lost: () => Promise<Loaded>;
let guard: Guard = () => undefined;
let turn = 0;
let shownBefore = false;

/** Splits an app address into its path without the base and its query. */
function parse(address: string): { path: string; query: string } {
  const url = new URL(address, location.origin);
  const path = url.pathname.startsWith(base) ? '/' + url.pathname.slice(base.length) : url.pathname;
  return { path: path.replace(/(.)\/+$/, '$1'), query: url.search };
}

/** Shows the page of an app path such as `/media/1`. `replace` leaves no step in the history. */
export async function go(to: string, { replace = false, push = true } = {}): Promise<void> {
  const mine = ++turn;
  const { path, query } = parse(to);
  let route: Route = { path: '*rest', load: lost };
  let params: Params = {};
  for (const candidate of table) {
    const found = match(candidate.path, path);
    if (found) {
      route = candidate;
      params = found;
      break;
    }
  }
  const verdict = guard(route, path + query);
  if (typeof verdict === 'string') return go(verdict, { replace: true });
  let page: Component<any> | null = null;
  let broken = false;
  try {
    page = (await (verdict ?? route.load)()).default;
  } catch {
    // The chunk is gone: an upgrade, or no network.
    broken = true;
  }
  if (mine !== turn) return;
  const target = base + path.slice(1) + query;
  const stays = target === location.pathname + location.search;
  // What is kept with an entry, such as the place in a list, stays with it.
  if (push) history[replace || stays ? 'replaceState' : 'pushState'](stays ? history.state : null, '', target);
  const same = here.pattern === route.path && here.page === page;
  Object.assign(here, { path, pattern: route.path, bare: !!route.bare, page, broken });
  // Replaced only when they differ, so that a changed query doesn't wake what depends on the parameters.
  if (JSON.stringify(here.params) !== JSON.stringify(params)) here.params = params;
  if (`?${here.query}` !== (query || '?')) here.query = new URLSearchParams(query);
  await tick();
  // Readers hear where they are. Not on the first page, where the browser does it, nor while only the query changes.
  if (shownBefore && !same) document.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
  shownBefore = true;
}

/** Changes the query of the present page without a step in the history. Empty values are removed. */
export function setQuery(changes: Record<string, string | null>) {
  const query = new URLSearchParams(here.query);
  for (const [key, value] of Object.entries(changes)) {
    if (value) query.set(key, value);
    else query.delete(key);
  }
  const text = query.toString();
  return go(here.path + (text ? `?${text}` : ''), { replace: true });
}

/** True when a click on a link is the router's to handle. */
export function ours(event: MouseEvent, anchor: HTMLAnchorElement): boolean {
  return (
    !event.defaultPrevented &&
    event.button === 0 &&
    !event.metaKey &&
    !event.ctrlKey &&
    !event.shiftKey &&
    !event.altKey &&
    !anchor.target &&
    !anchor.hasAttribute('download') &&
    anchor.origin === location.origin &&
    anchor.pathname.startsWith(base) &&
    !/^(api|storage|health|metrics)(\/|$)/.test(anchor.pathname.slice(base.length))
  );
}

export function start(routes: Route[], notFound: () => Promise<Loaded>, decide: Guard): Promise<void> {
  table = routes;
  lost = notFound;
  guard = decide;
  addEventListener('popstate', () => go(location.pathname + location.search, { push: false }));
  addEventListener('click', (event) => {
    const anchor = (event.target as Element).closest?.('a');
    if (!anchor || !anchor.href || !ours(event, anchor)) return;
    event.preventDefault();
    void go(anchor.pathname + anchor.search);
  });
  return go(location.pathname + location.search, { replace: true });
}
