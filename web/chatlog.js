// The messages of the room shown: the position in them, what is new, what is read, and when to load more. plan.js
// decides which rows exist, virtual.js which of them are in the page, and rows.js how they look.

import { counted, dayName, el, setText } from './text.js';
import { readersOf } from './log.js';
import { planned } from './plan.js';
import { Tools } from './tools.js';
import { messageRow, notesRow, reactionNodes, readerNodes, topContent } from './rows.js';
import { headOf } from './said.js';
import { Virtual } from './virtual.js';

const byId = (id) => document.getElementById(id);
const NEAR_PX = 600;
const END_PX = 48;
// Entries of a page of history, loaded when scrolling up.
const PAGE = 200;
// Above this many the log drops its oldest items, while its end is in view.
const LOG_MAX = 30_000;
const LOG_KEPT = 20_000;
const FOUND_MS = 2_000;
const LINE_PX = 23;
const LINE_CHARS = 90;
const HEIGHTS = { day: 45, new: 34, notes: 32, message: 61, continued: 29 };

/** Estimates by message and text: they are needed often, for all items held. */
const guessed = new WeakMap();

/** The estimated height of a row that was never in the page. */
function guess(row) {
  if (row.kind !== 'message') return HEIGHTS[row.kind];
  const { text = '' } = row.item;
  if (guessed.get(row.item)?.text !== text) guessed.set(row.item, { text, lines: linesOf(headOf(text)) });
  return HEIGHTS[row.continued ? 'continued' : 'message'] + guessed.get(row.item).lines * LINE_PX;
}

function linesOf(text) {
  return Math.floor(text.length / LINE_CHARS) + (text.includes('\n') ? text.split('\n').length - 1 : 0);
}

export class ChatLog {
  /** Whether the newest row is in view; it stays in view when more arrive. */
  atEnd = true;
  #app;
  #room = null;
  #scroller = byId('log');
  #rows = byId('log-rows');
  #top = byId('log-top');
  #toEnd = byId('to-end');
  #virtual;
  /** Items after this `seq` are marked as new. */
  #newAfter = null;
  #known = new Map();
  /** The keys of long messages that are shown in full. */
  #whole = new Set();
  /** Who has read up to which message. */
  #readers = new Map();
  #width = 0;

  constructor(app) {
    this.#app = app;
    this.#virtual = new Virtual(this.#scroller, this.#rows, { guess, node: (row) => this.#node(row) });
    this.#scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#toEnd.addEventListener('click', () => {
      this.toEnd();
      app.house.focusMessage();
    });
    new Tools(app, this.#rows, this);
    this.#scroller.addEventListener('keydown', (event) => this.#key(event));
    const resized = new ResizeObserver(() => this.#resized());
    for (const node of [this.#scroller, this.#top]) resized.observe(node);
  }

  show(room) {
    this.#room = room;
    this.#newAfter = room !== null && room.unread > 0 ? room.read : null;
    this.#known.clear();
    this.#whole.clear();
    this.#virtual.forget();
    this.atEnd = true;
    this.#scroller.setAttribute('aria-label', room === null ? 'Messages' : `Messages in ${room.peer ? this.#app.presence.name(room.peer) : this.#app.rooms.called(room.name)}`);
  }

  toEnd() {
    this.#newAfter = null;
    this.atEnd = true;
    this.draw();
  }

  /** Shows a held message, in full if `isWhole`, and focuses it unless `focus` is false. */
  reveal(seq, { focus = true, isWhole = false } = {}) {
    // A message that was just loaded has no row yet.
    this.draw();
    const row = this.#virtual.rows.find((one) => one.item?.seq === seq);
    if (row === undefined) return;
    if (isWhole && !this.#whole.has(row.key)) {
      this.#whole.add(row.key);
      this.draw();
    }
    this.#go(row, focus);
    const { node } = this.#known.get(row.key);
    node.classList.add('found');
    setTimeout(() => node.classList.remove('found'), FOUND_MS);
  }

  /** Moves from a row's message to the next or the previous one. */
  step(node, by) {
    const { rows } = this.#virtual;
    let at = this.#virtual.placeOf(node.dataset.key) + by;
    while (rows[at] !== undefined && rows[at].kind !== 'message') at += by;
    if (rows[at] !== undefined) this.#go(rows[at]);
    else if (by < 0) this.#scroller.scrollTop = 0;
  }

  #go(row, focus = true) {
    const box = this.#scroller.getBoundingClientRect();
    const seen = this.#known.get(row.key)?.node.getBoundingClientRect();
    const isSeen = seen !== undefined && seen.top >= box.top && seen.bottom <= box.bottom;
    if (!isSeen) {
      this.atEnd = false;
      this.#fill({ middle: row.key });
    }
    if (focus) this.#known.get(row.key).node.focus({ preventScroll: true });
  }

  /** Expands a message, or collapses it and scrolls to its beginning. */
  #fold(key) {
    const { node } = this.#known.get(key);
    const away = node.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
    const { tabIndex } = node.querySelector('.fold');
    const isLess = this.#whole.delete(key);
    if (!isLess) this.#whole.add(key);
    this.#fill({ anchor: [{ key, away: isLess ? Math.max(0, away) : away }] });
    const button = node.querySelector('.fold');
    button.tabIndex = tabIndex;
    button.focus({ preventScroll: true });
    this.#scrolled();
  }

  /** Moves from the list as a whole to the last visible message. */
  #key(event) {
    if (event.target !== this.#scroller || event.key !== 'Enter') return;
    const { bottom } = this.#scroller.getBoundingClientRect();
    const seen = [...this.#rows.querySelectorAll('.msg')].filter((node) => node.getBoundingClientRect().top < bottom);
    seen.at(-1)?.focus();
  }

  draw() {
    const room = this.#room;
    if (room === null) {
      this.#virtual.set([]);
      this.#virtual.draw({ end: true });
      // Before the server has answered, the rooms are unknown; messages waiting for them are known.
      const waiting = this.#app.user === null ? this.#app.unsent.all() : [];
      this.#drawTop(waiting.length > 0 ? 'waiting' : this.#app.settled ? 'none' : 'loading', JSON.stringify(waiting));
      this.#toEnd.hidden = true;
      return;
    }
    // Items that arrive while the user is not looking are marked as new.
    if (this.#newAfter === null && room.unread > 0 && !(this.#app.attentive() && this.atEnd)) this.#newAfter = room.read;
    if (this.atEnd && room.log.items.length > LOG_MAX) room.log.trim(LOG_KEPT);
    const pending = this.#app.unsent.of(room);
    const anchor = this.#virtual.anchor();
    this.#readers = readersOf(room, this.#app.user.id);
    this.#virtual.set(planned({ items: room.log.items, pending, newAfter: this.#newAfter, self: this.#app.user.id }));
    this.#drawTop(this.#phase(pending));
    this.#fill(this.atEnd ? { end: true } : { anchor });
    this.#button();
    this.#look();
    // Many entries take no space: if the rows do not fill the window, load another page.
    const isShort = this.#scroller.scrollHeight <= this.#scroller.clientHeight;
    if (isShort && this.#top.dataset.phase === 'more' && this.#app.online) this.#app.rooms.older(room);
  }

  #fill(where) {
    const hadFocus = this.#rows.contains(document.activeElement);
    this.#virtual.draw(where);
    const shown = new Set(this.#virtual.shown.map(({ key }) => key));
    for (const key of this.#known.keys()) if (!shown.has(key)) this.#known.delete(key);
    // The focused row has left the page: the list as a whole takes the focus and handles its keys.
    if (hadFocus && !this.#rows.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
  }

  #node(row) {
    if (row.kind === 'day') return this.#row(row.key, dayName(row.ts), () => [el('span', {}, dayName(row.ts))], 'day');
    if (row.kind === 'new') return this.#row(row.key, 'new', () => [el('span', {}, 'New')], 'new');
    if (row.kind === 'message') return this.#message(row);
    const stamp = row.notes.map((note) => this.#app.presence.name(note.from)).join('\n');
    return this.#row(row.key, stamp, () => notesRow(this.#app, row.notes), 'note');
  }

  #message({ key, item, continued, place }) {
    const { presence } = this.#app;
    const reply = item.replyTo ? this.#room.log.item(item.replyTo) : undefined;
    const status = item.seq === null ? item.status : 'kept';
    const said = (one) => one && [one.text, one.deleted, one.edited, presence.name(one.from)];
    const isWhole = this.#whole.has(key);
    const stamp = JSON.stringify([status, item.because, continued, isWhole, said(item), said(reply)]);
    const own = item.from === this.#app.user.id;
    const classes = ['msg', continued && 'continued', own && 'own', item.seq === null && status].filter(Boolean).join(' ');
    const make = () => messageRow(this.#app, item, continued, reply, { isWhole, fold: () => this.#fold(key) });
    const node = this.#row(key, stamp, make, classes);
    const size = this.#room.log.atStart ? this.#virtual.rows.findLast(({ kind }) => kind === 'message').place : -1;
    for (const [name, value] of [['data-key', key], ['data-seq', item.seq ?? ''], ['aria-posinset', place], ['aria-setsize', size]]) {
      if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
    }
    this.#reactions(node.querySelector('.reactions'), item);
    this.#readBy(node.querySelector('.readers'), this.#readers.get(item.seq) ?? []);
    return node;
  }

  /** Updates only the reactions of a message, as nothing else in it changes. */
  #reactions(list, { seq, reactions = new Map() }) {
    const stamp = JSON.stringify([...reactions].map(([emoji, { users, more }]) => [emoji, more, users, users.map((user) => this.#app.presence.name(user))]));
    if ((list.dataset.stamp ?? '[]') === stamp) return;
    list.dataset.stamp = stamp;
    list.hidden = reactions.size === 0;
    list.replaceChildren(...reactionNodes(this.#app, { seq, reactions }));
  }

  #readBy(node, users) {
    const stamp = users.map((user) => `${user} ${this.#app.presence.name(user)}`).join('\n');
    if ((node.dataset.stamp ?? '') === stamp) return;
    node.dataset.stamp = stamp;
    node.hidden = users.length === 0;
    node.replaceChildren(...readerNodes(this.#app, users));
  }

  #row(key, stamp, make, classes) {
    const known = this.#known.get(key);
    const isMessage = classes.startsWith('msg');
    const node = known?.node ?? el(isMessage ? 'article' : 'div', { tabindex: isMessage && '-1' });
    if (known?.stamp !== stamp) node.replaceChildren(...make(), ...node.querySelectorAll(':scope > .tools'));
    if (known?.classes !== classes) node.className = classes;
    this.#known.set(key, { node, stamp, classes });
    return node;
  }

  /** The state of the area above the first message. */
  #phase(pending) {
    const room = this.#room;
    const { log } = room;
    if (room.problem !== null) return 'problem';
    if (log.items.length === 0 && pending.length === 0 && (room.loading || !log.atStart)) return 'loading';
    const isWhole = log.atStart && log.first <= 1;
    if (isWhole && pending.length === 0 && log.items.every((item) => item.kind !== 'message')) return 'empty';
    if (log.atStart) return 'start';
    return room.loading ? 'more-loading' : 'more';
  }

  /** Draws the area above the first message: a welcome, the beginning, a way to load more, or an error. */
  #drawTop(phase, stamp = '') {
    const kind = `${phase} ${this.#room?.name} ${stamp}`;
    if (this.#top.dataset.kind === kind) return;
    this.#top.dataset.kind = kind;
    this.#top.dataset.phase = phase;
    this.#top.replaceChildren(...topContent(this.#app, this.#room, phase, () => this.#up()));
  }

  #button() {
    const room = this.#room;
    this.#toEnd.hidden = this.atEnd;
    this.#toEnd.classList.toggle('fresh', room.unread > 0);
    const text = room.unread > 0 ? counted(room.unread, 'new message') : 'Newest';
    setText(this.#toEnd.lastElementChild, text);
  }

  #resized() {
    const { clientWidth } = this.#scroller;
    if (this.#room === null) return;
    const anchor = this.#virtual.anchor();
    if (clientWidth !== this.#width) this.#virtual.forget();
    this.#width = clientWidth;
    this.#fill(this.atEnd ? { end: true } : { anchor });
    // A larger window may show the end.
    if (!this.atEnd) this.#scrolled();
  }

  #scrolled() {
    if (this.#room === null) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const was = this.atEnd;
    this.atEnd = scrollHeight - scrollTop - clientHeight <= END_PX;
    this.#fill({ anchor: this.#virtual.anchor() });
    if (scrollTop < NEAR_PX && this.#top.dataset.phase === 'more') this.#up();
    if (was !== this.atEnd) this.#app.redraw('rooms');
    this.#button();
    this.#look();
  }

  #up() {
    this.#app.rooms.older(this.#room, PAGE);
  }

  /** Marks the end as read if it is in view and the user is looking. */
  #look() {
    const room = this.#room;
    if (this.atEnd && this.#app.attentive() && this.#app.online && room.log.items.length > 0) this.#app.rooms.read(room);
  }
}
