// The user at this page: in open mode a name, kept for this tab; otherwise the user of the browser's sign-in, a cookie
// that no script can read. A link's code is removed from the address at once and exchanged for that cookie.

import { nameFault, userIdOf } from './names.js';

const NAME = 'parlor.name';
const LAST_NAME = 'parlor.last-name';
const ENDED = 'parlor.ended';
const SIGN_IN = '/api/v1/sign-in';
const ANSWER_MS_MAX = 10_000;

// To name a storage that is forbidden throws, too.
function read(storage, key) {
  try {
    return window[storage].getItem(key);
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    if (value === null) window[storage].removeItem(key);
    else window[storage].setItem(key, value);
  } catch {
    // Storage can be forbidden; then the user signs in again after a reload.
  }
}

// The name for this page's life, whether or not it could be stored.
let name = read('sessionStorage', NAME);
/** The other tabs of this browser, which share the sign-in. */
const tabs = new BroadcastChannel('parlor.sign-in');

export const session = {
  get name() {
    return name;
  },
  set name(value) {
    name = value;
    write('sessionStorage', NAME, value);
    if (value !== null) write('localStorage', LAST_NAME, value);
  },
  /** The id for this name. */
  get id() {
    return name === null ? null : userIdOf(name);
  },
  get lastName() {
    return read('localStorage', LAST_NAME);
  },
  /**
   * Signs out. Forgets the user, unless there is something for them to come back to. `code`: the close code that ended
   * the sign-in, which the door shows after a reload.
   */
  end(isKept, code = null) {
    session.name = null;
    if (!isKept) write('localStorage', LAST_NAME, null);
    try {
      sessionStorage.clear();
    } catch {
      // Storage is forbidden, so nothing was kept.
    }
    if (code !== null) write('sessionStorage', ENDED, String(code));
  },
  /** The close code that ended the sign-in before this load of the page, returned once; otherwise null. */
  takeEnd() {
    const code = read('sessionStorage', ENDED);
    write('sessionStorage', ENDED, null);
    return code === null ? null : Number(code);
  },
};

/**
 * Removes `#code=…` from the address bar and this tab's history and returns it; null if there is none. A token is
 * removed, too, but not used.
 */
export function takeCode() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has('code') && !given.has('token')) return null;
  history.replaceState(null, '', location.pathname + location.search);
  return given.get('code')?.trim() ?? null;
}

/** The user that a code claims: `{id, name}`; null if it cannot be read. The server verifies it. */
export function readCode(code) {
  try {
    const payload = code.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    const { sub, name: called } = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof sub !== 'string' || nameFault(sub) !== '') return null;
    // The server refuses an invalid name; here it must not hide whom the link is for.
    return { id: sub, name: typeof called === 'string' && nameFault(called) === '' ? called : sub };
  } catch {
    return null;
  }
}

/** The server's description of itself: `{open, version}`; rejects if it cannot be reached. */
export async function askServer() {
  const response = await ask('/healthz');
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const { open, version } = await response.json();
  return { open: open === true, version };
}

/** This browser's user: `{user: {id, name, admin} | null, by?, expires?}`; rejects if the server cannot say. */
export async function askWho() {
  const response = await ask(SIGN_IN);
  if (response.status === 401 || response.status === 403) return { user: null };
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.json();
}

/** Exchanges a code; returns null, or why it was refused: `used`, `bad` or `late`. All tabs follow. */
export async function signIn(code) {
  let response;
  try {
    response = await ask(SIGN_IN, { method: 'POST', body: JSON.stringify({ code }) });
  } catch {
    return 'late';
  }
  if (response.ok) {
    tabs.postMessage({ keep: true });
    return null;
  }
  const { error } = await response.json().catch(() => ({}));
  if (response.status === 409 || /revoked/.test(error?.message)) return 'used';
  return response.status === 401 || response.status === 413 ? 'bad' : 'late';
}

/**
 * Ends the sign-in of this browser, or all of this user's; rejects if the server did not do so. All tabs follow, with
 * the decision `keep` on unsent messages.
 */
export async function signOut(everywhere, keep) {
  const response = await ask(everywhere ? `${SIGN_IN}?everywhere=1` : SIGN_IN, { method: 'DELETE' });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  tabs.postMessage({ keep });
}

/** Calls `then` when another tab has signed in or out, with whether to keep unsent messages. */
export function whenSignInChanges(then) {
  tabs.addEventListener('message', ({ data }) => then(data?.keep !== false));
}

function ask(path, options) {
  return fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS_MAX), ...options });
}
