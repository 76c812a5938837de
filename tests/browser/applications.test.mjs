// The pages of whole applications in Python, and of the tutorial's, beside parlor: two windows, an operator, servers that
// go away and come back.
// With IMAGES, a folder, the pictures of their READMEs are written there.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Server, eventually, freePort, launch, sleep, temporaryDirectory } from './support.mjs';

const LIMIT = { timeout: 120_000 };
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PYTHON = `${ROOT}target/test-python/bin/python`;
const WHILE_DOWN = /WebSocket connection to .* failed|net::ERR_|Failed to load resource/;
const { IMAGES } = process.env;
let browser;

before(async () => {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing: make setup`);
  browser = await launch();
}, LIMIT);
after(() => browser?.close());

/** The application, as its README starts it. */
class Application {
  #child = null;

  constructor(directory, port, variables) {
    this.url = `http://127.0.0.1:${port}`;
    this.arguments = ['-m', 'uvicorn', 'app:app', '--port', String(port), '--log-level', 'warning'];
    this.how = { cwd: directory, env: { ...process.env, PYTHONPATH: `${ROOT}clients/python`, ...variables }, stdio: 'ignore' };
  }

  async start() {
    this.#child = spawn(PYTHON, this.arguments, this.how);
    await eventually('the application answers', async () => (await fetch(`${this.url}/openapi.json`)).ok);
  }

  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Of an example: where it is, and where it finds parlor. */
const example = (name) => (directory, port, parlor) => {
  const folder = `${ROOT}examples/${name}`;
  writeFileSync(`${directory}/parlor.toml`, readFileSync(`${folder}/parlor.toml`, 'utf8').replaceAll('8000', port));
  return { folder, variables: { [`${name.toUpperCase()}_PARLOR`]: parlor } };
};

/** Of the tutorial: its reader's folder, with the files that the page has them write. */
const tutorial = (directory, port, parlor) => {
  const page = readFileSync(`${ROOT}docs/tutorials/python-backend.md`, 'utf8').replaceAll('8000', port).replaceAll('http://127.0.0.1:8080', parlor);
  for (const [, path, content] of page.matchAll(/^Put this into `([^`]+)`:\n\n```\w+\n(.*?)^```$/gms)) writeFileSync(`${directory}/${path}`, content);
  symlinkSync(`${ROOT}clients/js/src`, `${directory}/client`);
  return { folder: directory, variables: {} };
};

/** A scene with an application and a server of its own; whatever the console says while both are there is a failure. */
function scene(title, make, run) {
  test(title, LIMIT, async () => {
    const [port, parlor] = [await freePort(), await freePort()];
    const directory = temporaryDirectory();
    const { folder, variables: more } = make(directory, port, `http://127.0.0.1:${parlor}`);
    const secret = () => randomBytes(32).toString('hex');
    const variables = {
      PARLOR_ADMIN_TOKEN: secret(), PILEUP_SECRET: secret(), BILLIARDS_SECRET: secret(), BACKEND_SECRET: secret(),
      PILEUP_OPERATORS: 'op:good evening', BILLIARDS_TOKEN: secret(), COUNTER_PASSWORD: 'schönen Abend', ...more,
    };
    const server = new Server(parlor, directory, ['--config', `${directory}/parlor.toml`], variables);
    const application = new Application(folder, port, variables);
    const contexts = [];
    const complaints = [];
    const open = async ({ state = 'live', ...how } = {}) => {
      const context = await browser.newContext({ viewport: { width: 1_100, height: 760 }, ...how });
      contexts.push(context);
      const page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(error.stack));
      page.on('console', (message) => message.type() === 'error' && !WHILE_DOWN.test(message.text()) && complaints.push(message.text()));
      await page.goto(application.url);
      await says(page, '#state', state);
      return page;
    };
    const ask = (path, method = 'POST', body = {}) =>
      fetch(application.url + path, { method, body: JSON.stringify(body), headers: { Authorization: `Basic ${btoa('op:good evening')}`, 'Content-Type': 'application/json' } });
    try {
      await application.start();
      await server.start();
      await run({ server, application, open, ask, variables });
      assert.deepEqual(complaints, []);
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
      await application.end();
      await server.end();
    }
  });
}

const says = (page, where, text) => eventually(`${where} says ${text}`, async () => (await page.textContent(where)).includes(text));
const items = (page, list) => page.$$eval(`${list} li`, (found) => found.map((item) => item.firstChild.textContent.trim()));

async function fits(page) {
  const { wide, has } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, has: document.documentElement.clientWidth }));
  assert.ok(wide <= has, `it is ${wide} px wide in ${has} px`);
}

scene('a pileup: a guest registers, the operator calls, and all see it', example('pileup'), async ({ server, application, open, ask }) => {
  const [guest, desk] = [await open(), await open()];
  for (const [callsign, name] of [['dl1abc', 'Ada'], ['VP2E/K1ABC', ''], ['W1AW', 'Hiram']]) {
    await guest.fill('[name=callsign]', callsign);
    await guest.fill('[name=name]', name);
    await guest.click('#register button');
    await says(desk, '#waiting', callsign.toUpperCase());
  }
  assert.deepEqual(await items(guest, '#waiting'), ['DL1ABC (Ada)', 'VP2E/K1ABC', 'W1AW (Hiram)']);
  await guest.fill('[name=callsign]', 'W1AW');
  await guest.click('#register button');
  await says(guest, '#alert', 'W1AW waits already');

  await desk.fill('[name=user]', 'op');
  await desk.fill('[name=password]', 'wrong');
  await desk.click('#door button');
  await says(desk, '#alert', 'no operator has this name and password');
  await desk.fill('[name=password]', 'good evening');
  await desk.click('#door button');
  await desk.waitForSelector('#desk:not([hidden])');
  await desk.fill('[name=khz]', '14250');
  await desk.fill('[name=split]', 'up 5');
  await desk.click('#tune button');
  await desk.click('[data-ask=next]');
  for (const page of [guest, desk]) {
    await says(page, '#current', 'DL1ABC');
    await says(page, '#tuned', '14250 kHz, split up 5');
    await says(page, '#events', 'DL1ABC is on the air');
  }
  await desk.click('#waiting li:first-child button');
  await eventually('VP2E/K1ABC is removed', async () => (await items(guest, '#waiting')).join() === 'W1AW (Hiram)');
  await ask('/api/queue', 'POST', { callsign: 'JA1XYZ', name: 'Yuki' });
  await says(guest, '#waiting', 'JA1XYZ');
  if (IMAGES) await desk.screenshot({ path: `${IMAGES}/pileup.png`, animations: 'disabled' });

  // A phone that comes late sees all of it.
  const phone = await open({ viewport: { width: 390, height: 844 } });
  await says(phone, '#current', 'DL1ABC');
  await says(phone, '#events', 'VP2E/K1ABC was removed');
  await fits(phone);

  await server.stop();
  await says(guest, '#state', 'away');
  await ask('/api/admin/complete');
  await server.start();
  for (const page of [guest, desk, phone]) {
    await says(page, '#state', 'live');
    await says(page, '#events', 'DL1ABC was worked');
    await says(page, '#current', '–');
  }
  await desk.click('#open');
  await says(guest, '#tuned', 'closed');
  assert.equal(await guest.isDisabled('#register button'), true);
  await application.end();
  await guest.evaluate(() => { document.querySelector('#register button').disabled = false; });
  await guest.click('#register button');
  await eventually('that nobody answers is said', async () => (await guest.textContent('#alert')) !== '');
});

scene('billiards: the table, the camera in both ways, what happened, and alerts', example('billiards'), async ({ server, application, open, variables }) => {
  const [one, two] = [await open(), await open({ viewport: { width: 390, height: 844 } })];
  await says(one, '#game', 'game 1');
  const { width, height } = await one.locator('#table').boundingBox();
  await one.click('#table', { position: { x: width * 0.74, y: height * 0.34 } });
  for (const page of [one, two]) {
    await says(page, '#game', 'rolling');
    await says(page, '#events', 'shot 1');
  }
  await one.selectOption('#group', 'referees');
  const operator = { Authorization: `Bearer ${variables.BILLIARDS_TOKEN}` };
  const broadcast = await fetch(`${application.url}/api/v1/websocket/broadcast/group/referees`, { method: 'POST', headers: operator, body: '{"message":"watch the red one"}' });
  assert.equal(broadcast.status, 200);
  await says(one, '#alerts', 'to referees: watch the red one');
  assert.ok(!(await two.textContent('#alerts')).includes('referees'), 'who is not of the group is not told');
  // The camera: pictures come, in one way and in the other.
  const [wide] = [await one.$eval('#video', (image) => image.naturalWidth)];
  assert.equal(wide, 640);
  if (IMAGES) await one.screenshot({ path: `${IMAGES}/billiards.png`, animations: 'disabled' });
  await one.selectOption('#way', 'websocket');
  await eventually('pictures come by a WebSocket', async () => parseInt(await one.textContent('#rate')) >= 10);
  await eventually('a picture is shown', async () => (await one.getAttribute('#video', 'src')).startsWith('blob:') && (await one.$eval('#video', (image) => image.naturalWidth)) === 640);
  await fits(two);
  await says(one, '#events', 'all balls lie still');
  await one.selectOption('#filter', 'shot_taken');
  await eventually('the filter leaves shots alone', async () => {
    const found = await items(one, '#events');
    return found.length > 0 && found.every((text) => text.includes('shot'));
  });

  const covered = (is) => fetch(`${application.url}/api/v1/config`, { method: 'PUT', headers: { ...operator, 'Content-Type': 'application/json' }, body: JSON.stringify({ covered: is }) });
  assert.equal((await covered(true)).status, 200);
  await says(one, '#alerts', 'the camera sees nothing');
  assert.equal((await covered(false)).status, 200);
  await eventually('it is well again', async () => /^(healthy|degraded)$/.test(await one.textContent('#level')));
  await server.kill();
  await says(one, '#state', 'away');
  await sleep(500);
  await server.start();
  await says(one, '#state', 'live');
  await one.click('#start');
  await says(one, '#game', 'game 2');
  await application.end();
  await says(one, '#level', 'nothing is heard of the table');
});

scene('the queue of the tutorial: two windows, a password, and both servers away', tutorial, async ({ server, application, open }) => {
  const [one, two] = [await open({ state: 'online' }), await open({ state: 'online' })];
  const join = async (name) => {
    await one.fill('[name=name]', name);
    await one.click('#join button');
  };
  await join('Ada');
  await says(one, '#told', 'you are number 1');
  await join('<b>Bob</b>');
  await says(one, '#told', 'you are number 2');
  for (const page of [one, two]) await eventually('both wait', async () => (await items(page, '#waiting')).join() === 'Ada,<b>Bob</b>');
  await join('Ada');
  await says(one, '#told', 'Ada waits already');

  await two.click('#counter button');
  await says(two, '#told', 'nobody is known by this');
  await two.fill('[name=password]', 'schönen Abend');
  await two.click('#counter button');
  await says(two, '#told', 'Ada, please');
  for (const page of [one, two]) await eventually('one waits', async () => (await items(page, '#waiting')).join() === '<b>Bob</b>');

  await server.kill();
  await server.start();
  await join('Eve');
  await says(one, '#told', 'you are number 2');
  await eventually('two wait', async () => (await items(two, '#waiting')).join() === '<b>Bob</b>,Eve');
  await application.end();
  await application.start();
  for (const page of [one, two]) await eventually('nobody waits', async () => (await items(page, '#waiting')).length === 0);
});

test('the pictures of the READMEs are there', () => {
  for (const name of ['pileup', 'billiards']) {
    const { length } = readFileSync(`${ROOT}docs/images/${name}.png`);
    assert.ok(length > 10_000, name);
    execFileSync('grep', ['-q', `docs/images/${name}.png`, `${ROOT}examples/${name}/README.md`]);
  }
});
