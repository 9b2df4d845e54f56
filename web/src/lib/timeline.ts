/** Where the months of a library lie on the timeline beside it. Months are `2019-07`, the newest first. */
export type Month = { month: string; count: number };
export type Mark = Month & { y: number; h: number };

/** Gives every month its share of the height by how much it holds, and none less than `least` where that fits. */
export function place(months: Month[], height: number, least = 4): Mark[] {
  const all = months.reduce((sum, { count }) => sum + count, 0) || 1;
  const floor = Math.min(least, height / (months.length || 1));
  const rest = height - floor * months.length;
  let y = 0;
  return months.map((one) => {
    const h = floor + (one.count / all) * rest;
    const mark = { ...one, y, h };
    y += h;
    return mark;
  });
}

/** The month at a height; beyond the ends it is the first or the last. */
export function markAt(marks: Mark[], y: number): number {
  const at = marks.findIndex((mark) => y < mark.y + mark.h);
  return at < 0 ? marks.length - 1 : at;
}

/** The years to write beside the line: where each begins, but only those that have room. */
export function years(marks: Mark[], gap = 22): { year: string; y: number }[] {
  const shown: { year: string; y: number }[] = [];
  let year = '';
  for (const mark of marks) {
    const its = mark.month.slice(0, 4);
    if (its === year) continue;
    year = its;
    if (!shown.length || mark.y - shown.at(-1)!.y >= gap) shown.push({ year, y: mark.y });
  }
  return shown;
}

const name = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' });
/** `July 2019`. */
export const monthName = (month: string) => name.format(new Date(`${month}-01T00:00:00Z`));

/** The month of a moment, as the server counts them: in UTC. */
export const monthOf = (time: string) => new Date(time).toISOString().slice(0, 7);

/** The last day of a month, `2019-07-31`. */
export function lastDay(month: string): string {
  const [year, number] = month.split('-').map(Number) as [number, number];
  return new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10);
}
