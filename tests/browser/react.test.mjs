// The React bindings in a browser, with React 18 and 19: against a server in the page, and against the real one.

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { WebSocketServer } from 'ws';
import { Program, Server, eventually, freePort, launch, temporaryDirectory } from './support.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ADMIN = 'the-token-of-who-runs-the-server-';
const START = new Date('2026-01-01T12:00:00Z');
let browser;
let pages;
let server;
let secrets;
const bundles = {};

/** With one React alone, whichever asks for it: the bindings are not below `node_modules`. */
async function bundle(version, options) {
  const { resolve } = createRequire(import.meta.url);
  const name = (of) => (version === 18 ? `${of}18` : of);
  const alias = Object.fromEntries(
    ['react', 'react/jsx-runtime', 'react-dom', 'react-dom/client', 'react-dom/server'].map((path) => {
      const [of, ...rest] = path.split('/');
      return [path, resolve([name(of), ...rest].join('/'))];
    }),
  );
  const { outputFiles } = await build({
    bundle: true, write: false, alias, define: { 'process.env.NODE_ENV': '"development"' }, logLevel: 'error', ...options,
  });
  return outputFiles[0].text;
}

before(async () => {
  for (const version of [18, 19]) bundles[version] = await bundle(version, { entryPoints: [`${HERE}react-page.mjs`], format: 'iife' });
  const port = await freePort();
  pages = createServer(({ url }, response) => {
    const script = bundles[/^\/(\d+)\.js/.exec(url)?.[1]];
    const type = script ? 'text/javascript' : 'text/html';
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` });
    response.end(script ?? `<!doctype html><title>react</title><div id="root"></div><script src="${url}.js"></script>`);
  });
  await new Promise((done) => pages.listen(port, '127.0.0.1', done));
  pages.url = `http://127.0.0.1:${port}`;
  secrets = temporaryDirectory();
  writeFileSync(`${secrets}/admin`, ADMIN);
  server = await Server.start('--set', `http.allowed_origins=${pages.url}`, '--set', `auth.admin_token_file=${secrets}/admin`,
    '--set', 'auth.anonymous=true', '--set', 'streams={ board = { read = "public", publish = true }, fed = { read = "public", publish = true, stale_ms = 200 } }');
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.end();
  pages?.close();
  if (secrets) rmSync(secrets, { recursive: true });
});

for (const version of [18, 19]) describe(`React ${version}`, () => tests(version));

function tests(version) {
  /** A page whose errors are the test's. */
  async function open(t, { clock = true } = {}) {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      const isOurs = message.type() === 'error' && !/favicon|WebSocket connection/.test(message.text());
      if (isOurs) errors.push(message.text());
    });
    t.after(async () => {
      await page.close();
      assert.deepEqual(errors, []);
    });
    if (clock) await page.clock.install({ time: START });
    await page.goto(`${pages.url}/${version}`);
    assert.ok((await page.evaluate(() => kit.React.version)).startsWith(`${version}.`));
    // From now on time goes by as it is told to.
    if (clock) await page.clock.pauseAt(START.getTime() + 60_000);
    return page;
  }

  const texts = (page) => page.locator('li').allTextContents();
  /** Lets time go by in the page, in steps in which what was promised can happen. */
  async function pass(page, ms, step = 20) {
    for (let at = 0; at < ms; at += step) await page.clock.runFor(Math.min(step, ms - at));
  }
  /** What the fake server has seen. */
  const seen = (page) =>
    page.evaluate(() => {
      const { kit, fake } = globalThis;
      return {
        attempts: fake.attempts,
        open: fake.sockets.length,
        joins: kit.heard(fake, 'room:join'),
        leaves: kit.heard(fake, 'room:leave'),
        subscriptions: kit.heard(fake, 'subscribe'),
      };
    });

  test('StrictMode opens one connection, joins a room once and does not leave it', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount, List } = globalThis.kit;
      globalThis.fake = make();
      fake.publish('rate', 7);
      const Rate = () => h('p', null, parlor.useStream('rate').data);
      const options = { env: fake.env };
      const room = h(List, { room: 'tea', leaveOnUnmount: true });
      mount(h(React.StrictMode, null, h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options }, room, h(Rate))));
    });
    await pass(page, 3_000);
    assert.deepEqual(await seen(page), { attempts: 1, open: 1, joins: 1, leaves: 0, subscriptions: 1 });
    assert.equal(await page.locator('p').textContent(), '7');
    await page.evaluate(() => fake.say('tea', 'bob', 'hello'));
    await pass(page, 100);
    assert.deepEqual(await texts(page), ['hello']);
  });

  test('a newer token of the same user keeps what is there, another user gets another connection', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      const sign = (user, number) => `${user}.${btoa(JSON.stringify({ sub: user, number }))}.x`;
      function Who() {
        globalThis.client = parlor.useParlor();
        const { messages } = parlor.useRoom('tea', { join: true });
        return h('p', null, messages.map(({ text, status }) => `${text} ${status}`).join());
      }
      function App() {
        const [token, set] = React.useState(sign('ada', 1));
        globalThis.renew = (user, number) => set(sign(user, number));
        return h(parlor.ParlorProvider, { url: 'http://host/ws', options: { token, env: fake.env } }, h(Who));
      }
      mount(h(React.StrictMode, null, h(App)));
    });
    await pass(page, 500);
    await page.evaluate(() => {
      globalThis.first = client;
      fake.faults.unreachable = true;
      fake.cut();
    });
    await pass(page, 50);
    await page.evaluate(() => void client.room('tea').send('precious'));
    await page.evaluate(() => renew('ada', 2));
    await pass(page, 50);
    assert.equal(await page.locator('p').textContent(), 'precious queued');
    await page.evaluate(() => (fake.faults.unreachable = false));
    await pass(page, 10_000);
    assert.equal(await page.locator('p').textContent(), 'precious acked');
    await page.evaluate(() => renew('ada', 3));
    await pass(page, 200);
    const told = await page.evaluate(() => [client === first, fake.sockets[0].heard.findLast(({ type }) => type === 'auth').payload.token]);
    assert.deepEqual(told, [true, `ada.${btoa('{"sub":"ada","number":3}')}.x`]);
    await page.evaluate(() => renew('bob', 1));
    await pass(page, 3_000);
    assert.deepEqual(await page.evaluate(() => [client === first, first.state.name, client.hello.user.id]), [false, 'closed', 'bob']);
  });

  test('a route that changes keeps the connection and the room; one that is gone for a second does not', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount, List } = globalThis.kit;
      globalThis.fake = make();
      const options = { env: fake.env };
      function App() {
        const [route, go] = React.useState('one');
        globalThis.go = go;
        // Each route has its own provider: what they share is the place and the user.
        const room = h(List, { room: 'tea', leaveOnUnmount: true });
        return route && h(parlor.WebSocketProvider, { key: route, url: 'http://host/ws?user=ada', options }, room);
      }
      mount(h(App));
    });
    await pass(page, 1_500);
    for (const route of ['two', null, 'three']) {
      await page.evaluate((to) => go(to), route);
      await pass(page, 900);
    }
    await pass(page, 3_000);
    assert.deepEqual(await seen(page), { attempts: 1, open: 1, joins: 1, leaves: 0, subscriptions: 0 });
    await page.evaluate(() => go(null));
    await pass(page, 1_200);
    assert.deepEqual(await seen(page), { attempts: 1, open: 0, joins: 1, leaves: 1, subscriptions: 0 });
    await page.evaluate(() => go('four'));
    await pass(page, 500);
    const { attempts, open: left, joins } = await seen(page);
    assert.deepEqual({ attempts, left, joins }, { attempts: 2, left: 1, joins: 2 });
  });

  test('who comes back while one is leaving is in the room', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount, connect, List } = globalThis.kit;
      globalThis.fake = make();
      globalThis.client = connect('http://host/ws?user=ada', { env: fake.env });
      function App() {
        const [isThere, be] = React.useState(true);
        globalThis.be = be;
        return isThere && h(List, { room: 'tea', leaveOnUnmount: true });
      }
      mount(h(parlor.ParlorProvider, { client: globalThis.client }, h(App)));
    });
    await pass(page, 200);
    await page.evaluate(() => be(false));
    await eventually('it is gone', async () => (await page.locator('ul').count()) === 0);
    await pass(page, 1_000);
    assert.deepEqual(await page.evaluate(() => [kit.heard(fake, 'room:leave'), client.room('tea').membership]), [1, 'member']);
    await page.evaluate(() => be(true));
    await pass(page, 200);
    assert.deepEqual(await page.evaluate(() => [kit.heard(fake, 'room:join'), client.room('tea').membership]), [2, 'member']);
    await page.evaluate(() => fake.say('tea', 'bob', 'hello'));
    await pass(page, 100);
    assert.deepEqual(await texts(page), ['hello']);
  });

  test('all that is drawn between two frames shows the same', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      function Last({ id }) {
        const [, draw] = React.useState(0);
        globalThis[`draw${id}`] = draw;
        return h('p', { id, 'data-drawn': (Last[id] = (Last[id] ?? 0) + 1) }, parlor.useMessages('tea').at(-1)?.text);
      }
      const all = [h(Last, { key: 1, id: 'one' }), h(Last, { key: 2, id: 'two' })];
      mount(h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options: { env: fake.env } }, all));
    });
    await pass(page, 200);
    const shown = () => page.locator('p').evaluateAll((all) => all.map(({ textContent }) => textContent));
    await page.evaluate(() => {
      const payload = { room: 'tea', seq: 2, from: 'bob', text: 'new', ts: 0 };
      fake.sockets[0].onmessage({ data: JSON.stringify({ type: 'chat:message', payload }) });
    });
    const drawn = Number(await page.locator('#two').getAttribute('data-drawn'));
    await page.evaluate(() => drawtwo(1));
    await eventually('one of them is drawn', async () => Number(await page.locator('#two').getAttribute('data-drawn')) > drawn);
    assert.deepEqual(await shown(), ['', '']);
    await pass(page, 40);
    assert.deepEqual(await shown(), ['new', 'new']);
  });

  test('another user is another connection, at once', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      const Who = () => h('p', null, parlor.useParlor()?.hello?.user.id ?? '', parlor.useConnection().state);
      function App() {
        const [user, sign] = React.useState('ada');
        globalThis.sign = sign;
        return h(parlor.ParlorProvider, { url: 'http://host/ws', user, options: { token: () => `${user}.token`, env: fake.env } }, h(Who));
      }
      mount(h(App));
    });
    await pass(page, 200);
    assert.equal(await page.locator('p').textContent(), 'adaonline');
    await page.evaluate(() => sign('bob'));
    await pass(page, 200);
    assert.equal(await page.locator('p').textContent(), 'bobonline');
    await pass(page, 12_000, 500);
    assert.deepEqual(await page.evaluate(() => fake.sockets.map(({ user }) => user)), ['bob']);
  });

  test('whoever is suspended loses neither the connection nor a message', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount, List, later } = globalThis.kit;
      globalThis.fake = make();
      globalThis.handled = [];
      [globalThis.first, globalThis.second] = [later(), later()];
      function Slow() {
        const [isSlow, slow] = React.useState(false);
        globalThis.slow = slow;
        parlor.useOnMessage('chat:message', ({ text }) => globalThis.handled.push(text));
        first.read();
        if (isSlow) second.read();
        return h(List, { room: 'tea', leaveOnUnmount: true });
      }
      // The provider itself is not mounted before what is in it can be drawn.
      const provider = h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options: { env: fake.env } }, h(Slow));
      mount(h(React.Suspense, { fallback: h('i', null, 'soon') }, provider));
    });
    await pass(page, 3_000);
    assert.equal(await page.locator('i').textContent(), 'soon');
    await page.evaluate(() => first.come());
    await eventually('it is drawn', async () => {
      await pass(page, 100);
      return (await page.locator('ul').count()) === 1;
    });
    await pass(page, 500);
    await page.evaluate(() => slow(true));
    // React waits a little before it hides what was seen.
    await eventually('it is suspended', async () => {
      await pass(page, 100);
      return page.locator('i').isVisible();
    });
    await page.evaluate(() => fake.say('tea', 'bob', 'meanwhile'));
    await pass(page, 3_000);
    assert.deepEqual(await page.evaluate(() => handled), ['meanwhile']);
    await page.evaluate(() => second.come());
    await eventually('it is drawn again', async () => {
      await pass(page, 100);
      return page.locator('li').isVisible();
    });
    assert.deepEqual(await texts(page), ['meanwhile']);
    assert.deepEqual(await seen(page), { attempts: 1, open: 1, joins: 1, leaves: 0, subscriptions: 0 });
  });

  test('each of 500 messages in one tick is handled, in order, by the handler of then', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      globalThis.handled = [];
      globalThis.entries = [];
      function Last() {
        const [last, set] = React.useState(0);
        parlor.useWebSocketMessage('app:tick', ({ n }) => {
          globalThis.handled.push(n);
          set(n);
        });
        parlor.useOnMessage('chat:message', ({ seq }) => globalThis.entries.push(seq));
        return h('p', null, last);
      }
      fake.admit('tea', 'ada');
      mount(h(React.StrictMode, null, h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options: { env: fake.env } }, h(Last))));
    });
    await pass(page, 200);
    await page.evaluate(() => {
      const [socket] = fake.sockets;
      const say = (type, payload) => socket.onmessage({ data: JSON.stringify({ type, payload }) });
      for (let n = 1; n <= 500; n += 1) {
        say('app:tick', { n });
        say('chat:message', { room: 'tea', seq: n, from: 'bob', text: String(n), ts: 0 });
      }
    });
    const all = Array.from({ length: 500 }, (_, at) => at + 1);
    assert.deepEqual(await page.evaluate(() => handled), all);
    assert.deepEqual(await page.evaluate(() => entries), all);
    await eventually('the last is drawn', async () => (await page.locator('p').textContent()) === '500');
  });

  test('a flood is drawn once a frame', async (t) => {
    const page = await open(t, { clock: false });
    await page.evaluate(() => {
      const { React, h, parlor, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      globalThis.commits = 0;
      function Room() {
        const { messages, unread } = parlor.useRoom('tea');
        const all = parlor.useUnread();
        React.useLayoutEffect(() => {
          globalThis.commits += 1;
        });
        return h('p', { 'data-unread': unread, 'data-all': all }, messages.at(-1)?.text);
      }
      fake.admit('tea', 'ada');
      mount(h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options: { env: fake.env } }, h(Room)));
    });
    await eventually('it is online', () => page.evaluate(() => fake.sockets[0]?.heard.some(({ type }) => type === 'chat:history')));
    const { before, frames, commits, ms } = await page.evaluate(async () => {
      let isOver = false;
      let frames = 0;
      const count = () => {
        frames += 1;
        if (!isOver) requestAnimationFrame(count);
      };
      requestAnimationFrame(count);
      const before = globalThis.commits;
      const begun = performance.now();
      const [socket] = fake.sockets;
      const channel = new MessageChannel();
      for (let n = 1; n <= 2_000; n += 1) {
        const payload = { room: 'tea', seq: n, from: 'bob', text: String(n), ts: 0 };
        socket.onmessage({ data: JSON.stringify({ type: 'chat:message', payload }) });
        // Each in a task of its own, as from a network: nothing but the frame batches them.
        await new Promise((done) => {
          channel.port1.onmessage = done;
          channel.port2.postMessage(null);
        });
      }
      isOver = true;
      return { before, frames, commits: globalThis.commits - before, ms: performance.now() - begun };
    });
    await eventually('the last is drawn', async () => (await page.locator('p').textContent()) === '2000');
    assert.ok((await page.evaluate(() => globalThis.commits)) > before, 'what counts commits counts');
    // Where a frame takes longer than a quarter of a second it is not waited for.
    assert.ok(commits <= frames + ms / 250 + 2, `${commits} commits in ${frames} frames and ${ms} ms`);
    assert.deepEqual(await page.locator('p').evaluate(({ dataset }) => ({ ...dataset })), { unread: '2000', all: '2000' });
  });

  test('what comes is drawn also where no frames do, as in a page that is hidden', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { h, parlor, server: make, mount, List } = globalThis.kit;
      globalThis.requestAnimationFrame = () => 0;
      globalThis.fake = make();
      mount(h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options: { env: fake.env } }, h(List, { room: 'tea' })));
    });
    await pass(page, 500);
    await page.evaluate(() => fake.say('tea', 'bob', 'hello'));
    await pass(page, 300);
    assert.deepEqual(await texts(page), ['hello']);
  });

  test('the status says nothing of a blip, counts down to the next attempt, and is told to screen readers', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { h, parlor, server: make, mount, connect } = globalThis.kit;
      globalThis.fake = make();
      globalThis.client = connect('http://host/ws?user=ada', { env: fake.env, quality: { interval: 0 } });
      const draw = ({ status, seconds }) => `${status} ${seconds ?? ''}`.trim();
      const { ConnectionBadge, ConnectionStatus, ParlorProvider } = parlor;
      const [own, words] = [h(ConnectionStatus, { className: 'own' }, draw), h(ConnectionStatus, { className: 'words' })];
      mount(h(ParlorProvider, { client: globalThis.client }, own, words, h(ConnectionBadge, { className: 'badge' })));
      globalThis.told = { own: [], words: [], badge: [] };
      const note = () => {
        for (const [name, list] of Object.entries(globalThis.told)) {
          const text = document.querySelector(`.${name}`)?.textContent ?? '';
          if (text !== list.at(-1)) list.push(text);
        }
      };
      new MutationObserver(note).observe(document.getElementById('root'), { childList: true, subtree: true, characterData: true });
    });
    const told = () => page.evaluate(() => [told, (globalThis.told = { own: [], words: [], badge: [] })][0]);
    const says = (name) => page.locator(`.${name}`).textContent();
    await pass(page, 500);
    assert.equal(await page.locator('[role=status]').count(), 3);
    assert.deepEqual([await says('own'), await says('words'), await says('badge')], ['live', '', 'Live']);
    await told();

    // Half a second, and it is back.
    await page.evaluate(() => fake.cut());
    await pass(page, 3_000);
    assert.equal(await page.evaluate(() => `${fake.attempts} ${client.state.name}`), '2 online');
    const blip = await told();
    assert.deepEqual([...blip.words, ...blip.badge].filter((text) => text && text !== 'Live'), []);

    await page.evaluate(() => {
      fake.faults.unreachable = true;
      fake.cut();
    });
    await pass(page, 1_900);
    assert.deepEqual([await says('words'), await says('badge')], ['', 'Live']);
    await pass(page, 200);
    assert.match(await says('badge'), /^Reconnecting/);
    await pass(page, 10_000);
    const { words, badge, own } = await told();
    // What is left of 2 s, then 4 s, and of 8 s the first five: the attempts between them take no time to be seen.
    const counted = [1, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3];
    const said = counted.map((seconds) => `Reconnecting in ${seconds} s`);
    assert.deepEqual([words.filter(Boolean), badge.filter((text) => text !== 'Live')], [said, said]);
    assert.deepEqual(own.filter((text) => !text.startsWith('live')), counted.map((seconds) => `reconnecting ${seconds}`));
    // Read aloud is only that it reconnects.
    assert.equal(await page.locator('.words [aria-hidden=true]').textContent(), ' in 3 s');

    await page.evaluate(() => {
      fake.faults.unreachable = false;
      client.retryNow();
    });
    await pass(page, 100);
    assert.equal(await says('badge'), 'Live');

    // Nobody looks at a page that is hidden, and whoever looks again sees no trace of that.
    await told();
    await page.evaluate(() => client.pause('hidden'));
    await pass(page, 10_000, 100);
    await page.evaluate(() => client.retryNow());
    await pass(page, 500);
    const unseen = await told();
    assert.deepEqual([...unseen.words, ...unseen.badge].filter((text) => text && text !== 'Live'), []);
    await page.evaluate(() => client.pause());
    await pass(page, 100);
    assert.equal(await says('badge'), 'Disconnected');
    await page.evaluate(() => client.close());
    await pass(page, 100);
    assert.deepEqual([await says('words'), await says('badge')], ['Disconnected', 'Disconnected']);
  });

  test('a message is one element from when it is sent to when it is in the log', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { h, parlor, server: make, mount, List } = globalThis.kit;
      globalThis.fake = make();
      function Outbox() {
        globalThis.room = parlor.useRoom('tea');
        const { count, failed } = parlor.useOutbox();
        return h('p', null, `${count} ${failed} ${parlor.useTyping('tea')}`);
      }
      mount(h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options: { env: fake.env } }, h(Outbox), h(List, { room: 'tea' })));
    });
    await pass(page, 200);
    await page.evaluate(() => {
      fake.refuse('chat:send', { code: 'forbidden' });
      globalThis.ids = ['no', 'yes'].map((text) => room.send(text).id);
    });
    await pass(page, 20);
    await page.evaluate(() => (globalThis.items = [...document.querySelectorAll('li')]));
    await pass(page, 200);
    const states = await page.locator('li').evaluateAll((all) => all.map(({ textContent, dataset }) => `${textContent} ${dataset.status}`));
    assert.deepEqual(states, ['yes acked', 'no failed']);
    assert.equal(await page.locator('p').textContent(), '1 1 ');
    await page.evaluate(() => room.retry(ids[0]));
    await pass(page, 200);
    assert.deepEqual(await texts(page), ['yes', 'no']);
    assert.equal(await page.evaluate(() => [...document.querySelectorAll('li')].every((item) => items.includes(item))), true);
    await page.evaluate(() => fake.push('chat:typing', { room: 'tea', user: 'bob', typing: true }));
    await pass(page, 100);
    assert.equal(await page.locator('p').textContent(), '0 0 bob');
    await pass(page, 6_100);
    assert.equal(await page.locator('p').textContent(), '0 0 ');
  });

  test('the names that applications have today work without a provider, and follow the token', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, parlor, webSocketService, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      ['ada', 'eve'].forEach((user) => fake.admit('7', user));
      webSocketService.configure({ url: 'http://host/ws', env: fake.env });
      function Chat() {
        const { sendMessage, sendTyping, typingUsers, messages } = parlor.useChatWebSocket(7);
        Object.assign(globalThis, { sendMessage, sendTyping });
        const here = parlor.useOnlineUsers();
        return h('p', null, `${messages.map(({ text }) => text)} typing:${typingUsers} here:${here}`);
      }
      function App() {
        const [token, sign] = React.useState(null);
        globalThis.sign = sign;
        const { connected } = parlor.useWebSocket(token);
        return [h('i', { key: 1 }, String(connected)), h(Chat, { key: 2 })];
      }
      mount(h(React.StrictMode, null, h(App)));
    });
    await pass(page, 100);
    assert.equal(await page.locator('i').textContent(), 'false');
    assert.equal(await page.evaluate(() => fake.attempts), 0);
    await page.evaluate(() => sign('ada.1'));
    await pass(page, 300);
    assert.equal(await page.locator('i').textContent(), 'true');
    await page.evaluate(() => {
      sendMessage('hello');
      fake.push('chat:typing', { room: '7', user: 'bob', typing: true });
    });
    await pass(page, 200);
    assert.equal(await page.locator('p').textContent(), 'hello typing:bob here:ada');
    await page.evaluate(() => sendTyping());
    assert.equal((await seen(page)).attempts, 1);
    assert.equal(await page.evaluate(() => kit.heard(fake, 'chat:typing')), 1);
    await page.evaluate(() => sign('eve.1'));
    await pass(page, 3_000);
    assert.deepEqual(await page.evaluate(() => fake.sockets.map(({ user }) => user)), ['eve']);
    assert.equal(await page.locator('i').textContent(), 'true');
    await page.evaluate(() => sign(null));
    await pass(page, 1_200);
    assert.deepEqual([await page.locator('i').textContent(), (await seen(page)).open], ['false', 0]);
  });

  test('a provider without props changes nothing for what is below it', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { h, parlor, webSocketService, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      webSocketService.configure({ url: 'http://host/ws', env: fake.env });
      const Who = ({ token }) => h('p', null, `${parlor.useWebSocket(token).connected} ${parlor.useParlor()?.hello?.user.id}`);
      const { ParlorProvider, WebSocketProvider } = parlor;
      const below = h(WebSocketProvider, null, h(Who, { token: 'eve.1' }));
      mount([h(WebSocketProvider, { key: 1 }, h(Who, { token: 'ada.1' })), h(ParlorProvider, { key: 2, url: 'http://host/ws?user=bob', options: { env: fake.env } }, below)]);
    });
    await pass(page, 300);
    assert.deepEqual(await page.locator('p').allTextContents(), ['true ada', 'true bob']);
    assert.equal((await seen(page)).open, 2);
  });

  test('who has got and who has read a message is known, also after a loss', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { h, parlor, connect, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      ['ada', 'bob', 'eve'].forEach((user) => fake.admit('tea', user));
      globalThis.bob = connect('http://host/ws?user=bob', { env: fake.env });
      function Mine() {
        const { deliveredTo, readBy, marks } = parlor.useReceipts('tea');
        globalThis.room = parlor.useRoom('tea');
        return h('p', null, `${deliveredTo(1)};${readBy(1)};${marks.length}`);
      }
      mount(h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options: { env: fake.env } }, h(Mine)));
    });
    const shown = () => page.locator('p').textContent();
    await pass(page, 200);
    assert.equal(await shown(), ';;2');
    await page.evaluate(() => void room.send('hello'));
    await pass(page, 1_500);
    assert.equal(await shown(), 'bob;;2');
    await page.evaluate(() => bob.room('tea').markRead());
    await pass(page, 1_500);
    assert.equal(await shown(), 'bob;bob;2');
    await page.evaluate(() => {
      for (const socket of fake.sockets) if (socket.user === 'ada') socket.close(1006);
      const eve = kit.connect('http://host/ws?user=eve', { env: fake.env });
      setTimeout(() => eve.room('tea').markRead(1), 50);
    });
    await pass(page, 4_000);
    assert.equal(await shown(), 'bob,eve;bob,eve;2');
  });

  test('who disconnects the service and comes back at once, with the same token, is connected', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, sohbet, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      sohbet.default.configure({ url: 'http://host/ws', env: fake.env });
      function Chat() {
        const { connected } = sohbet.useWebSocket('ada.token');
        // As the application's own hook does; StrictMode has it happen at the beginning, too.
        React.useEffect(() => () => sohbet.default.disconnect(), []);
        return h('p', null, String(connected));
      }
      function App() {
        const [isThere, show] = React.useState(true);
        globalThis.show = show;
        return isThere ? h(Chat) : null;
      }
      mount(h(React.StrictMode, null, h(App)));
    });
    await pass(page, 300);
    assert.equal(await page.locator('p').textContent(), 'true');
    await page.evaluate(() => show(false));
    await pass(page, 100);
    assert.equal((await seen(page)).open, 0);
    await page.evaluate(() => show(true));
    await pass(page, 300);
    assert.equal(await page.locator('p').textContent(), 'true');
    await pass(page, 3_000);
    assert.equal((await seen(page)).open, 1);
  });

  test('the components of Sohbet run with its own hooks, numbers and booleans', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, sohbet, connect, server: make, mount } = globalThis.kit;
      globalThis.fake = make();
      ['1', '2'].forEach((user) => fake.admit('7', user));
      sohbet.default.configure({ url: 'http://host/ws', env: fake.env });
      globalThis.other = connect('http://host/ws?user=2', { env: fake.env });
      globalThis.received = [];
      globalThis.types = [];
      function Chat({ id }) {
        const { sendMessage, sendTyping, typingUsers } = sohbet.useChatWebSocket(id, (message) => received.push(message));
        Object.assign(globalThis, { sendMessage, sendTyping });
        sohbet.useWebSocketMessage('voice:offer', (message) => types.push(message), [id]);
        const { onlineUsers, isOnline } = sohbet.useOnlineUsers();
        return h('p', null, `${typingUsers.includes(2)} ${isOnline(2)} ${isOnline(3)} ${onlineUsers.every(Number.isInteger)}`);
      }
      function App() {
        const [id, choose] = React.useState(null);
        globalThis.choose = choose;
        const { connected } = sohbet.useWebSocket('1.token');
        return h(sohbet.WebSocketProvider, null, h('i', null, String(connected)), h(Chat, { id }));
      }
      mount(h(React.StrictMode, null, h(App)));
    });
    await pass(page, 300);
    assert.deepEqual([await page.locator('i').textContent(), await page.locator('p').textContent()], ['true', 'false true false true']);
    // Nothing is chosen: nothing is taken, and nothing thrown.
    assert.deepEqual(await page.evaluate(() => [sendMessage('x'), sendTyping()]), [false, false]);
    await page.evaluate(() => {
      choose(7);
      fake.push('voice:offer', { channel_id: 3 });
    });
    await pass(page, 100);
    assert.deepEqual(await page.evaluate(() => [sendMessage('hello'), sendTyping(), types]), [true, true, [{ type: 'voice:offer', payload: { channel_id: 3 } }]]);
    await page.evaluate(() => other.room('7').typing());
    await pass(page, 100);
    assert.equal(await page.locator('p').textContent(), 'true true false true');
    await page.evaluate(() => {
      fake.admit('8', '2');
      other.room('7').send('hi');
    });
    await pass(page, 100);
    const received = await page.evaluate(() => globalThis.received.map(({ id, conversation_id: where, sender_id: who, content }) => [id, where, who, content]));
    assert.deepEqual(received, [[1, 7, 1, 'hello'], [2, 7, 2, 'hi']]);
    assert.equal(await page.locator('p').textContent(), 'false true false true');
    // What a program says itself counts, too.
    await page.evaluate(() => {
      fake.push('chat:message', { id: 50, conversation_id: 7, sender_id: 3, content: 'told' });
      fake.push('chat:message', { id: 51, conversation_id: 8, sender_id: 3, content: 'elsewhere' });
      fake.push('chat:typing', { conversation_id: 7, user_id: 2, username: 'two' });
      fake.push('user:online', { user_id: 3, username: 'three' });
    });
    await pass(page, 100);
    assert.deepEqual(await page.evaluate(() => globalThis.received.map(({ content }) => content)), ['hello', 'hi', 'told']);
    assert.equal(await page.locator('p').textContent(), 'true true true true');
    await page.evaluate(() => fake.push('user:offline', { user_id: 3, username: 'three' }));
    await pass(page, 3_100);
    assert.equal(await page.locator('p').textContent(), 'false true false true');
    assert.equal((await seen(page)).attempts, 2);
  });

  test('the dashboards of tac-webbuilder have their hook: the query only while the socket does not work, and quality by age', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      const { React, h, tac, mount } = globalThis.kit;
      globalThis.sockets = [];
      globalThis.refuses = false;
      globalThis.WebSocket = class {
        constructor(url) {
          this.url = url;
          this.readyState = 0;
          if (refuses) setTimeout(() => this.onclose?.({ code: 1006 }), 5);
          else {
            globalThis.sockets.push(this);
            setTimeout(() => ((this.readyState = 1), this.onopen?.({})), 5);
          }
        }
        close() {
          globalThis.sockets = globalThis.sockets.filter((one) => one !== this);
        }
      };
      globalThis.say = (data) => sockets.forEach((socket) => socket.onmessage?.({ data: JSON.stringify({ type: 'queue_update', data }) }));
      globalThis.cut = () => sockets.splice(0).forEach((socket) => socket.onclose?.({ code: 1006 }));
      globalThis.queries = 0;
      globalThis.heard = [];
      function Queue() {
        const [key, turn] = React.useState('queue');
        globalThis.turn = turn;
        const state = tac.useReliableWebSocket({
          url: 'ws://host/api/v1/ws/queue', queryKey: [key], queryFn: async () => (await globalThis.held, { phases: [(globalThis.queries += 1)] }), onMessage: (message) => heard.push(message),
          pollingInterval: 10_000,
        });
        const { isConnected, connectionQuality, lastUpdated, reconnectAttempts } = state;
        return h('p', null, `${Object.keys(state).length} ${isConnected} ${connectionQuality} ${lastUpdated instanceof Date} ${reconnectAttempts}`);
      }
      mount(h(React.StrictMode, null, h(Queue)));
    });
    const shown = () => page.locator('p').textContent();
    await pass(page, 100);
    assert.equal(await shown(), '4 true excellent true 0');
    assert.deepEqual(await page.evaluate(() => [queries, sockets.length, heard]), [1, 1, [{ phases: [1] }]]);
    // Nothing comes: it is judged again and again, and nobody is asked.
    for (const [quality, ms] of [['good', 10_500], ['poor', 10_000], ['disconnected', 15_000]]) {
      await pass(page, ms, 500);
      assert.equal(await shown(), `4 true ${quality} true 0`);
    }
    await page.evaluate(() => say([7]));
    await pass(page, 300);
    assert.equal(await shown(), '4 true excellent true 0');
    assert.deepEqual(await page.evaluate(() => [queries, heard.at(-1)]), [1, { type: 'queue_update', data: [7] }]);
    // It does not work: the query is asked with its interval, and no more once it does.
    await page.evaluate(() => {
      refuses = true;
      cut();
    });
    await pass(page, 25_000, 100);
    const whileDown = await page.evaluate(() => queries);
    assert.ok(whileDown === 3 || whileDown === 4, String(whileDown));
    assert.match(await shown(), /^4 false disconnected true [1-9]/);
    await page.evaluate(() => (refuses = false));
    await pass(page, 40_000, 500);
    let after = await page.evaluate(() => queries);
    await pass(page, 60_000, 1_000);
    assert.deepEqual(await page.evaluate(() => [queries, sockets.length]), [after, 1]);
    // Another server's codes say nothing of parlor's, and another component has a socket of its own.
    await page.evaluate(() => sockets.splice(0).forEach((socket) => socket.onclose?.({ code: 4001 })));
    await pass(page, 3_000, 100);
    assert.match(await shown(), /^4 true excellent/);
    // A query that never answers keeps no other from being asked.
    await page.evaluate(() => {
      globalThis.before = queries;
      globalThis.held = new Promise(() => {});
      refuses = true;
      cut();
    });
    await pass(page, 11_000, 500);
    await page.evaluate(() => (globalThis.held = undefined));
    await pass(page, 11_000, 500);
    assert.ok(await page.evaluate(() => queries > before));
    await page.evaluate(() => (refuses = false));
    await pass(page, 40_000, 500);
    after = await page.evaluate(() => queries);
    // Another key is another question.
    await page.evaluate(() => {
      globalThis.held = new Promise((done) => (globalThis.letGo = done));
      turn('other');
    });
    await pass(page, 100);
    // What the socket says before the answer is there is newer.
    await page.evaluate(() => say([8]));
    await pass(page, 100);
    await page.evaluate(() => letGo());
    await pass(page, 100);
    assert.deepEqual(await page.evaluate(() => [queries, heard.at(-1)]), [after + 1, { type: 'queue_update', data: [8] }]);
  });

  test('what a server draws is what a browser begins with', async (t) => {
    const contents = `
      import { createElement as h } from 'react';
      import { renderToString } from 'react-dom/server';
      import * as parlor from '../../clients/js/src/react.js';
      const App = ${App};
      module.exports = renderToString(h(parlor.ParlorProvider, { url: '/ws' }, h(App, { h, parlor })));`;
    const code = await bundle(version, { stdin: { contents, resolveDir: HERE }, platform: 'node', format: 'cjs' });
    const made = {};
    new Function('module', 'require', code)(made, createRequire(import.meta.url));
    assert.equal(made.exports, '<span role="status"></span><p>idle false 0 0 0 </p>');
    const page = await open(t);
    const recovered = await page.evaluate(async ([html, source]) => {
      const { React, h, parlor, server: make, hydrateRoot } = globalThis.kit;
      globalThis.fake = make();
      fake.say('tea', 'ada', 'hello');
      const Drawn = new Function(`return ${source}`)();
      const root = document.getElementById('root');
      root.innerHTML = html;
      const errors = [];
      const provider = h(parlor.ParlorProvider, { url: 'http://host/ws?user=ada', options: { env: fake.env } }, h(Drawn, { h, parlor }));
      React.startTransition(() => void hydrateRoot(root, provider, { onRecoverableError: (error) => errors.push(String(error)) }));
      return errors;
    }, [made.exports, String(App)]);
    await eventually('it is hydrated', () => page.evaluate(() => fake.attempts === 1));
    await pass(page, 300);
    assert.equal(await page.locator('p').textContent(), 'online true 1 0 1 hello');
    assert.deepEqual(recovered, []);
  });

  test('useReliableWebSocket speaks to any server, comes back, and is let go of while nobody looks', async (t) => {
    const plain = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((done) => plain.once('listening', done));
    t.after(() => {
      for (const socket of plain.clients) socket.terminate();
      plain.close();
    });
    let opened = 0;
    plain.on('connection', () => (opened += 1));
    const say = (n) => plain.clients.forEach((socket) => socket.send(JSON.stringify({ n })));
    const page = await open(t, { clock: false });
    const connects = (count) => eventually(`connection ${count}`, () => opened === count && plain.clients.size === 1);
    await page.evaluate((url) => {
      const { React, h, parlor, mount } = globalThis.kit;
      globalThis.handled = [];
      globalThis.queries = 0;
      function Feed() {
        const [enabled, enable] = React.useState(true);
        globalThis.enable = enable;
        const { isConnected, state, data, quality, lastMessageAt, send } = parlor.useReliableWebSocket({
          url, enabled, pollingInterval: 5, queryKey: ['feed'], queryFn: async () => (globalThis.queries += 1),
          onMessage: ({ n }) => globalThis.handled.push(n),
        });
        globalThis.sendToServer = send;
        return h('p', null, `${isConnected} ${state} ${data} ${quality ? quality.level !== 'lost' : '-'} ${lastMessageAt > 0}`);
      }
      mount(h(React.StrictMode, null, h(Feed)));
    }, `ws://127.0.0.1:${plain.address().port}/feed`);
    const shows = (text) => eventually(text, async () => (await page.locator('p').textContent()) === text);
    await connects(1);
    await shows('true online 1 true false');
    const said = new Promise((done) => [...plain.clients][0].once('message', (data) => done(String(data))));
    await page.evaluate(() => sendToServer({ hello: true }));
    assert.equal(await said, '{"hello":true}');
    for (let n = 1; n <= 500; n += 1) say(n);
    await eventually('500 messages', () => page.evaluate(() => handled.length === 500));
    assert.deepEqual(await page.evaluate(() => handled), Array.from({ length: 500 }, (_, at) => at + 1));

    for (const socket of plain.clients) socket.terminate();
    await connects(2);
    await shows('true online 2 true true');

    const look = (visibility) =>
      page.evaluate((to) => {
        Object.defineProperty(document, 'visibilityState', { value: to, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, visibility);
    await look('hidden');
    await eventually('nobody is there', () => plain.clients.size === 0);
    await shows('false paused 2 true true');
    await look('visible');
    await connects(3);
    // What was missed is asked for once each time, and never in between.
    await shows('true online 3 true true');
    assert.equal(await page.evaluate(() => queries), 3);

    // Within the second it is the same one.
    await page.evaluate(() => (enable(false), setTimeout(() => enable(true), 300)));
    await shows('false idle 3 - false');
    await shows('true online 4 true true');
    assert.equal(opened, 3);
    await page.evaluate(() => enable(false));
    await eventually('nobody is there', () => plain.clients.size === 0);
    assert.equal(opened, 3);
  });

  test('hooks neither make a room nor join one, and come alive when its owner adds one', async (t) => {
    const page = await open(t, { clock: false });
    const [room, user] = [`conversation${version}`, `hal${version}`];
    await page.evaluate(([url, name]) => {
      const { React, h, parlor, mount } = globalThis.kit;
      function App() {
        const chat = parlor.useChatWebSocket(name);
        parlor.useRoom(name);
        globalThis.chat = chat;
        const [messages, typing, unread] = [parlor.useMessages(name), parlor.useTyping(name), parlor.useUnread(name)];
        const text = messages.map((message) => `${message.text} ${message.status}`);
        return h('p', null, [chat.connected, chat.membership, chat.title, unread, typing, text].join(';'));
      }
      mount(h(React.StrictMode, null, h(parlor.ParlorProvider, { url }, h(App))));
    }, [`${server.url}/ws?user=${user}`, room]);
    const shows = (text) => eventually(text, async () => (await page.locator('p').textContent()) === text);
    await shows('true;none;;0;;');
    await page.evaluate(() => void chat.sendMessage('too soon'));
    await shows('true;none;;0;;too soon failed');
    // Another connection makes nothing, either.
    await server.restart();
    await shows('true;none;;0;;too soon failed');
    const owner = await Program.connect(server.url, 'owner');
    t.after(() => owner.end());
    await owner.ask('room:create', { room, title: 'Seven' });
    const { members } = await owner.ask('room:members', { room });
    assert.deepEqual(members.map((member) => [member.user, member.role]), [['owner', 'owner']]);
    await owner.ask('chat:send', { room, text: 'before' });
    const added = await fetch(`${server.url}/api/v1/rooms/${room}/members/${user}`, { method: 'PUT', headers: { Authorization: `Bearer ${ADMIN}` } });
    assert.ok(added.ok, await added.text());
    await owner.ask('chat:send', { room, text: 'welcome' });
    await shows('true;member;Seven;1;;before acked,welcome acked,too soon failed');
    await page.evaluate(() => void chat.sendMessage('thanks'));
    await shows('true;member;Seven;0;;before acked,welcome acked,thanks acked,too soon failed');
  });

  test('a guest sees public streams, and hooks say what is refused', async (t) => {
    const page = await open(t, { clock: false });
    const publish = (data) => fetch(`${server.url}/api/v1/streams/board`, {
      method: 'POST', body: JSON.stringify({ data }), headers: { Authorization: `Bearer ${ADMIN}`, 'Content-Type': 'application/json' },
    }).then(async (answer) => assert.ok(answer.ok, await answer.text()));
    await page.evaluate((url) => {
      const { React, h, parlor, mount } = globalThis.kit;
      function App() {
        const client = parlor.useParlor();
        globalThis.client = client;
        const room = parlor.useRoom('tea', { join: true });
        const { users, refusal } = parlor.usePresence();
        const { data } = parlor.useStream('board');
        const { isOnline } = parlor.useConnection();
        return h('p', null, [isOnline, data, users.length, refusal?.code, room.membership, room.refusal?.code].join(';'));
      }
      mount(h(React.StrictMode, null, h(parlor.ParlorProvider, { url, options: { backoff: { min: 50, max: 200 } } }, h(App))));
    }, `${server.url}/ws?anonymous=1`);
    const shows = (text) => eventually(text, async () => (await page.locator('p').textContent()) === text);
    await publish(`one${version}`);
    await shows(`true;one${version};0;forbidden;refused;forbidden`);
    await server.restart();
    await publish(`two${version}`);
    await shows(`true;two${version};0;forbidden;refused;forbidden`);
    assert.equal(await page.evaluate(() => client.why().filter(({ state }) => state === 'online').length), 2);
  });

  test('a dashboard has streams without the chat, and a stale one says so', async (t) => {
    const page = await open(t, { clock: false });
    const publish = (stream, data) => fetch(`${server.url}/api/v1/streams/${stream}`, {
      method: 'POST', body: JSON.stringify({ data }), headers: { Authorization: `Bearer ${ADMIN}`, 'Content-Type': 'application/json' },
    }).then(async (answer) => assert.ok(answer.ok, await answer.text()));
    await publish('board', `one${version}`);
    await publish('fed', 1);
    await page.evaluate((url) => {
      const { React, h, streams, mount } = globalThis.kit;
      function App() {
        globalThis.client = streams.useParlor();
        const { data } = streams.useStream('board');
        const { stale } = streams.useStream('fed');
        const { isOnline } = streams.useConnection();
        return [h('p', { key: 1 }, [isOnline, data, stale !== null].join(';')), h(streams.ConnectionBadge, { key: 2 })];
      }
      const provider = () => h(streams.ParlorProvider, { url, options: { backoff: { min: 50, max: 200 } } }, h(App));
      mount(h(React.StrictMode, null, provider(), provider()));
    }, `${server.url}/ws?anonymous=1`);
    const shows = (text) => eventually(text, async () => (await page.locator('p').allTextContents()).every((shown) => shown === text));
    await shows(`true;one${version};true`);
    assert.deepEqual(await page.locator('[role=status]').allTextContents(), ['Live', 'Live']);
    assert.deepEqual(await page.evaluate(() => [client.why().length, client.room]), [3, undefined]);
    await server.restart();
    await publish('board', `two${version}`);
    await publish('fed', 2);
    await shows(`true;two${version};true`);
  });

  test('against the real server: what others say and change, and what is sent while it is away', async (t) => {
    const page = await open(t, { clock: false });
    const [room, user] = [`tea${version}`, `ada${version}`];
    await page.evaluate(([url, name]) => {
      const { React, h, parlor, mount, List } = globalThis.kit;
      function App() {
        globalThis.room = parlor.useRoom(name);
        const { isOnline } = parlor.useConnection();
        const { users, isOnline: isHere } = parlor.usePresence();
        const { rows } = globalThis.room;
        return [
          h('p', { key: 1 }, `${isOnline} ${users.length > 0 && isHere('bob')} ${parlor.useTyping(name)} ${rows[0]?.type}`),
          h(List, { key: 2, room: name }),
        ];
      }
      const options = { backoff: { min: 50, max: 200 } };
      mount(h(React.StrictMode, null, h(parlor.ParlorProvider, { url, options }, h(App))));
    }, [`${server.url}/ws?user=${user}`, room]);
    await eventually('one is in the room', async () => (await page.locator('ul[data-member=true]').count()) === 1);
    const bob = await Program.connect(server.url, 'bob');
    t.after(() => bob.end());
    await bob.ask('room:join', { room });
    const { seq } = await bob.ask('chat:send', { room, text: 'draft' });
    await bob.ask('chat:edit', { room, seq, text: 'final' });
    await bob.ask('chat:typing', { room });
    await eventually('it is drawn as edited', () => page.locator('li[data-edited=true]', { hasText: 'final' }).isVisible());
    await eventually('bob is here, and types', async () => (await page.locator('p').textContent()) === 'true true bob joined');

    bob.end();
    await server.kill();
    await eventually('the loss', async () => (await page.locator('p').textContent()).startsWith('false'));
    await page.evaluate(() => ['one', 'two'].forEach((text) => room.send(text)));
    await eventually('they wait', async () => (await page.locator('li[data-status=queued]').count()) === 2);
    await server.start();
    await eventually('they are there', async () => (await page.locator('li[data-status=acked]').count()) === 3);
    assert.deepEqual(await texts(page), ['final', 'one', 'two']);

    // Whoever comes later is shown the same.
    const other = await open(t, { clock: false });
    await other.evaluate(([url, name]) => {
      const { h, parlor, mount, List } = globalThis.kit;
      mount(h(parlor.ParlorProvider, { url }, h(List, { room: name })));
    }, [`${server.url}/ws?user=eve${version}`, room]);
    await eventually('the other sees them', async () => (await texts(other)).length === 3);
    assert.deepEqual(await texts(other), ['final', 'one', 'two']);
    assert.equal(await other.locator('li[data-edited=true]').count(), 1);
  });
}

/** Drawn on the server and in the browser; its source is sent to both. */
function App({ h, parlor }) {
  const { state, isOnline } = parlor.useConnection();
  const { messages } = parlor.useRoom('tea');
  const text = [state, isOnline, messages.length, parlor.useUnread(), parlor.usePresence().users.length, messages[0]?.text].join(' ');
  parlor.useStream('rate');
  parlor.useQuality();
  parlor.useOnMessage('app:any', () => {});
  return [h(parlor.ConnectionStatus, { key: 1 }), h('p', { key: 2 }, text)];
}
