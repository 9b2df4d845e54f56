/** What the server says about itself. */
import { expectAccessible } from './support/axe.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test.beforeEach(({ context }) => app.signIn(context));

test('the doctor looks at the server, says what to do, looks again, and can be quoted', async ({ page, context }) => {
  await page.goto(`${app.url}/admin`);
  await page.getByRole('link', { name: 'Doctor' }).click();
  const check = (name: string) => page.locator(`[data-check="${name}"]`);
  await expect(check('database')).toContainText('Fine');
  await expect(check('proxy')).toContainText('straight from 127.0.0.1');
  await expect(page.getByRole('status').filter({ hasText: 'Looked at' })).toBeVisible();
  await expectAccessible(page);

  // A worse day, which no test machine has.
  const report = await (await context.request.get(`${app.url}/api/v1/doctor`)).json();
  const change = (name: string, state: string, seen: string, advice: string) =>
    Object.assign(report.checks.find((one: { name: string }) => one.name === name), { state, seen, advice, fixable: name === 'file_rights' });
  change('disk_space', 'failed', '112.0 MiB of 19.5 GiB are free at /var/lib/safelight; uploads are refused below 256.0 MiB', 'Free some space or take a larger disk.');
  change('file_rights', 'failed', 'others on this machine may read or change /var/lib/safelight/keys/signed-urls', 'Only the server’s user may: --fix takes the rights from the others.');
  change('names', 'warning', 'photos.example.org leads to 203.0.113.9, which is no address of this machine', 'That is right where a router passes ports 80 and 443 on; else correct the record.');
  Object.assign(report, { failed: 2, warnings: 1, state: 'failed' });
  await page.route('**/api/v1/doctor', (route) => route.fulfill({ json: report }));
  await page.getByRole('button', { name: 'Run again' }).click();
  await expect(page.getByRole('status').filter({ hasText: '2 things wrong, 1 thing to look at' })).toContainText('safelight doctor --fix');
  await expect(check('disk_space')).toContainText('Wrong');
  await expect(check('names').getByText('That is right where a router')).toBeVisible();
  await expectAccessible(page);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy as text' }).click();
  await expect(page.getByText('The report is in the clipboard.')).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('failed    Disk space: 112.0 MiB of 19.5 GiB');
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(check('disk_space')).toBeVisible();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await expectAccessible(page);
});
