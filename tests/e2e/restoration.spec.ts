/** Restoring: what is said under way, what comes of it, and how it is looked at. */
import { expectAccessible } from './support/axe.ts';
import { expectPainted, saved, tabTo, watchRestoring } from './support/hands.ts';
import { gradient, grain, inGoodOrder, withExif } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';
import type { Page } from '@playwright/test';

const app = safelight({ setUp: true });
const restore = (page: Page) => page.getByRole('button', { name: 'Restore', exact: true });
const results = (page: Page) => page.getByRole('radiogroup', { name: 'Results' }).getByRole('radio');
const slider = (page: Page) => page.getByRole('slider', { name: 'Compare before and after' });

test.beforeEach(({ context }) => app.signIn(context));

test('a picture in good order is left alone, and the page says why', async ({ page, context }) => {
  const media = await app.upload(context, 'lighthouse.jpg', inGoodOrder(), 'image/jpeg');
  await page.goto(`${app.url}/studio/${media.id}`);
  await restore(page).click();
  await expect(page.getByRole('heading', { name: 'Nothing needed doing' })).toBeVisible({ timeout: 120_000 });
  await page.getByText('What it looked for').click();
  await expect(page.getByText('left alone').first()).toBeVisible();
  await expect(slider(page)).toHaveCount(0);
  await expectAccessible(page);
  const { items } = await app.get<{ items: unknown[] }>(context, `/media/${media.id}/renditions`);
  expect(items).toEqual([]);
});

test('progress is live, step by step, also after a reload', async ({ page, context }) => {
  const media = await app.upload(context, 'large.png', grain(3600, 2400), 'image/png');
  const seen = await watchRestoring(page);
  await page.goto(`${app.url}/studio/${media.id}`);
  await expect(restore(page)).toBeEnabled();
  await restore(page).click();
  await expect(page.getByRole('progressbar', { name: 'Restoration progress' })).toBeVisible();
  await page.reload();
  await expect(results(page)).toHaveCount(2, { timeout: 120_000 });
  const { progress, headings, steps } = await seen();
  expect(headings).toContain('Restoring');
  expect(progress.length, 'how often the bar moved').toBeGreaterThan(2);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(steps.length, 'steps that were named').toBeGreaterThan(0);
});

test('a running restoration is cancelled, and leaves the original alone', async ({ page, context }) => {
  const media = await app.upload(context, 'huge.png', grain(3000, 2000), 'image/png');
  await page.goto(`${app.url}/studio/${media.id}`);
  await expect(restore(page)).toBeEnabled();
  await tabTo(page, restore(page));
  await page.keyboard.press('Enter');
  // At once: how long the machine takes to restore is not known.
  await expect(page.getByRole('button', { name: 'Cancel', exact: true })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByText('Cancelled. The original is untouched.')).toBeVisible();
  await expect(restore(page)).toBeFocused();
  await expect(slider(page)).toHaveCount(0);
  await expectAccessible(page);
  const runs = `/restorations?media_id=${media.id}`;
  await expect.poll(async () => (await app.get<{ items: { state: string }[] }>(context, runs)).items.map((one) => one.state)).toEqual(['cancelled']);
  expect((await app.get<{ items: unknown[] }>(context, `/media/${media.id}/renditions`)).items).toEqual([]);

  // The page while it works, held there for as long as it is looked at.
  const [run] = (await app.get<{ items: { id: string }[] }>(context, runs)).items;
  const running = { ...run, state: 'running', progress: 0.4, step: 'denoise', finished_at: null };
  await page.route('**/api/v1/restorations?*', (route) => route.fulfill({ json: { items: [running], next_cursor: null } }));
  await page.route(`**/api/v1/restorations/${run!.id}`, (route) => route.fulfill({ json: running }));
  await page.reload();
  await expect(page.getByRole('progressbar', { name: 'Restoration progress' })).toHaveAttribute('aria-valuenow', '40');
  await expect(page.getByRole('heading', { name: 'Restoring' })).toBeVisible();
  await expectAccessible(page);
});

test('results are compared in three ways, looked at closely, listed and deleted', async ({ page, context, complaints }) => {
  const media = await app.upload(context, 'street.jpg', withExif(), 'image/jpeg');
  await page.goto(`${app.url}/studio/${media.id}`);
  await page.getByRole('radio', { name: 'Strong' }).check({ force: true });
  await restore(page).click();
  await expect(results(page)).toHaveCount(2, { timeout: 120_000 });
  const compare = page.getByRole('group', { name: 'street.jpg' });
  await expectPainted(compare.locator('img').last());

  await page.getByRole('radio', { name: 'Side by side' }).check({ force: true });
  await expectPainted(page.getByRole('img', { name: 'street.jpg, before' }));
  await expectPainted(page.getByRole('img', { name: 'street.jpg, after' }));
  await expectAccessible(page);
  await page.getByRole('radio', { name: 'Difference' }).check({ force: true });
  await expect(page.getByRole('slider', { name: 'Amplify' })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole('radio', { name: 'Slider' }).check({ force: true });

  const size = page.getByRole('status', { name: 'Zoom' });
  const whole = await size.textContent();
  await compare.focus();
  await page.keyboard.press('+');
  await expect(size).not.toHaveText(whole!);
  await page.keyboard.press('0');
  await expect(size).toHaveText(whole!);
  const box = (await compare.boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.wheel(0, -400);
  await expect(size).not.toHaveText(whole!);
  await page.getByRole('button', { name: 'Show the whole picture' }).click();
  await expect(size).toHaveText(whole!);

  // A mix of one's own: one step only.
  for (const step of await page.getByRole('switch').all()) await step.setChecked(false);
  await page.getByRole('switch', { name: /Fad/ }).check();
  await restore(page).click();
  // Beside the original.
  await expect(results(page)).toHaveCount(3, { timeout: 120_000 });
  await expect(results(page).first()).toHaveAccessibleName(/^2\. Own mix/);
  await expect(results(page).first()).toBeChecked();
  await expect(page.getByText(/\d of 1 steps? applied/)).toBeVisible();
  await expectAccessible(page);

  await page.goto(`${app.url}/media/${media.id}`);
  const made = page.getByRole('complementary', { name: 'Details' }).getByRole('listitem').filter({ has: page.getByRole('button') });
  await expect(made).toHaveCount(3);
  await made.nth(1).getByRole('button').click();
  await expectPainted(page.locator('.frame img').first());
  await expectAccessible(page);
  await page.goBack();

  await page.getByRole('button', { name: 'Delete result' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(results(page)).toHaveCount(2);
  await expect(slider(page)).toBeVisible();
  expect(complaints.unexpected()).toEqual([]);
});

test('marked damage is repaired where it was marked', async ({ page, context }) => {
  const media = await app.upload(context, 'scratched.png', gradient(600, 400, 90), 'image/png');
  await page.goto(`${app.url}/studio/${media.id}`);
  await page.getByRole('button', { name: 'Mark damage' }).click();
  const view = page.locator('.view');
  await expect(page.getByRole('button', { name: 'Done' })).toBeVisible();
  await expectAccessible(page);
  const box = (await view.boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 0.5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.5, { steps: 5 });
  await page.mouse.up();
  await page.getByRole('button', { name: 'Done' }).click();
  await restore(page).click();
  await expect(results(page)).toHaveCount(2, { timeout: 120_000 });
  const { items } = await app.get<{ items: { provenance: { steps: { step: string; decision: string }[] } }[] }>(context, `/media/${media.id}/renditions`);
  expect(items[0]!.provenance.steps).toContainEqual(expect.objectContaining({ step: 'inpaint', decision: 'applied' }));
  const result = await saved(page, () => page.getByRole('link', { name: 'Download' }).or(page.getByRole('button', { name: 'Download' })).click());
  expect(result.bytes.subarray(1, 4).toString()).toBe('PNG');
});

test('what a picture needs is suggested, taken and restored', async ({ page, context }) => {
  const media = await app.upload(context, 'grainy.png', grain(400, 300), 'image/png');
  await page.goto(`${app.url}/studio/${media.id}`);
  const suggestion = page.getByRole('region', { name: 'Suggestion' });
  await tabTo(page, suggestion.getByRole('button', { name: 'What does it need?' }));
  await page.keyboard.press('Enter');
  await expect(suggestion.getByRole('listitem').first()).toBeVisible();
  await expectAccessible(page);
  await suggestion.getByRole('button', { name: 'Take the suggestion' }).click();
  await expect(page.getByRole('switch', { name: /Noise|Grain/i }).first()).toBeChecked();
  await restore(page).click();
  await expect(results(page)).toHaveCount(2, { timeout: 120_000 });

  await page.getByRole('combobox', { name: 'For special pictures' }).selectOption('Enlarge x4');
  await restore(page).click();
  await expect(results(page)).toHaveCount(3, { timeout: 120_000 });
  const { items } = await app.get<{ items: { width: number; height: number }[] }>(context, `/media/${media.id}/renditions`);
  expect(items.map(({ width, height }) => `${width} x ${height}`)).toContain('1600 x 1200');
  await expectAccessible(page);
});
