/** What is done with presets: read, kept, copied, carried elsewhere. */
import { sendText } from './blob';
import { flatten } from './pipeline';
import { address, send } from './send';
import { can, session } from './session.svelte';
import type { PresetStep, Preset } from './types';

const path = (name: string) => `/presets/${encodeURIComponent(name)}`;

/** Whoever made a preset may change it, and an admin. */
export const mayChange = (preset: Preset) => preset.shipped === false && (preset.created_by === session.user?.id || can('users.manage'));
export const tomlOf = (preset: Preset) => address(`${path(preset.name)}/toml`);

export type Kept = { title: string; description: string; steps: PresetStep[] };
export const add = (kept: Kept) => send<Preset>('POST', '/presets', { body: kept });
export const change = (preset: Preset, kept: Partial<Kept>) => send<Preset>('PATCH', path(preset.name), { body: kept });
export const remove = (preset: Preset) => send('DELETE', path(preset.name));
export const bring = async (text: string) => (await sendText<{ items: Preset[] }>('/presets/import', text, 'application/toml')).items;

/** A name for a copy that nobody has yet: `Albums, copy`, `Albums, copy 2`. */
export function copyTitle(title: string, taken: string[]): string {
  const plain = title.replace(/, copy( \d+)?$/, '');
  let n = 1;
  const name = () => `${plain}, copy${n > 1 ? ` ${n}` : ''}`;
  while (taken.includes(name())) n++;
  return name();
}

/** The steps in their order as words: `Noise 60 %, Fading 100 %`. */
export const stepsSay = (preset: Preset, presets: Preset[], titleOf: (step: string) => string): string[] => flatten(preset.steps, presets, [preset.name]).map((one) => [titleOf(one.step), ...(typeof one.strength === 'number' ? [`${Math.round(one.strength * 100)}\u00a0%`] : [])].join(' '));
