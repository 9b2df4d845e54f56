/** Many pictures restored in the same way: picked, begun, looked at, downloaded. */
import { expectAccessible } from './support/axe.ts';
import { expectPainted, inGrid, saved, tabTo } from './support/hands.ts';
import { brokenPicture, grain } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test('what is picked is restored as a batch, compared, tried again and downloaded, by keyboard alone', async ({ page, context }) => {
  await app.signIn(context);
  for (const name of ['one.png', 'two.png']) await app.upload(context, name, grain(160, 120), 'image/png');
  await app.upload(context, 'broken.jpg', brokenPicture(), 'image/jpeg');

  await page.goto(`${app.url}/batches`);
  await expect(page.getByRole('heading', { name: 'No batches yet' })).toBeVisible();
  await expectAccessible(page);
  const library = page.getByRole('link', { name: 'Go to the library' });
  await tabTo(page, library);
  await page.keyboard.press('Enter');

  await expect(inGrid(page, 'one.png')).toBeVisible();
  await tabTo(page, page.getByRole('grid').getByRole('link').first());
  await page.keyboard.press('Control+a');
  await expect(page.getByRole('toolbar', { name: 'Selection' })).toContainText('3 selected');
  const more = page.getByRole('button', { name: 'More for the selection' });
  await more.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('menuitem', { name: 'Restore…' }).focus();
  await page.keyboard.press('Enter');

  const dialog = page.getByRole('dialog', { name: 'Restore 3 files' });
  await expect(dialog.getByRole('status')).toContainText('3 pictures, ');
  await expect(dialog.getByRole('status')).toContainText('It costs nothing.');
  await expectAccessible(page);
  await dialog.getByRole('combobox', { name: 'How' }).selectOption('strong');
  await dialog.getByRole('textbox', { name: /Name of the batch/ }).fill('Grandmother’s album');
  await page.keyboard.press('Enter');

  await expect(page.getByRole('heading', { level: 1, name: 'Grandmother’s album' })).toBeVisible();
  await expect(page.getByText('Finished: 2 restored, 1 failed.')).toBeVisible({ timeout: 120_000 });
  const sheet = page.getByRole('main').getByRole('listitem');
  await expect(sheet).toHaveCount(3);
  const good = page.getByRole('link', { name: 'one.png: Restored. Compare in the studio' });
  await expectPainted(good.locator('img').last());
  await expectAccessible(page);
  await page.getByRole('combobox', { name: 'Show' }).selectOption('failed');
  await expect(sheet).toHaveCount(1);
  await expect(sheet).toContainText('broken.jpg');
  await page.reload();
  await expect(sheet).toHaveCount(1);
  await page.getByRole('combobox', { name: 'Show' }).selectOption('');
  await expect(sheet).toHaveCount(3);

  const again = page.getByRole('button', { name: 'Try failed again' });
  await tabTo(page, again);
  await page.keyboard.press('Enter');
  await expect(page.getByText('Finished: 2 restored, 1 failed.')).toBeVisible({ timeout: 120_000 });

  const { name, bytes } = await saved(page, async () => {
    await page.getByRole('link', { name: 'Download all' }).focus();
    await page.keyboard.press('Enter');
  });
  expect(name).toBe('Grandmother’s album.zip');
  expect(bytes.subarray(0, 4)).toEqual(Buffer.from('PK\x03\x04', 'latin1'));
  const listed = bytes.toString('latin1');
  for (const file of ['one (restored).png', 'two (restored).png', 'About these pictures.txt']) expect(listed).toContain(file);

  await good.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('slider', { name: 'Compare before and after' })).toBeVisible();
  await page.goto(`${app.url}/batches`);
  await expect(page.getByRole('link', { name: /Grandmother’s album/ })).toContainText('Finished: 2 restored, 1 failed.');
  await expectAccessible(page);
});
