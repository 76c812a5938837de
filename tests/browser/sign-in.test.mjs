// A link signs a browser in, once: in all its tabs, over reloads and its end, until one signs out.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PARLOR, Server, eventually, inRoom, launch, live, say, sleep, texts } from './support.mjs';

const SECRET = 'a secret of more than thirty-two bytes, for a test only';
let browser, folder, secret, server;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parlor-sign-in-'));
  secret = join(folder, 'secret');
  writeFileSync(secret, SECRET, { mode: 0o600 });
  server = await Server.start('--secret-file', secret);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.end();
  rmSync(folder, { recursive: true });
});

function link(user, ...more) {
  const args = ['token', '--user', user, '--ttl', '1h', '--secret-file', secret, '--url', server.url, ...more];
  return execFileSync(PARLOR, args, { encoding: 'utf8' }).trim();
}

/** A test in a browser of its own, whose console is to stay clean. */
function inBrowser(name, act) {
  test(name, { timeout: 60_000 }, async () => {
    const contexts = [];
    const complaints = [];
    const fresh = async (options) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      context.on('page', (page) => {
        page.on('pageerror', (error) => complaints.push(String(error)));
      });
      return context;
    };
    try {
      await act(fresh);
      assert.deepEqual(complaints, []);
    } finally {
      for (const context of contexts) await context.close();
    }
  });
}

const me = (page, name) => page.locator('#me', { hasText: name }).waitFor();
const atDoor = (page, lead) => page.locator('#door-lead', { hasText: lead ?? '' }).locator('visible=true').waitFor();

/** Whether neither the page nor what scripts keep has any of these words. */
async function forgets(page, words) {
  await eventually('it is forgotten', async () => {
    const left = await page.evaluate(async () => {
      const databases = await indexedDB.databases();
      const rows = [];
      for (const { name } of databases) {
        const opening = indexedDB.open(name);
        const database = await new Promise((resolve) => (opening.onsuccess = () => resolve(opening.result)));
        for (const store of database.objectStoreNames) {
          const all = database.transaction(store).objectStore(store).getAll();
          rows.push(store, await new Promise((resolve) => (all.onsuccess = () => resolve(all.result))));
        }
        database.close();
      }
      const fields = [...document.querySelectorAll('input, textarea')].map(({ value, placeholder }) => value + placeholder);
      return JSON.stringify([databases, rows, { ...localStorage }, { ...sessionStorage }, (await navigator.locks.query()).held, history.state, location.href, document.title, document.cookie, fields, document.documentElement.outerHTML]);
    });
    const found = words.exec(left);
    if (found !== null) throw new Error(left.slice(Math.max(0, found.index - 80), found.index + 80));
    return true;
  }, 5_000);
}

async function opened(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

inBrowser('a link signs in, in every tab, over a reload and the end of the browser, and leaves no code behind', async (fresh) => {
  const context = await fresh();
  const url = link('ada', '--name', 'Ada Lovelace');
  const page = await opened(context, url);
  await live(page);
  await me(page, 'Ada Lovelace');
  assert.equal(page.url(), `${server.url}/`);
  await page.reload();
  await me(page, 'Ada Lovelace');
  const other = await opened(context, server.url);
  await live(other);
  await me(other, 'Ada Lovelace');
  assert.equal(await other.evaluate(() => document.cookie), '', 'no script reads the cookie');
  const kept = await other.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert.ok(!kept.includes('eyJ'), `no token is kept by scripts: ${kept}`);
  // The browser is closed, and opened again: its cookies are what is left.
  const state = await context.storageState();
  await context.close();
  const again = await fresh({ storageState: { cookies: state.cookies, origins: [] } });
  const back = await opened(again, server.url);
  await live(back);
  await me(back, 'Ada Lovelace');
  await back.goBack().catch(() => {});
  assert.ok(!back.url().includes('code'));
});

inBrowser('a link is good once, and says so to whoever comes second', async (fresh) => {
  const url = link('ada');
  await live(await opened(await fresh(), url));
  const late = await opened(await fresh(), url);
  await atDoor(late, 'This link has already been used. Ask for a new one.');
  const bad = await opened(await fresh(), `${url.slice(0, -4)}AAAA`);
  await atDoor(bad, 'did not accept this link');
  await bad.getByText('If you run this server').click();
  await bad.getByText(`parlor token --user ID --secret-file FILE --url ${server.url}/`).waitFor();
});

inBrowser('a link for somebody else asks first, and all tabs follow', async (fresh) => {
  const context = await fresh();
  const first = await opened(context, link('ada', '--name', 'Sam'));
  await live(first);
  // Display names can be alike: the id is beside it.
  const url = link('eve', '--name', 'Sam');
  const second = await opened(context, url);
  const dialog = second.locator('#other-dialog');
  await dialog.waitFor();
  assert.match(await dialog.textContent(), /You are Sam \(ada\)\. This link is for Sam \(eve\)\./);
  await second.getByRole('button', { name: 'Stay' }).click();
  await live(second);
  assert.equal((await second.evaluate(() => fetch('/api/v1/sign-in').then((one) => one.json()))).user.id, 'ada');
  // It was not used: it is good still.
  const third = await opened(context, url);
  await third.locator('#other-dialog').waitFor();
  await third.keyboard.press('Escape');
  await live(third);
  const fourth = await opened(context, url);
  await fourth.getByRole('button', { name: 'Go on as eve' }).click();
  await live(fourth);
  for (const page of [first, second, third, fourth]) {
    await eventually('all tabs are eve', async () => (await page.evaluate(() => document.querySelector('#me').dataset.of)) === 'eveSam');
  }
});

inBrowser('a link that is opened in a tab that is in goes on there', async (fresh) => {
  const context = await fresh();
  const page = await opened(context, link('ada'));
  await live(page);
  // The address is changed by hand: the page is not loaded anew.
  await page.evaluate((url) => { location.hash = new URL(url).hash; }, link('bob'));
  await page.getByRole('button', { name: 'Go on as bob' }).click();
  await live(page);
  await me(page, 'bob');
  assert.ok(!page.url().includes('code'));
});

const whoIs = async (page) => (await page.evaluate(() => fetch('/api/v1/sign-in').then((one) => one.json()))).user?.id;
const follow = (page, url) => page.evaluate((one) => { location.hash = new URL(one).hash; }, url);

inBrowser('of a link that cannot be read, or while nobody says who one is, nobody is signed in', async (fresh) => {
  const page = await opened(await fresh(), link('ada'));
  await live(page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  const [head, , signature] = new URL(link('eve')).hash.slice('#code='.length).split('.');
  const bodies = ['{}', '[]', '{"sub":["eve"]}', '{"sub":7}', '{"sub":"eve', '{"sub":""}', '{"sub":"\\u202eeve"}'];
  for (const code of ['x', `${head}..${signature}`, ...bodies.map((body) => `${head}.${Buffer.from(body).toString('base64url')}.${signature}`)]) {
    await follow(page, `${server.url}/#code=${code}`);
    const toast = page.locator('#toasts .toast', { hasText: 'did not accept this link' });
    await toast.waitFor();
    await toast.evaluate((node) => node.remove());
  }
  assert.deepEqual(sent, []);
  await page.route('**/api/v1/sign-in', (route) => (route.request().method() === 'GET' ? route.fulfill({ status: 503 }) : route.continue()));
  await follow(page, link('eve'));
  await page.locator('#toasts', { hasText: 'could not check this link' }).waitFor();
  assert.deepEqual(sent, []);
  await page.unroute('**/api/v1/sign-in');
  assert.equal(await whoIs(page), 'ada');
});

inBrowser('of two links at once each is asked for by itself, and what is answered holds for that one', async (fresh) => {
  const page = await opened(await fresh(), link('ada'));
  await live(page);
  const dialog = page.locator('#other-dialog[open]');
  await follow(page, link('otto'));
  await follow(page, link('mallory'));
  await dialog.locator('#other-coming', { hasText: 'otto' }).waitFor();
  await sleep(300);
  assert.match(await dialog.textContent(), /This link is for otto \(otto\)/);
  await page.getByRole('button', { name: 'Stay' }).click();
  await dialog.locator('#other-coming', { hasText: 'mallory' }).waitFor();
  assert.equal(await whoIs(page), 'ada');
  // The keyboard is on what changes nothing.
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await whoIs(page), 'ada');
  // Who goes on as the one is not asked for the other.
  await follow(page, link('otto'));
  await follow(page, link('mallory'));
  await page.getByRole('button', { name: 'Go on as otto' }).click();
  await me(page, 'otto');
  await live(page);
  assert.equal(await whoIs(page), 'otto');
});

inBrowser('a name in a link hides neither for whom it is nor that there are two', async (fresh) => {
  const context = await fresh();
  await live(await opened(context, link('ada', '--name', 'Sam')));
  for (const [name, isAlike] of [['Sam', true], ['S\u0430m', true], ['Sa\u200bm', true], ['SAM', true], ['Sam (ada)', false], ['Eve', false]]) {
    const page = await opened(context, link('eve', '--name', name));
    await page.locator('#other-dialog[open]').waitFor();
    assert.equal(await page.locator('#other-alike').isVisible(), isAlike, name);
    assert.equal(await page.locator('#other-go').textContent(), `Go on as ${isAlike ? 'eve' : name}`);
    assert.equal(await page.locator('#other-coming').textContent(), `${name} (eve)`);
    await page.close();
  }
});

inBrowser('no code and no token of an address is left in the tab, and what stands beside a code changes nothing', async (fresh) => {
  const context = await fresh();
  const code = new URL(link('ada')).hash;
  const token = link('eve').split('=')[1];
  const page = await opened(context, `${server.url}/?name=Eve&user=eve${code}&token=${token}&name=Eve&code=${token}`);
  await live(page);
  assert.equal(await whoIs(page), 'ada');
  const left = await page.evaluate(() => JSON.stringify([
    location.href, document.referrer, document.title, history.state, history.length, navigation.entries().map(({ url }) => url),
    // How this load began only another load forgets; by then the code is used.
    performance.getEntries().filter(({ entryType }) => entryType !== 'navigation').map(({ name }) => name),
  ]));
  assert.ok(!left.includes('eyJ'), left);
  await follow(page, `${server.url}/#token=${token}`);
  await eventually('it is gone', () => !page.url().includes('token'));
  assert.ok(!(await page.evaluate(() => navigation.entries().map(({ url }) => url).join())).includes('eyJ'));
  assert.equal(await whoIs(page), 'ada');
  assert.equal(await page.locator('#other-dialog[open]').count(), 0);
});

inBrowser('signing out ends it in all tabs of this browser, and everywhere if one says so', async (fresh) => {
  const [here, there] = [await fresh(), await fresh()];
  const pages = [await opened(here, link('ada')), await opened(there, link('ada'))];
  pages.push(await opened(here, server.url));
  for (const page of pages) await live(page);
  await pages[0].getByRole('button', { name: 'Sign out' }).click();
  await pages[0].locator('#sign-out-go', { hasText: 'Sign out' }).click();
  await atDoor(pages[0], 'You need a personal link to come in.');
  await atDoor(pages[2]);
  await say(pages[1], 'still here');
  await pages[1].locator('#log-rows .msg .text', { hasText: 'still here' }).waitFor();

  // A link that is opened at the door, in the same tab.
  await pages[2].goto(link('ada'));
  await live(pages[2]);
  await pages[2].getByRole('button', { name: 'Sign out' }).click();
  const everywhere = pages[2].getByLabel('Everywhere, not only in this browser');
  assert.ok((await everywhere.boundingBox()).width < 30, 'a box, not a field');
  await everywhere.check();
  await pages[2].locator('#sign-out-go').click();
  await atDoor(pages[2]);

  await atDoor(pages[1], 'You were signed out. Ask for a new link.');
  await forgets(pages[1], /ada|lobby|still here/);
  await pages[1].reload();
  await atDoor(pages[1], 'You need a personal link to come in.');
});

inBrowser('signing out and discarding leaves nothing in any tab that says who it was', async (fresh) => {
  const context = await fresh();
  const pages = [await opened(context, link('greta', '--name', 'Greta Garbo'))];
  await live(pages[0]);
  pages.push(await opened(context, server.url));
  await live(pages[1]);
  await say(pages[1], 'private words');
  await pages[1].locator('#log-rows .msg .text', { hasText: 'private words' }).waitFor();
  // One waits in the other tab, which hears of nobody, and something was begun in both.
  await pages[1].locator('#message').fill('a draft of hers');
  await pages[0].locator('#message').fill('another draft');
  await sleep(500);
  await pages[1].locator('#message').pressSequentially(' ', { delay: 0 });
  await pages[0].getByRole('button', { name: 'Sign out' }).click();
  await pages[0].locator('#sign-out-discard').click();
  for (const page of pages) {
    await atDoor(page);
    await forgets(page, /greta|garbo|draft|private words/i);
  }
});

inBrowser('a page that the browser has kept to come back to is loaded anew, and shows nothing before', async (fresh) => {
  const page = await opened(await fresh(), link('hedy'));
  await live(page);
  await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
  assert.equal(await page.locator('#house').isVisible(), false);
  const loaded = page.waitForEvent('load');
  await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await loaded;
  await live(page);
});

inBrowser('who signs out while nobody answers stays signed in, is told so, and loses nothing', async (fresh) => {
  const context = await fresh();
  const page = await opened(context, link('cleo'));
  await live(page);
  await inRoom(page, 'lobby');
  await context.setOffline(true);
  await server.stop();
  await say(page, 'for later');
  await page.locator('.msg', { hasText: 'for later' }).waitFor();
  // Nobody answers: one is not signed out, and is told so.
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.locator('#sign-out-go', { hasText: 'Keep' }).click();
  await page.getByText('You are still signed in: the server does not answer.').waitFor();
  await context.setOffline(false);
  await server.start();
  await live(page, 30_000);
  const other = await opened(await fresh(), link('cleo'));
  await live(other);
  await other.locator('#log-rows .msg .text', { hasText: 'for later' }).waitFor();
});

inBrowser('a server that was away does not sign anybody out', async (fresh) => {
  const context = await fresh();
  const page = await opened(context, link('dora'));
  await live(page);
  await server.restart();
  await live(page, 30_000);
  await say(page, 'again');
  await eventually('it is shown', async () => (await texts(page)).includes('again'));
});

inBrowser('whom the application\'s own cookie knows is in without a link, and signs out there', async (fresh) => {
  const application = createServer((request, response) => {
    const known = /(?:^|; )session=fay(?:;|$)/.test(request.headers.cookie ?? '');
    assert.ok(!/parlor_sign_in/.test(request.headers.cookie ?? ''));
    response.writeHead(known ? 200 : 401, { 'Content-Type': 'application/json' });
    response.end(known ? '{"user":{"id":"fay","name":"Fay of the application"}}' : '{}');
  });
  await new Promise((resolve) => application.listen(0, '127.0.0.1', resolve));
  const beside = await Server.start('--secret-file', secret, '--set', `auth.url=http://127.0.0.1:${application.address().port}/who`);
  try {
    const context = await fresh();
    await context.addCookies([{ name: 'session', value: 'fay', url: beside.url }]);
    const page = await opened(context, beside.url);
    await live(page);
    await me(page, 'Fay of the application');
    assert.equal(await page.locator('#sign-out').isVisible(), false);
    // Who has none is at the door.
    await atDoor(await opened(await fresh(), beside.url), 'personal link');
  } finally {
    await beside.end();
    application.close();
    application.closeAllConnections();
  }
});
