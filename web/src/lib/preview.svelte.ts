/** A preview of steps on what is seen of the picture: one request at a time, the newest wins. */
import { clamp, type Rect, type Size } from './compare';

export type Region = { x: number; y: number; width: number; height: number };
export type Patch = { region: Region; bitmap: ImageBitmap };

/** The most pixels that the server previews at once. */
const mostPixels = 16_000_000;

/**
 * The part of the picture that the frame shows, in whole pixels of the picture; its middle where that is more than the
 * server does at once, null where nothing is seen.
 */
export function seen(rect: Rect, frame: Size, picture: Size): Region | null {
  if (!picture.w || !picture.h || !rect.w || !rect.h || !frame.w || !frame.h) return null;
  const scale = rect.w / picture.w;
  const x = Math.floor(clamp(-rect.x / scale, 0, picture.w));
  const y = Math.floor(clamp(-rect.y / scale, 0, picture.h));
  const width = Math.ceil(clamp((frame.w - rect.x) / scale, 0, picture.w)) - x;
  const height = Math.ceil(clamp((frame.h - rect.y) / scale, 0, picture.h)) - y;
  if (width <= 0 || height <= 0) return null;
  const shrink = Math.min(1, Math.sqrt(mostPixels / (width * height)));
  const [w, h] = [Math.max(1, Math.floor(width * shrink)), Math.max(1, Math.floor(height * shrink))];
  return { x: x + Math.floor((width - w) / 2), y: y + Math.floor((height - h) / 2), width: w, height: h };
}

type Wait = (run: () => void, ms: number) => unknown;

/**
 * Asks for what is wanted last. While a hand still moves, an answer is given the time to come (`patience`), so that
 * something is seen on the way; then the older request is given up.
 */
export class Previewer<T> {
  /** What came last. */
  shown: T | null = $state.raw(null);
  busy = $state(false);
  /** Why the last one failed. */
  trouble: unknown = $state.raw(null);

  private wanted: (() => unknown) | null = null;
  private running: AbortController | null = null;
  private began = 0;
  private timer: unknown = null;

  constructor(
    private readonly ask: (body: unknown, signal: AbortSignal) => Promise<T>,
    private readonly patience = 400,
    private readonly pause = 60,
    private readonly wait: Wait = (run, ms) => setTimeout(run, ms),
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Wants a preview. `body` is made when its turn comes; null means that there is nothing to ask for any more. */
  want(body: () => unknown) {
    this.wanted = body;
    this.busy = true;
    this.timer ??= this.wait(() => this.turn(), this.pause);
  }

  private turn() {
    this.timer = null;
    if (!this.wanted) return;
    if (this.running) {
      const left = this.patience - (this.now() - this.began);
      if (left > 0) {
        this.timer = this.wait(() => this.turn(), left);
        return;
      }
      this.running.abort();
    }
    void this.run(this.wanted);
  }

  private async run(make: () => unknown) {
    this.wanted = null;
    const mine = (this.running = new AbortController());
    this.began = this.now();
    try {
      const body = await make();
      const answer = body === null || mine.signal.aborted ? null : await this.ask(body, mine.signal);
      if (this.running !== mine) return;
      this.shown = answer;
      this.trouble = null;
    } catch (error) {
      if (this.running !== mine) return;
      if (!mine.signal.aborted) this.trouble = error;
    }
    this.running = null;
    this.busy = this.wanted !== null;
    // Whatever was wanted meanwhile need not wait for the other's patience.
    if (this.wanted) this.turn();
  }

  /** Gives up what is under way and forgets what is shown. */
  stop() {
    this.wanted = null;
    this.running?.abort();
    this.running = null;
    this.shown = null;
    this.trouble = null;
    this.busy = false;
  }
}
