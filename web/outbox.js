// What the person wrote and the server has not yet confirmed: sent in order, one at a time in each room, and again
// under the same id after a loss, until there is an answer. It survives a reload of the page, not its closing.

import { newId } from './text.js';

const AGAIN_MS_MAX = 30_000;

/** A message is `queued`, `sent`, `acked` (stored, and about to come back as an entry) or `failed`. */
export class Outbox {
  items = [];
  #key;
  #ask;
  #on;
  #timer = 0;
  #online = false;

  /** `on`: `changed(room)`, `acked(room, seq)` which tells whether the log shows that entry already. */
  constructor(user, ask, on) {
    this.#key = `parlor.outbox.${user}`;
    this.#ask = ask;
    this.#on = on;
    this.items = kept(this.#key);
  }

  of(room) {
    return this.items.filter((item) => item.room === room);
  }

  add(room, text) {
    const target = room.peer === null ? { room: room.name } : { to: room.peer };
    this.items.push({ cid: newId(), room: room.name, target, text, ts: Date.now(), status: 'queued', attempts: 0, notBefore: 0 });
    this.#save();
    this.#on.changed(room.name);
    this.#pump();
  }

  /** The connection is there, or it is not. */
  online(online) {
    this.#online = online;
    if (!online) return;
    for (const item of this.items) item.notBefore = 0;
    this.#pump();
  }

  retry(cid) {
    const item = this.#find(cid);
    if (item?.status !== 'failed') return;
    Object.assign(item, { status: 'queued', because: undefined, attempts: 0, notBefore: 0 });
    this.#save();
    this.#on.changed(item.room);
    this.#pump();
  }

  discard(cid) {
    this.shown(cid);
  }

  /** The log shows this message now. */
  shown(cid) {
    const item = this.#find(cid);
    if (item === undefined) return;
    this.items = this.items.filter((other) => other !== item);
    this.#save();
    this.#on.changed(item.room);
    this.#pump();
  }

  /** The log of a room has come this far: what it stored up to there is shown, or was read long ago. */
  reached(room, seq) {
    const before = this.items.length;
    this.items = this.items.filter((item) => item.room !== room || item.status !== 'acked' || item.seq > seq);
    if (this.items.length !== before) this.#save();
  }

  /** The room is gone, and with it the place to say these things: gives back what was never said. */
  drop(room) {
    const unsaid = this.of(room).filter((item) => item.status !== 'acked').map((item) => item.text);
    this.items = this.items.filter((item) => item.room !== room);
    this.#save();
    return unsaid;
  }

  #find(cid) {
    return this.items.find((item) => item.cid === cid);
  }

  #pump() {
    clearTimeout(this.#timer);
    if (!this.#online) return;
    const now = Date.now();
    const busy = new Set();
    let next = Infinity;
    for (const item of this.items) {
      if (item.status === 'acked' || item.status === 'failed' || busy.has(item.room)) continue;
      busy.add(item.room);
      if (item.status === 'sent') continue;
      if (item.notBefore <= now) this.#send(item);
      else next = Math.min(next, item.notBefore);
    }
    if (next < Infinity) this.#timer = setTimeout(() => this.#pump(), next - now);
  }

  async #send(item) {
    item.status = 'sent';
    this.#on.changed(item.room);
    try {
      const { seq } = await this.#ask('chat:send', { ...item.target, text: item.text, cid: item.cid });
      Object.assign(item, { status: 'acked', seq });
      if (this.#on.acked(item.room, seq)) this.items = this.items.filter((other) => other !== item);
    } catch (refusal) {
      if (refusal.code === 'disconnected') {
        item.status = 'queued';
      } else if (refusal.passing) {
        item.attempts += 1;
        const wait = Math.random() * Math.min(AGAIN_MS_MAX, 1000 * 2 ** Math.min(item.attempts, 10));
        Object.assign(item, { status: 'queued', notBefore: Date.now() + Math.max(wait, refusal.retryAfter) });
      } else {
        Object.assign(item, { status: 'failed', because: refusal.because ?? String(refusal) });
      }
    }
    this.#save();
    this.#on.changed(item.room);
    this.#pump();
  }

  #save() {
    const open = this.items.filter((item) => item.status !== 'acked');
    try {
      if (open.length > 0) sessionStorage.setItem(this.#key, JSON.stringify(open));
      else sessionStorage.removeItem(this.#key);
    } catch {
      // No room, or no storage: then these messages last as long as the page.
    }
  }
}

function kept(key) {
  try {
    const items = JSON.parse(sessionStorage.getItem(key) ?? '[]');
    return items.map((item) => (item.status === 'failed' ? item : { ...item, status: 'queued', notBefore: 0 }));
  } catch {
    return [];
  }
}
