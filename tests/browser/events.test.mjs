// A browser's own EventSource against the real server: it comes back by itself, and misses nothing.

import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { scene } from './scene.mjs';
import { eventually } from './support.mjs';

/** A client that writes: joins a room and says things, each acknowledged. */
class Writer {
  #socket;
  #next = 1;
  #waiting = new Map();

  static async connect(server, user) {
    const writer = new Writer();
    writer.#socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws?user=${user}`);
    writer.#socket.on('error', () => {});
    writer.#socket.on('message', (data) => {
      const message = JSON.parse(data);
      writer.#waiting.get(message.id)?.(message);
    });
    await new Promise((resolve, reject) => {
      writer.#socket.once('open', resolve);
      writer.#socket.once('close', reject);
    });
    return writer;
  }

  async ask(type, payload) {
    const id = this.#next++;
    const answered = new Promise((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ type, id, payload }));
    const answer = await answered;
    assert.equal(answer.type, 'reply', JSON.stringify(answer));
    return answer.payload;
  }

  end() {
    this.#socket.terminate();
  }
}

const args = ['--set', 'limits.requests_per_second=1000', '--set', 'limits.burst=1000'];

scene('an EventSource comes back after the server was killed, without a hole', { args, goesDown: true }, async ({ server, open }) => {
  const page = await open();
  await page.goto(server.url);
  let writer = await Writer.connect(server, 'bob');
  await writer.ask('room:join', { room: 'tea' });
  const ada = await Writer.connect(server, 'ada');
  await ada.ask('room:join', { room: 'tea' });
  ada.end();
  await page.evaluate(() => {
    window.seen = [];
    window.names = [];
    const source = new EventSource('/api/v1/events?user=ada');
    for (const name of ['connected', 'resumed', 'chat:message']) {
      source.addEventListener(name, ({ data }) => {
        const { type, payload } = JSON.parse(data);
        window.names.push(type);
        if (type === 'chat:message') window.seen.push(payload.seq);
      });
    }
  });
  const names = () => page.evaluate(() => window.names);
  const seen = () => page.evaluate(() => [...new Set(window.seen)]);
  await eventually('it is connected', async () => (await names())[0] === 'connected');
  for (let n = 0; n < 20; n++) await writer.ask('chat:send', { room: 'tea', text: `${n}` });
  await eventually('the first twenty came', async () => (await seen()).length === 20);
  writer.end();
  await server.kill();
  await server.start();
  // What is said before it is back comes after it is.
  writer = await Writer.connect(server, 'bob');
  for (let n = 20; n < 60; n++) await writer.ask('chat:send', { room: 'tea', text: `${n}` });
  await eventually('it has come back', async () => (await names()).includes('resumed'), 30_000);
  await writer.ask('chat:send', { room: 'tea', text: 'live again' });
  await eventually('all of it came', async () => (await seen()).length === 61);
  const expected = Array.from({ length: 61 }, (_, n) => n + 3);
  assert.deepEqual(await seen(), expected, 'in order, and without a hole');
  writer.end();
});
