import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defineConfig } from '@playwright/test';

/** Chromium as the system has it; nothing is downloaded. */
function chromium(): string {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      if (existsSync(path)) return path;
    }
  }
  throw new Error('There is no Chromium on the PATH. scripts/bootstrap test installs it.');
}

const desktop = { viewport: { width: 1440, height: 900 } };
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const only = process.env.SAFELIGHT_SCREENSHOTS;

export default defineConfig({
  outputDir: 'test-results',
  // The server and the browser share the machine: more workers make each wait for the other.
  workers: 1,
  forbidOnly: !!process.env.CI,
  // A shared CI machine stalls now and then; what passes at the second try is reported as flaky, not hidden.
  retries: process.env.CI ? 2 : 1,
  // Bounds for what hangs, not for what is slow: nothing waits for them on a good day.
  timeout: 240_000,
  expect: { timeout: 40_000 },
  reporter: [['list', { printSteps: false }]],
  use: {
    actionTimeout: 40_000,
    navigationTimeout: 60_000,
    locale: 'en-GB',
    colorScheme: 'light',
    contextOptions: { reducedMotion: 'reduce' },
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: chromium(),
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  projects: only
    ? [{ name: 'screenshots', testMatch: 'screenshots.ts', use: { ...desktop, trace: 'off' } }]
    : [
        { name: 'desktop', testMatch: '*.spec.ts', grepInvert: /@phone/, use: desktop },
        { name: 'phone', testMatch: ['first-path.spec.ts', 'library.spec.ts', 'viewer.spec.ts'], grepInvert: /@desktop/, use: phone },
      ],
});
