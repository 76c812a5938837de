// The browser's outbox against a plain model: two users, several tabs, and whatever can happen to them in any order.
// What was written and not taken back is stored once, by its author and in order, or still kept for its author.
// PARLOR_SEEDS says how many seeds, PARLOR_FIRST_SEED the first; PARLOR_TRACE=1 tells what happens.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { indexedDbOutbox } from '../src/indexeddb.js';
import { fakeBrowser, fakePage, fakeServer } from '../src/testing.js';
import { chance } from './support.js';

const SEEDS = Number(process.env.PARLOR_SEEDS ?? 40);
const FIRST = Number(process.env.PARLOR_FIRST_SEED ?? 1);
const STEPS = 120;
const TABS_MAX = 4;
const USERS = ['ada', 'bob'];
const ROOMS = ['tea', 'den'];
const HOUR_MS = 3_600_000;
const DATABASE = 'parlor-outbox';

/** How a page says who one is: the first three are known before the server has answered. */
const WAYS = {
  url: (who) => [`ws://host/ws?user=${who()}`, {}],
  jwt: (who) => ['ws://host/ws', { token: `${who()}.${btoa(JSON.stringify({ sub: who() }))}.signature` }],
  user: (who) => ['ws://host/ws', { user: who(), token: () => `${who()}.1` }],
  function: (who) => ['ws://host/ws', { token: () => `${who()}.1` }],
  // The browser says it with the request, and the page does not know.
  cookie: () => ['ws://host/ws', {}],
};
const isUnknown = ({ way }) => way === 'function' || way === 'cookie';

class World {
  server = fakeServer();
  /** What was written: `{ text, author, room, page, fate }`. */
  written = [];
  tabs = [];
  /** How far the clocks of the pages are ahead: days pass in no time. */
  ahead = 0;
  losesReply = false;

  constructor(seed) {
    this.below = chance(seed);
    this.browser = fakeBrowser(this.server);
    this.trace = process.env.PARLOR_TRACE ? (...said) => console.log(this.server.clock.now() % 1e9, ...said) : () => {};
    for (const room of ROOMS) for (const user of USERS) this.server.admit(room, user);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  advance(ms) {
    return this.server.clock.advance(ms);
  }

  /** Loads the page in a tab, new or the same again, as somebody. */
  open(who = this.pick(USERS), way = this.pick(Object.keys(WAYS)), session = undefined) {
    const world = this;
    const tab = this.browser.tab(session);
    const page = fakePage();
    const { clock } = this.server;
    const one = { tab, page, who, way, session: tab.env.sessionStorage, tickets: [], part: 0, isFrozen: false, isCached: false };
    const env = {
      ...tab.env,
      ...page,
      now: () => clock.now() + world.ahead,
      random: () => world.below(2 ** 30) / 2 ** 30,
      report: (error) => assert.fail(error),
      WebSocket: class extends tab.env.WebSocket {
        constructor(url) {
          super(way === 'cookie' ? `${url}&user=${one.who}` : url);
          one.socket = this;
        }
        /** The server has it, and its answer is lost with the connection. */
        send(text) {
          super.send(text);
          const { type, payload } = JSON.parse(text);
          if (type !== 'chat:send') return;
          world.trace('asks', one.name, payload.text, world.losesReply ? 'and is cut' : '');
          if (!world.losesReply) return;
          world.losesReply = false;
          this.readyState = 2;
          this.end(1006);
        }
      },
    };
    one.outbox = indexedDbOutbox({ env });
    const [url, options] = WAYS[way](() => one.who);
    one.client = connect(url, { ...options, outbox: one.outbox, quality: { interval: 0 }, backoff: { min: 20, max: 200 }, env });
    one.name = `${way}#${(this.count = (this.count ?? 0) + 1)}`;
    one.client.on('outbox', () => this.look(one));
    this.tabs.push(one);
    this.trace('open', one.name, who);
    return one;
  }

  /** Nothing of another's is ever to be seen. */
  look(one) {
    const user = one.client.hello?.user.id;
    for (const ticket of one.client.unsent) {
      const message = this.written.find(({ text }) => text === ticket.text);
      if (!user || !message) continue;
      // What nobody known wrote is asked about: in its own tab, and of the user of that tab.
      if (!message.isKnown && message.session === one.session) message.asked.add(user);
      if (!message.isKnown && message.asked.has(user)) continue;
      assert.equal(message.author, user, `${ticket.text} of ${message.author} is shown to ${user}`);
    }
  }

  send(one) {
    const text = `m${this.written.length + 1}`;
    const known = one.client.hello?.user.id;
    // The page may have asked for a token before the change, or after it.
    if (one.isChanged && known === undefined) return;
    const room = this.pick(ROOMS);
    // Before the first hello of a page it is known only if the page says so.
    const isKnown = known !== undefined || !isUnknown(one);
    const author = known ?? one.who;
    const message = { text, author, room, page: `${one.name}/${one.part}`, session: one.session, fate: 'wanted', isKnown, asked: new Set() };
    this.written.push(message);
    this.trace('send', one.name, text, author, room);
    one.client.room(room, { join: false }).send(text);
  }

  find(text) {
    return this.written.find((message) => message.text === text);
  }

  stored(text) {
    return ROOMS.flatMap((room) => this.server.rooms.get(room).entries).filter(({ type, payload }) => type === 'chat:message' && payload.text === text);
  }

  /** The page is gone: by a crash, or as pages end. */
  end(one, isCrash) {
    this.look(one);
    this.trace(isCrash ? 'crash' : 'close', one.name);
    if (!isCrash && !one.isFrozen) one.page.fire('pagehide', { persisted: false });
    one.tab.crash();
    this.tabs = this.tabs.filter((other) => other !== one);
  }

  reload(one, isCrash) {
    this.end(one, isCrash);
    return this.open(this.below(6) === 0 ? this.pick(USERS) : one.who, one.way, one.session);
  }

  freeze(one) {
    this.trace('freeze', one.name);
    one.isFrozen = true;
    one.tab.freeze();
  }

  /** Into the back/forward cache. */
  putAway(one) {
    this.trace('put away', one.name);
    one.page.fire('pagehide', { persisted: true });
    one.isCached = true;
    this.freeze(one);
  }

  wake(one) {
    this.trace('wake', one.name);
    one.isFrozen = false;
    one.tab.thaw();
    if (one.isCached) {
      one.isCached = false;
      one.part += 1;
      one.page.fire('pageshow', { persisted: true });
    }
  }

  /** Who was here last, as the outbox remembers it. */
  last(one) {
    return JSON.parse(one.session.getItem(DATABASE) ?? '{}').user;
  }

  /** Somebody else signs in, in a page that goes on; before the first hello only where somebody else was here before. */
  async change(one) {
    const isKnown = one.client.hello !== null;
    const isWell = isKnown ? one.client.state.name === 'online' : this.last(one) === one.who;
    if (!isUnknown(one) || !isWell) return;
    one.who = USERS.find((user) => user !== one.who);
    one.part += 1;
    this.trace('change', one.name, one.who);
    if (!isKnown) one.isChanged = true;
    one.socket?.end(one.way === 'function' ? 4201 : 1006);
    await this.advance(5);
  }

  async signOut(one, keep) {
    const { client, outbox } = one;
    const user = client.hello?.user.id ?? (isUnknown(one) ? this.last(one) : one.who);
    this.trace('sign out', one.name, user, keep ? 'keep' : 'discard');
    client.pause();
    let isDone = false;
    void outbox.signOut({ keep }).then(() => (isDone = true));
    // Others may hold the lock, and sleep.
    for (let turn = 0; turn < 20; turn += 1) await this.advance(1);
    if (isDone && !keep) this.discarded(one, user);
    client.close();
    this.end(one, false);
    await this.advance(2);
    if (isDone && user === undefined) return;
    this.open(this.pick(USERS), one.way, one.session);
  }

  /** What this user has left is gone; what other tabs are about to send is theirs still, but for one that was put away. */
  discarded(one, user) {
    const left = this.browser.rows(DATABASE, 'messages').map(({ text }) => text);
    const theirs = this.tabs.filter((other) => other !== one && !other.isCached).flatMap(({ client }) => client.unsent.map(({ text }) => text));
    const kept = new Set([...left, ...theirs]);
    for (const message of this.written) {
      const isOwn = message.author === user || !message.isKnown;
      if (isOwn && !kept.has(message.text)) message.isDiscarded = true;
    }
  }

  /** Does something with one of the messages that a page shows. */
  touch(one) {
    const ticket = this.pick(one.client.unsent);
    if (!ticket) return;
    const message = this.find(ticket.text);
    const mayBeStored = this.stored(ticket.text).length > 0;
    if (this.below(2) === 0 && ticket.cancel()) {
      this.trace('cancel', one.name, ticket.text);
      message.fate = mayBeStored ? 'may be stored' : 'cancelled';
    } else {
      // It is theirs who says so.
      if (ticket.error?.code === 'unconfirmed') message.author = one.client.hello?.user.id ?? one.who;
      if (!ticket.retry()) return;
      this.trace('retry', one.name, ticket.text);
      message.isRetried = true;
    }
  }

  async step() {
    const one = this.pick(this.tabs);
    const what = this.below(60);
    if (!one || (what < 3 && this.tabs.length < TABS_MAX)) this.open();
    else if (one.isFrozen) {
      if (this.below(3) === 0) this.wake(one);
    } else if (what < 22) this.send(one);
    else if (what < 25) this.reload(one, false);
    else if (what < 27) this.reload(one, true);
    else if (what < 29) this.end(one, this.below(2) === 0);
    else if (what < 31) await this.signOut(one, this.below(2) === 0);
    else if (what < 33) await this.change(one);
    else if (what === 33) this.freeze(one);
    else if (what === 34) this.putAway(one);
    else if (what < 38) {
      this.server.faults.unreachable = true;
      this.server.cut();
      this.trace('the server is away');
    } else if (what < 42) {
      this.server.faults.unreachable = false;
      this.trace('the server is back');
    } else if (what < 44) this.losesReply = true;
    else if (what === 44) this.server.cut();
    else if (what === 45) this.server.refuse('chat:send', { code: this.pick(['forbidden', 'unavailable']) });
    else if (what === 46) {
      this.ahead += 49 * HOUR_MS;
      this.trace('two days pass');
    } else if (what < 51) this.touch(one);
    await this.advance(this.pick([2, 2, 5, 40, 300]));
  }

  /** All is well again, and everybody comes back. */
  async settle() {
    this.losesReply = false;
    this.server.faults.unreachable = false;
    for (const one of this.tabs) if (one.isFrozen) this.wake(one);
    await this.advance(3_000);
    for (const one of [...this.tabs]) this.end(one, true);
    await this.advance(10);
    for (const user of USERS) {
      this.open(user, 'url');
      await this.advance(3_000);
    }
    for (const { client } of this.tabs) for (const { status, text } of client.unsent) assert.match(status, /failed|expired/, `${text} is ${status} in the end`);
    for (const one of [...this.tabs]) this.end(one, true);
  }

  check() {
    const rows = this.browser.rows(DATABASE, 'messages');
    for (const message of this.written) {
      const { text, author, fate, isKnown, isDiscarded } = message;
      const entries = this.stored(text);
      const kept = rows.filter((row) => row.text === text);
      assert.ok(entries.length <= 1, `${text} is stored ${entries.length} times`);
      if (entries.length === 1) assert.equal(entries[0].payload.from, author, `${text} of ${author} is stored in the name of ${entries[0].payload.from}`);
      if (fate === 'cancelled') assert.equal(entries.length, 0, `${text} was cancelled, and is stored`);
      if (fate !== 'wanted' || isDiscarded || entries.length === 1) continue;
      assert.equal(kept.length, 1, `${text} of ${author} is gone`);
      const [{ user, failed }] = kept;
      // What nobody known wrote waits in its own tab, or for an answer.
      if (!isKnown) continue;
      assert.equal(user, author, `${text} of ${author} is kept for ${user}`);
      assert.ok(failed, `${text} of ${author} is kept, and not sent`);
    }
    const pages = new Set(this.written.map(({ page, room, author }) => `${page} ${room} ${author}`));
    for (const page of pages) {
      const own = this.written.filter((one) => `${one.page} ${one.room} ${one.author}` === page && !one.isRetried);
      const seqs = own.flatMap(({ text }) => this.stored(text).map(({ payload }) => payload.seq));
      assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b), `what ${page} has sent is out of order: ${own.map(({ text }) => text)}`);
    }
  }
}

for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
  test(`what two users write in a browser is stored once by its author, or kept for them (seed ${seed})`, async () => {
    const world = new World(seed);
    for (let step = 0; step < STEPS; step += 1) await world.step();
    await world.settle();
    world.check();
  });
}
