// What the package is as a whole: its size, and that it needs nothing. types.test.js judges its types.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const TOOLS = path('../../../tests/node_modules/.bin/');
const BYTES_MAX = {
  'base.js': 6_000, 'streams.js': 7_000, 'index.js': 10_000, 'react-streams.js': 11_000, 'react.js': 18_500,
  'vue.js': 7_000, 'svelte.js': 7_000, 'native.js': 2_500, 'indexeddb.js': 3_000, 'leader.js': 3_200, 'sse.js': 3_000,
};

const manifest = JSON.parse(readFileSync(path('../package.json'), 'utf8'));
/** What the README says how large each is, by its file. */
const TOLD = new Map([...readFileSync(path('../README.md'), 'utf8').matchAll(/^\| `(?:parlor-client(\S*)|(\S+\.js))`.* \| ([\d.]+) \|$/gm)].map(([, entry, file, kB]) =>
  [file ?? manifest.exports[`.${entry}`].default.replace('./src/', ''), Number(kB)]));

function run(tool, ...args) {
  const { status, stdout, stderr, error } = spawnSync(`${TOOLS}${tool}`, args, { maxBuffer: 1 << 24 });
  assert.equal(error, undefined, `${tool} is missing: npm ci --prefix tests`);
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout;
}

for (const [name, most] of Object.entries(BYTES_MAX)) {
  test(`${name} is small, minified and compressed`, (t) => {
    // What is loaded when it is needed is a file of its own, as for every bundler that splits; by its own name, as a hash
    // is another in each folder, and compresses to another length.
    const directory = mkdtempSync(join(tmpdir(), 'parlor-client-'));
    t.after(() => rmSync(directory, { recursive: true }));
    run('esbuild', '--bundle', '--splitting', '--minify', '--format=esm', '--chunk-names=[name]', '--external:react', '--external:vue', '--external:svelte', `--outdir=${directory}`, path(`../src/${name}`));
    const whole = readFileSync(join(directory, name), 'utf8');
    // What it shares with such a file would be in a third, and not be counted.
    assert.doesNotMatch(whole, /(?:import|from) ?"\.\/chunk/, 'it loads another file at once');
    const bytes = gzipSync(whole, { level: 9 }).length;
    t.diagnostic(`${bytes} bytes`);
    const told = TOLD.get(name);
    if (told) assert.ok(Math.abs(told - bytes / 1_000) < 0.15, `README.md says ${told} kB, and it has ${bytes} bytes`);
    assert.ok(bytes < most, `${bytes} bytes`);
  });
}

test('the README says how large each entry is', () => {
  assert.deepEqual([...TOLD.keys()].sort(), Object.keys(BYTES_MAX).filter((name) => name !== 'base.js').sort());
});

test('it needs nothing, and what it exports is there', () => {
  assert.equal(manifest.dependencies, undefined);
  const optional = { optional: true };
  assert.deepEqual(manifest.peerDependenciesMeta, { react: optional, svelte: optional, vue: optional });
  for (const { default: file = 'package.json' } of Object.values(manifest.exports)) assert.ok(readFileSync(path(`../${file}`)).length > 0, file);
});

test('what is packed has its licences, which are those of the repository, and says what it is', () => {
  const packed = spawnSync('npm', ['pack', '--dry-run', '--json'], { cwd: path('..'), encoding: 'utf8' });
  assert.equal(packed.status, 0, packed.stderr);
  const files = JSON.parse(packed.stdout)[0].files.map((file) => file.path);
  for (const name of ['LICENSE-APACHE', 'LICENSE-MIT']) {
    assert.ok(files.includes(name), name);
    assert.equal(readFileSync(path(`../${name}`), 'utf8'), readFileSync(path(`../../../${name}`), 'utf8'));
  }
  assert.ok(files.includes('README.md') && files.includes('types/index.d.ts') && !files.some((file) => file.startsWith('test/')));
  assert.ok(manifest.keywords.includes('websocket'));
});

test('what has hooks says first that it is for the client, as server components want it', () => {
  const files = readdirSync(path('../src'), { recursive: true }).filter((name) => name.endsWith('.js'));
  const withHooks = files.filter((name) => / from 'react';/.test(readFileSync(path(`../src/${name}`), 'utf8')));
  assert.ok(withHooks.includes('react.js'));
  for (const name of withHooks) assert.match(readFileSync(path(`../src/${name}`), 'utf8'), /^'use client';\n/, name);
  // It holds for whoever bundles the package, too.
  const bundled = run('esbuild', '--bundle', '--format=esm', '--external:react', path('../src/react.js'));
  assert.match(String(bundled), /^"use client";\n/);
});
