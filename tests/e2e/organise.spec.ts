/** Putting pictures in order: describing, tagging, folders, many at once, duplicates. */
import { expectAccessible } from './support/axe.ts';
import { expectPainted, inGrid, tabTo } from './support/hands.ts';
import { gradient, inGoodOrder, withExif } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test.beforeEach(({ context }) => app.signIn(context));

test('a picture is described, tagged and starred where one looks at it', async ({ page, context }) => {
  const media = await app.upload(context, 'pier.png', gradient(400, 300, 1), 'image/png');
  await page.goto(`${app.url}/media/${media.id}`);
  const details = page.getByRole('complementary', { name: 'Details' });
  await details.getByLabel('Description').fill('Low tide, and nobody about.');
  await details.getByRole('combobox', { name: 'Tags' }).fill('seaside');
  await page.keyboard.press('Enter');
  await expect(details.getByRole('list', { name: 'Tags' }).getByText('seaside')).toBeVisible();
  await expect(details.getByText('Saved.')).toBeVisible();
  await expectAccessible(page);
  await page.getByRole('heading', { level: 1 }).click();
  await page.keyboard.press('f');
  const star = page.getByRole('button', { name: 'Favourite' });
  await expect(star).toHaveAttribute('aria-pressed', 'true');
  await page.reload();
  await expect(details.getByLabel('Description')).toHaveValue('Low tide, and nobody about.');
  await expect(star).toHaveAttribute('aria-pressed', 'true');
  await details.getByRole('button', { name: 'Remove the tag seaside' }).click();
  await expect(details.getByRole('list', { name: 'Tags' })).toHaveCount(0);
  await page.goto(`${app.url}/library/photos?q=is%3Afavourite`);
  await expect(inGrid(page, 'pier.png')).toBeVisible();
});

test('what is picked gets tags together, and loses them again', async ({ page, context }) => {
  for (const [i, name] of ['uncle.png', 'cousin.png', 'stranger.png'].entries()) await app.upload(context, name, gradient(200 + i, 200, 20 + i), 'image/png', 'Faces');
  await page.goto(`${app.url}/library/photos/Faces?sort=name`);
  await inGrid(page, 'uncle.png').focus();
  await page.keyboard.press('Space');
  await inGrid(page, 'cousin.png').click();
  await page.getByRole('button', { name: 'Tag', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Tag 2 files' });
  await dialog.getByRole('combobox', { name: 'Tags to add' }).fill('family');
  await page.keyboard.press('Enter');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Save tags' }).click();
  await expect(page.getByText('2 files tagged “family”.')).toBeVisible();
  await page.goto(`${app.url}/library/photos/Faces?q=tag%3Afamily`);
  await expect(page.getByText('2 found')).toBeVisible();
  await inGrid(page, 'uncle.png').focus();
  await page.keyboard.press('Space');
  await page.getByRole('button', { name: 'Tag', exact: true }).click();
  await page.getByRole('dialog').getByRole('checkbox', { name: 'family' }).uncheck();
  await page.getByRole('button', { name: 'Save tags' }).click();
  await expect(page.getByText('1 found')).toBeVisible();
});

test('a picture is dragged onto a folder', async ({ page, context }) => {
  await app.upload(context, 'inside.png', gradient(240, 200, 30), 'image/png', 'Shelf/Below');
  await app.upload(context, 'loose.png', gradient(260, 200, 31), 'image/png', 'Shelf');
  await page.goto(`${app.url}/library/photos/Shelf`);
  await expectPainted(inGrid(page, 'loose.png').locator('img'));
  const folder = page.getByRole('list', { name: 'Folders' }).getByRole('link', { name: /^Below/ });
  const [from, to] = [(await inGrid(page, 'loose.png').boundingBox())!, (await folder.boundingBox())!];
  await page.mouse.move(from.x + 40, from.y + 40);
  await page.mouse.down();
  await page.mouse.move(from.x + 60, from.y + 60, { steps: 3 });
  await expect(async () => {
    await page.mouse.move(to.x + 30, to.y + 15, { steps: 3 });
    await page.mouse.move(to.x + 40, to.y + 20, { steps: 3 });
    await expect(folder).toHaveAttribute('data-over', '', { timeout: 500 });
  }).toPass();
  await page.mouse.up();
  await expect(page.getByText('“loose.png” moved to “Shelf/Below”.')).toBeVisible();
  await expect(inGrid(page, 'loose.png')).toHaveCount(0);
  await folder.click();
  await expect(inGrid(page, 'loose.png')).toBeVisible();
});

test('a copy is made and the tree leads to it, by keyboard alone', async ({ page, context }) => {
  await app.upload(context, 'recipe.png', gradient(240, 260, 40), 'image/png', 'Kitchen');
  await page.goto(`${app.url}/library/photos/Kitchen`);
  await inGrid(page, 'recipe.png').focus();
  await page.keyboard.press('Space');
  await tabTo(page, page.getByRole('button', { name: 'More for the selection' }), 'Shift+Tab');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Copy “recipe.png”' });
  await expect(dialog.getByLabel('Folder', { exact: true })).toBeFocused();
  await expectAccessible(page);
  await page.keyboard.type('Kitchen/Copies');
  await page.keyboard.press('Enter');
  await expect(page.getByText('“recipe.png” copied to “Kitchen/Copies”.')).toBeVisible();
  await page.getByRole('button', { name: 'Folder tree' }).focus();
  await page.keyboard.press('Enter');
  const tree = page.getByRole('navigation', { name: 'Folders', exact: true });
  await expectAccessible(page);
  await tree.getByRole('link', { name: /^Kitchen/ }).focus();
  await page.keyboard.press('ArrowRight');
  await expect(tree.getByRole('link', { name: /^Copies/ })).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/library\/photos\/Kitchen\/Copies$/);
  await expect(inGrid(page, 'recipe.png')).toBeVisible();
});

test('everything that is found goes to the trash, also what was never loaded, and the trash is emptied', async ({ page, context }) => {
  const many = 203;
  for (let i = 0; i < many; i++) await app.upload(context, `burst-${i}.png`, gradient(24, 16, i), 'image/png', 'Burst');
  await page.goto(`${app.url}/library/photos/Burst?q=burst`);
  await page.getByRole('grid').getByRole('link').first().focus();
  await page.keyboard.press('Control+a');
  const all = page.getByRole('button', { name: `Select all ${many} found` });
  const more = page.getByText(`${many} selected`);
  await expect(all.or(more)).toBeVisible();
  if (await all.isVisible()) await all.click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await expect(page.getByText(`${many} files moved to the trash.`)).toBeVisible({ timeout: 60_000 });
  await expect(page.getByRole('heading', { name: 'Nothing found' })).toBeVisible();
  await page.goto(`${app.url}/trash`);
  await page.getByRole('button', { name: 'Empty the trash…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete all for good' }).click();
  await expect(page.getByRole('heading', { name: 'The trash is empty' })).toBeVisible({ timeout: 60_000 });
});

test('duplicates lie side by side: one stays, or all do', async ({ page, context }) => {
  const [same, other] = [inGoodOrder(), withExif()];
  for (const [name, buffer, folder] of [['twin.jpg', same, 'A'], ['twin again.jpg', same, 'B'], ['pair.jpg', other, 'A'], ['pair again.jpg', other, 'B']] as const) await app.upload(context, name, buffer, 'image/jpeg', folder);
  // They are compared after they came.
  const found = async () => (await app.get<{ items: { items: { name: string }[] }[] }>(context, '/duplicates?kind=exact')).items.flatMap(({ items }) => items.map(({ name }) => name));
  await expect.poll(async () => (await found()).filter((name) => /twin|pair/.test(name)).length, { timeout: 120_000 }).toBe(4);
  await page.goto(`${app.url}/duplicates?kind=exact`);
  const twins = page.getByRole('region', { name: /: twin/ });
  const pairs = page.getByRole('region', { name: /: pair/ });
  await expect(twins.getByRole('checkbox')).toHaveCount(2);
  await expect(twins.getByRole('checkbox', { checked: true })).toHaveCount(1);
  await expectAccessible(page);
  await twins.getByRole('button', { name: 'Move 1 file to the trash' }).click();
  await expect(page.getByText(/“twin( again)?\.jpg” moved to the trash\./)).toBeVisible();
  await expect(twins).toHaveCount(0);
  await pairs.getByRole('checkbox', { checked: true }).uncheck();
  await expect(pairs.getByText('Keep at least one.')).toBeVisible();
  await pairs.getByRole('button', { name: 'Not duplicates' }).click();
  await expect(pairs).toHaveCount(0);
  await page.reload();
  await expect(page.getByRole('heading', { level: 1, name: 'Duplicates' })).toBeVisible();
  await expect(page.getByRole('status')).not.toContainText('Looking');
  await expect(pairs).toHaveCount(0);
  const { items } = await app.get<{ items: { name: string }[] }>(context, '/media?q=twin');
  expect(items).toHaveLength(1);
});

test('tags get other names, become one and go, by keyboard alone', async ({ page, context, complaints }) => {
  complaints.allowStatus(409);
  for (const [i, tags] of [['meadow', 'field'], ['field'], ['Meadows']].entries()) {
    const media = await app.upload(context, `hay-${i}.png`, gradient(200, 210, 50 + i), 'image/png', 'Hay');
    expect(await app.status(context, 'PATCH', `/media/${media.id}`, { tags })).toBe(200);
  }
  await page.goto(`${app.url}/library/photos/Hay`);
  await page.getByRole('button', { name: 'Filters' }).focus();
  await page.keyboard.press('Enter');
  await tabTo(page, page.getByRole('button', { name: 'Manage tags…' }));
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Manage tags' });
  const tag = (name: string) => dialog.getByRole('listitem').filter({ has: page.getByText(name, { exact: true }) });
  await expect(dialog.getByRole('searchbox', { name: 'Find a tag' })).toBeFocused();
  await expect(tag('field')).toContainText('2');
  await expectAccessible(page);
  await page.keyboard.type('mead');
  await expect(tag('field')).toHaveCount(0);
  await dialog.getByRole('button', { name: 'Rename the tag Meadows' }).focus();
  await page.keyboard.press('Enter');
  await expect(dialog.getByLabel('New name for “Meadows”')).toBeFocused();
  await page.keyboard.type('meadow');
  await page.keyboard.press('Enter');
  await expect(dialog.getByText('There is a tag “meadow” already.')).toBeVisible();
  await expectAccessible(page);
  await expect(dialog.getByRole('button', { name: 'Make them one' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByText('“Meadows” and “meadow” are one tag now.')).toBeVisible();
  await expect(tag('meadow')).toContainText('2');
  await expect(dialog.getByRole('button', { name: 'Rename the tag meadow' })).toBeFocused();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expect(dialog.getByText('Take “meadow” from 2 files? The files stay.')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(dialog.getByRole('button', { name: 'Rename the tag meadow' })).toBeFocused();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await expect(page.getByText('The tag “meadow” is gone.')).toBeVisible();
  const left = await app.get<{ items: { tags: string[] }[] }>(context, '/media?bucket=photos&folder=Hay&sort=name');
  expect(left.items.map(({ tags }) => tags)).toEqual([['field'], ['field'], []]);
});

test('folders get other names, move and go to the trash from the tree', async ({ page, context }) => {
  for (const [i, folder] of ['Attic/Box', 'Attic/Box/Deep', 'Cellar'].entries()) await app.upload(context, `thing-${i}.png`, gradient(220, 200, 70 + i), 'image/png', folder);
  await page.goto(`${app.url}/library/photos/Attic/Box`);
  await expect(inGrid(page, 'thing-0.png')).toBeVisible();
  await page.getByRole('button', { name: 'Folder tree' }).click();
  const tree = page.getByRole('navigation', { name: 'Folders', exact: true });
  await tree.getByRole('link', { name: /^Box/ }).focus();
  await page.keyboard.press('F2');
  const rename = page.getByRole('dialog', { name: 'Rename the folder' });
  await expect(rename.getByLabel('New name')).toBeFocused();
  await page.keyboard.type('Chest');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/library\/photos\/Attic\/Chest$/);
  await expect(inGrid(page, 'thing-0.png')).toBeVisible();
  await expect(tree.getByRole('link', { name: /^Chest/ })).toBeVisible();

  await tree.getByRole('button', { name: 'Change the folder Chest' }).click();
  await expectAccessible(page);
  await page.getByRole('menuitem', { name: 'Move…' }).click();
  const move = page.getByRole('dialog', { name: 'Move the folder “Chest”' });
  await move.getByRole('button', { name: 'Cellar', exact: true }).click();
  await expectAccessible(page);
  await move.getByRole('button', { name: 'Move here' }).click();
  await expect(page).toHaveURL(/\/library\/photos\/Cellar\/Chest$/);
  await expect(inGrid(page, 'thing-0.png')).toBeVisible();

  await tree.getByRole('link', { name: /^Chest/ }).focus();
  await page.keyboard.press('Delete');
  const gone = page.getByRole('dialog', { name: 'Delete the folder “Chest”?' });
  await expect(gone.getByText('2 files in it and in the folders below go to the trash')).toBeVisible();
  await expectAccessible(page);
  await gone.getByRole('button', { name: 'Delete the folder' }).click();
  await expect(page).toHaveURL(/\/library\/photos\/Cellar$/);
  await expect(page.getByText('“Chest” is gone, and 2 files from it lie in the trash.')).toBeVisible();
  await expect(tree.getByRole('link', { name: /^Chest/ })).toHaveCount(0);
});
