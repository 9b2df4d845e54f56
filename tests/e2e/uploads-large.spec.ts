/** Large files: paused, the page loaded anew, the network gone, the server restarted; and what need not be sent. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectAccessible } from './support/axe.ts';
import { choose, inGrid } from './support/hands.ts';
import { gradient } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';
import { Wire } from './support/wire.ts';
import type { BrowserContext, Page } from '@playwright/test';

const app = safelight({ setUp: true });
let folder = '';

test.beforeEach(async ({ page, context }) => {
  folder = mkdtempSync(join(tmpdir(), 'safelight-large-'));
  await app.signIn(context);
  await page.goto(`${app.url}/library/photos`);
  await expect(page.getByRole('button', { name: 'Upload', exact: true })).toBeVisible();
});
test.afterEach(() => rmSync(folder, { recursive: true, force: true }));

const upload = (page: Page) => page.getByRole('button', { name: 'Upload', exact: true }).click();
const tray = (page: Page) => page.getByRole('region', { name: 'Uploads' });
const bar = (page: Page) => tray(page).getByRole('progressbar', { name: 'All uploads' });
const percent = async (page: Page) => Number(await bar(page).getAttribute('aria-valuenow'));

/** Bytes that repeat nowhere. */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0), at);
  return bytes;
}

async function slowly(page: Page, context: BrowserContext, bytesPerSecond: number) {
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond });
  return network;
}

type Unfinished = { items: { id: string; offset: number; filename: string }[] };

test('40 MB are paused, survive a reload, a network that fails and a server that restarts, and arrive whole', async ({ page, context, complaints }) => {
  test.slow();
  complaints.allowOutage();
  for (const status of [409, 423, 503]) complaints.allowStatus(status);
  const bytes = noise(40_000_000, 1974);
  const path = join(folder, 'film reel.bin');
  writeFileSync(path, bytes);
  const wire = new Wire(app.url);
  await wire.mend();
  await page.goto(`${wire.url}/library/photos`);
  await slowly(page, context, 4_000_000);
  await choose(page, () => upload(page), path);
  await expect.poll(() => percent(page)).toBeGreaterThan(5);
  await expect(tray(page).getByText(/B\/s/)).toBeVisible();
  await expectAccessible(page);

  await tray(page).getByRole('button', { name: 'Pause film reel.bin' }).click();
  await expect(tray(page).getByRole('heading', { name: '1 upload paused' })).toBeVisible();
  const stands = async () => (await app.get<Unfinished>(context, '/uploads')).items[0]?.offset ?? -1;
  await expect.poll(stands).toBeGreaterThan(1_000_000);
  const paused = await stands();
  await expectAccessible(page);
  await tray(page).getByRole('button', { name: 'Resume film reel.bin' }).click();
  await expect(tray(page).getByRole('heading', { name: 'Uploading 1 file' })).toBeVisible();
  await expect.poll(() => percent(page)).toBeGreaterThan(Math.ceil((paused / bytes.length) * 100) + 5);

  page.on('dialog', (dialog) => void dialog.accept());
  await page.reload();
  await expect(tray(page).getByRole('heading', { name: '1 upload to finish' })).toBeVisible();
  await expect(tray(page).getByText(/Choose the file again to go on from \d+ %\./)).toBeVisible();
  await expectAccessible(page);
  const other = join(folder, 'another.bin');
  writeFileSync(other, 'x');
  await choose(page, () => tray(page).getByRole('button', { name: 'Choose film reel.bin again' }).click(), other);
  await expect(tray(page).getByText('This is another file')).toBeVisible();
  const reloaded = await stands();
  expect(reloaded).toBeGreaterThan(paused);
  await choose(page, () => tray(page).getByRole('button', { name: 'Choose film reel.bin again' }).click(), path);
  await expect.poll(() => percent(page)).toBeGreaterThan(Math.ceil((reloaded / bytes.length) * 100) + 5);

  const going = expect(tray(page).getByRole('heading', { name: 'Uploading 1 file' }));
  const waiting = () => expect(tray(page).getByRole('heading', { name: 'Waiting for the connection' })).toBeVisible();
  const port = Number(new URL(app.url).port);
  await app.stop();
  await waiting();
  await expectAccessible(page);
  await app.start(undefined, port);
  await going.toBeVisible({ timeout: 40_000 });
  await expect.poll(stands).toBeGreaterThan(reloaded);

  await wire.cut();
  await waiting();
  await wire.mend();
  await going.toBeVisible({ timeout: 40_000 });
  await slowly(page, context, -1);
  await expect(tray(page).getByRole('heading', { name: '1 file uploaded' })).toBeVisible({ timeout: 120_000 });
  const { items } = await app.get<{ items: { name: string; sha256: string; size_bytes: number }[] }>(context, '/media?q=film');
  expect(items).toMatchObject([{ name: 'film reel.bin', size_bytes: 40_000_000, sha256: createHash('sha256').update(bytes).digest('hex') }]);
  await expect(inGrid(page, 'film reel.bin')).toBeVisible();
  expect((await app.get<Unfinished>(context, '/uploads')).items).toEqual([]);
  await page.close();
  await wire.cut();
});

test('a large upload that is cancelled leaves nothing on the server', async ({ page, context }) => {
  const path = join(folder, 'mistake.bin');
  writeFileSync(path, noise(12_000_000, 7));
  await slowly(page, context, 2_000_000);
  await choose(page, () => upload(page), path);
  await expect.poll(() => percent(page)).toBeGreaterThan(5);
  await tray(page).getByRole('button', { name: 'Cancel mistake.bin' }).click();
  await expect(tray(page).getByRole('heading', { name: 'Upload cancelled' })).toBeVisible();
  await expect.poll(async () => (await app.get<Unfinished>(context, '/uploads')).items).toEqual([]);
});

test('what the library has already is not sent again, but lies where it was wanted', async ({ page, context }) => {
  const album = join(folder, 'album');
  mkdirSync(album);
  const large = noise(9_000_000, 11);
  writeFileSync(join(album, 'film.bin'), large);
  writeFileSync(join(album, 'print.png'), gradient(300, 200, 77));
  await app.upload(context, 'elsewhere.bin', large, undefined, 'old');
  const sent: string[] = [];
  page.on('request', (request) => request.method() !== 'GET' && sent.push(request.url().split('/api/v1')[1]!));
  await choose(page, () => upload(page), [join(album, 'film.bin'), join(album, 'print.png')]);
  await expect(tray(page).getByText('Already in the library: placed here too')).toHaveCount(1);
  await expect(tray(page).getByRole('heading', { name: '1 file uploaded' })).toBeVisible();
  await expect(inGrid(page, 'film.bin')).toBeVisible();
  expect(sent).not.toContain('/uploads');
  await expectAccessible(page);
  await tray(page).getByRole('button', { name: 'Close the list' }).click();
  await choose(page, () => upload(page), [join(album, 'film.bin'), join(album, 'print.png')]);
  await expect(tray(page).getByRole('heading', { name: '2 files in the library already' })).toBeVisible();
  await expect(inGrid(page, 'film.bin')).toHaveCount(1);
});

test('a picture is pasted', async ({ page, context }) => {
  await page.evaluate((data) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], 'image.png', { type: 'image/png' }));
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, gradient(240, 180, 99).toString('base64'));
  await expect(tray(page).getByRole('heading', { name: '1 file uploaded' })).toBeVisible();
  const { items } = await app.get<{ items: { name: string; width: number }[] }>(context, '/media?q=pasted');
  expect(items).toHaveLength(1);
  expect(items[0]!.name).toMatch(/^Pasted \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png$/);
});

test('the date of a file comes with it', async ({ page, context }) => {
  const path = join(folder, 'old film.bin');
  writeFileSync(path, noise(9_000_000, 13));
  utimesSync(path, new Date('1999-12-31T12:00:00Z'), new Date('1999-12-31T12:00:00Z'));
  await choose(page, () => upload(page), path);
  await expect(tray(page).getByRole('heading', { name: '1 file uploaded' })).toBeVisible();
  const { items } = await app.get<{ items: { name: string }[] }>(context, '/media?sort=taken&limit=1');
  expect(items[0]!.name).toBe('old film.bin');
});
