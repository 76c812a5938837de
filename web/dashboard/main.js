// The dashboard: a client of the server's own streams. It shows what `parlor:vitals` and `parlor:audit` tell, reads the
// tables by the requests of admins, and carries out what an administrator asks for.

import { askServer, askWho } from '../session.js';
import { arrange, el, setText } from '../text.js';
import { nextTheme, theme } from '../theme.js';
import { PUSH_TO_ALL, carryOut } from './actions.js';
import { alarms, limitsOf } from './alarms.js';
import { bytes, clock, count, span } from './format.js';
import { Link, Refused } from './link.js';
import { Plots } from './plots.js';
import { Tables } from './tables.js';

const TOKEN = 'parlor.dashboard-token';
/** Fewer than the server keeps: while they are asked for, others may come. */
const EVENTS_MAX = 700;
const AUDIT_MAX = 500;
const HOUR_MS = 3_600_000;
const SOURCES_MS = 10_000;
const WAIT_MS_MAX = 30_000;
/** Three events are missing. */
const LATE_MS = 16_000;
const SAID_MS = 8_000;

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What the server told, oldest first. */
const vitals = [];
const audit = [];
/** The declared streams, as `/readyz` tells of them. */
let sources = [];
let link;
/** Ends what follows the server's streams. */
let following = new AbortController();
let auditing = new AbortController();
let plots;
let tables;
let version = '';
/** How far the server's clock is ahead, in ms. */
let ahead = 0;
let state = { isOnline: false };

/** The token of this tab, if somebody gave one. */
let given = null;
try {
  given = sessionStorage.getItem(TOKEN);
  if (tokenFault(given ?? '') !== '') given = null;
} catch {
  // Storage can be forbidden: then the token is asked for again after a reload.
}

const token = {
  get value() {
    return given;
  },
  set value(value) {
    given = value;
    try {
      if (value === null) sessionStorage.removeItem(TOKEN);
      else sessionStorage.setItem(TOKEN, value);
    } catch {
      // As above.
    }
  },
};

/** The server's time. */
const now = () => Date.now() + ahead;

/** What keeps a token out of a request's head, where only printable ASCII may be. */
function tokenFault(text) {
  const [odd] = text.match(/[^ -~]/u) ?? [];
  return odd === undefined ? '' : `There is no “${odd}” in a token. Copy it again.`;
}

/** Says it in place of what was said before. */
function say(sentence) {
  const node = el('p', {}, sentence);
  byId('said').replaceChildren(node);
  setTimeout(() => node.remove(), SAID_MS);
}

function keep(list, event, most) {
  list.push(event);
  if (list.length > most) list.splice(0, list.length - most);
}

/** Why nothing comes from the server. */
function why() {
  if (!(state.error instanceof Refused)) return 'The server does not answer.';
  const { status, message } = state.error;
  return `${status ? 'The server refused' : 'The server ended the connection'}: ${message}.`;
}

function showState() {
  const newest = vitals.at(-1);
  const age = newest ? now() - newest.ts : 0;
  const isLate = state.isOnline && age > LATE_MS;
  const left = Math.max(0, Math.ceil(((state.until ?? 0) - Date.now()) / 1000));
  const since = newest ? ` What you see is of ${clock(newest.ts)}.` : '';
  let text = 'Live';
  if (!state.isOnline) text = state.until ? `${why()} Trying again in ${left} s.${since}` : 'Connecting…';
  else if (isLate) text = `Connected, but nothing was told for ${span(age)}.`;
  setText(byId('state'), text);
  byId('state').dataset.level = isLate ? 'warn' : state.isOnline ? 'good' : 'bad';
  byId('retry').hidden = !state.retry;
  document.body.classList.toggle('is-gone', !state.isOnline);
}

function showAlarms() {
  const found = alarms(vitals, now(), sources);
  if (state.until && !state.isOnline) found.unshift({ id: 'gone', level: 'bad', text: why(), advice: vitals.length > 0 ? 'What is below is older.' : '' });
  const known = new Map([...byId('alarms').children].map((node) => [node.dataset.id, node]));
  if (found.length === 0) {
    if (vitals.length === 0) return;
    if (!known.has('none')) byId('alarms').replaceChildren(el('li', { dataset: { id: 'none', level: 'good' } }, 'Nothing. All is within its bounds.'));
    document.title = 'Dashboard · parlor';
    return;
  }
  // What stays is not announced again.
  const nodes = found.map(({ id, level, text, advice }) => {
    const node = known.get(id) ?? el('li', { dataset: { id } }, el('strong'), el('span'));
    node.dataset.level = level;
    setText(node.firstChild, text);
    setText(node.lastChild, ` ${advice}`);
    return node;
  });
  arrange(byId('alarms'), nodes);
  document.title = `(${found.length}) Dashboard · parlor`;
}

function showPools() {
  const { pools } = vitals.at(-1).data;
  const shown = (name, value) => (/bytes|disk/.test(name) ? bytes(value) : count(value));
  const body = byId('pools').tBodies[0];
  for (const [name, [taken, size]] of Object.entries(pools)) {
    let row = body.querySelector(`tr[data-pool="${name}"]`);
    if (!row) {
      const label = `${name.replaceAll('_', ' ')}, taken`;
      row = el('tr', { dataset: { pool: name } }, el('th', { scope: 'row' }, name.replaceAll('_', ' ')), el('td', {}, el('meter', { min: '0', max: '100', high: '80', optimum: '0', 'aria-label': label }), ' ', el('span')), el('td', { class: 'number' }));
      body.append(row);
    }
    const percent = size === 0 ? 0 : Math.min(100, (taken * 100) / size);
    row.querySelector('meter').value = percent;
    setText(row.querySelector('span'), `${shown(name, taken)} (${percent > 0 && percent < 1 ? '< 1' : Math.floor(percent)} %)`);
    setText(row.cells[2], shown(name, size));
  }
}

function showLimits() {
  const found = limitsOf(vitals);
  byId('limits-none').hidden = found.length > 0;
  byId('limits').hidden = found.length === 0;
  byId('limits').tBodies[0].replaceChildren(...found.map(([name, { times, ts }]) => el('tr', {}, el('th', { scope: 'row' }, name), el('td', { class: 'number' }, count(times)), el('td', {}, clock(ts)))));
}

function show() {
  plots.show(vitals);
  showAlarms();
  if (vitals.length === 0) return;
  showPools();
  showLimits();
  const { uptime_ms } = vitals.at(-1).data;
  setText(byId('server'), `${location.host} · ${version} · up ${span(uptime_ms)}`);
}

/** Reads which sources fail: of a source nothing comes by a stream of the server's. */
async function readSources() {
  if (!state.isOnline) return;
  try {
    const response = await fetch('/readyz', { cache: 'no-store', signal: AbortSignal.timeout(SOURCES_MS) });
    sources = (await response.json()).streams ?? [];
    showAlarms();
  } catch {
    // What follows the streams says that the server is gone.
  }
}

/** Follows how the server is, and shows it. */
function follow() {
  let isDue = false;
  const told = ({ data, ts }) => {
    // After a restart some may come twice.
    if (ts <= (vitals.at(-1)?.ts ?? 0)) return;
    keep(vitals, { data, ts }, EVENTS_MAX);
    while (vitals[0].ts < ts - HOUR_MS) vitals.shift();
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      ahead = ts - Date.now();
      show();
      showState();
    });
  };
  const changed = (next) => {
    const isBack = next.isOnline && !state.isOnline;
    state = next;
    showState();
    showAlarms();
    if (!isBack) return;
    tables?.read();
    void readSources();
  };
  following = new AbortController();
  link.follow('parlor:vitals', EVENTS_MAX, told, changed, following.signal).catch(() => comeAgain('You are not signed in any more.'));
}

/** Follows what administrators do, while that is shown: a browser has few connections to one server. */
function followAudit(isShown) {
  auditing.abort();
  if (!isShown) return;
  auditing = new AbortController();
  const told = ({ data, seq, ts }) => {
    if (seq <= (audit.at(-1)?.seq ?? 0)) return;
    keep(audit, { data, seq, ts }, AUDIT_MAX);
    tables.audit(audit);
  };
  // A refused token ends the vitals, too, which say so.
  link.follow('parlor:audit', AUDIT_MAX, told, ({ isOnline, error }) => (isOnline ? tables.audit(audit) : tables.failed(error)), auditing.signal).catch(() => {});
}

function begin(found, isAdmin) {
  link = found;
  byId('gate').hidden = true;
  byId('board').hidden = false;
  byId('open-note').hidden = isAdmin;
  byId('tables').hidden = !isAdmin;
  byId('forget').hidden = token.value === null;
  plots ??= new Plots(byId('plots'));
  if (isAdmin && !tables) {
    const ask = (type, payload) => link.call(type, payload);
    const act = (action) => carryOut(action, ask, (sentence) => {
      say(sentence);
      tables.read();
    });
    tables = new Tables(ask, act, { followAudit, isOwn: (connection) => link.connections.has(connection) });
    byId('push-all').addEventListener('click', () => act(PUSH_TO_ALL));
  }
  tables?.open('connections', false);
  follow();
}

/** Ends what is followed, and asks for a token first. */
function comeAgain(lead) {
  following.abort();
  auditing.abort();
  byId('act').close();
  token.value = null;
  state = { isOnline: false };
  document.title = 'Dashboard · parlor';
  return open(lead);
}

/** Asks for a token; resolves when there is one. */
function askToken(lead, error = '') {
  byId('board').hidden = true;
  byId('gate').hidden = false;
  setText(byId('gate-lead'), lead);
  setText(byId('gate-error'), error);
  setText(byId('state'), 'Not signed in');
  byId('state').dataset.level = 'warn';
  byId('retry').hidden = true;
  byId('forget').hidden = true;
  byId('gate-token').focus();
  return new Promise((resolve) => {
    byId('gate-form').onsubmit = (event) => {
      event.preventDefault();
      const text = byId('gate-token').value.trim();
      const fault = tokenFault(text);
      setText(byId('gate-error'), fault);
      if (fault !== '') return;
      token.value = text;
      byId('gate-token').value = '';
      resolve();
    };
  });
}

/**
 * Goes in with what this tab has: its token, the browser's sign-in, or in open mode nothing. With a `lead` it asks for a
 * token first. Tries until the server answers.
 */
async function open(lead = null) {
  if (lead !== null) await askToken(lead);
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await enter();
    } catch (error) {
      setText(byId('state'), `${error instanceof Refused ? `The server refused: ${error.message}` : 'The server does not answer'}. Trying again…`);
      byId('state').dataset.level = 'bad';
      await sleep(Math.min(WAIT_MS_MAX, 1000 * 2 ** attempt));
    }
  }
}

/** Rejects if the server does not answer, or cannot. */
async function enter() {
  const server = await askServer();
  version = `parlor ${server.version}`;
  const isOpen = server.open;
  for (;;) {
    if (token.value === null && isOpen) return begin(new Link({ isOpen }), false);
    if (token.value === null) {
      const { user } = await askWho().catch(() => ({ user: null }));
      if (user?.admin) return begin(new Link({}), true);
      await askToken(user ? `You are signed in as ${user.name}, who is no administrator.` : 'You are not signed in.');
    }
    const found = new Link({ token: token.value, isOpen });
    try {
      // Only an administrator gets an answer.
      await found.call('admin:users', { limit: 1 });
      return begin(found, true);
    } catch (refusal) {
      if (!(refusal.status < 500) || refusal.status === 429) throw refusal;
      token.value = null;
      await askToken('', refusal.status === 403 ? 'This token is not an administrator\'s.' : `The server did not accept this token: ${refusal.message}.`);
    }
  }
}

function showTheme(choice) {
  setText(byId('theme'), `Theme: ${choice}`);
  plots?.repaint();
}

byId('theme').addEventListener('click', () => showTheme(nextTheme()));
byId('retry').addEventListener('click', () => state.retry?.());
byId('with-token').addEventListener('click', () => comeAgain('The admin token is good in open mode, too.'));
byId('forget').addEventListener('click', () => {
  token.value = null;
  location.reload();
});
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || /INPUT|TEXTAREA/.test(event.target.tagName) || byId('tables').hidden) return;
  event.preventDefault();
  byId('search').focus();
});
if (matchMedia('(any-hover: hover)').matches) byId('search').placeholder = 'Search ( / )';
setInterval(() => plots && byId('gate').hidden && showState(), 1000);
setInterval(readSources, SOURCES_MS);
showTheme(theme());
void open();
