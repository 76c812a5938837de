// The client in React Native, with mocks of what an application hands in, and without what its engine does not have.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect } from '../src/index.js';
import { nativeEnv, storageOutbox } from '../src/native.js';
import { connect as connectStreams } from '../src/streams.js';
import { fakeServer } from '../src/testing.js';
import { chance } from './support.js';

const { URL: WebURL, TextDecoder: WebTextDecoder } = globalThis;

/** As React Native's own, which cannot be changed. */
class NativeURL {
  #href;
  constructor(href) {
    this.#href = href;
  }
  get protocol() {
    return this.#href.split('//')[0];
  }
  get href() {
    return this.#href;
  }
  get searchParams() {
    const none = () => assert.fail('URLSearchParams.set is not implemented');
    return { set: none, get: none, has: none, delete: none };
  }
}
before(() => {
  globalThis.URL = NativeURL;
  delete globalThis.TextDecoder;
});
after(() => Object.assign(globalThis, { URL: WebURL, TextDecoder: WebTextDecoder }));

/** `AppState` of react-native. */
function fakeAppState() {
  const listeners = new Set();
  return {
    currentState: 'active',
    listeners,
    addEventListener(type, fn) {
      assert.equal(type, 'change');
      const one = { fn };
      listeners.add(one);
      return { remove: () => listeners.delete(one) };
    },
    become(state) {
      this.currentState = state;
      for (const { fn } of listeners) fn(state);
    },
  };
}

/** `NetInfo`, which tells what is as soon as one listens. */
function fakeNetInfo() {
  const listeners = new Set();
  let isConnected = null;
  return {
    listeners,
    addEventListener(fn) {
      listeners.add(fn);
      fn({ isConnected });
      return () => listeners.delete(fn);
    },
    become(next) {
      isConnected = next;
      for (const fn of listeners) fn({ isConnected });
    },
  };
}

/** What is on a device's disk, and `AsyncStorage` of one process on it: what is not yet written when that ends never is. */
function fakeDevice(clock) {
  const disk = new Map();
  const start = () => {
    let isAlive = true;
    const faults = { full: false };
    const later = (act) => new Promise((resolve, reject) => clock.setTimeout(() => {
      if (!isAlive) return;
      try {
        resolve(act());
      } catch (error) {
        reject(error);
      }
    }, 1));
    const storage = {
      getItem: (key) => later(() => disk.get(key) ?? null),
      setItem: (key, value) => later(() => {
        if (faults.full) throw new Error('the disk is full');
        disk.set(key, value);
      }),
      removeItem: (key) => later(() => void disk.delete(key)),
      getAllKeys: () => later(() => [...disk.keys()]),
    };
    return { storage, faults, end: () => (isAlive = false) };
  };
  return { disk, start };
}

function begin() {
  const server = fakeServer();
  for (const user of ['ada', 'bob']) server.admit('tea', user);
  const { clock } = server;
  const device = fakeDevice(clock);
  let chances = 0;
  /** A process of the application. */
  const start = (url, options = {}) => {
    const process = device.start();
    const [AppState, NetInfo] = [fakeAppState(), fakeNetInfo()];
    const reports = [];
    const report = (error) => reports.push(String(error));
    const env = { ...server.env, random: () => (chances += 0.001), report, ...nativeEnv({ AppState, NetInfo }) };
    const outbox = storageOutbox(process.storage, { env: { ...server.env, report } });
    const client = connect(url, { outbox, quality: { interval: 0 }, backoff: { min: 10, max: 20 }, ...options, env });
    const crash = () => {
      process.end();
      for (const socket of server.sockets) socket.onclose = socket.onmessage = null;
      client.close();
    };
    const texts = () => client.unsent.map(({ text, status, error }) => `${text} ${status} ${error?.code ?? ''}`.trim());
    return { ...process, AppState, NetInfo, reports, outbox, client, crash, texts, room: client.room('tea') };
  };
  const stored = () => server.rooms.get('tea').entries.filter(({ type }) => type === 'chat:message').map(({ payload: { from, text } }) => `${from} ${text}`);
  return { server, clock, device, start, stored };
}
const ADA = 'wss://host/ws?user=ada&lang=en%20GB';

test('it connects with an engine whose URL cannot be changed, and its parameters stay', async () => {
  const { server, clock, start } = begin();
  const urls = [];
  const Socket = server.env.WebSocket;
  class Seen extends Socket {
    constructor(url) {
      super(url);
      urls.push(url);
    }
  }
  const { AppState } = start(ADA);
  const env = { ...server.env, ...nativeEnv({ AppState }), WebSocket: Seen };
  const clients = [[connect, 'https://host/chat/ws?anonymous=1&user=ada#x', { token: 'ada.1' }], [connectStreams, 'http://host', {}], [connect, 'ws://host/ws?', {}], [connect, ' HTTPS://host/ws?%61nonymous=1&n=José García', { token: 'ada.1' }], [connect, 'ws://host/ws?user=50%', {}]].map(([by, url, options]) => by(url, { ...options, env }));
  await clock.advance(100);
  assert.deepEqual(urls, ['wss://host/chat/ws?user=ada', 'ws://host?resume=1', 'ws://host/ws?resume=1', 'wss://host/ws?n=Jos%C3%A9%20Garc%C3%ADa', 'ws://host/ws?user=50%&resume=1']);
  assert.equal(clients[0].state.name, 'online');
  const relative = connect('/ws', { env: { ...env, report: () => {} } });
  await clock.advance(10);
  assert.match(relative.state.reason, /is no whole URL/);
});

test('an application that is put away rests, and looks at once when it is back', async () => {
  const { server, clock, start } = begin();
  server.publish('board', 1);
  const { client, AppState } = start(ADA, { whenHidden: { afterMs: 1_000 } });
  const board = client.stream('board', { whenHidden: 'pause' });
  board.on(() => {});
  await clock.advance(100);
  assert.equal(board.latest.data, 1);
  // As while iOS asks something.
  AppState.become('inactive');
  await clock.advance(2_000);
  assert.equal(client.state.name, 'online');
  server.publish('board', 2);
  await clock.advance(10);
  assert.equal(board.latest.data, 2);
  AppState.become('background');
  await clock.advance(10);
  server.publish('board', 3);
  await clock.advance(10);
  assert.equal(board.latest.data, 2);
  await clock.advance(1_000);
  assert.deepEqual([client.state.name, client.state.reason], ['paused', 'hidden']);
  AppState.become('inactive');
  AppState.become('active');
  await clock.advance(100);
  assert.deepEqual([client.state.name, board.latest.data], ['online', 3]);
});

test('a connection that was lost in the background is noticed when the application is back', async () => {
  const { server, clock, start } = begin();
  const { client, AppState } = start(ADA);
  await clock.advance(100);
  AppState.become('background');
  server.faults.silent = true;
  await clock.advance(600_000);
  const before = server.attempts;
  AppState.become('active');
  await clock.advance(5_100);
  server.faults.silent = false;
  await clock.advance(16_000);
  assert.ok(server.attempts > before);
  assert.equal(client.state.name, 'online');
});

test('a network that is back is no longer waited for', async () => {
  const { server, clock, start } = begin();
  const { client, NetInfo } = start(ADA, { backoff: { min: 60_000, max: 60_000, jitter: 'none' } });
  await clock.advance(100);
  NetInfo.become(true);
  server.faults.unreachable = true;
  server.cut();
  NetInfo.become(false);
  await clock.advance(1_000);
  assert.equal(client.state.name, 'waiting');
  server.faults.unreachable = false;
  NetInfo.become(null);
  NetInfo.become(true);
  await clock.advance(100);
  assert.equal(client.state.name, 'online');
});

test('what is closed listens to nothing any more, and does again when it is tried again', async () => {
  const { server, clock, start } = begin();
  const { client, AppState, NetInfo } = start(ADA);
  await clock.advance(100);
  assert.deepEqual([AppState.listeners.size, NetInfo.listeners.size], [1, 1]);
  client.close();
  assert.deepEqual([AppState.listeners.size, NetInfo.listeners.size], [0, 0]);
  AppState.become('background');
  client.retryNow();
  await clock.advance(100);
  assert.deepEqual([AppState.listeners.size, NetInfo.listeners.size, client.state.name], [1, 1, 'online']);
  server.publish('board', 1);
  client.stream('board', { whenHidden: 'pause' }).on(() => assert.fail('nobody sees it'));
  await clock.advance(100);
  assert.equal(client.stream('board').latest, null);
});

for (const [how, url, options] of [['the URL', ADA, {}], ['the application', 'wss://host/ws', { user: 'ada', token: () => 'ada.1' }]]) {
  test(`what is unsent survives the end of the application, and is there before the server has answered, where ${how} says who one is`, async () => {
    const { server, clock, start, stored, device } = begin();
    server.faults.unreachable = true;
    const one = start(url, options);
    for (const text of ['first', 'second', 'never']) one.room.send(text);
    await clock.advance(20);
    one.client.unsent.at(-1).cancel();
    await clock.advance(20);
    one.crash();
    const other = start('wss://host/ws?user=bob');
    const again = start(url, options);
    await clock.advance(20);
    assert.deepEqual([again.texts(), other.texts()], [['first queued', 'second queued'], []]);
    server.faults.unreachable = false;
    await clock.advance(500);
    assert.deepEqual(stored(), ['ada first', 'ada second']);
    assert.deepEqual([again.texts(), [...device.disk.keys()]], [[], ['parlor-outbox']]);
    assert.deepEqual([one, other, again].flatMap(({ reports }) => reports), []);
  });
}

test('what somebody unknown wrote is theirs whom the server names, and in a later process it is asked about', async () => {
  const { server, clock, start, stored } = begin();
  server.faults.unreachable = true;
  const one = start('wss://host/ws', { token: () => 'ada.1' });
  one.room.send('soon known');
  await clock.advance(20);
  server.faults.unreachable = false;
  await clock.advance(500);
  assert.deepEqual(stored(), ['ada soon known']);
  server.faults.unreachable = true;
  server.cut();
  one.crash();
  const two = start('wss://host/ws', { token: () => 'bob.1' });
  two.room.send('whose?');
  await clock.advance(20);
  two.crash();
  const three = start('wss://host/ws', { token: () => 'ada.1' });
  server.faults.unreachable = false;
  await clock.advance(500);
  assert.deepEqual([stored(), three.texts()], [['ada soon known'], ['whose? failed unconfirmed']]);
  three.client.unsent[0].retry();
  await clock.advance(100);
  assert.deepEqual(stored(), ['ada soon known', 'ada whose?']);
});

test('signing out keeps or discards what one user has left, and nothing else', async () => {
  const { server, clock, start, stored, device } = begin();
  server.faults.unreachable = true;
  const [ada, bob] = [start(ADA), start('wss://host/ws?user=bob')];
  ada.room.send('of ada');
  bob.room.send('of bob');
  await clock.advance(20);
  for (const [one, keep] of [[ada, true], [bob, false]]) {
    one.client.pause();
    void one.outbox.signOut({ keep }).then(() => one.client.close());
    await clock.advance(20);
    assert.equal(one.client.state.name, 'closed');
  }
  assert.deepEqual([...device.disk.values()].map((text) => JSON.parse(text).text), ['of ada']);
  server.faults.unreachable = false;
  start('wss://host/ws?user=bob');
  const again = start(ADA);
  await clock.advance(500);
  assert.deepEqual([stored(), again.texts()], [['ada of ada'], []]);
});

test('what is somebody else\'s is not even read to who is here', async () => {
  const { clock, device } = begin();
  const row = (id, user) => device.disk.set(`parlor-outbox:${id}`, JSON.stringify({ id, room: 'tea', text: `of ${user}`, at: 1, order: 1, user, outbox: 'parlor-outbox' }));
  row('1', 'ada');
  row('2', 'bob');
  const outbox = storageOutbox(device.start().storage);
  const taken = [];
  assert.equal(outbox.begin('wss://host/ws', { user: 'bob' }, (left) => taken.push(...left)), 'bob');
  await clock.advance(20);
  assert.deepEqual(taken, [{ id: '2', room: 'tea', text: 'of bob', at: 1, user: 'bob' }]);
});

test('two clients of one process do not take over the same, and one that is closed leaves it to the next', async () => {
  const { server, clock, start, stored } = begin();
  server.faults.unreachable = true;
  const one = start(ADA);
  one.room.send('once');
  await clock.advance(20);
  const more = (user) => connect(`wss://host/ws?user=${user}`, { outbox: storageOutbox(one.storage), backoff: { min: 10, max: 20 }, env: { ...server.env, ...nativeEnv({ AppState: one.AppState }) } });
  const second = more('ada');
  await clock.advance(20);
  assert.deepEqual([one.client.unsent.length, second.unsent.length], [1, 0]);
  one.client.close();
  second.close();
  const third = more('ada');
  await clock.advance(20);
  assert.deepEqual(third.unsent.map(({ text }) => text), ['once']);
  server.faults.unreachable = false;
  await clock.advance(500);
  assert.deepEqual([stored(), third.unsent], [['ada once'], []]);
});

test('a storage that fails, or has what nobody wrote, is reported, and is in nobody\'s way', async () => {
  const { clock, start, stored, device } = begin();
  const strange = [['x', '{'], ['y', 'null'], ['z', '[]'], ['w', '{"id":"v","outbox":"parlor-outbox"}']].map(([id, text]) => [`parlor-outbox:${id}`, text]);
  // That of another outbox, whose name begins as this one's.
  strange.push(['parlor-outbox:old:1', '{"id":"1","user":"ada","text":"of another","room":"tea","at":1,"order":1,"outbox":"parlor-outbox:old"}']);
  strange.push(['parlor-outbox:old', '{"outbox":"parlor-outbox:old","last":"ada"}']);
  for (const [key, text] of strange) device.disk.set(key, text);
  device.disk.set('of the application', 'its own');
  const one = start(ADA);
  one.faults.full = true;
  await clock.advance(100);
  assert.equal(one.client.state.name, 'online');
  one.room.send('hello');
  await clock.advance(100);
  assert.deepEqual(stored(), ['ada hello']);
  assert.deepEqual(one.texts(), []);
  for (const [key] of strange.slice(0, 4)) assert.ok(one.reports.some((said) => said.includes(`"${key}" is no message`)), key);
  assert.ok(!one.reports.some((said) => said.includes('old')) && one.reports.some((said) => /the disk is full/.test(said)), one.reports.join());
  assert.deepEqual([...device.disk], [...strange, ['of the application', 'its own']]);
});

test('one row that cannot be read keeps no other from being sent', async () => {
  const { server, clock, device, stored, start } = begin();
  const row = (id, more) => device.disk.set(`parlor-outbox:${id}`, JSON.stringify({ id, room: 'tea', text: `number ${id}`, at: clock.now() + Number(id), order: 1, user: 'ada', outbox: 'parlor-outbox', ...more }));
  for (const id of ['3', '1', '2']) row(id);
  row('4', { room: undefined });
  const one = start(ADA);
  const { getItem } = one.storage;
  one.storage.getItem = (key) => (key === 'parlor-outbox:2' ? Promise.reject(new Error('the row is too large')) : getItem(key));
  await clock.advance(500);
  assert.deepEqual([stored(), one.texts()], [['ada number 1', 'ada number 3'], []]);
  assert.ok(one.reports.some((said) => /too large/.test(said)) && one.reports.some((said) => /:4" is no message/.test(said)));
  // Nor is all of it read again with each connection.
  let reads = 0;
  one.storage.getAllKeys = async () => ((reads += 1), []);
  server.cut();
  await clock.advance(500);
  assert.deepEqual([one.client.state.name, reads], ['online', 0]);
});

test('where it cannot be read who was here last, what nobody known wrote is asked about', async () => {
  for (const broken of ['getItem', 'getAllKeys']) {
    const { server, clock, start, stored } = begin();
    const ada = start(ADA);
    await clock.advance(100);
    ada.crash();
    server.faults.unreachable = true;
    const bob = start('wss://host/ws', { token: () => 'bob.1' });
    bob.storage[broken] = () => Promise.reject(new Error('busy'));
    bob.room.send('of ada?');
    server.faults.unreachable = false;
    await clock.advance(500);
    assert.deepEqual([stored(), bob.texts()], [[], ['of ada? failed unconfirmed']], broken);
  }
});

test('signing out before the server has answered discards what the last one has left', async () => {
  const { server, clock, start, device } = begin();
  const one = start('wss://host/ws', { token: () => 'ada.1' });
  await clock.advance(100);
  server.faults.unreachable = true;
  server.cut();
  one.room.send('secret');
  await clock.advance(20);
  one.crash();
  const again = start('wss://host/ws', { token: () => 'ada.1' });
  await clock.advance(20);
  assert.deepEqual(again.texts(), ['secret queued']);
  again.client.pause();
  const signedOut = again.outbox.signOut();
  again.room.send('and another');
  void signedOut.then(() => again.client.close());
  await clock.advance(50);
  assert.deepEqual([...device.disk], []);
});

test('what another client has taken over is not sent by one that is tried again', async () => {
  const { server, clock, start, stored } = begin();
  server.faults.unreachable = true;
  const one = start(ADA);
  const ticket = one.room.send('taken back');
  await clock.advance(20);
  one.client.close();
  const env = { ...server.env, ...nativeEnv({ AppState: one.AppState }) };
  const other = connect(ADA, { outbox: storageOutbox(one.storage, { env }), backoff: { min: 10, max: 20 }, env });
  await clock.advance(20);
  assert.equal(other.unsent[0].cancel(), true);
  server.faults.unreachable = false;
  one.client.retryNow();
  await clock.advance(500);
  assert.deepEqual([stored(), ticket.error.code], [[], 'taken']);
});

test('a storage that never answers keeps nobody from going online', async () => {
  const { server, clock, stored } = begin();
  const never = () => new Promise(() => {});
  const reports = [];
  const env = { ...server.env, report: (error) => reports.push(String(error)), ...nativeEnv({ AppState: fakeAppState() }) };
  const client = connect(ADA, { outbox: storageOutbox({ getItem: never, setItem: never, removeItem: never, getAllKeys: never }, { env }), env });
  void client.room('tea').send('hello');
  await clock.advance(6_000);
  assert.deepEqual([client.state.name, stored(), reports], ['online', ['ada hello'], ['Error: the storage does not answer: what is unsent in it waits']]);
});

// Two users of one device, and processes that end at any moment: what was written and not taken back is stored once, by its
// author and in order, or still kept for them.
const SEEDS = Number(process.env.PARLOR_SEEDS ?? 40);
test(`${SEEDS} seeds: nothing is lost, doubled or sent as another's`, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const below = chance(seed);
    const { server, clock, start, stored, device } = begin();
    const onDisk = (text) => [...device.disk.values()].some((row) => row.includes(`"${text}"`));
    const written = [];
    let one = null;
    let who = 'ada';
    for (let step = 0; step < 80; step += 1) {
      one ??= start(`wss://host/ws?user=${(who = ['ada', 'bob'][below(2)])}`);
      const what = below(10);
      if (what < 3) {
        const message = { text: `m${written.length}`, author: who, at: clock.now() };
        written.push(message);
        const { text } = message;
        one.room.send(text);
        // A process that ends before it is written never said it.
        void clock.setTimeout(() => (message.isKept = onDisk(text) || stored().includes(`${message.author} ${text}`)), 10);
      } else if (what === 3) server.faults.unreachable = !server.faults.unreachable;
      else if (what === 4) server.cut();
      else if (what === 5) {
        one.crash();
        one = null;
      } else if (what === 6) {
        const ticket = one.client.unsent.at(-1);
        const message = written.find(({ text }) => text === ticket?.text);
        if (!ticket?.cancel()) continue;
        // Until that is on the disk the next process may not know it.
        message.isDoubtful = true;
        const process = one;
        // An earlier process may have sent it, and never heard that it is there.
        const isThere = stored().includes(`${message.author} ${message.text}`);
        void clock.setTimeout(() => (message.isTaken = one === process && !isThere && !onDisk(message.text)), 200);
      } else if (what === 7) server.faults.loseReplies = below(3);
      await clock.advance(below(60));
      for (const { text } of one?.client.unsent ?? []) assert.equal(written.find((message) => message.text === text).author, who, `seed ${seed}: ${text}`);
    }
    one?.crash();
    Object.assign(server.faults, { unreachable: false, loseReplies: 0 });
    for (const user of ['ada', 'bob']) {
      const last = start(`wss://host/ws?user=${user}`);
      await clock.advance(60_000);
      assert.deepEqual(last.texts(), [], `seed ${seed}`);
      last.crash();
      const mine = stored().filter((text) => text.startsWith(user)).map((text) => text.split(' ')[1]);
      const wanted = written.filter(({ author, isDoubtful, isKept }) => author === user && !isDoubtful && isKept).map(({ text }) => text);
      assert.deepEqual(wanted.filter((text) => !mine.includes(text)), [], `seed ${seed}: lost`);
      assert.deepEqual(mine, [...new Set(mine)].sort((a, b) => a.slice(1) - b.slice(1)), `seed ${seed}: doubled, or out of order`);
      assert.ok(mine.every((text) => written.some((message) => message.text === text && message.author === user && !message.isTaken)), `seed ${seed}: another's`);
    }
  }
});
