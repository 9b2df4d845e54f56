/** The studio's list of steps: what a preset makes of it, how it is changed, and what is asked for in the end. */
import type { Stroke } from './mask';
import type { AskedStep, Model, ModelStep, Preset, PresetStep, RestorationBody, Start } from './types';

export type Row = {
  key: number;
  step: string;
  on: boolean;
  strength: number;
  /** The model that does it; null for the built-in engine. */
  model: string | null;
  parameters: Record<string, unknown>;
  /** Where it is done; everywhere when nothing is marked. */
  mask: Stroke[];
};

export const builtin = 'builtin';
/** More steps than this the server refuses. */
export const mostSteps = 20;

let keys = 0;
export const newRow = (step: string, strength: number, more: Partial<Row> = {}): Row => ({ key: ++keys, step, strength, on: true, model: null, parameters: {}, mask: [], ...more });

/** A preset's step that is no other preset's name. */
type Step = PresetStep & { step: string };

/** The steps of a preset with those of the presets that it includes. What includes itself is left out. */
export function flatten(steps: PresetStep[], presets: Preset[], within: string[] = []): Step[] {
  return steps.flatMap((one) => {
    if (!one.preset) return [one as Step];
    const found = presets.find((preset) => preset.name === one.preset);
    return !found || within.includes(found.name) ? [] : flatten(found.steps, presets, [...within, found.name]);
  });
}

const rowOf = (one: Step, known: ModelStep[]) => newRow(one.step, strengthOf(one, known), { model: one.model && one.model !== builtin ? one.model : null, parameters: one.parameters ?? {} });

/** How strong a step is that may leave it to the engine. */
export const strengthOf = (one: { step: string; strength?: number | null }, known: ModelStep[]) => one.strength ?? known.find((step) => step.step === one.step)?.default_strength ?? 1;

/** Our own presets run in their order; the shipped ones turn steps on which the engine puts in order itself. */
export const keepsOrder = (preset: Preset) => preset.shipped === false;

/** The list for a preset: all steps of the engine for a shipped one, its own ones in their order for any other. */
export function rowsOf(preset: Preset | undefined, presets: Preset[], known: ModelStep[]): Row[] {
  const steps = preset ? flatten(preset.steps, presets, [preset.name]) : [];
  return preset && keepsOrder(preset) ? steps.map((one) => rowOf(one, known)) : switched(steps, known);
}

/** All steps of the engine, those on that are wanted. */
export const switched = (wanted: { step: string; strength?: number | null }[], known: ModelStep[]): Row[] =>
  known.map((step) => {
    const given = wanted.find((one) => one.step === step.step);
    return newRow(step.step, given?.strength ?? step.default_strength, { on: !!given });
  });

/** The list with one row elsewhere. */
export function moved<T>(rows: T[], from: number, to: number): T[] {
  if (from === to || from < 0 || to < 0 || from >= rows.length || to >= rows.length) return rows;
  const next = rows.toSpliced(from, 1);
  next.splice(to, 0, rows[from]!);
  return next;
}

/** Whether the rows are simply the engine's own steps in the engine's own order. */
export function inEngineOrder(rows: Row[], known: ModelStep[]): boolean {
  const places = rows.filter((row) => row.on).map((row) => (row.model ? -1 : known.findIndex((step) => step.step === row.step)));
  return places.every((place, at) => place >= 0 && (at === 0 || place > places[at - 1]!));
}

const asked = (row: Row, mask: string | undefined): AskedStep => ({
  step: row.step,
  strength: row.strength,
  ...(row.model ? { model: row.model } : {}),
  ...(row.model && Object.keys(row.parameters).length ? { parameters: row.parameters } : {}),
  ...(mask ? { mask } : {}),
});

type Asking = { rows: Row[]; known: ModelStep[]; preset: string | null; arranged: boolean; from: Start | null };

/** The steps that are on, as they are sent. `masks`: those of rows by their key, in base64. */
export const askedSteps = (rows: Row[], masks = new Map<number, string>()) => rows.filter((row) => row.on && row.strength > 0).map((row) => asked(row, masks.get(row.key)));

/** What is sent when somebody presses «Restore». */
export function requestOf({ rows, known, preset, arranged, from }: Asking, mask?: string, masks = new Map<number, string>()): RestorationBody {
  const rest = { keep_steps: true, ...(mask ? { mask } : {}), ...(from ? { from } : {}) };
  if (preset && !from && !masks.size) return { preset, ...rest };
  const order = arranged || !!from || !inEngineOrder(rows, known);
  return { steps: askedSteps(rows, masks), ...(order ? { in_order: true } : {}), ...rest };
}

/** The steps as a preset keeps them. */
export const presetSteps = (rows: Row[]): PresetStep[] =>
  askedSteps(rows).map(({ step, strength, model, parameters }) => ({ step, strength, ...(model ? { model } : {}), ...(parameters ? { parameters } : {}) }));

/** Every step with the models that can do it and may be used, the built-in engine as null. */
export function whoCan(step: string, models: Model[]): (Model | null)[] {
  const able = models.filter((model) => model.steps.some((one) => one.step === step));
  return [...(able.some((model) => model.id === builtin) ? [null] : []), ...able.filter((model) => model.id !== builtin && model.enabled)];
}

/** All steps that anybody can do, once each, with their titles: the built-in ones first. */
export function allSteps(models: Model[]): ModelStep[] {
  const found = new Map<string, ModelStep>();
  const order = models.toSorted((a, b) => Number(b.id === builtin) - Number(a.id === builtin));
  for (const model of order) if (model.id === builtin || model.enabled) for (const step of model.steps) if (!found.has(step.step)) found.set(step.step, step);
  return [...found.values()];
}
