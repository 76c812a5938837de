// Pictures of the page as it is: node screenshots.mjs DIR URL, with a server in open mode at URL.
// Light and dark, on a phone and on a desk: sign-in, an empty room, a full one with messages that were changed, and
// while reconnecting.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Program, comeIn, joinRoom, launch, say, sleep } from './support.mjs';

const [directory, url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node screenshots.mjs DIR URL');
  process.exit(2);
}
mkdirSync(directory, { recursive: true });

const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } };
const SILENT = { 'phone light': 'attic', 'phone dark': 'cellar', 'desk light': 'porch', 'desk dark': 'tower' };
const TALK = [
  ['ada', 'Good evening, everyone. The lamps are lit.'],
  ['ada', 'I moved the notes for tomorrow to https://example.org/notes/evening (the old page is gone).'],
  ['bob', 'Thank you! I was just about to ask.'],
  ['grace', 'One thing before we start:\n  1. read the draft\n  2. bring two questions\n  3. no slides, please'],
  ['bob', 'No slides? Finally.'],
  ['bob', 'That is the best sentence I have read all week.'],
  ['ada', 'שלום לכולם, and hello again in the other direction.'],
  ['grace', 'I pasted <b>markup</b> & it stays what it is: text.'],
  ['linus', 'Late as always, sorry. What did I miss?'],
  ['ada', 'Everything that matters is right above you. It will still be there after the next power cut, too: what the server has answered for is on its disk, and what it has not is on its way from here.'],
  ['linus', 'Reading now.'],
];
// What became of them: whose, a part of the text, the request, and who asks for it.
const CHANGES = [
  ['ada', 'next power cut, too', 'chat:react', { emoji: '🕯️' }, 'bob', 'grace', 'linus'],
  ['ada', 'next power cut, too', 'chat:react', { emoji: '👍' }, 'linus'],
  ['bob', 'read all week.', 'chat:delete', {}, 'bob'],
  ['grace', 'what it is: text.', 'chat:edit', { text: 'I pasted <b>markup</b> & it stays what it is: plain text.' }, 'grace'],
];

const browser = await launch();
const run = Date.now().toString(36);
const full = `evening-${run}`;

async function open(options = {}) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  return context.newPage();
}

const guests = {};
for (const name of ['bob', 'grace', 'linus', 'ada']) {
  guests[name] = await open();
  await comeIn(guests[name], url, name);
  await joinRoom(guests[name], full);
}
for (const [name, text] of TALK) {
  const before = await guests.ada.locator('.msg').count();
  await say(guests[name], text);
  await guests.ada.locator('.msg').nth(before).waitFor();
}
const programs = {};
for (const name of ['bob', 'grace', 'linus']) programs[name] = await Program.connect(url, name);
const { entries } = await programs.bob.ask('chat:history', { room: full });
for (const [author, part, type, change, ...people] of CHANGES) {
  const { payload } = entries.find(({ payload: { from, text } }) => from === author && text?.includes(part));
  for (const name of people) await programs[name].ask(type, { room: full, seq: payload.seq, ...change });
}
await programs.bob.ask('room:create', { room: `salon-${run}`, title: 'The salon' });
await programs.bob.ask('room:invite', { room: `salon-${run}`, user: 'ada' });
for (const program of Object.values(programs)) program.end();

await joinRoom(guests.bob, 'kitchen');
await joinRoom(guests.bob, 'library');
await guests.bob.locator('#room-list .place', { hasText: 'lobby' }).click();
await guests.linus.locator('.person', { hasText: 'ada' }).click();
await say(guests.linus, 'Could you send me the draft?');
await guests.ada.context().close();

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    const shot = (page, name) => page.screenshot({ path: join(directory, `${name}-${size}-${colorScheme}.png`) });
    const page = await open({ viewport, colorScheme, isMobile: size === 'phone', hasTouch: size === 'phone' });
    let cut = null;
    let refuse = false;
    await page.routeWebSocket(/\/ws/, (socket) => {
      if (refuse) {
        socket.close();
        return;
      }
      socket.connectToServer();
      cut = () => socket.close();
    });

    await page.goto(url);
    await page.getByLabel('Your name').waitFor();
    await shot(page, 'sign-in');
    await comeIn(page, url, 'ada');
    await enter(page, size, `${SILENT[`${size} ${colorScheme}`]}-${run}`);
    await sleep(400);
    await shot(page, 'empty');

    await say(guests.bob, 'Is anybody still in the lobby?');
    await enter(page, size, full);
    await page.locator('.msg').nth(TALK.length - 1).waitFor();
    await guests.grace.locator('#message').pressSequentially('I am');
    await page.locator('#typing .dots').waitFor();
    await sleep(300);
    await shot(page, 'full');
    if (size === 'phone') {
      await page.locator('#rail-open').click();
      await sleep(400);
      await shot(page, 'rooms');
      await page.keyboard.press('Escape');
      await page.locator('#people-open').click();
      await sleep(400);
      await shot(page, 'people');
      await page.keyboard.press('Escape');
    }

    await page.keyboard.press('Control+/');
    await sleep(200);
    await shot(page, 'help');
    await page.keyboard.press('Escape');

    refuse = true;
    cut();
    await page.locator('#banner').waitFor();
    await say(page, 'This one waits for the connection.');
    await page.locator('#banner-count', { hasText: /in [1-9]\d* s/ }).waitFor({ timeout: 30_000 });
    await sleep(600);
    await shot(page, 'reconnecting');
    await guests.grace.locator('#message').fill('');
    await page.context().close();
  }
}
await browser.close();

async function enter(page, size, room) {
  if (size === 'phone') await page.locator('#rail-open').click();
  const known = page.locator('#room-list .place', { hasText: room });
  if ((await known.count()) > 0) await known.click();
  else await joinRoom(page, room);
}
