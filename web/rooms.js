// The user's rooms: their logs, marks and counts. The client ensures that no entry is missing or delivered twice; this
// module applies entries and requests older ones. Nothing here touches the page.

import { ParlorError } from './client/errors.js';
import { Room, directRoom, entryOf } from './log.js';
import { Names, roomIdOf } from './names.js';

const PAGE = 60;
// How far back a message is searched that others refer to.
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
  /** Open rooms that the user is not in, from `room:list`. */
  joinable = [];
  /** Invitations by room name: `{room, title, by}`. */
  invites = new Map();
  self = null;
  #titles = new Names();
  #epoch = null;
  #ask;
  #on;
  #listing = null;
  #listAgain = false;

  /**
   * `ask(type, payload, options)`; `on`: `changed(room)`, `listed()`, `own(cid)`, `moved(user)` for a user who joined
   * or left a room, `invited(invite)`, `removed(room, why)`, and `keeps(room)`: whether its log is being looked at.
   */
  constructor(ask, on) {
    this.#ask = ask;
    this.#on = on;
  }

  get(name) {
    return this.map.get(name);
  }

  /** A room's title, distinguished from similar ones. */
  called(name) {
    return this.#titles.get(name);
  }

  /** The id of the room that a title means: a room with this id or title, or a new one. */
  meant(title) {
    const id = roomIdOf(title);
    const called = this.#titles.only(title);
    // A title given by somebody who invites us must not make us take the room for another.
    return this.#titles.has(id) || called === undefined || this.invites.has(called) ? id : called;
  }

  /** All rooms in list order: rooms by title, then conversations by name. */
  ordered() {
    const key = (room) => room.peer ?? (room.title || room.name);
    return [...this.map.values()].sort((a, b) => (a.peer !== null) - (b.peer !== null) || order.compare(key(a), key(b)));
  }

  get unread() {
    let sum = 0;
    for (const room of this.map.values()) sum += room.unread;
    return sum;
  }

  /** Handles a new connection: the server's state of each room. The client has the position in each. */
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

  /** Whether the known numbers belong to this life of the store. */
  isOf(epoch) {
    return this.#epoch === null || this.#epoch === epoch;
  }

  /** The client follows a room from after `last`: one of ours, or one that another window or person brought. */
  follow(name, last) {
    const known = this.map.get(name);
    const room = this.#room(name);
    if (room.draft || room.log.last === null || last > room.log.last) room.log.begin(last);
    room.draft = false;
    if (known === undefined) room.read = room.marked = room.counted = last;
    this.#on.listed();
  }

  /** The client no longer follows a room, for an unknown reason. */
  lose(name) {
    const room = this.map.get(name);
    // The server names only the newest conversations without a message of ours: this one may still exist.
    if (room?.peer) room.draft = true;
    else this.#remove(name, { reason: 'unknown' });
  }

  /** The entries between are no longer kept, or belong to an earlier log. */
  skip(name, before) {
    const room = this.map.get(name);
    if (room === undefined) return;
    room.log.begin(before - 1);
    this.#on.changed(room);
  }

  /** Handles a room's push that is not an entry. */
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

  /** Applies a room's next entry. */
  entry(entry) {
    if (entry.cid !== undefined) this.#on.own(entry.cid);
    const room = this.map.get(entry.room);
    if (room?.log.append(entry)) this.#applied(room, entry);
  }

  #applied(room, entry) {
    const { type } = entry;
    if (type === 'deleted') {
      // The user's own messages count as read.
      const was = entry.seq > room.counted && entry.target > room.read && !room.log.item(entry.target)?.uncounted;
      if (was) room.unread = Math.max(0, room.unread - 1);
    } else if (type === 'joined' || type === 'left') {
      if (type === 'left') room.marks.delete(entry.user);
      if (type === 'left') room.people?.delete(entry.user);
      else room.people?.add(entry.user);
      if (room.members !== null && entry.seq > room.counted) room.members += type === 'joined' ? 1 : -1;
      this.#on.moved(entry.user);
    } else if (type === 'message') {
      // A user who writes has read the room.
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

  /** Loads the page before the held entries, or the newest one. */
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
      // Skipped if the log was restarted while the page was loading.
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

  /** Loads pages until a message is held; returns whether it is. */
  async reach(room, seq) {
    for (let page = 0; page < REACH_PAGES_MAX && seq < room.log.first && !room.log.atStart; page += 1) {
      const { first } = room.log;
      await this.older(room, REACH_PAGE);
      if (room.log.first === first) break;
    }
    return room.log.item(seq) !== undefined;
  }

  /** Joins a room that is open or that the user is invited to, or creates a new one with its title. */
  async join(name, title = name) {
    // Another user may have been faster, or the user may create none: then join the room, if it exists.
    const isMade = (refusal) => ['conflict', 'forbidden'].includes(refusal.code);
    const isNew = title !== name && !this.#titles.has(name);
    const made = isNew && (await this.#ask('room:create', { room: name, title, open: true }).catch((refusal) => {
      if (!isMade(refusal)) throw refusal;
    }));
    const reply = made || await this.#ask('room:join', { room: name }).catch((refusal) => {
      // The room is deleted, or the user is banned from it: the invitation is void.
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

  /** Leaves a room until the user joins it again. */
  async leave(name) {
    await this.#ask('room:leave', { room: name });
    this.#remove(name, { reason: 'left' });
    this.list().catch(() => {});
  }

  /** The conversation with a user, which need not exist yet. */
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

  /** Marks all held entries as read: locally at once, at the server from time to time. */
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

  /** Sends our read mark to the server: one request at a time, and at most one a second. */
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
      // Without a connection nothing can be sent; the next one begins with `look`ing.
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

  /** A room's members and their read marks. */
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

  /** Requests the user's rooms with their titles, and the rooms that they may join. */
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
    // The server does not announce that an invitation is void.
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

  /** Applies the server's current state of a room: it has counted everything up to `head`. */
  #told(room, { title, open, members, head, read, unread }) {
    if (title !== undefined) {
      room.title = title ?? '';
      this.#titles.set(room.name, room.title);
    }
    if (open !== undefined) room.open = open;
    if (Number.isInteger(members)) room.members = members;
    if (!Number.isInteger(read)) return;
    // The server's count is outdated while our own mark is being sent.
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

  /** A new epoch: known numbers are void, and rooms may be gone with the log. */
  #forget(hello) {
    const there = new Set(hello.rooms.map((room) => room.room));
    const gone = [];
    for (const room of this.map.values()) {
      room.log.reset();
      room.marks.clear();
      room.read = room.marked = room.unread = room.counted = 0;
      if (there.has(room.name)) continue;
      // A conversation can always be started again.
      if (room.peer !== null) room.draft = true;
      else gone.push(room);
    }
    // All are removed first: otherwise a room might be shown that is removed next.
    for (const room of gone) this.map.delete(room.name);
    for (const room of gone) this.#on.removed(room, { reason: 'reset' });
  }
}
