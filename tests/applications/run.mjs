// Two applications' own files, with nothing changed but their imports, compiled and run in Chromium against the real server.
// They are copied into a temporary folder, which is removed at the end.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { launch } from '../browser/support.mjs';
import * as sohbet from './sohbet.mjs';
import * as tac from './tac.mjs';

const HELP = `Usage: node tests/applications/run.mjs [--sohbet DIR] [--tac DIR]

  --sohbet DIR   a clone of github.com/Xivlon/Sohbet
  --tac DIR      a clone of github.com/warmonger0/tac-webbuilder

What is not named is cloned from GitHub. A clone may be bare; its HEAD is taken.
`;
const HERE = fileURLToPath(new URL('.', import.meta.url));
const CLIENT = fileURLToPath(new URL('../../clients/js/', import.meta.url));
const TYPES = fileURLToPath(new URL('../node_modules/@types/', import.meta.url));
const { resolve } = createRequire(import.meta.url);

/** The files of an application, its imports changed as told; says each line that is another. */
function taken(directory, { repository, folders, imports }, given) {
  let from = given;
  if (!from) {
    from = join(directory, 'clone');
    execFileSync('git', ['clone', '--quiet', '--depth', '1', `https://github.com/${repository}`, from], { stdio: 'inherit' });
  }
  const tar = execFileSync('git', ['-C', from, 'archive', 'HEAD', ...folders], { maxBuffer: 1 << 28 });
  execFileSync('tar', ['-x', '-C', directory], { input: tar });
  const changes = [];
  for (const [file, names] of Object.entries(imports)) {
    const path = join(directory, file);
    const lines = readFileSync(path, 'utf8').split('\n');
    for (const [before, after] of Object.entries(names)) {
      const places = lines.flatMap((line, at) => (/^(?:import|export)\b.* from /.test(line) && line.includes(`'${before}'`) ? [at] : []));
      assert.ok(places.length > 0, `${file} imports nothing from ${before}: it is another than it was`);
      for (const at of places) {
        changes.push(`${file}:${at + 1}: '${before}' -> '${after}'`);
        lines[at] = lines[at].replace(`'${before}'`, `'${after}'`);
      }
    }
    writeFileSync(path, lines.join('\n'));
  }
  return changes;
}

/** The compiler of the tests, as strict as the application has it. */
function compile(directory, { files, ambient, paths = {}, compilerOptions = {} }) {
  writeFileSync(join(directory, 'ambient.d.ts'), ambient);
  const types = { 'parlor-client/*': [`${CLIENT}types/*`], react: [`${TYPES}react/index.d.ts`], 'react/*': [`${TYPES}react/*`] };
  const own = { target: 'es2022', module: 'esnext', moduleResolution: 'bundler', lib: ['dom', 'dom.iterable', 'esnext'], types: [], strict: true, noEmit: true,
    skipLibCheck: true, isolatedModules: true, jsx: 'react-jsx', esModuleInterop: true, ...compilerOptions, paths: { ...types, ...paths } };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: own, files: ['ambient.d.ts', ...files] }));
  const { status, stdout } = spawnSync(resolve('typescript/bin/tsc'), ['--project', directory], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
}

/** A page with the application's files, which a browser gets from an origin of its own. */
async function page(directory, entry, { define, plugins = [] }) {
  const react = Object.fromEntries(['react', 'react/jsx-runtime', 'react-dom/client'].map((name) => [name, resolve(name)]));
  cpSync(join(HERE, entry), join(directory, entry));
  const { outputFiles } = await build({
    entryPoints: [join(directory, entry)], bundle: true, write: false, format: 'iife', jsx: 'automatic', logLevel: 'error', plugins,
    alias: { ...react, 'parlor-client': `${CLIENT}src` }, resolveExtensions: ['.tsx', '.ts', '.jsx', '.js'], define: { 'process.env.NODE_ENV': '"production"', ...define },
    tsconfigRaw: { compilerOptions: { jsx: 'react-jsx' } },
  });
  return outputFiles[0].text;
}

async function serve(scripts) {
  const pages = createServer(({ url }, response) => {
    const script = scripts.get(/^\/(.*)\.js$/.exec(url)?.[1]);
    response.writeHead(200, { 'Content-Type': `${script ? 'text/javascript' : 'text/html'}; charset=utf-8` });
    response.end(script ?? `<!doctype html><title>application</title><div id="root"></div><script src="${url.split('?')[0]}.js"></script>`);
  });
  await new Promise((done) => pages.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${pages.address().port}`, scripts, close: () => pages.close() };
}

async function run(name, application, given, browser) {
  const directory = mkdtempSync(join(tmpdir(), 'parlor-application-'));
  const pages = await serve(new Map());
  try {
    for (const variant of application.variants) {
      const own = join(directory, variant.name);
      mkdirSync(own);
      const changes = taken(own, { ...application, ...variant }, given);
      compile(own, application.types);
      console.log(`${name}, ${variant.what}: compiled, with what was changed:\n${changes.map((line) => `  ${line}`).join('\n')}`);
      await application.run({ browser, pages, bundle: (entry, how) => page(own, entry, how), variant: variant.name });
      console.log(`${name}, ${variant.what}: ${application.what}`);
    }
  } finally {
    pages.close();
    rmSync(directory, { recursive: true });
  }
}

const options = { sohbet: { type: 'string' }, tac: { type: 'string' }, help: { type: 'boolean', short: 'h' } };
let given;
try {
  given = parseArgs({ options }).values;
} catch (error) {
  console.error(`${error.message}\n\n${HELP}`);
  process.exit(2);
}
if (given.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const browser = await launch();
try {
  await run('Sohbet', sohbet, given.sohbet, browser);
  await run('tac-webbuilder', tac, given.tac, browser);
} finally {
  await browser.close();
}
