// The example of a dashboard whose application is asked by parlor: seven views, two windows, sources that die and come back.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Server, eventually, freePort, launch, temporaryDirectory } from './support.mjs';

const LIMIT = { timeout: 180_000 };
const TAC = fileURLToPath(new URL('../../examples/tac/', import.meta.url));
const WHILE_DOWN = /WebSocket connection to .* failed|net::ERR_|Failed to load resource/;
const SECRET = randomBytes(32).toString('hex');
let browser;
let directory;

before(async () => {
  directory = temporaryDirectory();
  execFileSync(process.execPath, [fileURLToPath(new URL('../../examples/build.mjs', import.meta.url)), 'tac', `${directory}/app.js`]);
  browser = await launch();
}, LIMIT);
after(async () => {
  await browser?.close();
  if (directory) rmSync(directory, { recursive: true });
});

/** The application, as its README starts it, but faster. */
class Application {
  #child = null;

  constructor(port, parlor) {
    this.url = `http://127.0.0.1:${port}`;
    this.env = { ...process.env, GITHUB_SECRET: SECRET, PARLOR_ADDRESS: parlor, TAC_BUNDLE: `${directory}/app.js`, TAC_STEP_SECONDS: '0.5' };
  }

  async start() {
    this.#child = spawn('python3', [`${TAC}backend.py`, this.url.slice('http://'.length)], { env: this.env, stdio: ['ignore', 'ignore', 'inherit'] });
    await eventually('the application answers', async () => (await fetch(`${this.url}/queue`)).ok);
  }

  async end(signal = 'SIGTERM') {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill(signal);
    return ended;
  }
}

/** A scene with an application and a server of its own; whatever the console says while both are there is a failure. */
function scene(name, run) {
  test(name, LIMIT, async () => {
    const port = await freePort();
    const config = `${directory}/${port}.toml`;
    writeFileSync(config, readFileSync(`${TAC}parlor.toml`, 'utf8').replaceAll('127.0.0.1:9090', `127.0.0.1:${port}`));
    const server = new Server(await freePort(), temporaryDirectory(), ['--data', ':memory:', '--config', config], { GITHUB_SECRET: SECRET });
    const application = new Application(port, `127.0.0.1:${server.port}`);
    await application.start();
    await server.start();
    const contexts = [];
    const complaints = [];
    const open = async () => {
      const context = await browser.newContext();
      contexts.push(context);
      const page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(error.stack));
      page.on('console', (message) => message.type() === 'error' && !WHILE_DOWN.test(message.text()) && complaints.push(message.text()));
      await page.goto(application.url);
      return page;
    };
    try {
      await run({ server, application, open });
      assert.deepEqual(complaints, []);
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
      await server.end();
      await application.end('SIGKILL');
    }
  });
}

const view = (page, title) => page.getByRole('region', { name: title });
const shows = (page, title, text) => view(page, title).getByText(text).first().waitFor({ timeout: 20_000 });
const status = (page, title, text) => view(page, title).getByRole('status').filter({ hasText: text }).waitFor({ timeout: 25_000 });
const request = async (page, title) => {
  await page.getByLabel('What is to be done').fill(title);
  await page.getByRole('button', { name: 'Request' }).click();
};

scene('seven views show what the application does, in two windows', async ({ open }) => {
  const pages = [await open(), await open()];
  for (const page of pages) {
    for (const title of ['Active', 'Monitor', 'Queue', 'History', 'System', 'Routes']) await status(page, title, /excellent|good/);
    await shows(page, 'System', 'healthy');
    await shows(page, 'Routes', 'POST /pushes');
    await shows(page, 'Webhook', 'Nothing yet.');
    await shows(page, 'Queue', 'Nobody waits.');
  }
  const [one, two] = pages;
  await one.getByRole('button', { name: 'Pause' }).click();
  for (const page of pages) await shows(page, 'System', 'paused');
  await request(one, 'Mend the roof');
  await request(two, 'Paint the door');
  for (const page of pages) await shows(page, 'Queue', 'Paint the door');
  await view(two, 'Active').getByRole('button', { name: 'Mend the roof' }).click();
  await shows(two, 'Chosen', 'Mend the roof: queued');
  await one.getByRole('button', { name: 'Go on' }).click();
  await shows(two, 'Chosen', /Mend the roof: (running|completed)/);
  for (const page of pages) {
    await shows(page, 'History', 'Paint the door');
    await shows(page, 'Monitor', '0 queued, 0 running, 2 completed');
  }
  await shows(two, 'Chosen', 'Mend the roof: completed');
  await two.getByRole('button', { name: 'Close' }).click();
  await view(two, 'Chosen').waitFor({ state: 'detached' });
  await one.getByRole('button', { name: 'Push' }).click();
  for (const page of pages) await shows(page, 'Webhook', /refs\/heads\/at-/);
});

scene('a source that dies is seen to be stale until it is back, and without parlor the application is asked', async ({ server, application, open }) => {
  const page = await open();
  await status(page, 'Queue', /excellent|good/);
  assert.equal(await application.end(), 0);
  await status(page, 'Queue', 'stale');
  await page.getByRole('button', { name: 'Request' }).waitFor();
  await request(page, 'Not now');
  await page.getByRole('alert').filter({ hasText: 'does not take it' }).waitFor();
  await application.start();
  await request(page, 'Now');
  await shows(page, 'History', 'Now');
  await status(page, 'Queue', /excellent|good|quiet/);
  await server.kill();
  await status(page, 'Queue', 'reconnecting');
  await request(page, 'Without parlor');
  await shows(page, 'History', 'Without parlor');
  await server.start();
  for (const title of ['Queue', 'History', 'Monitor']) await status(page, title, /excellent|good|quiet/);
  await request(page, 'With it again');
  await shows(page, 'History', 'With it again');
});
