/** The way to the list of uploads, which is not needed to show the first page and is loaded behind it. */
import type { Media } from './types';
import type { Uploads } from './uploads.svelte';

export const uploading = $state({ list: null as Uploads | null });

let stored: (media: Media[]) => void = () => {};
/** Names who wants to have what was stored. */
export const onStored = (then: (media: Media[]) => void) => (stored = then);

async function load(): Promise<Uploads> {
  const { uploads } = await import('./uploads.svelte');
  uploads.onStored = (media) => stored(media);
  return (uploading.list = uploads);
}

export const startUpload = async (files: { file: File; folder: string }[], bucket: string) => (await load()).add(files, bucket);

/** Brings the list, with what this person has begun and not finished. */
export const recall = async () => (await load()).recall();
