/** What the list of models says about each, and how its parameters are filled in. No requests. */
import type { Field, Form, Model, ModelSettings } from './types';

/** The engines that models can be added for, and what their names look like. */
export const engines = [
  { name: 'replicate', title: 'Replicate', like: 'owner/name, owner/name:version or deployments/owner/name' },
  { name: 'hugging_face', title: 'Hugging Face', like: 'owner/name on the Hub, or the address of an endpoint of yours' },
  { name: 'space', title: 'Gradio app', like: 'owner/name of a Space, or the address of an app of yours' },
] as const;

/** The steps that a model on another machine can be used for. */
export const steps = [
  { name: 'enhance', title: 'Enhance' },
  { name: 'face', title: 'Faces' },
  { name: 'remove_scratches', title: 'Scratches' },
  { name: 'colorize', title: 'Colours' },
  { name: 'upscale', title: 'Enlarge' },
] as const;

/** Where a model stands, in a word, and why. */
export function stateOf(model: Model): { word: string; tone: 'good' | 'bad' | ''; why: string } {
  if (!model.enabled) return { word: 'Switched off', tone: '', why: '' };
  if (model.retired_at) return { word: 'No longer offered', tone: 'bad', why: 'Its provider said so. Switch it on again to give it another try.' };
  if (!model.available) return { word: 'Not available', tone: 'bad', why: model.unavailable_reason ?? '' };
  return { word: 'Ready', tone: 'good', why: '' };
}

const dollars = (price: number) => `$${price < 0.01 ? String(Number(price.toPrecision(2))) : price.toFixed(2)}`;

/** What a picture costs, as far as somebody has said so. */
export function priceOf(model: Model): string {
  const settings: ModelSettings | null = model.settings;
  if (!model.remote) return 'costs nothing';
  if (settings?.price_usd_per_second) return `about ${dollars(settings.price_usd_per_second)} a second`;
  if (settings?.price_usd) return `about ${dollars(settings.price_usd)} a picture`;
  return settings?.price_usd === 0 ? 'costs nothing' : 'price not known';
}

/** What stands in the input of a parameter. */
export function shown(field: Field, value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' && field.kind !== 'other' && field.kind !== 'choice' ? value : JSON.stringify(value);
}

/**
 * What an input of a parameter means; `undefined` where it is left to the model.
 *
 * Throws a sentence.
 */
export function meant(field: Field, text: string): unknown {
  if (text.trim() === '') return undefined;
  switch (field.kind) {
    case 'text':
      return text;
    case 'integer':
    case 'number': {
      const number = Number(text);
      const whole = field.kind === 'integer';
      if (!Number.isFinite(number) || (whole && !Number.isInteger(number))) throw new Error(`${field.title}: this takes a ${whole ? 'whole ' : ''}number.`);
      if (number < (field.minimum ?? -Infinity) || number > (field.maximum ?? Infinity)) throw new Error(`${field.title}: this takes a number from ${field.minimum ?? 'any'} to ${field.maximum ?? 'any'}.`);
      return number;
    }
    default:
      try {
        return JSON.parse(text) as unknown;
      } catch {
        throw new Error(`${field.title}: this takes JSON, such as "text", 3 or [1, 2].`);
      }
  }
}

/** Parameters as an input each for what the form knows, and the others as one text. */
export function split(form: Form | null, parameters: Record<string, unknown>): { texts: Record<string, string>; rest: string } {
  const fields = form?.fields ?? [];
  const texts = Object.fromEntries(fields.map((field) => [field.name, shown(field, parameters[field.name])]));
  const others = Object.entries(parameters).filter(([name]) => !(name in texts));
  return { texts, rest: others.length ? JSON.stringify(Object.fromEntries(others), null, 2) : '' };
}

/** The way back. Throws a sentence. */
export function join(form: Form | null, texts: Record<string, string>, rest: string): Record<string, unknown> {
  let others: unknown = {};
  try {
    if (rest.trim()) others = JSON.parse(rest);
  } catch {
    others = null;
  }
  if (typeof others !== 'object' || others === null || Array.isArray(others)) throw new Error('Other parameters: this takes a JSON object, such as {"scale": 2}.');
  const named = (form?.fields ?? []).flatMap((field) => {
    const value = meant(field, texts[field.name] ?? '');
    return value === undefined ? [] : [[field.name, value] as const];
  });
  return { ...others, ...Object.fromEntries(named) };
}
