// The page's beginning and its wiring: who is at the door, what is connected to what, what must be drawn again.
// It holds no state of rooms, people or messages itself, and draws nothing.

import { Connection } from './connection.js';
import { Outbox } from './outbox.js';
import { Presence } from './presence.js';
import { Rooms } from './rooms.js';
import { askServer, session, takeToken } from './session.js';
import { showDoor } from './door.js';
import { House } from './house.js';

const LOBBY = 'lobby';
const ROOM_KEY = 'parlor.room';
// A room that holds fewer items than this when it comes into view gets a page of its history.
const ENOUGH = 40;
const LIST_AGAIN_MS = 60_000;
const ACK_MS = 2_000;
const ACK_ROOMS_MAX = 100;
const REMOVED = { removed: 'You were taken out of', banned: 'You were banned from', deleted: 'Somebody closed' };

class App {
  /** The room that is shown, or null. */
  room = null;
  user = null;
  limits = {};
  version = '';
  /** Whether one has been in a room, or found that there is none to be in. */
  settled = false;
  #server;
  #dirty = new Set();
  #frame = 0;
  #acks = new Map();
  #acking = 0;
  #arrived = false;

  constructor(server) {
    this.#server = server;
    this.version = server.version ?? '';
    this.connection = new Connection({
      user: session.name,
      token: server.open ? null : () => session.token,
      onState: (state) => this.#state(state),
      onHello: (hello) => this.#hello(hello),
      onPush: (type, payload) => this.rooms.push(type, payload) || this.presence.push(type, payload) || this.#notice(type, payload),
      onRefused: () => this.#refused(),
    });
    const ask = (type, payload, options) => this.connection.requests.ask(type, payload, options);
    this.presence = new Presence(ask, (what) => this.redraw(what, 'rooms', 'title'));
    this.rooms = new Rooms(ask, {
      changed: (room) => this.#roomChanged(room),
      listed: () => this.redraw('rooms', 'title', 'log'),
      own: (cid) => this.outbox?.shown(cid),
      spoke: (room, user) => this.presence.spoke(room.name, user),
      removed: (room, why) => this.#removed(room, why),
      keeps: (room) => room === this.room,
    });
    this.outbox = null;
    this.house = new House(this);
    this.#watchPage();
    setInterval(() => this.#visible() && this.connection.online && this.rooms.list().catch(() => {}), LIST_AGAIN_MS);
  }

  start() {
    this.connection.open();
  }

  /** Shows a room, and loads what is missing of it. */
  show(room) {
    if (this.room === room) return;
    this.room = room;
    try {
      if (room) sessionStorage.setItem(ROOM_KEY, room.name);
    } catch {
      // Then a reload begins in the first room.
    }
    this.house.roomShown(room);
    if (room) this.#fresh(room);
    this.redraw('state', 'rooms', 'title', 'log', 'typing', 'people');
  }

  /** Notes what must be drawn again, once, in the next frame; the title also while nobody looks. */
  redraw(...topics) {
    for (const topic of topics) this.#dirty.add(topic);
    if (this.#dirty.delete('title')) this.house.title();
    if (this.#frame === 0 && this.#dirty.size > 0) {
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        const dirty = this.#dirty;
        this.#dirty = new Set();
        this.house.draw(dirty);
      });
    }
  }

  signOut() {
    this.connection.close();
    session.name = null;
    session.token = null;
    try {
      sessionStorage.clear();
    } catch {
      // Nothing was kept, then.
    }
    location.reload();
  }

  /** Whether the person is looking at the page: what is shown now is read. */
  attentive() {
    return this.#visible() && document.hasFocus();
  }

  #visible() {
    return document.visibilityState === 'visible';
  }

  async #hello(hello) {
    if (this.user !== null && this.user.id !== hello.user.id) {
      location.reload();
      return;
    }
    this.user = hello.user;
    this.limits = hello.limits ?? {};
    this.presence.names.set(hello.user.id, hello.user.name || hello.user.id);
    this.outbox ??= new Outbox(hello.user.id, (type, payload) => this.connection.requests.ask(type, payload), {
      changed: () => this.redraw('log'),
      acked: (room, seq) => {
        this.rooms.stored(room, seq);
        return (this.rooms.get(room)?.log.last ?? 0) >= seq;
      },
    });
    await this.rooms.resume(hello);
  }

  async #online() {
    this.#arrived = true;
    this.outbox.online(true);
    this.presence.list(this.#presenceRoom());
    this.rooms.list().catch(() => {});
    if (this.room !== null) {
      this.#fresh(this.room);
      return;
    }
    const places = [...this.rooms.map.values()].filter((room) => room.peer === null);
    try {
      const kept = this.rooms.get(sessionStorage.getItem(ROOM_KEY) ?? '');
      if (kept) this.show(kept);
    } catch {
      // Storage is forbidden.
    }
    if (this.room !== null) return;
    if (this.rooms.get(LOBBY)) this.show(this.rooms.get(LOBBY));
    else if (places.length > 0) this.show(this.rooms.ordered()[0]);
    else await this.enter(LOBBY);
    this.settled = true;
    this.redraw('log');
  }

  /** Goes into a room by name: one's own, an open one, or a new one. Resolves to a refusal, or null. */
  async enter(name) {
    try {
      this.show(this.rooms.get(name) ?? (await this.rooms.join(name)));
      return null;
    } catch (refusal) {
      this.redraw('log', 'rooms');
      return refusal;
    }
  }

  #presenceRoom() {
    const everyone = (this.connection.hello?.presence ?? 'everyone') === 'everyone';
    return everyone ? undefined : this.room?.name;
  }

  /** A room comes into view, or the connection comes back while it is: what is missing is asked for. */
  #fresh(room) {
    if (!this.connection.online) return;
    if (room.problem !== null || room.log.items.length < ENOUGH) this.rooms.older(room);
    if (!room.draft) this.presence.learn(room.name);
    if (this.#presenceRoom() !== undefined) this.presence.list(room.name);
  }

  #roomChanged(room) {
    if (this.outbox !== null && room.log.last !== null) this.outbox.reached(room.name, room.log.last);
    if (room === this.room) this.redraw('log', 'rooms', 'title');
    else this.redraw('rooms', 'title');
    if (!room.draft && room.log.last > (this.#acks.get(room.name) ?? 0)) this.#acknowledge();
  }

  /** Tells how far each room was received, all of them in one, and not often. */
  #acknowledge() {
    this.#acking ||= setTimeout(() => {
      this.#acking = 0;
      const moved = [...this.rooms.map.values()]
        .filter((room) => !room.draft && room.log.last > (this.#acks.get(room.name) ?? 0))
        .slice(0, ACK_ROOMS_MAX)
        .map((room) => [room.name, room.log.last]);
      if (moved.length === 0 || !this.connection.online) return;
      if (!this.connection.requests.tell('chat:ack', { rooms: Object.fromEntries(moved) })) return;
      for (const [name, seq] of moved) this.#acks.set(name, seq);
    }, ACK_MS);
  }

  #removed(room, { reason, by }) {
    const unsaid = this.outbox?.drop(room.name) ?? [];
    this.#acks.delete(room.name);
    if (reason === 'reset') {
      this.house.toast(`The server's log was lost or cut, and ${room.title || room.name} with it.`);
    } else if (reason !== 'left') {
      const what = REMOVED[reason] ?? 'You are no longer in';
      this.house.toast(`${what} ${room.title || room.name}${by && reason !== 'deleted' ? `, by ${this.presence.name(by)}` : ''}.`);
    }
    if (room === this.room) this.show(this.rooms.get(LOBBY) ?? this.rooms.ordered()[0] ?? null);
    // Nobody's words are thrown away with a room.
    if (unsaid.length > 0) this.house.giveBack(unsaid.join('\n'));
  }

  #state(state) {
    if (state.name === 'online') this.#online();
    else this.outbox?.online(false);
    if (state.name === 'waiting' || state.name === 'failed') {
      this.presence.lost();
      this.#acks.clear();
    }
    if (state.name === 'failed' && state.token && !this.#arrived) {
      session.token = null;
      showDoor('link', `${state.reason} Ask for a new one.`);
      return;
    }
    this.redraw('state', 'log', 'people');
  }

  #notice(type, payload) {
    if (type !== 'notice') return;
    if (payload.code === 'token_expiring') this.house.toast('Your link expires in a minute. Open a new one in this tab to stay.');
  }

  /** Turned away before the connection was open: has the server changed its mode since we came? */
  async #refused() {
    if (this.connection.state.attempt < 2) return;
    const now = await askServer().catch(() => null);
    if (now !== null && now.open !== this.#server.open) location.reload();
  }

  #watchPage() {
    const wake = () => this.#visible() && this.connection.wake();
    const look = () => {
      wake();
      this.redraw('log', 'state');
    };
    document.addEventListener('visibilitychange', look);
    window.addEventListener('focus', look);
    window.addEventListener('online', wake);
    document.addEventListener('resume', wake);
    window.addEventListener('pagehide', () => this.connection.suspend());
    window.addEventListener('pageshow', (event) => event.persisted && this.connection.wake());
  }
}

/** Looks for the server, and lets in whoever may come in. */
async function begin() {
  takeToken();
  window.addEventListener('hashchange', () => takeToken() && location.reload());
  for (let attempt = 0; ; attempt += 1) {
    let server;
    try {
      server = await askServer();
    } catch {
      await showDoor('unreachable', undefined, attempt);
      continue;
    }
    if (server.open) {
      session.token = null;
      session.name ??= await showDoor('name');
    } else if (session.token === null) {
      showDoor('link');
      return;
    }
    new App(server).start();
    return;
  }
}

begin();
