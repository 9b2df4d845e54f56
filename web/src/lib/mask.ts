/** Places marked by hand on a picture, kept as strokes so that they can be undone and drawn at any size. */
export type Stroke = { radius: number; erase: boolean; /** x, y, x, y … in picture pixels */ points: number[] };

type Pen = Pick<CanvasRenderingContext2D, 'beginPath' | 'moveTo' | 'lineTo' | 'stroke' | 'clearRect'> & {
  lineWidth: number;
  lineCap: CanvasLineCap;
  lineJoin: CanvasLineJoin;
  strokeStyle: string | CanvasGradient | CanvasPattern;
  globalCompositeOperation: GlobalCompositeOperation;
};

export function draw(pen: Pen, strokes: Stroke[], scale: number, colour: string) {
  pen.lineCap = 'round';
  pen.lineJoin = 'round';
  pen.strokeStyle = colour;
  for (const { radius, erase, points } of strokes) {
    pen.globalCompositeOperation = erase ? 'destination-out' : 'source-over';
    pen.lineWidth = Math.max(1, 2 * radius * scale);
    pen.beginPath();
    pen.moveTo(points[0]! * scale, points[1]! * scale);
    // A line of no length draws a dot with round ends.
    for (let i = points.length > 2 ? 2 : 0; i < points.length; i += 2) pen.lineTo(points[i]! * scale, points[i + 1]! * scale);
    pen.stroke();
  }
  pen.globalCompositeOperation = 'source-over';
}

/** The mask as the server wants it: a PNG of the picture's size, white where it is damaged, as base64. */
export async function maskPng(strokes: Stroke[], width: number, height: number): Promise<string> {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext('2d');
  if (!pen) throw new Error('no canvas');
  draw(pen, strokes, 1, '#fff');
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) throw new Error('no picture');
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
