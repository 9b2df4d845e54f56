import { here } from './router.svelte';
import { ApiError } from './problem';
import { onSend, send } from './send';
import type { Permission, User } from './types';

const key = 'safelight.signed-in';

/** Who is signed in. `ended` is true when a session was lost under way, so that the login page can say so. */
export const session = $state({ user: null as User | null, ended: false, unreachable: false });

export const can = (permission: Permission) => session.user?.permissions?.includes(permission) ?? false;

function remember(signedIn: boolean) {
  try {
    if (signedIn) localStorage.setItem(key, '1');
    else localStorage.removeItem(key);
  } catch {
    // Only spares a request at the next start.
  }
}

const remembered = () => {
  try {
    return localStorage.getItem(key) === '1';
  } catch {
    return true;
  }
};

export function signedIn(user: User) {
  session.user = user;
  session.ended = false;
  remember(true);
}

let forgetWork = () => {};
/** Names what has to be cleared when the account changes: lists, uploads, the event stream. */
export const onSignedOut = (forget: () => void) => (forgetWork = forget);

function drop(ended: boolean) {
  const had = session.user !== null;
  session.user = null;
  session.ended = ended && had;
  remember(false);
  if (had) forgetWork();
}

export async function signOut() {
  await send('POST', '/auth/logout').catch(() => undefined);
  drop(false);
}

/** Called when the server says that the session is over. */
export const sessionEnded = () => drop(true);

/**
 * Asks who is signed in. Where nobody was, the public setup answer is asked first: it says whether there is anybody at
 * all, without an error in the console of everyone who merely opens the login page.
 */
export async function loadSession(): Promise<void> {
  try {
    if (!remembered()) {
      const answer = await send<{ needed: boolean; signed_in?: boolean }>('GET', '/setup');
      if (answer.needed || answer.signed_in === false) return;
    }
    signedIn(await send<User>('GET', '/auth/me'));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) remember(false);
    else session.unreachable = true;
  }
}

/** The login page, with the way back to where one wanted to go. */
export function loginPath(): string {
  const to = here.path + (here.query.size ? `?${here.query}` : '');
  return to && to !== '/' && !/^\/(login|setup)/.test(to) ? `/login?next=${encodeURIComponent(to)}` : '/login';
}

onSend({ ended: sessionEnded });
