// The rooms one is in: their logs, marks and counts, and how they go on after a reconnection.
// Every entry passes through `entry`, from a push and from history alike; nothing here touches the page.

import { Refusal } from './codes.js';
import { APPLIED, GAP, Room, directRoom, isEntry } from './log.js';

const PAGE = 60;
const FILL_PAGE = 200;
const LIST_PAGE = 200;
const LIST_PAGES_MAX = 10;
const RESUME_ROOMS = 200;
// Whoever was away for longer than this many entries starts from the newest page instead of reading them all.
const CATCH_UP_MAX = 1000;
const HELD_MAX = 1000;
const ITEMS_MAX = 400;
const ITEMS_KEPT = 200;

const READ_EVERY_MS = 1000;

const names = new Intl.Collator(undefined, { sensitivity: 'base', numeric: true });

function pause(ms) {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}

export class Rooms {
  map = new Map();
  /** Open rooms that one is not in, as `room:list` told. */
  joinable = [];
  /** Rooms that one may join as one was invited, by name: `{room, title, by}`. */
  invites = new Map();
  self = null;
  #epoch = null;
  #ask;
  #on;
  #listing = null;
  #listAgain = false;

  /**
   * `ask(type, payload, options)`; `on`: `changed(room)`, `listed()`, `own(cid)`, `spoke(room, user)`,
   * `moved(user)` who came into a room or left one, `invited(invite)`, `removed(room, why)`, and `keeps(room)`: whether
   * its log is being looked at.
   */
  constructor(ask, on) {
    this.#ask = ask;
    this.#on = on;
  }

  get(name) {
    return this.map.get(name);
  }

  /** All rooms in the order of the list: rooms by title, then conversations by name. */
  ordered() {
    const key = (room) => room.peer ?? (room.title || room.name);
    return [...this.map.values()].sort((a, b) => (a.peer !== null) - (b.peer !== null) || names.compare(key(a), key(b)));
  }

  get unread() {
    let sum = 0;
    for (const room of this.map.values()) sum += room.unread;
    return sum;
  }

  /** A new connection: tells the server where each room goes on, and reloads what it cannot go on with. */
  async resume(hello) {
    this.self = hello.user.id;
    if (this.#epoch !== null && this.#epoch !== hello.epoch) this.#forget(hello);
    this.#epoch = hello.epoch;
    this.#invited(hello.invites);
    for (const known of hello.rooms) {
      const room = this.#room(known.room);
      room.draft = false;
      this.#told(room, known);
      if (room.log.last === null || known.head - room.log.last > CATCH_UP_MAX) room.log.begin(known.head);
    }
    const positions = [];
    for (const room of this.map.values()) {
      room.held = [];
      if (!room.draft && room.log.last !== null) positions.push([room.name, room.log.last]);
    }
    for (let at = 0; at === 0 || at < positions.length; at += RESUME_ROOMS) {
      const payload = { epoch: hello.epoch, rooms: Object.fromEntries(positions.slice(at, at + RESUME_ROOMS)) };
      if (at + RESUME_ROOMS < positions.length) payload.more = true;
      const { refused = {} } = await this.#ask('resume', payload);
      for (const [name, { code }] of Object.entries(refused)) this.#refused(name, code);
    }
    this.#on.listed();
  }

  #refused(name, code) {
    if (code === 'not_member') {
      this.#remove(name, { reason: 'unknown' });
      return;
    }
    const room = this.#room(name);
    room.log.reset();
    // Nothing of this room comes until its history was asked for.
    this.older(room);
  }

  /** Applies what a push or a history page carries, if it is of a room. Returns whether it was. */
  push(type, payload) {
    if (isEntry(payload)) {
      this.#entry(type, payload);
    } else if (type === 'chat:read') {
      if (payload.user === this.self) this.#readElsewhere(payload);
    } else if (type === 'room:removed') {
      this.#remove(payload.room, payload);
    } else if (type === 'room:invited') {
      if (this.map.has(payload.room)) return true;
      this.invites.set(payload.room, payload);
      this.#on.invited(payload);
      this.#on.listed();
    } else {
      return false;
    }
    return true;
  }

  #entry(type, entry) {
    if (entry.cid !== undefined) this.#on.own(entry.cid);
    let room = this.map.get(entry.room);
    if (room === undefined || room.draft) {
      // A room that came to us by another window, by another's first direct message, or by an operator.
      room = this.#room(entry.room);
      room.draft = false;
      room.log.begin(entry.seq - 1);
      room.read = room.marked = room.counted = entry.seq - 1;
      this.list().catch(() => {});
    }
    const done = room.log.append(type, entry);
    if (done === APPLIED) this.#applied(room, type, entry);
    else if (done === GAP) this.#hold(room, type, entry);
  }

  #applied(room, type, entry) {
    if (type === 'chat:deleted') {
      // One's own are read.
      const was = entry.seq > room.counted && entry.target > room.read && !room.log.item(entry.target)?.uncounted;
      if (was) room.unread = Math.max(0, room.unread - 1);
    } else if (type === 'room:joined' || type === 'room:left') {
      this.#on.moved(entry.user);
    } else if (type === 'chat:message') {
      this.#on.spoke(room, entry.from);
      if (entry.from === this.self) {
        room.read = Math.max(room.read, entry.seq);
        room.marked = Math.max(room.marked, entry.seq);
        if (entry.seq > room.counted) room.unread = 0;
      } else if (entry.seq > room.counted && entry.seq > room.read && !entry.deleted) {
        room.unread += 1;
      }
    }
    room.counted = Math.max(room.counted, entry.seq);
    if (room.log.items.length > ITEMS_MAX && !this.#on.keeps(room)) room.log.trim(ITEMS_KEPT);
    this.#on.changed(room);
  }

  #hold(room, type, entry) {
    if (room.held.length < HELD_MAX) room.held.push({ type, payload: entry });
    if (room.log.last !== null) this.#fill(room);
  }

  /** A hole: what is missing is fetched, then what was held is applied. */
  async #fill(room) {
    if (room.filling) return;
    room.filling = true;
    try {
      while (room.log.last < room.target || room.held.some(({ payload }) => payload.seq > room.log.last + 1)) {
        const before = room.log.last;
        const page = await this.#ask('chat:history', { room: room.name, after: before, limit: FILL_PAGE });
        for (const { type, payload } of page.entries) if (room.log.append(type, payload) === APPLIED) this.#applied(room, type, payload);
        this.#release(room);
        if (room.log.last === before) break;
      }
    } catch (error) {
      if (error instanceof Refusal && error.code === 'gone') {
        room.log.reset();
        this.older(room);
      }
    } finally {
      room.filling = false;
      room.target = 0;
    }
  }

  #release(room) {
    const held = room.held.sort((a, b) => a.payload.seq - b.payload.seq);
    room.held = [];
    for (const { type, payload } of held) this.#entry(type, payload);
  }

  /** Loads the page before what is held, or the newest one. */
  async older(room) {
    if (room.loading || room.log.atStart) return;
    room.loading = true;
    room.problem = null;
    this.#on.changed(room);
    const newest = room.log.last === null;
    const bound = newest ? {} : { before: room.log.first };
    try {
      const page = await this.#ask('chat:history', { room: room.name, ...bound, limit: PAGE });
      for (const { payload } of page.entries) if (payload.cid !== undefined) this.#on.own(payload.cid);
      if (newest && room.log.last === null) {
        room.draft = false;
        // What counts as known is what came; should the page end before the head, the rest is fetched like a hole.
        const end = page.entries.at(-1)?.payload.seq ?? page.head;
        room.log.begin(end);
        room.counted = Math.max(room.counted, end);
      }
      // A room that was refused goes on from here: what came after our position is a hole like any other.
      if (room.log.last !== null) room.target = Math.max(room.target, page.head);
      if (room.log.first !== null) room.log.prepend(page.entries, page.more);
      this.#release(room);
      if (room.log.last !== null && room.log.last < room.target) this.#fill(room);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === 'gone' || (room.draft && error.code === 'not_member')) room.log.atStart = true;
      else if (error.code === 'not_member') this.#remove(room.name, { reason: 'unknown' });
      else room.problem = error;
    } finally {
      room.loading = false;
      this.#on.changed(room);
    }
    // The log was given up while a page of it was on its way.
    if (!newest && room.log.last === null && this.map.has(room.name)) this.older(room);
  }

  /** Joins an open room or one to which one was invited, or opens one of a name that nobody uses. */
  async join(name) {
    const reply = await this.#ask('room:join', { room: name }).catch((refusal) => {
      // The room has ended, or one is banned from it: so has the invitation.
      if (['not_member', 'forbidden'].includes(refusal.code)) this.invites.delete(name);
      throw refusal;
    });
    const room = this.#room(reply.room ?? name);
    room.draft = false;
    this.#told(room, reply);
    if (room.log.last === null) room.log.begin(reply.head);
    this.joinable = this.joinable.filter((other) => other.room !== name);
    this.#on.moved(this.self);
    this.#on.listed();
    this.list().catch(() => {});
    return room;
  }

  /** Leaves a room for good, until one joins it again. */
  async leave(name) {
    await this.#ask('room:leave', { room: name });
    this.#remove(name, { reason: 'left' });
    this.list().catch(() => {});
  }

  /** The conversation with somebody, which need not exist yet. */
  direct(user) {
    const name = directRoom(this.self, user);
    let room = this.map.get(name);
    if (room === undefined) {
      room = this.#room(name);
      room.draft = true;
      this.#on.listed();
    }
    return room;
  }

  /** A message of ours was stored: the first one makes a conversation real. */
  stored(name, seq) {
    const room = this.map.get(name);
    if (!room?.draft) return;
    room.draft = false;
    if (room.log.last === null) room.log.begin(seq - 1);
  }

  /** All that is held of a room was read: the mark moves at once, the server is told so now and then. */
  read(room) {
    const { last } = room.log;
    if (room.draft || last === null) return;
    if (last > room.read) {
      room.read = last;
      room.unread = 0;
      this.#on.changed(room);
    }
    this.#mark(room);
  }

  /** Tells the server our read mark: one request at a time, and at most one a second. */
  async #mark(room) {
    if (room.marking || room.read <= room.marked) return;
    room.marking = true;
    let again = false;
    await pause(room.markedAt + READ_EVERY_MS - Date.now());
    const { read } = room;
    try {
      if (read > room.marked && this.map.get(room.name) === room) {
        room.markedAt = Date.now();
        await this.#ask('chat:read', { room: room.name, seq: read });
        room.marked = Math.max(room.marked, read);
        again = true;
      }
    } catch (refusal) {
      // Without a connection there is nobody to tell; the next one begins with `look`ing.
      again = refusal.passing && refusal.code !== 'disconnected';
    }
    room.marking = false;
    if (again) this.#mark(room);
  }

  #readElsewhere({ room: name, seq }) {
    const room = this.map.get(name);
    if (room === undefined || seq <= room.read) return;
    room.read = seq;
    room.marked = Math.max(room.marked, seq);
    if (room.log.last !== null && seq >= room.log.last) room.unread = 0;
    else room.unread = room.log.unreadAfter(seq, this.self) ?? room.unread;
    this.#on.changed(room);
  }

  /** Asks for one's own rooms, with their titles, and for those that one may join. */
  list() {
    if (this.#listing !== null) {
      this.#listAgain = true;
      return this.#listing;
    }
    this.#listing = this.#listAll().finally(() => {
      this.#listing = null;
      if (this.#listAgain) {
        this.#listAgain = false;
        this.list().catch(() => {});
      }
    });
    return this.#listing;
  }

  async #listAll() {
    await this.#pages({}, (listed) => {
      const room = this.#room(listed.room);
      room.draft = false;
      this.#told(room, listed);
      if (room.log.last !== null || room.loading) return;
      // One that was refused, and whose history could not be had, is not followed until it can.
      if (room.problem !== null) this.older(room);
      else room.log.begin(listed.head);
    });
    const joinable = [];
    await this.#pages({ open: true }, (listed) => joinable.push(listed));
    this.joinable = joinable.filter((listed) => !this.map.has(listed.room));
    // Nobody tells that an invitation is void.
    if (this.invites.size > 0) this.#invited((await this.#ask('info')).invites);
    this.#on.listed();
  }

  #invited(invites = []) {
    this.invites = new Map(invites.map((invite) => [invite.room, invite]));
  }

  async #pages(filter, each) {
    let after;
    for (let page = 0; page < LIST_PAGES_MAX; page += 1) {
      const reply = await this.#ask('room:list', { ...filter, ...(after && { after }), limit: LIST_PAGE });
      reply.rooms.forEach(each);
      after = reply.rooms.at(-1)?.room;
      if (!reply.more || after === undefined) return;
    }
  }

  /** Takes what the server says of a room now: it has counted everything up to `head`. */
  #told(room, { title, open, members, head, read, unread }) {
    if (title !== undefined) room.title = title ?? '';
    if (open !== undefined) room.open = open;
    if (Number.isInteger(members)) room.members = members;
    if (!Number.isInteger(read)) return;
    // While our own mark is on its way, what the server counts is older.
    if (room.read > room.marked && room.read > read) return;
    room.read = room.marked = read;
    room.unread = unread ?? 0;
    room.counted = Math.max(head ?? 0, room.log.last ?? 0);
  }

  #room(name) {
    let room = this.map.get(name);
    if (room === undefined) {
      room = new Room(name, this.self);
      this.map.set(name, room);
      this.invites.delete(name);
    }
    return room;
  }

  #remove(name, why) {
    const room = this.map.get(name);
    if (room === undefined) return;
    this.map.delete(name);
    this.#on.removed(room, why);
    this.#on.listed();
  }

  /** Another epoch: the numbers that we know mean nothing any more, and rooms may be gone with the log. */
  #forget(hello) {
    const there = new Set(hello.rooms.map((room) => room.room));
    const gone = [];
    for (const room of this.map.values()) {
      room.log.reset();
      room.target = room.read = room.marked = room.unread = room.counted = 0;
      if (there.has(room.name)) continue;
      // A conversation can always be begun anew.
      if (room.peer !== null) room.draft = true;
      else gone.push(room);
    }
    // All of them first: nobody is to be shown one that goes next.
    for (const room of gone) this.map.delete(room.name);
    for (const room of gone) this.#on.removed(room, { reason: 'reset' });
  }
}
