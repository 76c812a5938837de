// Hands out the pages beside this file, and the client's modules. Run: node examples/web/serve.mjs [PORT]

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const PORT = Number(process.argv[2] ?? 9090);
const PLACES = { '/': new URL('./', import.meta.url), '/parlor-client/': new URL('../../clients/js/src/', import.meta.url) };
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8' };

createServer(async ({ url }, response) => {
  // A name and no path: nothing beside these two directories is reached.
  const [, place, name, ending] = /^(\/|\/parlor-client\/)([\w-]+\.(html|js))(?:\?.*)?$/.exec(url) ?? [];
  const body = name && (await readFile(new URL(name, PLACES[place])).catch(() => undefined));
  if (body) response.writeHead(200, { 'Content-Type': TYPES[ending] }).end(body);
  else response.writeHead(404).end('plain.html, dashboard.html\n');
}).listen(PORT, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${PORT}/plain.html\nhttp://127.0.0.1:${PORT}/dashboard.html`);
});
