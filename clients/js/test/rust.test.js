// The client in Rust has the same names, codes and defaults: its source is read, and compared with this one.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ParlorError, verdict } from '../src/errors.js';
import { begin } from './fake.js';

const rust = (name) => readFileSync(new URL(`../../../src/client/core/${name}.rs`, import.meta.url), 'utf8').split('#[cfg(test)]')[0];
const js = (name) => readFileSync(new URL(`../src/${name}.js`, import.meta.url), 'utf8');

/** What an expression of numbers is. */
const value = (text) => text.split('*').reduce((product, factor) => product * Number(factor.replaceAll('_', '')), 1);

/** Named numbers of a source. */
const constants = (source) => new Map([...source.matchAll(/const ([A-Z_]+)(?:: \w+)? = ([\d_. *]+);/g)].map(([, name, text]) => [name, value(text)]));

/** The texts of a function in Rust that says what each variant is called. */
const names = (source, head) => {
  const body = source.split(head)[1].split('\n    }\n')[0];
  return [...body.matchAll(/=> "([^"]+)"/g)].map(([, name]) => name);
};

/** The texts of a union of types. */
const union = (source, name) => [...source.match(new RegExp(`\\{([^{}]*)\\} ${name}\\b`))[1].matchAll(/"([^"]+)"/g)].map(([, text]) => text);

const same = (one, other) => assert.deepEqual([...new Set(one)].sort(), [...new Set(other)].sort());

test('waits, times and bounds of the same name are the same', () => {
  const pairs = { connection: ['link'], requests: ['requests'], outbox: ['outbox'], room: ['room', 'membership'], stream: ['stream'], client: ['membership'] };
  const compared = [];
  for (const [ours, theirs] of Object.entries(pairs)) {
    const there = constants(theirs.map(rust).join('\n'));
    for (const [name, number] of constants(js(ours))) {
      if (!there.has(name)) continue;
      assert.equal(number, there.get(name), `${name} of ${ours}.js`);
      compared.push(name);
    }
  }
  assert.ok(compared.length >= 18, compared.join());
});

test('a close code asks the same of both', () => {
  const arms = rust('state').split('pub const fn verdict')[1].split('\n}')[0];
  const words = { Ends: 'ends', AsksForToken: 'asks for a token', ComesBack: 'comes back' };
  same(names(rust('state'), 'impl Verdict {'), Object.values(words));
  const ranges = [];
  for (const [, codes, name] of arms.matchAll(/^ +([\d |.=]+) => Verdict::(\w+)/gm)) {
    for (const range of codes.split('|')) {
      const [from, to] = range.split('..=').map(Number);
      ranges.push([from, to ?? from, words[name]]);
    }
  }
  assert.ok(ranges.length >= 6);
  const other = words[arms.match(/_ => Verdict::(\w+)/)[1]];
  for (let code = 1_000; code < 5_000; code += 1) {
    const found = ranges.find(([from, to]) => code >= from && code <= to);
    assert.equal(found?.[2] ?? other, verdict(code), String(code));
  }
});

test('states, tickets, memberships, levels and reasons have the same names', () => {
  const states = [...js('connection').split(' }} State')[0].split('/**').at(-1).matchAll(/name: ((?:"\w+"(?: \| )?)+)/g)];
  same(names(rust('state'), 'impl State {'), states.flatMap(([, all]) => all.match(/\w+/g)));
  same(names(rust('state'), 'impl TokenReason {'), union(js('connection'), 'TokenReason'));
  same(names(rust('state'), 'pub const fn as_str(self) -> &\'static str {\n        match self {\n            Level'), union(js('connection'), 'Level'));
  same(names(rust('effect'), 'impl Membership {'), union(js('room'), 'Membership'));
  same(names(rust('outbox'), 'impl TicketStatus {'), union(js('outbox'), 'Status'));
});

test('a round trip is as good', async () => {
  const bounds = [...rust('state').split('BELOW_MS')[1].split(';')[0].matchAll(/Level::(\w+), (\d+)/g)].map(([, name, below]) => [name.toLowerCase(), Number(below)]);
  const ours = js('connection').match(/LEVELS = .*\((\[.*\])\)/)[1];
  assert.deepEqual(JSON.parse(ours.replaceAll("'", '"')), bounds);
});

test('the defaults are the same', () => {
  const backoff = js('base').match(/BACKOFF = .*\(\{(.*)\}\)/)[1];
  const ours = Object.fromEntries(backoff.split(',').map((one) => one.trim().split(': ')));
  const theirs = rust('state').split('impl Default for Backoff')[1].split('\n}')[0];
  const field = (name) => theirs.match(new RegExp(`${name}: ([\\w()]+),`))[1];
  assert.deepEqual(
    [ours.min, ours.max, ours.factor, ours.stable].map(value),
    ['min_ms', 'max_ms', 'factor', 'stable_ms'].map((name) => value(field(name))),
  );
  assert.deepEqual([ours.jitter, field('has_jitter'), ours.attempts, field('attempts')], ["'full'", 'true', 'Infinity', 'None']);
  const options = rust('options').split('impl Default for CoreOptions')[1];
  const option = (name) => value(options.match(new RegExp(` ${name}: ([\\d_]+),`))[1]);
  const { REQUEST_MS, INTERVAL_MS } = Object.fromEntries(constants(js('base')));
  const { ANSWER_MS } = Object.fromEntries(constants(js('connection')));
  assert.deepEqual([option('timeout_ms'), option('ping_interval_ms'), option('ping_timeout_ms')], [REQUEST_MS, INTERVAL_MS, ANSWER_MS]);
});

test('the same refusals pass, and the same codes are a client\'s own', async () => {
  const passing = rust('error').split('PASSING')[1].split('];')[0].match(/"(\w+)"/g).map((text) => text.slice(1, -1));
  const codes = [...passing, 'forbidden', 'not_member', 'closed', 'cancelled', 'expired', 'gone', 'too_large'];
  for (const code of codes) {
    assert.equal(new ParlorError(code).passing, passing.includes(code), code);
    assert.equal(new ParlorError(code, { by: 'application' }).passing, false, code);
  }
  const { client } = begin();
  client.close();
  await assert.rejects(client.request('x:y'), { code: 'closed' });
  assert.ok(rust('error').includes('`closed`'));
});
