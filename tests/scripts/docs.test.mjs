// The documents against what they speak of: links, settings, commands, tests named as proof.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, eshopz, root } from '../browser/shop.mjs';

const read = (path) => readFileSync(join(root, path), 'utf8');

function said(program, ...words) {
  const done = spawnSync(program, words, { cwd: root, env: cleanEnvironment(), encoding: 'utf8' });
  assert.equal(done.status, 0, `${program} ${words.join(' ')}: ${done.stderr}`);
  return done.stdout;
}

const documents = said('git', 'ls-files', '--cached', '--others', '--exclude-standard', '*.md').trim().split('\n')
  .filter((path) => existsSync(join(root, path)));

/** A heading's anchor, as GitHub makes it. */
const anchor = (heading) => heading.trim().toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');

const anchorsOf = (path) => [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading));

test('every link leads somewhere', () => {
  const broken = [];
  for (const path of documents) {
    for (const [, target] of read(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, part] = target.split('#');
      const goal = file ? relative(root, resolve(root, dirname(path), file)) : path;
      if (!existsSync(join(root, goal))) broken.push(`${path}: ${target}`);
      else if (part && !anchorsOf(goal).includes(part)) broken.push(`${path}: ${target} has no such heading`);
    }
  }
  assert.deepEqual(broken, []);
});

test('the README names every setting, and no other', () => {
  const known = new Set(said(eshopz, 'serve', '--help').match(/ESHOPZ_[A-Z0-9_]+/g));
  const rows = [...read('README.md').matchAll(/^\| `(ESHOPZ_[A-Z0-9_]+)`/gm)].map(([, name]) => name);
  assert.deepEqual([...known].filter((name) => !rows.includes(name)), [], 'not in the README');
  assert.deepEqual(rows.filter((name) => !known.has(name)), [], 'not in the program');
});

test('the commands that are shown exist', () => {
  const known = new Set([...said(eshopz, '--help').matchAll(/^ {2}([a-z]+) +\S/gm)].map(([, name]) => name));
  for (const path of documents) {
    for (const [, command] of read(path).matchAll(/(?:^|`|\/|\| )eshopz ([a-z]+)/gm)) {
      assert.ok(known.has(command), `${path}: eshopz ${command}`);
    }
  }
});

test('every test that ARCHITECTURE.md names as proof is there', () => {
  const named = [...read('ARCHITECTURE.md').matchAll(/`([\w./-]+\.(?:rs|mjs))::(\w+)`/g)];
  assert.ok(named.length >= 10, 'hardly any proof');
  for (const [, path, name] of named) {
    assert.ok(existsSync(join(root, path)), `${path} is not there`);
    assert.match(read(path), new RegExp(`\\bfn ${name}\\b`), `${path} has no ${name}`);
  }
});

test('every path that ARCHITECTURE.md names is there', () => {
  const tops = readdirSync(root);
  for (const [, path] of read('ARCHITECTURE.md').matchAll(/`([\w.-]+\/[\w./-]*)`/g)) {
    if (tops.includes(path.split('/')[0])) assert.ok(existsSync(join(root, path)), `${path} is not there`);
  }
});

test('every decision is whole and in the list', () => {
  const list = read('docs/adr/README.md');
  for (const name of readdirSync(join(root, 'docs/adr')).filter((file) => /^\d{4}-/.test(file))) {
    assert.ok(list.includes(`(${name})`), `${name} is not in docs/adr/README.md`);
    const headings = [...read(`docs/adr/${name}`).matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    assert.deepEqual(headings, ['Context', 'Options', 'Decision', 'Consequences'], name);
  }
});

test('the lock file names no host', () => {
  assert.ok(!read('tests/browser/package-lock.json').includes('"resolved"'));
});
