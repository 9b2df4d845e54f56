// Keeps the pages' own files, so that Safelight opens (and says it is offline) without a server. Never touches /api.
const CACHE = 'safelight-/*VERSION*/';
const FILES = ['/*FILES*/'];
const SHELL = new URL('./', self.registration.scope).href;

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([SHELL, ...FILES.map((file) => new URL(file, self.registration.scope).href)]))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name.startsWith('safelight-') && name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (request.mode === 'navigate') {
    const path = url.href.slice(self.registration.scope.length);
    if (/^(api|storage|health|metrics)\b/.test(path)) return;
    // The server first: a new version must show at once. The kept shell only when there is no answer.
    event.respondWith(fetch(request).catch(() => caches.match(SHELL)));
  } else if (url.pathname.includes('/assets/')) {
    event.respondWith(caches.match(request).then((hit) => hit ?? fetch(request)));
  }
});
