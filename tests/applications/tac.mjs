// The dashboards: nine hooks over the one that this package has, each with a path of its own.

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { Server, eventually, temporaryDirectory } from '../browser/support.mjs';

const SRC = 'app/client/src';
const ADMIN = 'the-token-of-who-runs-the-server-';
const PATHS = '/api/v1/ws';
/** Of each stream its path's last segment, what its messages are called, and the part of a hook's state that shows it. */
const VIEWS = [
  ['workflows', 'workflows_update', [{ adw_id: 'one' }], ({ workflows }) => workflows.workflows],
  ['routes', 'routes_update', [{ path: '/x' }], ({ routes }) => routes.routes],
  ['workflow-history', 'workflow_history_update', { workflows: [], total_count: 3, analytics: {} }, ({ history: { workflows, totalCount: total_count, analytics } }) => ({ workflows, total_count, analytics })],
  ['adw-monitor', 'adw_monitor_update', { workflows: [], summary: { total: 1 }, last_updated: 'now' }, ({ monitor: { workflows, summary, lastUpdated: last_updated } }) => ({ workflows, summary, last_updated })],
  ['queue', 'queue_update', { phases: [{ queue_id: 'q' }], paused: true }, ({ queue: { phases, paused } }) => ({ phases, paused })],
  ['system-status', 'system_status_update', { overall_status: 'healthy' }, ({ system }) => system.systemStatus],
  ['webhook-status', 'webhook_status_update', { status: 'healthy' }, ({ webhook }) => webhook.webhookStatus],
  ['planned-features', 'planned_features_update', { features: [{ id: 1 }], stats: {} }, ({ planned: { features, stats } }) => ({ features, stats })],
];

export const repository = 'warmonger0/tac-webbuilder';
export const folders = [SRC];
export const variants = [{ name: 'dashboards', what: 'with its own hooks', imports: { [`${SRC}/hooks/useWebSocket.ts`]: { './useReliableWebSocket': 'parlor-client/compat/tac' } } }];
export const types = {
  files: [`${SRC}/hooks/useWebSocket.ts`],
  ambient: `
    declare module 'vite/client';
    interface ImportMeta { env: Record<string, string | undefined> }
  `,
};
export const what = 'nine hooks show what is published, also after a kill -9, and one ends with its component';

export async function run({ browser, pages, bundle, variant }) {
  const directory = temporaryDirectory();
  writeFileSync(`${directory}/admin`, ADMIN);
  const declared = VIEWS.map(([path, type]) => `${path} = { publish = true, read = "public", path = "${PATHS}/${path}", type = "${type}" }`);
  declared.push(`"adw-state:{id}" = { publish = true, read = "public", path = "${PATHS}/adw-state/{id}", type = "adw_state_update" }`);
  const args = ['--set', 'auth.anonymous=true', '--set', `auth.admin_token_file=${directory}/admin`, '--set', `http.allowed_origins=${pages.url}`, '--set', `streams={ ${declared.join(', ')} }`];
  const server = await Server.start(...args);
  const publish = async (stream, data) => {
    const headers = { Authorization: `Bearer ${ADMIN}`, 'Content-Type': 'application/json' };
    const response = await fetch(`${server.url}/api/v1/streams/${stream}`, { method: 'POST', headers, body: JSON.stringify(data) });
    assert.ok(response.ok, await response.text());
  };
  const context = await browser.newContext();
  try {
    const env = { VITE_BACKEND_URL: server.url, VITE_BACKEND_PORT: String(server.port) };
    pages.scripts.set(variant, await bundle('tac-page.jsx', { define: { 'import.meta.env': JSON.stringify(env) } }));
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.stack));
    // Its own backend is not here: there is nothing but the sockets.
    let asked = 0;
    await page.route(`${server.url}/api/v1/**`, (route) => ((asked += 1), route.fulfill({ status: 404, json: { detail: 'not here' } })));
    await page.goto(`${pages.url}/${variant}`);
    const state = () => page.evaluate(() => globalThis.state);
    const shows = (change) => eventually('every view shows it', async () => {
      const now = await state();
      for (const [path, , data, read] of VIEWS) assert.deepEqual(read(now), change(data), path);
      assert.deepEqual(now.one.state, change({ adw_id: 'x1', status: 'running' }));
      return true;
    }, 60_000);
    const all = [...VIEWS.map(([path, , data]) => [path, data]), ['adw-state:x1', { adw_id: 'x1', status: 'running' }]];
    await eventually('all are connected', async () => Object.values(await state()).every(({ isConnected }) => isConnected));
    for (const [stream, data] of all) await publish(stream, data);
    await shows((data) => data);
    for (const view of Object.values(await state())) assert.equal(view.connectionQuality, 'excellent');
    const before = asked;
    await server.kill();
    await eventually('all have noticed', async () => Object.values(await state()).every(({ isConnected, connectionQuality }) => !isConnected && connectionQuality === 'disconnected'));
    await server.start();
    await eventually('all are back', async () => Object.values(await state()).every(({ isConnected, reconnectAttempts }) => isConnected && reconnectAttempts === 0), 60_000);
    const changed = (data) => (Array.isArray(data) ? [...data, ...data] : { ...data, again: true });
    const second = (data) => (Array.isArray(data) ? changed(data) : { ...data, ...(data.status && { status: 'changed' }), ...(data.overall_status && { overall_status: 'changed' }) });
    for (const [stream, data] of all) await publish(stream, second(data));
    await shows(second);
    assert.equal(asked, before, 'no query while the sockets work, and none that was due');
    // A component that is gone wants nothing any more.
    await page.evaluate(() => globalThis.show(null));
    await eventually('it is let go of', async () => !(await state()).one.isConnected);
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
    await server.end();
    rmSync(directory, { recursive: true });
  }
}
