import type { Route } from './lib/router.svelte';

/** Every page with its address. The first that fits is shown. */
export const routes: Route[] = [
  { path: '/setup', load: () => import('./pages/Setup.svelte'), bare: true },
  { path: '/login', load: () => import('./pages/Login.svelte'), bare: true },
  { path: '/library', load: () => import('./pages/Library.svelte'), needs: ['library.read'] },
  { path: '/library/:bucket/*folder', load: () => import('./pages/Library.svelte'), needs: ['library.read'] },
  { path: '/duplicates', load: () => import('./pages/Duplicates.svelte'), needs: ['library.delete'] },
  { path: '/trash', load: () => import('./pages/Trash.svelte'), needs: ['library.delete'] },
  { path: '/media/:id', load: () => import('./pages/Viewer.svelte'), needs: ['library.read'] },
  { path: '/studio/:id', load: () => import('./pages/Studio.svelte'), needs: ['library.read', 'restore'] },
  { path: '/batches', load: () => import('./pages/Batches.svelte'), needs: ['library.read', 'restore'] },
  { path: '/batches/:id', load: () => import('./pages/Batch.svelte'), needs: ['library.read', 'restore'] },
  { path: '/presets', load: () => import('./pages/Presets.svelte'), needs: ['library.read', 'restore'] },
  { path: '/account', load: () => import('./pages/Account.svelte') },
  { path: '/admin', load: () => import('./pages/Admin.svelte'), needs: ['users.manage'] },
  { path: '/admin/:section', load: () => import('./pages/Admin.svelte'), needs: ['users.manage'] },
  { path: '/admin/:section/:name', load: () => import('./pages/Admin.svelte'), needs: ['buckets.manage'] },
];

export const notFound = () => import('./pages/NotFound.svelte');
export const forbidden = () => import('./pages/Forbidden.svelte');
