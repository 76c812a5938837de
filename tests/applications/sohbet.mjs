// The chat: its hooks and service, its provider, window and list of conversations, and what it calls others with.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { PARLOR, Program, Server, eventually, temporaryDirectory } from '../browser/support.mjs';

const LAYER = 'parlor-client/compat/sohbet';
const APP = 'frontend/app';
/** What its components are drawn with, and is not here. */
const WIDGETS = ['Avatar', 'AvatarFallback', 'Button', 'Card', 'CardContent', 'CardHeader', 'CardTitle', 'Input', 'ScrollArea', 'Send'];

export const repository = 'Xivlon/Sohbet';
export const folders = [`${APP}/lib`, `${APP}/components`];
const service = { '../lib/websocket-service': LAYER };
const calls = { [`${APP}/lib/webrtc-service.ts`]: { './websocket-service': LAYER } };
export const variants = [
  {
    name: 'hooks',
    what: 'with its own hooks',
    imports: { ...calls, [`${APP}/lib/use-websocket.ts`]: service, [`${APP}/components/websocket-provider.tsx`]: service },
  },
  {
    name: 'components',
    what: 'with its own components',
    imports: {
      ...calls,
      [`${APP}/lib/use-websocket.ts`]: service,
      [`${APP}/components/websocket-provider.tsx`]: { ...service, '../lib/use-websocket': LAYER },
      [`${APP}/components/chat-window.tsx`]: { '../lib/use-websocket': LAYER },
      [`${APP}/components/chat-list.tsx`]: { '../lib/use-websocket': LAYER },
    },
  },
];
export const types = {
  files: ['lib/use-websocket.ts', 'lib/webrtc-service.ts', 'components/websocket-provider.tsx', 'components/chat-window.tsx', 'components/chat-list.tsx'].map((file) => `${APP}/${file}`),
  paths: { '@/app/lib/*': [`./${APP}/lib/*`] },
  ambient: `
    declare module '@/app/components/*';
    declare module '@/app/components/ui/input' { export const Input: (props: import('react').ComponentProps<'input'>) => null }
    declare module 'lucide-react';
    declare const process: { env: Record<string, string | undefined> };
    declare namespace NodeJS { type Timeout = ReturnType<typeof setTimeout> }
  `,
};
export const what = 'two people talk, are seen to type and to be here, and after a kill -9 what was said meanwhile comes once';

/** Its widgets, as plain elements. */
const widgets = {
  name: 'widgets',
  setup(build) {
    build.onResolve({ filter: /^(@\/app\/components\/|lucide-react$)/ }, () => ({ path: 'widgets', namespace: 'widgets' }));
    build.onResolve({ filter: /^@\/app\/lib\// }, ({ path, ...from }) => build.resolve(path.replace('@/app/', '../'), { ...from, pluginName: 'widgets', kind: 'import-statement' }));
    build.onLoad({ filter: /.*/, namespace: 'widgets' }, () => ({
      loader: 'jsx',
      resolveDir: process.cwd(),
      contents: WIDGETS.map((name) => {
        const element = { Button: 'button', Input: 'input' }[name] ?? 'div';
        return `export const ${name} = (props) => <${element} {...props} />;`;
      }).join('\n'),
    }));
  },
};

export async function run({ browser, pages, bundle, variant }) {
  const directory = temporaryDirectory();
  const secret = `${directory}/secret`;
  writeFileSync(secret, 'a secret for this run that is long enough');
  const server = await Server.start('--set', `auth.secret_file=${secret}`, '--set', `http.allowed_origins=${pages.url}`);
  const token = (user) => execFileSync(PARLOR, ['token', '--user', user, '--secret-file', secret], { encoding: 'utf8' }).trim();
  const contexts = [];
  try {
    const define = { 'process.env.NEXT_PUBLIC_WS_URL': JSON.stringify(server.url.replace('http', 'ws')), 'process.env.NEXT_PUBLIC_API_URL': '""', 'process.env': '{}' };
    pages.scripts.set(variant, await bundle('sohbet-page.jsx', { define: { ...define, 'process.env.NEXT_PUBLIC_API_URL': JSON.stringify(pages.url) }, plugins: [widgets] }));
    const owner = await Program.connect(server.url, null, token('1'));
    await owner.ask('room:create', { room: '7', members: ['2'] });
    await owner.end();
    const open = async (user) => {
      const context = await browser.newContext();
      contexts.push(context);
      const page = await context.newPage();
      page.errors = [];
      page.on('pageerror', (error) => page.errors.push(error.stack));
      const other = user === '1' ? 2 : 1;
      const answers = {
        messages: { messages: [] },
        conversations: { conversations: [{ id: 7, user1_id: 1, user2_id: 2 }] },
        users: { id: other, username: `user ${other}`, email: '' },
      };
      await page.route('**/api/**', (route) => route.fulfill({ json: answers[/messages|conversations(?!\/)|users/.exec(route.request().url())[0]] }));
      await page.addInitScript((value) => localStorage.setItem('auth_token', value), token(user));
      await page.goto(`${pages.url}/${variant}?user=${user}`);
      await connected(page);
      return page;
    };
    const connected = (page) => page.getByText('Connected', { exact: true }).waitFor({ timeout: 40_000 });
    const box = (page) => page.getByPlaceholder('Mesaj yazın...');
    const say = async (page, text) => {
      await box(page).fill(text);
      await box(page).press('Enter');
    };
    const shown = (page, text) => eventually(`${text}, once`, async () => (await page.locator('p.whitespace-pre-wrap', { hasText: text }).count()) === 1);
    const one = await open('1');
    const two = await open('2');
    await one.locator('.bg-green-500.border-2').waitFor({ state: 'attached' });
    await say(two, 'hello');
    await shown(one, 'hello');
    await box(two).pressSequentially('x');
    await one.getByText('yazıyor...').waitFor();
    await server.kill();
    await one.getByText('Reconnecting...').waitFor();
    await say(two, 'while it was away');
    await server.start();
    for (const page of [one, two]) await connected(page);
    await shown(one, 'while it was away');
    for (const page of [one, two]) assert.deepEqual(page.errors, []);
  } finally {
    await Promise.all(contexts.map((context) => context.close()));
    await server.end();
    rmSync(directory, { recursive: true });
  }
}
