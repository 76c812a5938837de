// For whoever builds a page: on localhost it says in the console, once, what is wrong, and the line that mends it. It
// is a file of its own, which other pages never load.

/** @typedef {import('./client.js').Client} Client */

/** The options of `connect`. @type {Record<string, string[] | null>} */
const OPTIONS = {
  token: null, user: null, outbox: null, backoff: ['min', 'max', 'factor', 'jitter', 'attempts', 'stable'], fatal: null, quality: ['interval'],
  whenHidden: null, fallback: null, tabs: null, timeout: null, env: null,
};
const ADDRESS = 'ws://127.0.0.1:8080/ws?user=ada';

/** @type {Set<string>} */
const told = new Set();
/** @param {string} text */
function tell(text) {
  if (!told.has(text)) console.warn(`parlor-client: ${text}`);
  told.add(text);
}

/** @param {Client} client @param {string} url @param {Record<string, any>} options */
export function hint(client, url, options) {
  checkOptions(options);
  client.on('error', ({ code, message }) => /^(unknown_type|bad_request)$/.test(code) && tell(`the server has refused a message that was sent: ${message} (${code})`));
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

/** @param {Client} client @param {string} url */
async function explain(client, url) {
  const { reason } = /** @type {{ reason: string }} */ (client.state);
  const { origin } = location;
  const at = new URL(url, location.href);
  at.protocol = at.protocol.replace('ws', 'http');
  const where = at.origin + at.pathname;
  const allow = `cargo run --release -- serve --allow-origin ${origin}`;
  if (/auth_timeout/.test(reason)) return tell(`the server at ${where} wants a token: connect(url, { token: () => … }), or ?anonymous=1 where it lets guests in`);
  // It was there, and has said why; or it is no concern of this machine.
  const isNear = at.origin === origin || /^(localhost|127\.)/.test(at.hostname);
  if (!isNear || reason !== 'close 1006') return tell(`no connection to ${where}: ${reason}`);
  const isParlor = await parlorIsAt(at);
  if (isParlor === null) return tell(`nothing answers at ${at.origin}. Start the server there: ${allow}`);
  if (isParlor === false) {
    const mend = `name the server's own address, as "${ADDRESS}", and start it so that it takes this page: ${allow}`;
    return tell(`what answers at ${where} is not parlor${at.origin === origin ? ', but whatever has served this page' : ''}: ${mend}`);
  }
  const isKnown = ['user', 'anonymous', 'token'].some((name) => at.searchParams.has(name)) || client.why().some(({ state }) => state === 'authenticating');
  if (!isKnown) return tell(`the server at ${where} wants to know who it is: add ?user=NAME, or give a token: connect(url, { token: () => … })`);
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
