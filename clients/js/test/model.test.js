// Whatever is cut, killed, frozen or closed: what each client has seen is the log of the real server, of a room and of
// streams, and what a room shows is what the server says of its messages. More of it:
// PARLOR_SEEDS=100 node --test clients/js/test/model.test.js

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as rest } from 'node:timers/promises';
import { connect } from '../src/index.js';
import { leaderTab } from '../src/leader.js';
import { Transcript } from '../src/transcript.js';
import { behindFirewall, browser, chance, cuttable, log, serve, until } from './support.js';

const SEEDS = Number(process.env.PARLOR_SEEDS ?? 9);
const FIRST = Number(process.env.PARLOR_FIRST_SEED ?? 1);
const STEPS = 300;
const STREAMS = 'streams={ "log:{seed}" = { keep = 1000, durable = true, publish = true }, "state:{seed}" = { durable = true, publish = true } }';
const LIMITS = ['requests_per_second=5000', 'burst=5000', 'connections_per_address_minute=0'].flatMap((limit) => ['--set', `limits.${limit}`]);

let server;
const data = mkdtempSync(join(tmpdir(), 'parlor-model-'));
before(async () => {
  server = await serve('--data', data, '--set', STREAMS, ...LIMITS);
});
after(() => {
  server.end();
  rmSync(data, { recursive: true });
});

/** Ways to be connected: each opens a client for a user, with what can happen to it. */
const KINDS = {
  'a connection each': () => (user) => {
    const client = cuttable(server.url, user);
    return { client, cut: client.cut };
  },
  'by events and calls': () => (user) => {
    const client = behindFirewall(server.url, user);
    return { client, cut: client.cut };
  },
  'tabs with one connection': () => {
    const { tab: openTab } = browser();
    return (user) => {
      const tab = openTab();
      const env = tab.env;
      const client = connect(`${server.url}/ws?user=${user}`, { tabs: leaderTab(), backoff: { min: 5, max: 50 }, env });
      return { client, tab, cut: () => client.retryNow() };
    };
  },
};

/** Somebody in a room, and all that they are told. */
function person(open, user, name) {
  const { client, tab, cut } = open(user);
  const room = client.room(name, { join: true });
  const [events, states] = [client.stream(`log:${name}`), client.stream(`state:${name}`)];
  const told = { live: [], whole: [], events: [], gaps: [], states: [] };
  const one = { user, client, tab, cut, room, events, states, told, tickets: [], isFrozen: false, transcript: new Transcript(client, name) };
  room.on('entry', ({ seq }) => told.live.push(seq));
  room.on('entry', ({ seq }) => told.whole.push(seq), { from: { seq: 0 } });
  room.on('gap', (gap) => told.gaps.push(gap));
  events.on((_, { seq }) => told.events.push(seq));
  events.on('gap', (gap) => told.gaps.push(gap));
  states.on((value, { seq }) => told.states.push([seq, value]));
  return one;
}

/** What a history and a transcript say of a message; of one that is deleted nothing but that. */
const said = ({ seq, text, edited = 0, deleted = false, reactions = {} }) =>
  [seq, text, deleted ? 'deleted' : edited, ...Object.entries(reactions).map(([emoji, users]) => `${emoji} ${[...users].sort()}`).sort()].join('|');

const from = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
  const kind = Object.keys(KINDS)[seed % 3];
  test(`what is seen is the log: ${kind} (seed ${seed})`, { timeout: 120_000 }, async (t) => {
    const below = chance(seed);
    const name = `model-${seed}`;
    const open = KINDS[kind]();
    const users = [`ada-${seed}`, kind.startsWith('tabs') ? `ada-${seed}` : `bob-${seed}`, `eve-${seed}`];
    const people = users.map((user) => person(open, user, name));
    const gone = [];
    const reader = cuttable(server.url, users[0]);
    t.after(() => {
      for (const { client, transcript } of [...people, ...gone]) {
        transcript.close();
        client.close();
      }
      reader.close();
    });
    await until(() => people.every(({ room }) => room.membership === 'member'), 'membership');
    const react = (room) => room.react(1 + below(room.last || 1), ['👍', '🎉'][below(2)], below(3) > 0);
    // What may be refused, or lost.
    const tried = [];
    const attempt = (promise) => tried.push(promise.catch(() => {}));
    const mine = ({ tickets }) => tickets.filter(({ status }) => status === 'acked')[below(tickets.length || 1)]?.seq;

    for (let step = 0; step < STEPS; step += 1) {
      const place = below(people.length);
      const one = people[place];
      if (one.isFrozen) {
        if (below(4) > 0) continue;
        one.isFrozen = false;
        one.tab.thaw();
        continue;
      }
      const what = below(40);
      if (what === 0) one.cut();
      else if (what === 1) one.client.pause();
      else if (what <= 3) one.client.retryNow();
      else if (what === 4 && below(8) === 0) await server.restart();
      else if (what <= 8) await rest(below(20));
      else if (what <= 12) attempt(react(one.room));
      else if (what === 13 && mine(one)) attempt(one.room.edit(mine(one), `edited in step ${step}`));
      else if (what === 14 && mine(one)) attempt(one.room.delete(mine(one)));
      else if (what === 17) attempt(one.events.publish(step));
      else if (what === 18) attempt(one.states.publish(step));
      else if (what === 15 && one.tab && below(3) === 0) {
        one.isFrozen = true;
        one.tab.freeze();
      } else if (what === 16 && one.tab && below(2) === 0) {
        one.tab.crash();
        gone.push(one);
        people[place] = person(open, one.user, name);
      } else one.tickets.push(one.room.send(`${place} ${gone.length} ${one.tickets.length}`));
    }

    for (const one of people) {
      if (one.isFrozen) one.tab.thaw();
      one.client.retryNow();
    }
    // All that anybody has sent is stored, but for what a tab took along.
    for (const { tickets } of people) await Promise.all(tickets);
    await Promise.race([Promise.all(tried), rest(2_000)]);
    await reader.ready();
    const all = await log(reader.room(name));
    const head = all.at(-1).seq;
    await until(() => people.every(({ room, told }) => room.last >= head && told.whole.at(-1) >= head), 'the last entry');
    const newest = async (stream) => (await reader.request('stream:get', { stream: `${stream}:${name}` })).seq;
    const [lastEvent, lastState] = [await newest('log'), await newest('state')];
    const isAt = (seq, last) => seq === last || (last === 0 && seq === undefined);
    await until(() => people.every(({ told }) => isAt(told.events.at(-1), lastEvent) && isAt(told.states.at(-1)?.[0], lastState)), 'the last event');
    assert.equal(new Set(people.map(({ told }) => JSON.stringify(told.states.at(-1)))).size, 1, 'all see the same state');

    const seqs = [...people, ...gone].flatMap(({ tickets }) => tickets.filter(({ status }) => status === 'acked').map(({ seq }) => seq));
    assert.equal(new Set(seqs).size, seqs.length, 'one entry for each');
    const texts = all.filter(({ type, edited, deleted }) => type === 'message' && !edited && !deleted).map(({ text }) => text);
    assert.equal(new Set(texts).size, texts.length, 'no entry twice');
    for (const { tickets, told, transcript, room } of [...people, ...gone]) {
      const { live, whole, events, gaps, states } = told;
      assert.deepEqual(gaps, []);
      assert.deepEqual(events, from(1, events.length), 'events of a log, once and in order');
      assert.deepEqual(states.map(([seq]) => seq), [...new Set(states.map(([seq]) => seq))].sort((a, b) => a - b), 'states, never an older one');
      const acked = tickets.filter(({ status }) => status === 'acked');
      assert.deepEqual(acked.map(({ seq }) => seq), acked.map(({ seq }) => seq).sort((a, b) => a - b), 'one writer, in the order of its sends');
      for (const { seq, text } of acked) {
        const { text: stored, edited, deleted } = all.find((entry) => entry.seq === seq) ?? assert.fail(`${text} is acknowledged, and not there`);
        if (!edited && !deleted) assert.equal(stored, text);
      }
      if (live.length > 0) assert.deepEqual(live, from(live[0], live.at(-1)), 'once, in order, no hole');
      assert.deepEqual(whole, from(1, whole.length), 'from the beginning, the same');
      if (!people.some((one) => one.room === room)) continue;
      while (transcript.snapshot().hasOlder) await transcript.loadOlder();
      const expected = all.filter(({ type }) => type === 'message').map(said);
      await until(() => transcript.snapshot().messages.length === expected.length, 'all messages').catch(() => {});
      assert.deepEqual(transcript.snapshot().messages.map(said), expected, 'what is shown is what the server says');
    }
  });
}
