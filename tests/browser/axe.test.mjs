// What axe-core finds that keeps people from using the page: nothing, in light and dark, on a phone and at a desk, empty,
// full and offline, and in what opens over it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { acknowledged, scene } from './scene.mjs';
import { Program, comeIn, eventually, inRoom, say } from './support.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } };
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

async function isFree(page, where) {
  // What moves is half seen.
  await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect.getTiming().iterations !== Infinity).map((one) => one.finished.catch(() => {}))));
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(AXE);
  const { violations } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: { type: 'tag', values } }), RULES);
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join(' | ')}`);
  assert.deepEqual(found, [], where);
}

/** A room in which there is all that a room can have. */
async function furnish(server) {
  const [bob, cy] = [await Program.connect(server.url, 'bob'), await Program.connect(server.url, 'cy')];
  for (const one of [bob, cy]) await one.ask('room:join', { room: 'tea' });
  const sent = [];
  for (const text of ['Good evening. See https://example.org/tea', 'a secret', 'tea?', 'one\ntwo']) sent.push(await bob.ask('chat:send', { room: 'tea', text }));
  await bob.ask('chat:edit', { room: 'tea', seq: sent[0].seq, text: 'Good evening! See https://example.org/tea' });
  await bob.ask('chat:delete', { room: 'tea', seq: sent[1].seq });
  await cy.ask('chat:react', { room: 'tea', seq: sent[2].seq, emoji: '👍' });
  const answer = await cy.ask('chat:send', { room: 'tea', text: 'yes, please', reply_to: sent[2].seq });
  for (const one of [bob, cy]) await one.ask('chat:read', { room: 'tea', seq: answer.seq });
  await bob.ask('room:create', { room: 'attic', title: 'The attic' });
  return [bob, cy];
}

for (const colorScheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    scene(`nothing keeps anybody from using the page: ${size}, ${colorScheme}`, { goesDown: true }, async ({ server, open }) => {
      const others = await furnish(server);
      const page = await open();
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.goto(server.url);
      await page.getByLabel('Your name').waitFor();
      await isFree(page, 'the door');
      await comeIn(page, server.url, 'ada');
      await inRoom(page, 'lobby');
      await page.locator('#log-top[data-phase="empty"]').waitFor();
      await isFree(page, 'an empty room');

      await others[0].ask('room:invite', { room: 'attic', user: 'ada' });
      await others[0].ask('chat:send', { to: 'ada', text: 'psst' });
      if (size === 'phone') {
        await page.locator('#rail-open').click();
        await page.locator('#rail .badge').first().waitFor();
        await isFree(page, 'the list of rooms');
      }
      await page.locator('#joinable-list .place', { hasText: 'tea' }).click();
      await inRoom(page, 'tea');
      await say(page, 'Good evening to you all.');
      await acknowledged(page);
      await eventually('all of it is there', async () => (await page.locator('.msg').count()) === 6);
      await isFree(page, 'a full room');
      await page.locator('#log').focus();
      await page.keyboard.press('Enter');
      await page.locator('.tools').waitFor();
      await isFree(page, 'what can be done with a message');
      await page.keyboard.press('r');
      await page.locator('#about').waitFor();
      await page.locator('#search-open').click();
      await page.locator('#search-input').fill('evening');
      await isFree(page, 'an answer, and a search');
      await page.keyboard.press('Escape');
      if (size === 'phone') {
        await page.locator('#people-open').click();
        await isFree(page, 'the list of people');
        await page.keyboard.press('Escape');
      }
      await page.keyboard.press('Control+/');
      await isFree(page, 'the help');
      await page.keyboard.press('Escape');

      await server.kill();
      await page.locator('#banner').waitFor();
      await page.locator('#message').fill('This one waits.');
      await page.locator('#message').press('Enter');
      await page.locator('.msg.queued').waitFor();
      await page.locator('#banner-retry').waitFor();
      await isFree(page, 'offline');
      if (size === 'phone') await page.locator('#rail-open').click();
      await page.locator('#sign-out').click();
      await page.locator('#sign-out-dialog').waitFor();
      await isFree(page, 'signing out');
      for (const one of others) one.end();
    });
  }
}
