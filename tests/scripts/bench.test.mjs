// `scripts/bench`: whether it measures at all, and says what it was asked for. How fast the shop is, is not looked at here.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { cleanEnvironment, eshopz, root, temporaryFolder } from '../browser/shop.mjs';

const script = join(root, 'scripts/bench');
const flame = join(root, 'scripts/flame');

let folder;

before(() => {
  folder = temporaryFolder();
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** Calls it from another folder than the repository; its own folder is then made in `folder`. */
function call(words) {
  const env = cleanEnvironment({ TMPDIR: folder, ESHOPZ_BENCH_PROGRAM: eshopz });
  return spawnSync(script, words, { cwd: tmpdir(), env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('a wrong call is refused', () => {
  const wrong = [
    ['--rounds'], ['--rounds', '0'], ['--seconds', '1.5'], ['--json', ''], ['--what', 'x'], ['x'],
    ['--growth-to', 'x'], ['--growth-to', '60', '--products', '60'],
    ['--growth', '--pressure'], ['--watched', '--pressure'], ['--growth', '--watched'],
  ];
  for (const words of wrong) {
    const { status, stderr } = call(words);
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, /^Usage: scripts\/bench/);
  }
});

test('a wrong call of scripts/flame is refused', () => {
  for (const words of [['--seconds'], ['--seconds', '0'], ['--binary', 'nothing-here'], ['--folder', ''], ['x']]) {
    const { status, stderr } = spawnSync(flame, words, { cwd: folder, env: cleanEnvironment(), encoding: 'utf8' });
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, /^Usage: scripts\/flame/);
  }
});

test('a read, a search and a checkout are measured, and nothing is left', () => {
  const only = ['product, hot', 'search, ranked 20', 'whole guest checkout'];
  const json = join(folder, 'rows.json');
  const words = ['--debug', '--quick', '--rounds', '1', '--products', '60', '--only', only.join('|'), '--json', json];
  const { status, stdout, stderr } = call(words);
  assert.equal(status, 0, stderr);
  const { rows } = JSON.parse(readFileSync(json, 'utf8'));
  assert.deepEqual(rows.map((row) => row.name).sort(), [...only].sort());
  for (const { name, outcomes: [outcome] } of rows) {
    assert.match(stdout, new RegExp(`^${name} +16 +[0-9]+ `, 'm'));
    assert.ok(outcome.shop.per_second > 0 && outcome.reference.per_second > 0 && outcome.ratio > 0);
  }
  assert.deepEqual(readdirSync(folder), ['rows.json']);
  rmSync(json);
});

test('what it costs to be watched is measured', () => {
  const json = join(folder, 'watched.json');
  const words = ['--debug', '--rounds', '1', '--seconds', '1', '--products', '60', '--watched', '--json', json];
  const { status, stdout, stderr } = call(words);
  assert.equal(status, 0, stderr);
  const { watched } = JSON.parse(readFileSync(json, 'utf8'));
  assert.ok(watched.watched.per_second > 0 && watched.not_watched.per_second > 0 && watched.ratio > 0);
  assert.match(stdout, new RegExp(`^ratio +${watched.ratio.toFixed(3)} +must +0\\.95`, 'm'));
  rmSync(json);
});

test('growth is measured at two sizes', () => {
  const json = join(folder, 'growth.json');
  const words = ['--debug', '--quick', '--rounds', '1', '--products', '60', '--growth-to', '200', '--only', 'own orders',
    '--json', json];
  const { status, stdout, stderr } = call(words);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^own orders +[0-9.]+ +[0-9.]+ /m);
  const { growth } = JSON.parse(readFileSync(json, 'utf8'));
  assert.deepEqual(growth.sizes.map((size) => size.orders), [60, 200]);
  assert.ok(growth.sizes.every((size) => size.verify.us_per_order > 0 && size.seeding.peak_mib > 0));
  assert.ok(growth.rows[0].factor.p99 > 0);
  rmSync(json);
});

test('what becomes of too many clients is measured', () => {
  const json = join(folder, 'pressure.json');
  const words = ['--debug', '--quick', '--rounds', '1', '--products', '60', '--pressure', '--only', 'product', '--json', json];
  const { status, stdout, stderr } = call(words);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^product, hot +640 +[0-9]+ +[0-9.]+ /m);
  const { pressure } = JSON.parse(readFileSync(json, 'utf8'));
  assert.deepEqual(pressure.map((row) => row.name), ['product, hot', 'product, no cache']);
  for (const { outcomes } of pressure) {
    assert.deepEqual(outcomes.map((outcome) => outcome.clients), [16, 64, 640]);
    assert.ok(outcomes.every((outcome) => outcome.per_second > 0 && outcome.mute === 0 && outcome.failed === 0));
  }
  rmSync(json);
});
