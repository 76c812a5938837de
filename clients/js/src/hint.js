// For developers: on localhost it logs to the console, once, what is wrong and the line that fixes it. It is a file of
// its own, which other pages never load.

/** @typedef {import('./base.js').BaseClient} Client */

/** The options of `connect`. @type {Record<string, string[] | null>} */
const OPTIONS = {
  token: null, user: null, outbox: null, backoff: ['min', 'max', 'factor', 'jitter', 'attempts', 'stable'], fatal: null, quality: ['interval'],
  whenHidden: null, fallback: null, tabs: null, timeout: null, env: null,
};
/** What a client tells of, and what its rooms and streams do. */
const OF_CLIENT = `state quality rooms outbox presence stream notice error
  chat:message chat:edited chat:deleted chat:reacted chat:read chat:delivered chat:typing
  room:joined room:left room:removed room:updated room:invited user:online user:offline user:count stream:stale`.split(/\s+/);
const OF_PARTS = 'message edited deleted reacted joined left entry gap read delivered typing removed updated refused stale'.split(' ');
const EVENTS = [...OF_CLIENT, ...OF_PARTS];
/** A name of so many letters may have two that are wrong; one of fewer none that is another, as "stage" is no "state". */
const LONG = 8;
const SHORT = 5;
const ERRORS_MAX = 2;
const ADDRESS = 'ws://127.0.0.1:8080/ws?user=ada';

/** @type {Set<string>} */
const told = new Set();
/** @param {string} text */
function tell(text) {
  if (!told.has(text)) console.warn(`parlor-client: ${text}`);
  told.add(text);
}

/** @param {Client} client @param {string} url @param {Record<string, any>} options @param {Set<string>} heard what was ever listened to */
export function hint(client, url, options, heard) {
  checkOptions(options);
  for (const name of heard) checkEvent(name);
  // Names listened to later.
  heard.add = (name) => {
    if (!heard.has(name)) checkEvent(name);
    return Set.prototype.add.call(heard, name);
  };
  client.on('error', (/** @type {import('./wire.js').Refusal} */ { code, message }) => /^(unknown_type|bad_request)$/.test(code) && tell(`the server has refused a message that was sent: ${message} (${code})`));
  const ends = new AbortController();
  const judge = () => {
    const { name } = client.state;
    if (!/online|waiting|failed|closed/.test(name)) return;
    ends.abort();
    if (name === 'waiting' || name === 'failed') void explain(client, url);
  };
  client.on('state', judge, { signal: ends.signal });
  judge();
}

/** @param {Record<string, any>} options */
function checkOptions(options) {
  for (const [name, value] of Object.entries(options)) {
    const members = OPTIONS[name];
    if (members === undefined) tell(`there is no option "${name}": they are ${Object.keys(OPTIONS).join(', ')}`);
    else if (members && value) {
      for (const member of Object.keys(value)) if (!members.includes(member)) tell(`the option ${name} has no "${member}": it has ${members.join(', ')}`);
    }
  }
}

/** A name that is almost one of parlor's; any other is the application's own. @param {string} name */
function checkEvent(name) {
  if (typeof name !== 'string' || EVENTS.includes(name)) return;
  const mine = letters(name);
  const near = EVENTS.map((event) => ({ event, its: letters(event) }))
    // Shorter names, or those with another first letter, are too easily other words.
    .filter(({ its }) => its.length >= SHORT && its[0] === mine[0] && Math.abs(its.length - mine.length) <= ERRORS_MAX)
    .map(({ event, its }) => ({ event, errors: distance(mine, its, mine.length < LONG ? 2 : 1) }))
    .sort((a, b) => a.errors - b.errors);
  if (near.length === 0 || near[0].errors > (mine.length < LONG ? 1 : ERRORS_MAX)) return;
  const [{ event }] = near;
  const whole = OF_PARTS.includes(event) && OF_CLIENT.find((one) => one.split(':')[1] === event);
  const meant = whole ? `"${event}" of a ${/^stream/.test(whole) ? 'stream' : 'room'}, or "${whole}" of the client` : `"${event}"`;
  tell(`nothing of parlor's is called "${name}": do you mean to listen to ${meant}?`);
}

/** @param {string} name */
const letters = (name) => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** How many letters are missing, too many, or the other way round as their neighbour, and what each counts that is another. @param {string} one @param {string} other @param {number} another */
function distance(one, other, another) {
  const rows = [Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let y = 1; y <= one.length; y += 1) {
    rows[y] = [y];
    for (let x = 1; x <= other.length; x += 1) {
      const isSame = one[y - 1] === other[x - 1];
      rows[y][x] = Math.min(rows[y - 1][x] + 1, rows[y][x - 1] + 1, rows[y - 1][x - 1] + (isSame ? 0 : another));
      const isTurned = y > 1 && x > 1 && one[y - 1] === other[x - 2] && one[y - 2] === other[x - 1];
      if (isTurned) rows[y][x] = Math.min(rows[y][x], rows[y - 2][x - 2] + 1);
    }
  }
  return rows[one.length][other.length];
}

/** @param {Client} client @param {string} url */
async function explain(client, url) {
  const { reason } = /** @type {{ reason: string }} */ (client.state);
  const { origin } = location;
  const at = new URL(url, location.href);
  at.protocol = at.protocol.replace('ws', 'http');
  const where = at.origin + at.pathname;
  const allow = `cargo run --release -- serve --allow-origin ${origin}`;
  if (/auth_timeout/.test(reason)) return tell(`the server at ${where} wants a token: connect(url, { token: () => … }), or ?anonymous=1 where it lets guests in`);
  // The server answered and has given its reason; or it is not on this machine.
  const isHere = at.origin === origin || /^(localhost|127\.)/.test(at.hostname);
  if (!isHere || reason !== 'close 1006') return tell(`no connection to ${where}: ${reason}`);
  const isParlor = await parlorIsAt(at);
  if (isParlor === null) return tell(`nothing answers at ${at.origin}. Start the server there: ${allow}`);
  if (isParlor === false) {
    const mend = `name the server's own address, as "${ADDRESS}", and start it so that it takes this page: ${allow}`;
    return tell(`what answers at ${where} is not parlor${at.origin === origin ? ', but whatever has served this page' : ''}: ${mend}`);
  }
  const isKnown = ['user', 'anonymous', 'token'].some((name) => at.searchParams.has(name)) || client.why().some(({ state }) => state === 'authenticating');
  if (!isKnown) return tell(`the server at ${where} wants to know who it is: add ?user=NAME, or give a token: connect(url, { token: () => … }). Where the application says who somebody is (auth.url), it knows no cookie of this page's: sign in there`);
  tell(`the server at ${where} has refused this page; its log says why. Where the page is of another origin: ${allow}`);
}

/** Whether it is parlor that answers there; null where nothing does. It tells other origins' pages only that it is there. @param {URL} at */
async function parlorIsAt(at) {
  try {
    const answer = await fetch(at);
    return (await answer.json().catch(() => null))?.http?.events !== undefined;
  } catch {
    return fetch(at, { mode: 'no-cors' }).then(() => true, () => null);
  }
}
