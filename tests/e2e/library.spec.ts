/** Finding one's way among the pictures. */
import { expectAccessible } from './support/axe.ts';
import { expectPainted, inGrid } from './support/hands.ts';
import { gradient, text } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });
const names = ['harbour.png', 'market.png', 'orchard.png', 'railway.png'];
let filled = false;

test.beforeEach(async ({ page, context }) => {
  await app.signIn(context);
  if (!filled) {
    for (const [i, name] of names.entries()) await app.upload(context, name, gradient(300 + 40 * i, 240, i), 'image/png');
    await app.upload(context, 'letter.txt', text(), 'text/plain', 'Papers');
    filled = true;
  }
  await page.goto(`${app.url}/library`);
  await expect(inGrid(page, 'harbour.png')).toBeVisible();
});

test('names, kinds and orders narrow the library down, and the address keeps it', async ({ page }) => {
  await expect(page.getByText('5 items')).toBeVisible();
  await page.getByRole('searchbox', { name: 'Search the library' }).fill('MARK');
  await expect(page.getByText('1 found')).toBeVisible();
  await expect(page).toHaveURL(/q=MARK/);
  await page.reload();
  await expect(inGrid(page, 'market.png')).toBeVisible();
  await expect(inGrid(page, 'harbour.png')).toHaveCount(0);
  await page.getByRole('searchbox', { name: 'Search the library' }).fill('zeppelin');
  await expect(page.getByRole('heading', { name: 'Nothing found' })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Show everything' }).click();
  await page.getByRole('combobox', { name: 'Sort by' }).selectOption({ label: 'Name, Z to A' });
  await expect(page.getByRole('grid').getByRole('link').first()).toHaveAccessibleName(/^railway/);
  await page.getByRole('searchbox', { name: 'Search the library' }).fill('type:other ');
  await expect(inGrid(page, 'letter.txt')).toBeVisible();
  await expect(inGrid(page, 'market.png')).toHaveCount(0);
});

test('the page is no wider than the screen', async ({ page }) => {
  const media = inGrid(page, 'harbour.png');
  await expectPainted(media.locator('img'));
  for (const path of ['/library', '/trash', '/account', '/admin', '/admin/users', '/admin/jobs', '/admin/audit', '/admin/buckets', '/admin/buckets/photos', '/admin/delivery', '/duplicates']) {
    await page.goto(app.url + path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    expect(content, path).toBeLessThanOrEqual(screen!);
  }
});

test('pictures are picked, moved to a folder, and found there', async ({ page, hasTouch }) => {
  const pick = page.getByRole('button', { name: 'Select orchard.png' });
  if (hasTouch) {
    // A finger that rests picks; there is nothing to hover over.
    const box = (await inGrid(page, 'orchard.png').boundingBox())!;
    const finger = await page.context().newCDPSession(page);
    await finger.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }] });
    await expect(pick).toHaveAttribute('aria-pressed', 'true');
    await finger.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    await expect(page.getByText('1 selected')).toBeVisible();
    await inGrid(page, 'railway.png').tap();
  } else {
    await inGrid(page, 'orchard.png').hover();
    await pick.click();
    await inGrid(page, 'railway.png').click();
  }
  await expect(page.getByText('2 selected')).toBeVisible();
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Move', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Move 2 files' });
  await expectAccessible(page);
  await dialog.getByLabel('Folder').fill('Trips/North');
  await dialog.getByRole('button', { name: 'Move here' }).click();
  await expect(page.getByText('2 files moved to “Trips/North”.')).toBeVisible();
  await page.getByRole('list', { name: 'Folders' }).getByRole('link', { name: /^Trips/ }).click();
  await page.getByRole('list', { name: 'Folders' }).getByRole('link', { name: /^North/ }).click();
  await expect(inGrid(page, 'orchard.png')).toBeVisible();
  await expect(inGrid(page, 'railway.png')).toBeVisible();
  await page.getByRole('navigation', { name: 'Folders above' }).getByRole('link', { name: 'Photos' }).click();
  await expect(inGrid(page, 'harbour.png')).toBeVisible();
});

test('a new folder is made and opened, and refuses a name that cannot be one @desktop', async ({ page, complaints }) => {
  complaints.allowStatus(422);
  await page.getByRole('button', { name: 'New folder', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'New folder' });
  await dialog.getByLabel('Name').fill('..');
  await dialog.getByRole('button', { name: 'Create folder' }).click();
  await expect(dialog.locator('.wrong')).not.toBeEmpty();
  await dialog.getByLabel('Name').fill('Grüße aus Żuławy');
  await dialog.getByRole('button', { name: 'Create folder' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Grüße aus Żuławy' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'This folder is empty' })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('heading', { level: 1, name: 'Grüße aus Żuławy' })).toBeVisible();
});

test('what somebody else adds appears without a reload @desktop', async ({ page, context }) => {
  await app.upload(context, 'telegram.png', gradient(300, 200, 77), 'image/png');
  await expectPainted(inGrid(page, 'telegram.png').locator('img'));
});

test('a whole library scrolls, and draws only what is near @desktop', async ({ page, context }) => {
  for (let i = 0; i < 130; i++) await app.upload(context, `roll-${String(i).padStart(3, '0')}.png`, gradient(24, 16, i), 'image/png', 'Roll');
  await page.goto(`${app.url}/library/photos/Roll?sort=name`);
  await expect(inGrid(page, 'roll-000.png')).toBeVisible();
  await inGrid(page, 'roll-000.png').focus();
  await page.keyboard.press('Control+End');
  // The list comes in pages; the last one is asked for on the way.
  await expect(async () => {
    await page.keyboard.press('Control+End');
    await expect(inGrid(page, 'roll-129.png')).toBeFocused({ timeout: 1000 });
  }).toPass();
  expect(await page.getByRole('gridcell').count()).toBeLessThan(130);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'roll-129.png' })).toBeVisible();
  await page.goBack();
  await expect(inGrid(page, 'roll-129.png')).toBeInViewport();
});
