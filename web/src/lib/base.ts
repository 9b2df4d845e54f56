/** Where the app is mounted, with a slash at the end: "/" or "/photographs/". The server writes it into `<base href>`. */
export const base = new URL('.', document.baseURI).pathname;

/** The root of the API. Every request of the app starts here. */
export const api = `${base}api/v1`;

/** The address of a page of the app: `link('/account')`. */
export const link = (path: string) => base + path.replace(/^\//, '');
