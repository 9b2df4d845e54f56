/** How long something will still take, said calmly: nothing while little is known, and round numbers later. */
import { duration } from './format';

export type Pace = { at: number; progress: number };

/** Seconds left, going by how far it came since it was first seen; null while that says too little. */
export function secondsLeft(first: Pace, now: Pace): number | null {
  const seconds = (now.at - first.at) / 1000;
  const come = now.progress - first.progress;
  if (seconds < 2 || come < 0.04 || now.progress >= 1) return null;
  return ((1 - now.progress) * seconds) / come;
}

/** `about 20 s left`, in steps that don't jump at every look. */
export function leftSays(seconds: number | null): string {
  if (seconds === null) return '';
  if (seconds < 5) return 'almost done';
  const step = seconds < 60 ? 5 : seconds < 600 ? 30 : 60;
  return `about ${duration(Math.ceil(seconds / step) * step)} left`;
}
