// The outbox in IndexedDB, in a browser of the kit's: whose its rows are, and what becomes of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { indexedDbOutbox } from '../src/indexeddb.js';
import { fakeBrowser, fakeServer } from '../src/testing.js';

const jwt = (who) => `${who}.${btoa(JSON.stringify({ sub: who }))}.signature`;

/** A browser and a server that is away; `open` opens a page in a tab of it. */
function begin() {
  const server = fakeServer();
  const browser = fakeBrowser(server);
  for (const user of ['ada', 'bob']) server.admit('tea', user);
  server.faults.unreachable = true;
  let chance = 0;
  const open = (url, options, session) => {
    const tab = browser.tab(session);
    const env = { ...tab.env, random: () => (chance += 0.001), report: (error) => assert.fail(error) };
    const outbox = indexedDbOutbox({ env });
    const client = connect(`ws://host/ws${url}`, { ...options, outbox, quality: { interval: 0 }, backoff: { min: 10, max: 20 }, env });
    const texts = () => client.unsent.map(({ text, status, error }) => `${text} ${status} ${error?.code ?? ''}`.trim());
    return { tab, client, outbox, texts, session: tab.env.sessionStorage, room: client.room('tea', { join: false }) };
  };
  const rows = (name = 'parlor-outbox') => browser.rows(name, 'messages').map(({ user, text }) => `${user} ${text}`).sort();
  const stored = () => server.rooms.get('tea').entries.filter(({ type }) => type === 'chat:message').map(({ payload: { from, text } }) => `${from} ${text}`);
  const { clock } = server;
  const back = async () => {
    server.faults.unreachable = false;
    await clock.advance(500);
  };
  return { server, clock, open, rows, stored, back };
}

for (const [how, url, options] of [['the URL', '?user=ada', {}], ['a token', '', { token: jwt('ada') }], ['the page', '', { user: 'ada', token: () => 'ada.1' }]]) {
  test(`what is unsent is there before the server has answered, where ${how} says who one is`, async () => {
    const { clock, open, back, stored } = begin();
    const one = open(url, options);
    for (const text of ['first', 'second']) one.room.send(text);
    await clock.advance(10);
    one.tab.crash();
    const other = open(url.replace('ada', 'bob'), options.token === undefined ? {} : { token: jwt('bob') });
    const again = open(url, options);
    await clock.advance(10);
    assert.deepEqual([again.texts(), other.texts()], [['first queued', 'second queued'], []]);
    assert.notEqual(again.client.state.name, 'online');
    await back();
    assert.deepEqual(stored(), ['ada first', 'ada second']);
    assert.deepEqual(again.texts(), []);
  });
}

test('what somebody unknown wrote is theirs whom the server names in that page', async () => {
  const { clock, open, back, stored, rows } = begin();
  const ada = open('', { token: () => 'ada.1' });
  ada.room.send('of ada');
  await clock.advance(10);
  assert.deepEqual(rows(), [' of ada']);
  const bob = open('', { token: () => 'bob.1' });
  await back();
  assert.deepEqual([stored(), bob.texts(), rows()], [['ada of ada'], [], []]);
});

test('what somebody unknown wrote in an earlier page is asked about in that tab, and in no other', async () => {
  const { clock, open, back, stored, rows } = begin();
  const ada = open('', { token: () => 'ada.1' });
  ada.room.send('whose?');
  await clock.advance(10);
  ada.tab.crash();
  const elsewhere = open('', { token: () => 'bob.1' });
  await back();
  assert.deepEqual([stored(), elsewhere.texts(), rows()], [[], [], [' whose?']]);
  const again = open('', { token: () => 'ada.1' }, ada.session);
  await clock.advance(500);
  assert.deepEqual([stored(), again.texts()], [[], ['whose? failed unconfirmed']]);
  again.client.unsent[0].retry();
  await clock.advance(10);
  assert.deepEqual(stored(), ['ada whose?']);
});

test('where another than the last one here is named, what was written before is asked about', async () => {
  const { server, clock, open, back, stored } = begin();
  server.faults.unreachable = false;
  const ada = open('', { token: () => 'ada.1' });
  await clock.advance(100);
  server.faults.unreachable = true;
  ada.tab.crash();
  const bob = open('', { token: () => 'bob.1' }, ada.session);
  bob.room.send('whose?');
  await clock.advance(10);
  await back();
  assert.deepEqual([stored(), bob.texts()], [[], ['whose? failed unconfirmed']]);
});

test('what was left while another is here is taken over by another tab, and is not sent twice', async () => {
  const { server, clock, open, back, stored } = begin();
  let who = 'ada';
  server.faults.unreachable = false;
  const one = open('', { token: () => `${who}.1` });
  await clock.advance(100);
  server.refuse('chat:send', { code: 'unavailable' });
  const ticket = one.room.send('of ada');
  await clock.advance(5);
  who = 'bob';
  server.cut(4201);
  await clock.advance(100);
  assert.equal(one.client.hello.user.id, 'bob');
  assert.deepEqual([one.texts(), stored(), ticket.status], [[], [], 'queued']);
  open('?user=ada', {});
  await back();
  assert.deepEqual(stored(), ['ada of ada']);
  who = 'ada';
  server.cut(4201);
  await clock.advance(5_000);
  assert.deepEqual([stored(), ticket.error.code, one.texts()], [['ada of ada'], 'taken', []]);
});

test('what was refused is not sent by whoever takes it over', async () => {
  const { server, clock, open, stored } = begin();
  server.faults.unreachable = false;
  const one = open('?user=ada', {});
  await clock.advance(100);
  server.refuse('chat:send', { code: 'forbidden' }, { code: 'forbidden' });
  for (const text of ['no', 'neither']) one.room.send(text);
  await clock.advance(100);
  const other = open('?user=ada', {});
  await clock.advance(100);
  one.tab.crash();
  await clock.advance(100);
  assert.deepEqual([other.texts(), stored()], [['no failed forbidden', 'neither failed forbidden'], []]);
});

test('signing out keeps or discards what one user has left, and nothing else', async () => {
  const { clock, open, rows, back, stored } = begin();
  const [ada, bob] = [open('?user=ada', {}), open('?user=bob', {})];
  ada.room.send('of ada');
  bob.room.send('of bob');
  await clock.advance(10);
  const signOut = async (page, keep) => {
    page.client.pause();
    void page.outbox.signOut({ keep }).then(() => page.client.close());
    await clock.advance(20);
    assert.equal(page.client.state.name, 'closed');
    assert.equal(page.session.getItem('parlor-outbox'), null);
  };
  await signOut(ada, true);
  await signOut(bob, false);
  assert.deepEqual(rows(), ['ada of ada']);
  open('?user=bob', {});
  await back();
  assert.deepEqual(stored(), []);
  const again = open('?user=ada', {});
  await clock.advance(100);
  assert.deepEqual([stored(), rows(), again.texts()], [['ada of ada'], [], []]);
});

test('rows of the first version are kept, and who was here last is forgotten', async () => {
  const { clock, open, rows, back, stored } = begin();
  const tab = open('?user=bob', {});
  await clock.advance(10);
  const opening = tab.tab.env.indexedDB.open('old', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('messages', { keyPath: 'id' });
  await clock.advance(2);
  const all = opening.result.transaction('messages').objectStore('messages');
  all.put({ id: '', user: 'ada' });
  all.put({ id: 'one', room: 'tea', text: 'of ada', at: clock.now(), user: 'ada', owner: 'gone', order: 1 });
  await clock.advance(2);
  const env = { ...tab.tab.env, random: () => 0.9 };
  const client = connect('ws://host/ws?user=ada', { outbox: indexedDbOutbox({ name: 'old', env }), env });
  await clock.advance(20);
  assert.deepEqual(client.unsent.map(({ text }) => text), ['of ada']);
  assert.deepEqual(rows('old'), ['ada of ada']);
  await back();
  await clock.advance(3_000);
  assert.deepEqual(stored(), ['ada of ada']);
});
