// Bundles the page, with React and esbuild, which come by `npm ci --prefix tests`. Run: node examples/sohbet/build.mjs [FILE]

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = new URL('../../', import.meta.url);
const { resolve } = createRequire(new URL('tests/package.json', ROOT));
const outfile = process.argv[2] ?? fileURLToPath(new URL('target/sohbet/app.js', ROOT));

let esbuild;
try {
  esbuild = await import(pathToFileURL(resolve('esbuild')));
} catch (error) {
  console.error(`${error.message}\nnpm ci --prefix tests brings esbuild and React`);
  process.exit(1);
}
const react = Object.fromEntries(['react', 'react/jsx-runtime', 'react-dom/client'].map((name) => [name, resolve(name)]));
mkdirSync(dirname(outfile), { recursive: true });
await esbuild.build({
  entryPoints: [fileURLToPath(new URL('app.jsx', import.meta.url))],
  alias: { ...react, 'parlor-client': fileURLToPath(new URL('clients/js/src/', ROOT)) },
  define: { 'process.env.NODE_ENV': '"production"' },
  bundle: true, minify: true, outfile, format: 'esm', jsx: 'automatic', resolveExtensions: ['.js'], logLevel: 'error',
});
console.log(outfile);
