// The dashboard: a client of the server's own streams. It shows what `parlor:vitals` and `parlor:audit` tell, reads the
// tables by the requests of admins, and carries out what an administrator asks for.

import { askServer, askWho } from '../session.js';
import { arrange, el, setText } from '../text.js';
import { nextTheme, theme } from '../theme.js';
import { PUSH_TO_ALL, carryOut } from './actions.js';
import { alarms, limitsOf } from './alarms.js';
import { bytes, clock, count, span } from './format.js';
import { Link } from './link.js';
import { Plots } from './plots.js';
import { Tables } from './tables.js';

const TOKEN = 'parlor.dashboard-token';
/** Fewer than the server keeps: while they are asked for, others may come. */
const EVENTS_MAX = 700;
const AUDIT_MAX = 500;
const HOUR_MS = 3_600_000;
/** Three events are missing. */
const LATE_MS = 16_000;
const SAID_MS = 8_000;
/** What a field of a request can hold. */
const TOKEN_FORM = /^[\x20-\x7e]+$/;

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What the server told, oldest first. */
const vitals = [];
const audit = [];
let plots;
let tables;
let version = '';
/** How far the server's clock is ahead, in ms. */
let ahead = 0;
let state = { isOnline: false };

/** The token of this tab, if somebody gave one. Storage can be forbidden: it is asked for again after a reload. */
let kept = null;
try {
  kept = sessionStorage.getItem(TOKEN);
} catch { /* As above. */ }
const token = {
  get value() {
    return kept;
  },
  set value(given) {
    kept = given;
    try {
      if (given === null) sessionStorage.removeItem(TOKEN);
      else sessionStorage.setItem(TOKEN, given);
    } catch { /* As above. */ }
  },
};

/** The server's time. */
const now = () => Date.now() + ahead;

function say(sentence) {
  const node = el('p', {}, sentence);
  byId('said').append(node);
  setTimeout(() => node.remove(), SAID_MS);
}

function keep(list, event, most) {
  list.push(event);
  if (list.length > most) list.splice(0, list.length - most);
}

const why = () => (state.error?.code ? `The server refused: ${state.error.message}.` : 'The server does not answer.');

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
  const found = alarms(vitals, now());
  if (!state.isOnline) found.unshift({ id: 'gone', level: 'bad', text: why(), advice: 'What is below is older.' });
  const known = new Map([...byId('alarms').children].map((node) => [node.dataset.id, node]));
  if (vitals.length === 0) return;
  if (found.length === 0) {
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

/** Follows the server's streams, and shows what they tell. */
function follow(link, isAdmin) {
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
  const changed = async (next) => {
    if (next.isOver) {
      token.value = null;
      await askToken('You are not signed in any more.');
      location.reload();
    }
    const isBack = next.isOnline && !state.isOnline;
    state = next;
    showState();
    showAlarms();
    if (isBack) tables?.read();
  };
  void link.follow('parlor:vitals', EVENTS_MAX, told, changed);
  if (!isAdmin) return;
  void link.follow('parlor:audit', AUDIT_MAX, ({ data, seq, ts }) => {
    if (seq <= (audit.at(-1)?.seq ?? 0)) return;
    keep(audit, { data, seq, ts }, AUDIT_MAX);
    tables.audit(audit);
  }, () => {});
}

function begin(link, isAdmin) {
  byId('gate').hidden = true;
  byId('board').hidden = false;
  byId('open-note').hidden = isAdmin;
  byId('tables').hidden = !isAdmin;
  byId('forget').hidden = token.value === null;
  plots = new Plots(byId('plots'));
  if (isAdmin) {
    const ask = (type, payload) => link.call(type, payload);
    const act = (action) => carryOut(action, ask, (sentence) => {
      say(sentence);
      tables.read();
    });
    tables = new Tables(ask, act);
    byId('push-all').addEventListener('click', () => act(PUSH_TO_ALL));
  }
  follow(link, isAdmin);
}

/** Asks for a token; resolves when there is one. */
function askToken(lead, error = '') {
  byId('board').hidden = true;
  byId('gate').hidden = false;
  setText(byId('gate-lead'), lead);
  setText(byId('gate-error'), error);
  setText(byId('state'), 'Not signed in');
  byId('state').dataset.level = 'warn';
  byId('gate-token').focus();
  return new Promise((resolve) => {
    byId('gate-form').onsubmit = (event) => {
      event.preventDefault();
      const given = byId('gate-token').value.trim();
      if (!TOKEN_FORM.test(given)) {
        setText(byId('gate-error'), 'A token has letters, digits and other signs of ASCII alone.');
        return;
      }
      token.value = given;
      byId('gate-token').value = '';
      resolve();
    };
  });
}

/** The server, which is asked for until it answers. */
async function findServer() {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await askServer();
    } catch {
      setText(byId('state'), 'The server does not answer. Trying again…');
      byId('state').dataset.level = 'bad';
      await sleep(Math.min(10_000, 1000 * 2 ** attempt));
    }
  }
}

/** Goes in with what this tab has: its token, the browser's sign-in, or in open mode nothing. */
async function open() {
  const server = await findServer();
  version = `parlor ${server.version}`;
  const isOpen = server.open;
  let error = '';
  for (;;) {
    const given = token.value;
    if (given === null && !isOpen) {
      const { user } = await askWho().catch(() => ({ user: null }));
      if (user?.admin) return begin(new Link({}), true);
      await askToken(user ? `You are signed in as ${user.name}, who is no administrator.` : 'You are not signed in.', error);
      continue;
    }
    if (given === null) return begin(new Link({ isOpen }), false);
    const link = new Link({ token: given, isOpen });
    try {
      // Only an administrator gets an answer.
      await link.call('admin:users', { limit: 1 });
      return begin(link, true);
    } catch (refusal) {
      if (refusal.status === undefined) {
        error = 'The server did not answer.';
        await sleep(1000);
        await findServer();
        continue;
      }
      error = refusal.status === 403 ? 'This token is not an administrator\'s.' : `The server did not accept this token: ${refusal.message}.`;
      token.value = null;
      await askToken('', error);
    }
  }
}

function showTheme(choice) {
  setText(byId('theme'), `Theme: ${choice}`);
  plots?.repaint();
}

byId('theme').addEventListener('click', () => showTheme(nextTheme()));
byId('retry').addEventListener('click', () => state.retry?.());
byId('with-token').addEventListener('click', async () => {
  await askToken('The admin token is good in open mode, too.');
  location.reload();
});
byId('forget').addEventListener('click', () => {
  token.value = null;
  location.reload();
});
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || /INPUT|TEXTAREA/.test(event.target.tagName) || byId('tables').hidden) return;
  event.preventDefault();
  byId('search').focus();
});
setInterval(() => plots && byId('gate').hidden && showState(), 1000);
showTheme(theme());
void open();
