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

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const header = (width: number, height: number, kind: number) => {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set([8, kind, 0, 0, 0], 8);
  return chunk('IHDR', data);
};

function png(width: number, height: number, colour: (x: number, y: number) => [number, number, number]): Buffer {
  const rows = Buffer.alloc(height * (1 + 3 * width));
  let at = 0;
  for (let y = 0; y < height; y++) {
    rows[at++] = 0;
    for (let x = 0; x < width; x++) for (const value of colour(x, y)) rows[at++] = value;
  }
  return Buffer.concat([signature, header(width, height, 2), chunk('IDAT', deflateSync(rows, { level: 1 })), chunk('IEND', Buffer.alloc(0))]);
}

type Box = { cells: number[]; pixels: number; widest: number; width: number };

/** A PNG of 256 colours, chosen by median cut, from RGBA pixels: what a page of text and photographs weighs a third of. */
export function pngOf256Colours(rgba: Uint8Array, width: number, height: number): Buffer {
  const count = new Uint32Array(32_768);
  const sums = [0, 1, 2].map(() => new Float64Array(32_768));
  const cellAt = (at: number) => ((rgba[at]! >> 3) << 10) | ((rgba[at + 1]! >> 3) << 5) | (rgba[at + 2]! >> 3);
  for (let at = 0; at < rgba.length; at += 4) {
    const cell = cellAt(at);
    count[cell]!++;
    for (const channel of [0, 1, 2]) sums[channel]![cell]! += rgba[at + channel]!;
  }
  const part = (cell: number, channel: number) => (cell >> (10 - 5 * channel)) & 31;
  const boxOf = (cells: number[]): Box => {
    const widths = [0, 1, 2].map((channel) => {
      const values = cells.map((cell) => part(cell, channel));
      return Math.max(...values) - Math.min(...values);
    });
    const width = Math.max(...widths);
    return { cells, pixels: cells.reduce((sum, cell) => sum + count[cell]!, 0), widest: widths.indexOf(width), width };
  };
  const boxes = [boxOf([...count.keys()].filter((cell) => count[cell]! > 0))];
  while (boxes.length < 256) {
    const largest = boxes.reduce((a, b) => (a.width * Math.sqrt(a.pixels) >= b.width * Math.sqrt(b.pixels) ? a : b));
    if (largest.cells.length < 2) break;
    const cells = largest.cells.toSorted((a, b) => part(a, largest.widest) - part(b, largest.widest));
    let half = 0;
    for (let seen = 0; half < cells.length - 1 && seen < largest.pixels / 2; half++) seen += count[cells[half]!]!;
    half = Math.max(1, half);
    boxes.splice(boxes.indexOf(largest), 1, boxOf(cells.slice(0, half)), boxOf(cells.slice(half)));
  }
  const colourOf = new Uint8Array(32_768);
  const palette = Buffer.alloc(boxes.length * 3);
  boxes.forEach(({ cells, pixels }, index) => {
    for (const cell of cells) colourOf[cell] = index;
    for (const channel of [0, 1, 2]) palette[3 * index + channel] = Math.round(cells.reduce((sum, cell) => sum + sums[channel]![cell]!, 0) / pixels);
  });
  const rows = Buffer.alloc(height * (1 + width));
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) rows[y * (1 + width) + 1 + x] = colourOf[cellAt(4 * (y * width + x))]!;
  return Buffer.concat([signature, header(width, height, 3), chunk('PLTE', palette), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
}

/** A picture of two colours that run into each other. Another `tint` makes other bytes. */
export const gradient = (width = 320, height = 240, tint = 0) =>
  png(width, height, (x, y) => [(40 + (180 * x) / width) | 0, (60 + (150 * y) / height) | 0, 40 + (tint % 200)]);

/** A scanner's lid with two prints on it, one of them askew; 900 x 640. */
export function scanOfTwo(): Buffer {
  const prints = [
    { x: 250, y: 230, width: 320, height: 220, angle: 4 },
    { x: 650, y: 380, width: 240, height: 330, angle: -2.5 },
  ];
  return png(900, 640, (x, y) => {
    for (const print of prints) {
      const [sine, cosine] = [Math.sin((print.angle * Math.PI) / 180), Math.cos((print.angle * Math.PI) / 180)];
      const u = ((x - print.x) * cosine + (y - print.y) * sine) / print.width + 0.5;
      const v = ((y - print.y) * cosine - (x - print.x) * sine) / print.height + 0.5;
      if (u < 0 || v < 0 || u >= 1 || v >= 1) continue;
      const hill = 0.55 + 0.12 * Math.sin(u * 7 + print.x);
      return v < hill ? [90 + 60 * v, 120 + 60 * v, 170 + 30 * u] : [70 + 50 * u, 90 - 30 * v, 50];
    }
    return [243, 244, 244];
  });
}

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
