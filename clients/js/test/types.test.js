// The types that are shipped: they are those of the sources, and tell right use from wrong use.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
/** Where the package is a link, what it asks for is not beside it. */
const PATHS = { react: [path('../../../tests/node_modules/@types/react/index.d.ts')], vue: [path('../../../tests/node_modules/vue/dist/vue.d.mts')] };
const TSC = path('../../../tests/node_modules/.bin/tsc');

function temporary(t) {
  const directory = mkdtempSync(join(tmpdir(), 'parlor-types-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

function tsc(...args) {
  const { status, stdout, error } = spawnSync(TSC, args, { encoding: 'utf8' });
  assert.equal(error, undefined, 'tsc is missing: npm ci --prefix tests');
  return { status, stdout };
}

/** A project that has the package by its name, and one file. */
function project(t, file, how) {
  const directory = temporary(t);
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(path('..'), join(directory, 'node_modules/parlor-client'));
  copyFileSync(path(`types/${file}`), join(directory, file));
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  const compilerOptions = { target: 'es2023', lib: ['es2023', 'dom', 'dom.iterable'], types: [], strict: true, noEmit: true, paths: PATHS, ...how };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
  return tsc('--project', directory);
}

test('the types are right, and those that are shipped are those of the sources', (t) => {
  const directory = temporary(t);
  const { status, stdout } = tsc('--project', path('..'), '--outDir', directory);
  assert.equal(status, 0, stdout);
  const renew = 'npm run types, in clients/js, renews them';
  const files = (top) => readdirSync(top, { recursive: true }).filter((name) => name.endsWith('.d.ts')).sort();
  assert.deepEqual(files(path('../types')), files(directory), renew);
  for (const name of files(directory)) {
    assert.ok(readFileSync(path(`../types/${name}`), 'utf8') === readFileSync(join(directory, name), 'utf8'), `types/${name} is old: ${renew}`);
  }
});

test('every entry of the package has types', () => {
  const { exports } = JSON.parse(readFileSync(path('../package.json'), 'utf8'));
  for (const [name, { types, default: source }] of Object.entries(exports)) {
    if (name === './package.json') continue;
    assert.equal(types, source?.replace('./src/', './types/').replace(/\.js$/, '.d.ts'), name);
    // Whoever reads from the top takes the first that fits.
    assert.deepEqual(Object.keys(exports[name]), ['types', 'default'], name);
    assert.ok(readFileSync(path(`../${types}`)).length > 0);
  }
});

for (const how of [{ module: 'nodenext', moduleResolution: 'nodenext' }, { module: 'esnext', moduleResolution: 'bundler' }]) {
  for (const file of ['good.ts', 'hooks.ts', 'adapters.ts']) {
    test(`what is right compiles, with the resolution of ${how.moduleResolution}: ${file}`, (t) => {
      const { status, stdout } = project(t, file, how);
      assert.equal(status, 0, stdout);
    });
  }
}

test('what is wrong does not compile, line by line', (t) => {
  const { stdout } = project(t, 'bad.ts', { module: 'nodenext' });
  const found = [...stdout.matchAll(/^.*?bad\.ts\((\d+),\d+\): error (TS\d+)/gm)].map(([, line, code]) => `${line} ${code}`);
  const lines = readFileSync(path('types/bad.ts'), 'utf8').split('\n');
  const expected = lines.flatMap((line, at) => /\/\/ error: (TS\d+)$/.exec(line)?.[1].replace(/^/, `${at + 1} `) ?? []);
  assert.deepEqual(found, expected, stdout);
});
