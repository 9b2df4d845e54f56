/** One running Safelight with a data directory of its own, which is removed with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { APIRequestContext, BrowserContext } from '@playwright/test';
import { test } from '@playwright/test';

const here = dirname(fileURLToPath(import.meta.url));
export const repository = resolve(here, '../../..');
const binary = process.env.SAFELIGHT_BIN ?? join(repository, 'target/debug/safelight');

/** A start that takes longer than this is stuck. */
const PATIENCE_MS = 60_000;

export type Person = { name: string; email: string; password: string; role: 'owner' | 'admin' | 'editor' | 'viewer' };
export const owner: Person = { name: 'Ansel', email: 'ansel@home.example', password: 'a red lamp in the dark', role: 'owner' };

type Media = { id: string; name: string; width: number | null; height: number | null; size_bytes: number };

export class Safelight {
  url = '';
  /** The link that a new instance prints; empty once there is an owner. */
  setupLink = '';
  /** All that was printed so far. */
  printed = '';
  private child: ChildProcess | undefined;
  private log = '';
  private readonly folder = mkdtempSync(join(tmpdir(), 'safelight-e2e-'));

  /** Starts the program and waits for the address that it prints. `port` 0 takes a free one. */
  async start(args = ['--data-dir', join(this.folder, 'data')], port = 0): Promise<void> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SAFELIGHT_')));
    const child = spawn(binary, ['serve', '--listen', `127.0.0.1:${port}`, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder, env });
    this.child = child;
    this.printed = '';
    child.stderr.on('data', (bytes: Buffer) => (this.log += bytes.toString()));
    await new Promise<void>((ready, failed) => {
      const late = setTimeout(() => failed(new Error(`Safelight printed no address.\n${this.log}`)), PATIENCE_MS);
      child.on('error', failed);
      child.on('exit', (code) => failed(new Error(`Safelight ended with ${code}.\n${this.log}`)));
      child.stdout.on('data', (bytes: Buffer) => {
        this.printed += bytes.toString();
        const found = /(http:\/\/[\d.:]+)(\/setup\?token=\S+)?/.exec(this.printed);
        if (!found || !this.printed.endsWith('\n')) return;
        this.url = found[1]!;
        this.setupLink = found[2] ? found[1]! + found[2] : '';
        clearTimeout(late);
        ready();
      });
    });
  }

  /** Asks the program to stop and waits until it has. */
  async stop(): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    const over = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    const stuck = setTimeout(() => child.kill('SIGKILL'), 30_000);
    await over;
    clearTimeout(stuck);
  }

  /** Stops the program and starts it again on the same address and data. */
  async restart(): Promise<void> {
    const port = Number(new URL(this.url).port);
    await this.stop();
    await this.start(undefined, port);
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What the program logged, for a failed test's report. */
  get logged(): string {
    return this.log;
  }

  /** Makes the owner's account without a browser. */
  async setUp(request: APIRequestContext, sample = false): Promise<void> {
    const token = new URL(this.setupLink).searchParams.get('token');
    const { name, email, password } = owner;
    await this.fine(request.post(`${this.url}/api/v1/setup`, { headers: this.headers(), data: { token, name, email, password, sample } }));
  }

  /** Signs a browser in without its login page. */
  async signIn(context: BrowserContext, person: Person = owner): Promise<void> {
    const { email, password } = person;
    await this.fine(context.request.post(`${this.url}/api/v1/auth/login`, { headers: this.headers(), data: { email, password } }));
  }

  /** Adds a person, as somebody who may. */
  async addPerson(context: BrowserContext, person: Person): Promise<void> {
    await this.fine(context.request.post(`${this.url}/api/v1/users`, { headers: this.headers(), data: person }));
  }

  /** Stores a file without the page. */
  async upload(context: BrowserContext, name: string, buffer: Buffer, mimeType = 'application/octet-stream', folder = ''): Promise<Media> {
    const multipart = { ...(folder ? { folder } : {}), file: { name, mimeType, buffer } };
    const answer = await this.fine(context.request.post(`${this.url}/api/v1/media`, { headers: this.headers(), multipart }));
    return ((await answer.json()) as { items: Media[] }).items[0]!;
  }

  /** Reads from the API as the person whom the browser belongs to. */
  async get<T>(context: BrowserContext, path: string): Promise<T> {
    return (await this.fine(context.request.get(`${this.url}/api/v1${path}`))).json() as Promise<T>;
  }

  /** What the API says to somebody's deed, whatever it is. */
  async status(context: BrowserContext, method: string, path: string, data?: unknown): Promise<number> {
    const answer = await context.request.fetch(`${this.url}/api/v1${path}`, { method, headers: this.headers(), data });
    return answer.status();
  }

  private headers() {
    return { origin: this.url };
  }

  private async fine<T extends { ok(): boolean; url(): string; status(): number; text(): Promise<string> }>(sent: Promise<T>): Promise<T> {
    const answer = await sent;
    if (!answer.ok()) throw new Error(`${answer.url()} answered ${answer.status()}: ${await answer.text()}`);
    return answer;
  }
}

/** Gives the tests of a file one Safelight, started before the first and removed after the last. */
export function safelight(options: { setUp: boolean; sample?: boolean }): Safelight {
  const app = new Safelight();
  test.beforeAll(async ({ playwright }) => {
    await app.start();
    if (!options.setUp) return;
    const request = await playwright.request.newContext();
    await app.setUp(request, options.sample);
    await request.dispose();
  });
  test.afterEach(async ({}, info) => {
    if (info.status !== info.expectedStatus) await info.attach('safelight.log', { body: app.logged, contentType: 'text/plain' });
  });
  test.afterAll(() => app.remove());
  return app;
}
