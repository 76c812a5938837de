// The client against the real server, over real sockets that are cut again and again: what it has seen is the log.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from '../src/index.js';

const ROOT = new URL('../../../', import.meta.url);
const { WebSocket } = createRequire(new URL('tests/', ROOT))('ws');
const BINARY = process.env.PARLOR_BIN ?? fileURLToPath(new URL('target/release/parlor', ROOT));
const PATIENCE_MS = 20_000;

let server;
let port;

before(async () => {
  assert.ok(existsSync(BINARY), `${BINARY} is missing: cargo build --release, or set PARLOR_BIN`);
  port = await new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address();
      probe.close(() => resolve(free));
    });
  });
  await start();
});

after(() => server.kill('SIGKILL'));

async function start() {
  const limits = ['requests_per_second=5000', 'burst=5000', 'connections_per_address_minute=0'].flatMap((limit) => ['--set', `limits.${limit}`]);
  // Its own variables have this prefix, and an unknown one is an error.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLOR_')));
  const streams = 'streams={ state = { publish = true }, log = { keep = 1000, publish = true } }';
  server = spawn(BINARY, ['serve', '--set', streams, '--set', 'log.level=error', '--listen', `127.0.0.1:${port}`, '--data', ':memory:', ...limits], { stdio: ['ignore', 'ignore', 'inherit'], env });
  await until(async () => (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null))?.ok);
}

async function until(holds, what = 'it') {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `${what} never came to be`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** No WebSocket opens there; what goes by events and calls can be cut. */
function behindFirewall(user, options = {}) {
  let ends = new AbortController();
  const network = { isOpen: false };
  class Blocked {
    constructor(url) {
      if (network.isOpen) return new WebSocket(url);
      setTimeout(() => this.onclose?.({ code: 1006 }), 1);
    }
    close() {}
  }
  const env = {
    WebSocket: Blocked,
    fetch: (url, how) => fetch(url, { ...how, signal: AbortSignal.any([how.signal, ends.signal]) }),
    // The minute after which a WebSocket is tried again.
    setTimeout: (fn, ms) => setTimeout(fn, ms === 60_000 ? 50 : ms),
  };
  const made = connect(`http://127.0.0.1:${port}/ws?user=${user}`, { backoff: { min: 5, max: 50 }, fallback: 'sse', quality: { interval: 0 }, ...options, env });
  const cut = () => (ends.abort(), (ends = new AbortController()));
  return Object.assign(made, { cut, network });
}

/** A client whose sockets can be cut. */
function client(user, options = {}) {
  const sockets = new Set();
  class Cuttable extends WebSocket {
    constructor(url) {
      super(url);
      sockets.add(this);
      this.on('close', () => sockets.delete(this));
    }
  }
  const made = connect(`http://127.0.0.1:${port}/ws?user=${user}`, { backoff: { min: 5, max: 50 }, ...options, env: { WebSocket: Cuttable } });
  return Object.assign(made, { cut: () => sockets.forEach((socket) => socket.terminate()) });
}

/** Numbers that look random, and are the same each time. */
function chance(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** All of a room's log. */
async function log(room) {
  const all = [];
  for (let after = 0, more = true; more; after = all.at(-1).seq) {
    const page = await room.history({ after });
    all.push(...page.entries);
    more = page.more;
  }
  return all;
}

test('a first program of a few lines', async () => {
  const ada = client('ada-first');
  const room = ada.room('first');
  const { seq } = await room.send('hello');
  assert.deepEqual((await log(room)).map((entry) => entry.text ?? entry.type), ['joined', 'hello']);
  assert.equal(seq, 2);
  assert.equal((await ada.presence.list()).users.some(({ user }) => user === 'ada-first'), true);
  ada.close();
  assert.equal(ada.state.name, 'closed');
});

test('a conversation of two begins with its first message', async () => {
  const [ada, bob] = [client('ada-direct'), client('bob-direct')];
  assert.throws(() => ada.direct('bob-direct'), { code: 'not_ready' });
  await Promise.all([ada.ready(), bob.ready()]);
  const heard = new Promise((resolve) => bob.direct('ada-direct').on('message', ({ text, seq }) => resolve([seq, text])));
  const sent = await ada.direct('bob-direct').send('psst');
  assert.equal(sent.room, 'dm:ada-direct:bob-direct');
  assert.deepEqual(await heard, [sent.seq, 'psst']);
  assert.equal((await bob.direct('ada-direct').send('yes?')).room, sent.room);
  assert.deepEqual((await log(ada.direct('bob-direct'))).map(({ text }) => text), ['psst', 'yes?']);
  for (const one of [ada, bob]) one.close();
});

test('where no WebSocket comes through it goes by events and calls, and says so, until one does', async () => {
  const [ada, bob] = [behindFirewall('ada-events'), client('bob-events')];
  const [room, theirs] = [ada.room('events'), bob.room('events')];
  const seen = [];
  room.on('message', ({ text }) => seen.push(text));
  await ada.ready();
  assert.equal(ada.state.via, 'sse');
  assert.match(JSON.stringify(ada.why()), /close 1006/);
  await until(() => room.membership === 'member', 'membership');
  await theirs.send('to you');
  const { seq } = await room.send('to me');
  await until(() => seen.length === 2, 'both');
  assert.deepEqual(seen, ['to you', 'to me']);
  // What is refused is refused in the same words.
  await assert.rejects(ada.request('chat:edit', { room: 'events', seq, text: 'x'.repeat(20_000) }), { code: 'too_large' });
  await assert.rejects(ada.request('nonsense'), { code: 'unknown_type' });
  const typed = new Promise((resolve) => theirs.on('typing', ({ user }) => resolve(user)));
  room.typing();
  assert.equal(await typed, 'ada-events');
  assert.equal((await ada.presence.list()).users.some(({ user }) => user === 'bob-events'), true);
  // What was missed while it was away is read.
  ada.pause();
  for (const text of ['a', 'b', 'c']) await theirs.send(text);
  ada.retryNow();
  await until(() => seen.length === 5, 'what was missed');
  assert.deepEqual(seen.slice(2), ['a', 'b', 'c']);
  ada.network.isOpen = true;
  await until(() => ada.state.name === 'online' && ada.state.via === undefined, 'the WebSocket');
  await theirs.send('by a WebSocket');
  await until(() => seen.length === 6, 'the last one');
  for (const one of [ada, bob]) one.close();
});

test('streams come by events too, and go on where they were', async () => {
  const [ada, bob] = [behindFirewall('ada-streams'), client('bob-streams')];
  await bob.ready();
  await bob.stream('log').publish(1);
  // The data of a state may be a list, which is no log.
  await bob.stream('state').publish([{ seq: 1 }, 2]);
  const [seen, states] = [[], []];
  ada.stream('log').on((data, { seq }) => seen.push([seq, data]));
  ada.stream('state').on((data) => states.push(data));
  await until(() => seen.length === 1 && states.length === 1, 'the snapshots');
  assert.deepEqual(states, [[{ seq: 1 }, 2]]);
  await bob.stream('log').publish(2);
  await until(() => seen.length === 2, 'an event');
  ada.cut();
  for (const n of [3, 4, 5]) await bob.stream('log').publish(n);
  await until(() => seen.length === 5, 'what was missed');
  assert.deepEqual(seen, [1, 2, 3, 4, 5].map((n) => [n, n]));
  await assert.rejects(ada.request('subscribe', { stream: 'none' }), { code: 'no_such_stream' });
  const others = [];
  bob.stream('state').on((data) => others.push(data));
  await until(() => others.length === 1, 'the state');
  assert.deepEqual(others, [[{ seq: 1 }, 2]]);
  for (const one of [ada, bob]) one.close();
});

for (const seed of [1, 2, 3, 4, 5, 6]) {
  const open = seed > 4 ? behindFirewall : client;
  test(`whatever is cut, the transcript is the log (seed ${seed}${seed > 4 ? ', by events' : ''})`, async () => {
    const below = chance(seed);
    const name = `model-${seed}`;
    const people = ['ada', 'bob', 'eve'].map((user) => open(`${user}-${seed}`));
    const rooms = people.map((one) => one.room(name));
    const seen = people.map(() => []);
    rooms.forEach((room, place) => room.on('entry', (entry) => seen[place].push(entry)));
    await Promise.all(people.map((one) => one.ready()));
    await until(() => rooms.every(({ membership }) => membership === 'member'), 'membership');
    const tickets = people.map(() => []);
    for (let step = 0; step < 400; step += 1) {
      const place = below(3);
      switch (below(12)) {
        case 0:
          people[place].cut();
          break;
        case 1:
          await new Promise((resolve) => setTimeout(resolve, below(20)));
          break;
        case 2:
          people[place].pause();
          break;
        case 3:
          people[place].retryNow();
          break;
        case 4:
          rooms[place].react(1, '👍', below(2) === 0).catch(() => {});
          break;
        default:
          tickets[place].push(rooms[place].send(`${place} ${tickets[place].length}`));
      }
    }
    people.forEach((one) => one.retryNow());
    const stored = await Promise.all(tickets.flat());
    assert.equal(new Set(stored.map(({ seq }) => seq)).size, stored.length, 'one entry for each');
    const all = await log(rooms[0]);
    await until(() => rooms.every(({ last }) => last === all.at(-1).seq), 'the last entry');
    for (const [place, entries] of seen.entries()) {
      const first = entries[0].seq;
      assert.deepEqual(entries.map(({ seq }) => seq), all.filter(({ seq }) => seq >= first).map(({ seq }) => seq), 'once, in order, no hole');
      const own = all.filter(({ type, from }) => type === 'message' && from.startsWith(['ada', 'bob', 'eve'][place]));
      assert.deepEqual(own.map(({ text }) => text), tickets[place].map(({ text }) => text), 'one writer, in the order of its sends');
    }
    people.forEach((one) => one.close());
  });
}

test('ten thousand messages while away come in order', async () => {
  const [ada, bob] = [client('ada-away'), client('bob-away')];
  const seen = [];
  const room = ada.room('away');
  room.on('message', ({ text }) => seen.push(Number(text)));
  await until(() => room.membership === 'member', 'membership');
  ada.pause();
  const theirs = bob.room('away');
  const sent = [];
  // As many as a client may have under way wait in its outbox, whose writer is one.
  for (let n = 0; n < 10_000; n += 1) sent.push(theirs.send(String(n)));
  await sent.at(-1);
  ada.retryNow();
  await until(() => seen.length === 10_000, 'the last message');
  assert.deepEqual(seen, Array.from({ length: 10_000 }, (_, n) => n));
  ada.close();
  bob.close();
});

test('a server that was killed is found again, and says that its logs are others', async () => {
  const ada = client('ada-killed', { backoff: { min: 20, max: 200 } });
  const room = ada.room('killed');
  await room.send('before');
  const gaps = [];
  room.on('gap', ({ reason }) => gaps.push(reason));
  server.kill('SIGKILL');
  await until(() => ada.state.name === 'waiting', 'the loss');
  await start();
  await ada.ready();
  await until(() => gaps.length > 0, 'the gap');
  assert.deepEqual(gaps, ['epoch_changed']);
  await room.send('after');
  assert.deepEqual((await log(room)).map(({ text }) => text).filter(Boolean), ['after']);
  ada.close();
});
