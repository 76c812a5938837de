// What README.md says is so: its programs run, its tables are whole, and what stands there as printed is what is printed.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as rest } from 'node:timers/promises';
import { connect } from '../src/index.js';
import { fakeServer } from '../src/testing.js';
import { BINARY, WebSocket, freePort, serve } from './support.js';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const README = read('../README.md');
const PROTOCOL = read('../../../docs/protocol.md');

/** What stands below a heading, up to the next of its depth. */
function section(text, heading) {
  const [depth] = /^#+/.exec(heading);
  const [, below] = text.split(`\n${heading}\n`);
  assert.ok(below, `there is no "${heading}"`);
  return below.split(new RegExp(`^#{1,${depth.length}} `, 'm'))[0];
}

/** Names in the first column of the tables. */
const rows = (text) => [...text.matchAll(/^\| (?!code|---)(.*?) \|/gm)].map(([, cell]) => cell);
const names = (text) => rows(text).flatMap((cell) => [...cell.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name));
const numbers = (text) => rows(text).flatMap((cell) => [...cell.matchAll(/\b\d{4}\b/g)].map(([code]) => code));

test('each close code of the protocol has a row', () => {
  const mine = section(README, '## How a connection ends');
  const theirs = section(PROTOCOL, '## Closing');
  assert.ok(numbers(theirs).length > 15);
  for (const code of numbers(theirs)) assert.ok(numbers(mine).includes(code), code);
  for (const name of names(theirs)) assert.ok(names(mine).includes(name), name);
});

test('each refusal of the protocol, and each of the client itself, has a row', () => {
  const mine = names(section(README, '## What is refused'));
  const theirs = names(section(PROTOCOL, '## Errors'));
  assert.ok(theirs.length > 20);
  const files = readdirSync(new URL('../src/', import.meta.url), { recursive: true }).filter((name) => name.endsWith('.js'));
  const sources = files.map((name) => read(`../src/${name}`)).join('\n');
  const own = [...sources.matchAll(/new ParlorError\('([a-z_]+)'/g)].map(([, code]) => code);
  assert.ok(own.length > 5);
  for (const code of [...theirs, ...own]) assert.ok(mine.includes(code), code);
});

test('each option and each state has a row', () => {
  const of = (type, file) => new RegExp(`@typedef \\{object\\} ${type}\n(.*?)\\*/`, 's').exec(read(file))[1];
  const options = of('BaseOptions', '../src/base.js') + of('ChatOptions', '../src/client.js');
  assert.ok(/token/.test(options) && /outbox/.test(options));
  for (const [, name] of options.matchAll(/@property .*? \[(\w+)\]/g)) assert.ok(rows(section(README, '## Options')).includes(`\`${name}\``), name);
  const states = /@typedef \{\{ name: "idle".*?State \*\//s.exec(read('../src/connection.js').replaceAll('\n */', ' */'))[0];
  const all = [...states.matchAll(/name: ((?:"\w+"(?: \| )?)+)/g)].flatMap(([, some]) => some.match(/\w+/g));
  assert.equal(all.length, 8);
  for (const name of all) assert.ok(names(section(README, '### States')).includes(name), name);
});

const AsyncFunction = (async () => {}).constructor;
/** A program of the README, and what it logs. */
async function run(text, world) {
  const [program] = [...text.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code.replace(/^import .*$/gm, ''));
  const logged = [];
  const known = { ...world, console: { log: (line) => logged.push(line) } };
  return { logged, done: new AsyncFunction(...Object.keys(known), program)(...Object.values(known)) };
}

test('the first program runs as it stands there', async () => {
  const server = fakeServer();
  const { logged, done } = await run(README, { connect: (url) => connect(`http://host${url}`, { env: server.env }) });
  await server.clock.advance(100);
  await done;
  assert.deepEqual(logged, ['ada: hello', "on the server's disk as number 2"]);
});

test('what stands there in the place of polling updates as often as there is something new', async () => {
  const server = fakeServer();
  const client = connect('ws://host/ws?user=ada', { env: server.env });
  let loads = 0;
  const shown = [];
  const [, query, stream] = section(README, '## Coming from polling').split(/(?<=^```$)/m);
  const world = { client, load: () => (loads += 1), show: (data) => shown.push(data) };
  await run(query, world);
  server.publish('queue', { waiting: 1 });
  await run(stream, world);
  await server.clock.advance(100);
  assert.equal(loads, 2, 'it is asked at once, and when it comes online');
  server.push('queue.changed', {});
  server.publish('queue', { waiting: 2 });
  await server.clock.advance(100);
  assert.equal(loads, 3);
  assert.deepEqual(shown, [{ waiting: 1 }, { waiting: 2 }]);
  server.cut();
  await server.clock.advance(2_000);
  assert.equal(loads, 4, 'and when it is back');
  client.close();
});

test('what stands there as printed by why() is what is printed', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'parlor-readme-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const secret = join(directory, 'secret');
  writeFileSync(secret, 'a secret of more than thirty-two bytes, for a test only\n', { mode: 0o600 });
  const token = (...how) => execFileSync(BINARY, ['token', '--secret-file', secret, ...how], { encoding: 'utf8' }).trim();
  const open = await serve();
  const keyed = await serve('--secret-file', secret, '--set', 'auth.timeout_ms=200', '--set', 'auth.leeway_ms=0');
  const busy = await serve('--set', 'limits.limited_requests=3', '--set', 'limits.burst=2', '--set', 'limits.connections_per_user=1');
  const silence = `http://127.0.0.1:${await freePort()}`;
  const silent = createServer((socket) => t.after(() => socket.destroy())).listen(new URL(silence).port, '127.0.0.1');
  t.after(() => (silent.close(), [open, keyed, busy].forEach((server) => server.end())));

  const wrong = section(README, '## When something is wrong');
  const quick = (fn, ms) => setTimeout(fn, ms === 15_000 ? 300 : ms);
  const begin = (url, options = {}) => {
    const client = connect(url, { backoff: { min: 50, max: 100 }, ...options, env: { WebSocket, ...options.env } });
    t.after(() => client.close());
    return client;
  };
  /** The state, cause and code of some step, which are in a row there. */
  const told = async (client, state, cause, code, where = '') => {
    for (let waited = 0; !client.why().some((step) => step.state === state && step.cause.startsWith(cause)); waited += 1) {
      assert.ok(waited < 300, `${state}, ${cause}: ${JSON.stringify(client.why())}`);
      await rest(20);
    }
    const steps = client.why();
    const at = steps.findIndex((step) => step.state === state && step.cause.startsWith(cause));
    assert.equal(steps[at].code, code);
    if (where) assert.equal(steps[at - 1].state, where);
    const row = wrong.split('\n').find((line) => line.includes(`\`${state}\``) && line.includes(`\`${cause}`));
    assert.ok(row, `there is no row of ${state}, ${cause}`);
    if (state === 'failed') assert.match(row, new RegExp(String(code)));
  };

  await told(begin(`http://127.0.0.1:${await freePort()}/ws?user=ada`), 'waiting', 'close 1006', 1006, 'connecting');
  await told(begin(`${open.url}/ws`), 'waiting', 'close 1006', 1006, 'connecting');
  await told(begin(`${silence}/ws`, { env: { setTimeout: quick } }), 'waiting', 'no answer in time', 1006, 'connecting');
  await told(begin(`${open.url}/ws?user=ada`, { token: 'any' }), 'waiting', 'ParlorError: a resume must be announced', 1006);
  await told(begin(`${keyed.url}/ws?token=${token('--user', 'ada')}`, { token: 'any' }), 'waiting', 'ParlorError: a resume must be announced', 1006);
  await told(begin(`${keyed.url}/ws`, { token: () => null }), 'failed', 'auth_timeout: no token arrived in time', 4002, 'authenticating');
  await told(begin(`${keyed.url}/ws`, { token: 'any' }), 'failed', 'unauthorized: the token is not valid here', 4001);
  const unlucky = async () => { throw new Error('503 from /token'); };
  await told(begin(`${keyed.url}/ws`, { token: unlucky }), 'waiting', 'no token: 503 from /token', undefined);
  await told(begin('/ws'), 'failed', 'TypeError: Invalid URL', 'url');
  await told(begin(`${open.url}/ws`, { env: { WebSocket: undefined } }), 'failed', 'TypeError: Socket is not a constructor', 'url');
  await told(begin(`${keyed.url}/ws`, { token: token('--user', 'ada', '--ttl', '1s') }), 'failed', 'token_expired: the token has expired', 4200, 'online');

  const admin = begin(`${keyed.url}/ws`, { token: token('--user', 'root', '--admin') });
  const cat = begin(`${keyed.url}/ws`, { token: token('--user', 'cat') });
  const dog = begin(`${keyed.url}/ws`, { token: () => token('--user', 'dog') });
  await Promise.all([admin.ready(), cat.ready(), dog.ready()]);
  await admin.request('admin:disconnect', { user: 'cat' });
  await told(cat, 'failed', 'kicked: an admin has ended this connection', 4003);
  await admin.request('auth:revoke', { user: 'dog' });
  await told(dog, 'waiting', 'token_revoked: the token was revoked', 4201);
  const kept = token('--user', 'fox');
  const fox = begin(`${keyed.url}/ws`, { token: () => kept });
  await fox.ready();
  await admin.request('auth:revoke', { user: 'fox' });
  await told(fox, 'failed', 'unauthorized: the token was revoked', 4001);

  let socket;
  class Raw extends WebSocket {
    constructor(url) {
      super(url);
      socket = this;
    }
  }
  const large = begin(`${open.url}/ws?user=eve`, { env: { WebSocket: Raw } });
  await large.ready();
  socket.send('x'.repeat(70_000));
  await told(large, 'failed', 'close 1009', 1009);
  const flood = begin(`${busy.url}/ws?user=eve`, { env: { WebSocket: Raw } });
  await flood.ready();
  await told(begin(`${busy.url}/ws?user=eve`), 'failed', 'too_many: you have too many connections', 4004);
  for (let sent = 0; sent < 20; sent += 1) socket.send('{"type":"ping","id":"flood"}');
  await told(flood, 'waiting', 'rate: you kept sending while limited', 4103);

  const refused = begin(`${open.url}/ws?user=fay`);
  const owner = begin(`${open.url}/ws?user=gil`);
  await owner.request('room:create', { room: 'closed' });
  const [room, stream] = [refused.room('closed', { join: true }), refused.stream('none')];
  stream.on(() => {});
  for (let waited = 0; !(room.refusal && stream.refusal) && waited < 300; waited += 1) await rest(20);
  for (const { message } of [room.refusal, stream.refusal]) assert.ok(wrong.includes(`\`${message}\``), message);
  open.end('SIGTERM');
  await told(owner, 'waiting', 'close 1012', 1012);
});
