/** Looking at one picture, and what can be done with it there. */
import { expectAccessible } from './support/axe.ts';
import { expectPainted, inGrid, saved, swipe } from './support/hands.ts';
import { gradient, inGoodOrder, withExif } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });
let ids: Record<string, string> = {};

test.beforeEach(async ({ page, context }) => {
  await app.signIn(context);
  if (!ids.street) {
    ids = {
      last: (await app.upload(context, 'last.png', gradient(500, 400, 1), 'image/png')).id,
      street: (await app.upload(context, 'market-street.jpg', withExif(), 'image/jpeg')).id,
      first: (await app.upload(context, 'first.jpg', inGoodOrder(), 'image/jpeg')).id,
    };
  }
  await page.goto(`${app.url}/library/photos`);
});

test('keys lead from picture to picture, into the details and back to the library @desktop', async ({ page }) => {
  await inGrid(page, 'first.jpg').click();
  const title = page.getByRole('heading', { level: 1 });
  await expect(title).toHaveText('first.jpg');
  await expect(page.getByRole('button', { name: 'Previous' })).toBeHidden();
  await page.keyboard.press('ArrowRight');
  await expect(title).toHaveText('market-street.jpg');
  await page.keyboard.press('ArrowRight');
  await expect(title).toHaveText('last.png');
  await expect(page.getByRole('button', { name: 'Next' })).toBeHidden();
  await page.keyboard.press('ArrowLeft');
  await expect(title).toHaveText('market-street.jpg');

  const details = page.getByRole('complementary', { name: 'Details' });
  await expect(details).toBeVisible();
  await page.keyboard.press('i');
  await expect(details).toBeHidden();
  await page.keyboard.press('i');

  const size = page.getByRole('status', { name: 'Zoom' });
  const whole = await size.textContent();
  await page.keyboard.press('+');
  await expect(size).not.toHaveText(whole!);
  // Zoomed in, the arrows pan.
  await page.keyboard.press('ArrowRight');
  await expect(title).toHaveText('market-street.jpg');
  await page.keyboard.press('0');
  await expect(size).toHaveText(whole!);
  await page.keyboard.press('e');
  await expect(page).toHaveURL(/\/studio\//);
  await page.goBack();
  await expect(title).toHaveText('market-street.jpg');
  await page.keyboard.press('Escape');
  await expect(page).toHaveURL(`${app.url}/library/photos`);
});

test('a picture that arrives after one has gone on disturbs nobody @desktop', async ({ page }) => {
  const held: (() => void)[] = [];
  await page.route(/\/content\?.*screen/, async (route) => {
    await new Promise<void>((release) => held.push(release));
    await route.continue();
  });
  await inGrid(page, 'first.jpg').click();
  const title = page.getByRole('heading', { level: 1 });
  await expect(title).toHaveText('first.jpg');
  await expect.poll(() => held.length).toBeGreaterThan(1);
  await page.keyboard.press('ArrowRight');
  await expect(title).toHaveText('market-street.jpg');
  await page.keyboard.press('Escape');
  await expect(page).toHaveURL(`${app.url}/library/photos`);
  const arrived = page.waitForEvent('requestfinished', (request) => request.url().includes('screen'));
  for (const release of held) release();
  await arrived;
  await expectPainted(inGrid(page, 'first.jpg').locator('img'));
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
});

test('the details tell what the file says about itself', async ({ page, hasTouch }) => {
  await page.goto(`${app.url}/media/${ids.street}`);
  await expectPainted(page.getByRole('img', { name: 'market-street.jpg' }));
  if (hasTouch) await page.getByRole('button', { name: 'Details' }).tap();
  const details = page.getByRole('complementary', { name: 'Details' });
  await expect(details.getByText('1026 × 776', { exact: true })).toBeVisible();
  await expect(details.getByText(/14 Jun 1931/).first()).toBeVisible();
  await expect(details.getByText('not a photograph').first()).toBeVisible();
  await expect(details.getByText(/SHA-256 [0-9a-f]{64}/)).toBeVisible();
  await expectAccessible(page);
});

test('a finger swipes to the next picture @phone', async ({ page }) => {
  await inGrid(page, 'first.jpg').tap();
  const title = page.getByRole('heading', { level: 1 });
  await expect(title).toHaveText('first.jpg');
  await expectPainted(page.getByRole('img', { name: 'first.jpg' }));
  await swipe(page, { x: 320, y: 400 }, { x: 80, y: 400 });
  await expect(title).toHaveText('market-street.jpg');
  await swipe(page, { x: 80, y: 400 }, { x: 320, y: 400 });
  await expect(title).toHaveText('first.jpg');
});

test('a picture is shown the way its EXIF says, and downloads as it came', async ({ page }) => {
  await page.goto(`${app.url}/media/${ids.first}`);
  const picture = page.getByRole('img', { name: 'first.jpg' });
  await expectPainted(picture);
  const box = (await picture.boundingBox())!;
  expect(box.width / box.height).toBeCloseTo(780 / 900, 1);
  const download = page.getByRole('button', { name: 'Download' }).or(page.getByRole('link', { name: 'Download' })).filter({ visible: true });
  const file = await saved(page, () => download.click());
  expect(file.name).toBe('first.jpg');
  expect(file.bytes.equals(inGoodOrder())).toBe(true);
});

test('a picture gets another name, but not one that is taken @desktop', async ({ page, context, complaints }) => {
  complaints.allowStatus(409);
  const media = await app.upload(context, 'unnamed.png', gradient(200, 300, 5), 'image/png');
  await page.goto(`${app.url}/media/${media.id}`);
  // Keys mean something once the picture is there.
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('unnamed.png');
  await page.keyboard.press('F2');
  const dialog = page.getByRole('dialog', { name: 'Rename' });
  await expect(dialog.getByLabel('New name')).toBeFocused();
  await expectAccessible(page);
  // The stem is selected, so that typing keeps the extension.
  await page.keyboard.type('last');
  await page.keyboard.press('Enter');
  await expect(dialog.getByText('Something with this name is there already.')).toBeVisible();
  await dialog.getByLabel('New name').fill('Aunt Maud, Brighton.png');
  await page.keyboard.press('Enter');
  await expect(dialog).toBeHidden();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Aunt Maud, Brighton.png');
  await page.reload();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Aunt Maud, Brighton.png');
});

test('a deleted picture is undone, or put back from the trash, or gone for good', async ({ page, context, complaints, hasTouch }) => {
  complaints.allowStatus(404);
  const press = (target: ReturnType<typeof page.locator>) => (hasTouch ? target.tap() : target.click());
  const media = await app.upload(context, `farewell-${hasTouch}.png`, gradient(260, 200, 8), 'image/png');
  await page.goto(`${app.url}/media/${media.id}`);
  await expectPainted(page.getByRole('img', { name: media.name }));
  await press(page.getByRole('button', { name: 'Delete', exact: true }));
  await expect(page.getByText(`“${media.name}” moved to the trash.`)).toBeVisible();
  await expectAccessible(page);
  await press(page.getByRole('button', { name: 'Undo' }));
  await expect(page.getByText(`“${media.name}” put back.`)).toBeVisible();

  await page.goto(`${app.url}/library/photos`);
  await inGrid(page, media.name).focus();
  await page.keyboard.press('Delete');
  await expect(inGrid(page, media.name)).toHaveCount(0);
  await page.goto(`${app.url}/trash`);
  await expectPainted(inGrid(page, media.name).locator('img'));
  await press(inGrid(page, media.name));
  await expect(page.getByText('1 selected')).toBeVisible();
  await expectAccessible(page);
  await press(page.getByRole('button', { name: 'Put back' }));
  await expect(page.getByRole('heading', { name: 'The trash is empty' })).toBeVisible();
  await page.goto(`${app.url}/library/photos`);
  await expectPainted(inGrid(page, media.name).locator('img'));

  await inGrid(page, media.name).focus();
  await page.keyboard.press('Delete');
  await expect(inGrid(page, media.name)).toHaveCount(0);
  await page.goto(`${app.url}/trash`);
  await press(inGrid(page, media.name));
  await press(page.getByRole('button', { name: 'Delete for good' }));
  await press(page.getByRole('dialog').getByRole('button', { name: 'Delete for good' }));
  await expect(page.getByRole('heading', { name: 'The trash is empty' })).toBeVisible();
  await page.goto(`${app.url}/media/${media.id}`);
  await expect(page.getByRole('heading', { name: 'Nothing is developed here' })).toBeVisible();
});
