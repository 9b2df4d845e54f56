/** What a newcomer does with a fresh instance, from the printed link to the downloaded result. */
import { readFileSync } from 'node:fs';
import { expectAccessible } from './support/axe.ts';
import { choose, dragByFinger, dropFiles, expectPainted, inGrid, saved, tabTo, watchRestoring } from './support/hands.ts';
import { jpegSize, oldPhotograph } from './support/pictures.ts';
import { owner, Safelight } from './support/safelight.ts';
import { expect, test as base } from './support/test.ts';

const test = base.extend<{ app: Safelight }>({
  app: async ({}, use, info) => {
    const app = new Safelight();
    await app.start();
    await use(app);
    if (info.status !== info.expectedStatus) await info.attach('safelight.log', { body: app.logged, contentType: 'text/plain' });
    await app.remove();
  },
});

const sample = 'The boathouse, 1974.jpg';

test('a newcomer brings a photograph in, restores it, compares and saves it', async ({ app, page, hasTouch }) => {
  const photo = oldPhotograph();
  const press = (target: ReturnType<typeof page.locator>) => (hasTouch ? target.tap() : target.click());

  await page.goto(app.setupLink);
  await expect(page.getByRole('heading', { name: 'Welcome to Safelight' })).toBeVisible();
  await expectAccessible(page);
  await page.getByLabel('Your name').fill(owner.name);
  await page.getByLabel('E-mail address').fill(owner.email);
  await page.getByLabel('Password', { exact: true }).fill(owner.password);
  await expect(page.getByLabel('Put a sample photograph in')).toBeChecked();
  await press(page.getByRole('button', { name: 'Create account' }));

  await expect(page).toHaveURL(/\/library\/photos$/);
  await expectPainted(inGrid(page, sample).locator('img'));
  await expectAccessible(page);

  if (hasTouch) await choose(page, () => press(page.getByRole('button', { name: 'Upload', exact: true })), photo.path);
  else await dropFiles(page, [photo.path]);
  await expect(page.getByRole('heading', { name: '1 file uploaded' })).toBeVisible();
  await expectPainted(inGrid(page, photo.name).locator('img'));
  await expectAccessible(page);
  await press(page.getByRole('button', { name: 'Close the list' }));

  await press(inGrid(page, photo.name));
  await expect(page.getByRole('heading', { level: 1, name: photo.name })).toBeVisible();
  await expectPainted(page.getByRole('img', { name: photo.name }));
  await expectAccessible(page);

  await press(page.getByRole('link', { name: 'Open in studio' }));
  await expect(page).toHaveTitle(`Studio: ${photo.name} · Safelight`);
  const restore = page.getByRole('button', { name: 'Restore', exact: true });
  await expect(restore).toBeEnabled();
  await expectAccessible(page);
  const seen = await watchRestoring(page);
  await press(restore);

  const slider = page.getByRole('slider', { name: 'Compare before and after' });
  await expect(slider).toBeVisible({ timeout: 120_000 });
  await expect(page.getByText(/\d of \d steps applied/)).toBeVisible();
  expect((await seen()).headings, 'what was said under way').not.toEqual([]);
  await expectPainted(page.getByRole('group', { name: photo.name }).locator('img').last());
  await expectAccessible(page);

  const divider = page.locator('.compare .line');
  const frame = (await page.getByRole('group', { name: photo.name }).boundingBox())!;
  const middle = frame.x + frame.width / 2;
  const y = frame.y + frame.height / 2;
  await expect(slider).toHaveValue('50');
  const shown = (await page.getByRole('group', { name: photo.name }).locator('img').first().boundingBox())!;
  const quarter = shown.x + shown.width / 4;
  if (hasTouch) await dragByFinger(page, { x: middle, y }, { x: quarter, y });
  else {
    await page.mouse.move(middle, y);
    await page.mouse.down();
    await page.mouse.move(quarter, y, { steps: 6 });
    await page.mouse.up();
  }
  await expect(slider).toHaveValue(/^2[456]$/);
  const line = (await divider.boundingBox())!;
  expect(Math.abs(line.x + line.width / 2 - quarter), 'the divider is where it was dragged').toBeLessThan(3);

  const result = await saved(page, () => press(page.getByRole('link', { name: 'Download' }).or(page.getByRole('button', { name: 'Download' }))));
  const original = readFileSync(photo.path);
  expect(result.name).toMatch(/\.jpe?g$/);
  expect(jpegSize(result.bytes)).toEqual(jpegSize(original));
  expect(result.bytes.equals(original)).toBe(false);
});

test('the same by keyboard alone @desktop', async ({ app, page }) => {
  const photo = oldPhotograph();
  const keys = page.keyboard;

  await page.goto(app.setupLink);
  await tabTo(page, page.getByLabel('Your name'));
  await keys.type(owner.name);
  await keys.press('Tab');
  await keys.type(owner.email);
  await keys.press('Tab');
  await keys.type(owner.password);
  await keys.press('Enter');

  await expect(page).toHaveURL(/\/library\/photos$/);
  await expect(inGrid(page, sample)).toBeVisible();
  await tabTo(page, page.getByRole('button', { name: 'Upload', exact: true }));
  await choose(page, () => keys.press('Enter'), photo.path);
  await expect(page.getByRole('heading', { name: '1 file uploaded' })).toBeVisible();
  await tabTo(page, page.getByRole('button', { name: 'Close the list' }));
  await keys.press('Enter');

  // The grid is one stop; the arrows walk in it.
  await expect(inGrid(page, photo.name)).toBeVisible();
  await tabTo(page, page.getByRole('grid').locator('a[tabindex="0"]'));
  await keys.press('Control+Home');
  await expect(inGrid(page, photo.name)).toBeFocused();
  await keys.press('ArrowRight');
  await expect(inGrid(page, sample)).toBeFocused();
  await keys.press('ArrowLeft');
  await keys.press('Enter');

  await expect(page.getByRole('heading', { level: 1, name: photo.name })).toBeFocused();
  await tabTo(page, page.getByRole('link', { name: 'Open in studio' }));
  await keys.press('Enter');
  await expect(page).toHaveTitle(`Studio: ${photo.name} · Safelight`);
  const restore = page.getByRole('button', { name: 'Restore', exact: true });
  await expect(restore).toBeEnabled();
  await tabTo(page, restore);
  await keys.press('Enter');

  const slider = page.getByRole('slider', { name: 'Compare before and after' });
  await expect(slider).toBeVisible({ timeout: 120_000 });
  await expect(restore).toBeFocused();
  await tabTo(page, slider, 'Shift+Tab');
  for (let i = 0; i < 5; i++) await keys.press('ArrowLeft');
  await expect(slider).toHaveValue('45');
  await keys.press('Home');
  await expect(slider).toHaveAttribute('aria-valuetext', '0 % before');
  await keys.press('End');
  await expect(slider).toHaveAttribute('aria-valuetext', '100 % before');

  const download = page.getByRole('link', { name: 'Download' }).or(page.getByRole('button', { name: 'Download' }));
  await tabTo(page, download);
  const result = await saved(page, () => keys.press('Enter'));
  expect(jpegSize(result.bytes)).toEqual(jpegSize(readFileSync(photo.path)));
  expect(result.bytes.equals(readFileSync(photo.path))).toBe(false);
});

test('a setup link works once, and only as it was printed @desktop', async ({ app, page, somebodyElse, complaints }) => {
  complaints.allowStatus(403);
  complaints.allowStatus(422);
  await page.goto(`${app.url}/setup?token=guessed`);
  await page.getByLabel('Your name').fill('Mallory');
  await page.getByLabel('E-mail address').fill('mallory@home.example');
  await page.getByLabel('Password', { exact: true }).fill('let me in, please');
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByRole('heading', { name: 'This setup link doesn’t work' })).toBeVisible();
  await expectAccessible(page);

  await page.goto(app.setupLink);
  await page.getByLabel('Your name').fill(owner.name);
  await page.getByLabel('E-mail address').fill(owner.email);
  await page.getByLabel('Password', { exact: true }).fill('password12');
  await page.getByRole('button', { name: 'Create account' }).click();
  const field = page.getByLabel('Password', { exact: true });
  await expect(field).toHaveAttribute('aria-invalid', 'true');
  await field.fill(owner.password);
  await page.getByLabel('Put a sample photograph in').uncheck();
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByRole('heading', { name: 'Bring in your first photograph' })).toBeVisible();
  await expectAccessible(page);

  const late = await somebodyElse();
  await late.goto(app.setupLink);
  await expect(late.getByRole('heading', { name: 'Already set up' })).toBeVisible();
});
