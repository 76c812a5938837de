// The page in a real browser against the real server: node --test.
// Each test has a server, a directory and windows of its own, and ends what it started.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import WebSocket from 'ws';
import { LIMIT, acknowledged, holds, scene, shows } from './scene.mjs';
import { Server, allTexts, comeIn, eventually, inRoom, joinRoom, live, say, sleep, texts } from './support.mjs';

scene('two people see each other, each other\'s typing and each other\'s messages', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await inRoom(ada, 'lobby');
  await joinRoom(ada, 'tea');
  await joinRoom(bob, 'tea');

  await ada.locator('.person', { hasText: 'bob' }).waitFor();
  await bob.locator('.person', { hasText: 'ada' }).waitFor();
  for (const page of [ada, bob]) {
    await page.locator('.note').filter({ hasText: /^ada and bob joined$/ }).waitFor();
    await page.locator('#room-note').filter({ hasText: /^2 members$/ }).waitFor();
  }

  await ada.locator('#message').pressSequentially('hel');
  await bob.locator('#typing', { hasText: 'ada is typing' }).waitFor();
  await say(ada, 'hello');
  await shows(bob, ['hello']);
  assert.equal(await bob.locator('#typing').textContent(), '', 'typing ends with the message');
  await say(bob, 'good evening');
  await shows(ada, ['hello', 'good evening']);
  await shows(bob, ['hello', 'good evening']);

  await bob.context().close();
  await ada.locator('.person.away', { hasText: 'bob' }).waitFor();
});

for (const takeover of [true, false]) {
  const args = ['--set', 'compression.enabled=true', '--set', 'compression.threshold_bytes=64', '--set', `compression.context_takeover=${takeover}`];
  scene(`a browser's compression is agreed to, ${takeover ? 'with' : 'without'} what was said before`, { args }, async ({ server, open }) => {
    const [ada, bob] = [await open(), await open()];
    const answers = [];
    const client = await ada.context().newCDPSession(ada);
    client.on('Network.webSocketHandshakeResponseReceived', ({ response }) => answers.push(response.headers));
    await client.send('Network.enable');
    await comeIn(ada, server.url, 'ada');
    await comeIn(bob, server.url, 'bob');
    const names = Object.entries(answers[0]).map(([name, value]) => [name.toLowerCase(), value]);
    const agreed = new Map(names).get('sec-websocket-extensions');
    assert.match(agreed, /^permessage-deflate/);
    assert.equal(/client_no_context_takeover/.test(agreed), !takeover, agreed);
    await joinRoom(ada, 'tea');
    await joinRoom(bob, 'tea');
    const said = [];
    for (const line of ['one two three '.repeat(20), 'one two three '.repeat(150), 'äöü 😀 '.repeat(60), 'short']) {
      for (const page of [ada, bob]) {
        said.push(`${said.length} ${line}`.trim());
        await say(page, said.at(-1));
        await holds(ada, said);
      }
    }
    await holds(bob, said);
  });
}

scene('what was acknowledged is there exactly once and in order after the server was killed', { goesDown: true }, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await joinRoom(ada, 'tea');
  await joinRoom(bob, 'tea');
  const said = [];
  for (let round = 1; round <= 5; round += 1) {
    for (const [page, name] of [[ada, 'ada'], [bob, 'bob']]) {
      said.push(`${name} ${round}`);
      await say(page, said.at(-1));
      await acknowledged(page);
      await shows(ada, said);
    }
  }
  await shows(bob, said);

  await server.kill();
  await ada.locator('#state:not([data-state="online"])').waitFor();
  await bob.locator('#state:not([data-state="online"])').waitFor();
  await say(ada, 'said into the dark');
  said.push('said into the dark');
  await ada.locator('.msg.queued').waitFor();
  await sleep(2500);
  assert.equal(await ada.locator('#banner').isVisible(), true, 'the loss is told');

  await server.start();
  await live(ada, 40_000);
  await live(bob, 40_000);
  await shows(ada, said);
  await shows(bob, said);
  await acknowledged(ada);
  said.push('and on we go');
  await say(bob, 'and on we go');
  await shows(ada, said);
  await shows(bob, said);

  await ada.reload();
  await live(ada);
  await inRoom(ada, 'tea');
  await shows(ada, said);
});

scene('a message that was not sent survives a reload of the page', { goesDown: true }, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await say(ada, 'first');
  await acknowledged(ada);
  let refuse = false;
  await ada.routeWebSocket(/\/ws/, (socket) => (refuse ? socket.close({ code: 4104 }) : socket.connectToServer()));
  refuse = true;
  await server.kill();
  await ada.locator('#state:not([data-state="online"])').waitFor();
  await say(ada, 'second');
  await ada.locator('.msg.queued').waitFor();
  await server.start();
  await ada.reload();
  refuse = false;
  await live(ada, 40_000);
  await inRoom(ada, 'tea');
  await shows(ada, ['first', 'second']);
  await acknowledged(ada);
});

scene('what people write is never markup', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  const texts = [
    '<img src=x onerror=alert(1)>',
    '<script>alert(2)</script>',
    'javascript:alert(3) and data:text/html,<b>x</b>',
    'see https://example.org/a_(b)?c=d&e="f". Or (http://example.org/g).',
  ];
  for (const text of texts) {
    await say(ada, text);
    await acknowledged(ada);
  }
  await shows(bob, texts);
  assert.equal(await bob.locator('#log-rows :is(img, script, b)').count(), 0);
  const links = await bob.locator('#log-rows a').evaluateAll((nodes) => nodes.map((node) => [node.textContent, node.rel, node.target]));
  assert.deepEqual(links, [
    ['https://example.org/a_(b)?c=d&e=', 'noopener noreferrer', '_blank'],
    ['http://example.org/g', 'noopener noreferrer', '_blank'],
  ]);
});

scene('everything can be done with the keyboard alone', {}, async ({ server, open }) => {
  const page = await open();
  await page.goto(server.url);
  await page.locator('#name:focus').waitFor();
  await page.keyboard.type('ada');
  await page.keyboard.press('Enter');
  await live(page);
  await inRoom(page, 'lobby');
  await page.locator('#message:focus').waitFor();
  await page.keyboard.type('one line');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('another');
  await page.keyboard.press('Enter');
  await shows(page, ['one line\nanother']);

  await page.keyboard.press('Control+/');
  await page.locator('#help[open]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#help:not([open])').waitFor({ state: 'attached' });

  await page.locator('#message:focus').waitFor();
  await eventually('the way back leads to the skip link', async () => {
    await page.keyboard.press('Shift+Tab');
    return page.evaluate(() => document.activeElement.className === 'skip');
  });
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'new-room');
  await page.keyboard.press('Enter');
  await page.locator('#room-name:focus').waitFor();
  await page.keyboard.type('tea');
  await page.keyboard.press('Enter');
  await inRoom(page, 'tea');
  await page.locator('#message:focus').waitFor();
  await page.keyboard.press('Alt+ArrowUp');
  await inRoom(page, 'lobby');
  await page.keyboard.press('Alt+ArrowDown');
  await inRoom(page, 'tea');

  await page.setViewportSize({ width: 390, height: 800 });
  // The page hears of it with its next frame, and closes what is open.
  await page.locator('#rail[inert]').waitFor({ state: 'attached' });
  await page.locator('#rail-open').focus();
  await page.keyboard.press('Enter');
  await page.locator('#rail .drawer-close:focus').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#rail-open:focus').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#message:focus').waitFor();
});

scene('unread messages are counted, in the title too, and read in every window of a person at once', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await comeIn(bob, server.url, 'bob');
  await joinRoom(bob, 'tea');
  const second = await open(ada.context());
  await comeIn(second, server.url, 'ada');
  for (const page of [ada, second]) {
    await page.locator('#room-list .place', { hasText: 'lobby' }).click();
    await inRoom(page, 'lobby');
  }
  const badge = (page) => page.locator('#room-list .place', { hasText: 'tea' }).locator('.badge');
  for (let count = 1; count <= 3; count += 1) await say(bob, `number ${count}`);
  await badge(ada).filter({ hasText: /^3/ }).waitFor();
  await badge(second).filter({ hasText: /^3/ }).waitFor();
  assert.match(await ada.title(), /^\(3\) /);

  await ada.bringToFront();
  await ada.locator('#room-list .place', { hasText: 'tea' }).click();
  await ada.locator('#log-rows .new').waitFor();
  await eventually('nothing is unread here', async () => (await badge(ada).count()) === 0);
  await eventually('nor in the other window', async () => (await badge(second).count()) === 0);
  await eventually('nor in the title', async () => !(await ada.title()).startsWith('('));

  await second.reload();
  await live(second);
  assert.equal(await badge(second).count(), 0, 'the server keeps the mark');
});

scene('a direct message reaches its person, and both see one conversation', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await ada.getByRole('button', { name: /bob.*write a direct message/ }).click();
  await inRoom(ada, 'bob');
  await say(ada, 'a word in private');
  await acknowledged(ada);
  await shows(ada, ['a word in private']);
  await bob.locator('#direct-list .badge').waitFor();
  await bob.locator('#direct-list .place').click();
  await shows(bob, ['a word in private']);
  await say(bob, 'I am listening');
  await shows(ada, ['a word in private', 'I am listening']);
});

scene('leaving a room ends it here, and it can be entered again', {}, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await say(ada, 'before');
  await acknowledged(ada);
  await ada.getByRole('button', { name: 'Leave this room' }).click();
  await ada.locator('#leave-dialog').getByRole('button', { name: 'Leave' }).click();
  await inRoom(ada, 'lobby');
  assert.equal(await ada.locator('#room-list .place', { hasText: 'tea' }).count(), 0);
  await ada.locator('#joinable-list .place', { hasText: 'tea' }).click();
  await inRoom(ada, 'tea');
  await shows(ada, ['before']);
});

scene('history comes as one scrolls up, without a hole', {}, async ({ server, open }) => {
  const count = 150;
  await fillRoom(server, 'tea', count);
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  const expected = Array.from({ length: count }, (_, at) => `line ${at + 1}`);
  await eventually('the newest page is there', async () => (await texts(ada)).at(-1) === `line ${count}`);
  assert.ok((await texts(ada)).length < count, 'not all at once');
  await eventually('the beginning is reached', async () => {
    await ada.locator('#log').evaluate((node) => node.scrollTo(0, 0));
    return (await texts(ada))[0] === 'line 1';
  });
  assert.deepEqual(await allTexts(ada), expected);
  await ada.locator('#log').evaluate((node) => node.scrollTo(0, 0));
  await ada.locator('#to-end').click();
  await eventually('the end is in view', () => ada.locator('#log').evaluate((node) => node.scrollHeight - node.scrollTop - node.clientHeight < 5));
});

scene('a refused message says why and can be tried again; a passing refusal is tried again by itself', {}, async ({ server, open }) => {
  const ada = await open();
  const refusals = [];
  await ada.routeWebSocket(/\/ws/, (socket) => {
    const onward = socket.connectToServer();
    socket.onMessage((text) => {
      const message = JSON.parse(text);
      const payload = message.type === 'chat:send' ? refusals.shift() : undefined;
      if (payload) socket.send(JSON.stringify({ type: 'error', id: message.id, payload }));
      else onward.send(text);
    });
  });
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  refusals.push({ code: 'forbidden', message: 'no' });
  await say(ada, 'not at first');
  await ada.locator('.msg.failed', { hasText: 'you may not do that here' }).waitFor();
  await ada.getByRole('button', { name: 'Try again' }).click();
  await acknowledged(ada);
  refusals.push({ code: 'rate_limited', message: 'slow', retry_after_ms: 300 }, { code: 'unavailable', message: 'full' });
  await say(ada, 'by itself');
  await say(ada, 'and in order');
  await eventually('all are sent', async () => refusals.length === 0 && (await ada.locator('.msg:is(.queued, .sent, .failed)').count()) === 0);
  await shows(ada, ['not at first', 'by itself', 'and in order']);
});

scene('a room\'s new title is seen at once by whoever is in it', {}, async ({ server, open }) => {
  const page = await open();
  await comeIn(page, server.url, 'ada');
  const owner = new WebSocket(`${server.url.replace('http', 'ws')}/ws?user=bob`);
  const ask = (type, payload) => owner.send(JSON.stringify({ type, id: type.length, payload }));
  try {
    await new Promise((resolve) => owner.once('open', resolve));
    ask('room:create', { room: 'den', title: 'The den', open: true });
    await page.getByRole('button', { name: 'Open or join a room' }).click();
    await page.getByLabel('Its name').fill('den');
    await page.locator('#room-dialog').getByRole('button', { name: 'Join' }).click();
    await inRoom(page, 'The den');
    ask('room:update', { room: 'den', title: 'The attic' });
    await inRoom(page, 'The attic');
    await page.locator('.place', { hasText: 'The attic' }).waitFor();
    assert.match(await page.title(), /The attic/);
  } finally {
    owner.close();
  }
});

/** Joins a room as `writer` over a socket of its own and says `line 1` … `line count`, at the pace that is allowed. */
async function fillRoom(server, room, count) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws?user=writer`);
  const waiting = new Map();
  let limits;
  await new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (data) => {
      const { type, id, payload } = JSON.parse(data);
      if (type === 'hello') {
        limits = payload.limits;
        resolve();
      } else if (waiting.has(id)) {
        waiting.get(id)(type === 'reply' ? payload : Promise.reject(new Error(`${payload.code}: ${payload.message}`)));
      }
    });
  });
  const ask = (id, type, payload) => new Promise((resolve) => {
    waiting.set(id, resolve);
    socket.send(JSON.stringify({ type, id, payload }));
  });
  try {
    await ask(0, 'room:join', { room });
    for (let line = 1; line <= count; line += 1) {
      await ask(line, 'chat:send', { room, text: `line ${line}` });
      if (line > limits.burst - 5) await sleep(1150 / limits.requests_per_second);
    }
  } finally {
    socket.close();
  }
}
