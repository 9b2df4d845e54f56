// Finishes web/dist after `vite build`: tells boot.js which files each page needs, gives it a hashed name, preloads the
// font, fills the service worker's file list, and writes .br and .gz beside everything that compresses.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const read = (name) => readFileSync(join(dist, name), 'utf8');
const hash = (text) => createHash('sha256').update(text).digest('base64url').slice(0, 8);

const manifest = JSON.parse(read('manifest.json'));
const entry = Object.values(manifest).find((chunk) => chunk.isEntry);
rmSync(join(dist, 'manifest.json'));

/** Files of a chunk and of everything it imports statically, without those the entry loads anyway. */
function filesOf(key, seen = new Set()) {
  const chunk = manifest[key];
  if (!chunk || seen.has(key)) return seen;
  seen.add(key);
  for (const next of chunk.imports ?? []) filesOf(next, seen);
  return seen;
}
const own = filesOf(Object.keys(manifest).find((key) => manifest[key] === entry));
const scripts = (keys) => [...new Set([...keys].filter((key) => !own.has(key)).map((key) => manifest[key].file))];
const chunk = (part) => Object.keys(manifest).find((key) => key.endsWith(part));
const shell = filesOf(chunk('src/Shell.svelte'));
const page = (name) => filesOf(chunk(`src/pages/${name}`));
const pages = {
  setup: scripts(page('Setup.svelte')),
  login: scripts(page('Login.svelte')),
  library: scripts(new Set([...shell, ...page('Library.svelte')])),
  media: scripts(new Set([...shell, ...page('Viewer.svelte')])),
  studio: scripts(new Set([...shell, ...page('Studio.svelte')])),
};

const boot = read('boot.js').replace(/\/\*PAGES\*\/.*?\/\*END\*\//s, JSON.stringify(pages)).replace(/^\s*\/\/.*\n/gm, '').replace(/^\s+/gm, '');
const bootName = `assets/boot-${hash(boot)}.js`;
writeFileSync(join(dist, bootName), boot);
rmSync(join(dist, 'boot.js'));

const font = readdirSync(join(dist, 'assets')).find((name) => name.endsWith('.woff2'));
const html = read('index.html')
  .replace(/\.\/boot\.js/, `./${bootName}`)
  .replace('<script src=', `<link rel="preload" as="font" type="font/woff2" crossorigin href="./assets/${font}" />\n    <script src=`);
writeFileSync(join(dist, 'index.html'), html);

const walk = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? walk(join(dir, e.name)) : [join(dir, e.name)]));
const files = walk(dist).map((path) => relative(dist, path)).filter((name) => name !== 'sw.js').sort();
const sw = read('sw.js')
  .replace("['/*FILES*/']", JSON.stringify(files.filter((name) => name !== 'robots.txt' && name !== 'index.html')))
  .replace('/*VERSION*/', hash(files.map((name) => name + statSync(join(dist, name)).size).join() + html));
writeFileSync(join(dist, 'sw.js'), sw);

let raw = 0;
let packed = 0;
for (const name of [...files, 'sw.js']) {
  const path = join(dist, name);
  const body = readFileSync(path);
  raw += body.length;
  if (!/\.(js|css|html|svg|json|webmanifest|txt)$/.test(name)) {
    packed += body.length;
    continue;
  }
  const br = brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length } });
  writeFileSync(`${path}.br`, br);
  writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
  packed += br.length;
}

const kb = (bytes) => (bytes / 1000).toFixed(1);
const js = (list) => list.filter((name) => name.endsWith('.js')).reduce((sum, name) => sum + statSync(join(dist, `${name}.br`)).size, 0);
const first = js([...new Set([...own].map((key) => manifest[key].file).concat(bootName))]);
console.log(`${kb(raw)} kB, ${kb(packed)} kB brotli. JavaScript to the first page, brotli: login ${kb(first + js(pages.login))} kB, library ${kb(first + js(pages.library))} kB`);
for (const [name, limit] of [['login', 30_000], ['library', 45_000]]) {
  if (first + js(pages[name]) > limit) {
    console.error(`${name} is over its budget of ${kb(limit)} kB`);
    process.exitCode = 1;
  }
}
