/** Files on their way in, good ones and bad ones. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectAccessible } from './support/axe.ts';
import { choose, dropFiles, expectPainted, inGrid } from './support/hands.ts';
import { brokenPicture, gradient, grain, text } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';
import type { Page } from '@playwright/test';

const app = safelight({ setUp: true });
let folder = '';

test.beforeEach(async ({ page, context }) => {
  folder = mkdtempSync(join(tmpdir(), 'safelight-files-'));
  await app.signIn(context);
  await page.goto(`${app.url}/library/photos`);
  await expect(page.getByRole('button', { name: 'Upload', exact: true })).toBeVisible();
});
test.afterEach(() => rmSync(folder, { recursive: true, force: true }));

const upload = (page: Page) => page.getByRole('button', { name: 'Upload', exact: true }).click();
const tray = (page: Page) => page.getByRole('region', { name: 'Uploads' });

test('several files go in at once, and a bad one stops none of them', async ({ page }) => {
  await choose(page, () => upload(page), [
    { name: 'one.png', mimeType: 'image/png', buffer: gradient(300, 200, 1) },
    { name: 'tree\u202egnp.exe', mimeType: 'image/png', buffer: gradient(300, 200, 2) },
    { name: 'note.txt', mimeType: 'text/plain', buffer: text() },
    { name: 'three.png', mimeType: 'image/png', buffer: gradient(200, 300, 3) },
  ]);
  await expect(tray(page).getByRole('heading', { name: '1 file not uploaded' })).toBeVisible();
  await expect(tray(page).getByText('Done')).toHaveCount(3);
  await expect(tray(page).locator('li.failed .wrong')).toHaveText(/\w{3}.*\./);
  await expectPainted(inGrid(page, 'one.png').locator('img'));
  await expectPainted(inGrid(page, 'three.png').locator('img'));
  await expectAccessible(page);
});

test('something that is no picture is kept, shown as what it is, and not restored', async ({ page, context, complaints }) => {
  const note = await app.upload(context, 'letter.txt', text(), 'text/plain');
  const broken = await app.upload(context, 'broken.jpg', brokenPicture(), 'image/jpeg');
  await page.reload();
  await expect(inGrid(page, 'letter.txt').locator('svg')).toBeVisible();
  await expect(inGrid(page, 'letter.txt').getByText('PLAIN')).toBeVisible();
  await inGrid(page, 'letter.txt').click();
  await expect(page.getByText('There is no preview for this kind of file.')).toBeVisible();
  await expect(page.getByRole('link', { name: 'Open in studio' })).toHaveCount(0);
  await expectAccessible(page);

  for (const media of [note, broken]) {
    await page.goto(`${app.url}/studio/${media.id}`);
    await expect(page.getByRole('heading', { name: 'This isn’t a picture' })).toBeVisible();
    expect(await app.status(context, 'POST', `/media/${media.id}/restorations`, { preset: 'auto' })).toBe(422);
  }
  await expectAccessible(page);
  expect(complaints.unexpected()).toEqual([]);
});

test('a dropped folder keeps its structure', async ({ page }) => {
  const album = join(folder, 'Summer 1974');
  mkdirSync(join(album, 'Lake'), { recursive: true });
  writeFileSync(join(album, 'pier.png'), gradient(240, 160, 11));
  writeFileSync(join(album, 'Lake', 'boat.png'), gradient(240, 160, 12));
  writeFileSync(join(album, '.DS_Store'), 'clutter');
  const veil = page.getByText('Drop to add to Photos');
  await dropFiles(page, [album], () => expect(veil).toBeVisible());
  await expect(veil).toBeHidden();
  await expect(tray(page).getByRole('heading', { name: '2 files uploaded' })).toBeVisible();
  await page.getByRole('button', { name: 'Close the list' }).click();
  await page.getByRole('list', { name: 'Folders' }).getByRole('link', { name: /^Summer 1974/ }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Summer 1974' })).toBeVisible();
  await expect(inGrid(page, 'pier.png')).toBeVisible();
  await expect(inGrid(page, '.DS_Store')).toHaveCount(0);
  await page.getByRole('list', { name: 'Folders' }).getByRole('link', { name: /^Lake/ }).click();
  await expectPainted(inGrid(page, 'boat.png').locator('img'));
  await expectAccessible(page);
});

test('a chosen folder keeps its structure', async ({ page }) => {
  const album = join(folder, 'Winter');
  mkdirSync(album);
  writeFileSync(join(album, 'sledge.png'), gradient(240, 160, 21));
  await page.getByRole('button', { name: 'More ways to add' }).click();
  await choose(page, () => page.getByRole('menuitem', { name: 'Choose a folder…' }).click(), album);
  await expect(tray(page).getByRole('heading', { name: '1 file uploaded' })).toBeVisible();
  await page.goto(`${app.url}/library/photos/Winter`);
  await expectPainted(inGrid(page, 'sledge.png').locator('img'));
});

test('a second file of the same name gets a number', async ({ page }) => {
  for (const tint of [31, 32]) {
    await choose(page, () => upload(page), { name: 'twin.png', mimeType: 'image/png', buffer: gradient(200, 200, tint) });
    await expect(tray(page).getByRole('heading', { name: `${tint - 30} file${tint > 31 ? 's' : ''} uploaded` })).toBeVisible();
  }
  await expect(inGrid(page, 'twin.png')).toBeVisible();
  await expect(inGrid(page, 'twin (2).png')).toBeVisible();
});

test('a long upload shows how far it is and can be cancelled', async ({ page, context }) => {
  const large = grain(1400, 1000);
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  const slowly = (bytesPerSecond: number) => network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond });
  await slowly(large.length / 12);
  await choose(page, () => upload(page), { name: 'long.png', mimeType: 'image/png', buffer: large });
  const bar = tray(page).getByRole('progressbar', { name: 'All uploads' });
  await expect.poll(async () => Number(await bar.getAttribute('aria-valuenow'))).toBeGreaterThan(0);
  await expect(tray(page).getByText(/B\/s/)).toBeVisible();
  await expectAccessible(page);
  await tray(page).getByRole('button', { name: 'Cancel long.png' }).click();
  await expect(tray(page).getByRole('heading', { name: 'Upload cancelled' })).toBeVisible();
  const { items } = await app.get<{ items: unknown[] }>(context, '/media?q=long');
  expect(items).toEqual([]);

  await slowly(-1);
  await tray(page).getByRole('button', { name: 'Try long.png again' }).click();
  await expect(tray(page).getByRole('heading', { name: '1 file uploaded' })).toBeVisible();
  await expectPainted(inGrid(page, 'long.png').locator('img'));
});

test('whoever leaves while a file has failed is asked first', async ({ page, complaints }) => {
  complaints.allowStatus(507);
  const full = { type: '/problems/disk-full', title: 'Insufficient Storage', status: 507, detail: 'The disk is full.', errors: [] };
  await page.route(/\/api\/v1\/media$/, (route) => (route.request().method() === 'POST' ? route.fulfill({ status: 507, contentType: 'application/problem+json', body: JSON.stringify(full) }) : route.fallback()));
  await choose(page, () => upload(page), [{ name: 'small.png', mimeType: 'image/png', buffer: gradient(120, 90, 8) }]);
  await expect(tray(page).getByRole('heading', { name: '1 file not uploaded' })).toBeVisible();
  const asked = page.waitForEvent('dialog');
  await page.close({ runBeforeUnload: true });
  const dialog = await asked;
  expect(dialog.type()).toBe('beforeunload');
  await dialog.dismiss();
  await tray(page).getByRole('button', { name: 'Close the list' }).click();
  await expect(tray(page)).toHaveCount(0);
  // Nobody would answer now.
  await page.goto(`${app.url}/account`);
});
