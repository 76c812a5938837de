// The example of an application that had its chat before parlor: its own users and conversations, its hooks and components.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { Example, eventually, launch, temporaryDirectory } from './support.mjs';

const LIMIT = { timeout: 180_000 };
const WHILE_DOWN = /WebSocket connection to .* failed|net::ERR_|Failed to load resource/;
let browser;
let built;
let app;
before(async () => {
  built = temporaryDirectory();
  execFileSync(process.execPath, [fileURLToPath(new URL('../../examples/build.mjs', import.meta.url)), 'sohbet', `${built}/app.js`]);
  browser = await launch();
}, LIMIT);
after(async () => {
  await browser?.close();
  if (built) rmSync(built, { recursive: true });
});

/** A scene with a server of its own; whatever the console says while that is there is a failure. */
function scene(name, run) {
  test(name, LIMIT, async () => {
    app = await Example.run('sohbet', `${built}/app.js`);
    const contexts = [];
    const complaints = [];
    const open = async (user, context) => {
      const own = context ?? (await browser.newContext());
      if (!context) contexts.push(own);
      const page = await own.newPage();
      page.on('pageerror', (error) => complaints.push(error.stack));
      page.on('console', (message) => message.type() === 'error' && !WHILE_DOWN.test(message.text()) && complaints.push(message.text()));
      await page.goto(app.url);
      await page.getByLabel('Your name').fill(user);
      await page.getByRole('button', { name: 'Come in' }).click();
      await connected(page);
      return page;
    };
    try {
      await run(open);
      assert.deepEqual(complaints, []);
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
      await app.end();
    }
  });
}

const connected = (page) => page.getByRole('status').filter({ hasText: 'Connected' }).waitFor({ timeout: 40_000 });
const away = (page) => page.getByRole('status').filter({ hasText: 'Reconnecting' }).waitFor();
const choose = (page, name) => page.getByRole('navigation').getByRole('button', { name }).click();
const messages = (page) => page.getByLabel('Messages').getByRole('listitem').allTextContents();
const shows = (page, expected) => eventually(`the messages ${expected.join(', ')}`, async () => {
  const seen = await messages(page);
  if (seen.join() !== expected.join()) throw new Error(seen.join(', '));
  return true;
});
const say = async (page, text) => {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
};

scene('two people talk: who is here, who types, what was got and read, in two tabs', async (open) => {
  const ada = await open('Ada Lovelace');
  await ada.getByText('Nobody else is here yet').waitFor();
  const bob = await open('Bob');
  await choose(ada, 'Write to Bob');
  await ada.getByText('Nothing was said yet.').waitFor();
  await ada.getByRole('button', { name: /Bob ● online/ }).waitFor();
  await say(ada, 'hello');
  await shows(ada, ['hello (delivered)']);
  await bob.getByRole('button', { name: /Ada Lovelace ● online \(1 new\)/ }).waitFor();
  await choose(bob, /Ada Lovelace/);
  await shows(bob, ['hello']);
  await shows(ada, ['hello (read)']);

  await bob.getByLabel('Message', { exact: true }).pressSequentially('g');
  await ada.getByText('Bob is typing…').waitFor();
  await say(bob, '<b>good evening</b>');
  await shows(ada, ['hello (read)', '<b>good evening</b>']);
  await ada.getByText('Bob is typing…').waitFor({ state: 'hidden' });

  // Another tab of the same person has it all, once, and so does who comes back to the conversation.
  const second = await open('Ada Lovelace', ada.context());
  await choose(second, /Bob/);
  await shows(second, ['hello (read)', '<b>good evening</b>']);
  await say(second, 'from the other tab');
  for (const page of [ada, second]) await shows(page, ['hello (read)', '<b>good evening</b>', 'from the other tab (read)']);
  await shows(bob, ['hello', '<b>good evening</b> (read)', 'from the other tab']);

  await bob.context().close();
  await ada.getByRole('button', { name: /Bob ○ offline/ }).waitFor();
});

scene('what is written without a server goes out, once and in order, also from a page that was closed, and what was missed comes', async (open) => {
  const ada = await open('Ada');
  const bob = await open('Bob');
  await choose(ada, 'Write to Bob');
  await say(ada, 'before');
  await choose(bob, /Ada/);
  await shows(bob, ['before']);
  await shows(ada, ['before (read)']);
  await app.kill();
  await Promise.all([away(ada), away(bob)]);
  for (const text of ['one', 'two']) await say(ada, text);
  await shows(ada, ['before (read)', 'one (waits)', 'two (waits)']);
  await say(bob, 'three');
  await ada.close();
  await app.start();
  await connected(bob);
  const back = await open('Ada', ada.context());
  await choose(back, /Bob/);
  await eventually('all of it, once', async () => (await messages(bob)).length === 4);
  const seen = await messages(bob);
  const texts = seen.map((text) => text.replace(/ \(.*\)$/, ''));
  assert.deepEqual([...texts].sort(), ['before', 'one', 'three', 'two']);
  assert.ok(texts.indexOf('one') < texts.indexOf('two'));
  await eventually('the same to both', async () => (await messages(back)).map((text) => text.replace(/ \(.*\)$/, '')).join() === texts.join());

  // A restart in order is no more than a pause.
  await app.restart();
  for (const page of [back, bob]) await connected(page);
  await say(back, 'after');
  await eventually('it comes', async () => (await messages(bob)).at(-1) === 'after');
});

scene('a conversation is its two users\' alone', async (open) => {
  const ada = await open('Ada');
  await open('Bob');
  await choose(ada, 'Write to Bob');
  await say(ada, 'secret');
  await shows(ada, ['secret (delivered)']);
  const ask = async (path, token, body) => {
    const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
    const response = await fetch(`${app.url}${path}`, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body) });
    return { status: response.status, ...(await response.json()) };
  };
  const { token } = await ask('/api/login', null, { username: 'Eve' });
  assert.equal((await ask('/api/conversations', token)).conversations.length, 0);
  assert.equal((await ask('/api/conversations/1/messages', token)).status, 404);
  assert.equal((await ask('/api/conversations/x/messages', token)).status, 400);
  assert.equal((await ask('/api/conversations/1/messages')).status, 401);
  assert.equal((await ask('/api/conversations', token, { user_id: 99 })).status, 404);
  assert.equal((await ask('/api/conversations', token, { user_id: 3 })).status, 400);
  assert.equal((await ask('/api/login', null, { username: ' ' })).status, 400);
  const socket = new WebSocket(`${app.url.replace('http', 'ws')}/ws?token=${token}`);
  const said = [];
  socket.on('message', (data) => said.push(JSON.parse(data)));
  await new Promise((done) => socket.on('open', done));
  const attempts = [['room:join', { room: '1' }], ['chat:history', { room: '1' }], ['chat:send', { room: '1', text: 'x' }], ['room:create', { room: '9' }]];
  attempts.forEach(([type, payload], id) => socket.send(JSON.stringify({ type, id, payload })));
  await eventually('all are refused', () => said.filter(({ type }) => type === 'error').length === attempts.length);
  socket.close();
});
