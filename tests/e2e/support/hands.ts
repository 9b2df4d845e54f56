/** What people do with a page: by finger, by mouse and by keyboard alone. */
import { readFileSync } from 'node:fs';
import type { FileChooser, Locator, Page } from '@playwright/test';
import { expect } from './test.ts';

/** Goes through the page with Tab until the focus is there, as somebody without a mouse does. */
export async function tabTo(page: Page, target: Locator, key: 'Tab' | 'Shift+Tab' = 'Tab') {
  await expect(target).toBeVisible();
  for (let stops = 0; stops < 60; stops++) {
    if (await target.evaluate((node) => node === document.activeElement)) {
      const ring = await target.evaluate((node) => node.matches(':focus-visible'));
      expect(ring, 'the focus can be seen').toBe(true);
      return;
    }
    await page.keyboard.press(key);
  }
  throw new Error(`Tab doesn't reach ${target}`);
}

/** Drops files from outside onto the page, as the desktop does it: the browser hands out real files and folders. */
export async function dropFiles(page: Page, files: string[], before?: () => Promise<void>) {
  const session = await page.context().newCDPSession(page);
  const { width, height } = page.viewportSize()!;
  const data = { items: [], files, dragOperationsMask: 1 };
  const at = { x: width / 2, y: height / 2 };
  await session.send('Input.dispatchDragEvent', { type: 'dragEnter', ...at, data });
  await session.send('Input.dispatchDragEvent', { type: 'dragOver', ...at, data });
  await before?.();
  await session.send('Input.dispatchDragEvent', { type: 'drop', ...at, data });
  await session.detach();
}

type Point = { x: number; y: number };

/**
 * Moves one finger over the screen in so many milliseconds, which are written on the events and not waited for. A
 * finger that drags rests before it is lifted; after one that is still moving the browser takes the next touch for the
 * end of a fling.
 */
async function finger(page: Page, from: Point, to: Point, ms: number, rests: boolean) {
  const session = await page.context().newCDPSession(page);
  const path = [1, 2, 3, 4, 5, 6].map((step) => ({ x: from.x + ((to.x - from.x) * step) / 6, y: from.y + ((to.y - from.y) * step) / 6 }));
  if (rests) path.push(to, to);
  const began = Date.now() - ms;
  const timestamp = (step: number) => (began + (ms * step) / path.length) / 1000;
  await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [from], timestamp: timestamp(0) });
  for (const [i, at] of path.entries()) await session.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [at], timestamp: timestamp(i + 1) });
  await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [], timestamp: timestamp(path.length) });
  await session.detach();
}

/** A quick movement of one finger, as through a pile of prints. */
export const swipe = (page: Page, from: Point, to: Point) => finger(page, from, to, 120, false);
/** Takes something with one finger and puts it elsewhere. */
export const dragByFinger = (page: Page, from: Point, to: Point) => finger(page, from, to, 900, true);

/** Gives files to whatever opens a file dialog. */
export async function choose(page: Page, open: () => Promise<unknown>, files: Parameters<FileChooser['setFiles']>[0]) {
  const [dialog] = await Promise.all([page.waitForEvent('filechooser'), open()]);
  await dialog.setFiles(files);
}

/** Saves what a click or a key downloads, and reads it. */
export async function saved(page: Page, start: () => Promise<unknown>): Promise<{ name: string; bytes: Buffer }> {
  const [download] = await Promise.all([page.waitForEvent('download'), start()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

/** The cell of a file in the library or the trash. */
export const inGrid = (page: Page, name: string) => page.getByRole('grid').getByRole('link', { name: new RegExp(`^${name.replace(/[.()*+?[\]\\]/g, '\\$&')}(,|$)`) });

/** Waits until a picture is not only there but has come and was decoded. */
export async function expectPainted(picture: Locator) {
  await expect.poll(() => picture.evaluate((node: HTMLImageElement) => node.complete && node.naturalWidth > 0)).toBe(true);
}

export type Seen = { progress: number[]; headings: string[]; steps: string[] };

/** Writes down what the studio shows while it restores, also after a reload; the returned function reads it. */
export async function watchRestoring(page: Page): Promise<() => Promise<Seen>> {
  const watch = () => {
    const seen: Seen = { progress: [], headings: [], steps: [] };
    (window as unknown as { seen: Seen }).seen = seen;
    const note = <T>(list: T[], value: T | null | undefined) => {
      if (value !== null && value !== undefined && list.at(-1) !== value) list.push(value);
    };
    new MutationObserver(() => {
      const bar = document.querySelector('[role=progressbar][aria-label="Restoration progress"]');
      if (!bar) return;
      const now = bar.getAttribute('aria-valuenow');
      note(seen.progress, now === null ? null : Number(now));
      note(seen.headings, bar.parentElement?.querySelector('h2')?.textContent);
      note(seen.steps, bar.parentElement?.querySelector('[aria-current=step]')?.textContent);
    }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  };
  await page.addInitScript(watch);
  await page.evaluate(watch);
  return () => page.evaluate(() => (window as unknown as { seen: Seen }).seen);
}
