// Converts values to nodes and text: elements, sizes, names, times. Text from users only ever becomes text nodes;
// nothing here parses markup.

/** An element with properties (`class`, `dataset`, attributes) and children; `null` ones are left out. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') node.className = value;
    else if (name === 'dataset') Object.assign(node.dataset, value);
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** One of the icons in index.html. */
export function icon(name) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(ns, 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Makes the children of `parent` exactly `nodes`, in order, with as few moves as possible. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

/** Sets the text only if it differs, so that nothing is announced twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const encoder = new TextEncoder();

/** The length in UTF-8 bytes, which the server's limits count. */
export function byteLength(text) {
  return encoder.encode(text).length;
}

/** One or two letters for an avatar. */
export function initials(name) {
  const words = name.split(/[\s._@:-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[1]].map((word) => [...word][0]) : [...(words[0] ?? '?')].slice(0, 2);
  return letters.join('').toUpperCase();
}

/** An avatar: initials on a colour that depends only on the id. */
export function avatar(id, name, ...extra) {
  let hash = 2166136261;
  for (const byte of encoder.encode(id)) hash = Math.imul(hash ^ byte, 16777619);
  // Names that differ in one letter should differ clearly in colour.
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  hash = (hash ^ (hash >>> 16)) >>> 0;
  const node = el('span', { class: 'avatar', 'aria-hidden': 'true' }, el('span', {}, initials(name)), ...extra);
  // Set through the object model: the page's policy forbids style attributes in markup.
  node.style.setProperty('--tone', String(hash % 360));
  return node;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const DAY = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' });
const DAY_AND_YEAR = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' });

/** Hours and minutes, with the whole date on request. */
export function timeNode(ts) {
  const date = new Date(ts);
  return el('time', { datetime: date.toISOString(), title: FULL.format(date) }, TIME.format(date));
}

/** The day of a moment, relative to today. */
export function dayName(ts, now = Date.now()) {
  const day = new Date(ts).setHours(0, 0, 0, 0);
  const away = Math.round((new Date(now).setHours(0, 0, 0, 0) - day) / 86_400_000);
  if (away === 0) return 'Today';
  if (away === 1) return 'Yesterday';
  return (away > 0 && away < 180 ? DAY : DAY_AND_YEAR).format(day);
}

/** `1 message`, `2 messages`. */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** `ada`, `ada and bob`, `ada, bob and eve`, as nodes: no name changes the direction of neighbouring text. */
export function listed(words) {
  const between = (at) => (at === 0 ? '' : at === words.length - 1 ? ' and ' : ', ');
  return words.flatMap((word, at) => [between(at), el('bdi', {}, word)]);
}

/** The same as plain text. */
export function sentence(words) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** A name within plain text, isolated (Unicode's first strong isolate) as `bdi` does among nodes. */
export function isolated(name) {
  return `\u2068${name}\u2069`;
}

/** The part of a text that can be sent: no unpaired surrogates, which are not text, and no control characters. */
export function sendable(text) {
  return text.replace(/\p{Surrogate}/gu, '\ufffd').replace(/[\0-\x08\x0b-\x1f\x7f]/g, '').trim();
}
