// The page's beginning and its wiring: who is at the door, what is connected to what, what must be drawn again.
// It holds no state of rooms, people or messages itself, and draws nothing.

import { removedBecause } from './codes.js';
import { Connection } from './connection.js';
import { Outbox } from './outbox.js';
import { Presence } from './presence.js';
import { Rooms } from './rooms.js';
import { askServer, session, takeToken } from './session.js';
import { isolated } from './text.js';
import { showDoor } from './door.js';
import { House } from './house.js';

const LOBBY = 'lobby';
const ROOM_KEY = 'parlor.room';
// A room that holds fewer items than this when it comes into view gets a page of its history.
const ENOUGH = 40;
const LIST_AGAIN_MS = 60_000;

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
    this.presence = new Presence(ask, (what) => (what === 'people' ? this.redraw('people', 'rooms', 'title') : this.redraw(what)));
    this.rooms = new Rooms(ask, {
      changed: (room) => this.#roomChanged(room),
      listed: () => this.redraw('rooms', 'title', 'log'),
      own: (cid) => this.outbox?.shown(cid),
      spoke: (room, user) => this.presence.spoke(room.name, user),
      moved: (user) => this.presence.moved(user === this.user?.id),
      invited: ({ room, title, by }) => this.house.toast(`${isolated(this.presence.name(by))} invites you to ${isolated(title || room)}.`),
      removed: (room, why) => this.#removed(room, why),
      // Of what nobody looks at, as of other rooms, only the end is kept.
      keeps: (room) => room === this.room && (this.#visible() || !this.house.atEnd),
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
    this.settled ||= room !== null;
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
    this.presence.begin(hello.presence);
    this.presence.names.set(hello.user.id, hello.user.name || hello.user.id);
    // What somebody says goes before what the page would like to know.
    const say = (type, payload) => this.connection.requests.ask(type, payload, { first: true });
    this.outbox ??= new Outbox(hello.user.id, say, {
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
    this.presence.list();
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
    // Whoever has left the last room, stays outside.
    if (this.room !== null || this.settled) return;
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

  /** A room comes into view, or the connection comes back while it is: what is missing is asked for. */
  #fresh(room) {
    if (!this.connection.online) return;
    if (room.problem !== null || room.log.items.length < ENOUGH) this.rooms.older(room);
    if (!room.draft) this.presence.learn(room.name);
  }

  #roomChanged(room) {
    if (this.outbox !== null && room.log.last !== null) this.outbox.reached(room.name, room.log.last);
    if (room === this.room) this.redraw('log', 'rooms', 'title');
    else this.redraw('rooms', 'title');
  }

  #removed(room, { reason, by }) {
    this.presence.left(room.name);
    const unsaid = this.outbox?.drop(room.name) ?? [];
    if (reason === 'reset') {
      this.house.toast('The server no longer has what it kept: rooms and messages are gone.');
    } else if (reason !== 'left') {
      const whoever = by && by !== this.user.id ? `, by ${isolated(this.presence.name(by))}` : '';
      this.house.toast(`${removedBecause(reason, isolated(room.title || room.name))}${whoever}.`);
    }
    if (room === this.room) {
      // After a loss of everything one begins anew, as whoever comes in for the first time.
      if (reason === 'reset') this.settled = false;
      this.show(reason === 'reset' ? null : this.rooms.get(LOBBY) ?? this.rooms.ordered()[0] ?? null);
    }
    // Nobody's words are thrown away with a room.
    if (unsaid.length > 0) this.house.giveBack(unsaid.join('\n'));
  }

  #state(state) {
    if (state.name === 'online') this.#online();
    else this.outbox?.online(false);
    if (state.name === 'waiting' || state.name === 'failed') {
      this.presence.lost();
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
