// The page when things go wrong or grow large: refusals, losses, another epoch, narrow limits, many rooms and people.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import WebSocket from 'ws';
import { LIMIT, acknowledged, newContext, scene, shows } from './scene.mjs';
import { Program, Server, comeIn, eventually, inRoom, joinRoom, live, say, sleep } from './support.mjs';

/** Stands between a page and its server: `toServer` and `toPage` see each message and give it on, changed, or not. */
async function between(page, { toServer = (message) => message, toPage = (message) => message } = {}) {
  const wire = { asked: [], closed: [], cut: null, tell: null, ask: null };
  await page.routeWebSocket(/\/ws/, (socket) => {
    const onward = socket.connectToServer();
    wire.cut = (code) => socket.close({ code });
    wire.tell = (message) => socket.send(JSON.stringify(message));
    wire.ask = (message) => onward.send(JSON.stringify(message));
    socket.onMessage((text) => {
      const message = toServer(JSON.parse(text));
      if (message === null) return;
      wire.asked.push(message);
      onward.send(JSON.stringify(message));
    });
    onward.onMessage((text) => {
      const message = toPage(JSON.parse(text));
      if (message !== null) socket.send(JSON.stringify(message));
    });
    onward.onClose((code, reason) => {
      wire.closed.push(code);
      socket.close({ code, reason });
    });
  });
  return wire;
}

const asked = (wire, type) => wire.asked.filter((message) => message.type === type);

scene('a server that has forgotten everything is begun anew with, and nobody\'s words are lost', { goesDown: true, args: ['--data', ':memory:'] }, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  for (const room of ['attic', 'tea']) await joinRoom(ada, room);
  await say(ada, 'before');
  await acknowledged(ada);
  await server.kill();
  await ada.locator('#state:not([data-state="online"])').waitFor();
  await say(ada, 'said into the dark');
  await server.start();
  await live(ada, 40_000);
  await inRoom(ada, 'lobby');
  await eventually('the words are in the message box', async () => (await ada.locator('#message').inputValue()) === 'said into the dark');
  assert.equal(await ada.locator('.toast', { hasText: 'has lost its data' }).count(), 1, 'told once, not for each room');
  assert.equal(await ada.locator('#room-list .place').count(), 1);
  await ada.locator('#message').press('Enter');
  await shows(ada, ['said into the dark']);
  await acknowledged(ada);
});

scene('a room whose position is refused goes on from its history', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  let isSwallowed = false;
  const wire = await between(ada, {
    toServer: (message) => {
      if (message.type === 'resume' && isSwallowed) {
        assert.ok('tea' in message.payload.rooms, 'something is missing there');
        message.payload.rooms.tea = 1_000_000;
      }
      return message;
    },
    // So that something is missing whenever the page is back: a room of which it has all is not named.
    toPage: (message) => {
      if (message.payload.text !== 'two' || message.type !== 'chat:message') return message;
      isSwallowed = true;
      return null;
    },
  });
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await joinRoom(ada, 'tea');
  await joinRoom(bob, 'tea');
  await say(bob, 'one');
  await shows(ada, ['one']);
  await say(bob, 'two');
  await eventually('the second is on its way', async () => isSwallowed);
  wire.cut(4101);
  await live(ada, 20_000);
  await shows(ada, ['one', 'two']);
  await say(bob, 'three');
  await shows(ada, ['one', 'two', 'three']);
});

scene('an entry that never came is fetched, and one of an unknown kind is no hole', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  const wire = await between(ada, {
    toPage: (message) => {
      if (message.payload.text === 'swallowed' && message.type === 'chat:message') return null;
      if (message.payload.text === 'of a later version') return { type: 'chat:future', payload: { ...message.payload, more: {} } };
      return message;
    },
  });
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await joinRoom(ada, 'tea');
  await joinRoom(bob, 'tea');
  await say(bob, 'of a later version');
  await say(bob, 'one');
  await shows(ada, ['one']);
  const fetched = () => asked(wire, 'chat:history').filter(({ payload }) => payload.after !== undefined).length;
  assert.equal(fetched(), 0, 'nothing was missing');
  await say(bob, 'swallowed');
  await say(bob, 'two');
  await shows(ada, ['one', 'swallowed', 'two']);
  assert.equal(fetched(), 1);
});

scene('a list of people that may be wrong is asked for again, whatever its version', {}, async ({ server, open }) => {
  const ada = await open();
  const wire = await between(ada);
  await comeIn(ada, server.url, 'ada');
  await ada.locator('.person', { hasText: 'ada' }).waitFor();
  // Past the window in which one's own coming is told.
  await sleep(600);
  const before = asked(wire, 'presence:list').length;
  wire.tell({ type: 'user:online', payload: { users: [], version: 1, reset: true } });
  await eventually('the list is asked for', () => asked(wire, 'presence:list').length > before);
});

scene('a read mark that is refused is not asked for without end', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  const wire = await between(ada, {
    toPage: (message) => (message.type === 'reply' && 'unread' in message.payload && !('title' in message.payload)
      ? { type: 'error', id: message.id, payload: { code: 'forbidden', message: 'no' } }
      : message),
  });
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await inRoom(ada, 'lobby');
  await ada.bringToFront();
  await say(bob, 'look');
  await shows(ada, ['look']);
  await sleep(1500);
  assert.ok(asked(wire, 'chat:read').length <= 4, `${asked(wire, 'chat:read').length} marks`);
});

scene('whoever leaves the last room stays outside, also after a loss', {}, async ({ server, open }) => {
  const ada = await open();
  const wire = await between(ada);
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  await ada.reload();
  await live(ada);
  await inRoom(ada, 'lobby');
  await ada.getByRole('button', { name: 'Leave this room' }).click();
  await ada.locator('#leave-dialog').getByRole('button', { name: 'Leave' }).click();
  await ada.getByText('You are not in any room.').waitFor();
  // The page may be back within milliseconds: the change is watched for from before the cut.
  await ada.evaluate(() => {
    const state = document.querySelector('#state');
    globalThis.lost = new Promise((resolve) => {
      new MutationObserver(() => state.dataset.state === 'online' || resolve()).observe(state, { attributes: true });
    });
  });
  wire.cut(4101);
  await ada.evaluate(() => globalThis.lost);
  await live(ada, 20_000);
  await sleep(500);
  await ada.getByText('You are not in any room.').waitFor();
  await ada.reload();
  await live(ada);
  await sleep(500);
  await ada.getByText('You are not in any room.').waitFor();
  await joinRoom(ada, 'tea');
  await ada.reload();
  await inRoom(ada, 'tea');
});

scene('what is no text is mended, and what is too large is refused here', { args: ['--set', 'limits.message_bytes=1500'] }, async ({ server, open }) => {
  const ada = await open();
  const wire = await between(ada);
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  const write = (text) => ada.locator('#message').evaluate((box, units) => {
    box.value = String.fromCharCode(...units);
    box.dispatchEvent(new InputEvent('input'));
    box.form.requestSubmit();
  }, Array.from({ length: text.length }, (_, at) => text.charCodeAt(at)));
  await write('half \ud83d and \u0007 bell');
  await shows(ada, ['half \ufffd and  bell']);
  await acknowledged(ada);
  await write('x'.repeat(2000));
  await ada.locator('.msg.failed', { hasText: 'it is too long' }).waitFor();
  await say(ada, 'still here');
  await acknowledged(ada);
  assert.deepEqual(wire.closed, []);
});

scene('whoever goes elsewhere before the lobby is entered stays there', {}, async ({ server, open }) => {
  const bob = await open();
  await comeIn(bob, server.url, 'bob');
  const ada = await open();
  let release;
  const wire = await between(ada, {
    toServer: (message) => {
      if (message.type !== 'room:join' || release !== undefined) return message;
      release = message;
      return null;
    },
  });
  await comeIn(ada, server.url, 'ada');
  await ada.locator('.person', { hasText: 'bob' }).click();
  await inRoom(ada, 'bob');
  wire.ask(release);
  await ada.locator('#room-list .place', { hasText: 'lobby' }).waitFor();
  await say(ada, 'only for you');
  await acknowledged(ada);
  assert.equal(await ada.locator('#room-title').textContent(), 'bob');
});

scene('a room that is entered before the lobby is shown after it', {}, async ({ server, open }) => {
  const ada = await open();
  const held = [];
  const wire = await between(ada, {
    toServer: (message) => {
      if (message.type !== 'room:join' || held.length === 2) return message;
      held.push(message);
      return null;
    },
  });
  await comeIn(ada, server.url, 'ada');
  await eventually('the lobby is asked for', () => held.length === 1);
  await ada.getByRole('button', { name: 'Open or join a room' }).click();
  await ada.getByLabel('Its name').fill('den');
  await ada.locator('#room-dialog').getByRole('button', { name: 'Join' }).click();
  await eventually('the den is asked for', () => held.length === 2);
  wire.ask(held[0]);
  await inRoom(ada, 'lobby');
  wire.ask(held[1]);
  await inRoom(ada, 'den');
});

scene('a click counts, though its row changes between the press and the release', {}, async ({ server, open }) => {
  const ada = await open();
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  const bob = await Program.connect(server.url, 'bob');
  await bob.ask('room:join', { room: 'lobby' });
  const row = ada.locator('#room-list .place', { hasText: 'lobby' });
  await row.locator('.place-name').hover();
  await ada.mouse.down();
  await bob.ask('chat:send', { room: 'lobby', text: 'hello' });
  await row.locator('.badge').waitFor();
  await ada.mouse.up();
  await inRoom(ada, 'lobby');
  bob.end();
});

scene('a room that was left and joined in another window between two frames is the new one', {}, async ({ server, open }) => {
  const [ada, other] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await joinRoom(ada, 'tea');
  await ada.locator('#room-list .place', { hasText: 'lobby' }).click();
  await inRoom(ada, 'lobby');
  await comeIn(other, server.url, 'ada');
  await joinRoom(other, 'tea');
  const bob = await Program.connect(server.url, 'bob');
  await bob.ask('room:join', { room: 'tea' });
  // As in a window that is hidden: no frame is drawn.
  await ada.evaluate(() => {
    const draw = globalThis.requestAnimationFrame.bind(globalThis);
    const held = [];
    globalThis.requestAnimationFrame = (call) => held.push(call);
    globalThis.goOn = () => {
      globalThis.requestAnimationFrame = draw;
      for (const call of held) draw(call);
    };
  });
  await other.getByRole('button', { name: 'Leave this room' }).click();
  await other.locator('#leave-dialog').getByRole('button', { name: 'Leave' }).click();
  await inRoom(other, 'lobby');
  await joinRoom(other, 'tea');
  await other.locator('#room-list .place', { hasText: 'lobby' }).click();
  await inRoom(other, 'lobby');
  await bob.ask('chat:send', { room: 'tea', text: 'welcome back' });
  await eventually('it is counted', async () => (await ada.title()).startsWith('(1)'));
  await ada.evaluate(() => globalThis.goOn());
  const row = ada.locator('#room-list .place', { hasText: 'tea' });
  await row.locator('.badge').waitFor();
  await row.click();
  await inRoom(ada, 'tea');
  await shows(ada, ['welcome back']);
  bob.end();
});

scene('a slow pace is kept, and what one says goes first', { args: ['--set', 'limits.requests_per_second=2', '--set', 'limits.burst=3'] }, async ({ server, open }) => {
  const ada = await open();
  let limited = 0;
  const wire = await between(ada, {
    toPage: (message) => {
      if (message.payload.code === 'rate_limited') limited += 1;
      return message;
    },
  });
  await comeIn(ada, server.url, 'ada');
  await inRoom(ada, 'lobby');
  const said = ['one', 'two', 'three', 'four', 'five'];
  for (const text of said) await say(ada, text);
  await shows(ada, said);
  await acknowledged(ada);
  assert.deepEqual(wire.closed, []);
  assert.ok(limited <= 2, `${limited} requests were over the rate`);
});

scene('a full storage and two windows of one person are no trouble', {}, async ({ server, open }) => {
  const ada = await open();
  await ada.addInitScript(() => {
    for (let size = 1 << 22; size > 0; size >>= 1) {
      try {
        for (let at = 0; ; at += 1) sessionStorage.setItem(`full ${size} ${at}`, 'x'.repeat(size));
      } catch {
        // Smaller, then.
      }
    }
  });
  const second = await open(ada.context());
  for (const page of [ada, second]) await comeIn(page, server.url, 'ada');
  await say(ada, 'from a full window');
  for (const page of [ada, second]) await shows(page, ['from a full window']);
  await say(second, 'from another');
  for (const page of [ada, second]) await shows(page, ['from a full window', 'from another']);
  await acknowledged(ada);
});

scene('two hundred rooms and five hundred people', {
  args: ['connections_per_user=50', 'connections_per_address=1000', 'requests_per_second=1000', 'burst=1000'].flatMap((limit) => ['--set', `limits.${limit}`]),
}, async ({ server, open }) => {
  const sockets = [];
  const connect = (user) => new Promise((resolve, reject) => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws?user=${user}`);
    sockets.push(socket);
    socket.once('message', () => resolve(socket));
    socket.once('error', reject);
  });
  try {
    const self = await connect('ada');
    for (let room = 1; room <= 200; room += 1) self.send(JSON.stringify({ type: 'room:join', payload: { room: `room-${room}` } }));
    for (let at = 1; at < 500; at += 50) await Promise.all(Array.from({ length: 50 }, (_, guest) => connect(`guest-${at + guest}`)));
    const ada = await open();
    await comeIn(ada, server.url, 'ada');
    await eventually('all rooms are listed', async () => (await ada.locator('#room-list .place').count()) === 200);
    await eventually('all people are listed', async () => (await ada.locator('#people-title').textContent()) === '501 here');
    const names = await ada.locator('#room-list .place-name').allTextContents();
    assert.deepEqual(names.slice(0, 3), ['room-1', 'room-2', 'room-3'], 'numbers in the order of numbers');
    await say(ada, 'room for all');
    await acknowledged(ada);
    for (const socket of sockets.splice(1)) socket.close();
    await eventually('all have gone', async () => (await ada.locator('#people-title').textContent()) === '1 here');
  } finally {
    for (const socket of sockets) socket.terminate();
  }
});

scene('names and words of any length and direction stay in their place', {}, async ({ server, open }) => {
  const [ada, long] = [await open(), await open()];
  await comeIn(ada, server.url, 'ada');
  await comeIn(long, server.url, 'w'.repeat(64));
  await joinRoom(long, `${'r'.repeat(60)}-end`);
  await joinRoom(ada, `${'r'.repeat(60)}-end`);
  await say(long, `${'word'.repeat(200)} \u202eright to left\u202c and back`);
  await ada.locator('.msg').waitFor();
  for (const width of [1280, 390]) {
    await ada.setViewportSize({ width, height: 800 });
    const over = await ada.evaluate(() => [...document.querySelectorAll('body, .bar, .log, .msg, .rail-scroll, .people, .composer')]
      .filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.className || node.tagName));
    assert.deepEqual(over, [], `nothing is wider than its place at ${width}`);
  }
});

scene('with a base font of twice the size nothing is cut', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await comeIn(ada, server.url, 'Augusta Ada King');
  await comeIn(bob, server.url, 'bob');
  await joinRoom(ada, 'The reading room');
  await say(ada, 'Who has the key to the cabinet?');
  await ada.locator('.msg').waitFor();
  const cut = () => ada.evaluate(() => {
    const [width, height] = [window.innerWidth, window.innerHeight];
    const isShown = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility === 'visible';
    const parts = ['.bar', '.rail-head', '.rail-foot', '.people-head', '.composer', '.typing'].flatMap((part) => [...document.querySelectorAll(part)]).filter(isShown);
    return parts.flatMap((part) => {
      const room = part.getBoundingClientRect();
      return [part, ...part.querySelectorAll('*')].filter(isShown).filter((node) => !node.closest('svg, .unseen, .avatar')).filter((node) => {
        const { top, bottom, left, right } = node.getBoundingClientRect();
        const isOut = top < room.top - 1 || bottom > room.bottom + 1 || left < -1 || right > width + 1 || bottom > height + 1;
        return isOut || (node.matches('h1, h2, p, button, textarea') && node.scrollHeight > node.clientHeight + 2);
      }).map((node) => `${part.className}: ${node.id || node.className || node.tagName}`);
    });
  });
  for (const [width, height] of [[1280, 800], [1000, 700], [390, 844]]) {
    await ada.setViewportSize({ width, height });
    for (const size of ['', '200%']) {
      await ada.evaluate((size) => { document.documentElement.style.fontSize = size; }, size);
      await eventually(`nothing is cut at ${width} with ${size || 'the usual font'}`, async () => {
        const found = await cut();
        if (found.length > 0) throw new Error(found.join(', '));
        return true;
      }, 3_000);
    }
  }
});

scene('light and dark are chosen for good', {}, async ({ server, open }) => {
  const page = await open();
  await comeIn(page, server.url, 'ada');
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: 'light' });
  const light = await ground();
  await page.getByRole('button', { name: 'Colours: like the system' }).click();
  assert.equal(await ground(), light);
  await page.getByRole('button', { name: 'Colours: light' }).click();
  await page.getByRole('button', { name: 'Colours: dark' }).waitFor();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await live(page);
  assert.equal(await ground(), dark, 'after a reload');
  const other = await open(page.context());
  await other.goto(server.url);
  await other.getByLabel('Your name').waitFor();
  assert.equal(await other.evaluate(() => getComputedStyle(document.body).backgroundColor), dark, 'in another window');
  await page.getByRole('button', { name: 'Colours: dark' }).click();
  assert.equal(await ground(), light, 'back to the system\'s');
});

scene('a phone\'s drawers open, hold the keyboard and close by keys alone', {}, async ({ server, open }) => {
  const [ada, bob] = [await open(), await open()];
  await ada.setViewportSize({ width: 390, height: 844 });
  await comeIn(ada, server.url, 'ada');
  await comeIn(bob, server.url, 'bob');
  await inRoom(ada, 'lobby');
  await ada.locator('#people-list .person', { hasText: 'bob' }).waitFor({ state: 'attached' });
  const focused = () => ada.evaluate(() => document.activeElement.closest('#rail, #people, .hall')?.id || document.activeElement.closest('.hall')?.className || '');
  for (const drawer of ['rail', 'people']) {
    assert.equal(await ada.locator(`#${drawer}`).isVisible(), false);
    await ada.locator(`#${drawer}-open`).focus();
    await ada.keyboard.press('Enter');
    await ada.locator(`#${drawer} .drawer-close:focus`).waitFor();
    assert.equal(await ada.locator(`#${drawer}-open`).getAttribute('aria-expanded'), 'true');
    for (let step = 0; step < 12; step += 1) {
      await ada.keyboard.press('Tab');
      assert.notEqual(await focused(), 'hall', 'what lies below cannot be reached');
    }
    await ada.keyboard.press('Escape');
    await ada.locator(`#${drawer}-open:focus`).waitFor();
    await ada.locator(`#${drawer}`).waitFor({ state: 'hidden' });
  }
  await ada.keyboard.press('Enter');
  await ada.locator('#people .drawer-close:focus').waitFor();
  await ada.locator('.person', { hasText: 'bob' }).focus();
  await ada.keyboard.press('Enter');
  await inRoom(ada, 'bob');
  await ada.locator('#people').waitFor({ state: 'hidden' });
});

test('a server that restarts lets its people go and has them back, with what they said meanwhile', LIMIT, async () => {
  const server = await Server.start();
  const context = await newContext();
  try {
    const ada = await context.newPage();
    await comeIn(ada, server.url, 'ada');
    await joinRoom(ada, 'tea');
    await server.stop();
    await ada.locator('#state[data-state="waiting"]').waitFor();
    await say(ada, 'said while it restarts');
    await ada.locator('.msg.queued').waitFor();
    // Attempts that fail meanwhile do not hide why the connection ended.
    await ada.locator('#banner:not([hidden])').waitFor();
    const reasons = new Set();
    for (let look = 0; look < 40; look += 1) {
      reasons.add(await ada.locator('#banner-text').textContent());
      await sleep(100);
    }
    reasons.delete('Reconnecting…');
    assert.deepEqual([...reasons], ['The server is restarting.']);
    await server.start();
    await live(ada, 40_000);
    await shows(ada, ['said while it restarts']);
    await acknowledged(ada);
  } finally {
    await context.close();
    await server.end();
  }
});
