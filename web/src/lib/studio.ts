/** What the studio sends and gets besides `types.ts`: pipelines, kept steps, damage. */
import type { Media, StepReport } from './types';

/** One step of a preset, or another preset that takes its place. */
export type PresetStep = { step: string; /** The engine's own suggestion where it is not said. */ strength?: number | null; engine?: string | null; model?: string | null; parameters?: Record<string, unknown> | null; preset?: null } | { preset: string; step?: null; strength?: null };
export type StudioPreset = {
  name: string;
  title: string;
  description: string;
  steps: PresetStep[];
  shipped?: boolean;
  recreates?: boolean;
  created_by?: string | null;
  created_at?: string | null;
  updated_at?: string | null;
};
/** A step as it is asked for. */
export type AskedStep = { step: string; strength: number; model?: string; parameters?: Record<string, unknown>; mask?: string };
/** Where to begin instead of at the original: the picture that was kept before a step. */
export type Start = { restoration_id: string; place: number };
export type RestorationBody = { preset?: string; steps?: AskedStep[]; in_order?: boolean; mask?: string; keep_steps: boolean; from?: Start };
export type KeptStep = { place: number; step: string; strength: number; engine: string; model: string | null; decision: StepReport['decision'] | null; width: number | null; height: number | null; has_picture: boolean };

/** One parameter of a model. */
export type Field = {
  name: string;
  title: string;
  kind: 'text' | 'integer' | 'number' | 'boolean' | 'choice' | 'file' | 'other';
  required: boolean;
  description?: string | null;
  default?: unknown;
  choices?: unknown[];
  minimum?: number | null;
  maximum?: number | null;
};

/** The rendition that links without a sign-in give; null for the original. */
export const sharedOf = (media: Media): string | null => (media as Media & { shared_rendition_id?: string | null }).shared_rendition_id ?? null;
