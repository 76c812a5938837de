// Pictures of the dashboard under load: node dashboard-images.mjs DIR [SECONDS]. Starts a server of its own; clients come,
// talk, flood and go for SECONDS (90).

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PARLOR, Program, Server, fromDisk, launch, sleep } from './support.mjs';

const directory = process.argv[2] ?? 'docs/images';
const seconds = Number(process.argv[3] ?? 90);
const ADMIN = 'an admin token for pictures alone, in more than 32 bytes';
const NAMES = ['ada', 'grace', 'barbara', 'linus', 'margaret', 'edsger', 'hedy', 'alan'];
const CROWD = 160;

mkdirSync(directory, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'parlor-images-'));
const [secret, admin] = [join(folder, 'secret'), join(folder, 'admin')];
writeFileSync(secret, 'a secret of more than thirty-two bytes, for pictures only', { mode: 0o600 });
writeFileSync(admin, ADMIN, { mode: 0o600 });
const streams = '{ clock = { command = ["date", "+%s"], every_ms = 1000 }, "sensor:{id}" = { keep = 100, publish = true } }';
const server = await Server.start('--secret-file', secret, '--set', `auth.admin_token_file=${admin}`, '--set', `streams=${streams}`, '--set', 'limits.connections_per_user=64', '--set', 'limits.connections_per_address=1000');
const browser = await launch();
let ends = false;
try {
  const token = (user) => execFileSync(PARLOR, ['token', '--user', user, '--ttl', '1h', '--secret-file', secret], { encoding: 'utf8' }).trim();
  const tokens = Object.fromEntries(NAMES.map((name) => [name, token(name)]));
  const crowd = [];
  for (let n = 0; n < CROWD; n += 1) crowd.push(await Program.connect(server.url, null, tokens[NAMES[n % NAMES.length]]));
  for (const [n, room] of ['reading-room', 'kitchen', 'garden', 'attic'].entries()) {
    for (const one of crowd.slice(0, NAMES.length)) await one.ask('room:join', { room }).catch(() => crowd[n].ask('room:create', { room, open: true }));
  }
  const talk = async (one, n) => {
    while (!ends) {
      await one.ask('chat:send', { room: 'kitchen', text: `number ${n}` }).catch(() => {});
      await sleep(400 + ((n * 97) % 600) * (1 + Math.sin(Date.now() / 20_000)));
    }
  };
  const load = crowd.slice(0, 40).map(talk);
  // One who asks for more than is allowed.
  const flood = (async () => {
    while (!ends) {
      await Promise.all(Array.from({ length: 60 }, () => crowd[50].ask('ping').catch(() => {})));
      await sleep(1_500);
    }
  })();
  const call = (type, payload) => fetch(`${server.url}/api/v1/call/${type}`, { method: 'POST', headers: { Authorization: `Bearer ${ADMIN}` }, body: JSON.stringify(payload) });
  await call('admin:push', { all: true, type: 'app:news', payload: {} });
  await call('admin:disconnect', { user: 'alan' });
  await sleep(seconds * 1_000);
  const open = async (options) => {
    const context = await browser.newContext({ reducedMotion: 'reduce', locale: 'en-GB', ...options });
    await fromDisk(context);
    const page = await context.newPage();
    await page.goto(`${server.url}/dashboard`);
    await page.getByLabel('Admin token').fill(ADMIN);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('img', { name: /^Connections, the last hour: .* now \d/ }).waitFor();
    await page.locator('#rows tbody tr').first().waitFor();
    return page;
  };
  for (const colorScheme of ['light', 'dark']) {
    const desk = await open({ colorScheme, viewport: { width: 1280, height: 900 } });
    await desk.screenshot({ path: join(directory, `dashboard-${colorScheme}.png`) });
    if (process.env.ALL) await desk.screenshot({ path: join(directory, `whole-${colorScheme}.png`), fullPage: true });
    const phone = await open({ colorScheme, viewport: { width: 390, height: 844 } });
    await phone.screenshot({ path: join(directory, `dashboard-phone-${colorScheme}.png`) });
    if (process.env.ALL && colorScheme === 'dark') {
      await phone.getByRole('tab', { name: 'Audit log' }).click();
      await phone.screenshot({ path: join(directory, 'phone-whole.png'), fullPage: true });
      await phone.getByRole('tab', { name: 'Connections' }).click();
      await phone.locator('#rows tbody tr').first().waitFor();
      await phone.locator('#tables').screenshot({ path: join(directory, 'phone-connections.png') });
      await server.stop();
      await desk.locator('body.is-gone').waitFor();
      await desk.screenshot({ path: join(directory, 'gone.png') });
    }
  }
  ends = true;
  for (const one of crowd) one.end();
  await Promise.race([Promise.all([...load, flood]), sleep(100)]);
} finally {
  await browser.close();
  await server.end();
  rmSync(folder, { recursive: true });
}
process.exit(0);
