// A room with a long past: only what is near is in the page, and one goes through all of it.

import assert from 'node:assert/strict';
import { scene } from './scene.mjs';
import { Program, comeIn, eventually, inRoom, say, texts } from './support.mjs';

const COUNT = 20_000;
const FAST = ['requests_per_second=100000', 'burst=100000'].flatMap((limit) => ['--set', `limits.${limit}`]);
const PIECE = 500;

/** Says so many lines in a room, some of them of several lines, in the order of their numbers. */
async function fill(bob, room, count) {
  await bob.ask('room:join', { room });
  for (let from = 1; from <= count; from += PIECE) {
    await Promise.all(Array.from({ length: Math.min(PIECE, count - from + 1) }, (_, at) => {
      const line = from + at;
      return bob.ask('chat:send', { room, text: line % 7 === 0 ? `line ${line}\n${'and more of it '.repeat(line % 30)}`.trim() : `line ${line}` });
    }));
  }
}

const firstLines = (all) => all.map((text) => text.split('\n')[0]);
const log = (page, act, ...args) => page.locator('#log').evaluate(act, ...args);

/** Goes up until a message is there. */
const climb = (page, text) => eventually(`${text} is reached`, async () => {
  await log(page, (node) => node.scrollTo(0, 0));
  return firstLines(await texts(page)).includes(text);
}, 60_000);

scene('twenty thousand messages are scrolled through smoothly, and few of them are in the page', { args: FAST }, async ({ server, open }) => {
  const bob = await Program.connect(server.url, 'bob');
  await fill(bob, 'lobby', COUNT);
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  await eventually('the newest is there', async () => firstLines(await texts(ada)).at(-1) === `line ${COUNT}`);
  await climb(ada, 'line 1');
  assert.equal(await log(ada, (node) => node.querySelector('.msg').getAttribute('aria-setsize')), String(COUNT));

  const seen = await log(ada, async (node) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const took = [];
    let most = 0;
    const holes = [];
    const step = node.scrollHeight / 300;
    for (let at = 1; at <= 300; at += 1) {
      const before = performance.now();
      node.scrollTop = at * step;
      await frame();
      await frame();
      took.push(performance.now() - before);
      const rows = [...node.querySelectorAll('#log-rows > *')];
      most = Math.max(most, rows.length);
      // What one sees is full of rows, from edge to edge.
      const [frameTop, frameEnd] = [node.getBoundingClientRect().top, node.getBoundingClientRect().bottom];
      const [first, last] = [rows[0].getBoundingClientRect().top, rows.at(-1).getBoundingClientRect().bottom];
      const isBelowAll = node.scrollHeight - node.scrollTop - node.clientHeight < 50;
      if (first > frameTop || (last < frameEnd && !isBelowAll)) holes.push([at, first - frameTop, last - frameEnd]);
    }
    took.sort((one, other) => one - other);
    return { most, holes, median: took[150], late: took[285] };
  });
  assert.ok(seen.most <= 150, `${seen.most} rows were in the page`);
  assert.deepEqual(seen.holes, [], 'nothing that is seen is empty');
  assert.ok(seen.median < 100, `two frames took ${seen.median} ms`);

  // In a part of it, one by one: none is missing, none comes twice.
  const numbers = await log(ada, async (node) => {
    const found = new Set();
    for (let at = 0; at < 60; at += 1) {
      node.scrollTop -= node.clientHeight * 0.7;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      for (const row of node.querySelectorAll('.msg .text')) found.add(Number(row.textContent.match(/\d+/)[0]));
    }
    return [...found].sort((one, other) => one - other);
  });
  assert.ok(numbers.length > 500, `${numbers.length} were seen`);
  assert.deepEqual(numbers, Array.from(numbers, (_, at) => numbers[0] + at), 'without a hole');
  bob.end();
});

scene('what one looks at stays in its place when more comes above and below', { args: FAST }, async ({ server, open }) => {
  const bob = await Program.connect(server.url, 'bob');
  await fill(bob, 'lobby', 900);
  const ada = await open();
  // Pages of history come when they are let through.
  let held = null;
  await ada.routeWebSocket(/\/ws/, (socket) => {
    const onward = socket.connectToServer();
    onward.onMessage((text) => (held !== null && text.includes('"entries"') ? held.push(() => socket.send(text)) : socket.send(text)));
  });
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  await ada.locator('#log-top[data-phase="more"]').waitFor();
  const frames = () => ada.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const height = () => log(ada, (node) => node.scrollHeight);
  /** The message at the top of what is seen, and where it is. */
  const top = () => log(ada, (node) => {
    const edge = node.getBoundingClientRect().top;
    const row = [...node.querySelectorAll('.msg')].find((one) => one.getBoundingClientRect().bottom > edge + 1);
    return [row.querySelector('.text').textContent, row.getBoundingClientRect().top - edge];
  });
  // Layout is in fractions of a pixel, and scrolling in whole ones: less than one is no move.
  const stays = async ([text, place], when) => {
    const [textNow, placeNow] = await top();
    assert.equal(textNow, text, when);
    assert.ok(Math.abs(placeNow - place) < 1, `${when}: it was at ${place} px, and is at ${placeNow}`);
  };
  held = [];
  await log(ada, (node) => node.scrollTo(0, 300));
  await eventually('a page is on its way', () => held.length === 1);
  await frames();
  const seen = await top();
  const low = await height();
  held.pop()();
  await eventually('it has come', async () => (await height()) > low + 1000);
  await frames();
  await stays(seen, 'with a page above it');

  held = null;
  await log(ada, (node) => node.scrollTo(0, 1500));
  await frames();
  const before = await top();
  const was = await height();
  await bob.ask('chat:send', { room: 'lobby', text: 'one more' });
  await eventually('it has come', async () => (await height()) > was);
  await stays(before, 'with a message below it');
  await ada.locator('#to-end', { hasText: '1 new message' }).waitFor();
  await ada.setViewportSize({ width: 700, height: 720 });
  await ada.setViewportSize({ width: 1280, height: 720 });
  await eventually('it is where it was, with another width between', async () => (await top())[0] === before[0]);
  await ada.locator('#to-end').click();
  await say(ada, 'at the end');
  await eventually('the end is in view', async () => (await texts(ada)).at(-1) === 'at the end'
    && log(ada, (node) => node.scrollHeight - node.scrollTop - node.clientHeight < 5));
  bob.end();
});

scene('a quote far back is gone to, and while that takes its time the page says so', { args: FAST }, async ({ server, open }) => {
  const bob = await Program.connect(server.url, 'bob');
  await fill(bob, 'lobby', 900);
  await bob.ask('chat:send', { room: 'lobby', text: 'an answer', reply_to: 12 });
  const ada = await open();
  let held = null;
  await ada.routeWebSocket(/\/ws/, (socket) => {
    const onward = socket.connectToServer();
    onward.onMessage((text) => (held !== null && text.includes('"entries"') ? held.push(() => socket.send(text)) : socket.send(text)));
  });
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  await ada.locator('#log-top[data-phase="more"]').waitFor();
  held = [];
  await ada.locator('.msg .quote').last().click();
  await ada.locator('#toasts', { hasText: 'Looking for that message…' }).waitFor();
  assert.equal(held.length, 1);
  const [release] = held;
  held = null;
  release();
  await ada.locator('.msg.found', { hasText: 'line 11' }).waitFor();
  assert.equal(await ada.locator('#toasts', { hasText: 'too far back' }).count(), 0);
  bob.end();
});

scene('a message of many lines is written with the end in view', { args: FAST }, async ({ server, open }) => {
  const bob = await Program.connect(server.url, 'bob');
  await fill(bob, 'lobby', 60);
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  await eventually('the newest is there', async () => firstLines(await texts(ada)).at(-1) === 'line 60');
  const frames = () => ada.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const away = async () => {
    await frames();
    return [await log(ada, (node) => Math.round(node.scrollHeight - node.scrollTop - node.clientHeight)), await ada.locator('#to-end').isVisible()];
  };
  await ada.locator('#composer textarea').focus();
  for (let line = 1; line <= 9; line += 1) {
    await ada.keyboard.type(`line ${line}`);
    await ada.keyboard.press('Shift+Enter');
    assert.deepEqual(await away(), [0, false], `with ${line} lines`);
  }
  await ada.locator('#composer textarea').fill('');
  assert.deepEqual(await away(), [0, false], 'and with none again');
  bob.end();
});

scene('a long message is shown in part, and in full when one asks, by keys too, and nothing else moves', { args: FAST }, async ({ server, open }) => {
  const bob = await Program.connect(server.url, 'bob');
  await fill(bob, 'lobby', 30);
  const words = Array.from({ length: 1_500 }, (_, at) => `word${at}`).join(' ');
  const text = `${words} http://example.com/a/long/address/at/the/end`;
  const { seq } = await bob.ask('chat:send', { room: 'lobby', text });
  await fill(bob, 'lobby', 30);
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  const row = ada.locator(`.msg[data-seq="${seq}"]`);
  await eventually('it is in the page', async () => {
    await log(ada, (node) => node.scrollBy(0, -200));
    return row.isVisible();
  });
  await row.evaluate((node) => node.scrollIntoView({ block: 'start' }));
  const more = row.getByRole('button', { name: /^Show all \(\d+,\d+ characters\)$/ });
  await more.waitFor();
  const head = await row.locator('.text').textContent();
  assert.ok(text.startsWith(head) && head.length > 1_500 && head.length < 2_500 && /\d$/.test(head), `it ends at a word: ${head.length}, ${head.slice(-20)}`);
  assert.equal(await more.getAttribute('aria-expanded'), 'false');

  // By keys: from the row to the button.
  const placeOf = () => row.evaluate((node) => node.getBoundingClientRect().top);
  await row.focus();
  await ada.keyboard.press('Tab');
  await more.and(ada.locator(':focus')).waitFor();
  const before = await placeOf();
  await ada.keyboard.press('Enter');
  const less = row.getByRole('button', { name: 'Show less' });
  await less.and(ada.locator(':focus')).waitFor();
  assert.equal(await less.getAttribute('aria-expanded'), 'true');
  assert.equal(await row.locator('.text').textContent(), text);
  assert.equal(await row.locator('.text a').count(), 1);
  assert.ok(Math.abs((await placeOf()) - before) < 1, 'its beginning is where it was');
  await less.scrollIntoViewIfNeeded();
  await ada.keyboard.press('Space');
  await more.and(ada.locator(':focus')).waitFor();
  const [top, box] = [await placeOf(), await ada.locator('#log').boundingBox()];
  assert.ok(top >= box.y - 1 && top < box.y + box.height, 'its beginning is in view');

  // What is looked for is shown where it is found.
  await ada.keyboard.press('Escape');
  await ada.locator('#search-open').click();
  await ada.locator('#search-input').fill('word1499');
  await less.waitFor();
  await ada.locator('#search-close').click();

  // It stays open when it is edited, and what is short then has no button.
  await bob.ask('chat:edit', { room: 'lobby', seq, text: `${text} and more` });
  await row.locator('.text', { hasText: 'and more' }).waitFor();
  await less.click();
  await more.waitFor();
  await bob.ask('chat:edit', { room: 'lobby', seq, text: 'short' });
  await row.locator('.text', { hasText: /^short$/ }).waitFor();
  assert.equal(await row.locator('.fold').count(), 0);
  bob.end();
});

scene('help begins at its beginning', {}, async ({ server, open }) => {
  const ada = await open();
  await ada.setViewportSize({ width: 1200, height: 400 });
  await comeIn(ada, server.url, 'ada');
  await ada.keyboard.press('Control+/');
  await ada.locator('#help[open]').waitFor();
  assert.deepEqual(await ada.locator('#help').evaluate((node) => [node.scrollTop, node.scrollHeight > node.clientHeight]), [0, true]);
  assert.equal(await ada.evaluate(() => document.activeElement.closest('#help') !== null), true);
});
