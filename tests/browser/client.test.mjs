// The JavaScript client in a browser: what was sent while there was no server is there after a reload, after the
// tab's end, and is nobody else's.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Server, eventually, freePort, launch } from './support.mjs';

const SOURCES = new URL('../../clients/js/src/', import.meta.url);
let browser;
let pages;
let server;

before(async () => {
  const port = await freePort();
  pages = createServer(async ({ url }, response) => {
    const name = new URL(url, 'http://page').pathname.slice(1);
    const type = name.endsWith('.js') ? 'text/javascript' : 'text/html';
    const body = name.endsWith('.js') ? await readFile(new URL(name, SOURCES)).catch(() => null) : '<!doctype html><title>client</title>';
    response.writeHead(body === null ? 404 : 200, { 'Content-Type': type }).end(body ?? '');
  });
  await new Promise((resolve) => pages.listen(port, '127.0.0.1', resolve));
  pages.url = `http://127.0.0.1:${port}`;
  server = await Server.start('--set', `http.allowed_origins=${pages.url}`);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.end();
  pages?.close();
});

/** A tab with a client of somebody's. */
async function tab(context, user) {
  const page = await context.newPage();
  await page.goto(pages.url);
  await begin(page, user);
  return page;
}

const begin = (page, user) =>
  page.evaluate(async ([url, name]) => {
    const { connect } = await import('/index.js');
    const { indexedDbOutbox } = await import('/indexeddb.js');
    globalThis.client = connect(`${url}/ws?user=${name}`, { outbox: indexedDbOutbox(), backoff: { min: 50, max: 200 } });
    globalThis.room = globalThis.client.room('tea', { join: true });
  }, [server.url, user]);

const online = (page) => eventually('it is online', () => page.evaluate(() => globalThis.client.state.name === 'online'));
const send = (page, ...texts) => page.evaluate((all) => void all.forEach((text) => globalThis.room.send(text)), texts);

/** Waits until so many messages are in the outbox of the disk: a page that ends before has not kept them. */
const kept = (page, count) =>
  eventually(`${count} kept`, () =>
    page.evaluate(
      (expected) =>
        new Promise((resolve, reject) => {
          const opening = indexedDB.open('parlor-outbox');
          opening.onerror = () => reject(opening.error);
          opening.onsuccess = () => {
            const all = opening.result.transaction('messages').objectStore('messages').getAll();
            all.onerror = () => reject(all.error);
            all.onsuccess = () => {
              opening.result.close();
              resolve(all.result.filter(({ text }) => text).length === expected);
            };
          };
        }),
      count,
    ));

/** What the room's log has of somebody. */
async function said(user) {
  const answer = await fetch(`${server.url}/api/v1/rooms/tea/messages?user=${user}`);
  const { entries = [] } = await answer.json();
  return entries.filter(({ type, payload }) => type === 'chat:message' && payload.from === user).map(({ payload }) => payload.text);
}

test('what is unsent survives a reload and the end of the tab, and goes in order and once', async () => {
  const context = await browser.newContext();
  let page = await tab(context, 'ada');
  await online(page);
  await server.kill();
  await eventually('the loss', () => page.evaluate(() => globalThis.client.state.name !== 'online'));
  await send(page, 'one', 'two');
  await kept(page, 2);
  await page.reload();
  await begin(page, 'ada');
  await send(page, 'three');
  await kept(page, 3);
  // It ends without a word.
  await page.close();
  await server.start();
  page = await tab(context, 'ada');
  await send(page, 'four');
  await eventually('all four', async () => (await said('ada')).length === 4);
  // Those that were left go first; what a tab says itself may go before it knows of them.
  const order = (await said('ada')).filter((text) => text !== 'four');
  assert.deepEqual(order, ['one', 'two', 'three']);
  assert.deepEqual(await page.evaluate(() => globalThis.client.unsent.length), 0);
  // Nothing is left for the next.
  await page.reload();
  await begin(page, 'ada');
  await online(page);
  assert.equal((await said('ada')).length, 4);
  await context.close();
});

test('two tabs send each their own', async () => {
  const context = await browser.newContext();
  const [one, two] = [await tab(context, 'bob'), await tab(context, 'bob')];
  await Promise.all([online(one), online(two)]);
  await server.kill();
  await send(one, '1 a', '1 b');
  await send(two, '2 a', '2 b');
  await server.start();
  await eventually('all four', async () => (await said('bob')).length === 4);
  assert.deepEqual((await said('bob')).filter((text) => text.startsWith('1')), ['1 a', '1 b']);
  assert.deepEqual((await said('bob')).filter((text) => text.startsWith('2')), ['2 a', '2 b']);
  await context.close();
});

test('what a tab leaves that ends is sent by another that is open', async () => {
  const context = await browser.newContext();
  const [one, other] = [await tab(context, 'eve'), await tab(context, 'eve')];
  await Promise.all([online(one), online(other)]);
  await one.evaluate(() => globalThis.client.pause());
  await send(one, 'left');
  await kept(one, 1);
  // It finds the other alive, and awaits its end.
  await other.evaluate(() => (globalThis.client.pause(), globalThis.client.retryNow()));
  await online(other);
  assert.deepEqual(await said('eve'), []);
  await one.close();
  await eventually('what was left', async () => (await said('eve')).length === 1);
  assert.deepEqual(await said('eve'), ['left']);
  await kept(other, 0);
  await context.close();
});

test('an outbox that is closed while it opens lives no more', async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(pages.url);
  const held = await page.evaluate(async () => {
    const { indexedDbOutbox } = await import('/indexeddb.js');
    const rest = (ms) => new Promise((done) => setTimeout(done, ms));
    for (let ms = 0; ms < 20; ms += 1) {
      const outbox = indexedDbOutbox();
      const opening = outbox.open('ada', () => {}).catch(() => {});
      if (ms > 0) await rest(ms - 1);
      outbox.close();
      await Promise.race([opening, rest(1_000)]);
    }
    await rest(100);
    return (await navigator.locks.query()).held.map(({ name }) => name);
  });
  assert.deepEqual(held, []);
});

test('what one user has left unsent is not sent for another, and is sent when they are back', async () => {
  const context = await browser.newContext();
  let page = await tab(context, 'cat');
  await online(page);
  await server.kill();
  await send(page, 'of the cat');
  await kept(page, 1);
  await page.close();
  await server.start();
  page = await tab(context, 'dog');
  await online(page);
  await page.close();
  page = await tab(context, 'cat');
  await online(page);
  await send(page, 'later');
  await eventually('the later one', async () => (await said('cat')).includes('later'));
  assert.deepEqual(await said('cat'), ['of the cat', 'later']);
  assert.deepEqual(await said('dog'), []);
  await context.close();
});

/** A tab that shares its connection, and tells how many WebSockets it has open itself. */
async function sharing(context, user) {
  const page = await context.newPage();
  await page.addInitScript(() => {
    const Socket = globalThis.WebSocket;
    const own = new Set();
    globalThis.WebSocket = class extends Socket {
      constructor(url) {
        super(url);
        own.add(this);
      }
    };
    globalThis.sockets = () => [...own].filter(({ readyState }) => readyState < 2).length;
  });
  await page.goto(pages.url);
  await page.evaluate(async ([url, name]) => {
    const { connect } = await import('/index.js');
    const { leaderTab } = await import('/leader.js');
    globalThis.client = connect(`${url}/ws?user=${name}`, { tabs: leaderTab(), backoff: { min: 50, max: 200 } });
    globalThis.room = globalThis.client.room('shared', { join: true });
    globalThis.seen = [];
    globalThis.room.on('message', ({ text }) => globalThis.seen.push(text));
  }, [server.url, user]);
  await online(page);
  await eventually('it is in', () => page.evaluate(() => globalThis.room.membership === 'member'));
  return page;
}

const sockets = async (tabs) => (await Promise.all(tabs.map((page) => page.evaluate(() => globalThis.sockets())))).reduce((sum, one) => sum + one, 0);
const seen = (page) => page.evaluate(() => globalThis.seen);
const alike = (what, tabs, expected) =>
  eventually(what, async () => {
    const all = await Promise.all(tabs.map(seen));
    return all.every((one) => JSON.stringify(one) === JSON.stringify(expected));
  });

test('tabs that share a connection have one, and another takes over when its tab is closed', async () => {
  const context = await browser.newContext();
  const [one, two, three] = [await sharing(context, 'fay'), await sharing(context, 'fay'), await sharing(context, 'fay')];
  assert.equal(await sockets([one, two, three]), 1);
  assert.equal(await sockets([one]), 1, 'the first leads');
  await send(two, 'of two');
  await alike('it is told to all', [one, two, three], ['of two']);
  await one.close();
  await send(two, 'meanwhile');
  await send(three, 'of three');
  await eventually('both are there', async () => (await seen(three)).length === 3 && (await seen(two)).length === 3);
  assert.deepEqual((await seen(two)).toSorted(), ['meanwhile', 'of three', 'of two']);
  assert.deepEqual(await seen(two), await seen(three));
  await eventually('there is one connection', async () => (await sockets([two, three])) === 1);
  await context.close();
});

test('a leader that is frozen leads no more, and follows when it wakes', async () => {
  const context = await browser.newContext();
  const [one, two] = [await sharing(context, 'gil'), await sharing(context, 'gil')];
  assert.equal(await sockets([one]), 1);
  const devtools = await context.newCDPSession(one);
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
  await send(two, 'while it sleeps');
  await eventually('it is stored', async () => (await seen(two)).length === 1);
  await devtools.send('Page.setWebLifecycleState', { state: 'active' });
  await alike('it has it, too', [one, two], ['while it sleeps']);
  await eventually('there is one connection', async () => (await sockets([one, two])) === 1);
  await send(one, 'awake');
  await alike('both go on', [one, two], ['while it sleeps', 'awake']);
  await context.close();
});

test('where no WebSocket opens it goes by events and calls, from a page elsewhere too', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => {
    globalThis.Socket = globalThis.WebSocket;
    globalThis.WebSocket = class {
      constructor(url) {
        if (globalThis.isOpen) return new globalThis.Socket(url);
        setTimeout(() => this.onclose?.({ code: 1006 }), 1);
      }
      close() {}
    };
  });
  await page.goto(pages.url);
  await page.evaluate(async ([url]) => {
    const { connect } = await import('/index.js');
    // A WebSocket is tried again after a minute.
    const env = { setTimeout: (fn, ms) => setTimeout(fn, ms === 60_000 ? 100 : ms) };
    globalThis.client = connect(`${url}/ws?user=hal`, { fallback: 'sse', backoff: { min: 10, max: 50 }, env });
    globalThis.room = globalThis.client.room('events', { join: true });
    globalThis.seen = [];
    globalThis.room.on('message', ({ text }) => globalThis.seen.push(text));
  }, [server.url]);
  await online(page);
  assert.equal(await page.evaluate(() => globalThis.client.state.via), 'sse');
  await eventually('it is in', () => page.evaluate(() => globalThis.room.membership === 'member'));
  await send(page, 'by a call');
  await alike('it is shown', [page], ['by a call']);
  // The server is gone, and back with all that it had; a WebSocket opens by then.
  await server.kill();
  await eventually('the loss', () => page.evaluate(() => globalThis.client.state.name !== 'online'));
  await send(page, 'meanwhile');
  await page.evaluate(() => (globalThis.isOpen = true));
  await server.start();
  await alike('both are there', [page], ['by a call', 'meanwhile']);
  await eventually('by a WebSocket', () => page.evaluate(() => globalThis.client.state.name === 'online' && globalThis.client.state.via === undefined));
  await context.close();
});
