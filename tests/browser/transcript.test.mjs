// The JavaScript client in a browser, whatever happens to the page, to the network and to the server: what it has seen
// is the log, whole, once and in order.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Server, eventually, freePort, launch, temporaryDirectory } from './support.mjs';

const SOURCES = new URL('../../clients/js/src/', import.meta.url);
const SECRET = 'a secret of more than thirty-two bytes';
let browser;
let pages;
let server;
let directory;

before(async () => {
  const port = await freePort();
  pages = createServer(async ({ url }, response) => {
    const name = new URL(url, 'http://page').pathname.slice(1);
    const isScript = name.endsWith('.js');
    const body = isScript ? await readFile(new URL(name, SOURCES)).catch(() => null) : '<!doctype html><title>transcript</title>';
    response.writeHead(body === null ? 404 : 200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html' }).end(body ?? '');
  });
  await new Promise((resolve) => pages.listen(port, '127.0.0.1', resolve));
  pages.url = `http://127.0.0.1:${port}`;
  directory = temporaryDirectory();
  await writeFile(`${directory}/secret`, SECRET);
  const limits = ['requests_per_second=100000', 'burst=100000', 'connections_per_address=1000', 'connections_per_address_minute=0'].flatMap((limit) => ['--set', `limits.${limit}`]);
  server = await Server.start('--secret-file', `${directory}/secret`, '--set', `http.allowed_origins=${pages.url}`, '--set', 'auth.leeway_ms=0', ...limits);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.end();
  pages?.close();
});

/** A token that is good for some seconds. */
function token(user, seconds = 3_600) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, exp: Math.floor(Date.now() / 1_000) + seconds })}`;
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
}

async function call(user, type, payload) {
  const headers = { Authorization: `Bearer ${token(user)}` };
  const answer = await fetch(`${server.url}/api/v1/call/${type}`, { method: 'POST', headers, body: JSON.stringify(payload) });
  const told = await answer.json();
  assert.ok(answer.ok, `${type}: ${JSON.stringify(told)}`);
  return told;
}

const say = (room, text) => call('bob', 'chat:send', { room, text });

/** A page of ada's that is in a room and has seen all of it, with bob in it, too. */
async function ready(room, seconds) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const asked = [];
  await page.exposeFunction('freshToken', (reason) => (asked.push(reason), token('ada', seconds)));
  await page.goto(pages.url);
  await page.evaluate(async ([url, name]) => {
    const { connect } = await import('/index.js');
    const { indexedDbOutbox } = await import('/indexeddb.js');
    const options = { token: ({ reason }) => globalThis.freshToken(reason), outbox: indexedDbOutbox(), backoff: { min: 50, max: 300 } };
    globalThis.client = connect(`${url}/ws`, options);
    globalThis.room = globalThis.client.room(name, { join: true });
    globalThis.seen = [];
    globalThis.room.on('entry', ({ seq, text }) => globalThis.seen.push([seq, text]));
    globalThis.room.on('gap', (gap) => globalThis.seen.push(['gap', JSON.stringify(gap)]));
  }, [server.url, room]);
  await eventually('it is in', () => page.evaluate(() => globalThis.room.membership === 'member'));
  await call('bob', 'room:join', { room });
  return { context, page, asked };
}

const online = (page) => eventually('it is online', () => page.evaluate(() => globalThis.client.state.name === 'online'));

/** What a page has seen is the log from its first entry on; the texts of it. */
async function whole(page, room, count) {
  const texts = () => page.evaluate(() => globalThis.seen.map(([, text]) => text).filter(Boolean));
  await eventually(`${count} messages`, async () => (await texts()).length >= count, 30_000);
  const seen = await page.evaluate(() => globalThis.seen);
  const log = [];
  for (let last = seen[0][0] - 1, more = true; more; last = log.at(-1)[0]) {
    const older = await call('bob', 'chat:history', { room, after: last });
    log.push(...older.entries.map(({ payload: { seq, text } }) => [seq, text ?? null]));
    more = older.more;
  }
  assert.deepEqual(seen.map(([seq, text]) => [seq, text ?? null]), log.slice(0, seen.length));
  assert.equal(log.length, seen.length, 'nothing is missing at its end');
  return texts();
}

test('offline and online again', async () => {
  const { context, page } = await ready('offline');
  await say('offline', 'before');
  await context.setOffline(true);
  await page.evaluate(() => void globalThis.room.send('from nowhere'));
  await say('offline', 'meanwhile');
  // A network that is gone takes its connections along.
  const devtools = await context.newCDPSession(page);
  await devtools.send('Network.enable');
  await server.kill();
  await eventually('the loss', () => page.evaluate(() => globalThis.client.state.name !== 'online'));
  await server.start();
  await say('offline', 'still away');
  assert.notEqual(await page.evaluate(() => globalThis.client.state.name), 'online', 'there is no network');
  await context.setOffline(false);
  await online(page);
  const texts = await whole(page, 'offline', 4);
  assert.deepEqual(texts.toSorted(), ['before', 'from nowhere', 'meanwhile', 'still away']);
  await context.close();
});

test('a page that is hidden, throttled and frozen', async () => {
  const { context, page } = await ready('hidden');
  const devtools = await context.newCDPSession(page);
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: 6 });
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  for (let n = 0; n < 20; n += 1) await say('hidden', `hidden ${n}`);
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
  for (let n = 0; n < 20; n += 1) await say('hidden', `frozen ${n}`);
  // It may be that nobody is there any more when it wakes.
  await server.restart();
  for (let n = 0; n < 20; n += 1) await say('hidden', `restarted ${n}`);
  await devtools.send('Page.setWebLifecycleState', { state: 'active' });
  await page.evaluate(() => {
    delete document.visibilityState;
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await whole(page, 'hidden', 60);
  await context.close();
});

test('a token that expires, with what is sent meanwhile', async () => {
  const { context, page, asked } = await ready('expiring', 3);
  const tickets = await page.evaluate(async () => {
    const sent = [];
    const end = Date.now() + 7_000;
    while (Date.now() < end) {
      sent.push(globalThis.room.send(`n ${sent.length}`));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return sent.length;
  });
  assert.ok(asked.length >= 3, `${asked}`);
  assert.equal(asked[0], 'first');
  assert.ok(asked.slice(1).every((reason) => reason === 'expiring' || reason === 'rejected'), `${asked}`);
  const texts = await whole(page, 'expiring', tickets);
  assert.deepEqual(texts, Array.from({ length: tickets }, (_, n) => `n ${n}`));
  await context.close();
});

test('a server that drains and comes back', async () => {
  const { context, page } = await ready('drain');
  await say('drain', 'before');
  const restarted = server.restart();
  await page.evaluate(() => void globalThis.room.send('while it drains'));
  await restarted;
  await say('drain', 'after');
  const texts = await whole(page, 'drain', 3);
  assert.deepEqual(texts.toSorted(), ['after', 'before', 'while it drains']);
  assert.match(JSON.stringify(await page.evaluate(() => globalThis.client.why())), /1012|draining/);
  await context.close();
});

test('ten thousand messages while it was away', async () => {
  const { context, page } = await ready('away');
  await page.evaluate(() => globalThis.client.pause());
  // As many at a time as a server takes well.
  for (let n = 0; n < 10_000; n += 100) await Promise.all(Array.from({ length: 100 }, (_, i) => say('away', `m ${n + i}`)));
  await page.evaluate(() => globalThis.client.retryNow());
  const texts = await whole(page, 'away', 10_000);
  assert.equal(new Set(texts).size, 10_000);
  await context.close();
});

test('two tabs of one user, cut at random', async () => {
  const one = await ready('tabs');
  const two = await ready('tabs');
  for (let n = 0; n < 40; n += 1) {
    const { page } = n % 2 ? one : two;
    await page.evaluate(([text, cuts]) => {
      void globalThis.room.send(text);
      if (cuts) {
        globalThis.client.pause();
        globalThis.client.retryNow();
      }
    }, [`t ${n}`, n % 5 === 0]);
    if (n % 3 === 0) await say('tabs', `bob ${n}`);
  }
  const count = 40 + 14;
  const texts = await whole(one.page, 'tabs', count);
  assert.equal(new Set(texts).size, count);
  // The second came later, and has seen the end of it.
  const later = await two.page.evaluate(() => globalThis.seen.map(([, text]) => text).filter(Boolean));
  await eventually('the same end', async () => (await two.page.evaluate(() => globalThis.seen.at(-1)[0])) === (await one.page.evaluate(() => globalThis.seen.at(-1)[0])));
  assert.deepEqual(later, texts.slice(-later.length));
  await one.context.close();
  await two.context.close();
});
