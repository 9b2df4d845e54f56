/** Light, dark, or as the system has it. boot.js applies the same choice before the first paint. */
export type Theme = 'system' | 'light' | 'dark';
const key = 'safelight.theme';

function stored(): Theme {
  try {
    const value = localStorage.getItem(key);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system';
  }
}

export const theme = $state({ choice: stored() });

export function setTheme(choice: Theme) {
  theme.choice = choice;
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    if (choice === 'system') localStorage.removeItem(key);
    else localStorage.setItem(key, choice);
  } catch {
    // Without storage the choice lasts until the page is closed.
  }
}
