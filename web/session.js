// Who sits at this page: a name (open mode) or a token from a link, kept for this tab only.
// It never puts a token into an address, and takes it out of the one it came in.

const NAME = 'parlor.name';
const TOKEN = 'parlor.token';
const LAST_NAME = 'parlor.last-name';
const ANSWER_MS_MAX = 10_000;

function read(storage, key) {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, value);
  } catch {
    // Storage can be forbidden; then one signs in anew after a reload.
  }
}

// What is known in this page's life, whether or not it could be kept.
let name = read(sessionStorage, NAME);
let token = read(sessionStorage, TOKEN);

export const session = {
  get name() {
    return name;
  },
  set name(value) {
    name = value;
    write(sessionStorage, NAME, value);
    if (value !== null) write(localStorage, LAST_NAME, value);
  },
  get token() {
    return token;
  },
  set token(value) {
    token = value;
    write(sessionStorage, TOKEN, value);
  },
  get lastName() {
    return read(localStorage, LAST_NAME);
  },
  /** Signs out: the next one here is not told who it was, unless there is something for them to come back to. */
  end(isKept) {
    session.name = null;
    session.token = null;
    if (!isKept) write(localStorage, LAST_NAME, null);
    try {
      sessionStorage.clear();
    } catch {
      // Nothing was kept, then.
    }
  },
};

/** Takes `#token=…` out of the address bar. Returns whether there was one. */
export function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get('token');
  if (found === null) return false;
  history.replaceState(null, '', location.pathname + location.search);
  session.token = found.trim() || null;
  return session.token !== null;
}

/** What the server says of itself: `{open, version}`; rejects if it cannot be reached. */
export async function askServer() {
  const response = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const { open, version } = await response.json();
  return { open: open === true, version };
}
