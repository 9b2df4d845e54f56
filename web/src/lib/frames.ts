/** Frames around the prints of a scan: four corners in the scan's pixels, clockwise from the top left. */
export type Point = [number, number];
export type Corners = [Point, Point, Point, Point];
export type Size = { width: number; height: number };

const distance = ([ax, ay]: Point, [bx, by]: Point) => Math.hypot(ax - bx, ay - by);

/** A point that lies on the scan. */
export const inside = ([x, y]: Point, { width, height }: Size): Point => [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];

/** Moves all corners by as much as still lies on the scan. */
export function moved(corners: Corners, [dx, dy]: Point, size: Size): Corners {
  const xs = corners.map(([x]) => x);
  const ys = corners.map(([, y]) => y);
  const x = Math.min(Math.max(dx, -Math.min(...xs)), size.width - Math.max(...xs));
  const y = Math.min(Math.max(dy, -Math.min(...ys)), size.height - Math.max(...ys));
  return corners.map(([a, b]) => [a + x, b + y]) as Corners;
}

/** A frame can be cut out if it goes clockwise around something and no side is too short. */
export function isSound(corners: Corners): boolean {
  return corners.every((a, i) => {
    const b = corners[(i + 1) % 4]!;
    const c = corners[(i + 2) % 4]!;
    return distance(a, b) >= 8 && (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]) > 0;
  });
}

/** A new frame in the middle of what can be seen least: slightly lower than the last one. */
export function fresh({ width, height }: Size, number: number): Corners {
  const [w, h] = [width * 0.3, height * 0.3];
  const x = width * (0.2 + 0.05 * (number % 5));
  const y = height * (0.2 + 0.05 * (number % 5));
  return [
    [x, y],
    [x + w, y],
    [x + w, y + h],
    [x, y + h],
  ];
}

/** The picture upright: its size, and the SVG transform that takes the scan there. */
export function upright(corners: Corners, quarterTurns: number): Size & { transform: string } {
  const at = (i: number) => corners[(i + 4 - quarterTurns) % 4]!;
  const [a, b, d] = [at(0), at(1), at(3)];
  const width = Math.max(distance(a, b), 1);
  const height = Math.max(distance(a, d), 1);
  const [ux, uy] = [(b[0] - a[0]) / width, (b[1] - a[1]) / width];
  const [vx, vy] = [(d[0] - a[0]) / height, (d[1] - a[1]) / height];
  const area = ux * vy - uy * vx || 1;
  const m = [vy / area, -uy / area, -vx / area, ux / area] as const;
  const e = -(m[0] * a[0] + m[2] * a[1]);
  const f = -(m[1] * a[0] + m[3] * a[1]);
  return { width, height, transform: `matrix(${[...m, e, f].map((n) => n.toFixed(6)).join(' ')})` };
}
