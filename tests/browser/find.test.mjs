// Finding what was said, and being told that somebody speaks to one.

import assert from 'node:assert/strict';
import { scene, shows } from './scene.mjs';
import { Program, comeIn, eventually, inRoom, joinRoom, live, say } from './support.mjs';

const FAST = ['requests_per_second=10000', 'burst=10000'].flatMap((limit) => ['--set', `limits.${limit}`]);
const row = (page, text) => page.locator('.msg', { has: page.locator('.text', { hasText: text }) });
const said = (page, text) => eventually(text, async () => (await page.locator('#search-said').textContent()) === text);
/** The words that are marked: those of the hit that one is at, and the others. */
const marked = (page) => page.evaluate(() => ['current', 'found'].map((name) => [...(CSS.highlights.get(name) ?? [])].map(String).join()));
const isInView = (page, text) => eventually(`${text} is in view`, () => row(page, text).evaluate((node) => {
  const [inner, outer] = [node.getBoundingClientRect(), document.getElementById('log').getBoundingClientRect()];
  return inner.top >= outer.top && inner.bottom <= outer.bottom;
}));

scene('words are found in what is loaded, marked, and gone through by keys', { args: FAST }, async ({ server, open }) => {
  const bob = await Program.connect(server.url, 'bob');
  await bob.ask('room:join', { room: 'tea' });
  for (let line = 1; line <= 400; line += 1) {
    await bob.ask('chat:send', { room: 'tea', text: [5, 45, 395].includes(line) ? `line ${line}, with a Teapot and a TEAPOT` : `line ${line}` });
  }
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await row(ada, 'line 400').waitFor();
  await eventually('a page is loaded', () => ada.locator('#log-top[data-phase="more"]').count());
  await ada.locator('#log').focus();
  await ada.keyboard.press('/');
  await ada.locator('#search-input:focus').waitFor();
  await ada.keyboard.type('teapot');
  await eventually('it is found', async () => /^1 of 1 in \d+ loaded messages$/.test(await ada.locator('#search-said').textContent()));
  await isInView(ada, 'line 395,');
  await eventually('it is marked', async () => (await marked(ada)).join('|') === 'Teapot,TEAPOT|');
  await eventually('all is loaded', async () => {
    await ada.locator('#log').evaluate((node) => node.scrollTo(0, 0));
    return ada.locator('#log-top[data-phase="start"]').count();
  });
  await ada.keyboard.press('Enter');
  await said(ada, '2 of 3');
  await isInView(ada, 'line 45,');
  await ada.keyboard.press('Enter');
  await isInView(ada, 'line 5,');
  await ada.keyboard.press('Shift+Enter');
  await said(ada, '2 of 3');
  await ada.locator('#search-input:focus').waitFor();
  const current = () => ada.evaluate(() => [...CSS.highlights.get('current')].map((range) => range.startContainer.parentElement.closest('.msg').textContent));
  await eventually('where one is is marked otherwise', async () => (await current()).every((text) => text.includes('line 45,')) && (await current()).length > 0);
  await ada.locator('#search-input').fill('TEApot');
  await said(ada, '1 of 3');
  await ada.locator('#search-input').fill('nowhere');
  await said(ada, 'Nothing found');
  await ada.keyboard.press('Escape');
  await ada.locator('#message:focus').waitFor();
  assert.deepEqual(await marked(ada), ['', '']);
  assert.equal(await ada.locator('#search').isVisible(), false);
  bob.end();
});

scene('the browser is asked for notifications by a switch alone, and tells of who speaks to one', {}, async ({ server, open }) => {
  const bob = await Program.connect(server.url, 'bob');
  const ada = await open();
  const closed = [];
  await ada.exposeFunction('noteClosed', (title) => closed.push(title));
  await ada.addInitScript(() => {
    globalThis.told = [];
    globalThis.asked = 0;
    globalThis.Notification = class {
      static permission = sessionStorage.getItem('permission') ?? 'default';
      static async requestPermission() {
        globalThis.asked += 1;
        sessionStorage.setItem('permission', 'granted');
        this.permission = 'granted';
      }
      constructor(title, { body }) {
        globalThis.told.push(`${title}: ${body}`);
        globalThis.note = this;
        this.title = title;
      }
      close() {
        globalThis.noteClosed(this.title);
      }
    };
    document.hasFocus = () => globalThis.isAway !== true;
  });
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await bob.ask('room:join', { room: 'tea' });
  const send = (text, more) => bob.ask('chat:send', { room: 'tea', text, ...more });
  const told = () => ada.evaluate(() => globalThis.told);
  await ada.evaluate(() => { globalThis.isAway = true; });
  await bob.ask('chat:send', { to: 'ada', text: 'before' });
  await ada.locator('#direct-list .place').waitFor();
  assert.deepEqual([await ada.evaluate(() => globalThis.asked), await told()], [0, []], 'nobody has asked for it');

  const button = ada.getByRole('switch', { name: 'Notifications' });
  assert.equal(await button.getAttribute('aria-checked'), 'false');
  await button.click();
  await eventually('it is on', async () => (await button.getAttribute('aria-checked')) === 'true');
  assert.equal(await ada.evaluate(() => globalThis.asked), 1);
  await ada.evaluate(() => { globalThis.isAway = false; });
  await say(ada, 'who is there?');
  await shows(ada, ['who is there?']);
  await send('ada, while you look');
  await row(ada, 'while you look').waitFor();
  await ada.evaluate(() => { globalThis.isAway = true; });
  const { entries } = await bob.ask('chat:history', { room: 'tea' });
  const { seq } = entries.find(({ payload }) => payload.text === 'who is there?').payload;
  await send('to nobody: adamant');
  await send('I am, @Ada.');
  await send('and me', { reply_to: seq });
  await bob.ask('chat:send', { to: 'ada', text: 'in private' });
  await eventually('all came', async () => (await told()).length >= 3);
  assert.deepEqual(await told(), ['bob in tea: I am, @Ada.', 'bob in tea: and me', 'bob: in private']);
  await ada.evaluate(() => globalThis.note.onclick());
  await inRoom(ada, 'bob');

  await ada.reload();
  await live(ada);
  await ada.evaluate(() => { globalThis.isAway = true; });
  await send('ada, again');
  await eventually('it is on after a reload', async () => (await told()).join() === 'bob in tea: ada, again');
  await button.click();
  await eventually('it is off', async () => (await button.getAttribute('aria-checked')) === 'false');
  const unread = async () => Number((await ada.locator('#room-list .badge').textContent()).match(/\d+/)[0]);
  const before = await unread();
  await send('ada, in vain');
  await eventually('it has come', async () => (await unread()) > before);
  assert.deepEqual([(await told()).length, await ada.evaluate(() => globalThis.asked)], [1, 0]);

  // For whoever comes next there is none to be seen.
  closed.length = 0;
  await ada.getByRole('button', { name: 'Sign out' }).click();
  await ada.getByLabel('Your name').waitFor();
  assert.deepEqual(closed, ['bob in tea']);
  bob.end();
});
