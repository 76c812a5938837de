// Hands out the pages beside this file, and the client's modules. Run: node examples/web/serve.mjs [PORT]

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const PORT = Number(process.argv[2] ?? 9090);
const CLIENT = new URL('../../clients/js/src/', import.meta.url);
const PLACES = { '/': new URL('./', import.meta.url), '/parlor-client/': CLIENT };
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8' };
const PAGES = ['plain.html', 'react.html', 'dashboard.html'];

/** JSX and React want a bundler, as an application has one; here it is esbuild. */
async function react() {
  // Where the tests have both.
  const { resolve } = createRequire(new URL('../../tests/package.json', import.meta.url));
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
}).listen(PORT, '127.0.0.1', () => {
  for (const page of PAGES) console.log(`http://127.0.0.1:${PORT}/${page}`);
});
