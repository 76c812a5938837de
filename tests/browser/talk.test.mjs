// What one does with messages: answer one, go to what was answered, change and take back one's own, react.

import assert from 'node:assert/strict';
import { acknowledged, scene, shows } from './scene.mjs';
import { Program, atDoor, comeIn, eventually, inRoom, joinRoom, live, say, texts } from './support.mjs';

const FAST = ['requests_per_second=10000', 'burst=10000'].flatMap((limit) => ['--set', `limits.${limit}`]);
const row = (page, text) => page.locator('.msg', { has: page.locator('.text', { hasText: text }) });
const focused = (page, text) => row(page, text).and(page.locator(':focus')).waitFor();
const chips = (page, text) => row(page, text).locator('.reactions button').evaluateAll((all) =>
  all.map((one) => [one.querySelector('[aria-hidden]').textContent, one.getAttribute('aria-pressed')]));

async function tool(page, text, name) {
  await row(page, text).hover();
  await row(page, text).getByRole('button', { name, exact: true }).click();
}

scene('an answer shows what it answers, in every window, and leads there, however far back', { args: FAST }, async ({ server, open }) => {
  const bob = await Program.connect(server.url, 'bob');
  await bob.ask('room:join', { room: 'tea' });
  const first = await bob.ask('chat:send', { room: 'tea', text: 'who brings the cake?' });
  for (let from = 0; from < 500; from += 1) await bob.ask('chat:send', { room: 'tea', text: `line ${from}` });
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await row(ada, 'line 499').waitFor();
  await tool(ada, 'line 499', 'Reply');
  await ada.locator('#about-text', { hasText: 'Replying to bob: line 499' }).waitFor();
  await ada.locator('#message:focus').waitFor();
  await say(ada, 'that is the last');
  assert.equal(await ada.locator('#about').isVisible(), false);
  await acknowledged(ada);
  assert.equal(await row(ada, 'that is the last').locator('.quote').textContent(), 'bob: line 499');
  const { entries } = await bob.ask('chat:history', { room: 'tea', limit: 1 });
  assert.equal(entries[0].payload.reply_to, first.seq + 500);

  await bob.ask('chat:send', { room: 'tea', text: 'I do', reply_to: first.seq });
  const quote = row(ada, 'I do').locator('.quote');
  assert.equal(await quote.textContent(), 'An earlier message', 'it is not loaded');
  await quote.click();
  await focused(ada, 'who brings the cake?');
  await ada.locator('#to-end').click();
  assert.equal(await row(ada, 'I do').locator('.quote').textContent(), 'bob: who brings the cake?');
  await ada.reload();
  await live(ada);
  await inRoom(ada, 'tea');
  assert.equal(await row(ada, 'that is the last').locator('.quote').textContent(), 'bob: line 499');
  bob.end();
});

scene('one changes, takes back and reacts to messages by the pointer', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  for (const [page, name] of [[ada, 'ada'], [bob, 'bob']]) {
    await comeIn(page, server.url, name);
    await joinRoom(page, 'tea');
  }
  for (const text of ['helo', 'a secret']) await say(ada, text);
  await shows(bob, ['helo', 'a secret']);
  await acknowledged(ada);
  await ada.locator('#message').fill('something half');
  await tool(ada, 'helo', 'Edit');
  assert.equal(await ada.locator('#message').inputValue(), 'helo');
  await say(ada, 'hello');
  await shows(bob, ['hello', 'a secret']);
  assert.equal(await ada.locator('#message').inputValue(), 'something half', 'what was begun is back');
  await tool(ada, 'a secret', 'Delete');
  await ada.locator('#delete-dialog').getByRole('button', { name: 'Delete' }).click();
  await shows(bob, ['hello', 'This message was deleted.']);

  await row(bob, 'hello').hover();
  assert.deepEqual(await row(bob, 'hello').locator('.tools button').evaluateAll((all) => all.map((one) => one.title)), ['Reply', 'React']);
  await tool(bob, 'hello', 'React');
  await bob.getByRole('button', { name: 'React with 👍' }).click();
  for (const [page, isGiven] of [[ada, 'false'], [bob, 'true']]) {
    await eventually('it is there', async () => JSON.stringify(await chips(page, 'hello')) === JSON.stringify([['👍 1', isGiven]]));
  }
  await row(ada, 'hello').locator('.reactions button').click();
  await eventually('two gave it', async () => (await chips(bob, 'hello'))[0]?.[0] === '👍 2');
  for (const page of [ada, bob]) await row(page, 'hello').locator('.reactions button').click();
  await eventually('none is left', async () => (await chips(ada, 'hello')).length === 0);
});

scene('all of that goes by keys alone', {}, async ({ server, open }) => {
  const page = await open();
  await comeIn(page, server.url, 'ada');
  for (const text of ['one', 'two', 'three']) await say(page, text);
  await acknowledged(page);
  await page.locator('#message').press('ArrowUp');
  await page.locator('#about-text', { hasText: 'Editing' }).waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#message').inputValue(), '');
  await page.locator('#log').focus();
  await page.keyboard.press('Enter');
  await focused(page, 'three');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  await focused(page, 'one');
  await page.keyboard.press('ArrowDown');
  await focused(page, 'two');
  // As written in the help, and with Caps Lock.
  await page.keyboard.press('R');
  await page.locator('#message:focus').waitFor();
  await page.keyboard.type('to two');
  await page.keyboard.press('Enter');
  await row(page, 'to two').locator('.quote', { hasText: 'ada: two' }).waitFor();
  await acknowledged(page);
  await page.locator('#log').focus();
  await page.keyboard.press('Enter');
  await focused(page, 'to two');
  await page.keyboard.press('Tab');
  await page.locator('.quote:focus').waitFor();
  await page.keyboard.press('Enter');
  await focused(page, 'two');
  for (let step = 0; step < 2; step += 1) await page.keyboard.press('ArrowDown');
  await focused(page, 'to two');
  for (const key of ['Enter', 'ArrowRight', 'Enter', 'Escape']) await page.keyboard.press(key);
  await focused(page, 'to two');
  assert.equal(await page.locator('.tools [aria-label^="React with"]').count(), 0, 'Escape closes the emoji');
  for (const key of ['Enter', 'ArrowRight', 'Enter']) await page.keyboard.press(key);
  await page.locator('.tools button:focus[aria-label="React with 👍"]').waitFor();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await eventually('the reaction is there', async () => (await chips(page, 'to two'))[0]?.[0] === '❤️ 1');
  await focused(page, 'to two');
  await page.keyboard.press('Delete');
  await page.locator('#delete-dialog').getByRole('button', { name: 'Delete' }).focus();
  await page.keyboard.press('Enter');
  await eventually('it is gone', async () => (await texts(page)).at(-1) === 'This message was deleted.');
  await page.keyboard.press('Escape');
  await page.locator('#message:focus').waitFor();
});

scene('what was begun is there after a reload, room by room, and only so much of it', {}, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await say(ada, 'first');
  await acknowledged(ada);
  await tool(ada, 'first', 'Reply');
  await ada.locator('#message').fill('half of an answer');
  await ada.locator('#room-list .place', { hasText: 'lobby' }).click();
  await inRoom(ada, 'lobby');
  assert.equal(await ada.locator('#about').isVisible(), false);
  await ada.locator('#message').fill('for the lobby');
  await ada.reload();
  await live(ada);
  await inRoom(ada, 'lobby');
  await eventually('it is back', async () => (await ada.locator('#message').inputValue()) === 'for the lobby');
  await ada.locator('#room-list .place', { hasText: 'tea' }).click();
  await inRoom(ada, 'tea');
  assert.equal(await ada.locator('#message').inputValue(), 'half of an answer');
  await ada.locator('#message').press('Enter');
  await row(ada, 'half of an answer').locator('.quote', { hasText: 'ada: first' }).waitFor();
  await acknowledged(ada);
  await ada.reload();
  await live(ada);
  await inRoom(ada, 'tea');
  assert.equal(await ada.locator('#message').inputValue(), '', 'what was sent is no draft');
  await ada.evaluate(() => {
    const many = Object.fromEntries(Array.from({ length: 80 }, (_, at) => [`room-${at}`, { text: 'x', at }]));
    localStorage.setItem('parlor.drafts.ada', JSON.stringify(many));
  });
  await ada.locator('#message').fill('one more');
  const stored = () => ada.evaluate(() => JSON.parse(localStorage.getItem('parlor.drafts.ada')));
  await eventually('the oldest are given up', async () => Object.keys(await stored()).length === 50);
  assert.equal((await stored()).tea.text, 'one more');
  await ada.getByRole('button', { name: 'Sign out' }).click();
  await ada.locator('#sign-out-dialog').getByRole('button', { name: 'Discard' }).click();
  await ada.getByLabel('Your name').waitFor();
  assert.equal(await stored(), null, 'nothing is left behind');
});

scene('what waits is seen, in the list of rooms too, and can be cancelled', { goesDown: true }, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await server.kill();
  await ada.locator('#state:not([data-state="online"])').waitFor();
  for (const text of ['keep this', 'not this']) await say(ada, text);
  await row(ada, 'not this').locator('.status', { hasText: 'Waiting to be sent' }).waitFor();
  await ada.locator('#room-list .place', { hasText: 'lobby' }).click();
  await ada.locator('#room-list .place', { hasText: 'tea' }).locator('.place-unsent[title="2 waiting to be sent"]').waitFor();
  await ada.locator('#room-list .place', { hasText: 'tea' }).click();
  await row(ada, 'not this').getByRole('button', { name: 'Cancel' }).click();
  await shows(ada, ['keep this']);
  await server.start();
  await live(ada, 40_000);
  await acknowledged(ada);
  await shows(ada, ['keep this']);
  await eventually('nothing waits', async () => (await ada.locator('.place-unsent').count()) === 0);

  // Whoever signs out and discards leaves nothing that is sent the next time.
  await server.kill();
  await ada.locator('#state:not([data-state="online"])').waitFor();
  await say(ada, 'never mind');
  await row(ada, 'never mind').waitFor();
  await ada.getByRole('button', { name: 'Sign out' }).click();
  await ada.locator('#sign-out-dialog').getByRole('button', { name: 'Discard' }).click();
  // The page itself waits for the server, not the browser.
  await ada.getByText('You are signed out. The server does not answer.').waitFor();
  await server.start();
  await atDoor(ada, 'ada');
  await ada.locator('#room-list .place', { hasText: 'tea' }).click();
  await say(ada, 'later');
  await acknowledged(ada);
  await shows(ada, ['keep this', 'later']);
});

scene('a loss is told with the time until the next attempt, and one need not wait for it', { goesDown: true }, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  // Waits of the longest, so that there is something to count.
  await ada.evaluate(() => { Math.random = () => 0.999; });
  await server.kill();
  await ada.locator('#banner-text', { hasText: 'The connection was lost.' }).waitFor();
  const seconds = async () => Number((await ada.locator('#banner-count').textContent()).match(/in (\d+) s/)?.[1]);
  const from = await eventually('it counts', async () => (await seconds()) >= 3 && seconds(), 30_000);
  await eventually('it counts down', async () => (await seconds()) < from);
  await server.start();
  await eventually('there is a wait', async () => (await seconds()) >= 2, 30_000);
  await ada.getByRole('button', { name: 'Retry now' }).click();
  await live(ada, 1_500);
  assert.equal(await ada.locator('#banner').isVisible(), false);
});
