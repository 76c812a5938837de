// The dashboard: for administrators by a token or their sign-in, live, through a restart, by keyboard, in light and dark,
// without a violation that axe-core finds, and without a request to anybody else.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PARLOR, Program, Server, eventually, fromDisk, launch, live, sleep } from './support.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 900 } };
const ADMIN = 'an admin token for a test only, in more than 32 bytes';
const SECRET = 'a secret of more than thirty-two bytes, for a test only';
const LIMIT = { timeout: 120_000 };

let browser, folder, secret, server, serverOptions;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parlor-dashboard-'));
  secret = join(folder, 'secret');
  const admin = join(folder, 'admin');
  writeFileSync(secret, SECRET, { mode: 0o600 });
  writeFileSync(admin, ADMIN, { mode: 0o600 });
  const streams = '{ clock = { command = ["date"], every_ms = 1000, binary = true } }';
  serverOptions = ['--secret-file', secret, '--set', `auth.admin_token_file=${admin}`];
  server = await Server.start(...serverOptions, '--set', `streams=${streams}`, '--set', 'limits.connections_per_address=1000');
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
    await fromDisk(context);
    const page = await context.newPage();
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (new URL(request.url()).hostname !== '127.0.0.1') complaints.push(`asked ${request.url()}`);
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

async function lookIn(page, how = ADMIN, at = server) {
  await page.goto(`${at.url}/dashboard`);
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

/** The connections that a server has. */
async function connectionsOf(at) {
  const response = await fetch(`${at.url}/api/v1/connections`, { headers: { Authorization: `Bearer ${ADMIN}` } });
  return (await response.json()).connections;
}

const rows = (page) => page.locator('#rows tbody tr');

inPage('a token lets in if it is an administrator\'s, and is forgotten when it should be', {}, async (page) => {
  await lookIn(page, token('ada'));
  await page.locator('#gate-error', { hasText: 'not an administrator' }).waitFor();
  await page.getByLabel('Admin token').fill('nonsense');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#gate-error', { hasText: 'did not accept' }).waitFor();
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
  // A busy machine may make the server slow, and others may have filled its disk.
  const told = await page.locator('#alarms li:not([data-id="turns"], [data-id="commits"], [data-id="pool-disk"])').allTextContents();
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
  assert.equal(await page.locator('#said p').count(), 1, 'only the newest is said');
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
    await page.waitForRequest(/parlor%3Avitals/);
    const asked = page.waitForRequest(/parlor%3Avitals/, { timeout: 1_500 });
    await page.getByRole('button', { name: 'Try again now' }).click();
    await asked;
    await isFree(page, 'the server is gone');
  } finally {
    await server.start();
  }
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

inPage('a token that no request can carry is refused in the page, and a server that does not answer is asked ever more seldom', {}, async (page) => {
  let asked = 0;
  page.on('request', (request) => {
    if (/healthz|api\/v1\/call/.test(request.url())) asked += 1;
  });
  await lookIn(page, 'abc…');
  await page.locator('#gate-error', { hasText: 'There is no “…” in a token' }).waitFor();
  // A page before this one may have stored it.
  await page.evaluate(() => sessionStorage.setItem('parlor.dashboard-token', 'abc…'));
  await page.reload();
  await page.getByLabel('Admin token').waitFor();
  assert.ok(asked <= 2, `${asked} requests`);
  await page.route('**/api/v1/call/**', (route) => route.abort());
  asked = 0;
  await page.getByLabel('Admin token').fill(ADMIN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await state(page, 'The server does not answer. Trying again…');
  await sleep(5_000);
  assert.ok(asked >= 3 && asked <= 8, `${asked} requests within 5 s`);
});

inPage('without the library of plots there are the values', {}, async (page) => {
  await page.route('**/uplot.js', (route) => route.abort());
  await lookIn(page);
  await plotted(page, 'Connections');
  await page.locator('.plot-value', { hasText: /^resident \d+ MiB$/ }).waitFor();
  assert.equal(await page.locator('#plots canvas').count(), 0);
});

inPage('it works without storage', {}, async (page) => {
  await page.addInitScript(() => {
    for (const name of ['sessionStorage', 'localStorage']) Object.defineProperty(globalThis, name, { get: () => { throw new DOMException('forbidden', 'SecurityError'); } });
  });
  await lookIn(page);
  await state(page, 'Live');
  await rows(page).first().waitFor();
});

inPage('whoever is no administrator any more is asked to sign in, once', {}, async (page) => {
  await lookIn(page, token('root2', '--admin'));
  await plotted(page, 'Connections');
  const answer = await fetch(`${server.url}/api/v1/call/auth:revoke`, { method: 'POST', headers: { Authorization: `Bearer ${ADMIN}` }, body: JSON.stringify({ user: 'root2' }) });
  assert.equal(answer.status, 200);
  await page.locator('#gate-lead', { hasText: 'You are not signed in any more.' }).waitFor();
  assert.equal(await page.locator('#board').isVisible(), false);
  let asked = 0;
  page.on('request', () => { asked += 1; });
  await sleep(2_000);
  assert.equal(asked, 0, 'it does not try again by itself');
  await page.getByLabel('Admin token').fill(ADMIN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await state(page, 'Live');
  await rows(page).first().waitFor();
  assert.equal(await page.getByRole('tab').count(), 5);
});

inPage('each page has one connection, and another while the audit log is shown; a limit on them is told', {}, async (page, context) => {
  const few = await Server.start(...serverOptions, '--set', 'limits.connections_per_user=2');
  try {
    await lookIn(page, ADMIN, few);
    await state(page, 'Live');
    await rows(page).filter({ hasText: 'events, this page' }).waitFor();
    await page.locator('#found', { hasText: /^1 connection$/ }).waitFor();
    await page.getByRole('tab', { name: 'Audit log' }).click();
    await eventually('the audit log is followed', async () => (await connectionsOf(few)).length === 2);
    const other = await context.newPage();
    await lookIn(other, ADMIN, few);
    await state(other, 'The server ended the connection: you have too many connections. Trying again');
    await other.locator('#alarms', { hasText: 'you have too many connections' }).waitFor();
    await page.getByRole('tab', { name: 'Users' }).click();
    await state(other, 'Live');
  } finally {
    await few.end();
  }
});

inPage('a source that fails is an alarm, and the table has its error', {}, async (page) => {
  const streams = '{ bad = { command = ["false"], every_ms = 1000 } }';
  const failing = await Server.start(...serverOptions, '--set', `streams=${streams}`, '--set', 'backend.circuit_failures=1');
  try {
    await lookIn(page, ADMIN, failing);
    await page.locator('#alarms', { hasText: 'The source of bad fails.' }).waitFor();
    await page.getByRole('tab', { name: 'Streams' }).click();
    await rows(page).filter({ hasText: 'failing: the program: exit status: 1' }).waitFor();
  } finally {
    await failing.end();
  }
});

inPage('an action that the server does not answer was not refused', {}, async (page) => {
  const bob = await Program.connect(server.url, 'bob', token('bob'));
  await lookIn(page);
  await page.getByRole('button', { name: /^Disconnect: connection .* of bob/ }).click();
  await page.route('**/api/v1/call/**', (route) => route.abort());
  await page.locator('#act-go').click();
  await page.getByText('The server does not answer: whether it was done is not known.').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.locator('#found', { hasText: 'It could not be read: the server does not answer.' }).waitFor();
  bob.end();
});

inPage('a push of a type of the server\'s own is refused in words that help', {}, async (page) => {
  await lookIn(page);
  await state(page, 'Live');
  await page.getByRole('button', { name: 'Push to all…' }).click();
  await page.getByLabel('Type').fill('chat:message');
  await page.locator('#act-go').click();
  await page.locator('#act-error', { hasText: 'This type is parlor\'s own' }).waitFor();
});

for (const [size, viewport] of Object.entries(SIZES)) {
  inPage(`every cell and button of a row is within the window, however long an id is: ${size}`, { viewport }, async (page) => {
    const long = 'x'.repeat(64);
    const someone = await Program.connect(server.url, null, token(long));
    await lookIn(page);
    for (const tab of ['Connections', 'Users', 'Audit log']) {
      await page.getByRole('tab', { name: tab }).click();
      await rows(page).first().waitFor();
      // At a desk only the buttons stay; the columns before them scroll.
      const wanted = size === 'phone' ? '#rows td:not(:empty)' : '#rows .act';
      const outside = await page.evaluate((selector) => [...document.querySelectorAll(selector)].filter((node) => node.getBoundingClientRect().right > innerWidth).map((node) => node.textContent), wanted);
      assert.deepEqual(outside, [], tab);
    }
    await page.getByRole('tab', { name: 'Users' }).click();
    await page.getByTitle(long).first().waitFor();
    const outside = await page.locator('#pools td').evaluateAll((all) => all.filter((node) => node.getBoundingClientRect().right > innerWidth).length);
    assert.equal(outside, 0, 'pools');
    someone.end();
  });
}

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
  await fromDisk(context);
  const page = await context.newPage();
  try {
    await lookIn(page);
    await plotted(page, 'Connections');
    await page.locator('#found', { hasText: /^30\d connections; 200 shown: search for the others$/ }).waitFor();
    await page.locator('#search').fill('u29');
    await page.locator('#found', { hasText: /^10 of 30\d match$/ }).waitFor();
  } finally {
    await context.close();
    for (const one of crowd) one.end();
  }
});
