import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import Compare from '../src/components/Compare.svelte';
import Menu from '../src/components/Menu.svelte';
import { createRawSnippet } from 'svelte';
import { PanZoom } from '../src/lib/panzoom.svelte';
import { here } from '../src/lib/router.svelte';
import Login from '../src/pages/Login.svelte';
import Setup from '../src/pages/Setup.svelte';

/** Answers by method and path; anything else is 404. */
function serve(answers: Record<string, () => Response>) {
  const fetched = vi.fn((address: string, init?: RequestInit) => {
    const key = `${init?.method ?? 'GET'} ${address.replace('/api/v1', '')}`;
    return Promise.resolve(answers[key]?.() ?? problem(404, 'not-found'));
  });
  vi.stubGlobal('fetch', fetched);
  return fetched;
}
const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });
const problem = (status: number, code: string, extra: object = {}, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ type: `/problems/${code}`, title: code, status, ...extra }), { status, headers });

beforeEach(() => {
  vi.stubGlobal('ResizeObserver', class {
    observe() {}
    disconnect() {}
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  here.query = new URLSearchParams();
});

describe('signing in', () => {
  const fill = async () => {
    await fireEvent.input(screen.getByLabelText('E-mail address'), { target: { value: 'ada@example.org' } });
    await fireEvent.input(screen.getByLabelText('Password'), { target: { value: 'not it' } });
    await fireEvent.click(screen.getByRole('button', { name: 'Sign in' }));
  };

  test('a wrong password is told kindly and the field emptied', async () => {
    serve({ 'GET /setup': () => json({ needed: false }), 'POST /auth/login': () => problem(401, 'wrong-credentials') });
    render(Login);
    await fill();
    expect(await screen.findByText(/don’t belong together/)).toBeTruthy();
    expect((screen.getByLabelText('Password') as HTMLInputElement).value).toBe('');
  });

  test('too many attempts count down and close the button', async () => {
    serve({ 'GET /setup': () => json({ needed: false }), 'POST /auth/login': () => problem(429, 'too-many-attempts', {}, { 'retry-after': '90' }) });
    render(Login);
    await fill();
    expect(await screen.findByText('1 min 30 s')).toBeTruthy();
    expect((screen.getByRole('button', { name: 'Sign in' }) as HTMLButtonElement).disabled).toBe(true);
  });

  test('before the setup it explains where to find the link', async () => {
    serve({ 'GET /setup': () => json({ needed: true }) });
    render(Login);
    expect(await screen.findByRole('heading', { name: 'Not set up yet' })).toBeTruthy();
  });
});

describe('setting up', () => {
  const create = async () => {
    await fireEvent.input(await screen.findByLabelText('Your name'), { target: { value: 'Ada' } });
    await fireEvent.input(screen.getByLabelText('E-mail address'), { target: { value: 'ada@example.org' } });
    await fireEvent.input(screen.getByLabelText('Password'), { target: { value: 'a long enough one' } });
    await fireEvent.click(screen.getByRole('button', { name: 'Create account' }));
  };

  test('without a token there is no form', async () => {
    serve({ 'GET /setup': () => json({ needed: true }) });
    render(Setup);
    expect(await screen.findByRole('heading', { name: 'This setup link doesn’t work' })).toBeTruthy();
  });

  test('an expired token is told after the attempt', async () => {
    here.query = new URLSearchParams('token=old');
    serve({ 'GET /setup': () => json({ needed: true }), 'POST /setup': () => problem(403, 'setup-token-invalid') });
    render(Setup);
    await create();
    expect(await screen.findByRole('heading', { name: 'This setup link doesn’t work' })).toBeTruthy();
  });

  test('a weak password is told at its field, and the sample is asked for', async () => {
    here.query = new URLSearchParams('token=good');
    const fetched = serve({
      'GET /setup': () => json({ needed: true }),
      'POST /setup': () => problem(422, 'validation', { detail: 'Look again.', errors: [{ field: 'password', detail: 'Too easy to guess.' }] }),
    });
    render(Setup);
    await create();
    expect(await screen.findByText('Too easy to guess.')).toBeTruthy();
    const body = JSON.parse(fetched.mock.calls.at(-1)![1]!.body as string) as Record<string, unknown>;
    expect([body.token, body.sample]).toEqual(['good', true]);
  });

  test('where it is done already, it points to the sign-in page', async () => {
    here.query = new URLSearchParams('token=good');
    serve({ 'GET /setup': () => json({ needed: false }) });
    render(Setup);
    expect(await screen.findByRole('heading', { name: 'Already set up' })).toBeTruthy();
  });
});

test('the divider is a slider that says what it shows', async () => {
  render(Compare, { zoom: new PanZoom(), before: { src: 'a.jpg', full: null }, after: { src: 'b.jpg', full: null }, mode: 'slider', alt: 'A boat' });
  const slider = screen.getByRole('slider', { name: 'Compare before and after' });
  await fireEvent.input(slider, { target: { value: '30' } });
  expect(slider.getAttribute('aria-valuetext')).toBe('30 % before');
});

test('a menu opens on a key, moves with the arrows and gives the focus back', async () => {
  const run = vi.fn();
  const children = createRawSnippet(() => ({ render: () => '<span>…</span>' }));
  render(Menu, { label: 'More', items: [{ label: 'One', run: () => {} }, { label: 'Two', run }], children });
  const button = screen.getByRole('button', { name: 'More' });
  button.focus();
  await fireEvent.keyDown(button, { key: 'ArrowDown' });
  expect(document.activeElement?.textContent).toBe('One');
  await fireEvent.keyDown(document.activeElement!, { key: 'ArrowDown' });
  await fireEvent.click(document.activeElement!);
  expect(run).toHaveBeenCalledOnce();
  expect(screen.queryByRole('menu')).toBeNull();
  expect(document.activeElement).toBe(button);
});
