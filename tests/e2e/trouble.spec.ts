/** Addresses that lead nowhere, and a server that goes away. */
import { expectAccessible } from './support/axe.ts';
import { choose, inGrid } from './support/hands.ts';
import { gradient } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true, sample: true });
const sample = 'The boathouse, 1974.jpg';

test.beforeEach(({ context }) => app.signIn(context));

test('an address that leads nowhere says so', async ({ page, complaints }) => {
  complaints.allowStatus(404);
  const nobody = '0190a5c0-0000-7000-8000-000000000000';
  for (const path of ['/nowhere', `/media/${nobody}`, `/studio/${nobody}`, '/media/nonsense', '/admin/nothing']) {
    await page.goto(app.url + path);
    await expect(page.getByRole('heading', { level: 1, name: 'Nothing is developed here' }), path).toBeVisible();
  }
  await expectAccessible(page);
  await page.goto(`${app.url}/library/no-such-bucket`);
  await expect(page.getByRole('heading', { name: 'There is no such bucket' })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole('main').getByRole('link', { name: 'Go to the library' }).click();
  await expect(inGrid(page, sample)).toBeVisible();
});

test('without a network the page stays, says so, and goes on by itself afterwards', async ({ page, context, complaints }) => {
  complaints.allowOutage();
  await page.goto(`${app.url}/library/photos`);
  await expect(inGrid(page, sample)).toBeVisible();
  await context.setOffline(true);
  await expect(page.getByText('You are offline.')).toBeVisible();
  await expectAccessible(page);
  await choose(page, () => page.getByRole('button', { name: 'Upload', exact: true }).click(), { name: 'late.png', mimeType: 'image/png', buffer: gradient(200, 200, 3) });
  await expect(page.getByRole('heading', { name: '1 file not uploaded' })).toBeVisible();
  await context.setOffline(false);
  await expect(page.getByText('You are offline.')).toBeHidden();
  await page.getByRole('button', { name: 'Retry', exact: true }).click();
  await expect(page.getByRole('heading', { name: '1 file uploaded' })).toBeVisible();
  await expect(inGrid(page, 'late.png')).toBeVisible();
});

test('the page opens without a network, and says what is missing', async ({ page, context, complaints }) => {
  complaints.allowOutage();
  await page.goto(`${app.url}/library/photos`);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await context.setOffline(true);
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Safelight can’t be reached' })).toBeVisible();
  await expectAccessible(page);
  await context.setOffline(false);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(inGrid(page, sample)).toBeVisible();
});

test('a restart of the server is survived: banner, reconnection, still signed in', async ({ page, context, complaints }) => {
  complaints.allowOutage();
  complaints.allowStatus(503);
  await page.goto(`${app.url}/library/photos`);
  await expect(inGrid(page, sample)).toBeVisible();
  // The page's own files are kept by then.
  await page.evaluate(() => navigator.serviceWorker.ready);
  const port = Number(new URL(app.url).port);
  await app.stop();
  await expect(page.getByText('The connection to Safelight was lost.')).toBeVisible();
  await expectAccessible(page);
  await app.start(undefined, port);
  await expect(page.getByText('The connection to Safelight was lost.')).toBeHidden({ timeout: 40_000 });
  // The stream is heard again.
  await app.upload(context, 'after.png', gradient(200, 200, 4), 'image/png');
  await expect(inGrid(page, 'after.png')).toBeVisible();
});
