// What others write, and what they are called, must not stop the page, whatever it is: as long as the server lets it be,
// of characters that cost a browser most. What is measured is the time that the page's thread works for each step, in
// which a busy machine has no say.

import assert from 'node:assert/strict';
import { scene } from './scene.mjs';
import { Program, comeIn } from './support.mjs';

const BYTES = 16_384;
const COPIES = 8;
const FRAME_MS_MAX = 100;
const FAST = ['requests_per_second=100000', 'burst=100000', 'user_work_per_second=100000', 'user_work_burst=100000', 'connections_per_address=1000']
  .flatMap((limit) => ['--set', `limits.${limit}`]);

/** So often that it is as long as a message may be. */
const full = (part, bytes = BYTES) => part.repeat(Math.floor(bytes / Buffer.byteLength(part)));
const MARKS = Array.from({ length: 16 }, (_, at) => String.fromCodePoint(0x300 + 5 * at)).join('');
const after = (base, part) => base + full(part, BYTES - Buffer.byteLength(base));
const TEXTS = {
  plain: full('The quick brown fox jumps over the lazy dog, and on it goes. '),
  'combining marks': after('a', '\u0301'),
  'marks of two kinds': after('a', '\u0301\u0316'),
  'Hebrew points': after('א', '\u05b0\u05b1'),
  zalgo: full(`z${MARKS}a${MARKS}l${MARKS}g${MARKS}o${MARKS}`),
  'bidi controls': full('\u2067', BYTES / 2 - 2) + full('\u2069', BYTES / 2 - 2),
  'right to left and left to right': full('שaمb1'),
  'no spaces': full('abcdefghij'),
  'letters that join, without spaces': full('ߒ'),
  'families, and one without an end': full('👨‍👩‍👧‍👦', BYTES / 2) + full('👩\u200d', BYTES / 2),
  'empty lines': after('a', '\n').slice(0, -1) + 'b',
  'an address of brackets': after('http://', '('),
  'addresses of brackets': full('http://(((( '),
  'short addresses': full('http://x:1 '),
  'mentions, brackets and markdown': full('@a', 5_000) + full('(', 2_500) + full(')', 2_500) + full('**_`a`_** ', 5_000),
  'an address of marks': after('http://x/', '\u0301'),
  'Thai and Burmese': full('ภาษาไทยไม่มีช่องว่าง', BYTES / 2) + full('မြန်မာဘာသာစကား', BYTES / 2),
  'variation selectors': after('☺', '\ufe0f'),
  tabs: after('a', '\t').slice(0, -1) + 'b',
  'characters that are not seen': after('a', '\u200d\u200c').slice(0, -1) + 'b',
};

/** Has the page take a step, and says for how many ms its thread has worked. */
async function stopwatch(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const worked = async () => (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
  return async (act) => {
    const before = await worked();
    await act();
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    return (await worked()) - before;
  };
}

/** What all of some fifteen steps stay below but one: a browser's first look at a font is none of the page's doing. */
const late = (steps) => steps.toSorted((one, other) => one - other).at(-2);

/** Chromium itself takes so many ms for a fixed piece of work on the machine for which `FRAME_MS_MAX` is: a slower one has more time. */
const USUAL_MS = 85;
const PIECE_OF_WORK = full('\u05e9a\u0645b1', 4_096);

/** Has the page's thread do what has nothing to do with the page, and says for how many ms it worked. */
const pieceOfWork = (page, step) => step(() => page.evaluate((text) => {
  for (let px = 10; px < 14; px++) {
    const bare = document.createElement('div');
    bare.style.cssText = `all: initial; display: block; position: fixed; top: 0; width: 600px; font: ${px}px sans-serif; overflow-wrap: anywhere; visibility: hidden`;
    bare.textContent = text;
    document.body.append(bare);
    bare.getBoundingClientRect();
    bare.remove();
  }
}, PIECE_OF_WORK));

/** No step takes longer than a person notices, or three times as long as those of plain text. */
function judge(all, pieces) {
  const slowness = Math.max(1, pieces.toSorted((one, other) => one - other)[Math.floor(pieces.length / 2)] / USUAL_MS);
  const bound = Math.max(FRAME_MS_MAX * slowness, 3 * late(all.plain));
  const told = Object.entries(all).map(([what, took]) => [late(took) >= bound, `${what}: ${took.map(Math.round)}`]);
  if (process.env.PARLOR_TELL) console.log([...told.map(([, figures]) => figures), `pieces of work: ${pieces.map(Math.round)}`].join('\n'));
  assert.deepEqual(told.filter(([isSlow]) => isSlow).map(([, figures]) => figures), [], `steps of at least ${bound} ms`);
}

/** Up through what is loaded, and down again, as one turns a wheel. */
async function scrolled(page, step, times = 2) {
  const took = [];
  for (const by of [...Array(times).fill(-400), ...Array(times).fill(400)]) {
    took.push(await step(() => page.locator('#log').evaluate((log, px) => log.scrollBy(0, px), by)));
  }
  return took;
}

scene('no text stops the page: when it comes, is edited, answered, quoted, gone through or shown in full', { args: FAST }, async ({ server, open }) => {
  const [bob, other] = [await Program.connect(server.url, 'bob'), await Program.connect(server.url, 'ada')];
  const rooms = Object.keys(TEXTS).map((_, at) => `room-${at}`);
  for (const [at, text] of Object.values(TEXTS).entries()) {
    for (const who of [bob, other]) await who.ask('room:join', { room: rooms[at] });
    await Promise.all(Array.from({ length: COPIES }, () => bob.ask('chat:send', { room: rooms[at], text })));
  }
  const page = await open();
  await comeIn(page, server.url, 'ada');
  const step = await stopwatch(page);
  const all = {};
  const pieces = [];
  for (const [at, [what, text]] of Object.entries(TEXTS).entries()) {
    const room = rooms[at];
    const took = [];
    const last = (seq) => page.locator(`.msg[data-seq="${seq}"]`).waitFor();
    const { entries } = await bob.ask('chat:history', { room, limit: 1 });
    const { seq } = entries.at(-1).payload;
    took.push(await step(async () => {
      await page.evaluate((name) => [...document.querySelectorAll('.place-name')].find(({ textContent }) => textContent === name).click(), room);
      await last(seq);
    }));
    took.push(...(await scrolled(page, step)));
    const edited = `${[...text].slice(0, -2).join('')}!`;
    let answer;
    took.push(await step(async () => {
      answer = await bob.ask('chat:send', { room, text, reply_to: seq });
      await last(answer.seq);
    }));
    took.push(await step(async () => {
      await bob.ask('chat:edit', { room, seq: answer.seq, text: edited });
      await page.locator(`.msg[data-seq="${answer.seq}"] .edited`).waitFor();
    }));
    const row = page.locator(`.msg[data-seq="${answer.seq}"]`);
    took.push(await step(() => row.locator('.fold').evaluate((button) => button.click())));
    assert.equal(await row.locator('.text').textContent(), edited, `${what}: all of it is shown`);
    took.push(...(await scrolled(page, step, 1)));
    took.push(await step(() => page.evaluate((number) => document.querySelector(`.msg[data-seq="${number}"] .fold`)?.click(), answer.seq)));
    // One answers it.
    took.push(await step(async () => {
      await page.locator(`.msg[data-seq="${seq}"]`).evaluate((one) => one.focus());
      await page.keyboard.press('r');
      await page.locator('#about').waitFor();
    }));
    took.push(await step(() => page.keyboard.type('a')));
    await page.keyboard.press('Escape');
    // One looks for something.
    took.push(await step(async () => {
      await page.locator('#search-open').click();
      await page.locator('#search-input').fill('nothing like it');
      await page.locator('#search-said', { hasText: 'Nothing found' }).waitFor();
    }));
    await page.locator('#search-close').click();
    all[what] = took;
    pieces.push(await pieceOfWork(page, step));
  }
  judge(all, pieces);
  bob.end();
  other.end();
});

scene('no name stops the page, be it a person\'s, a room\'s or a reaction', { args: FAST }, async ({ server, open }) => {
  const PEOPLE = 30;
  const names = { plain: (at) => `Somebody ${at}`, marks: (at) => `${MARKS.repeat(3)}${at}`.normalize(), turns: (at) => `${full('שa', 90)}${at}` };
  const all = {};
  const pieces = [];
  for (const [what, name] of Object.entries(names)) {
    const room = `named-${what}`;
    const people = await Promise.all(Array.from({ length: PEOPLE }, (_, at) => Program.connect(server.url, `${what}-${at}&name=${encodeURIComponent(name(at))}`)));
    const [first, ...others] = people;
    await first.ask('room:join', { room });
    await Promise.all(others.map((one) => one.ask('room:join', { room })));
    await first.ask('room:update', { room, title: name(0) });
    const { seq } = await first.ask('chat:send', { room, text: 'Hello' });
    await Promise.all(others.map((one, at) => one.ask('chat:react', { room, seq, emoji: what === 'plain' ? `e${at % 20}` : `${at % 20}${MARKS.slice(0, 14)}`.normalize(), on: true })));
    await Promise.all(people.map((one) => one.ask('chat:send', { room, text: 'Hello', reply_to: seq })));
    const page = await open();
    const step = await stopwatch(page);
    const took = [];
    await comeIn(page, server.url, 'ada');
    // She is in those before it already.
    await page.locator('.place.open').waitFor();
    took.push(await step(async () => {
      await page.evaluate(() => document.querySelector('.place.open').click());
      await page.locator('.msg').first().waitFor();
    }));
    await page.locator('#people-list .person').nth(PEOPLE - 1).waitFor();
    took.push(...(await scrolled(page, step, 5)));
    for (const one of people.slice(0, 4)) {
      took.push(await step(async () => {
        one.socket.send(JSON.stringify({ type: 'chat:typing', payload: { room } }));
        await page.locator('#typing span').first().waitFor();
      }));
    }
    // Somebody goes: the list of people is drawn anew.
    others.pop().end();
    took.push(await step(() => page.locator('.person.away').first().waitFor()));
    all[what] = took;
    pieces.push(await pieceOfWork(page, step));
    await page.context().close();
    for (const one of [first, ...others]) one.end();
  }
  judge(all, pieces);
});
