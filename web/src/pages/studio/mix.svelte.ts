import { marks, type Stroke } from '../../lib/mask';
import { inEngineOrder, keepsOrder, moved, newRow, rowsOf, switched, whoCan, type Row } from '../../lib/pipeline';
import type { KeptStep, Model, ModelStep, Preset, PresetStep, Start } from '../../lib/types';

/** The steps that are set on the page, and where they came from. */
export class Mix {
  rows: Row[] = $state.raw([]);
  /** The preset whose steps these still are, untouched. */
  preset: string | null = $state(null);
  /** The preset that they began with. */
  base: string | null = $state(null);
  /** Whether they run in the order shown; otherwise the engine puts them in its own. */
  arranged = $state(false);
  /** The kept picture with which it begins, where it isn't the original. */
  from: Start | null = $state.raw(null);
  /** The size of that picture, where it isn't the original's. */
  size: { w: number; h: number } | null = null;
  /** What is marked as damaged. */
  damage: Stroke[] = $state.raw([]);
  /** Goes up when somebody changes anything that a picture would show. */
  touched = $state(0);

  constructor(
    readonly known: () => ModelStep[],
    readonly models: () => Model[],
  ) {}

  apply(preset: Preset | undefined, presets: Preset[], byHand = true) {
    this.rows = rowsOf(preset, presets, this.known());
    this.preset = this.base = preset?.name ?? null;
    this.arranged = !!preset && keepsOrder(preset);
    this.from = null;
    this.size = null;
    if (byHand) this.touched++;
  }

  /** Sets the engine's steps as they were suggested. */
  take(wanted: { step: string; strength?: number | null }[]) {
    this.rows = switched(wanted, this.known());
    this.preset = this.base = null;
    this.arranged = false;
    this.from = null;
    this.size = null;
    this.touched++;
  }

  /** Goes on from a picture that was kept, with the steps that followed. */
  again(start: Start, kept: KeptStep[], size: { w: number; h: number } | null) {
    this.size = size;
    this.rows = kept.filter((one) => one.place >= start.place).map((one) => newRow(one.step, one.strength, { model: one.engine === 'builtin' ? null : one.model }));
    this.preset = this.base = null;
    this.arranged = true;
    this.from = start;
    this.touched++;
  }

  fill(steps: PresetStep[], presets: Preset[]) {
    this.rows = rowsOf({ name: '', title: '', description: '', steps, shipped: false, recreates: false }, presets, this.known());
    this.arranged = true;
  }

  private changed(rows: Row[]) {
    this.rows = rows;
    this.preset = null;
    this.touched++;
  }

  set(key: number, change: Partial<Row>) {
    this.changed(this.rows.map((row) => (row.key === key ? { ...row, ...change } : row)));
  }

  add(step: string, model: string | null) {
    const of = this.models().find((one) => one.id === (model ?? 'builtin'))?.steps.find((one) => one.step === step);
    const row = newRow(step, of?.default_strength ?? 1, { model });
    this.changed([...this.rows, row]);
    this.arranged ||= !inEngineOrder(this.rows, this.known());
    return row.key;
  }

  remove(key: number) {
    this.changed(this.rows.filter((row) => row.key !== key));
  }

  move(from: number, to: number) {
    const rows = moved(this.rows, from, to);
    if (rows === this.rows) return;
    this.changed(rows);
    this.arranged = true;
  }

  who(step: string) {
    return whoCan(step, this.models());
  }

  masked(row: Row) {
    return marks(row.mask);
  }
}
