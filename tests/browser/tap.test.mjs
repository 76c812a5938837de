// The page of `parlor tap --web`: what two people say through the tap, byte by byte, filters, a pause, hostile text, a tap that comes
// back, by keyboard, at 360 pixels, in light and dark, without a violation that axe-core finds, and without a request to anybody else.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { PARLOR, Server, comeIn, eventually, freePort, joinRoom, launch, say, texts } from './support.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const LIMIT = { timeout: 60_000 };

/** `parlor tap`, with its page. */
class Tap {
  constructor(port, web, upstream) {
    this.url = `http://127.0.0.1:${port}`;
    this.page = `http://127.0.0.1:${web}/`;
    this.args = ['tap', String(port), upstream, '--web', String(web)];
  }

  static async start(upstream) {
    const tap = new Tap(await freePort(), await freePort(), upstream);
    await tap.start();
    return tap;
  }

  async start() {
    this.child = spawn(PARLOR, this.args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    this.child.stderr.on('data', (bytes) => {
      said += bytes;
    });
    await eventually('the tap listens', () => said.includes('Page: '), 10_000);
  }

  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGINT');
    await ended;
  }
}

let browser, server, tap;

before(async () => {
  server = await Server.start();
  tap = await Tap.start(server.url);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await tap?.end();
  await server?.end();
});

/** The tap's page, whose console is clean at the end, and which asks nobody but the tap. */
async function watching(act, options = {}, of = tap) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/.test(message.text())) complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (new URL(request.url()).hostname !== '127.0.0.1' && !request.url().startsWith('data:')) complaints.push(`asked ${request.url()}`);
  });
  try {
    await page.goto(of.page);
    await page.locator('#state[data-state="live"]').waitFor();
    await act(page);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

const frames = (page, text) => page.locator('#items > li', { hasText: text });

/** A WebSocket through the tap that says what it is told. */
async function speak(act, url = `${tap.url.replace('http', 'ws')}/ws?user=cy`) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  await act(socket);
  socket.close();
  await new Promise((resolve) => socket.once('close', resolve));
}

test('a chat in one window is frames in the other, with their bytes and clauses', LIMIT, async () => {
  const context = await browser.newContext();
  const chat = await context.newPage();
  await watching(async (page) => {
    await comeIn(chat, tap.url, 'ada');
    await joinRoom(chat, 'tea');
    await say(chat, 'Good evening, wire');
    await eventually('the message is in the chat', async () => (await texts(chat)).includes('Good evening, wire'));
    const sent = frames(page, '"chat:send"').first();
    await sent.waitFor();
    assert.match(await sent.innerText(), /→.*Text \d+ bytes.*Good evening, wire/s);
    assert.equal(await sent.getAttribute('data-from'), 'client');
    await frames(page, '"chat:message"').first().waitFor();
    await sent.locator('summary').focus();
    await page.keyboard.press('Enter');
    const rows = await sent.locator('tbody tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    assert.deepEqual(rows[0].slice(1), [rows[0][1], 'FIN=1 RSV=000 opcode=0x1 Text', 'RFC 6455 §5.2']);
    assert.match(rows.at(-2)[2], /masking key/);
    assert.equal(rows.at(-2)[1].split(' ').length, 4);
    assert.match(rows.at(-1)[2], /^payload/);
    const [first, second] = await sent.locator('tbody tr:last-child a').evaluateAll((all) => all.map((one) => one.href));
    assert.deepEqual([first, second], ['https://www.rfc-editor.org/rfc/rfc6455#section-5.3', 'https://www.rfc-editor.org/rfc/rfc6455#section-8.1']);
    await frames(page, 'HTTP/1.1 101 Switching Protocols').first().waitFor();
  });
  await context.close();
});

test('hostile text is text, and hidden tokens are hidden', LIMIT, async () => {
  await watching(async (page) => {
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202e';
    await speak(async (socket) => {
      socket.send(hostile);
      socket.send('{"type":"auth","payload":{"token":"s3cr3t"}}');
      socket.ping(hostile.slice(0, 60));
    });
    const entry = frames(page, 'onerror').first();
    await entry.waitFor();
    await entry.locator('summary').click();
    assert.match(await entry.innerText(), /<script>document\.title=2<\/script>/);
    await frames(page, '(hidden)').first().waitFor();
    assert.equal(await page.title(), 'parlor tap');
    assert.equal(await page.locator('#items img, #items script').count(), 0);
    assert.doesNotMatch(await page.content(), /s3cr3t/);
    const events = await page.evaluate(async () => {
      const reader = (await fetch('events')).body.getReader();
      return new TextDecoder().decode((await reader.read()).value);
    });
    assert.doesNotMatch(events, /s3cr3t|733363723374/);
  });
});

test('filters, a pause and clearing choose what is shown', LIMIT, async () => {
  await watching(async (page) => {
    await page.getByRole('button', { name: 'Clear' }).click();
    assert.equal(await page.locator('#items > li').count(), 0);
    await speak(async (socket) => {
      socket.ping('needle');
      socket.send('hay');
      socket.send(Buffer.from('0102', 'hex'));
    });
    await frames(page, 'Close').first().waitFor();
    const shown = () => page.locator('#items > li:visible').evaluateAll((all) => all.map((one) => `${one.dataset.from ?? ''} ${one.dataset.kind}`));
    await page.getByLabel('With the text').fill('needle');
    await eventually('only the pings', async () => assert.deepEqual((await shown()).filter((one) => !/violation/.test(one)), ['client ping', 'server pong']) ?? true);
    await page.getByLabel('From').selectOption('server');
    await eventually('only the pong', async () => assert.deepEqual((await shown()).filter((one) => !/violation/.test(one)), ['server pong']) ?? true);
    await page.getByLabel('With the text').fill('');
    await page.getByLabel('From').selectOption('');
    await page.getByLabel('Text', { exact: true }).uncheck();
    await eventually('no text', async () => !(await shown()).some((one) => one.endsWith(' text')));
    await page.getByLabel('Connection', { exact: true }).fill('999');
    await eventually('nothing', async () => (await shown()).length === 0);
    await page.getByLabel('Connection', { exact: true }).fill('');
    await page.getByRole('button', { name: 'Pause' }).click();
    const before = await page.locator('#items > li').count();
    await speak((socket) => socket.send('while it is paused'));
    await page.locator('#count', { hasText: /[1-9]\d* wait/ }).waitFor();
    assert.equal(await page.locator('#items > li').count(), before);
    await page.getByRole('button', { name: 'Pause' }).click();
    await eventually('they are there', async () => (await page.locator('#items > li').count()) > before);
  });
});

test('a page that comes late sees what passed, and one whose tap comes back goes on', LIMIT, async () => {
  const own = await Tap.start(server.url);
  const url = `${own.url.replace('http', 'ws')}/ws?user=cy`;
  try {
    await speak((socket) => socket.send('before the page'), url);
    await watching(async (page) => {
      await frames(page, 'before the page').first().waitFor();
      await own.end();
      await page.locator('#state[data-state="lost"]').waitFor();
      await own.start();
      await page.locator('#state[data-state="live"]').waitFor();
      await speak((socket) => socket.send('of the new tap'), url);
      await frames(page, 'of the new tap').first().waitFor();
      assert.equal(await frames(page, 'before the page').count(), 0);
    }, {}, own);
  } finally {
    await own.end();
  }
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 1280]) {
    test(`it is accessible, ${colorScheme}, ${width} pixels wide`, LIMIT, async () => {
      await speak(async (socket) => {
        socket.send(`{"type":"x","payload":"${'long'.repeat(200)}"}`);
        socket.ping('p');
      });
      await watching(async (page) => {
        await page.getByLabel('Unfold new frames').check();
        const text = `unfolded, ${colorScheme} ${width}`;
        await speak((socket) => socket.send(text));
        const last = frames(page, text).first();
        await last.locator('table').waitFor();
        await frames(page, 'longlong').first().locator('summary').click();
        const { scroll, inner } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, inner: innerWidth }));
        assert.ok(scroll <= inner, `${scroll} of ${inner} pixels`);
        await page.evaluate(AXE);
        const { violations } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: { type: 'tag', values } }), RULES);
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join(' | ')}`);
        assert.deepEqual(found, []);
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/tap-${colorScheme}-${width}.png` });
      }, { colorScheme, viewport: { width, height: 800 } });
    });
  }
}
