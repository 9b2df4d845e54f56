/** Who may do what, and what is kept about it. */
import { expectAccessible } from './support/axe.ts';
import { inGrid } from './support/hands.ts';
import { gradient } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test.beforeEach(({ context }) => app.signIn(context));

test('a viewer who is added can look and download, and nothing else', async ({ page, context, somebodyElse, complaints }) => {
  complaints.allowStatus(422);
  complaints.allowStatus(401);
  const media = await app.upload(context, 'family.png', gradient(400, 300), 'image/png');
  await page.goto(`${app.url}/admin/users`);
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Add a user' }).click();
  const dialog = page.getByRole('dialog', { name: 'Add a user' });
  await dialog.getByLabel('Name').fill('Ruth');
  await dialog.getByLabel('E-mail address').fill('ruth@home.example');
  await dialog.getByRole('radio', { name: /^Viewer/ }).check();
  await dialog.getByLabel('First password', { exact: true }).fill('ruth@home');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(dialog.getByLabel('First password', { exact: true })).toHaveAttribute('aria-invalid', 'true');
  await expectAccessible(page);
  await dialog.getByLabel('First password', { exact: true }).fill('twelve brass buttons');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(page.getByText('Ruth can sign in now.')).toBeVisible();

  const ruth = await somebodyElse();
  await ruth.goto(`${app.url}/login`);
  await ruth.getByLabel('E-mail address').fill('ruth@home.example');
  await ruth.getByLabel('Password', { exact: true }).fill('twelve brass buttons');
  await ruth.getByRole('button', { name: 'Sign in' }).click();
  await expect(inGrid(ruth, 'family.png')).toBeVisible();
  await expect(ruth.getByRole('button', { name: 'Upload', exact: true })).toHaveCount(0);
  await expect(ruth.getByRole('link', { name: 'Trash' })).toHaveCount(0);
  await expect(ruth.getByRole('link', { name: 'Admin' })).toHaveCount(0);
  await expectAccessible(ruth);
  await inGrid(ruth, 'family.png').click();
  await expect(ruth.getByRole('button', { name: 'Download' }).or(ruth.getByRole('link', { name: 'Download' })).filter({ visible: true })).toBeVisible();
  for (const name of ['Delete', 'Rename']) await expect(ruth.getByRole('button', { name, exact: true })).toHaveCount(0);
  await expect(ruth.getByRole('link', { name: 'Open in studio' })).toHaveCount(0);
  for (const path of [`/studio/${media.id}`, '/admin', '/trash']) {
    await ruth.goto(app.url + path);
    await expect(ruth.getByRole('heading', { name: 'This isn’t for your account' })).toBeVisible();
  }
  await expectAccessible(ruth);
  // What the page doesn't offer, the server refuses.
  expect(await app.status(ruth.context(), 'POST', `/media/${media.id}/restorations`, { preset: 'auto' })).toBe(403);
  expect(await app.status(ruth.context(), 'DELETE', `/media/${media.id}`)).toBe(403);
  expect(await app.status(ruth.context(), 'PATCH', `/media/${media.id}`, { name: 'mine.png' })).toBe(403);
  expect(await app.status(ruth.context(), 'GET', '/users')).toBe(403);

  await page.getByRole('button', { name: 'Change Ruth' }).click();
  await expectAccessible(page);
  await page.getByRole('menuitem', { name: 'Disable' }).click();
  await expect(page.getByText('Ruth can no longer sign in.')).toBeVisible();
  await expect(ruth.getByText('Your session has ended.')).toBeVisible();
});

test('the last owner stays one', async ({ page, complaints }) => {
  complaints.allowStatus(409);
  await page.goto(`${app.url}/admin/users`);
  await page.getByRole('button', { name: 'Change Ansel' }).click();
  await page.getByRole('menuitem', { name: 'Name and role…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Change Ansel' });
  await dialog.getByRole('radio', { name: /^Editor/ }).check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('This is the only owner left.')).toBeVisible();
});

test('jobs and the audit tell what happened, by whom and from where', async ({ page, context }) => {
  const media = await app.upload(context, 'evidence.png', gradient(300, 300, 9), 'image/png');
  expect(await app.status(context, 'POST', `/media/${media.id}/restorations`, { preset: 'auto' })).toBe(202);
  await page.goto(`${app.url}/admin/jobs`);
  const job = page.getByRole('listitem').filter({ has: page.getByText('Restore', { exact: true }) });
  await expect(job.getByText('Done').first()).toBeVisible({ timeout: 120_000 });
  await expectAccessible(page);
  await page.getByRole('combobox', { name: 'State' }).selectOption({ label: 'Failed' });
  await expect(page.getByText('Nothing has failed. Good.')).toBeVisible();

  await page.goto(`${app.url}/admin/audit`);
  const row = page.getByRole('row').filter({ hasText: 'evidence.png' });
  await expect(row.filter({ hasText: 'Media upload' })).toContainText(['Ansel']);
  await expect(row.filter({ hasText: 'Restoration request' })).toContainText(['127.0.0.1']);
  await expectAccessible(page);
  await page.getByLabel('What').fill('media.upload');
  await expect(page).toHaveURL(/action=media.upload/);
  await expect(page.getByRole('row').filter({ hasText: 'Auth login' })).toHaveCount(0);
  await expect(row).not.toHaveCount(0);

  await page.goto(`${app.url}/admin`);
  await expect(page.getByText('In the library')).toBeVisible();
  await expect(page.getByRole('meter', { name: 'Disk used' })).toBeVisible();
  await expectAccessible(page);
});

test('a bucket is made, used, and deleted only when it is empty', async ({ page, context, complaints }) => {
  complaints.allowStatus(409);
  await app.upload(context, 'resident.png', gradient(200, 200, 6), 'image/png');
  await page.goto(`${app.url}/admin/buckets`);
  await page.getByRole('button', { name: 'New bucket' }).click();
  const dialog = page.getByRole('dialog', { name: 'New bucket' });
  await dialog.getByLabel('Name', { exact: true }).fill('Åsa’s Album');
  await expect(dialog.getByLabel('Name in addresses')).toHaveValue('asa-s-album');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Create bucket' }).click();
  await expect(page.getByRole('link', { name: 'Åsa’s Album' }).first()).toBeVisible();
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Change Photos' }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('This bucket still holds files.')).toBeVisible();
  await page.getByRole('button', { name: 'Change Åsa’s Album' }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('“Åsa’s Album” is gone.')).toBeVisible();
});
