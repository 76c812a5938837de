// The client against the real server, over real sockets that are cut again and again: what it has seen is the log.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect } from '../src/index.js';
import { leaderTab } from '../src/leader.js';
import { behindFirewall, browser, cuttable, log, serve, until } from './support.js';

const STREAMS = 'streams={ state = { publish = true }, log = { keep = 1000, publish = true }, cam = { keep = 100, binary = true, publish = true } }';
const LIMITS = ['requests_per_second=5000', 'burst=5000', 'connections_per_address_minute=0', 'listed_rooms=3'].flatMap((limit) => ['--set', `limits.${limit}`]);
let server;

before(async () => {
  server = await serve('--set', STREAMS, ...LIMITS);
});
after(() => server.end());

const client = (user, options) => cuttable(server.url, user, options);

test('a first program of a few lines', async () => {
  const ada = client('ada-first');
  const room = ada.room('first', { join: true });
  const { seq } = await room.send('hello');
  assert.deepEqual((await log(room)).map((entry) => entry.text ?? entry.type), ['joined', 'hello']);
  assert.equal(seq, 2);
  assert.equal((await ada.presence.list()).users.some(({ user }) => user === 'ada-first'), true);
  ada.close();
  assert.equal(ada.state.name, 'closed');
});

test('a room whose position is refused where nothing seems to be missing is read and comes alive', async () => {
  const ada = client('ada-refused', { timeout: 300 });
  const bob = client('bob-refused');
  const [room, theirs] = [ada.room('refused', { join: true }), bob.room('refused', { join: true })];
  const seen = [];
  room.on('message', ({ text }) => seen.push(text));
  await until(() => room.membership === 'member', 'membership');
  await theirs.send('one');
  await until(() => seen.length === 1, 'the first');
  // Said after its `hello` and before its `resume`, of which the network makes a position that there is not.
  // What is asked then is lost at first.
  ada.network.forge = async (text) => {
    const message = JSON.parse(text);
    if (message.type === 'chat:history') {
      ada.network.forge = undefined;
      return undefined;
    }
    if (message.type !== 'resume') return text;
    await theirs.send('three');
    message.payload.rooms.refused = 1_000_000;
    return JSON.stringify(message);
  };
  ada.pause();
  await theirs.send('two');
  ada.retryNow();
  await until(() => seen.length === 3, 'what was said in between');
  await theirs.send('four');
  await until(() => seen.length === 4, 'what is said after it');
  assert.deepEqual(seen, ['one', 'two', 'three', 'four']);
  for (const one of [ada, bob]) one.close();
});

/** Somebody who can be cut, by each way to be connected. */
const WAYS = {
  'a connection': (user) => client(user),
  'events and calls': (user) => behindFirewall(server.url, user),
  'a connection of all tabs': (user) => {
    const made = connect(`${server.url}/ws?user=${user}`, { tabs: leaderTab(), backoff: { min: 5, max: 50 }, env: browser().tab().env });
    return Object.assign(made, { cut: () => made.retryNow() });
  },
};

for (const [way, come] of Object.entries(WAYS)) {
  test(`of more rooms than a greeting lists none is missing, and each goes on: by ${way}`, async () => {
    const [ada, bob] = ['ada', 'bob'].map((name) => client(`${name}-many-${way.length}`));
    const names = Array.from({ length: 11 }, (_, at) => `many-${way.length}-${at}`);
    for (const one of [ada, bob]) for (const name of names) await one.room(name).join();
    const late = come(`ada-many-${way.length}`);
    await late.ready();
    const known = () => late.snapshot().rooms.filter(({ membership }) => membership === 'member').map(({ room }) => room).sort();
    assert.deepEqual(known(), [...names].sort());
    const heard = [];
    for (const name of names) late.room(name).on('message', ({ text }) => heard.push(`${name} ${text}`));
    for (const text of ['one', 'two']) {
      late.cut();
      for (const name of names) await bob.room(name).send(text);
      await until(() => heard.length === names.length, 'what was said while away');
      assert.deepEqual(heard.splice(0).sort(), names.map((name) => `${name} ${text}`).sort());
      await late.ready();
      assert.deepEqual(known(), [...names].sort());
    }
    await ada.room(names[7]).leave();
    await until(() => known().length === 10, 'a room less');
    for (const one of [ada, bob, late]) one.close();
  });
}

test('what a room is called is known when it changes', async () => {
  const [ada, bob] = [client('ada-title'), client('bob-title')];
  const [room, theirs] = [ada.room('title', { join: true }), bob.room('title', { join: true })];
  await until(() => room.membership === 'member' && theirs.membership === 'member', 'membership');
  const told = [];
  theirs.on('updated', ({ title }) => told.push(title));
  await ada.request('room:update', { room: 'title', title: 'Tea time' });
  await until(() => theirs.title === 'Tea time' && room.title === 'Tea time', 'the title');
  assert.deepEqual([told, bob.snapshot().rooms[0].title], [['Tea time'], 'Tea time']);
  for (const one of [ada, bob]) one.close();
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
  const [ada, bob] = [behindFirewall(server.url, 'ada-events'), client('bob-events')];
  const [room, theirs] = [ada.room('events', { join: true }), bob.room('events', { join: true })];
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
  // After a loss it goes the way that it went: what did not open then is not waited for now.
  const states = [];
  const off = ada.on('state', ({ name }) => states.push(name));
  ada.cut();
  await until(() => states.at(-1) === 'online', 'the return');
  off();
  assert.deepEqual(states, ['waiting', 'connecting', 'authenticating', 'online']);
  ada.network.isOpen = true;
  await until(() => ada.state.name === 'online' && ada.state.via === undefined, 'the WebSocket');
  await theirs.send('by a WebSocket');
  await until(() => seen.length === 6, 'the last one');
  for (const one of [ada, bob]) one.close();
});

test('streams come by events too, and go on where they were', async () => {
  const [ada, bob] = [behindFirewall(server.url, 'ada-streams'), client('bob-streams')];
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

test('a tab that comes back to a log of bytes is told what it has missed, or that it has', async (t) => {
  const { tab } = browser();
  const open = () => {
    const client = connect(`${server.url}/ws?user=ada-cam`, { tabs: leaderTab(), backoff: { min: 5, max: 50 }, env: tab().env });
    t.after(() => client.close());
    return client;
  };
  const publish = async (value) => {
    const { ok } = await fetch(`${server.url}/api/v1/streams/cam?user=ada-cam`, { method: 'POST', body: Uint8Array.of(value) });
    assert.ok(ok);
  };
  await publish(1);
  // The first leads, the other watches first.
  const one = open();
  await one.ready();
  const other = open();
  const seen = [[], []];
  for (const [place, client] of [[1, other], [0, one]]) {
    client.stream('cam').on(([value]) => seen[place].push(value));
    client.stream('cam').on('gap', ({ after }) => seen[place].push(`gap after ${after}`));
    await until(() => seen[1].length === 1, 'the first');
  }
  other.pause();
  for (const value of [2, 3]) await publish(value);
  await until(() => seen[0].at(-1) === 3, 'what the other misses');
  other.retryNow();
  await until(() => seen[1].length > 1, 'what it is told of that');
  await publish(4);
  await until(() => seen.every((of) => of.at(-1) === 4), 'the last');
  assert.deepEqual(seen, [[2, 3, 4], [1, 'gap after 1', 4]]);
});

test('ten thousand messages while away come in order', async () => {
  const [ada, bob] = [client('ada-away'), client('bob-away')];
  const seen = [];
  const room = ada.room('away', { join: true });
  room.on('message', ({ text }) => seen.push(Number(text)));
  await until(() => room.membership === 'member', 'membership');
  ada.pause();
  const theirs = bob.room('away', { join: true });
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
  const room = ada.room('killed', { join: true });
  await room.send('before');
  const gaps = [];
  room.on('gap', ({ reason }) => gaps.push(reason));
  await server.restart();
  await ada.ready();
  await until(() => gaps.length > 0, 'the gap');
  assert.deepEqual(gaps, ['epoch_changed']);
  await room.send('after');
  assert.deepEqual((await log(room)).map(({ text }) => text).filter(Boolean), ['after']);
  ada.close();
});
