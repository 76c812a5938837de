// The page's entry point and wiring: who is at the door, what is connected to what, what must be redrawn. It holds no
// state of rooms, people or messages itself, and draws nothing.

import { verdict } from './client/errors.js';
import { ParlorError, connect } from './client/index.js';
import { indexedDbOutbox } from './client/indexeddb.js';
import { PUSHES, Presence } from './presence.js';
import { Rooms } from './rooms.js';
import { askServer, askWho, readCode, session, signIn, signOut, takeCode, whenSignInChanges } from './session.js';
import { excerpt } from './said.js';
import { isolated } from './text.js';
import { askWhoGoesOn, showDoor } from './door.js';
import { Drafts } from './drafts.js';
import { House } from './house.js';
import { Unsent } from './unsent.js';
import { because, closedBecause, removedBecause, wantsLink } from './words.js';

const LOBBY = 'lobby';
const ROOM_KEY = 'parlor.room';
// A room with fewer items than this gets a page of its history when it is shown.
const ENOUGH = 40;
const LIST_AGAIN_MS = 60_000;
const SIGN_OUT_MS_MAX = 3_000;
/** A jump that takes longer shows that it is in progress. */
const LOOKING_MS = 500;
/** Most characters of a message that are read out; the list has all of it. */
const HEARD_LENGTH = 500;

class App {
  /** The room shown, or null. */
  room = null;
  user = null;
  limits = {};
  /** Drafts by room, once the user is known. */
  drafts = null;
  version = '';
  /** Whether the user has been in a room, or there is none to be in. */
  settled = false;
  #server;
  /** The user of the browser's sign-in; null in open mode. */
  #signedIn;
  #outbox = indexedDbOutbox();
  #dirty = new Set();
  /** Numbers the requests to show a room: only the last one counts. */
  #turn = 0;
  #frame = 0;
  #arrived = false;
  /** Whether unsent messages are kept when the sign-in ends: yes, unless another tab said otherwise. */
  #keeps = true;
  #was = 'idle';
  /** The client's rooms whose gaps are listened to. */
  #heard = new WeakSet();

  constructor(server, signedIn) {
    this.#server = server;
    this.#signedIn = signedIn;
    this.version = server.version ?? '';
  }

  start() {
    const ask = (type, payload, options) => this.#ask(type, payload, options);
    this.presence = new Presence(ask, () => this.redraw('people', 'rooms', 'title'));
    this.rooms = new Rooms(ask, {
      changed: (room) => this.#roomChanged(room),
      listed: () => this.redraw('rooms', 'title', 'log'),
      own: (cid) => this.unsent.shown(cid),
      moved: (user) => {
        this.presence.moved(user === this.user?.id);
        this.redraw('people');
      },
      invited: (invite) => this.#invited(invite),
      removed: (room, why) => this.#removed(room, why),
      // Of rooms that are not being looked at, only the end of the log is kept.
      keeps: (room) => room === this.room && (this.#visible() || !this.house.atEnd),
    });
    this.drafts = new Drafts(this.#known);
    this.client = this.#connect();
    this.unsent = new Unsent(this.client);
    this.house = new House(this);
    this.#listen();
    this.#watchPage();
    this.redraw('state');
    setInterval(() => this.#visible() && this.refreshRooms(), LIST_AGAIN_MS);
  }

  /** The id of the user. */
  get #known() {
    return this.#signedIn?.user.id ?? session.id;
  }

  /** Whether the user signs out here; users known by the application's own cookie sign out there. */
  get signsOut() {
    return this.#signedIn?.by !== 'application';
  }

  /** Whether the user may also be signed in elsewhere. */
  get hasLink() {
    return this.#signedIn?.by === 'link';
  }

  get online() {
    return this.client.state.name === 'online';
  }

  /** A room as the client has it. */
  channel(room) {
    return this.client.room(room.name);
  }

  /** Who is typing in a room. */
  typists(room) {
    return this.online ? this.channel(room).typists.sort() : [];
  }

  /** Sends a message; from now on the outbox has it, whatever happens to the connection. */
  say(room, text, replyTo) {
    const { error } = this.channel(room).send(text, { replyTo });
    if (error?.code !== 'outbox_full') return;
    this.house.giveBack(text);
    this.house.toast(`This was not sent: ${because(error)}.`);
  }

  /** Requests a change of a message, and reports a refusal. */
  async change(type, room, payload, failure) {
    try {
      await this.#ask(type, { room: room.name, ...payload });
    } catch (refusal) {
      this.house.toast(`${failure}: ${because(refusal)}.`);
    }
  }

  /** Adds a reaction, or removes it. */
  react({ seq, reactions }, emoji) {
    const on = !(reactions.get(emoji)?.users.includes(this.user.id) ?? false);
    this.change('chat:react', this.room, { seq, emoji, on }, 'You could not react to that');
  }

  /** Shows a message, and loads the messages before it if necessary. */
  async goTo(seq) {
    const { room } = this;
    const late = setTimeout(() => this.house.toast('Looking for that message…'), LOOKING_MS);
    const isHeld = await this.rooms.reach(room, seq);
    clearTimeout(late);
    if (room !== this.room) return;
    if (isHeld) this.house.reveal(seq);
    else this.house.toast('That message is too far back, or no longer kept.');
  }

  #connect() {
    // The client keeps and sends unsent messages. It notices a loss by silence, not by pings at a fixed pace.
    // The browser sends its cookie. When the server has ended the sign-in, the page looks whose it is before it comes back.
    const fatal = (code) => verdict(code) === 'asks for a token';
    const options = { outbox: this.#outbox, quality: { interval: 0 }, user: this.#known, fatal };
    return connect(this.#server.open ? `/ws?${new URLSearchParams({ user: session.id, ...(session.name !== session.id && { name: session.name }) })}` : '/ws', options);
  }

  #listen() {
    const { client } = this;
    client.on('state', (state) => this.#state(state));
    client.on('rooms', (change) => this.#clientRoom(change));
    client.on('outbox', () => this.#outboxChanged());
    client.on('notice', (notice) => this.#notice(notice));
    for (const type of PUSHES) client.on(type, (payload) => this.presence.push(type, payload));
    for (const type of ['chat:read', 'room:removed', 'room:invited', 'room:updated']) client.on(type, (payload) => this.rooms.push(type, payload));
  }

  /** Requests the rooms that there are: the server does not announce new ones. */
  refreshRooms() {
    if (this.online) this.rooms.list().catch(() => {});
  }

  /** These requests are about the moment: without a connection they fail instead of waiting for one. */
  #ask(type, payload, options) {
    return this.online ? this.client.request(type, payload, options) : Promise.reject(new ParlorError('disconnected'));
  }

  /** Shows a room, whatever was to be shown before. */
  show(room) {
    this.#turn += 1;
    this.#display(room);
  }

  /** Shows a room and loads the missing part of it. */
  #display(room) {
    if (this.room === room) return;
    this.room = room;
    this.settled ||= room !== null;
    try {
      // Empty: the user has left the last room, and stays outside.
      if (this.settled) sessionStorage.setItem(ROOM_KEY, room?.name ?? '');
      else sessionStorage.removeItem(ROOM_KEY);
    } catch {
      // Storage is forbidden: after a reload the first room is shown.
    }
    this.house.roomShown(room);
    if (room) this.#fresh(room);
    this.redraw('state', 'rooms', 'title', 'log', 'typing', 'people');
  }

  /** Schedules one redraw, in the next frame; the title is also updated while the page is hidden. */
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

  /** Unsent text: messages, and rooms with a draft. */
  get unsaid() {
    return { messages: this.client.unsent.length, drafts: this.drafts?.rooms.length ?? 0 };
  }

  /** Signs out and removes the user's data, except for unsent messages that they keep for their return. */
  async signOut(keep, everywhere = false) {
    // Paused before the server ends the connections of this cookie, so that the end is not reported.
    this.client.pause('signing out');
    if (!this.#server.open) {
      try {
        await signOut(everywhere, keep);
      } catch {
        this.client.retryNow();
        this.house.toast('You are still signed in: the server does not answer. Try again when it does.');
        return;
      }
    }
    // If the page were loaded while the server does not answer, the browser would show an error and not retry.
    await this.#leave(keep);
    await answered(askServer, 'You are signed out. The server does not answer.');
    location.reload();
  }

  /** Forgets the user in this tab; unsent messages are deleted, or kept for this user only. */
  async #leave(keep, code) {
    this.client.pause('signing out');
    this.house.notify.end();
    if (keep) this.drafts?.write();
    else this.drafts?.forget();
    session.end(keep, code);
    // Storage that does not answer must not prevent signing out.
    const late = new Promise((resolve) => setTimeout(resolve, SIGN_OUT_MS_MAX));
    await Promise.race([this.#outbox.signOut({ keep }).catch(() => {}), late]);
  }

  /** Whether the user is looking at the page: what is shown then counts as read. */
  attentive() {
    return this.#visible() && document.hasFocus();
  }

  #visible() {
    return document.visibilityState === 'visible';
  }

  /** Handles a change of one of the client's rooms, or of the whole list. */
  #clientRoom(change) {
    const { hello } = this.client;
    if (change === undefined) {
      this.#hello(hello);
      return;
    }
    const { room, what, value } = change;
    if (what === 'entry') this.#entry(value);
    else if (what === 'typing') this.redraw('typing');
    else if (what === 'membership' && room.membership === 'member') this.#follow(room, hello);
    // While online, a push gives the reason.
    else if (what === 'membership' && room.membership === 'left' && !this.online && this.rooms.isOf(hello.epoch)) this.rooms.lose(room.name);
  }

  #invited({ room, by }) {
    const { names } = this.presence;
    // The bare id of an unknown user says nothing.
    const said = names.has(by) ? `${isolated(names.get(by))} invites you` : 'You are invited';
    this.house.toast(`${said} to ${isolated(this.rooms.called(room))}.`, { label: 'Join', act: () => this.house.join(room) });
  }

  #entry(entry) {
    this.rooms.entry(entry);
    if (entry.type === 'message' && this.online) this.house.notify.entry(this.rooms.get(entry.room), entry);
    if (entry.room !== this.room?.name) return;
    const isHeard = entry.type === 'message' && this.online && entry.from !== this.user.id && !entry.deleted;
    if (isHeard) this.house.hear(entry.seq, `${this.presence.name(entry.from)}: ${excerpt(entry.text, HEARD_LENGTH)}`);
    else if (entry.target !== undefined && entry.type !== 'reacted') this.house.unhear(entry.target);
  }

  #follow(room, hello) {
    const isNew = this.rooms.get(room.name)?.draft ?? true;
    this.rooms.self = hello.user.id;
    this.rooms.follow(room.name, room.last);
    if (!this.#heard.has(room)) room.on('gap', ({ before }) => this.rooms.skip(room.name, before));
    this.#heard.add(room);
    if (isNew) this.refreshRooms();
  }

  #hello(hello) {
    if (this.user !== null && this.user.id !== hello.user.id) {
      location.reload();
      return;
    }
    this.user = hello.user;
    if (this.drafts?.user !== hello.user.id) this.drafts = new Drafts(hello.user.id);
    this.limits = hello.limits ?? {};
    this.presence.begin(hello.presence);
    this.presence.names.set(hello.user.id, hello.user.name);
    this.rooms.welcome(hello);
  }

  async #online() {
    this.#arrived = true;
    this.#outboxChanged();
    this.presence.list();
    this.refreshRooms();
    if (this.room !== null) {
      this.#fresh(this.room);
      return;
    }
    const places = [...this.rooms.map.values()].filter((room) => room.peer === null);
    try {
      const name = sessionStorage.getItem(ROOM_KEY);
      const kept = this.rooms.get(name ?? '');
      if (kept) this.show(kept);
      // A user who has left the last room stays outside.
      this.settled ||= name === '' && places.length === 0;
    } catch {
      // Storage is forbidden.
    }
    if (this.room !== null) return;
    if (!this.settled) {
      if (this.rooms.get(LOBBY)) this.show(this.rooms.get(LOBBY));
      else if (places.length > 0) this.show(this.rooms.ordered()[0]);
      else await this.enter(LOBBY);
      this.settled = true;
    }
    this.redraw('log');
  }

  /**
   * Enters a room by its id: one of the user's, an open one, or a new one, with its title. Resolves to a refusal, or
   * null. It is not shown if another one was asked for before the server has answered.
   */
  async enter(name, title) {
    const turn = (this.#turn += 1);
    try {
      const room = this.rooms.get(name) ?? (await this.rooms.join(name, title));
      if (turn === this.#turn || this.room === null) this.#display(room);
      return null;
    } catch (refusal) {
      this.redraw('log', 'rooms');
      return refusal;
    }
  }

  /** Requests what is missing when a room is shown, or when the connection returns while it is. */
  #fresh(room) {
    if (!this.online) return;
    if (room.problem !== null || room.log.items.length < ENOUGH) this.rooms.older(room);
    if (!room.draft) this.presence.learn(room.name, (members, isFirst) => this.rooms.members(room, members, isFirst));
  }

  #roomChanged(room) {
    if (room.log.last !== null) this.unsent.reached(room.name, room.log.last);
    if (room === this.room) this.redraw('log', 'rooms', 'title');
    else this.redraw('rooms', 'title');
  }

  #removed(room, { reason, by }) {
    this.presence.left(room.name);
    const unsaid = this.unsent.drop(room.name);
    if (reason === 'reset') {
      this.house.toast('The server has lost its data: rooms and messages are gone.');
    } else if (reason !== 'left') {
      const whoever = by && by !== this.user.id ? `, by ${isolated(this.presence.name(by))}` : '';
      this.house.toast(`${removedBecause(reason, isolated(this.rooms.called(room.name)))}${whoever}.`);
    }
    if (room === this.room) {
      // After a loss of everything the user starts as a newcomer.
      if (reason === 'reset') this.settled = false;
      this.#display(reason === 'reset' ? null : this.rooms.get(LOBBY) ?? this.rooms.ordered()[0] ?? null);
    }
    // Unsent text is not discarded with its room.
    if (unsaid.length > 0) this.house.giveBack(unsaid.join('\n'));
  }

  #state(state) {
    // Turned away before the connection was open: by HTTP, which a page cannot see.
    const isTurnedAway = this.#was === 'connecting' && state.name === 'waiting';
    this.#was = state.name;
    // Unsent messages go before the page's own requests.
    if (state.name === 'online') queueMicrotask(() => this.online && this.#online());
    else if (['waiting', 'failed', 'paused'].includes(state.name)) this.presence.lost();
    if (wantsLink(state)) this.#signedOut(state.code);
    if (isTurnedAway) this.#turnedAway(state.attempt);
    this.redraw('state', 'log', 'people', 'typing');
  }

  /** Shows unsent messages in their rooms, and gives them back if the room is gone. */
  #outboxChanged() {
    this.unsent.changed((name) => (this.rooms.get(name) === undefined ? Infinity : this.rooms.get(name).log.last ?? 0));
    if (this.online) {
      for (const { kept, status } of this.client.unsent) {
        const pair = kept.room.startsWith('dm:') ? kept.room.slice(3).split(':') : null;
        if (this.rooms.get(kept.room) !== undefined) continue;
        if (pair !== null) this.rooms.direct(pair.find((user) => user !== this.user.id) ?? this.user.id);
        else if (status === 'failed' || status === 'expired') this.house.giveBack(this.unsent.drop(kept.room).join('\n'));
      }
    }
    this.redraw('log', 'rooms');
  }

  #notice({ code }) {
    if (code === 'token_expiring') this.house.toast('You will be signed out in a minute. Open a new link to stay.');
  }

  /** Checks whether the server has changed its mode, or the user is no longer signed in. */
  async #turnedAway(attempt) {
    if (attempt < 2) return;
    const now = await askServer().catch(() => null);
    if (now !== null && now.open !== this.#server.open) location.reload();
    else if (now !== null) await this.signInChanged();
  }

  /** Follows a sign-in or sign-out in another tab or elsewhere, with the decision made there on unsent messages. */
  async signInChanged(keep = true) {
    if (this.#server.open) return;
    this.#keeps &&= keep;
    const now = await askWho().catch(() => null);
    if (now === null) return;
    if (now.user?.id !== this.#known) {
      await this.#leave(this.#keeps);
      location.reload();
    } else if (this.client.state.name === 'failed') this.client.retryNow();
  }

  /** The server has ended the sign-in. If the browser has another one by now, it is used, once. */
  async #signedOut(code) {
    const now = await askWho().catch(() => ({ user: null }));
    if (this.client.state.name !== 'failed') return;
    const isOther = now.user !== null && (now.user.id !== this.#known || this.#arrived);
    this.#arrived = false;
    if (isOther) {
      await this.signInChanged();
      return;
    }
    // Reloads the page, so that none of the user's data stays in it, and shows the reason.
    await this.#leave(this.#keeps, code);
    await answered(askServer, closedBecause(code));
    location.reload();
  }

  #watchPage() {
    const look = () => this.redraw('log', 'state');
    document.addEventListener('visibilitychange', look);
    window.addEventListener('focus', look);
  }
}

/** Retries `work`, which rejects while the server cannot be asked; until then the door is shown. */
async function answered(work, lead) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch {
      await showDoor('unreachable', lead, attempt);
    }
  }
}

/** Looks for the server and admits a signed-in user. */
async function begin() {
  let app = null;
  let code = takeCode();
  // One link after another: with two questions at once, one answer would apply to both.
  let turn = Promise.resolve();
  const inTurn = (work) => (turn = turn.then(work, work));
  const say = (why) => (app === null ? showDoor('link', why) : app.house.toast(why));
  window.addEventListener('hashchange', () => {
    const another = takeCode();
    if (another === null) return;
    inTurn(async () => {
      const now = await askWho().catch(() => null);
      // It is unknown whom the link would replace.
      const then = now === null ? { why: REFUSED_LINKS.late } : await useCode(another, now);
      if (then.why) say(then.why);
      else if (app !== null) await app.signInChanged();
      else if (then.user?.id !== now.user?.id) location.reload();
    });
  });
  whenSignInChanges((keep) => (app === null ? location.reload() : app.signInChanged(keep)));
  forgetWhenKept();
  await answered(async () => {
    const server = await askServer();
    let signedIn = null;
    if (server.open) {
      session.name ??= await showDoor('name');
    } else {
      signedIn = await askWho();
      const [mine, before] = [code, signedIn];
      if (mine !== null) signedIn = await inTurn(() => useCode(mine, before));
      code = null;
      if (signedIn.user === null) {
        const code = session.takeEnd();
        // The user was signed out in another tab, or elsewhere.
        session.end(true);
        showDoor('link', signedIn.why ?? (code === null ? undefined : `${closedBecause(code)} Ask for a new link.`));
        return;
      }
    }
    app = new App(server, signedIn);
    app.start();
    if (signedIn?.why) app.house.toast(signedIn.why);
  });
}

/** A page in the back/forward cache must show nothing of the user: it is reloaded. */
function forgetWhenKept() {
  window.addEventListener('pagehide', ({ persisted }) => {
    if (persisted) document.body.hidden = true;
  });
  window.addEventListener('pageshow', ({ persisted }) => {
    if (persisted) location.reload();
  });
}

const REFUSED_LINKS = {
  used: 'This link has already been used. Ask for a new one.',
  bad: 'The server did not accept this link. Ask for a new one.',
  late: 'The server could not check this link. Open it again in a moment.',
};

/**
 * Signs in with a link's code, after a confirmation if it would replace another user. Returns who is signed in then,
 * and what to say.
 */
async function useCode(code, signedIn) {
  const coming = readCode(code);
  // An unreadable code names nobody to ask about; no server accepts it either.
  if (coming === null) return { ...signedIn, why: REFUSED_LINKS.bad };
  const isOther = signedIn.user !== null && coming.id !== signedIn.user.id;
  if (isOther && !(await askWhoGoesOn(signedIn.user, coming))) return signedIn;
  const refused = await signIn(code);
  return refused === null ? askWho() : { ...signedIn, why: REFUSED_LINKS[refused] };
}

begin();
