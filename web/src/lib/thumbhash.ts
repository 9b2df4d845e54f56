/**
 * Draws the blurred preview that a thumbhash describes: a few cosine coefficients of luma (l), yellow-blue (p),
 * red-green (q) and alpha, quantised to four bits behind a five or six byte header.
 */
export type Preview = { w: number; h: number; rgba: Uint8ClampedArray<ArrayBuffer> };

export function decodeThumbhash(base64: string): Preview | null {
  let hash: Uint8Array;
  try {
    hash = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
  if (hash.length < 5) return null;
  const head = hash[0]! | (hash[1]! << 8) | (hash[2]! << 16);
  const tail = hash[3]! | (hash[4]! << 8);
  const alpha = head >> 23 === 1;
  const wide = tail >> 15 === 1;
  if (alpha && hash.length < 6) return null;
  const longest = alpha ? 5 : 7;
  const nx = Math.max(3, wide ? longest : tail & 7);
  const ny = Math.max(3, wide ? tail & 7 : longest);
  const base = { l: (head & 63) / 63, p: ((head >> 6) & 63) / 31.5 - 1, q: ((head >> 12) & 63) / 31.5 - 1, a: alpha ? (hash[5]! & 15) / 15 : 1 };

  let nibble = alpha ? 12 : 10;
  const channel = (cx: number, cy: number, scale: number): Float32Array => {
    const out = new Float32Array(cx * cy);
    for (let y = 0; y < cy; y++) {
      for (let x = y ? 0 : 1; x * cy < cx * (cy - y); x++) {
        const byte = hash[nibble >> 1] ?? 0;
        out[y * cx + x] = (((nibble & 1 ? byte >> 4 : byte) & 15) / 7.5 - 1) * scale;
        nibble++;
      }
    }
    return out;
  };
  const l = channel(nx, ny, ((head >> 18) & 31) / 31);
  // Colour was quantised more boldly, so that it survives; 1.25 undoes that.
  const p = channel(3, 3, (((tail >> 3) & 63) / 63) * 1.25);
  const q = channel(3, 3, (((tail >> 9) & 63) / 63) * 1.25);
  const a = alpha ? channel(5, 5, (hash[5]! >> 4) / 15) : null;

  const ratio = nx / ny;
  const w = Math.round(ratio > 1 ? 32 : 32 * ratio);
  const h = Math.round(ratio > 1 ? 32 / ratio : 32);
  const waves = (n: number, size: number) => Float32Array.from({ length: n * size }, (_, i) => Math.cos((Math.PI / size) * (Math.floor(i / n) + 0.5) * (i % n)));
  const kx = Math.max(nx, 5);
  const ky = Math.max(ny, 5);
  const fx = waves(kx, w);
  const fy = waves(ky, h);
  const sum = (table: Float32Array, cx: number, cy: number, x: number, y: number) => {
    let value = 0;
    for (let j = 0; j < cy; j++) for (let i = 0; i < cx; i++) value += table[j * cx + i]! * fx[x * kx + i]! * fy[y * ky + j]! * (i || j ? 2 : 1);
    return value;
  };
  const rgba = new Uint8ClampedArray(w * h * 4);
  for (let y = 0, at = 0; y < h; y++) {
    for (let x = 0; x < w; x++, at += 4) {
      const light = base.l + sum(l, nx, ny, x, y);
      const yellow = base.p + sum(p, 3, 3, x, y);
      const red = base.q + sum(q, 3, 3, x, y);
      const blue = light - (2 / 3) * yellow;
      const r = (3 * light - blue + red) / 2;
      rgba[at] = 255 * r;
      rgba[at + 1] = 255 * (r - red);
      rgba[at + 2] = 255 * blue;
      rgba[at + 3] = 255 * (a ? base.a + sum(a, 5, 5, x, y) : 1);
    }
  }
  return { w, h, rgba };
}
