/** Programs that come in somebody's name. */
import { expectAccessible } from './support/axe.ts';
import { tabTo } from './support/hands.ts';
import { gradient } from './support/pictures.ts';
import { type Person, safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test.beforeEach(({ context }) => app.signIn(context));

test('a token is made by keyboard, shown once, does what it may, and is revoked', async ({ page, context, playwright }) => {
  const media = await app.upload(context, 'frame.png', gradient(200, 200, 1), 'image/png');
  await page.goto(`${app.url}/account`);
  await expect(page.getByText('There is none yet.')).toBeVisible();
  await page.getByRole('button', { name: 'New token' }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'New token' });
  await expect(dialog.getByLabel('What is it for?')).toBeFocused();
  await expectAccessible(page);
  await page.keyboard.type('Photo frame');
  await expect(dialog.getByRole('checkbox', { name: 'See and download files' })).toBeChecked();
  await tabTo(page, dialog.getByRole('button', { name: 'Make the token' }));
  await page.keyboard.press('Enter');
  const made = page.getByRole('dialog', { name: 'Your new token' });
  const secret = await made.getByLabel('Token for “Photo frame”').inputValue();
  expect(secret).toMatch(/^slt_\S{16,}$/);
  await expectAccessible(page);
  await made.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText(secret)).toHaveCount(0);
  const entry = page.getByRole('listitem').filter({ hasText: 'Photo frame' });
  await expect(entry).toContainText('See and download files');
  await expect(entry).toContainText('Never used');
  await expectAccessible(page);

  const program = await playwright.request.newContext({ extraHTTPHeaders: { authorization: `Bearer ${secret}` } });
  expect((await program.get(`${app.url}/api/v1/media/${media.id}`)).status()).toBe(200);
  expect((await program.patch(`${app.url}/api/v1/media/${media.id}`, { data: { name: 'mine.png' } })).status()).toBe(403);
  await page.reload();
  await expect(entry).toContainText('Used just now');
  await page.getByRole('button', { name: 'Revoke Photo frame' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('“Photo frame” no longer gets in.')).toBeVisible();
  expect((await program.get(`${app.url}/api/v1/media/${media.id}`)).status()).toBe(401);
  await program.dispose();
});

test('a token without a purpose or a right is not made', async ({ page }) => {
  await page.goto(`${app.url}/account`);
  await page.getByRole('button', { name: 'New token' }).click();
  const dialog = page.getByRole('dialog', { name: 'New token' });
  await dialog.getByRole('checkbox', { name: 'See and download files' }).uncheck();
  await dialog.getByLabel('What is it for?').fill('Nothing');
  await dialog.getByRole('button', { name: 'Make the token' }).click();
  await expect(dialog.getByText('Choose at least one thing that it may do.')).toBeVisible();
  await expectAccessible(page);
});

test('an admin sees whose programs come in, and shuts one out', async ({ page, context, somebodyElse, playwright }) => {
  const berenice: Person = { name: 'Berenice', email: 'berenice@home.example', password: 'grain and silver halide', role: 'editor' };
  await app.addPerson(context, berenice);
  const other = await somebodyElse();
  await app.signIn(other.context(), berenice);
  const answer = await other.context().request.post(`${app.url}/api/v1/tokens`, { headers: { origin: app.url }, data: { name: 'Slide show', scopes: ['library.read'], expires_in_days: 30 } });
  const { token } = (await answer.json()) as { token: string };
  await page.goto(`${app.url}/admin/tokens`);
  const entry = page.getByRole('listitem').filter({ hasText: 'Slide show' });
  await expect(entry).toContainText('of Berenice');
  await expect(entry).toContainText('See and download files');
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Withdraw Slide show of Berenice' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click();
  await expect(page.getByText('“Slide show” of Berenice no longer gets in.')).toBeVisible();
  const program = await playwright.request.newContext({ extraHTTPHeaders: { authorization: `Bearer ${token}` } });
  expect((await program.get(`${app.url}/api/v1/media`)).status()).toBe(401);
  await program.dispose();
});
