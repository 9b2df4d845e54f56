/** Settings that are changed while the server runs, one that the outside has fixed, the log, and the instance's own name. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectAccessible } from './support/axe.ts';
import { Safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = new Safelight();
const folder = mkdtempSync(join(tmpdir(), 'safelight-settings-'));

test.beforeAll(async ({ playwright }) => {
  await app.start(['--data-dir', join(folder, 'data'), '--log-format', 'json']);
  const request = await playwright.request.newContext();
  await app.setUp(request);
  await request.dispose();
});
test.beforeEach(({ context }) => app.signIn(context));
test.afterAll(async () => {
  await app.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('a setting is found, changed, refused where it is wrong, and taken back', async ({ page, complaints }) => {
  complaints.allowStatus(422);
  await page.goto(`${app.url}/admin/settings`);
  await expect(page.getByRole('heading', { name: 'Settings', level: 1 })).toBeVisible();
  await expect(page.getByLabel('Largest file')).toBeVisible();
  await expectAccessible(page);

  await page.getByRole('searchbox', { name: 'Search settings' }).fill('largest');
  await expect(page.getByLabel('Largest picture, in pixels')).toBeVisible();
  await expect(page.getByLabel('How much is logged')).toHaveCount(0);
  await page.getByLabel('Largest file').fill('2 K');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText(/is ambiguous: write KiB/)).toBeVisible();
  await expect(page.getByLabel('Largest file')).toBeFocused();
  await expectAccessible(page);
  await page.getByLabel('Largest file').fill('2 GiB');
  await page.keyboard.press('Enter');
  await expect(page.getByText('The setting is saved and in use.')).toBeVisible();
  await page.reload();
  await expect(page.getByLabel('Largest file')).toHaveValue('2 GiB');
  await page.getByRole('button', { name: 'Back to the default Largest file' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('button', { name: 'Back to the default Largest file' })).toHaveCount(0);

  // A secret goes in and never comes back.
  await page.getByRole('searchbox', { name: 'Search settings' }).fill('replicate token');
  await page.getByLabel('API token').fill('r8_secret');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByLabel('API token')).toHaveAttribute('placeholder', 'Set, not shown');
  await expect(page.getByLabel('API token')).toHaveValue('');

  // What a flag has said can be seen and not changed.
  await page.getByRole('searchbox', { name: 'Search settings' }).fill('log.format');
  await page.getByLabel('Show also what only the file can change').check();
  await expect(page.getByText('Fixed by the flag --log-format')).toBeVisible();
  await expectAccessible(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${app.url}/admin/settings`);
  await expect(page.getByLabel('Largest file')).toBeVisible();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
});

test('the log is followed and filtered, and its level acts at once', async ({ page }) => {
  await page.goto(`${app.url}/admin/logs`);
  const log = page.getByRole('list', { name: 'Log, newest first' });
  await expect(log.getByText('ready', { exact: true })).toBeVisible();
  await expect(log.getByText('answered')).toHaveCount(0);
  await expectAccessible(page);
  expect(await app.status(page.context(), 'PATCH', '/settings', { values: { 'log.level': 'debug' } })).toBe(200);
  await expect(log.getByText('answered').first()).toBeVisible();
  expect(await app.status(page.context(), 'PATCH', '/settings', { values: { 'log.level': null } })).toBe(200);
  await page.getByLabel('With these words').fill('version ready');
  await expect(log.getByRole('listitem')).toHaveCount(1);
  await page.getByLabel('How serious').selectOption({ label: 'Errors only' });
  await expect(page.getByText('No line fits these filters.')).toBeVisible();
  await expectAccessible(page);
});

test('the instance has a name and a colour of its own', async ({ page, somebodyElse }) => {
  const values = { 'brand.name': 'Olive & Sons', 'brand.accent': '#1f6feb' };
  expect(await app.status(page.context(), 'PATCH', '/settings', { values })).toBe(200);
  const visitor = await somebodyElse();
  await visitor.goto(`${app.url}/login`);
  await expect(visitor).toHaveTitle(/ · Olive & Sons$/);
  await expect(visitor.locator('.brand')).toHaveText('Olive & Sons');
  await expect(visitor.getByRole('button', { name: 'Sign in' })).toHaveCSS('background-color', 'rgb(31, 111, 235)');
  await expectAccessible(visitor);
  await page.goto(`${app.url}/library`);
  await expect(page.getByRole('link', { name: 'Olive & Sons' })).toBeVisible();
  const manifest = await page.request.get(`${app.url}/app.webmanifest`);
  expect(((await manifest.json()) as { name: string }).name).toBe('Olive & Sons');
  expect(await app.status(page.context(), 'PATCH', '/settings', { values: { 'brand.accent': '#ffffff' } })).toBe(422);
});
