// Bundles the page of an example, with React and esbuild, which come by `npm ci --prefix tests`.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NAMES = ['sohbet', 'tac'];
const HELP = `Usage: node examples/build.mjs ${NAMES.join('|')} [FILE]

Bundles the page of that example into FILE, or target/NAME/app.js.
`;
const ROOT = new URL('../', import.meta.url);
const { resolve } = createRequire(new URL('tests/package.json', ROOT));
const [name, file] = process.argv.slice(2);
if (name === '--help' || name === '-h') {
  process.stdout.write(HELP);
  process.exit(0);
}
if (!NAMES.includes(name)) {
  console.error(HELP);
  process.exit(2);
}
const outfile = file ?? fileURLToPath(new URL(`target/${name}/app.js`, ROOT));

let esbuild;
try {
  esbuild = await import(pathToFileURL(resolve('esbuild')));
} catch (error) {
  console.error(`${error.message}\nnpm ci --prefix tests brings esbuild and React`);
  process.exit(1);
}
const react = Object.fromEntries(['react', 'react/jsx-runtime', 'react-dom/client'].map((of) => [of, resolve(of)]));
mkdirSync(dirname(outfile), { recursive: true });
await esbuild.build({
  entryPoints: [fileURLToPath(new URL(`${name}/app.jsx`, import.meta.url))],
  alias: { ...react, 'parlor-client': fileURLToPath(new URL('clients/js/src/', ROOT)) },
  define: { 'process.env.NODE_ENV': '"production"' },
  bundle: true, minify: true, outfile, format: 'esm', target: 'es2022', jsx: 'automatic', resolveExtensions: ['.js'], logLevel: 'error',
});
console.log(outfile);
