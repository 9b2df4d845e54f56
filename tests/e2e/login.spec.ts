/** Signing in, and the sessions that come of it. */
import { expectAccessible } from './support/axe.ts';
import { owner, type Person, safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';
import type { Page } from '@playwright/test';

const app = safelight({ setUp: true });

async function fillIn(page: Page, email: string, password: string) {
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
}
const submit = (page: Page) => page.getByRole('button', { name: 'Sign in' }).click();

test('a wrong password is refused kindly, and the right one leads to where one wanted to go', async ({ page, complaints }) => {
  complaints.allowStatus(401);
  await page.goto(`${app.url}/account`);
  await expect(page).toHaveURL(/\/login\?next=/);
  await expectAccessible(page);
  await fillIn(page, owner.email, 'not this one');
  await submit(page);
  await expect(page.getByRole('alert')).toContainText('don’t belong together');
  await expect(page.getByLabel('Password', { exact: true })).toBeFocused();
  await expect(page.getByLabel('Password', { exact: true })).toHaveValue('');
  await expectAccessible(page);
  await page.keyboard.type(owner.password);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(`${app.url}/account`);
  await expect(page.getByRole('heading', { level: 1, name: 'Account' })).toBeVisible();
});

test('somebody who guesses has to wait, and hears for how long', async ({ page, context, complaints, somebodyElse }) => {
  complaints.allowStatus(401);
  complaints.allowStatus(429);
  const forgetful: Person = { name: 'Otto', email: 'otto@home.example', password: 'eleven short stories', role: 'viewer' };
  await app.signIn(context);
  await app.addPerson(context, forgetful);
  const guesser = await somebodyElse();
  await guesser.goto(`${app.url}/login`);
  const alert = guesser.getByRole('alert');
  const tooMany = alert.getByText('Too many attempts');
  const refused = alert.getByText('don’t belong together');
  // Five are free; after those each one makes the next wait twice as long, so that a slow machine gets there as well.
  for (let guess = 0; guess < 12 && !(await tooMany.isVisible()); guess++) {
    await fillIn(guesser, forgetful.email, `guess number ${guess}`);
    await submit(guesser);
    await expect(guesser.getByLabel('Password', { exact: true })).toHaveValue('');
    await expect(refused.or(tooMany)).toBeVisible();
  }
  await expect(tooMany).toBeVisible();
  await expect(alert).toContainText(/in \d+ s/);
  await expect(guesser.getByRole('button', { name: 'Sign in' })).toBeDisabled();
  await expectAccessible(guesser);
  await fillIn(guesser, forgetful.email, forgetful.password);
  await expect(guesser.getByRole('button', { name: 'Sign in' })).toBeEnabled({ timeout: 120_000 });
  await submit(guesser);
  await expect(guesser).toHaveURL(/\/library/);
});

test('only a remembered session outlives the browser', async ({ page, somebodyElse }) => {
  const lifeOf = async (tab: Page) => (await tab.context().cookies()).find((cookie) => cookie.name.endsWith('safelight_session'))!;
  await page.goto(`${app.url}/login`);
  await fillIn(page, owner.email, owner.password);
  await submit(page);
  await expect(page).toHaveURL(/\/library/);
  expect(await lifeOf(page)).toMatchObject({ expires: -1, httpOnly: true, sameSite: 'Lax' });

  const other = await somebodyElse();
  await other.goto(`${app.url}/login`);
  await fillIn(other, owner.email, owner.password);
  await other.getByLabel('Keep me signed in on this device').check();
  await submit(other);
  await expect(other).toHaveURL(/\/library/);
  expect((await lifeOf(other)).expires).toBeGreaterThan(Date.now() / 1000 + 20 * 86_400);
});

test('a session that is ended elsewhere says so at once, and one comes back to the same page', async ({ page, context, complaints, somebodyElse }) => {
  complaints.allowStatus(401);
  await app.signIn(context);
  const phone = await somebodyElse({ userAgent: 'Mozilla/5.0 (Android 16; Mobile; rv:148.0) Gecko/148.0 Firefox/148.0' });
  await phone.goto(`${app.url}/login`);
  await fillIn(phone, owner.email, owner.password);
  await submit(phone);
  await expect(phone).toHaveURL(/\/library\/photos/);
  await expect(phone.getByRole('heading', { name: 'Bring in your first photograph' })).toBeVisible();

  await page.goto(`${app.url}/account`);
  await expect(page.getByText('This one')).toHaveCount(1);
  await expectAccessible(page);
  await page.getByRole('button', { name: 'End the session of Firefox on Android' }).click();
  await expect(page.getByText('That session was ended.')).toBeVisible();
  await expect(page.getByText('Firefox on Android')).toHaveCount(0);

  await expect(phone.getByText('Your session has ended.')).toBeVisible();
  await expectAccessible(phone);
  await fillIn(phone, owner.email, owner.password);
  await submit(phone);
  await expect(phone).toHaveURL(/\/library\/photos/);
});

test('a new password is weighed while it is typed, and ends the other sessions', async ({ page, context, complaints, somebodyElse }) => {
  complaints.allowStatus(401);
  complaints.allowStatus(422);
  const person: Person = { name: 'Edith', email: 'edith@home.example', password: 'seven grey herons', role: 'editor' };
  await app.signIn(context);
  await app.addPerson(context, person);
  const tab = await somebodyElse();
  await app.signIn(tab.context(), person);
  await page.context().clearCookies();
  await app.signIn(context, person);
  await tab.goto(`${app.url}/library`);
  await expect(tab.getByRole('heading', { level: 1 })).toBeVisible();

  await page.goto(`${app.url}/account`);
  const fresh = page.getByLabel('New password', { exact: true });
  await page.getByLabel('Current password', { exact: true }).fill(person.password);
  await fresh.fill('short');
  await expect(page.getByText('5 more characters to go.')).toBeVisible();
  await page.getByRole('button', { name: 'Change password' }).click();
  await expect(fresh).toHaveAttribute('aria-invalid', 'true');
  await fresh.fill('three white swans and a kite');
  await expect(page.getByText('Strong.')).toBeVisible();
  await page.getByRole('button', { name: 'Change password' }).click();
  await expect(page.getByText('Password changed.')).toBeVisible();
  await expect(tab.getByText('Your session has ended.')).toBeVisible();
  await expect(page.getByRole('heading', { level: 1, name: 'Account' })).toBeVisible();
});

test('signing out leads to the login page, and back does not lead in again', async ({ page, context, complaints }) => {
  complaints.allowStatus(401);
  await app.signIn(context);
  await page.goto(`${app.url}/library`);
  await page.getByRole('link', { name: owner.name }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
});
