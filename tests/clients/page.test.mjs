// What the page knows, without a browser and without a server: its log, its rooms and its presence, fed by hand.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

// The page's modules say nothing of being modules, which only browsers take for granted: they are read as a copy that does.
const directory = mkdtempSync(join(tmpdir(), 'parlor-page-'));
after(() => rmSync(directory, { recursive: true, force: true }));
cpSync(fileURLToPath(new URL('../../web/', import.meta.url)), directory, { recursive: true });
cpSync(fileURLToPath(new URL('../../clients/js/src/', import.meta.url)), join(directory, 'client'), { recursive: true });
writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
const page = (name) => import(pathToFileURL(join(directory, name)).href);
const { Log, Room, countsFor, entryOf, readersOf } = await page('log.js');
const { planned } = await page('plan.js');
const { Rooms } = await page('rooms.js');
const { Presence } = await page('presence.js');
const { excerpt, headOf, streamSafe } = await page('said.js');
const { Unsent } = await page('unsent.js');
const { connect } = await page('client/index.js');
const { fakeServer } = await page('client/testing.js');

const entry = (type) => (seq, payload) => ({ type, payload: { room: 'tea', seq, ts: seq * 1000, ...payload } });
const message = (seq, text, more) => entry('chat:message')(seq, { from: 'ada', text, ...more });
const edited = (seq, target, text) => entry('chat:edited')(seq, { target, text, by: 'ada' });
const hollow = (seq, target) => entry('chat:edited')(seq, { target, deleted: true, by: 'ada' });
const deleted = (seq, target) => entry('chat:deleted')(seq, { target, by: 'ada' });
const reacted = (seq, target, emoji, by, on = true) => entry('chat:reacted')(seq, { target, emoji, by, on });
const joined = (seq, user) => entry('room:joined')(seq, { user });

function logOf(...entries) {
  const log = new Log();
  log.begin(entries.length > 0 ? entries[0].payload.seq - 1 : 0);
  append(log, ...entries);
  return log;
}

const append = (log, ...entries) => entries.map((one) => log.append(entryOf(one)));
const prepend = (log, entries, more) => log.prepend(entries.map(entryOf), more);

/** What is shown of a log: the texts, how they are marked, and the reactions. */
function seen(log) {
  return log.items.map(({ seq, kind, text, edited: mark, deleted: gone, reactions }) => {
    if (kind !== 'message') return `${seq} ${kind}`;
    const given = [...reactions].map(([emoji, { users, more }]) => ` ${emoji}${users.join(',')}${more ? '+' : ''}`).join('');
    return `${seq} ${gone ? `(gone)${text}` : text}${mark ? ` (${mark})` : ''}${given}`;
  });
}

describe('a log', () => {
  test('an edit changes the text, a deletion takes it, and a reaction is beside it', () => {
    const log = logOf(message(1, 'helo'), message(2, 'secret'), joined(3, 'bob'));
    append(log, edited(4, 1, 'hello'), reacted(5, 1, '👍', 'bob'), reacted(6, 2, '!', 'bob'), deleted(7, 2), reacted(8, 1, '👍', 'cy'));
    assert.deepEqual(seen(log), ['1 hello (4) 👍bob,cy', '2 (gone)', '3 joined']);
    append(log, reacted(9, 1, '👍', 'bob', false), edited(10, 1, 'hello!'));
    assert.deepEqual(seen(log), ['1 hello! (10) 👍cy', '2 (gone)', '3 joined']);
    append(log, reacted(11, 1, '👍', 'cy', false));
    assert.deepEqual(seen(log)[0], '1 hello! (10)');
    assert.deepEqual([log.first, log.last], [1, 11]);
  });

  test('an entry that comes again changes nothing, and one of a kind that is handed on by nobody leaves its number out', () => {
    const changes = [edited(2, 1, 'two'), reacted(3, 1, 'x', 'bob'), edited(4, 1, 'four'), reacted(5, 1, 'x', 'bob', false)];
    const log = logOf(message(1, 'one'), ...changes);
    const before = seen(log);
    assert.deepEqual(append(log, message(1, 'one'), ...changes), Array(5).fill(false));
    assert.deepEqual([seen(log), before], [['1 four (4)'], ['1 four (4)']]);
    assert.deepEqual(append(log, edited(7, 1, 'seven')), [true]);
    assert.deepEqual([seen(log), log.last], [['1 seven (7)'], 7]);
    assert.deepEqual(append(new Log(), message(1, 'of a log that was not begun')), [false]);
  });

  test('a message that comes in its newest state is not put back by the entries that led there', () => {
    const log = logOf();
    const newest = message(1, 'third', { edited: 5, reactions: { x: ['bob'] } });
    append(log, newest, edited(2, 1, 'second'), reacted(3, 1, 'x', 'bob'), reacted(4, 1, 'y', 'bob'));
    assert.equal(log.item(1).text, 'third');
    append(log, edited(5, 1, 'third'), reacted(6, 1, 'y', 'bob', false), edited(7, 1, 'fourth'));
    assert.deepEqual(seen(log), ['1 fourth (7) xbob']);
  });

  test('what is deleted stays so, whatever comes after, and its edits have no text', () => {
    const log = logOf(message(1, 'secret'));
    append(log, hollow(2, 1));
    assert.deepEqual(seen(log), ['1 secret'], 'the deletion has yet to come');
    append(log, deleted(3, 1), edited(4, 1, 'back'), reacted(5, 1, 'x', 'bob'), deleted(6, 1));
    assert.deepEqual(seen(log), ['1 (gone)']);
    const later = logOf(message(1, undefined, { deleted: true }), hollow(2, 1), reacted(3, 1, 'x', 'bob'), deleted(4, 1));
    assert.deepEqual(seen(later), ['1 (gone)']);
  });

  test('changes of what is not held, of no message, or of what never was, only count as seen', () => {
    const log = logOf(joined(10, 'bob'), message(11, 'here'));
    const done = append(log, edited(12, 3, 'x'), deleted(13, 4), reacted(14, 5, 'x', 'bob'), edited(15, 10, 'x'), deleted(16, 999), entry('chat:future')(17, { target: 11 }));
    assert.deepEqual(done, Array(6).fill(true));
    assert.deepEqual(seen(log), ['10 joined', '11 here']);
    assert.equal(log.last, 17);
  });

  test('a page before does not undo what is newer', () => {
    const log = logOf(message(10, 'ten'), edited(11, 3, 'newest'), edited(12, 10, 'TEN'));
    const older = [message(1, '', { deleted: true }), hollow(2, 1), message(3, 'newest', { edited: 11, reactions: { x: ['cy'] } }),
      edited(4, 3, 'older'), reacted(5, 3, 'x', 'bob'), reacted(6, 3, 'x', 'cy'), reacted(7, 3, 'x', 'bob', false), deleted(8, 1), edited(9, 3, 'old')];
    prepend(log, older, false);
    assert.deepEqual(seen(log), ['1 (gone)', '3 newest (11) xcy', '10 TEN (12)']);
    assert.deepEqual([log.first, log.last, log.atStart], [1, 12, true]);
  });

  test('what came while a page was on its way is applied to it', () => {
    const log = logOf(message(10, 'ten'));
    append(log, edited(11, 3, 'newer'), reacted(12, 3, 'x', 'bob'), deleted(13, 4), reacted(14, 5, 'y', 'bob'), reacted(15, 5, 'y', 'bob', false));
    prepend(log, [message(3, 'three'), message(4, 'four'), message(5, 'five', { reactions: { y: ['bob'] } })], true);
    assert.deepEqual(seen(log), ['3 newer (11) xbob', '4 (gone)', '5 five', '10 ten']);
    log.begin(20);
    prepend(log, [message(4, 'of another life')], true);
    assert.deepEqual(seen(log), ['4 of another life'], 'nothing is left of what was forgotten');
  });

  test('in whatever pieces it comes, the end is the same', () => {
    const all = [message(1, 'one'), message(2, 'two'), reacted(3, 1, 'x', 'bob'), edited(4, 1, 'ONE'), message(5, 'five'), deleted(6, 2),
      reacted(7, 5, 'z', 'cy'), reacted(8, 1, 'x', 'bob', false), edited(9, 1, 'One'), reacted(10, 1, 'x', 'cy')];
    const end = ['1 One (9) xcy', '2 (gone)', '5 five zcy'];
    assert.deepEqual(seen(logOf(...all)), end);
    const newest = [message(1, 'One', { edited: 9, reactions: { x: ['cy'] } }), message(2, undefined, { deleted: true }), ...all.slice(2, 4),
      message(5, 'five', { reactions: { z: ['cy'] } }), ...all.slice(5)];
    for (let cut = 0; cut <= all.length; cut += 1) {
      const log = new Log();
      log.begin(cut);
      append(log, ...all.slice(cut));
      prepend(log, newest.slice(0, cut), false);
      assert.deepEqual(seen(log), end, `a page before ${cut + 1}`);
      const filled = new Log();
      filled.begin(0);
      append(filled, ...all.slice(0, cut), ...newest.slice(cut));
      assert.deepEqual(seen(filled), end, `a page after ${cut}`);
    }
  });

  test('of many who reacted only the first are named, and that there may be more is known', () => {
    const users = Array.from({ length: 20 }, (_, at) => `u${at}`);
    const log = logOf(message(1, 'x', { reactions: { y: users, 'z': ['ada'] } }));
    append(log, reacted(2, 1, 'y', 'u0', false), reacted(3, 1, 'y', 'u99', false));
    assert.deepEqual([log.item(1).reactions.get('y').users.length, log.item(1).reactions.get('y').more], [19, true]);
    assert.equal(log.item(1).reactions.get('z').more, false);
  });

  test('what is deleted does not count as unread', () => {
    const log = logOf(message(1, 'a'), message(2, 'b'), message(3, 'c'));
    assert.equal(log.unreadAfter(1, 'bob'), 2);
    append(log, deleted(4, 2));
    assert.equal(log.unreadAfter(1, 'bob'), 1);
    assert.equal(countsFor(log.item(2), 'bob'), false);
  });
});

describe('what is seen of a log', () => {
  const minutes = (...all) => all.map((at, place) => message(place + 1, `at ${at}`, { ts: new Date(2026, 0, 5, 23, 40).getTime() + at * 60_000 }));
  const rowsOf = (log, more) => planned({ items: log.items, pending: [], newAfter: null, self: 'bob', ...more });
  const named = (rows) => rows.map(({ kind, continued, item, notes }) => (kind === 'message' ? `${item.text}${continued ? ' +' : ''}` : notes ? `${notes.length} ${notes[0].kind}` : kind));

  test('messages go on where the one before ended, and each day has a row', () => {
    assert.deepEqual(named(rowsOf(logOf(...minutes(0, 4, 10, 19, 21)))), ['day', 'at 0', 'at 4 +', 'at 10', 'at 19', 'day', 'at 21']);
    const places = rowsOf(logOf(...minutes(0, 4, 21))).filter(({ kind }) => kind === 'message').map(({ place }) => place);
    assert.deepEqual(places, [1, 2, 3]);
  });

  test('who comes and goes is one row until somebody speaks, and what is new has a line before it', () => {
    const log = logOf(joined(1, 'bob'), joined(2, 'cy'), message(3, 'own', { from: 'bob' }), message(4, 'new'), message(5, 'newer'));
    assert.deepEqual(named(rowsOf(log, { newAfter: 2 })), ['day', '2 joined', 'own', 'new', 'new', 'newer +']);
    assert.deepEqual(named(rowsOf(log, { newAfter: 5 })), ['day', '2 joined', 'own', 'new', 'newer +']);
  });

  test('one\'s own message keeps its key from the first moment to the entry', () => {
    const ticket = { cid: 'c', text: 'hi', ts: 1000, status: 'queued' };
    const before = rowsOf(logOf(), { pending: [ticket] }).at(-1);
    const after = rowsOf(logOf(message(1, 'hi', { from: 'bob', cid: 'c' }))).at(-1);
    assert.deepEqual([before.key, after.key], ['cc', 'cc']);
    const failed = rowsOf(logOf(), { pending: [{ ...ticket, status: 'failed' }, { ...ticket, cid: 'd' }] });
    assert.deepEqual(failed.map(({ continued }) => continued), [false, false], 'behind one that was refused a new one begins');
  });

  test('who has read is under the last message that they have read, and never under their own', () => {
    const room = new Room('tea', 'bob');
    room.members = 4;
    room.log.begin(0);
    append(room.log, message(1, 'one'), message(2, 'two', { from: 'cy' }), joined(3, 'eve'), message(4, 'four'));
    for (const [user, seq] of [['ada', 4], ['cy', 3], ['eve', 3], ['dan', 9], ['bob', 4], ['fay', 0]]) room.mark(user, seq);
    const seenBy = () => Object.fromEntries(readersOf(room, 'bob'));
    assert.deepEqual(seenBy(), { 2: ['eve'], 4: ['dan'] });
    room.mark('eve', 1);
    assert.deepEqual(seenBy()[2], ['eve'], 'a mark goes forward only');
    room.members = 51;
    assert.deepEqual(seenBy(), {}, 'in large rooms nobody is told');
  });
});

describe('rooms', () => {
  const nothing = () => {};
  const told = { changed: nothing, listed: nothing, own: nothing, moved: nothing, invited: nothing, removed: nothing, keeps: () => false };
  const hello = (rooms = [], invites = []) => ({ epoch: 'e', user: { id: 'bob' }, rooms, invites });
  const tea = { room: 'tea', title: '', open: true, members: 2, head: 4, read: 1, unread: 2 };

  async function roomsOf({ answers = {}, on = {}, ...of } = {}) {
    const asked = [];
    const ask = async (type, payload) => {
      asked.push(type);
      if (typeof answers[type] === 'function') return answers[type](payload);
      return answers[type] ?? { rooms: [], entries: [], more: false };
    };
    const rooms = new Rooms(ask, { ...told, ...on });
    rooms.welcome(hello(of.rooms ?? [tea], of.invites));
    return { rooms, asked };
  }

  const push = (rooms, one) => rooms.entry(entryOf(one));

  test('a deletion takes an unread message back, once, and none that was read or counted as deleted', async () => {
    const { rooms } = await roomsOf();
    const room = rooms.get('tea');
    push(rooms, message(5, 'five'));
    assert.equal(room.unread, 3);
    push(rooms, deleted(6, 5));
    assert.equal(room.unread, 2, 'one that is held');
    push(rooms, deleted(7, 3));
    assert.equal(room.unread, 1, 'one that is not');
    push(rooms, deleted(8, 1));
    assert.equal(room.unread, 1, 'one that was read');
    push(rooms, edited(9, 4, 'x'));
    push(rooms, reacted(10, 4, 'x', 'ada'));
    assert.equal(room.unread, 1, 'changes are no messages');
    push(rooms, message(11, undefined, { deleted: true }));
    push(rooms, deleted(12, 11));
    assert.equal(room.unread, 1, 'one that came as deleted');
    room.log.begin(12);
    prepend(room.log, [message(4, undefined, { deleted: true })], true);
    push(rooms, deleted(13, 4));
    assert.equal(room.unread, 0, 'one that was counted, and of which a page came that was newer');
  });

  test('an invitation comes with hello and by a push, and goes when it is used or void', async () => {
    const invitations = [];
    let mine = [];
    const { rooms, asked } = await roomsOf({
      invites: [{ room: 'attic', title: '', by: 'cy' }],
      on: { invited: ({ room }) => invitations.push(room) },
      answers: {
        info: () => ({ invites: mine }),
        'room:join': ({ room }) => (room === 'attic' ? { ...tea, room } : Promise.reject(Object.assign(new Error('no'), { code: 'not_member' }))),
      },
    });
    assert.deepEqual([...rooms.invites.keys()], ['attic']);
    rooms.push('room:invited', { room: 'den', title: 'The den', by: 'ada' });
    rooms.push('room:invited', { room: 'tea', title: '', by: 'ada' });
    assert.deepEqual([...rooms.invites.keys()], ['attic', 'den'], 'not to where one is');
    assert.deepEqual(invitations, ['den']);
    mine = [...rooms.invites.values()].slice(1);
    await rooms.join('attic');
    assert.deepEqual([...rooms.invites.keys()], ['den']);
    await rooms.list();
    await assert.rejects(rooms.join('den'));
    assert.deepEqual([...rooms.invites.keys()], []);
    rooms.push('room:invited', { room: 'nook', title: '', by: 'ada' });
    mine = [];
    await rooms.list();
    assert.deepEqual([...rooms.invites.keys()], [], 'the room has ended');
    assert.ok(asked.includes('info'));
  });
});

describe('presence', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  /** Presence on a server that lists `users` as of `version`. */
  async function presenceOf(scope, users, version = 10) {
    const server = { users, version, asked: 0 };
    const presence = new Presence(async () => {
      server.asked += 1;
      if (scope === 'off') throw Object.assign(new Error('no'), { code: 'forbidden' });
      return { users: server.users.map((user) => ({ user, name: user })), version: server.version, more: false };
    }, () => {});
    presence.begin(scope);
    await presence.list();
    return { presence, server };
  }

  const there = (presence) => (presence.online === null ? null : [...presence.online].sort().join(' '));

  test('of many there is a number, until the lists are back', async () => {
    const { presence, server } = await presenceOf('everyone', ['ada', 'bob']);
    presence.push('user:count', { online: 9, version: 10 });
    assert.equal(there(presence), 'ada bob', 'older than the list');
    presence.push('user:count', { online: 600, version: 11 });
    assert.deepEqual([there(presence), presence.number, presence.isOnline('bob'), presence.isOffline('bob', true)], [null, { people: 600, more: false }, false, false]);
    presence.push('user:count', { online: 599, version: 12 });
    assert.equal(presence.number.people, 599);
    assert.equal(server.asked, 1);
    presence.push('user:online', { users: [], version: 13, reset: true });
    await turn();
    assert.deepEqual([there(presence), presence.number], ['ada bob', { people: 2, more: false }]);
  });

  test('by rooms a user is online for one who shares any of them', async () => {
    const { presence, server } = await presenceOf('rooms', ['ada']);
    presence.push('user:online', { room: 'tea', users: ['bob'], version: 11 });
    presence.push('user:online', { room: 'den', users: ['bob', 'cy'], version: 12 });
    assert.equal(there(presence), 'ada bob cy');
    presence.push('user:offline', { room: 'tea', users: ['bob'], version: 13 });
    presence.push('user:offline', { room: 'den', users: ['bob'], version: 14 });
    assert.equal(there(presence), 'ada cy');
    assert.deepEqual([presence.isOffline('bob', true), presence.isOffline('eve', false)], [true, false], 'of strangers nothing is known');
    presence.push('user:count', { room: 'tea', online: 700, version: 15 });
    presence.push('user:count', { room: 'den', online: 800, version: 16 });
    assert.deepEqual([there(presence), presence.number], [null, { people: 800, more: true }]);
    presence.push('user:online', { room: 'den', users: [], version: 17, reset: true });
    await turn();
    assert.deepEqual([there(presence), presence.number, server.asked], [null, { people: 700, more: true }, 1], 'one is counted still');
    presence.left('tea');
    await turn();
    assert.equal(there(presence), 'ada');
    presence.lost();
  });

  test('where nobody is told, nobody is asked for, and none is known', async () => {
    const { presence, server } = await presenceOf('off', []);
    assert.deepEqual([server.asked, there(presence), presence.number], [0, null, null]);
    const other = await presenceOf('off', []);
    other.presence.begin('everyone');
    await other.presence.list();
    assert.deepEqual([other.presence.scope, other.server.asked], ['off', 1], 'a refusal says so, too');
  });
});

describe('what is unsent', () => {
  async function withClient(run) {
    const server = fakeServer();
    const client = connect('ws://host/ws?user=ada', { env: server.env });
    const unsent = new Unsent(client);
    let last = 0;
    client.on('outbox', () => unsent.changed(() => last));
    server.admit('tea', 'ada');
    await server.clock.advance(100);
    const seen = () => unsent.of({ name: 'tea' }).map(({ text, status }) => `${text} ${status}`);
    const reach = (seq) => {
      last = seq;
      unsent.reached('tea', seq);
    };
    await run({ server, client, unsent, seen, reach, room: client.room('tea') });
    client.close();
  }

  test('what was acknowledged is shown until the log has it', () => withClient(async ({ server, seen, reach, room }) => {
    const ticket = room.send('one');
    assert.deepEqual(seen(), ['one sent']);
    await server.clock.advance(50);
    assert.deepEqual(seen(), ['one acked']);
    reach(ticket.seq - 1);
    assert.deepEqual(seen(), ['one acked']);
    reach(ticket.seq);
    assert.deepEqual(seen(), []);
  }));

  test('what was refused says why, goes again or not at all', () => withClient(async ({ server, unsent, seen, reach, room }) => {
    server.refuse('chat:send', { code: 'forbidden', message: 'no' }, { code: 'forbidden', message: 'no' });
    room.send('one');
    await server.clock.advance(50);
    const [{ cid, because, status }] = unsent.of({ name: 'tea' });
    assert.deepEqual([status, because], ['failed', 'you may not do that here']);
    unsent.retry(cid);
    await server.clock.advance(50);
    assert.deepEqual(seen(), ['one failed']);
    unsent.retry(cid);
    await server.clock.advance(50);
    assert.deepEqual(seen(), ['one acked']);
    reach(Infinity);
    server.cut();
    await server.clock.advance(1);
    room.send('two');
    unsent.cancel(unsent.of({ name: 'tea' })[0].cid);
    assert.deepEqual(seen(), []);
  }));

  test('with its room only what was never said is given back', () => withClient(async ({ server, unsent, seen, room }) => {
    room.send('one');
    await server.clock.advance(50);
    server.cut();
    await server.clock.advance(1);
    room.send('two');
    room.send('three');
    assert.deepEqual(seen(), ['one acked', 'two queued', 'three queued']);
    assert.deepEqual(unsent.drop('tea'), ['two', 'three']);
    assert.deepEqual(seen(), ['one acked']);
  }));
});

describe('what people wrote', () => {
  test('a message that is not too much is shown whole', () => {
    for (const text of ['', 'Hello', 'word '.repeat(590), 'ab\n'.repeat(30), 'नमस्ते '.repeat(300), '👨‍👩‍👧‍👦'.repeat(200), 'שלום '.repeat(500), `\u{1f1e9}\u{1f1ea}`.repeat(500)]) {
      assert.ok(headOf(text) === text, text.slice(0, 20));
    }
  });

  test('of one that is too much a beginning is shown that is no more than the bound, and ends where a character does', () => {
    for (const [text, most] of [
      ['word '.repeat(800), 2_000], ['x'.repeat(4_000), 2_000], ['\n'.repeat(100), 25], ['a'.repeat(2_990) + '\n'.repeat(9), 2_000],
      [`a${'\u0301'.repeat(4_000)}`, 260], ['a\u0301\u0302\u0303\u0304'.repeat(900), 600], ['שa'.repeat(900), 250], ['👨‍👩‍👧‍👦'.repeat(600), 2_000],
    ]) {
      const head = headOf(text);
      assert.ok(text.startsWith(head) && head.length > 0 && head.length <= most, `${head.length} of ${text.slice(0, 12)}`);
    }
    assert.match(headOf('word '.repeat(800)), /word$/);
    const family = '👨‍👩‍👧‍👦';
    assert.equal(headOf(family.repeat(600)).length % family.length, 0, 'no family is parted');
    assert.ok(!/\p{Surrogate}/u.test(headOf(`a${'😀'.repeat(3_000)}`)));
  });

  test('an excerpt has so many characters, and says that there are more', () => {
    assert.deepEqual([excerpt('abc', 3), excerpt('abcd', 3), excerpt('😀😀😀', 2)], ['abc', 'abc…', '😀😀…']);
  });

  test('of marks at most thirty follow one another, so that a normal form takes a time that grows with the length', () => {
    const [marks, joiner] = ['\u0301\u0316', '\u034f'];
    for (const count of [1, 15, 16, 31, 64_000]) {
      const text = `a${marks.repeat(count)}b`;
      const safe = streamSafe(text);
      assert.equal(safe.replaceAll(joiner, ''), text);
      const longest = safe.split(joiner).map((part) => part.replaceAll(/[ab]/g, '').length);
      assert.ok(Math.max(...longest) <= 30, `${Math.max(...longest)} of ${count}`);
    }
    assert.equal(streamSafe('José\u0301'), 'José\u0301');
  });
});
