import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// Everything the build emits has to pass `Content-Security-Policy: default-src 'self'`: no data: URLs
// (assetsInlineLimit 0) and no inline script (no modulepreload polyfill; boot.js is a file of its own).
// The base is relative, so that one build serves under any path: the server sets <base href>.
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: 'manifest.json',
    sourcemap: false,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // What every page after signing in needs: together it packs better, and one request brings it.
          groups: [
            {
              name: 'common',
              test: /src\/(lib\/(buckets|icons(?!-)|justify|keep|listing|live|media|selection|thumbhash|theme|toasts)\b|components\/(Grid|Icon|Menu|Thumb)\.)/,
            },
            // What the studio and the page of presets share.
            { name: 'steps', test: /src\/(pages\/studio\/(StepList|StepRow|mix)|lib\/(blob|mask|pipeline))\b/ },
          ],
          includeDependenciesRecursively: false,
        },
      },
    },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8080', '/health': 'http://127.0.0.1:8080' } },
});
