/** Files for the tests: the repository's sample pictures, and pictures computed here so that each test can say what it needs. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { repository } from './safelight.ts';

const samples = join(repository, 'assets/sample');

/** An old photograph: a real scan where a folder of them lies beside the repository, else the sepia print of the samples. */
export function oldPhotograph(): { path: string; name: string } {
  const scans = join(repository, '../shared/old-photos');
  const found = existsSync(scans) ? readdirSync(scans).filter((name) => name.endsWith('.jpg')).toSorted() : [];
  const [folder, name] = found[0] ? [scans, found[0]] : [join(samples, 'demo'), 'market-street-1931.jpg'];
  return { path: join(folder, name), name };
}

/** A picture with a date and a description in its EXIF, 1026 x 776. */
export const withExif = () => readFileSync(join(samples, 'demo/market-street-1931.jpg'));
/** A picture in good order, 780 x 900 as displayed. */
export const inGoodOrder = () => readFileSync(join(samples, 'demo/lighthouse-2019.jpg'));

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

function png(width: number, height: number, colour: (x: number, y: number) => [number, number, number]): Buffer {
  const rows = Buffer.alloc(height * (1 + 3 * width));
  let at = 0;
  for (let y = 0; y < height; y++) {
    rows[at++] = 0;
    for (let x = 0; x < width; x++) for (const value of colour(x, y)) rows[at++] = value;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows, { level: 1 })), chunk('IEND', Buffer.alloc(0))]);
}

/** A picture of two colours that run into each other. Another `tint` makes other bytes. */
export const gradient = (width = 320, height = 240, tint = 0) =>
  png(width, height, (x, y) => [(40 + (180 * x) / width) | 0, (60 + (150 * y) / height) | 0, 40 + (tint % 200)]);

/** A grainy scene, large enough that restoring it takes a while. */
export function grain(width: number, height: number): Buffer {
  let seed = 1974;
  const noise = () => (((seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) >>> 24) % 48) - 24;
  return png(width, height, (x, y) => {
    const light = 110 + 60 * Math.sin(x / 90) * Math.cos(y / 70);
    return [light + noise(), light * 0.9 + noise(), light * 0.7 + noise()].map((value) => Math.max(0, Math.min(255, value | 0))) as [number, number, number];
  });
}

/** Says that it is a picture, and is none. */
export const brokenPicture = () => Buffer.concat([inGoodOrder().subarray(0, 600), Buffer.alloc(200)]);
export const text = () => Buffer.from('Grandmother, third from the left. Summer 1974.\n');

/** Width and height that a JPEG file names, and whether it is one at all. */
export function jpegSize(bytes: Buffer): { width: number; height: number } {
  if (bytes.readUInt16BE(0) !== 0xffd8) throw new Error('not a JPEG');
  for (let at = 2; at + 9 < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes[at + 1]!;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
  }
  throw new Error('a JPEG without a size');
}
