/** The list of models: looked up, added, tested, switched off, carried in a file. Only what a provider would answer is made up. */
import { expectAccessible } from './support/axe.ts';
import { safelight } from './support/safelight.ts';
import { expect, test } from './support/test.ts';

const app = safelight({ setUp: true });

test.beforeEach(({ context }) => app.signIn(context));

const form = {
  image_input: 'img',
  fields: [
    { name: 'version', title: 'Version', kind: 'choice', required: false, default: 'v1.4', choices: ['v1.3', 'v1.4'] },
    { name: 'scale', title: 'Scale', description: 'How much larger.', kind: 'number', required: false, minimum: 1, maximum: 4 },
    { name: 'prompt', title: 'Prompt', kind: 'text', required: true },
  ],
};
const found = {
  model: { id: 'replicate-mend', name: 'mend', engine: 'replicate', target: 'acme/mend', description: 'Mends faces', steps: ['face'], recreates: true, parameters: {}, image_input: 'img', max_side: 2048, deadline_minutes: 15 },
  form,
  notes: ['Run in its newest version, at present 5c7d.', 'Whether it draws pictures anew is a guess: check it.'],
};

test('an admin looks a model up, adds it, tests it and carries it away in a file', async ({ page, complaints }) => {
  complaints.allowStatus(422);
  let asked: unknown;
  await page.route('**/api/v1/models/lookup', async (route) => {
    const known = route.request().postDataJSON() as { target: string };
    asked = known;
    if (known.target === 'acme/mend') return route.fulfill({ json: found });
    const problem = { type: '/problems/no-such-model', title: 'No', status: 422, detail: 'The model acme/nothing was not found.' };
    return route.fulfill({ status: 422, contentType: 'application/problem+json', json: problem });
  });
  await page.route('**/api/v1/models/*/form', (route) => route.fulfill({ json: form }));

  await page.goto(`${app.url}/admin/models`);
  const entry = (name: string) => page.getByRole('main').getByRole('listitem').filter({ has: page.getByText(name, { exact: true }) });
  await expect(entry('GFPGAN').getByText('Redraws the picture')).toBeVisible();
  await expect(entry('GFPGAN').getByText('Not available')).toBeVisible();
  await expect(entry('GFPGAN').getByText('engines.replicate.token')).toBeVisible();
  await expectAccessible(page);

  // The real server says why a model without a key does not work.
  await entry('GFPGAN').getByRole('button', { name: 'Change GFPGAN' }).click();
  await page.getByRole('menuitem', { name: 'Test' }).click();
  await expect(entry('GFPGAN').getByRole('status')).toContainText('It does not work');
  await entry('GFPGAN').getByRole('button', { name: 'Change GFPGAN' }).click();
  await page.getByRole('menuitem', { name: 'Switch off' }).click();
  await expect(entry('GFPGAN').getByText('Switched off')).toBeVisible();

  await page.getByRole('button', { name: 'Add a model' }).click();
  let dialog = page.getByRole('dialog', { name: 'Add a model' });
  await expectAccessible(page);
  await dialog.getByLabel('Its name there').fill('acme/nothing');
  await dialog.getByRole('button', { name: 'Look it up' }).click();
  await expect(dialog.getByRole('alert')).toContainText('was not found');
  await dialog.getByLabel('Its name there').fill('acme/mend');
  await dialog.getByRole('button', { name: 'Look it up' }).click();
  await expect(dialog.getByText('at present 5c7d')).toBeVisible();
  expect(asked).toEqual({ engine: 'replicate', target: 'acme/mend' });
  await expectAccessible(page);
  await dialog.getByLabel('Name', { exact: true }).fill('Mender');
  await dialog.getByRole('checkbox', { name: 'Scratches' }).check();
  await dialog.getByLabel('Version').selectOption('v1.3');
  await dialog.getByLabel('Scale').fill('9');
  await dialog.getByLabel(/^Prompt/).fill('mend it');
  await dialog.getByText('Price and limits').click();
  await dialog.getByLabel('Dollars a second').fill('0.002');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(dialog.getByRole('alert')).toContainText('from 1 to 4');
  await dialog.getByLabel('Scale').fill('3');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(entry('Mender').getByText('about $0.002 a second')).toBeVisible();
  const settings = (await app.get<{ items: { id: string; settings: { parameters: object; steps: string[] } }[] }>(page.context(), '/models')).items.find((one) => one.id === 'replicate-mend')!.settings;
  expect(settings).toMatchObject({ parameters: { version: 'v1.3', scale: 3, prompt: 'mend it' }, steps: ['face', 'remove_scratches'], image_input: 'img' });

  await entry('Mender').getByRole('button', { name: 'Change Mender' }).click();
  await page.getByRole('menuitem', { name: 'Change…' }).click();
  dialog = page.getByRole('dialog', { name: 'Change Mender' });
  await expect(dialog.getByLabel('Version')).toHaveValue('"v1.3"');
  await dialog.getByLabel('Name', { exact: true }).fill('Old Mender');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(entry('Old Mender')).toBeVisible();

  await page.getByRole('button', { name: 'List as a file' }).click();
  const downloading = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: 'Write out my models' }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe('models.toml');
  const stream = await download.createReadStream();
  let text = '';
  for await (const piece of stream) text += String(piece);
  expect(text).toContain('Old Mender');

  await entry('Old Mender').getByRole('button', { name: 'Change Old Mender' }).click();
  await page.getByRole('menuitem', { name: 'Remove…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await expect(entry('Old Mender')).toHaveCount(0);

  await page.getByRole('button', { name: 'List as a file' }).click();
  await page.getByRole('menuitem', { name: 'Take in a list…' }).click();
  dialog = page.getByRole('dialog', { name: 'Take in a list' });
  await dialog.getByLabel('Or its text').fill(text.replace('name =', 'naem ='));
  await dialog.getByRole('button', { name: 'Take in' }).click();
  await expect(dialog.getByRole('alert')).toContainText('did you mean name?');
  await expectAccessible(page);
  await dialog.getByLabel('A file').setInputFiles({ name: 'models.toml', mimeType: 'application/toml', buffer: Buffer.from(text) });
  await dialog.getByRole('button', { name: 'Take in' }).click();
  await expect(entry('Old Mender')).toBeVisible();
});
