// The dashboard: for administrators by a token or their sign-in, live, through a restart, by keyboard, in light and dark,
// without a violation that axe-core finds, and without a request to anybody else.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PARLOR, Program, Server, eventually, launch, live } from './support.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 900 } };
const ADMIN = 'an admin token for a test only, in more than 32 bytes';
const SECRET = 'a secret of more than thirty-two bytes, for a test only';
const LIMIT = { timeout: 120_000 };

let browser, folder, secret, server;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parlor-dashboard-'));
  secret = join(folder, 'secret');
  const admin = join(folder, 'admin');
  writeFileSync(secret, SECRET, { mode: 0o600 });
  writeFileSync(admin, ADMIN, { mode: 0o600 });
  const streams = '{ clock = { command = ["date"], every_ms = 1000, binary = true } }';
  server = await Server.start('--secret-file', secret, '--set', `auth.admin_token_file=${admin}`, '--set', `streams=${streams}`, '--set', 'limits.connections_per_address=1000');
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.end();
  rmSync(folder, { recursive: true });
});

const token = (user, ...more) => execFileSync(PARLOR, ['token', '--user', user, '--ttl', '1h', '--secret-file', secret, ...more], { encoding: 'utf8' }).trim();

/** A page of its own whose console is clean at the end, and which asks nobody but the server. */
function inPage(name, options, act) {
  test(name, LIMIT, async () => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (new URL(request.url()).port !== String(server.port)) complaints.push(`asked ${request.url()}`);
    });
    try {
      await act(page, context);
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  });
}

const state = (page, text) => page.locator('#state', { hasText: text }).waitFor();

async function lookIn(page, how = ADMIN) {
  await page.goto(`${server.url}/dashboard`);
  await page.getByLabel('Admin token').fill(how);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Waits until a plot has drawn: what it says aloud has a value. */
const plotted = (page, title) => page.getByRole('img', { name: new RegExp(`^${title}, the last hour: .* now \\d`) }).waitFor();

async function isFree(page, where) {
  // What was just changed is drawn.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(AXE);
  const { violations } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: { type: 'tag', values } }), RULES);
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join(' | ')}`);
  assert.deepEqual(found, [], where);
}

const rows = (page) => page.locator('#rows tbody tr');

inPage('a token lets in if it is an administrator\'s, and is forgotten when it should be', {}, async (page) => {
  await lookIn(page, token('ada'));
  await page.locator('#gate-error', { hasText: 'not an administrator' }).waitFor();
  await page.getByLabel('Admin token').fill('nonsense');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#gate-error', { hasText: 'did not accept' }).waitFor();
  // What no field of a request can hold is not sent, and not kept.
  await page.getByLabel('Admin token').fill('abc…');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#gate-error', { hasText: 'ASCII' }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  for (const good of [token('root', '--admin'), ADMIN]) {
    await page.getByLabel('Admin token').fill(good);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await state(page, 'Live');
    await page.reload();
    await state(page, 'Live');
    await page.getByRole('button', { name: 'Forget the token' }).click();
    await page.getByLabel('Admin token').waitFor();
  }
});

inPage('it works where storage is forbidden', {}, async (page) => {
  await page.addInitScript(() => {
    for (const name of ['sessionStorage', 'localStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('forbidden', 'SecurityError'); } });
  });
  await lookIn(page);
  await state(page, 'Live');
});

inPage('who is signed in as an administrator needs no token, and others are told', {}, async (page) => {
  const link = (user, ...more) => token(user, '--url', server.url, ...more);
  await page.goto(link('ada'));
  await live(page);
  await page.goto(`${server.url}/dashboard`);
  await page.locator('#gate-lead', { hasText: 'ada, who is no administrator' }).waitFor();
  await page.goto(link('root', '--admin'));
  await page.getByRole('button', { name: /Go on as/ }).click();
  await live(page);
  await page.goto(`${server.url}/dashboard/`);
  await state(page, 'Live');
  assert.equal(await page.locator('#forget').isVisible(), false);
});

inPage('it shows what happens, and an administrator\'s actions are carried out and written down', {}, async (page) => {
  const [ada, bob] = [await Program.connect(server.url, 'ada', token('ada')), await Program.connect(server.url, 'bob', token('bob'))];
  const closed = new Promise((resolve) => bob.socket.on('close', resolve));
  await lookIn(page);
  await plotted(page, 'Connections');
  await plotted(page, 'Memory of the process');
  await page.locator('#alarms li').first().waitFor();
  // A busy machine may make the server slow.
  const told = await page.locator('#alarms li:not([data-id="turns"], [data-id="commits"])').allTextContents();
  assert.deepEqual(told.filter((text) => text !== 'Nothing. All is within its bounds.'), []);
  await page.locator('#pools tr', { hasText: 'connections' }).first().waitFor();
  // Whoever looks is not online for it.
  await page.getByRole('tab', { name: 'Users' }).click();
  await rows(page).nth(1).waitFor();
  assert.deepEqual(await page.locator('#rows tbody tr td:first-child').allTextContents(), ['ada', 'bob']);
  await page.getByRole('tab', { name: 'Connections' }).click();
  await rows(page).filter({ hasText: 'bob' }).waitFor();
  await page.locator('#search').fill('bob');
  await eventually('the search finds one', async () => (await rows(page).count()) === 1);
  await page.getByRole('button', { name: /^Disconnect: connection .* of bob/ }).click();
  await page.locator('#act').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(bob.socket.readyState, 1, 'it asks first');
  await page.getByRole('button', { name: /^Disconnect: connection .* of bob/ }).click();
  await page.locator('#act').getByRole('button', { name: 'Disconnect' }).click();
  assert.equal(await closed, 4003);
  await page.getByText('Disconnected 1 connection.').waitFor();
  // A push, with a payload that is none at first.
  const pushed = new Promise((resolve) => ada.socket.on('message', (data) => /app:news/.test(data) && resolve(JSON.parse(data))));
  await page.getByRole('button', { name: 'Push to all…' }).click();
  await page.getByLabel('Payload').fill('{');
  await page.locator('#act-go').click();
  await page.locator('#act-error', { hasText: 'not JSON' }).waitFor();
  await page.getByLabel('Payload').fill('{"n":1}');
  await page.locator('#act-go').click();
  assert.deepEqual(await pushed, { type: 'app:news', payload: { n: 1 } });
  // Into a room.
  await ada.ask('room:create', { room: 'attic' });
  await page.getByRole('tab', { name: 'Rooms' }).click();
  await page.getByRole('button', { name: 'Invite: somebody into attic' }).click();
  await page.getByLabel('User id').fill('no such');
  await page.locator('#act-go').click();
  await page.locator('#act-error', { hasText: 'Refused' }).waitFor();
  await page.getByLabel('User id').fill('cy');
  await page.locator('#act-go').click();
  await page.getByText('cy is a member of attic.').waitFor();
  await rows(page).filter({ hasText: 'attic' }).getByText('2', { exact: true }).first().waitFor();
  // A source.
  await page.getByRole('tab', { name: 'Streams' }).click();
  await page.getByRole('button', { name: 'Pause: the source of clock' }).click();
  await page.locator('#act-go').click();
  await page.getByRole('button', { name: 'Resume: the source of clock' }).click();
  await page.locator('#act-go').click();
  await rows(page).filter({ hasText: 'running' }).waitFor();
  // Tokens.
  await page.getByRole('tab', { name: 'Users' }).click();
  await page.getByRole('button', { name: 'Revoke: all tokens of ada' }).click();
  await page.locator('#act-go').click();
  await page.getByText('Revoked; disconnected 1 connection.').waitFor();
  await page.getByRole('tab', { name: 'Audit log' }).click();
  await rows(page).nth(6).waitFor();
  const written = await page.locator('#rows tbody tr').evaluateAll((all) => all.map(({ cells }) => [3, 4, 5].map((place) => cells[place].textContent).join(' ')));
  assert.deepEqual(written.map((line) => line.replace(/connection \S+/, 'connection …')), [
    'auth:revoke user ada done',
    'admin:resume stream clock done',
    'admin:pause stream clock done',
    'admin:add room attic, user cy done',
    'admin:add room attic, user no such bad_request',
    'admin:push app:news, all done',
    'admin:disconnect connection … done',
  ]);
});

inPage('keys are enough', {}, async (page) => {
  await lookIn(page);
  await plotted(page, 'Connections');
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'search');
  await page.getByRole('tab', { selected: true }).focus();
  await page.keyboard.press('ArrowLeft');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Audit log');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.getByRole('tab', { selected: true }).textContent(), 'Users');
  await page.locator('#push-all').focus();
  await page.keyboard.press('Enter');
  await page.locator('#act').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#act').waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'push-all');
});

inPage('a server that goes is told, what was seen stays, and it goes on by itself', {}, async (page) => {
  await lookIn(page);
  await plotted(page, 'Connections');
  await server.stop();
  try {
    await page.locator('#state', { hasText: /does not answer\. Trying again in \d+ s\. What you see is of/ }).waitFor();
    await page.locator('body.is-gone').waitFor();
    await page.locator('#alarms li[data-level="bad"]', { hasText: 'does not answer' }).waitFor();
    assert.match(await page.getByRole('img', { name: /^Connections/ }).getAttribute('aria-label'), /now \d/);
    await isFree(page, 'the server is gone');
  } finally {
    await server.start();
  }
  await page.getByRole('button', { name: 'Try again now' }).click();
  await state(page, 'Live');
  await page.locator('body:not(.is-gone)').waitFor();
});

inPage('in open mode everybody sees the plots, and why there is no more', {}, async (page) => {
  const open = await Server.start();
  const before = server;
  server = open;
  try {
    await page.goto(`${open.url}/dashboard`);
    await plotted(page, 'Users online');
    assert.equal(await page.locator('#tables').isVisible(), false);
    await page.getByText('This server is in open mode').waitFor();
    await page.getByRole('button', { name: 'I have an admin token' }).click();
    await page.getByLabel('Admin token').waitFor();
  } finally {
    server = before;
    await open.end();
  }
});

for (const colorScheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    inPage(`nothing keeps anybody from using it: ${size}, ${colorScheme}`, { colorScheme, viewport, reducedMotion: 'reduce' }, async (page) => {
      const someone = await Program.connect(server.url, 'ada', token('ada'));
      await page.goto(`${server.url}/dashboard`);
      await page.getByLabel('Admin token').waitFor();
      await isFree(page, 'the gate');
      await lookIn(page);
      await plotted(page, 'Connections');
      await rows(page).first().waitFor();
      await isFree(page, 'the board');
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `it is ${overflow} px too wide`);
      await page.getByRole('button', { name: 'Push to all…' }).click();
      await isFree(page, 'the dialog');
      await page.keyboard.press('Escape');
      await page.getByRole('tab', { name: 'Audit log' }).click();
      await isFree(page, 'the audit log');
      someone.end();
    });
  }
}

test('hundreds of connections are read, searched, and shown up to a bound', LIMIT, async () => {
  const crowd = [];
  const tokens = Array.from({ length: 30 }, (_, n) => token(`u${n}`));
  for (let n = 0; n < 300; n += 1) crowd.push(await Program.connect(server.url, null, tokens[n % tokens.length]));
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    await lookIn(page);
    await plotted(page, 'Connections');
    await page.locator('#found', { hasText: /200 of 30\d shown/ }).waitFor();
    await page.locator('#search').fill('u29');
    await page.locator('#found', { hasText: '10 shown' }).waitFor();
  } finally {
    await context.close();
    for (const one of crowd) one.end();
  }
});

inPage('who is no administrator any more is asked for a token', {}, async (page) => {
  await lookIn(page, token('late', '--admin'));
  await state(page, 'Live');
  const headers = { Authorization: `Bearer ${ADMIN}`, 'Content-Type': 'application/json' };
  const revoked = await fetch(`${server.url}/api/v1/call/auth:revoke`, { method: 'POST', headers, body: '{"user":"late"}' });
  assert.equal(revoked.status, 200);
  await page.locator('#gate-lead', { hasText: 'not signed in any more' }).waitFor();
  await page.getByLabel('Admin token').fill(ADMIN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await state(page, 'Live');
});
