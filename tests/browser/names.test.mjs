// People and rooms have names in any script, and ids that the page makes of them: two people, in a real browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { looks, nameFault, nameOf, roomIdOf, speaksOf, userIdOf, Names } from '../../web/names.js';
import { acknowledged, scene, shows } from './scene.mjs';
import { Program, comeIn, eventually, inRoom, joinRoom, live, say } from './support.mjs';

scene('people come in by the names that they have, and are called so everywhere', {}, async ({ server, open }) => {
  const [ada, tanaka] = [await open(), await open()];
  await comeIn(ada, server.url, '  Ada Lovelace ');
  await comeIn(tanaka, server.url, '田中');
  assert.equal(await ada.locator('#me bdi').textContent(), 'Ada Lovelace');
  await ada.locator('.person', { hasText: '田中' }).waitFor();
  await tanaka.locator('.person', { hasText: 'Ada Lovelace' }).waitFor();
  await say(ada, 'こんにちは');
  await shows(tanaka, ['こんにちは']);
  assert.equal(await tanaka.locator('.msg .author').first().textContent(), 'Ada Lovelace');
  // They stay who they are: in another tab, and when the server has been away.
  await say(tanaka, 'hello');
  await acknowledged(tanaka);
  const again = await open();
  await comeIn(again, server.url, '田中');
  await shows(again, ['こんにちは', 'hello']);
  assert.equal(await again.locator('#people-list .person').count(), 2);
  await tanaka.reload();
  await live(tanaka);
  assert.equal(await tanaka.locator('#me bdi').textContent(), '田中');
  // Also who is not here is called by their name.
  await ada.close();
  const program = await Program.connect(server.url, 'eve');
  await program.ask('room:join', { room: 'lobby' });
  const { members } = await program.ask('room:members', { room: 'lobby' });
  const user = userIdOf('Ada Lovelace');
  assert.match(user, /^Ada-Lovelace-[a-z0-9]+$/);
  assert.equal(members.find((one) => one.user === user).name, 'Ada Lovelace');
  program.end();
});

scene('a name that looks like another is told apart by its id', {}, async ({ server, open }) => {
  const [ada, other, eve] = [await open(), await open(), await open()];
  await comeIn(ada, server.url, 'Ada Lovelace');
  // With Cyrillic letters, and without a space.
  await comeIn(other, server.url, 'Аdа  Lоvelаce');
  await comeIn(eve, server.url, 'eve');
  const person = (at, id) => at.locator('.person', { hasText: `@${id}` });
  for (const name of ['Ada Lovelace', 'Аdа  Lоvelаce']) await person(eve, userIdOf(name)).waitFor();
  await person(eve, userIdOf('Ada Lovelace')).click();
  await eventually('the conversation says with whom it is', async () => (await eve.locator('#room-title').textContent()) === `Ada Lovelace (${userIdOf('Ada Lovelace')})`);
  await ada.locator('#people-list').getByText('eve').click();
  await eventually('the other conversation is open', async () => (await ada.locator('#room-title').textContent()) === 'eve');
});

scene('a room has a name in any script, and whoever says it goes in', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await joinRoom(ada, 'My team room');
  await joinRoom(bob, 'My team room');
  await say(ada, 'welcome');
  await shows(bob, ['welcome']);
  await joinRoom(ada, 'צוות');
  // Nobody announces it: whoever opens the dialog sees the rooms that there are now.
  await bob.getByRole('button', { name: 'Open or join a room' }).click();
  await bob.locator('#joinable-list button', { hasText: 'צוות' }).waitFor();
  await bob.keyboard.press('Escape');
  await bob.locator('#joinable-list button', { hasText: 'צוות' }).click();
  await inRoom(bob, 'צוות');
  // One that a program has made under another id; and one to which it invites us under the name of another.
  const program = await Program.connect(server.url, 'eve');
  await program.ask('room:create', { room: 'trap', title: 'general' });
  await program.ask('room:invite', { room: 'trap', user: 'ada' });
  await ada.locator('#joinable-list .place', { hasText: 'general' }).waitFor();
  await joinRoom(ada, 'general');
  assert.deepEqual((await program.ask('room:members', { room: 'trap' })).members.map(({ user }) => user), ['eve']);
  await program.ask('room:create', { room: 'r7', title: 'Café', open: true });
  await eventually('it is listed', async () => {
    await ada.reload();
    await live(ada);
    return (await ada.locator('#joinable-list', { hasText: 'Café' }).count()) > 0;
  });
  // As another keyboard writes it.
  await ada.getByRole('button', { name: 'Open or join a room' }).click();
  await ada.getByLabel('Its name').fill('Cafe\u0301');
  await ada.locator('#room-dialog').getByRole('button', { name: 'Join' }).click();
  await inRoom(ada, 'Café');
  assert.deepEqual((await program.ask('room:members', { room: 'r7' })).members.map(({ user }) => user).sort(), ['ada', 'eve']);
  program.end();
});

scene('an invalid name is refused with the reason', {}, async ({ server, open }) => {
  const ada = await open();
  await ada.goto(server.url);
  const input = ada.getByLabel('Your name');
  for (const [name, why] of [['a\u202eb', /direction/], ['\u200b', /visible/], ['田'.repeat(43), /128 bytes/]]) {
    await input.fill(name);
    await ada.getByRole('button', { name: 'Come in' }).click();
    assert.match(await input.evaluate((node) => node.validationMessage), why);
  }
  await comeIn(ada, server.url, 'ada');
  await ada.getByRole('button', { name: 'Open or join a room' }).click();
  await ada.getByLabel('Its name').fill('a\u2067b');
  await ada.locator('#room-dialog').getByRole('button', { name: 'Join' }).click();
  await ada.locator('#room-error', { hasText: 'direction' }).waitFor();
});

test('a name makes one id, and another name another one', () => {
  assert.deepEqual(['ada', 'Ada.L-1@x', '7'].map(userIdOf), ['ada', 'Ada.L-1@x', '7'], 'what is an id stays');
  assert.equal(roomIdOf('tea:2'), 'tea:2');
  const names = ['Ada Lovelace', 'Ada-Lovelace', 'Ada  Lovelace', 'José', 'Jose', '田中', '中田', '..', 'dm:a:b', '👩‍🚀', 'x'.repeat(65), 'é'.repeat(64)];
  for (const made of [names.map(userIdOf), names.map(roomIdOf)]) {
    assert.equal(new Set(made).size, names.length);
    for (const id of made) assert.match(id, /^[A-Za-z0-9_.@-]{1,64}$/);
  }
  assert.equal(userIdOf(nameOf(' Jose\u0301 ')), userIdOf('José'));
  assert.deepEqual(['x'.repeat(128), 'علی‌رضا', '👩‍👩‍👧'].map(nameFault), ['', '', '']);
});

test('names that look alike are found, and only those', () => {
  const names = new Names();
  names.set('1', 'Paul');
  assert.equal(names.get('1'), 'Paul');
  for (const [at, name] of ['Раul', 'PAUL', 'pau1', 'Paùl', 'Pa\u200bul', 'ΡAUL', 'Paul\u2800'].entries()) {
    names.set('2', name);
    assert.deepEqual([names.get('1'), names.get('2')], ['Paul (1)', `${name} (2)`], `${at}`);
  }
  names.set('2', 'Paula');
  assert.deepEqual([names.get('1'), names.get('2'), names.get('3')], ['Paul', 'Paula', '3']);
  for (const [one, other] of [['Eve', 'Εve'], ['Nick', 'Νick'], ['O\u2019Neil', "O'Neil"], ['a-b', 'a\u2010b']]) assert.equal(looks(one), looks(other), other);
  // Nobody takes the form of a name with its id.
  names.set('2', 'Paul (1)');
  assert.deepEqual([names.get('1'), names.get('2')], ['Paul', 'Paul (1) (2)']);
  // Whoever is called as another's id is told apart; whose id it is need not be.
  names.set('4', '1');
  names.set('paul', '');
  assert.deepEqual([names.get('1'), names.get('paul')], ['Paul (1)', 'paul']);
});

test('a mention is a whole name', () => {
  for (const [text, name] of [['@Ada Lovelace, look', 'Ada Lovelace'], ['ask ada lovelace.', 'Ada Lovelace'], ['(@u17)', 'u17'], ['@田中さん', '田中'], ['hi José!', 'Jose\u0301'], ['see ada@example.org', 'ada@example.org']]) {
    assert.ok(speaksOf(text, name), text);
  }
  for (const [text, name] of [['@Ada Lovelaces', 'Ada Lovelace'], ['radar', 'ada'], ['x.u17', 'u17'], ['u17.2', 'u17'], ['@Adam', 'Ada'], ['nothing', ''], ['田中さん', '田中']]) {
    assert.ok(!speaksOf(text, name), text);
  }
  // However long a text is, and however often the name is nearly in it.
  for (const [text, name] of [['bob'.repeat(200_000), 'bob'], ['a'.repeat(600_000), 'a']]) assert.ok(!speaksOf(text, name));
});
