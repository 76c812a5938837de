// The pages in Firefox and in WebKit, a short round: two people chat, a server goes away and comes back, one signs in and out, two tabs
// of one person, two administrators at the dashboard. Chromium has all the other tests.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { firefox, webkit } from './drivers.mjs';
import { PARLOR, Program, Server, eventually, temporaryDirectory } from './support.mjs';

const LIMIT = { timeout: 240_000 };
// The client waits up to 30 s between two attempts, and Firefox holds a WebSocket back to a host that did not answer (RFC 6455 §7.2.3).
const BACK_MS = 75_000;
const MESSAGES = '#log-rows .msg .text';

for (const [name, launch] of [['Firefox', firefox], ['WebKit', webkit]]) {
  suite(name, () => {
    let browser;
    let windows = [];
    before(async () => {
      browser = await launch();
    }, { timeout: 60_000 });
    after(() => browser?.close());

    const open = async (url) => {
      const window = await browser.window();
      windows.push(window);
      await window.open(url);
      return window;
    };
    const live = (window, ms) => window.sees('#state[data-state="online"]', '', true, ms);
    const back = (window) => live(window, BACK_MS);
    const comeIn = async (server, user) => {
      const window = await open(server.url);
      await window.enter('#name', user);
      await live(window);
      await window.sees('#room-title', 'lobby');
      return window;
    };
    const say = (window, text) => window.enter('#message', text);
    const acknowledged = (window) => window.has('.msg.queued, .msg.sent', []);

    function scene(what, run, ...options) {
      test(what, LIMIT, async () => {
        const server = await Server.start(...options);
        try {
          await run(server);
        } finally {
          for (const window of windows) await window.close().catch(() => {});
          windows = [];
          await server.end();
        }
      });
    }

    scene('two people see each other and what they say', async (server) => {
      const ada = await comeIn(server, 'Ada Lovelace');
      const bob = await comeIn(server, 'bob');
      await ada.sees('#people-list .person', 'bob');
      await bob.sees('#people-list .person', 'Ada Lovelace');
      await say(ada, 'Good evening, José – ☕');
      await bob.has(MESSAGES, ['Good evening, José – ☕']);
      await say(bob, '<b>hello</b>');
      await ada.has(MESSAGES, ['Good evening, José – ☕', '<b>hello</b>']);
      await bob.close();
      windows.splice(1, 1);
      await ada.sees('#people-list .person.away', 'bob');
    });

    scene('what is said while the server is away is sent once, also after a reload', async (server) => {
      const ada = await comeIn(server, 'ada');
      const bob = await comeIn(server, 'bob');
      await say(ada, 'before');
      await bob.has(MESSAGES, ['before']);
      await server.kill();
      await ada.sees('#state[data-state="waiting"], #state[data-state="connecting"]');
      await say(ada, 'into the dark');
      await ada.sees('.msg.queued, .msg.sent', 'into the dark');
      await server.start();
      for (const window of [ada, bob]) await back(window);
      await bob.has(MESSAGES, ['before', 'into the dark']);
      await acknowledged(ada);
      await ada.reload();
      await live(ada);
      await ada.has(MESSAGES, ['before', 'into the dark']);
    });

    scene('two tabs of one person show the same, and neither sends twice', async (server) => {
      const [one, other] = [await comeIn(server, 'ada'), await comeIn(server, 'ada')];
      await say(one, 'here');
      await other.has(MESSAGES, ['here']);
      await server.kill();
      await one.sees('#state[data-state="waiting"], #state[data-state="connecting"]');
      await say(one, 'from the first');
      await say(other, 'from the second');
      await server.start();
      for (const window of [one, other]) {
        await back(window);
        await acknowledged(window);
      }
      for (const window of [one, other]) {
        await window.sees(MESSAGES, 'from the first');
        await window.sees(MESSAGES, 'from the second');
        assert.equal((await window.texts(MESSAGES)).length, 3);
      }
      assert.deepEqual(await one.texts('#people-list .person-name'), ['ada']);
    });

    /** A server with a secret, and what makes tokens of it. */
    function secretScene(what, run) {
      const folder = temporaryDirectory();
      const secret = join(folder, 'secret');
      after(() => rmSync(folder, { recursive: true, force: true }));
      writeFileSync(secret, 'a secret of more than thirty-two bytes, for a test only', { mode: 0o600 });
      const token = (user, ...more) => execFileSync(PARLOR, ['token', '--user', user, '--ttl', '1h', '--secret-file', secret, ...more], { encoding: 'utf8' }).trim();
      scene(what, (server) => run(server, token), '--secret-file', secret);
    }

    secretScene('a link signs one in, until one signs out', async (server, token) => {
      const window = await open(token('ada', '--name', 'Ada Lovelace', '--url', server.url));
      await live(window);
      await window.sees('#me', 'Ada Lovelace');
      assert.equal(await window.run('return location.hash;'), '', 'the code is gone from the address');
      await window.reload();
      await live(window);
      await window.click('#sign-out');
      await window.click('#sign-out-go');
      await window.sees('#door-lead', 'personal link');
      await window.reload();
      await window.sees('#door-lead', 'personal link');
    });

    secretScene('two administrators: what one does, the other reads in the audit log, also after a restart', async (server, token) => {
      const bob = await Program.connect(server.url, 'bob', token('bob'));
      const closed = new Promise((resolve) => bob.socket.on('close', resolve));
      const lookIn = async (admin) => {
        const window = await open(`${server.url}/dashboard`);
        await window.enter('#gate-token', token(admin, '--admin'));
        await window.sees('#state', 'Live');
        return window;
      };
      const [root, deputy] = [await lookIn('root'), await lookIn('deputy')];
      await deputy.click('#tab-audit');
      await deputy.sees('#found', 'Nothing is here.');
      await root.sees('#rows tbody tr', 'bob');
      await root.click('#rows button[aria-label$=" of bob"]');
      await root.click('#act-go');
      assert.equal(await closed, 4003);
      await root.sees('#said', 'Disconnected 1 connection.');
      await deputy.sees('#rows tbody tr', 'root');
      // Of the window in front: others are not drawn.
      const shown = () => deputy.run('return document.querySelector("#plots [role=img]").getAttribute("aria-label");');
      await eventually('the first plot has drawn', async () => /, the last hour: .* now \d/.test(await shown()));
      assert.ok(await deputy.run('return document.querySelectorAll("#plots canvas").length;') >= 12);
      await server.restart();
      await root.sees('#state', 'Live', true, BACK_MS);
      await deputy.sees('#state', 'Live', true, BACK_MS);
      await root.click('#tab-audit');
      for (const window of [root, deputy]) await window.sees('#rows tbody tr', 'admin:disconnect');
    });
  });
}
