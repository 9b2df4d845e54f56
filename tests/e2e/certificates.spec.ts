/** Certificates: what is wrong with one, and another try. */
import { expectAccessible } from './support/axe.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test.beforeEach(({ context }) => app.signIn(context));

const day = 86_400_000;
const moment = (days: number) => new Date(Date.now() + days * day).toISOString();
const nothing = { issuer: null, serial: null, not_before: null, not_after: null, authority: null, last_attempt_at: null, next_attempt_at: null, is_trying: false, failed_attempts: 0, cause: null };

test('an admin sees until when certificates hold and what is in the way, and tries again', async ({ page }) => {
  await page.goto(`${app.url}/admin/certificates`);
  await expect(page.getByRole('heading', { name: 'HTTPS is off here' })).toBeVisible();

  const good = { ...nothing, names: ['photos.example.org', 'www.photos.example.org'], source: 'acme', state: 'valid', issuer: 'Let’s Encrypt, E7', not_after: moment(52.5), authority: 'https://acme-v02.api.letsencrypt.org/directory', next_attempt_at: moment(22) };
  const cause = 'acme-v02.api.letsencrypt.org: for new.example.org, it can’t connect to this server (Connection refused); ports 80 and 443 of the name’s address must be open to the internet';
  const missing = { ...nothing, names: ['new.example.org'], source: 'acme', state: 'makeshift', failed_attempts: 3, cause, last_attempt_at: moment(-0.1), next_attempt_at: moment(0.1) };
  let items = [good, missing];
  await page.route('**/api/v1/certificates', (route) => route.fulfill({ json: { items, next_cursor: null } }));
  await page.route('**/api/v1/certificates/new.example.org/renew', async (route) => {
    items = [good, { ...missing, is_trying: true }];
    await route.fulfill({ status: 202 });
  });
  await page.reload();
  const entry = (name: string) => page.getByRole('listitem').filter({ hasText: name });
  await expect(entry('www.photos.example.org')).toContainText('52 days left');
  await expect(entry('www.photos.example.org').getByRole('button')).toHaveCount(0);
  await expect(entry('new.example.org')).toContainText('ports 80 and 443');
  await expect(entry('new.example.org')).toContainText('3 attempts failed');
  await expectAccessible(page);

  await page.getByRole('button', { name: 'Try now: new.example.org' }).click();
  await expect(entry('new.example.org')).toContainText('Being asked for now');
  await expect(page.getByRole('button', { name: 'Try now: new.example.org' })).toBeDisabled();
  items = [good, { ...good, names: ['new.example.org'] }];
  await expect(page.getByText('Not there yet')).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Try now: new.example.org' })).toHaveCount(0);
});
