// The example pages, as they are handed out, against the real server.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PARLOR, Server, eventually, freePort, launch } from './support.mjs';

const EXAMPLES = fileURLToPath(new URL('../../examples/web/', import.meta.url));
let browser;
let pages;
let server;

before(async () => {
  const port = await freePort();
  pages = spawn(process.execPath, [`${EXAMPLES}serve.mjs`, '--port', String(port), '--no-server'], { stdio: ['ignore', 'ignore', 'inherit'] });
  pages.url = `http://127.0.0.1:${port}`;
  await eventually('the pages are there', async () => (await fetch(`${pages.url}/plain.html`)).ok);
  server = await Server.start('--config', `${EXAMPLES}parlor.toml`, '--set', `http.allowed_origins=${pages.url}`);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.end();
  pages?.kill('SIGKILL');
});

/** Opens an example, which must make no mistake that the console would tell. */
async function open(t, name, query = '') {
  const page = await browser.newPage();
  const mistakes = [];
  page.on('pageerror', (error) => mistakes.push(error.message));
  t.after(async () => {
    await page.close();
    assert.deepEqual(mistakes, []);
  });
  await page.goto(`${pages.url}/${name}?parlor=${encodeURIComponent(server.url)}${query}`);
  return page;
}

const live = (page) => page.locator('#state', { hasText: /^live$/ }).waitFor();
const items = (page, list) => page.locator(`#${list} li`).allTextContents();
const shows = (page, list, expected) =>
  eventually(`${expected} in ${list}`, async () => (await items(page, list)).filter((text) => !/joined$/.test(text)).join() === expected.join());
const say = async (page, text) => {
  await page.getByLabel('Message').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
};

test('plain.html: two people chat, and what is written without a server goes out when it is back', async (t) => {
  const ada = await open(t, 'plain.html', '&user=ada');
  await live(ada);
  await say(ada, 'hello');
  await shows(ada, 'messages', ['ada: hello']);
  const bob = await open(t, 'plain.html', '&user=bob');
  await live(bob);
  await shows(bob, 'messages', ['ada: hello']);
  await eventually('both are listed', async () => /ada, bob/.test(await ada.locator('#people').textContent()));
  await bob.getByLabel('Message').pressSequentially('g');
  await eventually('bob types', async () => /bob/.test(await ada.locator('#typists').textContent()));
  await say(bob, '<b>good evening</b>');
  await shows(ada, 'messages', ['ada: hello', 'bob: <b>good evening</b>']);
  await eventually('bob types no more', async () => !/bob/.test(await ada.locator('#typists').textContent()));
  await server.kill();
  await ada.locator('#state', { hasText: 'away' }).waitFor();
  await say(ada, 'meanwhile');
  await shows(ada, 'unsent', ['ada: meanwhile (queued) ']);
  await ada.reload();
  await server.start();
  for (const page of [ada, bob]) {
    await eventually('it has gone out, and is shown', async () => (await items(page, 'messages')).at(-1) === 'ada: meanwhile');
  }
  await shows(ada, 'unsent', []);
});

test('plain.html asks for a name', async (t) => {
  const page = await open(t, 'plain.html');
  await page.getByLabel('Your name').fill('eve');
  assert.equal(await page.getByLabel('Message').isVisible(), false);
  await page.getByRole('button', { name: 'Come in' }).click();
  await live(page);
});

test('react.html: a chat with who is here and who types, which goes on after a loss', async (t) => {
  const [ada, bob] = [await open(t, 'react.html', '&user=ada'), await open(t, 'react.html', '&user=bob')];
  const status = (page) => page.getByRole('status').textContent();
  for (const page of [ada, bob]) await eventually('it is live', async () => (await status(page)) === 'Live');
  const before = (await items(ada, 'messages')).length;
  const shown = async (page) => (await items(page, 'messages')).slice(before);
  await ada.getByLabel('Message').fill('in React');
  await eventually('ada types', async () => /ada/.test(await bob.locator('#typists').textContent()));
  await ada.getByRole('button', { name: 'Send' }).click();
  for (const page of [ada, bob]) await eventually('it is shown', async () => (await shown(page)).join() === 'ada: in React');
  await eventually('both are here', async () => /ada, bob/.test(await ada.locator('p').first().textContent()));
  await server.kill();
  await eventually('it says so', async () => /Reconnecting/.test(await status(ada)));
  await say(ada, 'meanwhile');
  await eventually('it waits', async () => (await ada.locator('#messages li.unsent').allTextContents()).join() === 'ada: meanwhile');
  await server.start();
  for (const page of [ada, bob]) await eventually('it has gone out', async () => (await shown(page)).at(-1) === 'ada: meanwhile');
  await eventually('nothing waits', async () => (await ada.locator('#messages li.unsent').count()) === 0);
});

test('dashboard.html: a state and a log, which rest while the page is hidden', async (t) => {
  const [page, other] = [await open(t, 'dashboard.html'), await open(t, 'dashboard.html')];
  await Promise.all([live(page), live(other)]);
  const heard = async () => Number(await page.locator('#heard').textContent());
  await eventually('the clock goes', async () => (await heard()) > 1);
  const done = async (what) => {
    await other.getByLabel('What').fill(what);
    await other.getByRole('button', { name: 'Done' }).click();
    await eventually('it is shown', async () => (await items(other, 'deeds'))[0] === what);
  };
  await done('one');
  await shows(page, 'deeds', ['one']);
  const see = (state) =>
    page.evaluate((now) => {
      Object.defineProperty(document, 'visibilityState', { value: now, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  await see('hidden');
  const watching = async () => {
    const answer = await fetch(`${server.url}/api/v1/streams?user=ada`);
    return (await answer.json()).streams.map(({ subscribers }) => subscribers);
  };
  await eventually('only the other watches', async () => (await watching()).join() === '1,1');
  const before = await heard();
  await done('two');
  await done('three');
  assert.equal(await heard(), before);
  await shows(page, 'deeds', ['one']);
  await see('visible');
  await shows(page, 'deeds', ['three', 'two', 'one']);
  await eventually('the clock goes on', async () => (await heard()) > before);
});

test('one command starts the server and the pages, and ends both', async (t) => {
  const [port, at] = [await freePort(), await freePort()];
  const env = { ...process.env, PARLOR_BIN: PARLOR };
  const all = spawn(process.execPath, [`${EXAMPLES}serve.mjs`, '--port', String(port), '--listen', `127.0.0.1:${at}`], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => all.kill());
  let said = '';
  all.stdout.on('data', (text) => (said += text));
  const healthy = () => fetch(`http://127.0.0.1:${at}/healthz`).then(({ ok }) => ok, () => false);
  await eventually('the server is there', healthy);
  const [address] = said.match(/http:\S+dashboard\.html\S*/) ?? [];
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(address);
  await live(page);
  await eventually('the clock goes', async () => Number(await page.locator('#heard').textContent()) > 0);
  const ended = new Promise((done) => all.once('exit', done));
  all.kill();
  assert.equal(await ended, 0);
  assert.equal(await healthy(), false);
});

test('what is no option is said, with those that are', () => {
  for (const [option, expected] of [['--prot', /--prot/], ['--port=0', /1 to 65535/]]) {
    const { status, stderr } = spawnSync(process.execPath, [`${EXAMPLES}serve.mjs`, option], { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, expected);
    assert.match(stderr, /Usage: node examples\/web\/serve.mjs/);
  }
});
