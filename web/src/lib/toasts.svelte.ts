export type Toast = { id: number; text: string; bad: boolean; action?: { label: string; run: () => void } };

/** Short messages at the foot of the page. */
export const toasts = $state<Toast[]>([]);
let next = 0;

export function toast(text: string, { bad = false, action }: { bad?: boolean; action?: Toast['action'] } = {}) {
  toasts.push({ id: next++, text, bad, action });
  if (toasts.length > 3) toasts.shift();
}

export function dismiss(id: number) {
  const at = toasts.findIndex((t) => t.id === id);
  if (at >= 0) toasts.splice(at, 1);
}
