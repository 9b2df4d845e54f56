const number = new Intl.NumberFormat('en-GB');
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const dayTime = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });
const relative = new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto' });

export const count = (n: number) => number.format(n);

/** `1 photograph`, `2 photographs`. */
export const plural = (n: number, one: string, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Decimal units as disks are sold: `4.1 MB`. */
export function bytes(n: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  if (unit === 0) return n === 1 ? '1 byte' : `${n} bytes`;
  return `${n < 9.95 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export const percent = (part: number) => `${Math.round(part * 100)} %`;
export const date = (time: string) => day.format(new Date(time));
export const dateTime = (time: string) => dayTime.format(new Date(time));

/** `just now`, `5 minutes ago`, `yesterday`; a date beyond a week. */
export function ago(time: string, now = Date.now()): string {
  const seconds = (new Date(time).getTime() - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 45) return 'just now';
  if (size < 45 * 60) return relative.format(Math.round(seconds / 60), 'minute');
  if (size < 22 * 3600) return relative.format(Math.round(seconds / 3600), 'hour');
  if (size < 7 * 86400) return relative.format(Math.round(seconds / 86400), 'day');
  return date(time);
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ''}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h${s % 3600 >= 60 ? ` ${Math.floor((s % 3600) / 60)} min` : ''}`;
  return `${Math.floor(s / 86400)} d${s % 86400 >= 3600 ? ` ${Math.floor((s % 86400) / 3600)} h` : ''}`;
}

/** Milliseconds as people say them: `120 ms`, `1.4 s`. */
export const milliseconds = (ms: number) => (ms < 1000 ? `${Math.round(ms)} ms` : ms < 10000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms / 1000));

/** `local_contrast` as `Local contrast`. */
export const words = (name: string) => {
  const text = name.replace(/[._-]+/g, ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
};
