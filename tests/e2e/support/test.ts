/**
 * The `test` of all files here: a browser whose every complaint fails the test.
 *
 * A message of the console (error or warning), an exception of a page, a violation of the content security policy or a
 * request without an answer is a fault, unless the test has said that it will come.
 */
import { type BrowserContext, type Page, expect, test as base } from '@playwright/test';

class Complaints {
  private readonly heard: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** Declares what this test provokes. */
  allow(...what: RegExp[]) {
    this.allowed.push(...what);
  }

  /** A request that the server refuses, which is what the test is about: browsers write those to the console. */
  allowStatus(status: number) {
    this.allow(new RegExp(`Failed to load resource: .*status of ${status}`));
  }

  /** The network or the server goes away. */
  allowOutage() {
    this.allow(/net::ERR_/);
  }

  async listen(context: BrowserContext) {
    context.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.heard.push(`${message.type()}: ${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (error) => this.heard.push(`exception: ${error.error().stack ?? error.error().message}`));
    context.on('requestfailed', (request) => {
      const why = request.failure()?.errorText ?? 'failed';
      // What the page itself gave up: pictures of a page that was left, the event stream, a download.
      if (why !== 'net::ERR_ABORTED') this.heard.push(`request: ${request.method()} ${request.url()}: ${why}`);
    });
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} refused ${event.blockedURI} ${event.sample}`));
    });
  }

  unexpected(): string[] {
    return [...new Set(this.heard.filter((line) => !this.allowed.some((pattern) => pattern.test(line))))];
  }
}

type Fixtures = {
  complaints: Complaints;
  /** Opens another browser profile, for somebody else, with the same ears. */
  somebodyElse: (options?: { userAgent?: string }) => Promise<Page>;
};

export const test = base.extend<Fixtures & { listening: void }>({
  complaints: async ({}, use) => {
    const complaints = new Complaints();
    await use(complaints);
    expect(complaints.unexpected(), 'what the browser complained about').toEqual([]);
  },
  listening: [
    async ({ complaints, context }, use) => {
      await complaints.listen(context);
      await use();
    },
    { auto: true },
  ],
  somebodyElse: async ({ browser, complaints, viewport, isMobile, hasTouch, deviceScaleFactor }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async ({ userAgent } = {}) => {
      const context = await browser.newContext({ viewport, isMobile, hasTouch, deviceScaleFactor, userAgent, reducedMotion: 'reduce', locale: 'en-GB' });
      contexts.push(context);
      await complaints.listen(context);
      return context.newPage();
    });
    for (const context of contexts) await context.close();
  },
});

export { expect };
