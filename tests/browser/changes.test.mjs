// What others do that the page has no buttons for is shown: changed messages, invitations, who is told of whom.
// The others are programs on sockets of their own.

import assert from 'node:assert/strict';
import { acknowledged, scene, shows } from './scene.mjs';
import { Program, answers, comeIn, eventually, inRoom, joinRoom, live, say, texts } from './support.mjs';

const GONE = 'This message was deleted.';
const set = (...values) => values.flatMap((value) => ['--set', value]);
const row = (page, text) => page.locator('.msg', { has: page.locator('.text', { hasText: text }) });
const reactions = (page, text) => row(page, text).locator('.reactions li').evaluateAll((nodes) => nodes.map((node) => [
  node.querySelector('[aria-hidden]').textContent, node.title.replace(/[\u2068\u2069]/g, ''), node.querySelector('.unseen').textContent === node.title,
]));

/** A scene in which `bob` is a program that can be asked to do anything. */
function withBob(name, options, run) {
  scene(name, options, async ({ server, open }) => {
    const programs = [];
    const program = async (user) => {
      programs.push(await Program.connect(server.url, user));
      return programs.at(-1);
    };
    try {
      await run({ server, open, program, bob: await program('bob') });
    } finally {
      for (const one of programs) one.end();
    }
  });
}

withBob('edits, deletions and reactions of another program are seen at once, and after a reload', {}, async ({ server, open, bob, program }) => {
  const cy = await program('cy');
  for (const one of [bob, cy]) await one.ask('room:join', { room: 'tea' });
  const old = await bob.ask('chat:send', { room: 'tea', text: 'from before she came' });
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  const sent = [];
  for (const text of ['helo', 'a secret', 'tea?']) sent.push(await bob.ask('chat:send', { room: 'tea', text }));
  await bob.ask('chat:send', { room: 'tea', text: 'about that', reply_to: sent[1].seq });
  await say(ada, 'I see');
  await acknowledged(ada);
  await shows(ada, ['from before she came', 'helo', 'a secret', 'tea?', 'about that', 'I see']);
  const { seq: own } = (await bob.ask('chat:history', { room: 'tea', limit: 1 })).entries[0].payload;
  assert.match(await row(ada, 'about that').locator('.quote').textContent(), /bob: a secret/);

  await bob.ask('chat:edit', { room: 'tea', seq: sent[0].seq, text: 'hello <b>all</b>' });
  await bob.ask('chat:edit', { room: 'tea', seq: old.seq, text: 'from long before' });
  await bob.ask('chat:react', { room: 'tea', seq: sent[1].seq, emoji: '😮' });
  await bob.ask('chat:delete', { room: 'tea', seq: sent[1].seq });
  for (const one of [cy, bob]) await one.ask('chat:react', { room: 'tea', seq: sent[2].seq, emoji: '👍' });
  await cy.ask('chat:react', { room: 'tea', seq: sent[2].seq, emoji: '🫖' });
  await cy.ask('chat:react', { room: 'tea', seq: own, emoji: '__proto__' });
  await cy.ask('chat:react', { room: 'tea', seq: own, emoji: 'no' });
  await cy.ask('chat:react', { room: 'tea', seq: own, emoji: 'no', on: false });

  const asItIs = async () => {
    await shows(ada, ['from long before', 'hello <b>all</b>', GONE, 'tea?', 'about that', 'I see']);
    await eventually('the reactions are shown', async () => {
      assert.deepEqual(await reactions(ada, 'tea?'), [['👍 2', '👍 from cy and bob', true], ['🫖 1', '🫖 from cy', true]]);
      assert.deepEqual(await reactions(ada, 'I see'), [['__proto__ 1', '__proto__ from cy', true]]);
      return (await ada.locator('.reactions li').count()) === 3;
    });
    assert.equal(await ada.locator('.msg.own').count(), 1);
    assert.deepEqual(await ada.locator('.msg:has(.edited) .text').allTextContents(), ['from long before', 'hello <b>all</b>']);
    assert.equal(await row(ada, 'hello').locator('.edited').textContent(), 'edited');
    const quote = await row(ada, 'about that').locator('.quote').textContent();
    assert.equal(quote, `bob: ${GONE}`);
    assert.equal((await ada.content()).includes('a secret'), false, 'what was deleted is nowhere in the page');
  };
  await asItIs();
  await ada.reload();
  await live(ada);
  await inRoom(ada, 'tea');
  await asItIs();

  await cy.ask('chat:react', { room: 'tea', seq: sent[2].seq, emoji: '👍', on: false });
  await bob.ask('chat:edit', { room: 'tea', seq: sent[0].seq, text: 'good evening' });
  await shows(ada, ['from long before', 'good evening', GONE, 'tea?', 'about that', 'I see']);
  await eventually('a reaction was taken back', async () => (await reactions(ada, 'tea?'))[0][1] === '👍 from bob');
});

withBob('changes of messages that are fetched later, or came while one was away, are not lost and not undone', { goesDown: true, args: set('limits.burst=500', 'limits.requests_per_second=500') }, async ({ server, open, bob }) => {
  await bob.ask('room:join', { room: 'tea' });
  const sent = [];
  for (let at = 1; at <= 150; at += 1) sent.push(await bob.ask('chat:send', { room: 'tea', text: `line ${at}` }));
  const ada = await open();
  let refuse = false;
  let cut;
  await ada.routeWebSocket(/\/ws/, (socket) => {
    if (refuse) {
      socket.close();
      return;
    }
    socket.connectToServer();
    cut = () => socket.close();
  });
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await eventually('the newest page is there', async () => (await texts(ada)).at(-1) === 'line 150');
  await bob.ask('chat:edit', { room: 'tea', seq: sent[0].seq, text: 'line 1, again' });
  await bob.ask('chat:edit', { room: 'tea', seq: sent[0].seq, text: 'line 1, at last' });
  await bob.ask('chat:delete', { room: 'tea', seq: sent[1].seq });
  refuse = true;
  cut();
  await ada.locator('#state:not([data-state="online"])').waitFor();
  await bob.ask('chat:edit', { room: 'tea', seq: sent[149].seq, text: 'line 150, while she was away' });
  await bob.ask('chat:react', { room: 'tea', seq: sent[148].seq, emoji: '👍' });
  await bob.ask('chat:delete', { room: 'tea', seq: sent[147].seq });
  refuse = false;
  await live(ada, 40_000);
  await eventually('what was missed is there', async () => (await texts(ada)).slice(-3).join() === [GONE, 'line 149', 'line 150, while she was away'].join());
  await eventually('the reaction, too', async () => (await reactions(ada, 'line 149')).length === 1);
  await eventually('the beginning is reached', async () => {
    await ada.locator('#log').evaluate((node) => node.scrollTo(0, 0));
    return (await texts(ada))[0].startsWith('line 1,');
  });
  assert.deepEqual((await texts(ada)).slice(0, 3), ['line 1, at last', GONE, 'line 3']);
});

withBob('a message that was deleted is not unread any more', {}, async ({ server, open, bob }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await bob.ask('room:join', { room: 'tea' });
  await ada.locator('#room-list .place', { hasText: 'lobby' }).click();
  await inRoom(ada, 'lobby');
  const badge = ada.locator('#room-list .place', { hasText: 'tea' }).locator('.badge');
  const sent = [];
  for (const text of ['one', 'two']) sent.push(await bob.ask('chat:send', { room: 'tea', text }));
  await badge.filter({ hasText: /^2/ }).waitFor();
  await bob.ask('chat:edit', { room: 'tea', seq: sent[0].seq, text: 'One' });
  await bob.ask('chat:delete', { room: 'tea', seq: sent[1].seq });
  await badge.filter({ hasText: /^1/ }).waitFor();
  assert.match(await ada.title(), /^\(1\) /);
  await ada.reload();
  await live(ada);
  await badge.filter({ hasText: /^1/ }).waitFor();
  await bob.ask('chat:delete', { room: 'tea', seq: sent[0].seq });
  await eventually('nothing is unread', async () => (await badge.count()) === 0);
});

withBob('an invitation appears, is there after a reload, and is accepted by a press', {}, async ({ server, open, bob }) => {
  await bob.ask('room:create', { room: 'attic', title: 'The attic' });
  await bob.ask('chat:send', { room: 'attic', text: 'come up' });
  await bob.ask('room:create', { room: 'cellar' });
  const ada = await open();
  const isAnswered = answers(ada);
  await comeIn(ada, server.url, 'ada');
  await eventually('who is online, with names', () => isAnswered('presence:list'));
  const door = (name) => ada.locator('#joinable-list .place', { hasText: name });
  assert.equal(await door('The attic').count(), 0);
  await bob.ask('room:invite', { room: 'attic', user: 'ada' });
  await door('The attic').waitFor();
  await ada.locator('.toast', { hasText: /bob.* invites you to .*The attic/ }).waitFor();
  await bob.ask('room:invite', { room: 'cellar', user: 'ada' });
  await door('cellar').waitFor();
  await ada.reload();
  await live(ada);
  await door('The attic').waitFor();
  await eventually('who invites', async () => /invited by .*bob/.test(await door('The attic').locator('.place-note').textContent()));
  // A page that lists its rooms takes a void invitation away by itself: none is listing when the cellar is deleted.
  await eventually('the rooms are listed', () => isAnswered('info'));
  await door('The attic').click();
  await inRoom(ada, 'The attic');
  await shows(ada, ['come up']);
  await eventually('it is no door any more', async () => (await door('The attic').count()) === 0);
  await eventually('the rooms are listed again', () => isAnswered('info'));

  await bob.ask('room:delete', { room: 'cellar' });
  await door('cellar').click();
  await ada.locator('.toast', { hasText: /You could not join .*cellar/ }).waitFor();
  await eventually('a void invitation goes', async () => (await door('cellar').count()) === 0);
});

withBob('why one is in a room no more is told', {}, async ({ server, open, bob }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  for (const room of ['den', 'nook', 'loft']) {
    await bob.ask('room:create', { room, open: true });
    await joinRoom(ada, room);
  }
  const toast = (text) => ada.locator('.toast').evaluateAll((nodes) => nodes.map((node) => node.textContent.replace(/[\u2068\u2069]/g, '')))
    .then((all) => all.includes(text));
  await bob.ask('room:remove', { room: 'den', user: 'ada' });
  await eventually('removed', () => toast('You were removed from den, by bob.'));
  await bob.ask('room:ban', { room: 'nook', user: 'ada' });
  await eventually('banned', () => toast('You were banned from nook, by bob.'));
  await bob.ask('room:delete', { room: 'loft' });
  await eventually('deleted', () => toast('loft was deleted, by bob.'));
  await eventually('only the lobby is left', async () => (await ada.locator('#room-list .place').allTextContents()).join().replace('#', '') === 'lobby');
});

withBob('where nobody is told who is there, the page says so', { args: set('presence.scope=off') }, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await ada.locator('#people-note', { hasText: 'This server does not show who is online.' }).waitFor();
  assert.equal(await ada.locator('#people-title').textContent(), 'Who is here');
  // Who is a member is no secret among members.
  await ada.locator('#people-list .person', { hasText: 'ada' }).waitFor();
  assert.equal(await ada.locator('.person').count(), 1);
  assert.equal(await ada.locator('.lamp').count(), 0);
});

withBob('of many there is a number, and the list comes back with fewer', {
  args: set('presence.listed_people=5', 'presence.grace_ms=100', 'presence.window_ms=50'),
}, async ({ server, open, bob, program }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  const title = (text) => eventually(`the title is ${text}`, async () => (await ada.locator('#people-title').textContent()) === text);
  await bob.ask('chat:send', { to: 'ada', text: 'psst' });
  await ada.locator('#direct-list .lamp').waitFor();
  await title('2 here');
  const crowd = [];
  for (let at = 0; at < 5; at += 1) crowd.push(await program(`guest-${at}`));
  await title('7 here');
  await ada.locator('#people-note', { hasText: 'There are too many people to list them all.' }).waitFor();
  assert.deepEqual(await ada.locator('.person-name').allTextContents(), ['ada'], 'the members of the lobby');
  assert.equal(await ada.locator('#direct-list .lamp').count(), 0, 'who they are is not known');
  for (const one of crowd.slice(1)) one.end();
  await title('3 here');
  await eventually('they are listed', async () => (await ada.locator('.person-name').allTextContents()).join() === 'ada,bob,guest-0');
  await ada.locator('#direct-list .lamp').waitFor();
});

withBob('by rooms one sees those with whom one shares one', {
  args: set('presence.scope=rooms', 'presence.grace_ms=100', 'presence.window_ms=50'),
}, async ({ server, open, bob, program }) => {
  const cy = await program('cy');
  for (const [one, room] of [[bob, 'tea'], [bob, 'den'], [cy, 'den']]) await one.ask('room:join', { room });
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  const people = (names) => eventually(`there are ${names}`, async () => (await ada.locator('.person:not(.away) .person-name').allTextContents()).join() === names);
  await people('ada');
  await ada.locator('#people-note', { hasText: 'Nobody else in your rooms is online.' }).waitFor();
  await joinRoom(ada, 'tea');
  await people('ada,bob');
  await joinRoom(ada, 'den');
  await people('ada,bob,cy');
  await cy.ask('room:leave', { room: 'den' });
  await people('ada,bob');
  bob.end();
  await people('ada');
  await program('bob');
  await people('ada,bob');
});

withBob('the members of a room are listed, online first, and each can be written to', {}, async ({ server, open, bob, program }) => {
  const [cy, dee] = [await program('cy'), await program('dee')];
  await bob.ask('room:create', { room: 'attic', title: 'The attic', open: true });
  await cy.ask('room:join', { room: 'attic' });
  for (const who of ['ada', 'zoe']) {
    const joined = await fetch(new URL(`/api/v1/rooms/attic/members/${who}?user=${who}`, server.url), { method: 'PUT' });
    assert.equal(joined.status, 200);
  }
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await ada.locator('#room-list .place', { hasText: 'The attic' }).click();
  await inRoom(ada, 'The attic');
  const names = (list) => ada.locator(`${list} .person-name`).allTextContents();
  const listed = (list, expected) => eventually(`${list} has ${expected}`, async () => (await names(list)).join() === expected);
  await listed('#people-list', 'ada,bob,cy,zoe');
  assert.equal(await ada.locator('#members-title').textContent(), '4 members');
  assert.equal(await ada.locator('#people-title').textContent(), '4 here');
  await listed('#others-list', 'dee');
  assert.deepEqual(await ada.locator('#people-list .person.away .person-name').allTextContents(), ['zoe']);
  // Who goes away stays a member; who comes and who leaves is told.
  cy.end();
  bob.end();
  await eventually('they are away', async () => (await ada.locator('#people-list .person.away .person-name').allTextContents()).join() === 'bob,cy,zoe');
  await dee.ask('room:join', { room: 'attic' });
  await listed('#people-list', 'ada,dee,bob,cy,zoe');
  await listed('#others-list', '');
  await dee.ask('room:leave', { room: 'attic' });
  await listed('#people-list', 'ada,bob,cy,zoe');
  // One who has never been here finds it when they are.
  await ada.locator('.person', { hasText: 'zoe' }).click();
  await say(ada, 'for when you are back');
  await acknowledged(ada);
  const zoe = await open();
  await comeIn(zoe, server.url, 'zoe');
  await zoe.locator('#direct-list .place', { hasText: 'ada' }).click();
  await shows(zoe, ['for when you are back']);
});

withBob('an invitation that is shown can be accepted there, and covers nothing that is new', {}, async ({ server, open, bob }) => {
  await bob.ask('room:create', { room: 'attic', title: 'The attic' });
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await say(ada, 'the newest');
  await acknowledged(ada);
  await bob.ask('room:invite', { room: 'attic', user: 'ada' });
  const toast = ada.locator('.toast', { hasText: 'The attic' });
  await toast.waitFor();
  const [top, end] = [await ada.locator('.msg').last().boundingBox(), await toast.boundingBox()];
  assert.ok(end.y + end.height <= top.y, 'it is above the newest message');
  await toast.getByRole('button', { name: 'Join' }).click();
  await inRoom(ada, 'The attic');
  assert.equal(await toast.count(), 0);
});

withBob('there is a message box where there is a room, and one\u2019s name is read whole', {}, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'Augusta Ada King');
  assert.equal(await ada.locator('#me bdi').evaluate((node) => node.scrollWidth <= node.clientWidth), true);
  await ada.locator('#composer').waitFor();
  await ada.locator('#leave').click();
  await ada.getByRole('button', { name: 'Leave', exact: true }).click();
  await ada.locator('#composer').waitFor({ state: 'hidden' });
  await joinRoom(ada, 'tea');
  await ada.locator('#composer').waitFor();
});
