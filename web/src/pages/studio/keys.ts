/** The studio's keys: what they do, and the words for it. */
export const brushes = { least: 4, most: 120 };

/** The next larger or smaller brush, by a quarter but at least by one step. */
export function nextBrush(size: number, way: 1 | -1): number {
  const wished = Math.round((way > 0 ? size * 1.25 : size * 0.8) / 2) * 2;
  const next = wished === size ? size + 2 * way : wished;
  return Math.min(brushes.most, Math.max(brushes.least, next));
}

export type Deed = 'help' | 'blink' | 'loupe' | 'mode' | 'preview' | 'mark' | 'erase' | 'find' | 'smaller' | 'larger' | 'undo' | 'restore' | 'next' | 'previous' | 'leave';

type Pressed = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey'>;

/** What a key asks for; null for keys that are somebody else's. `letters`: whether single keys are wanted at all. */
export function deedOf(event: Pressed, marking: boolean, letters = true): Deed | null {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (event.altKey) return null;
    return key === 'Enter' ? 'restore' : key === 'z' && marking ? 'undo' : null;
  }
  if (event.altKey) return null;
  if (key === 'Escape') return 'leave';
  if (!letters) return null;
  const always: Record<string, Deed> = { '?': 'help', l: 'loupe', d: 'mark', p: 'preview', v: 'mode', b: 'blink', ',': 'previous', '.': 'next' };
  const brush: Record<string, Deed> = { '[': 'smaller', ']': 'larger', e: 'erase', f: 'find' };
  return (marking ? brush[key] : undefined) ?? always[key] ?? null;
}

export const groups: { title: string; keys: [string[], string][] }[] = [
  {
    title: 'Comparing',
    keys: [
      [['V'], 'The next way to compare'],
      [['B'], 'Blink: tap to begin and end, hold to see the original'],
      [['L'], 'Loupe at actual size; the arrow keys move it'],
      [['←', '→'], 'Move the divider, or the picture while zoomed in'],
      [['+', '−'], 'Zoom'],
      [['0'], 'The whole picture'],
      [['1'], 'Actual size'],
      [[',', '.'], 'The result before, the next one'],
    ],
  },
  {
    title: 'Marking',
    keys: [
      [['D'], 'Mark damage, and stop marking'],
      [['[', ']'], 'Smaller and larger brush'],
      [['E'], 'Erase; or hold Alt with the mouse'],
      [['F'], 'Find what is like the marks, or damage without any'],
      [['Ctrl', 'Z'], 'Undo the last stroke'],
      [['Shift', '←'], 'Draw with the arrow keys'],
      [['Space'], 'One dot'],
    ],
  },
  {
    title: 'Restoring',
    keys: [
      [['P'], 'Live preview on and off'],
      [['Ctrl', 'Enter'], 'Restore'],
      [['↑', '↓'], 'On a step’s handle: move it'],
      [['Delete'], 'On a step’s handle: take it out'],
      [['Esc'], 'Leave the brush, the loupe, a step’s picture'],
      [['?'], 'These keys'],
    ],
  },
];
