/** The browser and system that a `User-Agent` names, in a few words. */
export function agent(text: string | null): string {
  if (!text) return 'Unknown program';
  const browser = /Edg\//.test(text) ? 'Edge' : /OPR\//.test(text) ? 'Opera' : /Firefox\//.test(text) ? 'Firefox' : /Chrom(e|ium)\//.test(text) ? 'Chrome' : /Safari\//.test(text) ? 'Safari' : null;
  const system = /iPhone|iPad/.test(text) ? 'iOS' : /Android/.test(text) ? 'Android' : /Windows/.test(text) ? 'Windows' : /Mac OS X/.test(text) ? 'macOS' : /Linux|X11/.test(text) ? 'Linux' : null;
  if (!browser) return text.split(/[\s(]/)[0] || text;
  return system ? `${browser} on ${system}` : browser;
}
