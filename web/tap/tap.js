// The page of `parlor tap --web`: each item that the tap sends is an entry. All that others say is inserted as text.

/** Entries that the page keeps. */
const ENTRIES_MAX = 2000;
/** Items that wait while it is paused. */
const WAITING_MAX = 2000;
const FRAMES = ['text', 'binary', 'continuation', 'ping', 'pong', 'close', 'head', 'http'];
/** What is always shown, whatever is chosen. */
const ALWAYS = ['violation', 'fault'];

const list = document.getElementById('items');
const filters = document.getElementById('filters');
const state = document.getElementById('state');
const pause = document.getElementById('pause');

let waiting = [];
let left = 0;
let last = 0;

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Each section of a clause, as `RFC 6455 §5.3, §8.1, RFC 7692 §6`, is a link. */
function clauseLinks(clause) {
  const links = [];
  let rfc = '6455';
  for (const part of clause.split(/,\s*/)) {
    const [, named, section] = /^(?:RFC (\d+) )?§([\d.]+)$/.exec(part) ?? [];
    if (named) rfc = named;
    if (links.length > 0) links.push(', ');
    if (section === undefined) {
      links.push(part);
      continue;
    }
    const href = `https://www.rfc-editor.org/rfc/rfc${rfc}#section-${section}`;
    links.push(element('a', { href, target: '_blank', rel: 'noopener noreferrer' }, part));
  }
  return links;
}

function bytesOf(part) {
  if (part.hidden) return '(hidden)';
  const pairs = part.bytes.match(/../g) ?? [];
  return pairs.join(' ') + (part.len * 2 > part.bytes.length ? ` … (${part.len} bytes)` : '');
}

function table(parts) {
  const rows = parts.map((part) => element('tr', {},
    element('td', {}, String(part.offset)),
    element('td', { class: 'hex' }, bytesOf(part)),
    element('td', { class: 'meaning' }, part.meaning),
    element('td', {}, ...clauseLinks(part.clause))));
  const names = ['byte', 'bytes', 'meaning', 'clause'].map((name) => element('th', { scope: 'col' }, name));
  const made = element('table', {}, element('thead', {}, element('tr', {}, ...names)), element('tbody', {}, ...rows));
  return element('div', { class: 'parts', tabindex: '0', role: 'group', 'aria-label': 'Bytes and their meaning' }, made);
}

/** What an item is, and what it says. */
function words(item) {
  if (!('bytes' in item)) {
    const name = { violation: 'Violation', fault: 'The tap', remark: 'Remark', opened: 'Connection', closed: 'Connection', head: 'Handshake', http: 'HTTP' }[item.kind];
    const clause = item.kind === 'violation' ? ` (${item.clause}), close code ${item.close_code}` : '';
    return [name, item.text + clause];
  }
  const name = item.kind[0].toUpperCase() + item.kind.slice(1);
  const more = item.fin ? '' : ', not the last frame';
  const inflated = item.message && item.compressed ? `, inflated ${item.message.bytes}` : '';
  return [`${name} ${item.bytes} ${item.bytes === 1 ? 'byte' : 'bytes'}${inflated}${more}`, item.message?.text ?? item.message?.hex ?? ''];
}

function entry(item) {
  const [what, text] = words(item);
  const when = `${(item.ms / 1000).toFixed(3)} #${item.conn}${item.from ? (item.from === 'client' ? ' →' : ' ←') : ''}`;
  const short = text.length > 160 ? `${text.slice(0, 160)}…` : text;
  const line = [element('span', { class: 'when' }, when), element('span', { class: 'what' }, what), ' ', element('span', { class: 'text' }, short)];
  const made = element('li', { 'data-kind': item.kind, 'data-conn': item.conn, ...(item.from ? { 'data-from': item.from } : {}) });
  made.searched = `${what} ${text} ${(item.parts ?? []).map((part) => part.meaning).join(' ')}`.toLowerCase();
  if (item.parts === undefined) {
    made.append(element('span', { class: 'line' }, ...line));
    return made;
  }
  const details = element('details', {}, element('summary', {}, ...line));
  // What is folded costs nothing until it is opened.
  details.addEventListener('toggle', () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(table(item.parts));
    if (text.length > 160) details.append(element('pre', { tabindex: '0' }, text + (item.message?.cut ? '…' : '')));
  });
  details.open = filters.elements.unfold.checked;
  made.append(details);
  return made;
}

function chosen() {
  const kinds = new Set([...filters.querySelectorAll('[name="kind"]:checked')].map((one) => one.value));
  const { from, conn, grep } = filters.elements;
  return { kinds, from: from.value, conn: conn.value.replace('#', '').trim(), grep: grep.value.toLowerCase() };
}

function isShown(made, { kinds, from, conn, grep }) {
  const { kind } = made.dataset;
  if (from && made.dataset.from && made.dataset.from !== from) return false;
  if (conn && made.dataset.conn !== conn) return false;
  if (ALWAYS.includes(kind)) return true;
  return kinds.has(FRAMES.includes(kind) ? kind : 'other') && made.searched.includes(grep);
}

function count() {
  const shown = [...list.children].filter((made) => !made.hidden).length;
  const others = list.childElementCount - shown;
  const parts = [`${shown} shown`];
  if (others > 0) parts.push(`${others} not chosen`);
  if (waiting.length > 0) parts.push(`${waiting.length} wait`);
  if (left > 0) parts.push(`${left} left out`);
  document.getElementById('count').textContent = parts.join(', ');
  document.getElementById('empty').hidden = list.childElementCount > 0;
}

function filterAll() {
  const choice = chosen();
  for (const made of list.children) made.hidden = !isShown(made, choice);
  count();
}

function isAtEnd() {
  const { scrollHeight, clientHeight, scrollTop } = document.documentElement;
  return scrollHeight - clientHeight - scrollTop < 80;
}

function add(items) {
  const follows = isAtEnd();
  const choice = chosen();
  const made = items.map(entry);
  for (const one of made) one.hidden = !isShown(one, choice);
  list.append(...made);
  while (list.childElementCount > ENTRIES_MAX) list.firstElementChild.remove();
  count();
  if (follows) scrollTo({ top: document.documentElement.scrollHeight });
}

const isPaused = () => pause.getAttribute('aria-pressed') === 'true';

let isDrawing = false;
function draw() {
  isDrawing = false;
  if (isPaused()) return count();
  add(waiting.splice(0));
}

function take(item) {
  // A tap that was started anew counts anew.
  if (item.n <= last) list.replaceChildren();
  last = item.n;
  waiting.push(item);
  if (waiting.length > WAITING_MAX) {
    waiting.shift();
    left += 1;
  }
  if (isDrawing) return;
  isDrawing = true;
  setTimeout(draw, 30);
}

pause.addEventListener('click', () => {
  pause.setAttribute('aria-pressed', String(!isPaused()));
  draw();
});
document.getElementById('clear').addEventListener('click', () => {
  waiting = [];
  left = 0;
  list.replaceChildren();
  count();
});
filters.addEventListener('input', filterAll);
filters.addEventListener('submit', (event) => event.preventDefault());

const events = new EventSource('events');
events.addEventListener('open', () => {
  state.textContent = 'live';
  state.dataset.state = 'live';
});
events.addEventListener('error', () => {
  state.textContent = 'the tap is away';
  state.dataset.state = 'lost';
});
events.addEventListener('message', (event) => take(JSON.parse(event.data)));
