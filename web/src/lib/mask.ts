/** Places marked by hand on a picture, kept as strokes so that they can be undone and drawn at any size. */
export type Drawn = { radius: number; erase: boolean; /** x, y, x, y … in picture pixels */ points: number[] };
/** Places that the engine found, as a picture that is white and as opaque as they are sure. */
export type Found = { found: CanvasImageSource };
export type Stroke = Drawn | Found;

type Pen = Pick<CanvasRenderingContext2D, 'beginPath' | 'moveTo' | 'lineTo' | 'stroke' | 'clearRect' | 'drawImage' | 'fillRect'> & {
  lineWidth: number;
  lineCap: CanvasLineCap;
  lineJoin: CanvasLineJoin;
  strokeStyle: string | CanvasGradient | CanvasPattern;
  fillStyle: string | CanvasGradient | CanvasPattern;
  globalCompositeOperation: GlobalCompositeOperation;
};

/** Draws strokes in white on a canvas of this size, then gives all of it one colour. */
export function draw(pen: Pen, strokes: Stroke[], scale: number, width: number, height: number, colour = '#fff') {
  pen.lineCap = 'round';
  pen.lineJoin = 'round';
  pen.strokeStyle = '#fff';
  for (const stroke of strokes) {
    if ('found' in stroke) {
      pen.globalCompositeOperation = 'source-over';
      pen.drawImage(stroke.found, 0, 0, width, height);
      continue;
    }
    const { radius, erase, points } = stroke;
    pen.globalCompositeOperation = erase ? 'destination-out' : 'source-over';
    pen.lineWidth = Math.max(1, 2 * radius * scale);
    pen.beginPath();
    pen.moveTo(points[0]! * scale, points[1]! * scale);
    // A dot is a line with round ends and hardly any length; one of none at all is not drawn.
    if (points.length === 2) pen.lineTo(points[0]! * scale + 0.01, points[1]! * scale);
    for (let i = 2; i < points.length; i += 2) pen.lineTo(points[i]! * scale, points[i + 1]! * scale);
    pen.stroke();
  }
  if (colour !== '#fff') {
    pen.globalCompositeOperation = 'source-in';
    pen.fillStyle = colour;
    pen.fillRect(0, 0, width, height);
  }
  pen.globalCompositeOperation = 'source-over';
}

/** Whether anything is left marked: what was only erased is nothing. */
export const marks = (strokes: Stroke[]) => strokes.some((stroke) => 'found' in stroke || !stroke.erase);

/** The mask as the server wants it: a PNG of the picture's size, white where it is damaged, as base64. */
export async function maskPng(strokes: Stroke[], width: number, height: number): Promise<string> {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext('2d');
  if (!pen) throw new Error('no canvas');
  draw(pen, strokes, 1, width, height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) throw new Error('no picture');
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/** Grey pixels, white where there is damage, turned into white ones that are as opaque as they were bright. */
export function toAlpha(rgba: Uint8ClampedArray): boolean {
  let any = false;
  for (let i = 0; i < rgba.length; i += 4) {
    const grey = rgba[i]!;
    rgba[i] = rgba[i + 1] = rgba[i + 2] = 255;
    rgba[i + 3] = grey;
    if (grey > 127) any = true;
  }
  return any;
}

/** What is found is drawn no larger than this on its longer side. */
const most = 3000;

/** Reads the damage that the server found; null where it found none. */
export async function foundIn(blob: Blob): Promise<Found | null> {
  const bitmap = await createImageBitmap(blob);
  const shrink = Math.min(1, most / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * shrink));
  canvas.height = Math.max(1, Math.round(bitmap.height * shrink));
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  if (!pen) return null;
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  if (!toAlpha(pixels.data)) return null;
  pen.putImageData(pixels, 0, 0);
  return { found: canvas };
}
