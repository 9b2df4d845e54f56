import { address } from './send';
import type { Media, Rendition } from './types';

/** The server could read it as a picture: it knows how large it is. Asking for a preview of anything else only fails. */
export const isPicture = (media: Media) => media.content_type.startsWith('image/') && media.width !== null;

/** Kinds of picture that every browser shows by itself, so that the original may be shown at high zoom. */
const shown = new Set(['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif']);
export const browserShows = (contentType: string) => shown.has(contentType);

type Preset = 'thumb' | 'grid' | 'screen';
// Says which content is meant, so that the answer may be kept for ever.
export const contentOf = (media: Media, preset?: Preset) => address(`/media/${media.id}/content`, { preset, v: media.sha256.slice(0, 12) });
export const downloadOf = (media: Media) => address(`/media/${media.id}/content`, { download: 1 });
export const renditionOf = (rendition: Rendition, preset?: Preset) => address(`/media/${rendition.media_id}/renditions/${rendition.id}/content`, { preset });
export const renditionDownload = (rendition: Rendition) => address(`/media/${rendition.media_id}/renditions/${rendition.id}/content`, { download: 1 });

/** Short name of a type: `JPEG`, `PDF`. */
export function kindOf(contentType: string): string {
  const sub = contentType.split(';')[0]!.split('/')[1] ?? contentType;
  if (contentType === 'application/octet-stream') return 'File';
  return sub.replace(/^x-|^vnd\./, '').replace(/\+xml$/, '').slice(0, 12).toUpperCase();
}
