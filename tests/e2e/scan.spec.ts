/** A scan of several prints becomes several pictures, by keyboard alone. */
import { expectAccessible } from './support/axe.ts';
import { expectPainted, tabTo } from './support/hands.ts';
import { inGoodOrder, scanOfTwo } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';
import type { Page } from '@playwright/test';

const app = safelight({ setUp: true });
test.beforeEach(({ context }) => app.signIn(context));

const dialog = (page: Page) => page.getByRole('dialog', { name: 'Split scan' });

/** Opens the dialog from the viewer's menu with keys. */
async function open(page: Page) {
  const menu = page.getByRole('button', { name: 'More for this picture' });
  await tabTo(page, menu);
  await page.keyboard.press('Enter');
  const item = page.getByRole('menuitem', { name: 'Split scan…' });
  await expect(item).toBeVisible();
  while (!(await item.evaluate((node) => node === document.activeElement))) await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(dialog(page)).toBeVisible();
}

test('prints are found, corrected, named, turned and cut out by keyboard', async ({ page, context }) => {
  const scan = await app.upload(context, 'album.png', scanOfTwo(), 'image/png');
  await page.goto(`${app.url}/media/${scan.id}`);
  await open(page);
  const frames = dialog(page).getByRole('button', { name: /: arrow keys move it$/ });
  await expect(frames).toHaveCount(10);
  await expect(dialog(page).getByRole('status')).toHaveText('2 pictures found.');
  await expectAccessible(page);

  // A corner moves with the arrow keys, and further with Shift.
  const corner = dialog(page).getByRole('button', { name: /^Top left corner of picture 1/ });
  const at = async () => (await corner.getAttribute('aria-label'))!.match(/at (\d+), (\d+)/)!.slice(1).map(Number) as [number, number];
  const [x, y] = await at();
  await tabTo(page, corner);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Shift+ArrowDown');
  const [right, down] = await at();
  expect(right).toBeGreaterThan(x);
  expect(down - y).toBeGreaterThan(right - x);
  await page.keyboard.press('Shift+ArrowUp');
  await page.keyboard.press('ArrowLeft');

  // A frame too many is removed again.
  const add = dialog(page).getByRole('button', { name: 'Add a frame' });
  await tabTo(page, add);
  await page.keyboard.press('Enter');
  const third = dialog(page).getByRole('button', { name: 'Picture 3: arrow keys move it' });
  await expect(third).toBeFocused();
  await page.keyboard.press('ArrowRight');
  const remove = dialog(page).getByRole('button', { name: 'Remove picture 3' });
  await tabTo(page, remove);
  await page.keyboard.press('Enter');
  await expect(third).toHaveCount(0);

  const name = dialog(page).getByLabel('Picture 1', { exact: true });
  await tabTo(page, name, 'Shift+Tab');
  await page.keyboard.type('Summer house');
  const turn = dialog(page).getByRole('button', { name: 'Turn picture 2 by a quarter' });
  await tabTo(page, turn);
  await page.keyboard.press('Enter');
  await expect(dialog(page).getByRole('status')).toHaveText('Picture 2 turned by 90 degrees.');
  const cut = dialog(page).getByRole('button', { name: 'Cut out 2 pictures' });
  await tabTo(page, cut);
  await page.keyboard.press('Enter');

  const first = dialog(page).getByRole('link', { name: 'Summer house.png' });
  await expect(first).toBeFocused();
  const second = dialog(page).getByRole('link', { name: 'album-2.png' });
  await expectPainted(second.locator('img'));
  await expectAccessible(page);
  const { items } = await app.get<{ items: { width: number; height: number; scan_id: string }[] }>(context, `/media/${scan.id}/scan/pictures`);
  expect(items.map((one) => one.scan_id)).toEqual([scan.id, scan.id]);
  expect(items[0]!.width).toBeGreaterThan(items[0]!.height);
  // The second stood upright before it was turned.
  expect(items[1]!.width).toBeGreaterThan(items[1]!.height);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Summer house.png');
});

test('where nothing is found a frame is drawn by hand, and what goes wrong is said', async ({ page, context, complaints }) => {
  complaints.allowStatus(422);
  const photo = await app.upload(context, 'photo.jpg', inGoodOrder(), 'image/jpeg');
  await page.goto(`${app.url}/media/${photo.id}`);
  await open(page);
  await expect(dialog(page).getByText('No pictures were found')).toBeVisible();
  await expect(dialog(page).getByRole('button', { name: 'Cut out' })).toBeDisabled();
  await dialog(page).getByRole('button', { name: 'Add a frame' }).click();
  // A corner beyond its neighbour makes no frame.
  const corner = dialog(page).getByRole('button', { name: /^Top left corner of picture 1/ });
  const from = (await corner.boundingBox())!;
  const to = (await dialog(page).getByRole('button', { name: /^Bottom right corner of picture 1/ }).boundingBox())!;
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(to.x + 40, to.y + 40, { steps: 4 });
  await page.mouse.up();
  await expect(dialog(page).getByText('Its corners cross')).toBeVisible();
  await expect(dialog(page).getByRole('button', { name: 'Cut out 1 picture' })).toBeDisabled();
  await page.mouse.move(to.x + 40, to.y + 40);
  await page.mouse.down();
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2, { steps: 4 });
  await page.mouse.up();
  await page.route('**/scan/pictures', (route) =>
    route.request().method() === 'POST'
      ? route.fulfill({ status: 422, contentType: 'application/problem+json', json: { type: 'about:blank', title: 'Refused', status: 422, code: 'validation', detail: 'The pictures overlap too much.' } })
      : route.continue(),
  );
  await dialog(page).getByRole('button', { name: 'Cut out 1 picture' }).click();
  await expect(dialog(page).getByText('The pictures overlap too much.')).toBeVisible();
  await expectAccessible(page);
  await page.keyboard.press('Escape');
  await expect(dialog(page)).toHaveCount(0);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('photo.jpg');
});
