// The rooms one is in: their logs, marks and counts. That no entry is missing and none comes twice is the client's
// work; here they are applied, and what is older is asked for. Nothing here touches the page.

import { ParlorError } from './client/errors.js';
import { Room, directRoom, entryOf } from './log.js';
import { Names, roomIdOf } from './names.js';

const PAGE = 60;
// A message that others refer to is looked for so far back.
const REACH_PAGE = 200;
const REACH_PAGES_MAX = 100;
const LIST_PAGE = 200;
const LIST_PAGES_MAX = 10;
const ITEMS_MAX = 400;
const ITEMS_KEPT = 200;

const READ_EVERY_MS = 1000;

const order = new Intl.Collator(undefined, { sensitivity: 'base', numeric: true });

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
  #titles = new Names();
  #epoch = null;
  #ask;
  #on;
  #listing = null;
  #listAgain = false;

  /**
   * `ask(type, payload, options)`; `on`: `changed(room)`, `listed()`, `own(cid)`,
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

  /** What a room is called, told apart from others that are called nearly so. */
  called(name) {
    return this.#titles.get(name);
  }

  /** The id of the room that somebody means: one that has it or is called so, or that of a new one. */
  meant(title) {
    const id = roomIdOf(title);
    const called = this.#titles.only(title);
    // What somebody calls the room to which they invite us is no reason to take it for another.
    return this.#titles.has(id) || called === undefined || this.invites.has(called) ? id : called;
  }

  /** All rooms in the order of the list: rooms by title, then conversations by name. */
  ordered() {
    const key = (room) => room.peer ?? (room.title || room.name);
    return [...this.map.values()].sort((a, b) => (a.peer !== null) - (b.peer !== null) || order.compare(key(a), key(b)));
  }

  get unread() {
    let sum = 0;
    for (const room of this.map.values()) sum += room.unread;
    return sum;
  }

  /** A new connection: what the server says of each room. Each is where the client has it. */
  welcome(hello) {
    this.self = hello.user.id;
    if (this.#epoch !== null && this.#epoch !== hello.epoch) this.#forget(hello);
    this.#epoch = hello.epoch;
    this.#invited(hello.invites);
    for (const known of hello.rooms) {
      const room = this.#room(known.room);
      room.draft = false;
      this.#told(room, known);
      if (room.log.last === null) room.log.begin(known.head);
    }
    this.#on.listed();
  }

  /** Whether the numbers that are known here are of this life of the store. */
  isOf(epoch) {
    return this.#epoch === null || this.#epoch === epoch;
  }

  /** The client follows a room from behind `last`: one of ours, or one that came by another window or person. */
  follow(name, last) {
    const known = this.map.get(name);
    const room = this.#room(name);
    if (room.draft || room.log.last === null || last > room.log.last) room.log.begin(last);
    room.draft = false;
    if (known === undefined) room.read = room.marked = room.counted = last;
    this.#on.listed();
  }

  /** The client follows a room no more, without having been told why. */
  lose(name) {
    const room = this.map.get(name);
    // Of conversations in which one never wrote only the newest are named: it may still be there.
    if (room?.peer) room.draft = true;
    else this.#remove(name, { reason: 'unknown' });
  }

  /** What lies between is not kept any more, or is of an earlier log. */
  skip(name, before) {
    const room = this.map.get(name);
    if (room === undefined) return;
    room.log.begin(before - 1);
    this.#on.changed(room);
  }

  /** Takes a push that is no entry, if it is of a room. */
  push(type, payload) {
    if (type === 'chat:read') {
      if (payload.user === this.self) this.#readElsewhere(payload);
      else this.#readBy(payload);
    } else if (type === 'room:removed') {
      this.#remove(payload.room, payload);
    } else if (type === 'room:updated') {
      const room = this.map.get(payload.room);
      if (room !== undefined) this.#told(room, payload);
      this.#on.listed();
    } else if (type === 'room:invited' && !this.map.has(payload.room)) {
      this.invites.set(payload.room, payload);
      this.#titles.set(payload.room, payload.title);
      this.#on.invited(payload);
      this.#on.listed();
    }
  }

  /** Takes the next entry of a room. */
  entry(entry) {
    if (entry.cid !== undefined) this.#on.own(entry.cid);
    const room = this.map.get(entry.room);
    if (room?.log.append(entry)) this.#applied(room, entry);
  }

  #applied(room, entry) {
    const { type } = entry;
    if (type === 'deleted') {
      // One's own are read.
      const was = entry.seq > room.counted && entry.target > room.read && !room.log.item(entry.target)?.uncounted;
      if (was) room.unread = Math.max(0, room.unread - 1);
    } else if (type === 'joined' || type === 'left') {
      if (type === 'left') room.marks.delete(entry.user);
      if (type === 'left') room.people?.delete(entry.user);
      else room.people?.add(entry.user);
      if (room.members !== null && entry.seq > room.counted) room.members += type === 'joined' ? 1 : -1;
      this.#on.moved(entry.user);
    } else if (type === 'message') {
      // Whoever writes has read.
      room.mark(entry.from, entry.seq);
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

  /** Loads the page before what is held, or the newest one. */
  older(room, limit = PAGE) {
    if (room.log.atStart) return Promise.resolve();
    return (room.loading ??= this.#older(room, limit));
  }

  async #older(room, limit) {
    await null;
    room.problem = null;
    this.#on.changed(room);
    const { log } = room;
    const isNewest = log.last === null;
    const { first } = log;
    try {
      const page = await this.#ask('chat:history', { room: room.name, ...(isNewest ? {} : { before: first }), limit });
      const entries = page.entries.map(entryOf);
      for (const { cid } of entries) if (cid !== undefined) this.#on.own(cid);
      // A conversation that the server knows and did not name.
      if (isNewest && log.last === null) {
        room.draft = false;
        log.begin(page.head);
        room.counted = Math.max(room.counted, page.head);
      }
      // Unless the log was begun anew while the page was on its way.
      if (isNewest || log.first === first) log.prepend(entries, page.more);
    } catch (error) {
      if (!(error instanceof ParlorError)) throw error;
      if (error.code === 'gone' || (room.draft && error.code === 'not_member')) log.atStart = true;
      else if (error.code === 'not_member') this.#remove(room.name, { reason: 'unknown' });
      else room.problem = error;
    } finally {
      room.loading = null;
      this.#on.changed(room);
    }
  }

  /** Loads pages until a message is held; whether it is. */
  async reach(room, seq) {
    for (let page = 0; page < REACH_PAGES_MAX && seq < room.log.first && !room.log.atStart; page += 1) {
      const { first } = room.log;
      await this.older(room, REACH_PAGE);
      if (room.log.first === first) break;
    }
    return room.log.item(seq) !== undefined;
  }

  /** Joins an open room or one to which one was invited, or opens one that nobody has, with its title. */
  async join(name, title = name) {
    // Somebody else may have been faster, or one may open none: then it is joined, if there is one.
    const isMade = (refusal) => ['conflict', 'forbidden'].includes(refusal.code);
    const isNew = title !== name && !this.#titles.has(name);
    const made = isNew && (await this.#ask('room:create', { room: name, title, open: true }).catch((refusal) => {
      if (!isMade(refusal)) throw refusal;
    }));
    const reply = made || await this.#ask('room:join', { room: name }).catch((refusal) => {
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

  #readBy({ room: name, user, seq }) {
    const room = this.map.get(name);
    room?.mark(user, seq);
    if (room !== undefined) this.#on.changed(room);
  }

  /** Who is in a room, and how far each has read. */
  members(room, members, isFirst) {
    if (isFirst) room.people = new Set();
    for (const { user, read, role } of members) {
      room.people.add(user);
      room.mark(user, read ?? 0);
      if (user === this.self) room.role = role;
    }
    this.#on.changed(room);
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
      if (room.log.last === null && room.loading === null) room.log.begin(listed.head);
    });
    const joinable = [];
    await this.#pages({ open: true }, (listed) => joinable.push(listed));
    this.joinable = joinable.filter((listed) => !this.map.has(listed.room));
    for (const { room, title } of this.joinable) this.#titles.set(room, title);
    // Nobody tells that an invitation is void.
    if (this.invites.size > 0) this.#invited((await this.#ask('info')).invites);
    this.#on.listed();
  }

  #invited(invites = []) {
    this.invites = new Map(invites.map((invite) => [invite.room, invite]));
    for (const { room, title } of invites) this.#titles.set(room, title);
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
    if (title !== undefined) {
      room.title = title ?? '';
      this.#titles.set(room.name, room.title);
    }
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
      room.marks.clear();
      room.read = room.marked = room.unread = room.counted = 0;
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
