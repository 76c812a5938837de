// The messages of the room that is shown: which of them are in the page, how they are grouped, where one is in them.
// At most ITEMS_MAX are in the page at once; scrolling moves that window through the log, and asks for more of it.

import { arrange, counted, dayName, el, setText } from './text.js';
import { countsFor } from './log.js';
import { messageRow, notesRow, reactionNodes, topContent } from './rows.js';

const byId = (id) => document.getElementById(id);
const ITEMS_MAX = 400;
const ITEMS_FIRST = 120;
const STEP = 100;
const NEAR_PX = 400;
const END_PX = 48;
const GROUP_MS = 5 * 60_000;
// Beyond this many the log itself gives up its oldest, while one is at its end.
const LOG_MAX = 4000;
const LOG_KEPT = 1000;

export class ChatLog {
  /** Whether the newest is in view; it stays so when more comes. */
  atEnd = true;
  #app;
  #room = null;
  #scroller = byId('log');
  #rows = byId('log-rows');
  #top = byId('log-top');
  #toEnd = byId('to-end');
  /** The window: `seq` of its first item, and of its last, or null where it reaches to the newest. */
  #from = null;
  #to = null;
  /** What came after this `seq` is marked as new. */
  #newAfter = null;
  #known = new Map();

  constructor(app) {
    this.#app = app;
    this.#scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#toEnd.addEventListener('click', () => {
      this.toEnd();
      app.house.focusMessage();
    });
    const resized = new ResizeObserver(() => this.atEnd && this.#follow());
    for (const node of [this.#scroller, this.#rows, this.#top]) resized.observe(node);
  }

  show(room) {
    this.#room = room;
    this.#from = this.#to = null;
    this.#newAfter = room !== null && room.unread > 0 ? room.read : null;
    this.#known.clear();
    this.#rows.replaceChildren();
    this.atEnd = true;
    this.#scroller.setAttribute('aria-label', room === null ? 'Messages' : `Messages in ${room.title || room.peer || room.name}`);
  }

  toEnd() {
    this.#from = this.#to = null;
    this.#newAfter = null;
    this.atEnd = true;
    this.draw();
  }

  draw() {
    const room = this.#room;
    if (room === null) {
      arrange(this.#rows, []);
      this.#drawTop(this.#app.settled ? 'none' : 'loading');
      this.#toEnd.hidden = true;
      return;
    }
    // What comes while nobody looks is marked for when they are back.
    if (this.#newAfter === null && room.unread > 0 && !(this.#app.attentive() && this.atEnd)) this.#newAfter = room.read;
    if (this.atEnd && room.log.items.length > LOG_MAX) room.log.trim(LOG_KEPT);
    const items = this.#window();
    const pending = this.#to === null ? this.#app.unsent.of(room) : [];
    const anchor = this.atEnd ? null : this.#anchor();
    const fresh = this.#rows.childElementCount === 0;
    // A page of history is not news: it is put in silently.
    if (fresh || room.loading) this.#rows.setAttribute('aria-live', 'off');
    arrange(this.#rows, this.#nodes(items, pending));
    if (!fresh && !room.loading) this.#rows.setAttribute('aria-live', 'polite');
    this.#drawTop(this.#phase(items, pending));
    if (this.atEnd) this.#follow();
    else if (anchor?.node.isConnected) this.#scroller.scrollTop += anchor.node.getBoundingClientRect().top - anchor.top;
    this.#button();
    this.#look();
    // Much can be entries that take no place: a page that does not fill the window asks for another.
    const short = this.#scroller.scrollHeight <= this.#scroller.clientHeight;
    if (short && this.#top.dataset.phase === 'more' && this.#app.online) this.#app.rooms.older(room);
  }

  /** The items that are in the page, after moving the window as far as new ones ask for it. */
  #window() {
    const { items } = this.#room.log;
    let from = this.#from === null ? Math.max(0, items.length - ITEMS_FIRST) : this.#room.log.indexFrom(this.#from);
    let to = this.#to === null ? items.length : this.#room.log.indexFrom(this.#to + 1);
    if (this.atEnd) from = Math.min(from, Math.max(0, to - ITEMS_FIRST));
    if (to - from > ITEMS_MAX) {
      if (this.atEnd) from = to - ITEMS_MAX;
      else to = from + ITEMS_MAX;
    }
    this.#set(from, to);
    return items.slice(from, to);
  }

  #set(from, to) {
    const { items } = this.#room.log;
    this.#from = items[from]?.seq ?? null;
    this.#to = to >= items.length ? null : items[to - 1].seq;
  }

  #nodes(items, pending) {
    const nodes = [];
    const used = new Set();
    const self = this.#app.user.id;
    let before = null;
    let marked = this.#newAfter === null;
    for (let at = 0; at < items.length; at += 1) {
      const item = items[at];
      const day = new Date(item.ts).toDateString();
      if (before === null || before.day !== day) {
        nodes.push(this.#row(used, `day ${day}`, dayName(item.ts), () => [el('span', {}, dayName(item.ts))], 'day'));
        before = null;
      }
      if (!marked && item.seq > this.#newAfter && countsFor(item, self)) {
        nodes.push(this.#row(used, 'new', 'new', () => [el('span', {}, 'New')], 'new'));
        marked = true;
        before = null;
      }
      if (item.kind === 'message') {
        nodes.push(this.#message(used, item, follows(before, item)));
        before = { day, from: item.from, ts: item.ts };
      } else {
        const notes = [item];
        while (items[at + 1]?.kind === item.kind && new Date(items[at + 1].ts).toDateString() === day) {
          at += 1;
          notes.push(items[at]);
        }
        const stamp = notes.map((note) => this.#app.presence.name(note.from)).join('\n');
        nodes.push(this.#row(used, `s${item.seq}`, stamp, () => notesRow(this.#app, notes), 'note'));
        before = { day };
      }
    }
    for (const item of pending) {
      const message = { ...item, kind: 'message', from: self, seq: null };
      nodes.push(this.#message(used, message, follows(before, message)));
      before = item.status === 'failed' ? null : { from: self, ts: item.ts };
    }
    for (const key of this.#known.keys()) if (!used.has(key)) this.#known.delete(key);
    return nodes;
  }

  #message(used, item, continued) {
    const { presence } = this.#app;
    const reply = item.replyTo ? this.#room.log.item(item.replyTo) : undefined;
    const status = item.seq === null ? item.status : 'kept';
    const said = (one) => one && [one.text, one.deleted, one.edited, presence.name(one.from)];
    const stamp = JSON.stringify([status, item.because, continued, said(item), said(reply)]);
    const own = item.from === this.#app.user.id;
    const classes = ['msg', continued && 'continued', own && 'own', item.seq === null && status].filter(Boolean).join(' ');
    // One's own message keeps its node from the first moment to the stored entry.
    const key = own && item.cid ? `c${item.cid}` : `s${item.seq}`;
    const node = this.#row(used, key, stamp, () => messageRow(this.#app, item, continued, reply), classes);
    this.#reactions(node.querySelector('.reactions'), item);
    return node;
  }

  /** Apart from the message, which is not to be read out again for them. */
  #reactions(list, { reactions = new Map() }) {
    const stamp = JSON.stringify([...reactions].map(([emoji, { users, more }]) => [emoji, more, users.map((user) => this.#app.presence.name(user))]));
    if ((list.dataset.stamp ?? '[]') === stamp) return;
    list.dataset.stamp = stamp;
    list.hidden = reactions.size === 0;
    list.replaceChildren(...reactionNodes(this.#app, reactions));
  }

  #row(used, key, stamp, make, classes) {
    used.add(key);
    const known = this.#known.get(key);
    const node = known?.node ?? el(classes.startsWith('msg') ? 'article' : 'div');
    if (known?.stamp !== stamp) node.replaceChildren(...make());
    if (node.className !== classes) node.className = classes;
    this.#known.set(key, { node, stamp });
    return node;
  }

  /** What there is above the first message that is in the page. */
  #phase(items, pending) {
    const room = this.#room;
    if (room.problem !== null) return 'problem';
    if (items.length === 0 && pending.length === 0 && (room.loading || !room.log.atStart)) return 'loading';
    const whole = room.log.atStart && room.log.first <= 1;
    if (whole && pending.length === 0 && room.log.items.every((item) => item.kind !== 'message')) return 'empty';
    if (room.log.atStart && this.#room.log.items[0]?.seq === items[0]?.seq) return 'start';
    return room.loading ? 'more-loading' : 'more';
  }

  /** What stands above the first message: a welcome, the beginning, a way to more, or what went wrong. */
  #drawTop(phase) {
    const kind = `${phase} ${this.#room?.name}`;
    if (this.#top.dataset.kind === kind) return;
    this.#top.dataset.kind = kind;
    this.#top.dataset.phase = phase;
    this.#top.replaceChildren(...topContent(this.#app, this.#room, phase, () => this.#up()));
  }

  #button() {
    const room = this.#room;
    this.#toEnd.hidden = this.atEnd && this.#to === null;
    this.#toEnd.classList.toggle('fresh', room.unread > 0);
    const text = room.unread > 0 ? counted(room.unread, 'new message') : 'Newest';
    setText(this.#toEnd.lastElementChild, text);
  }

  #follow() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** The first message in view, and where it is, so that it can stay there; the name of a day may move. */
  #anchor() {
    const { top } = this.#scroller.getBoundingClientRect();
    for (const node of this.#rows.querySelectorAll('.msg, .note')) {
      const box = node.getBoundingClientRect();
      if (box.bottom > top) return { node, top: box.top };
    }
    return null;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    const was = this.atEnd;
    this.atEnd = this.#to === null && below <= END_PX;
    if (this.#room === null) return;
    if (scrollTop < NEAR_PX && this.#top.dataset.phase === 'more') this.#up();
    else if (this.#to !== null && below < NEAR_PX) this.#down();
    if (was !== this.atEnd) this.#app.redraw('rooms');
    this.#button();
    this.#look();
  }

  async #up() {
    const room = this.#room;
    const { log } = room;
    if (log.indexFrom(this.#from ?? 0) === 0 && !log.atStart) await this.#app.rooms.older(room);
    if (room !== this.#room || log.items.length === 0) return;
    const from = Math.max(0, log.indexFrom(this.#from ?? 0) - STEP);
    const to = this.#to === null ? log.items.length : log.indexFrom(this.#to + 1);
    this.atEnd = false;
    this.#set(from, Math.min(to, from + ITEMS_MAX));
    this.#app.redraw('log');
  }

  #down() {
    const { log } = this.#room;
    const to = Math.min(log.items.length, log.indexFrom(this.#to + 1) + STEP);
    const from = Math.max(log.indexFrom(this.#from), to - ITEMS_MAX);
    this.#set(from, to);
    this.#app.redraw('log');
  }

  /** What is at the end, in view and looked at, is read. */
  #look() {
    const room = this.#room;
    if (this.atEnd && this.#app.attentive() && this.#app.online && room.log.items.length > 0) this.#app.rooms.read(room);
  }
}

/** Whether a message goes on where the one before it ended: same author, and soon. */
function follows(before, item) {
  return before !== null && before.from === item.from && item.ts - before.ts < GROUP_MS;
}
