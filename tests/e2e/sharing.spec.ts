/** Pictures for others: signed links, named renderings, public buckets. */
import { expectAccessible } from './support/axe.ts';
import { gradient, inGoodOrder } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test.beforeEach(({ context }) => app.signIn(context));

test('a signed link opens without an account, as large as was chosen, and nothing else does', async ({ page, context, playwright }) => {
  const media = await app.upload(context, 'lighthouse.jpg', inGoodOrder(), 'image/jpeg');
  await page.goto(`${app.url}/media/${media.id}`);
  await page.getByRole('button', { name: 'Share', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Share “lighthouse.jpg”' });
  await dialog.getByRole('button', { name: 'Make a link' }).click();
  const link = dialog.getByLabel('Link', { exact: true });
  await expect(dialog.getByText(/Anybody who has this link can open this picture/)).toBeVisible();
  await expectAccessible(page);
  const original = await link.inputValue();

  await dialog.getByLabel('Size').selectOption({ label: 'Small, 640 pixels' });
  await dialog.getByLabel('Format').selectOption('webp');
  // Another choice is another link.
  await expect(link).toHaveCount(0);
  await expect(dialog.getByText(/^\d+ × 640, WEBP, /)).toBeVisible();
  await expectAccessible(page);
  await dialog.getByRole('radio', { name: '1 hour' }).check({ force: true });
  await dialog.getByRole('button', { name: 'Make a link' }).click();
  const small = await link.inputValue();
  await context.grantPermissions(['clipboard-write', 'clipboard-read']);
  await dialog.getByRole('button', { name: 'Copy' }).click();
  await expect(dialog.getByText('It is in the clipboard.')).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(small);

  const stranger = await playwright.request.newContext();
  const here = (url: string) => app.url + new URL(url).pathname + new URL(url).search;
  const bytes = await stranger.get(here(original));
  expect([bytes.status(), (await bytes.body()).equals(inGoodOrder())]).toEqual([200, true]);
  const rendered = await stranger.get(here(small));
  expect([rendered.status(), rendered.headers()['content-type']]).toEqual([200, 'image/webp']);
  expect((await stranger.get(here(small).replace('640', '2048'))).status()).toBe(403);
  expect((await stranger.get(here(small).split('?')[0]!)).status()).toBe(404);
  await stranger.dispose();
});

test('a preset is made with its picture in view, changed and deleted', async ({ page, context, complaints }) => {
  complaints.allowStatus(400);
  const media = await app.upload(context, 'beach.png', gradient(900, 600, 3), 'image/png');
  await page.goto(`${app.url}/admin/delivery`);
  await expect(page.getByRole('listitem').filter({ hasText: 'thumb' })).toContainText('Built in');
  await expectAccessible(page);
  await page.getByRole('button', { name: 'New preset' }).click();
  const dialog = page.getByRole('dialog', { name: 'New preset' });
  await dialog.getByLabel('Name').fill('hero');
  await dialog.getByLabel('Width').fill('400');
  await dialog.getByLabel('Height').fill('100');
  await dialog.getByLabel('How it fits').selectOption('cover');
  await dialog.getByLabel('Format').selectOption('jpeg');
  await expect(dialog.getByText(/^400 × 100, JPEG, /)).toBeVisible();
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Add preset' }).click();
  await expect(page.getByText('The preset “hero” is kept.')).toBeVisible();
  expect(await app.status(context, 'GET', `/media/${media.id}/content?preset=hero`)).toBe(200);
  await page.getByRole('button', { name: 'Change hero' }).click();
  await page.getByRole('menuitem', { name: 'Size and format…' }).click();
  const change = page.getByRole('dialog', { name: 'Preset “hero”' });
  await expect(change.getByLabel('Width')).toHaveValue('400');
  await change.getByLabel('Width').fill('300');
  await change.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('listitem').filter({ hasText: 'hero' })).toContainText('cut to 300 × 100');
  await page.getByRole('button', { name: 'Change hero' }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('The preset “hero” is gone.')).toBeVisible();
});

test('a bucket that becomes public shows its pictures to strangers', async ({ page, context, playwright }) => {
  await app.upload(context, 'poster.png', gradient(500, 400, 5), 'image/png');
  await page.goto(`${app.url}/admin/buckets`);
  await page.getByRole('button', { name: 'Change Photos' }).click();
  await page.getByRole('menuitem', { name: 'Settings…' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Photos' })).toBeVisible();
  await page.getByRole('radio', { name: /^Public/ }).check();
  await expect(page.getByText('can then be opened by strangers')).toBeVisible();
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Save settings' }).click();
  await expect(page.getByText('The settings are kept.')).toBeVisible();
  const stranger = await playwright.request.newContext();
  expect((await stranger.get(`${app.url}/storage/photos/poster.png?preset=thumb`)).status()).toBe(200);
  // Nobody makes the server render at will.
  expect((await stranger.get(`${app.url}/storage/photos/poster.png?w=300`)).status()).toBe(403);
  await stranger.dispose();
  await page.getByRole('radio', { name: /^Private/ }).check();
  await page.getByRole('button', { name: 'Save settings' }).click();
  await expect(page.getByRole('radio', { name: /^Private/ })).toBeChecked();
});
