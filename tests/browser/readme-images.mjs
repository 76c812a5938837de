// The two pictures of the README: node readme-images.mjs DIR. Starts a server of its own and holds a conversation of three.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Server, comeIn, joinRoom, launch, say } from './support.mjs';

const directory = process.argv[2] ?? 'docs/images';
const TALK = [
  ['grace', 'Morning! The boxes with the new lamps are here. Twelve of them, all in one piece.'],
  ['ada', 'Wonderful. Did the shades come with them?'],
  ['grace', 'Eight of the twelve. The other four are to follow on Thursday.'],
  ['barbara', 'Then we hang eight today and leave the hallway for last:\n  1. reading room\n  2. library\n  3. stairs'],
  ['ada', 'Sounds right. I put the plan with the measures at https://example.org/lamps/plan'],
  ['barbara', 'Thank you, found it.'],
  ['barbara', 'One question: is the hook over the piano strong enough for the big one?'],
  ['grace', 'It held the old one for thirty years, and that one was twice as heavy.'],
  ['ada', 'Good enough for me. I am there at ten with the ladder.'],
];

mkdirSync(directory, { recursive: true });
const server = await Server.start();
const browser = await launch();
try {
  const people = {};
  const open = async (name, options) => {
    const page = await (await browser.newContext({ reducedMotion: 'reduce', locale: 'en-GB', viewport: { width: 1280, height: 800 }, ...options })).newPage();
    await comeIn(page, server.url, name);
    return page;
  };
  for (const name of ['grace', 'barbara', 'ada']) people[name] = await open(name);
  await joinRoom(people.grace, 'reading-room');
  await joinRoom(people.grace, 'garden');
  await joinRoom(people.barbara, 'kitchen');
  for (const page of Object.values(people)) await joinRoom(page, 'lamps');
  for (const [name, text] of TALK) {
    const before = await people.ada.locator('.msg').count();
    await say(people[name], text);
    await people.ada.locator('.msg').nth(before).waitFor();
  }
  await joinRoom(people.ada, 'reading-room');
  await people.ada.locator('#room-list .place', { hasText: 'lamps' }).click();
  await people.grace.locator('#room-list .place', { hasText: 'reading-room' }).click();
  await say(people.grace, 'Who has the key to the cabinet?');
  await say(people.grace, 'Found it.');
  await people.barbara.locator('.person', { hasText: 'ada' }).click();
  await say(people.barbara, 'Shall I bring breakfast?');
  await people.grace.locator('#room-list .place', { hasText: 'lamps' }).click();
  await people.ada.locator('#direct-list .badge').waitFor();
  for (const colorScheme of ['light', 'dark']) {
    await people.ada.emulateMedia({ colorScheme });
    await people.grace.locator('#message').fill('');
    await people.grace.locator('#message').pressSequentially('See you');
    await people.ada.locator('#typing .dots').waitFor();
    await people.ada.screenshot({ path: join(directory, `chat-${colorScheme}.png`) });
  }
} finally {
  await browser.close();
  await server.end();
}
