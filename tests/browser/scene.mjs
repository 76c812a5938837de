// A scene of a browser test: a server of its own, windows that watch for errors, and an end to all of it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, allTexts, eventually, launch, texts } from './support.mjs';

export const LIMIT = { timeout: 180_000 };
// What Chromium itself writes to the console while there is no server.
const WHILE_DOWN = /WebSocket connection to .* failed|net::ERR_|Failed to load resource/;

let browser;
before(async () => {
  browser = await launch();
}, { timeout: 30_000 });
after(() => browser?.close());

/** A window of somebody who has never been here. */
export const newContext = () => browser.newContext();

/** Starts a server, hands out windows that watch for errors, and ends all of it. */
export function scene(name, options, run) {
  test(name, LIMIT, async () => {
    const server = await Server.start(...(options.args ?? []));
    const contexts = [];
    const complaints = [];
    const open = async (context) => {
      const own = context ?? (await browser.newContext());
      if (!context) contexts.push(own);
      const page = await own.newPage();
      page.on('console', (message) => {
        if (message.type() !== 'error') return;
        if (options.goesDown && WHILE_DOWN.test(message.text())) return;
        complaints.push(`console: ${message.text()}`);
      });
      page.on('pageerror', (error) => complaints.push(`error: ${error.stack}`));
      page.on('dialog', (dialog) => {
        complaints.push(`dialog: ${dialog.message()}`);
        dialog.dismiss();
      });
      return page;
    };
    try {
      await run({ server, open });
      assert.deepEqual(complaints, [], 'the console stays clean');
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
      await server.end();
    }
  });
}

/** Waits until exactly these messages are shown, in this order; few and short ones, all of which are in the page. */
export function shows(page, expected) {
  return has(page, expected, texts);
}

/** Waits until the page has exactly these messages, however long it takes to scroll through them. */
export function holds(page, expected) {
  return has(page, expected, allTexts);
}

async function has(page, expected, read) {
  await eventually(`the messages are ${JSON.stringify(expected)}`, async () => {
    const seen = await read(page);
    if (JSON.stringify(seen) !== JSON.stringify(expected)) throw new Error(JSON.stringify(seen));
    return true;
  });
}

/** Waits until the server has confirmed whatever was sent. */
export function acknowledged(page) {
  return eventually('everything is acknowledged', async () => (await page.locator('.msg:is(.queued, .sent)').count()) === 0);
}
