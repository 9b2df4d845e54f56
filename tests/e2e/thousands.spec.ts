/** Two thousand pictures, dropped as one folder with the page loaded anew in the middle; then all that one does with them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dropFiles, inGrid } from './support/hands.ts';
import { gradient } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });
const many = 2000;
const name = (i: number) => `picture-${String(i).padStart(4, '0')}.png`;

/** Four rolls of 500 pictures, no two of the same bytes. */
function album(): string {
  const folder = mkdtempSync(join(tmpdir(), 'safelight-album-'));
  for (let i = 0; i < many; i++) {
    const roll = join(folder, 'Album', `Roll ${1 + Math.floor(i / 500)}`);
    if (i % 500 === 0) mkdirSync(roll, { recursive: true });
    writeFileSync(join(roll, name(i)), gradient(12 + (i % 50), 12 + Math.floor(i / 50), i));
  }
  return folder;
}

test('two thousand pictures come with one drop, through a reload, and are scrolled, searched, moved, trashed and put back @desktop', async ({ page, context }) => {
  test.setTimeout(600_000);
  const folder = album();
  const stored = async () => (await app.get<{ media_count: number }>(context, '/buckets/photos')).media_count;
  const found = async (where: string) => (await app.get<{ items: { count: number }[] }>(context, `/media/timeline?bucket=photos&${where}`)).items.reduce((sum, { count }) => sum + count, 0);
  await app.signIn(context);
  await page.goto(`${app.url}/library/photos`);
  await expect(page.getByRole('button', { name: 'Upload', exact: true })).toBeVisible();
  await dropFiles(page, [join(folder, 'Album')]);
  await expect.poll(stored, { timeout: 120_000 }).toBeGreaterThan(300);
  page.on('dialog', (dialog) => void dialog.accept());
  await page.reload();
  expect(await stored(), 'it was in the middle').toBeLessThan(many);
  await expect(page.getByRole('button', { name: 'Upload', exact: true })).toBeVisible();
  // The same folder again: what is there is not sent twice.
  await dropFiles(page, [join(folder, 'Album')]);
  await expect.poll(stored, { timeout: 300_000 }).toBe(many);
  rmSync(folder, { recursive: true });
  expect(await found('folder=Album%2FRoll%204')).toBe(500);

  await page.goto(`${app.url}/library/photos/Album/Roll%204?sort=name`);
  await inGrid(page, name(1500)).focus();
  // The list comes in pages; each next one is asked for on the way.
  await expect(async () => {
    await page.keyboard.press('Control+End');
    await expect(inGrid(page, name(1999))).toBeFocused({ timeout: 1000 });
  }).toPass();
  expect(await page.getByRole('gridcell').count(), 'only what is near is drawn').toBeLessThan(500);

  await page.goto(`${app.url}/library/photos?sort=name`);
  await page.getByRole('searchbox', { name: 'Search the library' }).fill('picture-00');
  await expect(page.getByText('100 found')).toBeVisible();
  await inGrid(page, name(0)).focus();
  await page.keyboard.press('Control+a');
  await expect(page.getByText('100 selected')).toBeVisible();
  await page.getByRole('button', { name: 'Move', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Move 100 files' });
  await dialog.getByLabel('Folder').fill('Chosen');
  await dialog.getByRole('button', { name: 'Move here' }).click();
  await expect.poll(() => found('folder=Chosen')).toBe(100);

  await page.goto(`${app.url}/library/photos/Chosen?sort=name`);
  await inGrid(page, name(0)).focus();
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Delete');
  await expect(page.getByRole('heading', { name: 'This folder is empty' })).toBeVisible();
  expect(await stored()).toBe(many - 100);
  await page.goto(`${app.url}/trash`);
  await page.getByRole('grid').getByRole('link').first().focus();
  await page.keyboard.press('Control+a');
  await expect(page.getByText('100 selected')).toBeVisible();
  await page.getByRole('button', { name: 'Put back' }).click();
  await expect.poll(stored).toBe(many);
  expect(await found('folder=Chosen')).toBe(100);
});
