// What is not sent belongs to whoever wrote it: with two people in one browser, after a reload, when it is too old, and
// when one signs out.

import assert from 'node:assert/strict';
import { acknowledged, newContext, scene, shows } from './scene.mjs';
import { atDoor, comeIn, eventually, inRoom, live, say } from './support.mjs';

const lost = (page) => page.locator('#state:not([data-state="online"])').waitFor();
const row = (page, text) => page.locator('.msg', { hasText: text });
const dialog = (page) => page.locator('#sign-out-dialog');
const signOut = (page) => page.getByRole('button', { name: 'Sign out' }).click();

/** All that this origin keeps in this browser, as text. */
const keeps = (page) => page.evaluate(async () => {
  const opening = indexedDB.open('parlor-outbox');
  const database = await new Promise((resolve) => (opening.onsuccess = () => resolve(opening.result)));
  const all = database.transaction('messages').objectStore('messages').getAll();
  const rows = await new Promise((resolve) => (all.onsuccess = () => resolve(all.result)));
  database.close();
  return JSON.stringify([rows, { ...localStorage }, { ...sessionStorage }]);
});

/** What the lobby has of somebody. */
async function said(server, user) {
  const response = await fetch(`${server.url}/api/v1/rooms/lobby/messages?user=${user}`);
  const { entries } = await response.json();
  return entries.filter(({ type, payload }) => type === 'chat:message' && payload.from === user).map(({ payload }) => payload.text);
}

/** Two people in two tabs of one browser, and no server; what the first writes waits. */
async function parted({ server, open }) {
  const context = await newContext();
  const [ada, bob] = [await open(context), await open(context)];
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  for (const page of [ada, bob]) await inRoom(page, 'lobby');
  await server.kill();
  for (const page of [ada, bob]) await lost(page);
  await say(ada, 'of ada');
  await row(ada, 'of ada').locator('.status', { hasText: 'Waiting to be sent' }).waitFor();
  await eventually('it is kept', async () => (await keeps(ada)).includes('of ada'));
  return { context, ada, bob };
}

scene('what one person has left unsent is there when they are back, whoever else was here', { goesDown: true }, async ({ server, open }) => {
  const { context, ada, bob } = await parted({ server, open });
  try {
    await ada.close();
    await server.start();
    await live(bob, 40_000);
    await say(bob, 'of bob');
    await acknowledged(bob);
    await shows(bob, ['of bob']);
    const again = await open(context);
    await comeIn(again, server.url, 'ada');
    await shows(again, ['of bob', 'of ada']);
    await acknowledged(again);
    assert.deepEqual([await said(server, 'ada'), await said(server, 'bob')], [['of ada'], ['of bob']]);
  } finally {
    await context.close();
  }
});

scene('what is unsent is seen after a reload before the server has answered', {}, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  let isHeld = true;
  await ada.routeWebSocket(/\/ws/, (socket) => {
    if (!isHeld) socket.connectToServer();
  });
  await ada.reload();
  await ada.locator('#state[data-state="authenticating"]').waitFor();
  assert.equal(await row(ada, 'of ada').count(), 0);
  await ada.evaluate(async () => {
    const opening = indexedDB.open('parlor-outbox');
    const database = await new Promise((resolve) => (opening.onsuccess = () => resolve(opening.result)));
    const rows = database.transaction('messages', 'readwrite').objectStore('messages');
    const common = { user: 'ada', tab: '', owner: 'a tab that is gone' };
    rows.put({ id: 'one', room: 'lobby', text: 'of ada', at: Date.now(), order: 1, ...common });
    rows.put({ id: 'two', room: 'dm:ada:bob', text: 'for bob', at: Date.now(), order: 2, ...common });
    rows.put({ id: 'three', room: 'lobby', text: 'of cy', at: Date.now(), order: 3, ...common, user: 'cy' });
    await new Promise((resolve) => (rows.transaction.oncomplete = resolve));
    database.close();
  });
  await ada.reload();
  const waiting = ada.locator('#log-top .msg.queued');
  await waiting.nth(1).waitFor();
  assert.deepEqual(await waiting.locator('.text').allTextContents(), ['of ada', 'for bob']);
  assert.deepEqual(await waiting.locator('.author').allTextContents(), ['lobby', 'bob']);
  await waiting.filter({ hasText: 'for bob' }).getByRole('button', { name: 'Cancel' }).click();
  await eventually('it is taken back', async () => (await waiting.count()) === 1);
  isHeld = false;
  await ada.reload();
  await live(ada);
  await shows(ada, ['of ada']);
  await acknowledged(ada);
  assert.deepEqual(await said(server, 'ada'), ['of ada']);
});

scene('what is too old is not sent without asking, with and without a connection', { goesDown: true }, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  await server.kill();
  await lost(ada);
  for (const text of ['still wanted', 'not any more']) await say(ada, text);
  await row(ada, 'not any more').waitFor();
  // Two days pass.
  await ada.evaluate(() => {
    const { now } = Date;
    Date.now = () => now() + 49 * 3_600_000;
  });
  await row(ada, 'still wanted').locator('.status', { hasText: 'too old to be sent without asking you' }).waitFor({ timeout: 40_000 });
  await server.start();
  await ada.reload();
  await live(ada, 40_000);
  await eventually('both are shown as failed', async () => (await ada.locator('.msg.failed').count()) === 2);
  assert.deepEqual(await said(server, 'ada'), []);
  await row(ada, 'still wanted').getByRole('button', { name: 'Try again' }).click();
  await row(ada, 'not any more').getByRole('button', { name: 'Discard' }).click();
  await shows(ada, ['still wanted']);
  await acknowledged(ada);
  assert.deepEqual(await said(server, 'ada'), ['still wanted']);
});

scene('whoever signs out keeps what is not sent, drafts too, for themselves alone', { goesDown: true }, async ({ server, open }) => {
  const { context, ada } = await parted({ server, open });
  try {
    await ada.locator('#message').fill('half a');
    await signOut(ada);
    await dialog(ada).getByText('You have 1 unsent message and 1 draft.').waitFor();
    // Neither Escape nor a change of mind takes anything.
    await ada.keyboard.press('Escape');
    await dialog(ada).waitFor({ state: 'hidden' });
    await signOut(ada);
    await dialog(ada).getByRole('button', { name: 'Cancel' }).click();
    await row(ada, 'of ada').waitFor();
    assert.equal(await ada.locator('#message').inputValue(), 'half a');
    // By keys alone.
    await ada.getByRole('button', { name: 'Sign out' }).focus();
    await ada.keyboard.press('Enter');
    await dialog(ada).getByRole('button', { name: 'Cancel' }).and(ada.locator(':focus')).waitFor();
    await ada.keyboard.press('Tab');
    await ada.keyboard.press('Tab');
    await dialog(ada).getByRole('button', { name: 'Keep' }).and(ada.locator(':focus')).waitFor();
    await ada.keyboard.press('Enter');
    await dialog(ada).waitFor({ state: 'hidden' });
    await server.start();

    await atDoor(ada, 'bob');
    await inRoom(ada, 'lobby');
    assert.equal(await ada.locator('#message').inputValue(), '', 'another one reads no draft');
    assert.deepEqual(await said(server, 'ada'), []);
    await signOut(ada);
    await atDoor(ada, 'ada');
    await shows(ada, ['of ada']);
    await acknowledged(ada);
    assert.equal(await ada.locator('#message').inputValue(), 'half a');
    assert.deepEqual(await said(server, 'ada'), ['of ada']);
  } finally {
    await context.close();
  }
});

scene('whoever signs out and discards leaves nothing, not even who it was', { goesDown: true }, async ({ server, open }) => {
  const { context, ada, bob } = await parted({ server, open });
  try {
    await bob.close();
    await ada.locator('#message').fill('half a');
    await signOut(ada);
    await dialog(ada).getByRole('button', { name: 'Discard' }).click();
    await dialog(ada).waitFor({ state: 'hidden' });
    await server.start();
    await ada.getByLabel('Your name').waitFor();
    const left = await keeps(ada);
    assert.doesNotMatch(left, /ada|half a/);
    await atDoor(ada, 'ada');
    await say(ada, 'later');
    await acknowledged(ada);
    assert.deepEqual(await said(server, 'ada'), ['later']);
  } finally {
    await context.close();
  }
});

scene('whoever has nothing unsent is asked nothing, and leaves nothing', {}, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  await say(ada, 'sent');
  await acknowledged(ada);
  await signOut(ada);
  await ada.getByLabel('Your name').waitFor();
  assert.equal(await ada.getByLabel('Your name').inputValue(), '');
  assert.doesNotMatch(await keeps(ada), /ada/);
});
