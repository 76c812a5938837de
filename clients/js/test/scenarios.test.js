// The scenarios that all clients play (clients/scenarios): what a server sends and when, and what a client must send and
// tell.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { fakeClock, fakePage } from '../src/testing.js';

const FOLDER = new URL('../../scenarios/', import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8'));
const HELLO = read('hello');
/** When the scenarios begin. */
const BEGIN_MS = 1_800_000_000_000;

/** Whether all that is in one is in the other. */
function has(whole, part) {
  if (Array.isArray(part)) return Array.isArray(whole) && whole.length === part.length && part.every((value, place) => has(whole[place], value));
  if (part === null || typeof part !== 'object') return Object.is(whole, part);
  return typeof whole === 'object' && whole !== null && Object.keys(part).every((name) => name in whole && has(whole[name], part[name]));
}

/** A client that plays a scenario. */
class Player {
  constructor(scenario) {
    const { token, jitter, attempts = Infinity } = scenario.options ?? {};
    const player = this;
    this.clock = fakeClock(BEGIN_MS);
    this.ignores = new Set(['quality', ...(scenario.ignores ?? [])]);
    Object.assign(this, { sent: [], events: [], dialled: 0, dials_: 0, tickets: new Map(), answers: new Map(), asked: null, last: null });
    class Socket {
      constructor() {
        player.socket = this;
        player.dials_ += 1;
        player.sent = [];
      }
      send(text) {
        player.sent.push(JSON.parse(text));
      }
      close() {
        this.onclose = this.onmessage = null;
      }
    }
    const source = ({ reason }) => new Promise((resolve, reject) => (this.asked = { reason, resolve, reject }));
    this.client = connect('ws://host/ws', {
      ...(token === 'asked' && { token: source }),
      backoff: { jitter: jitter ? 'full' : 'none', attempts },
      quality: { interval: 0 },
      env: { ...this.clock, ...fakePage(), WebSocket: Socket },
    });
    const tell = (event, value) => this.events.push({ ...value, event });
    // It has begun before anybody could listen.
    tell('state', this.client.state);
    this.client.on('state', (state) => tell('state', state));
    this.client.on('error', (error) => tell('error', error));
    const text = JSON.stringify(scenario);
    for (const [, name] of new Set(text.matchAll(/"room":"(\w+)"/g))) this.rooms ??= new Set(), this.rooms.add(name);
    for (const name of this.rooms ?? []) {
      const room = this.client.room(name);
      // One of a kind that it does not know comes as what was pushed, too.
      room.on('entry', (entry) => entry.type.includes(':') || tell('entry', entry));
      room.on('gap', (gap) => tell('gap', gap));
      room.on('typing', (typing) => tell('typing', typing));
    }
    for (const type of new Set([...text.matchAll(/"event":"push","type":"([\w:]+)"/g)].map(([, name]) => name))) {
      this.client.on(type, (payload) => tell('push', { type, payload }));
    }
  }

  async play(step) {
    const [[kind, value]] = Object.entries(step);
    await this[kind](value);
    await this.clock.advance(0);
  }

  dials() {
    assert.equal(this.dials_, this.dialled + 1, 'no connection was asked for');
    this.dialled += 1;
  }

  opens() {
    this.socket.onopen?.();
  }

  hello(more) {
    return this.hears({ type: 'hello', payload: { ...HELLO, ...more } });
  }

  hears(message) {
    this.socket.onmessage?.({ data: JSON.stringify(message) });
  }

  sends(wanted) {
    this.last = this.sent.shift();
    assert.ok(has(this.last, wanted), `${JSON.stringify(this.last)} was sent`);
  }

  silent() {
    assert.deepEqual([this.sent, this.dials_], [[], this.dialled]);
  }

  replies(payload) {
    this.hears({ type: 'reply', id: this.last.id, payload });
  }

  refuses(payload) {
    this.hears({ type: 'error', id: this.last.id, payload });
  }

  loses(code) {
    this.socket.onclose?.({ code: code ?? 1006 });
  }

  passes(ms) {
    return this.clock.advance(ms);
  }

  told(every) {
    // Of that a room tells by `membership` alone.
    const wanted = every.filter(({ event }) => event !== 'membership');
    const all = this.events.splice(0).filter(({ event }) => !this.ignores.has(event));
    assert.ok(has(all, wanted), `${JSON.stringify(all)} was told`);
  }

  ticket({ id, ...wanted }) {
    const { status, seq, error } = this.tickets.get(id);
    assert.ok(has({ status, seq, code: error?.code }, wanted), `it is ${status}`);
  }

  answer({ name, ...wanted }) {
    assert.ok(has(this.answers.get(name), wanted), JSON.stringify(this.answers.get(name)));
  }

  asks_token(reason) {
    assert.equal(this.asked?.reason, reason);
  }

  does(action) {
    const [[kind, value]] = Object.entries(action);
    const { client } = this;
    const tell = (event, told) => this.events.push({ ...told, event });
    const actions = {
      send: ({ room, text, id: cid, data, reply_to: replyTo }) => this.tickets.set(cid, client.room(room).send(text, { cid, ...(data && { data }), ...(replyTo && { replyTo }) })),
      cancel: (id) => this.tickets.get(id).cancel(),
      retry: (id) => this.tickets.get(id).retry(),
      token: (token) => this.asked.resolve(token),
      no_token: (message) => this.asked.reject(Object.assign(new Error(message), { fatal: true })),
      join: (name) => client.room(name, { join: true }),
      request: ({ name, type, payload }) => void client.request(type, payload).then((answer) => this.answers.set(name, { payload: answer }), ({ code }) => this.answers.set(name, { code })),
      watch: ({ stream, filter, max_rate: maxRate }) => {
        const watched = client.stream(stream, { filter, maxRate });
        watched.on((data, event) => tell('stream', { skipped: false, ...event }));
        watched.on('gap', (gap) => tell('stream_gap', gap));
        watched.on('refused', ({ code }) => tell('stream_refused', { stream, code }));
      },
      watch_presence: () => client.on('presence', ({ users, count }) => tell('presence', { count, users: Object.fromEntries(users.map(({ user, name }) => [user, name])) })),
      mark_read: ({ room, seq }) => client.room(room).markRead(seq),
      retry_now: () => client.retryNow(),
    };
    actions[kind](value);
  }
}

for (const file of readdirSync(FOLDER).filter((one) => one.endsWith('.json')).sort()) {
  const name = file.replace('.json', '');
  if (name === 'hello') continue;
  test(name, async () => {
    const scenario = read(name);
    const player = new Player(scenario);
    await player.clock.advance(0);
    for (const [place, step] of scenario.steps.entries()) {
      try {
        await player.play(step);
      } catch (error) {
        throw new Error(`${name}.json, step ${place + 1}, ${JSON.stringify(step)}: ${error.message}`, { cause: error });
      }
    }
  });
}
