// How long it takes from `connect()` to the first message that can be shown, against the real server on loopback.
// Run: cargo build --release && node clients/js/test/measure.mjs [RUNS]

import { connect } from '../src/index.js';
import { WebSocket, serve } from './support.js';

const RUNS = Number(process.argv[2] ?? 1_000);
const WARM_UP = 50;
const MESSAGES = 200;

const { url } = await serve('--set', 'limits.requests_per_second=100000', '--set', 'limits.burst=100000');

const open = () => connect(`${url}/ws?user=ada`, { quality: { interval: 0 }, env: { WebSocket } });

const author = open();
const tea = author.room('tea', { join: true });
for (let sent = 0; sent < MESSAGES; sent += 1) await tea.send(`message ${sent}`);

/** All that a page does that shows a room: each from `connect()` on, in ms. */
async function run() {
  const begun = performance.now();
  const since = (value) => [performance.now() - begun, value][0];
  const client = open();
  const room = client.room('tea', { join: true });
  const ends = new AbortController();
  const entry = new Promise((resolve) => room.on('message', () => resolve(), { from: { seq: 0 }, signal: ends.signal }));
  const [online, page, first] = await Promise.all([client.ready().then(since), room.history({ limit: 50 }).then(since), entry.then(since)]);
  ends.abort();
  client.close();
  return { online, 'a page of 50 entries': page, 'the first of 200 messages, from: { seq: 0 }': first };
}

for (let count = 0; count < WARM_UP; count += 1) await run();
const runs = [];
while (runs.length < RUNS) runs.push(await run());

const at = (values, share) => values[Math.min(values.length - 1, Math.floor(values.length * share))].toFixed(1);
console.log(`ms from connect(), ${RUNS} runs, Node.js ${process.version}`);
console.log('| until | median | p99 |\n| --- | --- | --- |');
for (const name of Object.keys(runs[0])) {
  const values = runs.map((one) => one[name]).sort((a, b) => a - b);
  console.log(`| ${name} | ${at(values, 0.5)} | ${at(values, 0.99)} |`);
}
process.exit(0);
