// The adapters for Vue and Svelte in a browser, against the real server: what one shows, the others do, too.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Program, Server, eventually, freePort, launch, temporaryDirectory } from './support.mjs';

const HERE = fileURLToPath(new URL('adapters/', import.meta.url));
const README = readFileSync(new URL('../../clients/js/README.md', import.meta.url), 'utf8');
/** The component that stands there. */
const sampleIn = (language) => [...README.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, text]) => text).find((text) => text.includes('useRoom'));
const ADMIN = 'the-token-of-who-runs-the-server-';
const STREAMS = 'streams={ board = { read = "public", publish = true }, fed = { read = "public", publish = true, stale_ms = 200 }, staff = { publish = true } }';
const require = createRequire(import.meta.url);
/** Each adapter: what is in its page, and how a server draws the same. */
const KINDS = {
  'Vue 3': { page: 'vue.mjs', draws: "export { draw } from './vue-server.mjs';" },
  'Svelte 4': { page: 'svelte.mjs', svelte: 'svelte4', draws: "import Root from './Root.svelte'; export const draw = (begin) => Root.render({ client: null, begin }).html;" },
  'Svelte 5': {
    page: 'svelte.mjs', svelte: 'svelte',
    draws: "import { render } from 'svelte/server'; import Root from './Root.svelte'; export const draw = (begin) => render(Root, { props: { client: null, begin } }).body;",
  },
};
let browser;
let pages;
let server;
let secrets;
const bundles = {};

/** Components of Svelte are compiled; its package is that of the version. */
const ofSvelte = (name, generate) => ({
  name: 'svelte',
  setup(plugin) {
    plugin.onResolve({ filter: /^svelte(\/|$)/ }, ({ path, kind, pluginData }) =>
      (pluginData === 'seen' ? undefined : plugin.resolve(path.replace('svelte', name), { kind, resolveDir: HERE, pluginData: 'seen' })));
    plugin.onResolve({ filter: /^\.\/sample\.svelte$/ }, () => ({ path: `${HERE}sample.svelte` }));
    plugin.onLoad({ filter: /\.svelte$/ }, async ({ path }) => {
      const text = path.endsWith('sample.svelte') ? sampleIn('svelte') : await readFile(path, 'utf8');
      const { VERSION, compile } = require(`${name}/compiler`);
      const isOld = VERSION.startsWith('4.');
      const how = isOld ? { generate: { client: 'dom', server: 'ssr' }[generate], hydratable: true } : { generate };
      const { js, warnings } = compile(text, { filename: path, dev: false, ...how });
      assert.deepEqual(warnings.map(({ message }) => message), []);
      return { contents: js.code };
    });
  },
});

const ofVue = {
  name: 'vue',
  setup(plugin) {
    plugin.onResolve({ filter: /^\.\/sample\.vue$/ }, () => ({ path: `${HERE}sample.vue` }));
    plugin.onLoad({ filter: /\.vue$/ }, () => {
      const { compileScript, parse } = require('vue/compiler-sfc');
      const { descriptor, errors } = parse(sampleIn('vue'), { filename: 'sample.vue' });
      assert.deepEqual(errors, []);
      return { contents: compileScript(descriptor, { id: 'sample', inlineTemplate: true }).content, resolveDir: HERE };
    });
  },
};

async function bundle({ page, draws, svelte = 'svelte' }, generate) {
  const isPage = generate === 'client';
  const contents = isPage
    ? `import { connect } from '../../../clients/js/src/index.js'; import * as streams from '../../../clients/js/src/streams.js'; import * as own from './${page}'; globalThis.kit = { connect, streams, ...own };`
    : draws;
  const { outputFiles } = await build({
    bundle: true, write: false, logLevel: 'error', stdin: { contents, resolveDir: HERE }, format: isPage ? 'iife' : 'cjs', platform: isPage ? 'browser' : 'node',
    nodePaths: [fileURLToPath(new URL('../node_modules', import.meta.url))], conditions: isPage ? ['svelte', 'browser'] : ['svelte'],
    define: { 'process.env.NODE_ENV': '"development"', __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'true' },
    alias: { 'parlor-client': fileURLToPath(new URL('../../clients/js/src', import.meta.url)) }, plugins: [ofSvelte(svelte, generate), ofVue],
  });
  return outputFiles[0].text;
}

before(async () => {
  const names = Object.keys(KINDS);
  for (const name of names) bundles[name] = await bundle(KINDS[name], 'client');
  const port = await freePort();
  pages = createServer(({ url }, response) => {
    const [at, ending] = url.slice(1).split('.');
    const script = ending === 'js' && bundles[names[at]];
    response.writeHead(200, { 'Content-Type': `${script ? 'text/javascript' : 'text/html'}; charset=utf-8` });
    response.end(script || `<!doctype html><title>adapters</title><div id="root"></div><script src="${url}.js"></script>`);
  });
  await new Promise((done) => pages.listen(port, '127.0.0.1', done));
  pages.url = `http://127.0.0.1:${port}`;
  secrets = temporaryDirectory();
  writeFileSync(`${secrets}/admin`, ADMIN);
  server = await Server.start('--set', `http.allowed_origins=${pages.url}`, '--set', `auth.admin_token_file=${secrets}/admin`, '--set', 'auth.anonymous=true', '--set', STREAMS);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.end();
  pages?.close();
  if (secrets) rmSync(secrets, { recursive: true });
});

async function api(path, body) {
  const answer = await fetch(`${server.url}/api/v1/${path}`, { method: 'POST', body: JSON.stringify(body), headers: { Authorization: `Bearer ${ADMIN}`, 'Content-Type': 'application/json' } });
  assert.ok(answer.ok, await answer.text());
}

Object.keys(KINDS).forEach((name, at) => describe(name, () => tests(name, at)));

function tests(name, at) {
  /** A page with a client of a user, whose errors are the test's. */
  async function open(t, who, begin, { from = 'connect', drawn = '' } = {}) {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      const isOurs = /error|warning/.test(message.type()) && !/favicon|WebSocket connection|parlor-client/.test(message.text());
      if (isOurs) errors.push(message.text());
    });
    t.after(async () => {
      await page.close();
      assert.deepEqual(errors, []);
    });
    await page.goto(`${pages.url}/${at}`);
    await page.evaluate(([url, how, by, html]) => {
      const { kit } = globalThis;
      document.getElementById('root').innerHTML = html;
      const make = by === 'streams' ? kit.streams.connect : kit.connect;
      globalThis.own = make(url, { backoff: { min: 50, max: 200 }, quality: { interval: 100 } });
      globalThis.take = kit.mount(own, how, html !== '');
    }, [`${server.url}/ws?${who}`, begin, from, drawn]);
    return page;
  }
  const shown = async (page, id) => JSON.parse(await page.locator(`#${id}`).textContent());
  /** Waits until what is shown has all this. */
  async function shows(page, id, expected) {
    let last;
    await eventually(JSON.stringify(expected), async () => {
      last = await shown(page, id);
      return Object.entries(expected).every(([key, value]) => JSON.stringify(last[key]) === JSON.stringify(value));
    }).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
  }
  const as = (who) => `${who}${at}`;

  test('two users: messages, who reads and types them, who is here, what is unread', async (t) => {
    const room = as('tea');
    const ada = await open(t, `user=${as('ada')}`, { room, join: true, chat: true, house: true });
    await shows(ada, 'room', { isMember: true, name: room });
    const cy = await open(t, `user=${as('cy')}`, { room, join: true, chat: true, house: true });
    await shows(cy, 'room', { isMember: true });
    await shows(ada, 'house', { status: 'live', isOnline: true, measured: true, isBobHere: false });
    await eventually('both are here', async () => {
      const { users } = await shown(ada, 'house');
      return [as('ada'), as('cy')].every((user) => users.includes(user));
    });
    await cy.evaluate(() => room.typing());
    await shows(ada, 'room', { typists: [as('cy')] });
    await shows(ada, 'house', { typing: [as('cy')] });
    await cy.evaluate(() => void room.send('hello'));
    await shows(ada, 'room', { typists: [], messages: ['hello acked'] });
    await shows(cy, 'room', { messages: ['hello acked'], read: [''], delivered: [as('ada')] });
    await shows(ada, 'house', { unread: 1, shown: 1 });
    await ada.evaluate(() => room.markRead());
    await shows(ada, 'house', { unread: 0 });
    await shows(cy, 'room', { read: [as('ada')] });
    const bob = await Program.connect(server.url, 'bob');
    await shows(ada, 'house', { isBobHere: true });
    bob.end();
    await shows(ada, 'house', { isBobHere: false });
  });

  test('what is sent while the server is away waits, is shown so, and goes once', async (t) => {
    const room = as('den');
    const page = await open(t, `user=${as('ada')}`, { room, join: true, chat: true, house: true });
    await shows(page, 'room', { isMember: true });
    await server.kill();
    await shows(page, 'house', { isOnline: false });
    await page.evaluate(() => ['one', 'two', 'never'].forEach((text) => room.send(text)));
    await shows(page, 'room', { messages: ['one queued', 'two queued', 'never queued'] });
    await shows(page, 'house', { count: 3, failed: 0 });
    assert.equal(await page.evaluate(() => outbox.cancel(outbox.messages().at(-1).id)), true);
    await shows(page, 'house', { count: 2 });
    await server.start();
    await shows(page, 'room', { messages: ['one acked', 'two acked'] });
    await shows(page, 'house', { count: 0, isOnline: true });
    assert.ok(await page.evaluate(() => connection.why().length > 3));
    await page.evaluate(() => connection.pause());
    await shows(page, 'house', { isOnline: false });
    await page.evaluate(() => connection.retryNow());
    await shows(page, 'house', { isOnline: true });
  });

  test('a room is only read unless it says more, another name shows another room, and what is gone is left', async (t) => {
    const [first, second] = [as('first'), as('second')];
    const page = await open(t, `user=${as('ada')}`, { room: first, join: false, chat: true });
    await shows(page, 'room', { isMember: false, membership: 'none', name: first });
    await page.evaluate(() => show({ chat: false }));
    await page.evaluate(() => show({ chat: true, join: true }));
    await shows(page, 'room', { isMember: true, name: first });
    await page.evaluate(() => void room.send('in the first'));
    await shows(page, 'room', { messages: ['in the first acked'] });
    await page.evaluate((to) => show({ room: to }), second);
    await shows(page, 'room', { isMember: true, name: second, messages: [] });
    await page.evaluate(() => void room.send('in the second'));
    await shows(page, 'room', { messages: ['in the second acked'] });
    await page.evaluate((to) => show({ room: to }), first);
    await shows(page, 'room', { name: first, messages: ['in the first acked'] });
    // Gone and back within a second it has not left.
    await page.evaluate(() => show({ chat: false, leaves: true }));
    await page.evaluate(() => show({ chat: true }));
    await shows(page, 'room', { isMember: true });
    await page.evaluate(() => show({ chat: false }));
    await page.evaluate(() => show({ chat: true }));
    await new Promise((done) => setTimeout(done, 1_500));
    assert.equal(await page.evaluate((of) => own.room(of).membership, first), 'member');
    await page.evaluate(() => show({ chat: false }));
    await eventually('it is left', () => page.evaluate((of) => own.room(of).membership === 'left', first));
    assert.equal(await page.evaluate((of) => own.room(of).membership, second), 'member');
  });

  test('a dashboard of a guest: streams, a stale one, a refusal, pushes of the application; and nothing is watched any more when it is gone', async (t) => {
    await api('streams/board', { data: `one${at}` });
    await api('streams/fed', { data: 1 });
    const page = await open(t, 'anonymous=1', { board: true }, { from: 'streams' });
    await shows(page, 'board', { data: `one${at}`, stale: true, refusal: 'forbidden', told: [] });
    await api('push', { all: true, type: 'hello.you', payload: { n: at } });
    await shows(page, 'board', { told: [{ n: at }] });
    await server.restart();
    await api('streams/board', { data: `two${at}` });
    await shows(page, 'board', { data: `two${at}` });
    assert.equal(await page.evaluate(() => board.publish('mine').catch(({ code }) => code)), 'forbidden');
    await page.evaluate(() => take());
    await new Promise((done) => setTimeout(done, 1_300));
    await api('streams/board', { data: `three${at}` });
    await new Promise((done) => setTimeout(done, 200));
    assert.equal(await page.evaluate(() => own.stream('board').latest.data), `two${at}`);
  });

  test('the component that stands in the README runs', async (t) => {
    const room = as('sample');
    const page = await open(t, `user=${as('ada')}`, {});
    await page.evaluate((of) => {
      take();
      kit.mountSample(own, of);
    }, room);
    await eventually('one is in the room', () => page.evaluate((of) => own.room(of).membership === 'member', room));
    const dan = await Program.connect(server.url, 'dan');
    t.after(() => dan.end());
    await dan.ask('room:join', { room });
    await dan.ask('chat:send', { room, text: 'good evening' });
    await page.locator('input').fill('hello');
    await page.locator('input').press('Tab');
    await eventually('both are there', async () => JSON.stringify((await page.locator('p').allTextContents()).map((text) => text.trim())) === JSON.stringify(['dan: good evening', `${as('ada')}: hello`]));
    assert.equal(await page.locator('input').inputValue(), '');
  });

  test('where no client was given the console says so, once', async (t) => {
    const page = await open(t, `user=${as('ada')}`, {});
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    await page.evaluate(() => {
      take();
      kit.mountSample(undefined, 'tea');
    });
    await eventually('it is said', () => said.some((text) => text.includes('no client was given')));
    assert.equal(said.filter((text) => text.includes('parlor-client')).length, 1, said.join());
  });

  if (name.startsWith('Vue')) test('a component gives those below it another client', async (t) => {
    const page = await open(t, 'anonymous=1', {});
    await api('streams/board', { data: 'for both' });
    await page.evaluate((url) => {
      take();
      kit.mountTwo(own, kit.streams.connect(url));
    }, `${server.url}/ws?user=${as('other')}`);
    await eventually('each has its own', async () => (await page.locator('i').allTextContents()).join() === 'for both true false,for both false true');
  });

  if (name.startsWith('Vue')) test('what components share follows on when the first of them is gone', async (t) => {
    const page = await open(t, 'anonymous=1', {});
    await page.evaluate(() => {
      take();
      globalThis.takeFirst = kit.mountShared(own);
    });
    await api('streams/board', { data: 'with the first' });
    await eventually('both show it', async () => (await page.locator('i').allTextContents()).join() === 'with the first,with the first');
    await page.evaluate(() => takeFirst());
    await api('streams/board', { data: 'without it' });
    await eventually('the second shows it', async () => (await page.locator('i').allTextContents()).join() === 'without it');
  });

  test('what a server draws is what a browser begins with', async (t) => {
    const begin = { room: as('drawn'), join: true, chat: true, house: true, board: true };
    const made = { exports: {} };
    new Function('module', 'exports', 'require', await bundle(KINDS[name], 'server'))(made, made.exports, require);
    const html = await made.exports.draw(begin);
    assert.match(html, /id="room"/);
    assert.match(html.replaceAll('&quot;', '"'), /"state":"idle","status":null,"isOnline":false/);
    const page = await open(t, `user=${as('ada')}`, begin, { drawn: html });
    await shows(page, 'room', { isMember: true });
    await shows(page, 'house', { isOnline: true });
    assert.equal(await page.locator('main').count(), 1);
  });
}
