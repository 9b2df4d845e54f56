/** The studio's tools: marking, pipelines and presets, ways of looking, and the steps of a result. */
import { expectAccessible } from './support/axe.ts';
import { choose, expectPainted, saved, tabTo } from './support/hands.ts';
import { gradient, grain, withExif } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';
import type { Page } from '@playwright/test';

const app = safelight({ setUp: true });
const restore = (page: Page) => page.getByRole('button', { name: 'Restore', exact: true });
const results = (page: Page) => page.getByRole('radiogroup', { name: 'Results' });
const steps = (page: Page) => page.getByRole('group', { name: 'Steps' }).getByRole('listitem');
type Made = { items: { id: string; width: number; provenance: { preset: string | null; steps: { step: string; decision: string }[] } }[] };

test.beforeEach(({ context }) => app.signIn(context));

test('steps are put in order by keyboard, kept as a preset, used, carried away and brought back', async ({ page, context }) => {
  const media = await app.upload(context, 'grainy.png', grain(300, 200), 'image/png');
  await page.goto(`${app.url}/studio/${media.id}`);
  await expect(restore(page)).toBeEnabled();
  await page.getByRole('combobox', { name: 'For special pictures' }).selectOption({ label: 'Quick' });
  await page.getByRole('combobox', { name: 'Step to add' }).selectOption({ label: 'Noise and grain' });
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  const added = steps(page).last();
  await expect(added.getByRole('switch', { name: /^Noise and grain/ })).toBeFocused();
  await tabTo(page, added.getByRole('button', { name: /^Move Noise and grain/ }), 'Shift+Tab');
  await page.keyboard.press('Home');
  await expect(steps(page).first().getByRole('button', { name: /^Move Noise and grain, step 1 / })).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await expect(steps(page).nth(1).getByRole('button', { name: /^Move Noise and grain/ })).toBeFocused();
  await page.keyboard.press('ArrowUp');
  const second = steps(page).nth(1);
  await second.getByRole('button', { name: /^More about/ }).click();
  await expectAccessible(page);
  await second.getByRole('button', { name: 'Take out' }).click();
  await steps(page).first().getByRole('slider').fill('35');

  await page.getByRole('button', { name: 'Save as preset…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Grandmother’s albums');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole('combobox', { name: 'For special pictures' }).locator('option:checked')).toHaveText('Grandmother’s albums');
  await restore(page).click();
  await expect(results(page)).toBeVisible({ timeout: 120_000 });
  const { items } = await app.get<Made>(context, `/media/${media.id}/renditions`);
  expect(items[0]!.provenance.steps[0]).toMatchObject({ step: 'denoise' });
  const { items: known } = await app.get<{ items: { name: string; title: string }[] }>(context, '/presets');
  expect(known.find((one) => one.name === items[0]!.provenance.preset)?.title).toBe('Grandmother’s albums');
  await expect(page.getByRole('heading', { name: /^Grandmother’s albums/ })).toBeVisible();

  await page.getByRole('link', { name: 'All presets' }).click();
  const own = page.getByRole('region', { name: 'Your own' });
  await expect(own.getByRole('heading', { level: 3 })).toHaveText('Grandmother’s albums');
  await expect(own.getByRole('list', { name: 'Steps' }).getByRole('listitem').first()).toHaveText(/^Noise and grain 35/);
  await expectAccessible(page);
  await own.getByRole('button', { name: 'Duplicate' }).click();
  await own.getByRole('button', { name: 'Edit Grandmother’s albums, copy' }).click();
  await dialog.getByLabel('What it is for').fill('Prints of the seventies');
  await dialog.getByRole('slider').first().fill('80');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(own.getByText('Prints of the seventies')).toBeVisible();
  await expect(own.getByText(/^Noise and grain 80/)).toBeVisible();
  const file = await saved(page, () => own.getByRole('button', { name: 'Export Grandmother’s albums, copy' }).click());
  expect(file.bytes.toString()).toContain('Prints of the seventies');
  await own.getByRole('button', { name: 'Delete Grandmother’s albums, copy' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await expect(own.getByText('Prints of the seventies')).toHaveCount(0);
  await choose(page, () => page.getByRole('button', { name: 'Import' }).click(), { name: 'copy.toml', mimeType: 'application/toml', buffer: file.bytes });
  await expect(own.getByText('Prints of the seventies')).toBeVisible();
});

test('results are blinked, looked at closely and gone through by keys, step by step undone and run again', async ({ page, context }) => {
  const media = await app.upload(context, 'street.jpg', withExif(), 'image/jpeg');
  await page.goto(`${app.url}/studio/${media.id}`);
  await page.getByRole('radio', { name: 'Strong' }).check({ force: true });
  await page.keyboard.press('Control+Enter');
  await expect(results(page).getByRole('radio')).toHaveCount(2, { timeout: 180_000 });

  // Blinking. Whoever wants no movement changes the pictures by hand.
  await page.keyboard.press('b');
  await expect(page.getByRole('radio', { name: 'Blink' })).toBeChecked();
  const said = page.locator('.compare .label');
  await expect(said).toHaveText('After');
  await page.getByRole('button', { name: 'Show the original' }).click();
  await expect(said).toHaveText('Before');
  await expectAccessible(page);
  await page.emulateMedia({ reducedMotion: 'no-preference' });
  await expect(said).toHaveText('After');
  await expect(said).toHaveText('Before');
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await page.keyboard.press('b');
  await expect(page.getByRole('radio', { name: 'Slider' })).toBeChecked();

  await page.keyboard.press('l');
  const loupe = page.getByRole('group', { name: 'Loupe' });
  await expectPainted(loupe.getByRole('img', { name: 'After' }));
  const before = await loupe.locator('img').first().evaluate((node) => (node as HTMLElement).style.left);
  await page.getByRole('group', { name: 'street.jpg' }).focus();
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => loupe.locator('img').first().evaluate((node) => (node as HTMLElement).style.left)).not.toBe(before);
  await expectAccessible(page);
  await page.keyboard.press('Escape');
  await expect(loupe).toHaveCount(0);

  await page.keyboard.press('?');
  const keys = page.getByRole('dialog', { name: 'Keys of the studio' });
  await expectAccessible(page);
  await keys.getByRole('checkbox').uncheck();
  await page.keyboard.press('Escape');
  await page.keyboard.press('l');
  await expect(loupe).toHaveCount(0);
  await page.getByRole('button', { name: 'Keys of the studio' }).click();
  await keys.getByRole('checkbox').check();
  await page.keyboard.press('Escape');

  // The steps, each with the picture before and after it.
  const looks = page.getByRole('button', { name: /^Before and after / });
  await expect(looks.nth(1)).toBeVisible();
  await tabTo(page, looks.nth(1));
  await page.keyboard.press('Enter');
  await expect(page.getByText(/^Before and after/)).toBeVisible();
  for (const picture of await page.locator('.compare img').all()) await expectPainted(picture);
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Use the picture before this step' }).click();
  await expect(results(page).getByRole('radio')).toHaveCount(3);
  const made = await app.get<Made>(context, `/media/${media.id}/renditions`);
  const counts = made.items.map((one) => one.provenance.steps.filter((step) => step.decision === 'applied').length);
  expect(Math.min(...counts), 'steps of what was undone').toBeLessThan(Math.max(...counts));

  await page.keyboard.press('.');
  await expect(results(page).getByRole('radio').nth(1)).toBeChecked();
  await expect(looks.nth(1)).toBeVisible();
  await page.getByText(/steps applied$/).locator('..').evaluate((node) => ((node as HTMLDetailsElement).open = true));
  await looks.nth(1).click();
  await page.getByRole('button', { name: 'Run again from here' }).click();
  await expect(page.getByText('These begin with the picture before the first of them')).toBeVisible();
  await steps(page).first().getByRole('slider').fill('40');
  const [asked] = await Promise.all([page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/restorations')), restore(page).click()]);
  expect(asked.postDataJSON()).toMatchObject({ keep_steps: true, in_order: true, from: { place: expect.any(Number) } });
  expect(asked.postDataJSON().steps[0]).toMatchObject({ strength: 0.4 });
  await expect(results(page).getByRole('radio')).toHaveCount(4, { timeout: 180_000 });

  // What others see, and where it comes from.
  await page.getByRole('switch', { name: 'Shared links show this result' }).check();
  await expect(results(page).getByRole('radio', { name: /, shared$/ })).toBeChecked();
  await page.getByText('How it was made').click();
  await expect(page.getByRole('term').filter({ hasText: 'Made by' })).toBeVisible();
  await expect(page.getByRole('definition').filter({ hasText: /^You$/ })).toBeVisible();
  await expectAccessible(page);
  expect((await app.get<{ shared_rendition_id: string }>(context, `/media/${media.id}`)).shared_rendition_id).toBe(new URL(page.url()).searchParams.get('rendition'));
});

test('damage is marked, found by what is like it, undone and previewed; a step is kept to a part', async ({ page, context }) => {
  const media = await app.upload(context, 'scratched.png', gradient(600, 400, 90), 'image/png');
  await page.goto(`${app.url}/studio/${media.id}`);
  await expect(restore(page)).toBeEnabled();
  await page.keyboard.press('d');
  const brush = page.getByRole('application', { name: 'Mark damage on scratched.png' });
  const size = page.getByRole('slider', { name: 'Brush size' });
  await expect(size).toHaveValue('24');
  await page.keyboard.press(']');
  await expect(size).toHaveValue('30');
  await page.keyboard.press('[');
  await page.keyboard.press('e');
  await expect(page.getByRole('button', { name: 'Erase' })).toHaveAttribute('aria-pressed', 'true');
  await page.keyboard.press('e');
  await expectAccessible(page);

  // Two strokes, of which one is taken back.
  await brush.focus();
  await page.keyboard.press('Space');
  await page.keyboard.press('Shift+ArrowRight');
  const marked = () => brush.locator('canvas').evaluate((node) => {
    const { width, height } = node as HTMLCanvasElement;
    // A copy, for the browser warns of a canvas that is read often and was not made for that.
    const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
    copy.drawImage(node as HTMLCanvasElement, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    return data.filter((value, i) => i % 4 === 3 && value > 0).length;
  });
  const two = await marked();
  await page.keyboard.press('Control+z');
  await expect.poll(marked).toBeLessThan(two);
  const one = await marked();
  const [seed] = await Promise.all([page.waitForRequest('**/damage'), page.keyboard.press('f')]);
  expect(seed.postDataJSON()).toEqual({ mask: expect.stringMatching(/^iVBOR/) });
  await expect.poll(marked).toBeGreaterThanOrEqual(one);
  await expect(page.getByRole('button', { name: 'Find similar' })).toBeEnabled();

  // The same brush says where a step applies.
  const target = page.getByRole('combobox', { name: 'What the marks are for' });
  await target.selectOption({ label: 'Only here: Noise and grain' });
  await expect.poll(marked).toBe(0);
  await brush.focus();
  await page.keyboard.press('Space');
  const [preview] = await Promise.all([page.waitForResponse('**/preview'), page.getByRole('button', { name: 'Done' }).click()]);
  expect(preview.status()).toBe(200);
  expect(preview.request().postDataJSON()).toMatchObject({ region: { x: 0, y: 0, width: 600, height: 400 }, mask: expect.any(String), steps: expect.arrayContaining([expect.objectContaining({ step: 'denoise' })]) });
  await expect(page.locator('.compare .label').last()).toHaveText('Preview');
  await expect(page.getByText('Only where it is marked.')).toBeVisible();
  // What lies half under the lower edge counts as too small to be hit.
  await page.getByRole('slider', { name: 'Scratches and dust, strength' }).evaluate((node) => node.scrollIntoView({ block: 'center' }));
  await expectAccessible(page);

  const [asked] = await Promise.all([page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/restorations')), restore(page).click()]);
  expect(asked.postDataJSON()).toMatchObject({ mask: expect.any(String), steps: expect.arrayContaining([expect.objectContaining({ step: 'denoise', mask: expect.any(String) })]) });
  await expect(results(page)).toBeVisible({ timeout: 120_000 });
  const { items } = await app.get<Made>(context, `/media/${media.id}/renditions`);
  expect(items[0]!.provenance.steps).toContainEqual(expect.objectContaining({ step: 'inpaint', decision: 'applied' }));
});
