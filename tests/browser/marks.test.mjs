// How far others have read, as the page shows it.

import assert from 'node:assert/strict';
import { scene, shows } from './scene.mjs';
import { Program, comeIn, eventually, inRoom, joinRoom, live, say } from './support.mjs';

const plain = (text) => text.replace(/[\u2068\u2069]/g, '');
/** Under which messages it says by whom they were read. */
const readBy = (page) => page.locator('.msg:has(.readers:not([hidden]))').evaluateAll((rows) =>
  Object.fromEntries(rows.map((row) => [row.querySelector('.text').textContent, row.querySelector('.readers .unseen').textContent])))
  .then((found) => Object.fromEntries(Object.entries(found).map(([text, said]) => [text, plain(said)])));
const isReadBy = (page, expected) => eventually(`read: ${JSON.stringify(expected)}`, async () => {
  assert.deepEqual(await readBy(page), expected);
  return true;
});

scene('one sees how far the others have read, also after a reload', {}, async ({ server, open }) => {
  const [bob, cy] = [await Program.connect(server.url, 'bob'), await Program.connect(server.url, 'cy')];
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  for (const one of [bob, cy]) await one.ask('room:join', { room: 'tea' });
  for (const text of ['one', 'two', 'three']) await say(ada, text);
  await shows(ada, ['one', 'two', 'three']);
  const { entries } = await bob.ask('chat:history', { room: 'tea' });
  const seqOf = (wanted) => entries.find(({ payload }) => payload.text === wanted).payload.seq;
  await isReadBy(ada, {});
  await bob.ask('chat:read', { room: 'tea', seq: seqOf('one') });
  await isReadBy(ada, { one: 'Read by bob' });
  await cy.ask('chat:read', { room: 'tea', seq: seqOf('three') });
  await isReadBy(ada, { one: 'Read by bob', three: 'Read by cy' });
  await bob.ask('chat:read', { room: 'tea', seq: seqOf('three') });
  await isReadBy(ada, { three: 'Read by bob and cy' });
  await ada.reload();
  await live(ada);
  await inRoom(ada, 'tea');
  await isReadBy(ada, { three: 'Read by bob and cy' });
  // Whoever writes has read what is above; of one's own words nobody says that one has read them.
  await bob.ask('chat:send', { room: 'tea', text: 'I see' });
  await isReadBy(ada, { three: 'Read by cy' });
  await cy.ask('room:leave', { room: 'tea' });
  await isReadBy(ada, {});
  for (const one of [bob, cy]) one.end();
});

scene('in a direct conversation one sees that it was read as soon as the other looks', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await ada.getByRole('button', { name: /bob.*write a direct message/ }).click();
  await inRoom(ada, 'bob');
  await say(ada, 'are you there?');
  await bob.locator('#direct-list .badge').waitFor();
  await isReadBy(ada, {});
  await bob.bringToFront();
  await bob.locator('#direct-list .place').click();
  await isReadBy(ada, { 'are you there?': 'Read by bob' });
});
