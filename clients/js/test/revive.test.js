// Who gives up, and what brings them back: the client, the service of a page, and the plain WebSocket, which all do the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { reliable } from '../src/reliable.js';
import { WebSocketService } from '../src/service.js';
import { fakePage, fakeServer } from '../src/testing.js';

const HOUR_MS = 3_600_000;
const KINDS = {
  'a client': (env, attempts) => {
    const client = connect('http://host/ws?user=ada', { env, backoff: attempts && { attempts } });
    return { name: () => client.state.name, retryNow: () => client.retryNow() };
  },
  'a service': (env, attempts) => {
    const service = new WebSocketService({ url: 'http://host/ws?user=ada', env, ...(attempts && { attempts }) });
    service.connect();
    return { name: () => service.client.state.name, retryNow: () => void service.connect() };
  },
  'a plain WebSocket': (env, attempts) => {
    const socket = reliable('http://host/any', { env, ...(attempts && { attempts }) });
    return { name: () => socket.snapshot().state.name, retryNow: () => socket.retryNow() };
  },
};
const WAKES = {
  online: (page) => page.fire('online'),
  'a page that is seen': (page) => (page.hide(), page.show()),
  pageshow: (page) => page.fire('pageshow', { persisted: true }),
};

/** One that is open, on a page. */
async function begin(kind, attempts) {
  const [server, page] = [fakeServer(), fakePage()];
  const one = KINDS[kind]({ ...server.env, document: page.document, window: page.window }, attempts);
  await server.clock.advance(100);
  assert.equal(one.name(), 'online');
  return { ...one, server, page, clock: server.clock };
}

for (const kind of Object.keys(KINDS)) {
  test(`${kind} does not give up while the server is away for an hour`, async () => {
    const { server, clock, name } = await begin(kind);
    server.faults.unreachable = true;
    server.cut();
    await clock.advance(HOUR_MS);
    assert.notEqual(name(), 'failed');
    server.faults.unreachable = false;
    await clock.advance(60_000);
    assert.equal(name(), 'online');
  });

  for (const [what, wake] of [...Object.entries(WAKES), ['retryNow()', (_, retryNow) => retryNow()]]) {
    test(`${kind} that has given up is brought back by ${what}, and gives up again after as many attempts`, async () => {
      const { server, page, clock, name, retryNow } = await begin(kind, 3);
      server.faults.unreachable = true;
      server.cut();
      await clock.advance(HOUR_MS);
      assert.deepEqual([name(), server.attempts], ['failed', 4]);
      wake(page, retryNow);
      await clock.advance(HOUR_MS);
      // One at once, and three more.
      assert.deepEqual([name(), server.attempts], ['failed', 8]);
      server.faults.unreachable = false;
      wake(page, retryNow);
      await clock.advance(100);
      assert.equal(name(), 'online');
    });
  }

  test(`${kind} that was sent away for good is brought back by retryNow() alone`, async () => {
    // Also where it would have been the last attempt.
    for (const attempts of [undefined, 1]) {
      const { server, page, clock, name, retryNow } = await begin(kind, attempts);
      server.cut(1012);
      await clock.advance(10_000);
      server.cut(4003);
      await clock.advance(100);
      const before = server.attempts;
      for (const wake of Object.values(WAKES)) {
        wake(page);
        await clock.advance(10_000);
      }
      assert.deepEqual([name(), server.attempts], ['failed', before]);
      retryNow();
      await clock.advance(100);
      assert.equal(name(), 'online');
    }
  });
}
