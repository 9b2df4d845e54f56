/**
 * Makes the pictures of the README from a demonstration instance: `npm run screenshots`.
 * They show the repository's own sample pictures and nothing else.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContext, Page } from '@playwright/test';
import { expectPainted, inGrid } from './support/hands.ts';
import { pngOf256Colours } from './support/pictures.ts';
import { repository, Safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = new Safelight();
test.beforeAll(() => app.start(['--demo']));
test.afterAll(() => app.remove());

const LARGEST_BYTES = 400_000;

type List = { items: { id: string; name: string; state: string }[] };

async function enter(context: BrowserContext) {
  const password = /password (\S+)/.exec(app.printed)![1]!;
  await app.signIn(context, { name: 'Edda', email: 'edda@demo.example', password, role: 'owner' });
  const states = async () => new Set((await app.get<List>(context, '/restorations?limit=100')).items.map((one) => one.state));
  await expect.poll(states, { timeout: 80_000 }).toEqual(new Set(['succeeded']));
}

async function openLibrary(page: Page) {
  await page.goto(`${app.url}/library/photos`);
  const pictures = page.getByRole('grid').locator('img');
  await expect(pictures.first()).toBeVisible();
  for (const picture of await pictures.all()) await expectPainted(picture);
}

async function shoot(page: Page, name: string) {
  const shot = await page.screenshot();
  const png = shot.length < LARGEST_BYTES ? shot : await withFewColours(page, shot);
  expect(png.length, `${name} is small enough for a page`).toBeLessThan(LARGEST_BYTES);
  writeFileSync(join(repository, 'docs/images', name), png);
}

async function withFewColours(page: Page, shot: Buffer): Promise<Buffer> {
  // The browser reads its own picture back, so that nothing else has to read PNG.
  const pixels = await page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0))], { type: 'image/png' }));
    const pen = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
    pen.drawImage(bitmap, 0, 0);
    const { data, width, height } = pen.getImageData(0, 0, bitmap.width, bitmap.height);
    let text = '';
    for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
    return { text: btoa(text), width, height };
  }, shot.toString('base64'));
  return pngOf256Colours(Buffer.from(pixels.text, 'base64'), pixels.width, pixels.height);
}

test('library', async ({ page, context }) => {
  await enter(context);
  await page.setViewportSize({ width: 1040, height: 600 });
  await openLibrary(page);
  await shoot(page, 'library.png');
});

test('studio', async ({ page, context }) => {
  await enter(context);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 1320, height: 800 });
  const { items } = await app.get<List>(context, '/media?q=boathouse');
  await page.goto(`${app.url}/studio/${items[0]!.id}`);
  await expect(page.getByRole('slider', { name: 'Compare before and after' })).toHaveValue('50');
  for (const picture of await page.getByRole('group', { name: items[0]!.name }).locator('img').all()) await expectPainted(picture);
  await shoot(page, 'studio.png');
});

test('phone', async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 620 }, isMobile: true, hasTouch: true, deviceScaleFactor: 1.5, locale: 'en-GB', reducedMotion: 'reduce' });
  await enter(context);
  const page = await context.newPage();
  await openLibrary(page);
  await expect(inGrid(page, 'The boathouse, 1974.jpg')).toBeVisible();
  await shoot(page, 'phone.png');
  await context.close();
});
