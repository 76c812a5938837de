// Starts a server for the pages beside this file, and hands them out. Run: node examples/web/serve.mjs

import { spawn, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const HELP = `Usage: node examples/web/serve.mjs [--port 9090] [--listen 127.0.0.1:8080] [--no-server]

  --port PORT        where the pages are, on 127.0.0.1
  --listen ADDRESS   where the server listens; the pages look for it there
  --no-server        only the pages: the server is started elsewhere, with parlor.toml

The server is that of cargo run --release, or the one that PARLOR_BIN names. React and esbuild, for react.html, come
by npm ci --prefix tests, which is run if they are missing.
`;
const LISTEN_DEFAULT = '127.0.0.1:8080';
const { port, listen, 'no-server': isAlone, help } = options();
const PORT = Number(port);
const URL_OF_PAGES = `http://127.0.0.1:${PORT}`;
const ROOT = new URL('../../', import.meta.url);
const CLIENT = new URL('clients/js/src/', ROOT);
const { resolve } = createRequire(new URL('tests/package.json', ROOT));
const PLACES = { '/': new URL('./', import.meta.url), '/parlor-client/': CLIENT };
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8' };
const PAGES = ['plain.html', 'react.html', 'dashboard.html'];

function options() {
  const text = (value) => ({ type: 'string', default: value });
  try {
    const known = { port: text('9090'), listen: text(LISTEN_DEFAULT), 'no-server': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } };
    return parseArgs({ options: known }).values;
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    return process.exit(2);
  }
}

/** A server that takes pages from here; with it this ends. */
function startServer() {
  const [command, ...before] = process.env.PARLOR_BIN ? [process.env.PARLOR_BIN] : ['cargo', 'run', '--release', '--'];
  const config = fileURLToPath(new URL('parlor.toml', import.meta.url));
  const args = [...before, 'serve', '--config', config, '--listen', listen, '--set', `http.allowed_origins=${URL_OF_PAGES}`];
  // Variables of its own name are settings to it.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLOR_')));
  const child = spawn(command, args, { cwd: fileURLToPath(ROOT), env, stdio: 'inherit' });
  child.on('error', (error) => {
    console.error(`${command}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code) => process.exit(code ?? 0));
  // By Ctrl-C the server ends as well, and with it this.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill());
}

/** React and a bundler are those of the tests. */
function bringReact() {
  try {
    resolve('esbuild');
  } catch {
    console.log('npm ci --prefix tests');
    const { status } = spawnSync('npm', ['ci', '--prefix', 'tests', '--no-audit', '--no-fund'], { cwd: fileURLToPath(ROOT), stdio: 'inherit' });
    if (status !== 0) console.error('without React and esbuild there is no react.html; the other pages need neither');
  }
}

/** JSX and React want a bundler, as an application has one; here it is esbuild. */
async function react() {
  const { build } = await import(pathToFileURL(resolve('esbuild')));
  const react = Object.fromEntries(['react', 'react/jsx-runtime', 'react-dom/client'].map((name) => [name, resolve(name)]));
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('react.jsx', import.meta.url))],
    alias: { ...react, 'parlor-client': fileURLToPath(CLIENT) },
    define: { 'process.env.NODE_ENV': '"production"' },
    bundle: true, write: false, format: 'esm', jsx: 'automatic', resolveExtensions: ['.js'], logLevel: 'error',
  });
  return outputFiles[0].text;
}

if (help) {
  process.stdout.write(HELP);
  process.exit(0);
}
if (!(PORT > 0 && PORT < 65_536)) {
  console.error(`--port ${port} is none: 1 to 65535\n\n${HELP}`);
  process.exit(2);
}

bringReact();
createServer(async ({ url }, response) => {
  // A name and no path: nothing beside these two directories is reached.
  const [, place, name, ending] = /^(\/|\/parlor-client\/)([\w-]+\.(html|js))(?:\?.*)?$/.exec(url) ?? [];
  try {
    const body = place === '/' && name === 'react.js' ? await react() : name && (await readFile(new URL(name, PLACES[place])));
    if (body) return response.writeHead(200, { 'Content-Type': TYPES[ending] }).end(body);
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') console.error(`${error.message}\nnpm ci --prefix tests brings esbuild and React`);
    else if (error.code !== 'ENOENT') console.error(error);
  }
  response.writeHead(404).end(`${PAGES.join(', ')}\n`);
}).on('error', (error) => {
  console.error(`${URL_OF_PAGES}: ${error.message}`);
  process.exit(1);
}).listen(PORT, '127.0.0.1', () => {
  const query = listen === LISTEN_DEFAULT ? '' : `?parlor=${encodeURIComponent(`http://${listen}`)}`;
  for (const page of PAGES) console.log(`${URL_OF_PAGES}/${page}${query}`);
  if (!isAlone) startServer();
});
