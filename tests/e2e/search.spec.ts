/** Finding pictures again: words, filters, the list and the timeline. */
import type { Page } from '@playwright/test';
import { expectAccessible } from './support/axe.ts';
import { inGrid, tabTo } from './support/hands.ts';
import { gradient, inGoodOrder, text, withExif } from './support/pictures.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });
let filled = false;

test.beforeEach(async ({ page, context }) => {
  await app.signIn(context);
  if (!filled) {
    const tell = async (id: string, what: object) => expect(await app.status(context, 'PATCH', `/media/${id}`, what)).toBe(200);
    await tell((await app.upload(context, 'harbour.png', gradient(300, 240, 1), 'image/png')).id, { tags: ['sea', 'old house'] });
    await tell((await app.upload(context, 'market.png', gradient(340, 240, 2), 'image/png')).id, { tags: ['sea'], favourite: true });
    await tell((await app.upload(context, 'orchard.png', gradient(380, 240, 3), 'image/png')).id, { description: 'The summer of the blue bicycle' });
    await app.upload(context, 'street.jpg', withExif(), 'image/jpeg');
    await app.upload(context, 'lighthouse.jpg', inGoodOrder(), 'image/jpeg');
    await app.upload(context, 'letter.txt', text(), 'text/plain', 'Papers');
    filled = true;
  }
  await page.goto(`${app.url}/library/photos`);
  await expect(inGrid(page, 'harbour.png')).toBeVisible();
});

const field = (page: Page) => page.getByRole('searchbox', { name: 'Search the library' });
const chip = (page: Page, name: string) => page.getByRole('list', { name: 'Filters at work' }).getByRole('listitem').filter({ hasText: name });

test('a filter that is typed becomes a chip, which the address keeps and a click takes away', async ({ page }) => {
  await field(page).pressSequentially('tag:sea ');
  await expect(chip(page, 'Tag: sea')).toBeVisible();
  await expect(field(page)).toHaveValue(/^\s?$/);
  await expect(inGrid(page, 'orchard.png')).toHaveCount(0);
  await expect(inGrid(page, 'market.png')).toBeVisible();
  await field(page).pressSequentially('tag:"old house"');
  await page.keyboard.press('Enter');
  await expect(chip(page, 'Tag: old house')).toBeVisible();
  await expect(inGrid(page, 'market.png')).toHaveCount(0);
  await expect(page.getByText('1 found')).toBeVisible();
  await expectAccessible(page);
  await page.reload();
  await expect(inGrid(page, 'harbour.png')).toBeVisible();
  await page.getByRole('button', { name: 'Remove the filter Tag: old house' }).click();
  await expect(inGrid(page, 'market.png')).toBeVisible();
  await expect(chip(page, 'Tag: sea')).toBeVisible();
  await page.getByRole('button', { name: 'Remove the filter Tag: sea' }).click();
  await expect(inGrid(page, 'orchard.png')).toBeVisible();
});

test('words are found in names, tags and descriptions, and together with filters', async ({ page }) => {
  await field(page).fill('bicycle');
  await expect(page.getByText('1 found')).toBeVisible();
  await expect(inGrid(page, 'orchard.png')).toBeVisible();
  await field(page).fill('lette type:other ');
  await expect(chip(page, 'Other files')).toBeVisible();
  await expect(inGrid(page, 'letter.txt')).toBeVisible();
  await expect(inGrid(page, 'orchard.png')).toHaveCount(0);
  await field(page).fill('zeppelin');
  await expect(page.getByRole('heading', { name: 'Nothing found' })).toBeVisible();
  await page.getByRole('button', { name: 'Show everything' }).click();
  await expect(inGrid(page, 'harbour.png')).toBeVisible();
  await expect(field(page)).toHaveValue('');
});

test('the filters are also a form, by keyboard alone', async ({ page }) => {
  await tabTo(page, page.getByRole('button', { name: 'Filters', exact: true }));
  await page.keyboard.press('Enter');
  const form = page.getByRole('dialog', { name: 'Filters' });
  await expect(form.getByRole('radio', { name: 'All' })).toBeFocused();
  await expectAccessible(page);
  await page.keyboard.press('ArrowRight');
  await expect(chip(page, 'Pictures')).toBeVisible();
  await tabTo(page, form.getByRole('checkbox', { name: 'Favourites' }));
  await page.keyboard.press('Space');
  await expect(chip(page, 'Favourites')).toBeVisible();
  await expect(page.getByText('1 found')).toBeVisible();
  await expect(inGrid(page, 'market.png')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(form).toBeHidden();
  await page.getByRole('button', { name: 'Clear all' }).click();
  await expect(inGrid(page, 'letter.txt')).toBeVisible();
});

test('a tag is suggested while it is typed into the form', async ({ page }) => {
  await page.getByRole('button', { name: 'Filters', exact: true }).click();
  const tags = page.getByRole('dialog', { name: 'Filters' }).getByRole('combobox', { name: 'Tags' });
  await tags.fill('old');
  await expect(page.getByRole('option', { name: /^old house/ })).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(chip(page, 'Tag: old house')).toBeVisible();
  await expect(page.getByText('1 found')).toBeVisible();
});

test('the words of the search are explained beside it', async ({ page }) => {
  await page.getByRole('button', { name: 'Words for the search' }).click();
  const help = page.getByRole('dialog', { name: 'Words for the search' });
  await expect(help.getByText('taken:2019-07', { exact: true })).toBeVisible();
  await expectAccessible(page);
  await page.keyboard.press('Escape');
  await expect(help).toBeHidden();
  await expect(field(page)).toBeFocused();
});

test('the list sorts by its headings and is remembered', async ({ page }) => {
  await page.getByRole('button', { name: 'List', exact: true }).click();
  const names = page.getByRole('grid').getByRole('link');
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
  await expect(page.getByRole('columnheader', { name: 'Name' })).toHaveAttribute('aria-sort', 'ascending');
  await expect(names.first()).toHaveAccessibleName(/^harbour\.png/);
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
  await expect(names.first()).toHaveAccessibleName(/^street\.jpg/);
  const line = page.getByRole('row').filter({ has: page.getByRole('link', { name: /^market\.png/ }) });
  await expect(line).toContainText('PNG');
  await expect(line).toContainText('sea');
  await expect(line).toContainText('Favourite');
  await expectAccessible(page);
  await page.reload();
  await expect(page.getByRole('columnheader', { name: 'Size' })).toBeVisible();
  await names.first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Space');
  await expect(page.getByText('1 selected')).toBeVisible();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'orchard.png' })).toBeVisible();
});

test('the timeline leads to a month, and so does an address', async ({ page }) => {
  await page.getByRole('button', { name: 'Timeline', exact: true }).click();
  const line = page.getByRole('slider', { name: 'Timeline' });
  await expect(line).toBeVisible();
  await expectAccessible(page);
  await line.focus();
  await page.keyboard.press('End');
  await expect(line).toHaveAttribute('aria-valuetext', 'June 1931, 1 file');
  await page.keyboard.press('Enter');
  await expect(inGrid(page, 'street.jpg')).toBeInViewport();

  await page.goto(`${app.url}/library/photos?from=1931-06`);
  await expect(inGrid(page, 'street.jpg')).toBeInViewport();
  // What is newer stands before it.
  await expect(inGrid(page, 'harbour.png')).toHaveCount(1);
});
