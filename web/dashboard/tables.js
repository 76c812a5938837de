// The tables: connections, users, rooms, streams, and what administrators did. A table is read whole, up to a bound, so
// that searching and sorting are about all of it.

import { arrange, counted, el, setText } from '../text.js';
import { ACTIONS } from './actions.js';
import { bytes, count, date, span } from './format.js';
import { Refused } from './link.js';

const byId = (id) => document.getElementById(id);
/** So many rows are read, and so many are shown: a browser has to keep them. */
const READ_MAX = 5_000;
const SHOWN_MAX = 200;
const REFRESH_MS = 10_000;
/** A longer text may be cut off: then its whole is its title. */
const CELL_CHARS_MAX = 24;

const plain = (name, label) => ({ name, label, of: (row) => row[name] ?? '', show: String });
const number = (name, label, show = count, of = (row) => row[name] ?? null) => ({ name, label, of, show, isNumber: true });
const when = (name, label) => ({ name, label, of: (row) => row[name] ?? null, show: (ts) => (ts === null ? '' : date(ts)) });
const yes = (name, label) => ({ name, label, of: (row) => (row[name] ? 'yes' : 'no'), show: String });

const TABLES = {
  connections: {
    title: 'Connections', one: 'connection', type: 'admin:connections', list: 'connections', key: 'connection',
    columns: [
      plain('user', 'User'), plain('connection', 'Connection'), { name: 'kind', label: 'Kind', of: (row) => (row.isOwn ? `${row.kind}, this page` : row.kind), show: String }, plain('address', 'Address'),
      { name: 'quality', label: 'Quality', of: (row) => row.quality?.level ?? '', show: String },
      number('rtt', 'Round trip', (ms) => (ms === null ? '' : `${count(ms)} ms`), (row) => row.quality?.rtt_ms ?? null),
      number('waiting_bytes', 'Waiting', bytes), number('sent', 'Sent'), number('received', 'Received'), number('errors', 'Errors'), number('drops', 'Drops'),
    ],
  },
  users: {
    title: 'Users', one: 'user', type: 'admin:users', list: 'users', key: 'user',
    columns: [plain('user', 'User'), plain('name', 'Name'), number('connections', 'Connections'), when('since', 'Online since')],
  },
  rooms: {
    title: 'Rooms', one: 'room', type: 'room:list', payload: { all: true }, list: 'rooms', key: 'room',
    columns: [plain('room', 'Room'), plain('title', 'Title'), number('members', 'Members'), number('head', 'Entries'), yes('open', 'Open')],
  },
  streams: {
    title: 'Streams', one: 'stream', type: 'stream:list', list: 'streams', key: 'stream',
    columns: [
      plain('stream', 'Stream'), number('subscribers', 'Subscribers'), number('seq', 'Events'),
      number('age_ms', 'Age', (ms) => (ms === null ? '' : span(ms))),
      { name: 'source', label: 'Source', of: sourceOf, show: String },
    ],
  },
  audit: {
    title: 'Audit log', one: 'action', key: 'seq',
    columns: [
      when('ts', 'When'), plain('by', 'By'), plain('address', 'From'), plain('type', 'Action'),
      { name: 'target', label: 'About', of: targetOf, show: String }, { name: 'refused', label: 'Outcome', of: (row) => row.refused ?? 'done', show: String },
    ],
  },
};

function sourceOf({ source }) {
  const { state = '', error = '' } = source ?? {};
  return state === 'open' || state === 'half-open' ? `failing: ${error}` : state;
}

function targetOf({ all, push, users, members, ...row }) {
  const named = ['room', 'user', 'connection', 'stream', 'jti', 'message', 'title', 'owner', 'as'].filter((name) => row[name] !== undefined).map((name) => `${name} ${row[name]}`);
  if (row.open !== undefined) named.push(row.open ? 'open' : 'closed');
  const many = Object.entries({ users, members }).filter(([, count]) => count !== undefined).map(([name, count]) => `${name}: ${count}`);
  return [push, ...named, ...many, all === true && 'all'].filter(Boolean).join(', ');
}

export class Tables {
  #ask;
  #act;
  #shown = 'connections';
  #rows = [];
  #audit = [];
  #hasMore = false;
  #sort = {};
  #nodes = new Map();
  #followAudit;
  #isOwn;
  #reading = null;

  /**
   * `ask(type, payload)` sends a request; `act(action)` asks whether to carry one out; `followAudit(isShown)` begins and
   * ends what calls `audit`; `isOwn(connection)` says whether it is this page's.
   */
  constructor(ask, act, { followAudit, isOwn }) {
    this.#ask = ask;
    this.#act = act;
    this.#followAudit = followAudit;
    this.#isOwn = isOwn;
    const tabs = Object.entries(TABLES).map(([id, { title }]) => el('button', { id: `tab-${id}`, type: 'button', role: 'tab', 'aria-controls': 'panel', onclick: () => this.open(id) }, title));
    byId('tabs').append(...tabs);
    byId('tabs').addEventListener('keydown', (event) => this.#move(event));
    byId('search').addEventListener('input', () => this.#draw());
    byId('refresh').addEventListener('click', () => this.read());
    setInterval(() => {
      if (!document.hidden && !byId('act').open && byId('panel').checkVisibility?.() !== false) this.read();
    }, REFRESH_MS);
  }

  open(id, reads = true) {
    this.#shown = id;
    this.#rows = id === 'audit' ? this.#audit : [];
    this.#hasMore = false;
    this.#nodes.clear();
    byId('search').value = '';
    for (const tab of byId('tabs').children) {
      const isIt = tab.id === `tab-${id}`;
      tab.setAttribute('aria-selected', String(isIt));
      tab.tabIndex = isIt ? 0 : -1;
    }
    byId('panel').setAttribute('aria-labelledby', `tab-${id}`);
    this.#head();
    this.#draw();
    this.#followAudit(id === 'audit');
    if (reads) this.read();
  }

  /** What administrators did, oldest first. */
  audit(events) {
    this.#audit = events.map(({ seq, ts, data }) => ({ ...data, message: data.seq, seq, ts }));
    if (this.#shown !== 'audit') return;
    this.#rows = this.#audit;
    this.#draw();
  }

  /** Reads the shown table again; one reading at a time. */
  async read() {
    const { type, payload, list, key } = TABLES[this.#shown];
    if (!type || this.#reading === this.#shown) return;
    const shown = this.#shown;
    this.#reading = shown;
    try {
      const rows = [];
      let more = true;
      while (more && rows.length < READ_MAX) {
        const after = rows.at(-1)?.[key];
        const page = await this.#ask(type, { ...payload, ...(after === undefined ? {} : { after }) });
        rows.push(...page[list]);
        more = page.more && page[list].length > 0;
      }
      if (shown !== this.#shown) return;
      this.#rows = rows.map((row) => ({ ...row, isOwn: this.#isOwn(row.connection) }));
      this.#hasMore = more;
      this.#draw();
    } catch (error) {
      if (shown === this.#shown) this.failed(error);
    } finally {
      if (this.#reading === shown) this.#reading = null;
    }
  }

  /** Says why the shown table could not be read. */
  failed(error) {
    setText(byId('found'), `It could not be read: ${error instanceof Refused ? error.message : 'the server does not answer'}.`);
  }

  #move(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const tabs = [...byId('tabs').children];
    const next = tabs[(tabs.findIndex((tab) => tab.tabIndex === 0) + by + tabs.length) % tabs.length];
    event.preventDefault();
    this.open(next.id.slice('tab-'.length));
    next.focus();
  }

  #head() {
    const { columns } = TABLES[this.#shown];
    const head = ({ name, label, isNumber }) => el('th', { scope: 'col', class: isNumber ? 'number' : null }, el('button', { type: 'button', dataset: { column: name }, onclick: () => this.#order(name) }, label));
    const hasActions = this.#shown !== 'audit';
    byId('rows').tHead.replaceChildren(el('tr', {}, ...columns.map(head), hasActions && el('th', { scope: 'col', class: 'acts' }, 'Actions')));
    byId('rows').tBodies[0].replaceChildren();
    setText(byId('found'), '');
    this.#markOrder();
  }

  #order(name) {
    const { by, isDown } = this.#sort[this.#shown] ?? {};
    this.#sort[this.#shown] = { by: name, isDown: by === name ? !isDown : TABLES[this.#shown].columns.find((column) => column.name === name).isNumber === true };
    this.#markOrder();
    this.#draw();
  }

  #markOrder() {
    const { by, isDown } = this.#sort[this.#shown] ?? {};
    for (const button of byId('rows').tHead.querySelectorAll('button')) {
      const head = button.parentNode;
      if (button.dataset.column === by) head.setAttribute('aria-sort', isDown ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    }
  }

  #draw() {
    const { columns, key } = TABLES[this.#shown];
    const wanted = byId('search').value.trim().toLowerCase();
    const fits = (row) => columns.some(({ of, show }) => show(of(row)).toLowerCase().includes(wanted));
    const found = wanted === '' ? [...this.#rows] : this.#rows.filter(fits);
    const { by, isDown } = this.#sort[this.#shown] ?? (this.#shown === 'audit' ? { by: 'ts', isDown: true } : {});
    const column = columns.find(({ name }) => name === by);
    if (column) {
      const order = (a, b) => (column.isNumber || typeof a === 'number' ? (a ?? -1) - (b ?? -1) : String(a).localeCompare(String(b)));
      found.sort((a, b) => order(column.of(a), column.of(b)) * (isDown ? -1 : 1));
    }
    const rows = found.slice(0, SHOWN_MAX);
    const nodes = new Map(rows.map((row) => [row[key], this.#row(row, this.#nodes.get(row[key]))]));
    this.#nodes = nodes;
    arrange(byId('rows').tBodies[0], [...nodes.values()].map(({ node }) => node));
    const all = counted(this.#rows.length, TABLES[this.#shown].one);
    const what = wanted === '' ? all : `${count(found.length)} of ${count(this.#rows.length)} match`;
    const less = rows.length < found.length ? `; ${rows.length} shown: search for the others` : '';
    const more = this.#hasMore ? '; there are more, which are not read' : '';
    setText(byId('found'), this.#rows.length === 0 ? 'Nothing is here.' : `${what}${less}${more}`);
  }

  /** A row's node: the one that was there with this key, so that the focus stays. */
  #row(row, known) {
    const { columns } = TABLES[this.#shown];
    const kept = known ?? { node: el('tr', {}, ...columns.map(({ label, isNumber }) => el('td', { class: isNumber ? 'number' : null, dataset: { label } }))), does: null };
    for (const [place, { of, show }] of columns.entries()) {
      const text = show(of(row));
      setText(kept.node.cells[place], text);
      kept.node.cells[place].title = text.length > CELL_CHARS_MAX ? text : '';
    }
    const actions = ACTIONS[this.#shown](row);
    const does = actions.map(({ title }) => title).join('\n');
    if (this.#shown !== 'audit' && kept.does !== does) {
      kept.does = does;
      kept.node.cells[columns.length]?.remove();
      const button = (action) => el('button', { type: 'button', class: 'act', 'aria-label': `${action.label}: ${action.about}`, onclick: () => this.#act(action) }, action.label);
      kept.node.append(el('td', { class: 'acts' }, el('div', {}, ...actions.map(button))));
    }
    return kept;
  }
}
