export type Params = Record<string, string>;

/**
 * Matches a path against a pattern of literal parts, `:name` for one part and a closing `*name` for the rest (which may
 * be empty). Returns the decoded parameters, or null.
 */
export function match(pattern: string, path: string): Params | null {
  const want = pattern.split('/').filter(Boolean);
  const have = path.split('/').filter(Boolean);
  const params: Params = {};
  for (const [i, part] of want.entries()) {
    if (part.startsWith('*')) {
      params[part.slice(1)] = have.slice(i).map(decode).join('/');
      return params;
    }
    const value = have[i];
    if (value === undefined) return null;
    if (part.startsWith(':')) params[part.slice(1)] = decode(value);
    else if (part !== value) return null;
  }
  return have.length === want.length ? params : null;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Encodes each part of a folder path for an address, keeping the slashes. */
export const encodePath = (path: string) => path.split('/').map(encodeURIComponent).join('/');
