/** A bucket of its own: who is added sees it and does there what the role says, and who is taken out sees it no more. */
import { expectAccessible } from './support/axe.ts';
import { inGrid } from './support/hands.ts';
import { safelight, type Person } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test('who is added to a bucket sees it, and who is removed does not', async ({ page, context, somebodyElse, complaints }) => {
  complaints.allowStatus(404);
  complaints.allowStatus(422);
  await app.signIn(context);
  const ruth: Person = { name: 'Ruth', email: 'ruth@home.example', role: 'viewer', password: 'twelve brass buttons' };
  await app.addPerson(context, ruth);
  await app.upload(context, 'everybody.txt', Buffer.from('hello'));
  expect(await app.status(context, 'POST', '/buckets', { slug: 'parents', name: 'The parents' })).toBe(201);

  // Only for members, and for a website.
  await page.goto(`${app.url}/library/parents`);
  await page.getByRole('link', { name: 'Settings of this bucket' }).click();
  await page.getByRole('radio', { name: /^Members/ }).check();
  const sites = page.getByLabel('Sites whose pages may read files');
  await sites.fill('www.example.org');
  await page.getByRole('button', { name: 'Save settings' }).click();
  await expect(sites).toHaveAttribute('aria-invalid', 'true');
  await sites.fill('https://www.Example.org/');
  await page.getByRole('button', { name: 'Save settings' }).click();
  await expect(page.getByText('The settings are kept.')).toBeVisible();
  await expect(sites).toHaveValue('https://www.example.org');
  await expect(page.getByText('Only they see this bucket, beside owners and admins.')).toBeVisible();
  await expect(page.getByText('Nobody yet.')).toBeVisible();

  const other = await somebodyElse();
  await app.signIn(other.context(), ruth);
  await other.goto(`${app.url}/library`);
  await expect(inGrid(other, 'everybody.txt')).toBeVisible();
  const bucket = other.getByRole('list', { name: 'Buckets' }).getByRole('link', { name: 'The parents' });
  await expect(bucket).toHaveCount(0);

  // Added as a writer, without loading anything again.
  await page.getByRole('button', { name: 'Add a person' }).click();
  const dialog = page.getByRole('dialog', { name: 'Add a person to “The parents”' });
  await dialog.getByLabel('Find by name or email').fill('ruth@');
  await dialog.getByRole('radio', { name: /^Ruth/ }).check();
  await dialog.getByRole('radio', { name: /^Writer/ }).check();
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(page.getByText('Ruth is a member now.')).toBeVisible();
  const role = page.getByLabel('Role of Ruth');
  await expect(role).toHaveValue('writer');
  await expectAccessible(page);

  await bucket.click();
  await expect(other.getByRole('heading', { name: 'The parents', level: 1 })).toBeVisible();
  await expect(other.getByRole('button', { name: 'Upload', exact: true })).toBeVisible();
  await expect(other.getByRole('link', { name: 'Trash' })).toBeVisible();
  await expect(other.getByRole('link', { name: 'Settings of this bucket' })).toHaveCount(0);
  // Elsewhere she still only looks.
  await other.goto(`${app.url}/library/photos`);
  await expect(inGrid(other, 'everybody.txt')).toBeVisible();
  await expect(other.getByRole('button', { name: 'Upload', exact: true })).toHaveCount(0);

  // As a manager she has the settings, and nothing else of the admins' pages.
  await role.selectOption('manager');
  await expect(page.getByText('Ruth is a manager now.')).toBeVisible();
  await bucket.click();
  await other.getByRole('link', { name: 'Settings of this bucket' }).click();
  await expect(other.getByLabel('Role of Ruth')).toHaveValue('manager');
  await expect(other.getByLabel('Quota')).toHaveCount(0);
  await expect(other.getByRole('navigation', { name: 'Admin' })).toHaveCount(0);
  await expectAccessible(other);

  await page.getByRole('button', { name: 'Remove Ruth' }).click();
  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await expect(page.getByText('Ruth is no member any more.')).toBeVisible();
  await expect(bucket).toHaveCount(0);
  await other.goto(`${app.url}/library/parents`);
  await expect(other.getByText('There is no such bucket').first()).toBeVisible();
});
