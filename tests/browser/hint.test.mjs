// What the JavaScript client says in the console of a page on localhost: once, what is wrong, and what mends it.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Server, eventually, freePort, launch, sleep, temporaryDirectory } from './support.mjs';

const SOURCES = new URL('../../clients/js/src/', import.meta.url);
let browser;
let pages;
let open;
let strict;

before(async () => {
  const port = await freePort();
  // As a bundler's server does, it has a page for every path, and no WebSocket.
  pages = createServer(async ({ url }, response) => {
    const name = new URL(url, 'http://page').pathname.slice(1);
    const type = name.endsWith('.js') ? 'text/javascript' : 'text/html';
    const body = name.endsWith('.js') ? await readFile(new URL(name, SOURCES)) : '<!doctype html><title>page</title>';
    response.writeHead(200, { 'Content-Type': type }).end(body);
  });
  await new Promise((resolve) => pages.listen(port, '127.0.0.1', resolve));
  pages.url = `http://127.0.0.1:${port}`;
  const secret = `${temporaryDirectory()}/secret`;
  await writeFile(secret, 'a secret of more than thirty-two bytes');
  open = await Server.start('--set', `http.allowed_origins=${pages.url}`);
  strict = await Server.start('--set', `http.allowed_origins=${pages.url}`, '--secret-file', secret, '--set', 'auth.timeout_ms=300');
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await open?.end();
  await strict?.end();
  pages?.close();
});

/** What the console says, where a page connects twice to the same. */
async function said(t, url, options = {}, act = () => {}) {
  const page = await browser.newPage();
  t.after(() => page.close());
  const lines = [];
  page.on('console', (message) => message.text().startsWith('parlor-client:') && lines.push(message.text()));
  await page.goto(pages.url);
  await page.evaluate(async ([where, how]) => {
    const { connect } = await import('/index.js');
    globalThis.clients = [1, 2].map(() => connect(where, { backoff: { min: 50, max: 50 }, ...how }));
  }, [url, options]);
  await page.evaluate(act);
  await eventually('something is said', () => lines.length > 0);
  // Nothing more is.
  await sleep(1_000);
  return lines;
}

const allow = () => `--allow-origin ${pages.url}`;
const CASES = {
  'the URL is that of whatever has served the page': [() => '/ws', /is not parlor, but whatever has served this page: .*ws:\/\/127\.0\.0\.1:8080\/ws\?user=ada/, allow],
  'nothing is there': [async () => `http://127.0.0.1:${await freePort()}/ws?user=ada`, /nothing answers at http:\/\/127\.0\.0\.1:\d+\. Start the server there/, allow],
  'nobody says who it is': [() => `${open.url}/ws`, /wants to know who it is: add \?user=NAME/],
  'there is no token': [() => `${strict.url}/ws`, /wants a token: connect\(url, \{ token: /],
};
for (const [what, [url, expected, mend]] of Object.entries(CASES)) {
  test(`it says what is wrong where ${what}`, async (t) => {
    const lines = await said(t, await url());
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0], expected);
    if (mend) assert.ok(lines[0].includes(mend()), lines[0]);
  });
}

test('it says what is wrong where the page is another origin\'s than the server lets in', async (t) => {
  const closed = await Server.start();
  t.after(() => closed.end());
  const lines = await said(t, `${closed.url}/ws?user=ada`);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /has refused this page/);
  assert.ok(lines[0].includes(allow()));
});

test('it says which options and types there are none of, once, and nothing where all is well', async (t) => {
  const lines = await said(t, `${open.url}/ws?user=ada`, { whenHiden: 'keep', backoff: { minn: 3 } }, async () => {
    await Promise.all([import('/hint.js'), ...globalThis.clients.map((client) => client.ready())]);
    for (const client of globalThis.clients) client.send('chat:tpying', {});
  });
  assert.equal(lines.length, 3, lines.join('\n'));
  for (const expected of [/there is no option "whenHiden"/, /the option backoff has no "minn"/, /unknown_type/]) assert.match(lines.join('\n'), expected);
});

test('it says once which events there are none of, whenever they are listened to, and nothing of the application\'s own', async (t) => {
  const lines = await said(t, `${open.url}/ws?user=ada`, {}, async () => {
    const [client, other] = globalThis.clients;
    const listen = (on) => [client, other].forEach((one) => on(one));
    listen((one) => one.on('precense', () => {}));
    for (const own of ['queue.changed', 'stage', 'map', 'lift', 'massage', 'ready', undefined, 7]) listen((one) => one.on(own, () => {}));
    listen((one) => one.on('state', () => {}));
    await Promise.all([import('/hint.js'), client.ready(), other.ready()]);
    listen((one) => one.on('chatMessage', () => {}));
    listen((one) => one.room('lobby').on('mesage', () => {}));
    listen((one) => one.stream('queue').on('stail', () => {}));
    listen((one) => one.stream('queue').on('stael', () => {}));
    listen((one) => one.room('lobby').on('message', () => {}));
  });
  const expected = [
    ['precense', '"presence"'], ['chatMessage', '"chat:message"'], ['mesage', '"message" of a room, or "chat:message" of the client'],
    ['stael', '"stale" of a stream, or "stream:stale" of the client'],
  ];
  assert.deepEqual(lines, expected.map(([name, meant]) => `parlor-client: nothing of parlor's is called "${name}": do you mean to listen to ${meant}?`));
});

test('it knows every event', async () => {
  const [hint, wire, table, room] = await Promise.all(['hint.js', 'wire.js', 'wire-table.js', 'room.js'].map((name) => readFile(new URL(name, SOURCES), 'utf8')));
  const known = [/const OF_CLIENT = `(.*?)`/s, /const OF_PARTS = '(.*?)'/].flatMap((list) => list.exec(hint)[1].split(/\s+/));
  const [, left, events] = /@typedef \{Omit<Pushes, (.*?)> & \{\n(.*?)\}\} Events/s.exec(wire);
  const pushes = table.slice(table.indexOf("server's own pushes"), table.indexOf('}} Pushes'));
  const named = [...`${events}${pushes}`.matchAll(/^ \*   "(.*?)":/gm)].map(([, name]) => name);
  const names = named.filter((name) => events.includes(`"${name}":`) || !left.includes(`"${name}"`));
  const [, ofRooms] = /@typedef (.*?) RoomEvents/s.exec(room);
  const own = [...ofRooms.matchAll(/[ ,](\w+): /g)].map(([, name]) => name).filter((name) => name !== 'type');
  assert.ok(names.length > 20 && own.includes('gap') && own.includes('refused'));
  for (const name of [...names, ...own, 'stale']) assert.ok(known.includes(name), name);
});

test('it knows every option', async () => {
  const [base, client, hint] = await Promise.all(['base.js', 'client.js', 'hint.js'].map((name) => readFile(new URL(name, SOURCES), 'utf8')));
  const options = [/@typedef \{object\} BaseOptions\n(.*?)\*\//s.exec(base)[1], /@typedef \{object\} ChatOptions\n(.*?)\*\//s.exec(client)[1]].join('');
  const names = [...options.matchAll(/@property .*? \[(\w+)\]/g)].map(([, name]) => name);
  assert.ok(names.length >= 10);
  const [, known] = /const OPTIONS = \{(.*?)\n\};/s.exec(hint);
  for (const name of names) assert.match(known, new RegExp(`\\b${name}: `));
});
