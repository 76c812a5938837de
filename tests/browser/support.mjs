// What the browser tests and the screenshots share: finding Chromium, starting a server and ending it, signing in.
// Every process that is started here is ended here, by its own handle.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { freePort } from '../free-port.mjs';

export { freePort };

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The server's binary: `PARLOR_BIN`, or what `cargo build --release` makes. */
export const PARLOR = process.env.PARLOR_BIN ?? join(ROOT, 'target/release/parlor');
/** What the server gets of the environment: its variables are the server's configuration. */
const ENVIRONMENT = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLOR_')));

function chromiumPath() {
  const named = [process.env.CHROMIUM, '/usr/bin/chromium'].find((path) => path && existsSync(path));
  if (named) return named;
  try {
    return execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();
  } catch {
    throw new Error('No Chromium was found: apt-get install chromium, or name one in CHROMIUM.');
  }
}

export function launch() {
  return chromium.launch({
    executablePath: chromiumPath(),
    headless: true,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/** With `WEB`, a directory, a page's files come from there: what was changed is tried without a build. */
export async function fromDisk(context) {
  const { WEB } = process.env;
  if (!WEB) return;
  const fileOf = (url) => join(WEB, url.pathname.replace(/^\/dashboard\/?$/, '/dashboard/index.html'));
  // The chat page itself is the server's: the browser lets no other page open a WebSocket to this computer.
  const has = (url) => url.pathname !== '/' && statSync(fileOf(url), { throwIfNoEntry: false })?.isFile() === true;
  await context.route(has, async (route) => {
    const { 'content-security-policy': policy = '' } = (await route.fetch()).headers();
    await route.fulfill({ path: fileOf(new URL(route.request().url())), headers: { 'content-security-policy': policy } });
  });
}

export function temporaryDirectory() {
  return mkdtempSync(join(tmpdir(), 'parlor-browser-'));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks again until it is true, or fails with a sentence that says what never came. */
export async function eventually(what, condition, ms = 30_000) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    try {
      last = await condition();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await sleep(50);
  }
  throw new Error(`${what}: not within ${ms} ms (last: ${last instanceof Error ? last.message : JSON.stringify(last)})`);
}

/** A server process on a fixed port and directory, which can be killed and started again. */
export class Server {
  #child = null;
  #said = '';

  constructor(port, data, extra = [], env = {}) {
    this.port = port;
    this.data = data;
    this.extra = extra;
    this.env = { ...ENVIRONMENT, ...env };
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(...extra) {
    const server = new Server(await freePort(), temporaryDirectory(), extra);
    await server.start();
    return server;
  }

  /** The program, what it is given, and how it is made if it is missing. */
  command() {
    const data = this.extra.includes('--data') ? [] : ['--data', this.data];
    const args = ['serve', '--listen', `127.0.0.1:${this.port}`, ...data, ...this.extra];
    return [PARLOR, args, 'cargo build --release, or name one in PARLOR_BIN'];
  }

  async start() {
    const [program, args, how] = this.command();
    if (!existsSync(program)) throw new Error(`No server at ${program}: ${how}.`);
    this.#child = spawn(program, args, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (bytes) => {
        this.#said = (this.#said + bytes).slice(-4000);
      });
    }
    await eventually('the server answers /healthz', async () => {
      if (this.#child.exitCode !== null) throw new Error(`the server ended with ${this.#child.exitCode}: ${this.#said}`);
      return (await fetch(`${this.url}/healthz`, { signal: AbortSignal.timeout(1000) })).ok;
    }, 10_000);
  }

  /** Ends the process as a power failure would. */
  kill() {
    return this.#signal('SIGKILL');
  }

  /** Has it end in order, as for a restart. */
  stop() {
    return this.#signal('SIGTERM');
  }

  async #signal(name) {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(name);
    await ended;
  }

  /** Ends it as whoever restarts a service does, and starts it anew. */
  async restart() {
    await this.stop();
    await this.start();
  }

  async end() {
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }
}

/** An example that embeds the server: it takes an address, and what is in `extra`. */
export class Example extends Server {
  static async run(name, ...extra) {
    const example = new Example(await freePort(), temporaryDirectory(), extra);
    example.program = process.env[`PARLOR_${name.toUpperCase()}`] ?? join(ROOT, 'target/release/examples', name);
    example.how = `cargo build --release --example ${name}`;
    await example.start();
    return example;
  }

  command() {
    return [this.program, [`127.0.0.1:${this.port}`, join(this.data, 'data'), ...this.extra], this.how];
  }
}

/** Picks a name at the door and waits until the page is live. */
export async function comeIn(page, url, name) {
  await page.goto(url);
  await atDoor(page, name);
}

/** Picks a name at the door that is there, or comes by itself, as after a sign-out. */
export async function atDoor(page, name) {
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Come in' }).click();
  await live(page);
}

/** Looks at a page's sockets: says whether a request of a type was answered since it last said so, and none is under way. */
export function answers(page) {
  const asked = new Map();
  const answered = new Set();
  page.on('websocket', (socket) => {
    const own = new Map();
    socket.on('framesent', ({ payload }) => {
      const { id, type } = JSON.parse(payload);
      if (id === undefined) return;
      own.set(id, type);
      asked.set(type, (asked.get(type) ?? 0) + 1);
    });
    const ended = (id) => {
      const type = own.get(id);
      if (!own.delete(id)) return null;
      asked.set(type, asked.get(type) - 1);
      return type;
    };
    socket.on('framereceived', ({ payload }) => answered.add(ended(JSON.parse(payload).id)));
    socket.on('close', () => [...own.keys()].forEach(ended));
  });
  return (type) => !asked.get(type) && answered.delete(type);
}

export function live(page, ms = 30_000) {
  return page.locator('#state[data-state="online"]').waitFor({ timeout: ms });
}

export async function joinRoom(page, room) {
  await page.getByRole('button', { name: 'Open or join a room' }).click();
  await page.getByLabel('Its name').fill(room);
  await page.locator('#room-dialog').getByRole('button', { name: 'Join' }).click();
  await inRoom(page, room);
}

export function inRoom(page, room) {
  return page.locator('#room-title', { hasText: new RegExp(`^${room}$`) }).waitFor();
}

export async function say(page, text) {
  await page.locator('#message').fill(text);
  await page.locator('#message').press('Enter');
}

/** The texts of the messages that are shown, from top to bottom. */
export function texts(page) {
  return page.locator('#log-rows .msg .text').allTextContents();
}

/** The texts of all messages that the page has, from top to bottom: it is scrolled through, as only those near are in it. */
export async function allTexts(page) {
  const found = await page.locator('#log').evaluate(async (log) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const seen = new Map();
    for (let top = 0; ; top += log.clientHeight * 0.8) {
      log.scrollTo(0, top);
      await frame();
      for (const row of log.querySelectorAll('.msg')) seen.set(Number(row.getAttribute('aria-posinset')), row.querySelector('.text').textContent);
      if (log.scrollTop < top - 1) return [...seen];
    }
  });
  return found.sort(([one], [other]) => one - other).map(([, text]) => text);
}

/** Another program: somebody on a socket of their own, who can ask for what the page has no buttons for. */
export class Program {
  #waiting = new Map();
  #lastId = 0;

  /** As a user, or, where there are keys, by a token. */
  static async connect(url, user, token) {
    const program = new Program();
    program.socket = new WebSocket(`${url.replace('http', 'ws')}/ws?${token ? `token=${token}` : `user=${user}`}`);
    await new Promise((resolve, reject) => {
      program.socket.on('error', reject);
      program.socket.on('message', (data) => {
        const { type, id, payload } = JSON.parse(data);
        if (type === 'hello') resolve();
        else program.#settle(type, id, payload);
      });
    });
    return program;
  }

  #settle(type, id, payload) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (type === 'reply') waiting?.resolve(payload);
    else waiting?.reject(new Error(`${payload.code}: ${payload.message}`));
  }

  ask(type, payload = {}) {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ type, id, payload }));
    });
  }

  end() {
    this.socket.terminate();
  }
}
