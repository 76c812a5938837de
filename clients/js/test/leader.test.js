// One connection for all tabs: on a fake clock, with tabs that end in every way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { leaderTab } from '../src/leader.js';
import { fakeBrowser, fakeServer } from '../src/testing.js';

function begin() {
  const server = fakeServer();
  const browser = fakeBrowser(server);
  let random = 0;
  const open = (options = {}, url = 'http://host/ws?user=ada') => {
    const tab = browser.tab();
    random += 1;
    const own = random;
    const env = { ...tab.env, random: () => (own % 97) / 97 };
    const client = connect(url, { tabs: leaderTab(), backoff: { min: 200, max: 500 }, ...options, env });
    return { tab, client };
  };
  return { server, clock: server.clock, open };
}

function transcript(room) {
  const seen = [];
  room.on('message', ({ seq, text }) => seen.push(`${seq} ${text}`));
  room.on('gap', ({ after, before, reason }) => seen.push(`gap ${after}-${before} ${reason}`));
  return seen;
}

test('three tabs have one connection, and each is told all and sends its own', async () => {
  const { server, clock, open } = begin();
  const tabs = [open(), open(), open()];
  const rooms = tabs.map(({ client }) => client.room('tea', { join: true }));
  const seen = rooms.map(transcript);
  await clock.advance(200);
  assert.equal(server.sockets.length, 1);
  assert.deepEqual(tabs.map(({ client }) => client.state.name), ['online', 'online', 'online']);
  const sent = rooms.map((room, place) => room.send(`of ${place}`));
  await clock.advance(200);
  assert.deepEqual(sent.map(({ status }) => status), ['acked', 'acked', 'acked']);
  server.say('tea', 'bob', 'to all');
  await clock.advance(50);
  const all = server.rooms.get('tea').entries.filter(({ type }) => type === 'chat:message').map(({ payload: { seq, text } }) => `${seq} ${text}`);
  assert.equal(all.length, 4);
  for (const one of seen) assert.deepEqual(one, all);
  // A request's answer is for who asked.
  const [one, other] = await Promise.all([tabs[0].client.request('ping'), tabs[1].client.request('ping'), clock.advance(100)]);
  assert.ok(one.ts && other.ts);
});

for (const how of ['is closed', 'crashes']) {
  test(`when the leader ${how} another takes over, and nothing is lost`, async () => {
    const { server, clock, open } = begin();
    const tabs = [open(), open(), open()];
    const rooms = tabs.map(({ client }) => client.room('tea', { join: true }));
    await clock.advance(200);
    const seen = rooms.map(transcript);
    // What is under way at that moment, too.
    const unsure = rooms[1].send('under way');
    if (how === 'crashes') tabs[0].tab.crash();
    else tabs[0].client.close();
    server.say('tea', 'bob', 'meanwhile');
    await clock.advance(3_000);
    assert.equal(server.sockets.length, 1);
    assert.deepEqual(tabs.slice(1).map(({ client }) => client.state.name), ['online', 'online']);
    // Also when nothing comes after it.
    for (const one of seen.slice(1)) assert.ok(one.some((entry) => entry.endsWith('meanwhile')), `${one}`);
    server.say('tea', 'bob', 'later');
    await clock.advance(100);
    assert.equal(unsure.status, 'acked');
    assert.equal(seen[1].length, 3);
    assert.deepEqual(seen[1], seen[2]);
    assert.equal(server.rooms.get('tea').entries.filter(({ payload }) => payload.text === 'under way').length, 1);
  });
}

test('the next leader is there at once', async () => {
  const { server, clock, open } = begin();
  const tabs = [open(), open(), open()];
  await clock.advance(200);
  tabs[0].tab.crash();
  await clock.advance(700);
  assert.deepEqual(tabs.slice(1).map(({ client }) => client.state.name), ['online', 'online']);
  assert.equal(server.sockets.length, 1);
});

test('a token that is refused is the fault of its tab alone', async () => {
  const { server, clock, open } = begin();
  const url = 'http://host/ws';
  server.faults.rejectTokens = 1;
  const bad = open({ token: 'ada.bad' }, url);
  const good = open({ token: () => 'ada.good' }, url);
  await clock.advance(3_000);
  assert.equal(bad.client.state.name, 'failed');
  assert.equal(good.client.state.name, 'online');
});

test('what streams tell others is none of a tab that does not watch, or comes back', async () => {
  const { server, clock, open } = begin();
  server.publish('state', 0);
  const [one, other] = [open(), open()];
  await clock.advance(200);
  const seen = [];
  one.client.stream('state').on(() => {});
  const off = other.client.stream('state').on((data) => seen.push(data));
  await clock.advance(100);
  off();
  await clock.advance(50);
  server.publish('state', 1);
  await clock.advance(50);
  assert.deepEqual(seen, [0]);
  assert.equal(other.client.stream('state').latest.data, 0);
  other.client.stream('state').on((data) => seen.push(`again ${data}`));
  for (let n = 2; n < 6; n += 1) {
    server.publish('state', n);
    await clock.advance(3);
  }
  await clock.advance(100);
  const numbers = seen.map((data) => Number(String(data).replace('again ', '')));
  assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b));
  assert.equal(seen.at(-1), 'again 5');
});

test('a leader that does not answer loses its lead, and follows when it is back', async () => {
  const { server, clock, open } = begin();
  const first = open();
  await clock.advance(200);
  // As frozen: its channel is deaf.
  const channels = first.client;
  assert.equal(channels.state.name, 'online');
  first.tab.freeze();
  const second = open();
  await clock.advance(1_000);
  assert.notEqual(second.client.state.name, 'online');
  await clock.advance(2_000);
  assert.equal(second.client.state.name, 'online');
  first.tab.thaw();
  await clock.advance(3_000);
  assert.equal(first.client.state.name, 'online');
  assert.equal(server.sockets.length, 1);
});

test('a tab of somebody else has a connection of its own', async () => {
  const { server, clock, open } = begin();
  const url = 'http://host/ws';
  const ada = open({ token: 'ada.1' }, url);
  await clock.advance(200);
  const again = open({ token: 'ada.1' }, url);
  await clock.advance(200);
  assert.equal(server.sockets.length, 1);
  const bob = open({ token: 'bob.1' }, url);
  await clock.advance(500);
  assert.deepEqual([ada, again, bob].map(({ client }) => client.hello?.user.id), ['ada', 'ada', 'bob']);
  assert.equal(server.sockets.length, 2);
});

test('a stream is watched once for all, and whoever comes later is told what is there', async () => {
  const { server, clock, open } = begin();
  server.publish('state', 1);
  const [one, other] = [open(), open()];
  await clock.advance(200);
  const seen = [[], []];
  const off = one.client.stream('state').on((data) => seen[0].push(data));
  await clock.advance(100);
  server.publish('state', 2);
  await clock.advance(100);
  other.client.stream('state').on((data) => seen[1].push(data));
  await clock.advance(100);
  server.publish('state', 3);
  await clock.advance(100);
  assert.deepEqual(seen, [[1, 2, 3], [2, 3]]);
  // How old it is they are told alike, and who comes later, too.
  const stale = (told) => server.push('stream:stale', { stream: 'state', ...told });
  stale({ stale: true, since: 7, age_ms: 500 });
  await clock.advance(100);
  const late = open();
  await clock.advance(200);
  late.client.stream('state').on(() => {});
  await clock.advance(100);
  const ages = () => [one, other, late].map(({ client }) => client.stream('state').stale);
  assert.deepEqual(ages(), Array(3).fill({ since: 7, ageMs: 500 }));
  stale({ stale: false });
  await clock.advance(100);
  assert.deepEqual(ages(), Array(3).fill(null));
  late.client.close();
  await clock.advance(100);
  const asked = () => server.sockets[0].heard.filter(({ type }) => type === 'subscribe' || type === 'unsubscribe').map(({ type }) => type);
  off();
  await clock.advance(100);
  server.publish('state', 4);
  await clock.advance(100);
  assert.deepEqual(seen, [[1, 2, 3], [2, 3, 4]]);
  assert.deepEqual(asked(), ['subscribe']);
  // One that ends without a word watches nothing any more.
  other.tab.crash();
  await clock.advance(1_500);
  assert.deepEqual(asked(), ['subscribe', 'unsubscribe']);
});

test('a tab that comes back goes on in a stream where it was, and is told nothing twice', async () => {
  const { server, clock, open } = begin();
  server.publish('state', 1);
  const [one, other] = [open(), open()];
  await clock.advance(200);
  const seen = [];
  one.client.stream('state').on(() => {});
  other.client.stream('state').on((data) => seen.push(data));
  await clock.advance(100);
  other.client.pause();
  await clock.advance(100);
  other.client.retryNow();
  await clock.advance(300);
  assert.deepEqual(seen, [1]);
  other.client.pause();
  server.publish('state', 2);
  await clock.advance(100);
  other.client.retryNow();
  await clock.advance(300);
  assert.deepEqual(seen, [1, 2]);
  // Another filter would be another subscription of the one connection.
  const third = open();
  await clock.advance(300);
  await assert.rejects(Promise.all([third.client.request('subscribe', { stream: 'state', max_rate: 1 }), clock.advance(200)]), { code: 'conflict' });
});

test('whatever tabs do, each has seen the log', async () => {
  let state = 7;
  const below = (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
  const { server, clock, open } = begin();
  const tabs = [];
  const enter = () => {
    const { tab, client } = open();
    const room = client.room('tea', { join: true });
    const one = { tab, client, room, seen: [] };
    room.on('entry', ({ seq }) => one.seen.push(seq));
    tabs.push(one);
  };
  for (let n = 0; n < 3; n += 1) enter();
  const tickets = [];
  for (let step = 0; step < 400; step += 1) {
    const place = below(tabs.length);
    const one = tabs[place];
    switch (below(14)) {
      case 0:
        server.cut();
        break;
      case 1:
        if (tabs.length > 2) tabs.splice(place, 1)[0].client.close();
        break;
      case 2:
        if (tabs.length > 2) tabs.splice(place, 1)[0].tab.crash();
        break;
      case 3:
        if (tabs.length < 5) enter();
        break;
      case 4:
        one.client.pause();
        break;
      case 5:
        one.client.retryNow();
        break;
      case 6:
        server.say('tea', 'bob', `b ${step}`);
        break;
      default:
        tickets.push([one, one.room.send(`${step}`)]);
    }
    await clock.advance(below(120));
  }
  for (const { client } of tabs) client.retryNow();
  await clock.advance(30_000);
  assert.equal(server.sockets.length, 1);
  const { head } = server.rooms.get('tea');
  for (const { seen, room } of tabs) {
    assert.equal(room.last, head);
    assert.deepEqual(seen, Array.from({ length: head - seen[0] + 1 }, (_, n) => seen[0] + n));
  }
  // Of tabs that live all is there, once.
  const texts = server.rooms.get('tea').entries.map(({ payload }) => payload.text);
  for (const [one, ticket] of tickets) {
    if (!tabs.includes(one)) continue;
    assert.equal(ticket.status, 'acked');
    assert.equal(texts.filter((text) => text === ticket.text).length, 1);
  }
});

test('a tab that comes later has the newest of a stream of bytes', async () => {
  const { server, clock, open } = begin();
  const bytes = (value) => Uint8Array.of(value);
  server.publish('video', bytes(1));
  const first = open();
  await clock.advance(200);
  const seen = [[], [], []];
  const watch = ({ client }, place) => client.stream('video').on(([value]) => seen[place].push(value));
  watch(first, 0);
  await clock.advance(100);
  // What came before it was known what is kept of it.
  const second = open();
  await clock.advance(200);
  watch(second, 1);
  await clock.advance(100);
  assert.deepEqual(seen, [[1], [1], []]);
  server.publish('video', bytes(2));
  await clock.advance(100);
  const later = open();
  await clock.advance(200);
  const off = watch(later, 2);
  await clock.advance(100);
  assert.deepEqual(seen, [[1, 2], [1, 2], [2]]);
  server.publish('video', bytes(3));
  await clock.advance(50);
  off();
  server.publish('video', bytes(4));
  await clock.advance(50);
  watch(later, 2);
  await clock.advance(100);
  // What it has is told to who listens anew, then what it has missed.
  assert.deepEqual(seen[2], [2, 3, 3, 4]);
});

test('a tab with a connection of its own keeps it when the leader ends', async () => {
  const { server, clock, open } = begin();
  const url = 'http://host/ws';
  const leader = open({ token: 'ada.1' }, url);
  await clock.advance(200);
  const other = open({ token: 'bob.1' }, url);
  await clock.advance(500);
  assert.deepEqual(server.sockets.map(({ user }) => user).sort(), ['ada', 'bob']);
  const states = [];
  other.client.on('state', ({ name }) => states.push(name));
  leader.tab.crash();
  await clock.advance(5_000);
  assert.deepEqual([states, other.client.state.name], [[], 'online']);
  const third = open({ token: 'ada.2' }, url);
  await clock.advance(500);
  assert.equal(third.client.state.name, 'online');
  assert.deepEqual(server.sockets.map(({ user }) => user).sort(), ['ada', 'bob']);
});

test('at the end of the one connection each tab is told why', async () => {
  const { server, clock, open } = begin();
  const tabs = [open(), open(), open()];
  await clock.advance(200);
  server.cut(1012);
  await clock.advance(20);
  assert.deepEqual(tabs.map(({ client }) => client.why().find(({ state }) => state === 'waiting')?.cause), Array(3).fill('close 1012'));
  await clock.advance(3_000);
  assert.deepEqual(tabs.map(({ client }) => client.state.name), ['online', 'online', 'online']);
  server.cut(4003);
  await clock.advance(20);
  assert.deepEqual(tabs.map(({ client }) => client.state.code), [4003, 4003, 4003]);
});
