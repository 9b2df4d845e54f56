import { PanZoom } from '../../lib/panzoom.svelte';
import { keep, kept } from '../../lib/keep';
import { nextBrush } from './keys';

export type Mode = 'slider' | 'side' | 'difference' | 'blink';
export const modes: Mode[] = ['slider', 'side', 'difference', 'blink'];

/** How the picture is looked at, and what the hand on it does. */
export class Look {
  readonly zoom = new PanZoom();
  mode: Mode = $state('slider');
  gain = $state(4);
  /** The original for as long as a key is held. */
  peek = $state(false);
  /** While it blinks: the original is the one that shows. */
  flipped = $state(false);
  loupe = $state(false);
  /** What is being marked: the damage, or where one row applies. */
  marking: 'damage' | number | null = $state(null);
  size = $state(24);
  erase = $state(false);
  /** Whether changed steps are shown at once. */
  live = $state(kept('studio.live') !== 'off');
  /** Whether single letters are keys. */
  letters = $state(kept('studio.letters') !== 'off');

  private before: Mode = 'slider';

  setLive(on: boolean) {
    this.live = on;
    keep('studio.live', on ? 'on' : 'off');
  }

  setLetters(on: boolean) {
    this.letters = on;
    keep('studio.letters', on ? 'on' : 'off');
  }

  /** Begins to blink, or goes back to the way before. */
  blink() {
    if (this.mode === 'blink') this.mode = this.before;
    else {
      this.before = this.mode;
      this.mode = 'blink';
    }
  }

  brush(way: 1 | -1) {
    this.size = nextBrush(this.size, way);
  }

  leave() {
    this.marking = null;
    this.erase = false;
  }
}
