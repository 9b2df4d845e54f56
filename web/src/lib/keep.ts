/** Small choices that this browser remembers. Where storage is forbidden, they last as long as the page. */
export function kept(name: string): string | null {
  try {
    return localStorage.getItem(`safelight.${name}`);
  } catch {
    return null;
  }
}

export function keep(name: string, value: string) {
  try {
    localStorage.setItem(`safelight.${name}`, value);
  } catch {
    // Only a convenience.
  }
}
