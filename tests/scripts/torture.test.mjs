// `scripts/torture`: a short run that must be clean, one that must not be, and nothing left running, however it ends.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { cleanEnvironment, ended, eshopz, root, temporaryFolder, until } from '../browser/shop.mjs';

const script = join(root, 'scripts/torture');

let folder;
const running = new Set();

before(() => {
  folder = temporaryFolder();
});

after(async () => {
  for (const child of running) child.kill('SIGTERM');
  await Promise.all([...running].map(ended));
  rmSync(folder, { recursive: true, force: true });
});

/** Starts it from another folder than the repository; its own folder is then made in `folder`. */
function start(words, additions = {}) {
  const child = spawn(script, words, {
    cwd: tmpdir(), env: cleanEnvironment({ TMPDIR: folder, ...additions }), stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const run = { child, said: '', complained: '' };
  child.stdout.on('data', (text) => { run.said += text; });
  child.stderr.on('data', (text) => { run.complained += text; });
  return run;
}

/** Its exit code, when all that it has said has arrived. */
async function finished(run) {
  await new Promise((answer) => { run.child.once('close', answer); });
  running.delete(run.child);
  return run.child.exitCode;
}

/** Processes with the folder of a run in their command line or their environment. */
function left() {
  const { stdout } = spawnSync('ps', ['axeww', '-o', 'pid=,args='], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes(folder) && !line.includes('ps axeww'));
}

function assertNothingLeft() {
  assert.deepEqual(left(), [], 'processes are left');
  assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith('tmp.')), [], 'folders are left');
}

test('half a minute is clean', async () => {
  const file = join(folder, 'report.json');
  const run = start(['--minutes', '0.5', '--seed', '4', '--report', file]);
  const code = await finished(run);
  assert.equal(code, 0, run.said + run.complained);
  assert.match(run.said, /^torture: 0\.5 minutes, seed 4, capture automatic, \d+ faults\n/);
  assert.match(run.said, /the books balance\n/);
  assert.match(run.said, /\ntorture: clean\n$/);
  assert.equal(run.complained, '');
  const report = JSON.parse(readFileSync(file, 'utf8'));
  assert.deepEqual([report.clean, report.seed, report.violations], [true, 4, []]);
  assert.ok(report.faults.length >= 2, 'nothing was done to it');
  assert.ok(report.clients.counts['orders placed'] >= 10, JSON.stringify(report.clients.counts));
  const checkouts = report.clients.requests / report.clients.counts['orders placed'];
  assert.ok(checkouts > 10 && checkouts < 40, `one checkout in ${checkouts} requests`);
  assertNothingLeft();
});

test('a shop whose books do not balance is found out', async () => {
  const program = join(folder, 'unbalanced');
  writeFileSync(program, `#!/usr/bin/env bash
if [[ $1 == verify ]]; then echo 'WRONG' && exit 1; fi
exec ${eshopz} "$@"
`);
  chmodSync(program, 0o755);
  const run = start(['--minutes', '0.1', '--seed', '5', '--workers', '4'], { ESHOPZ_TORTURE_PROGRAM: program });
  assert.equal(await finished(run), 1, run.said + run.complained);
  assert.match(run.said, /the books do not balance/);
  assert.match(run.said, /\ntorture: 1 violation\n$/);
  assertNothingLeft();
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  test(`it ends at ${signal} and leaves nothing`, async () => {
    const run = start(['--minutes', '10', '--seed', '6']);
    await until('the load has begun', () => {
      if (run.child.exitCode !== null) throw new Error(`it has ended: ${run.said}${run.complained}`);
      return left().filter((line) => line.includes('serve --listen')).length === 3;
    }, 300);
    run.child.kill(signal);
    assert.equal(await finished(run), signal === 'SIGINT' ? 130 : 143, run.complained);
    assertNothingLeft();
  });
}

for (const words of [[], ['--seed', '1'], ['--minutes'], ['--minutes', '0'], ['--minutes', 'ten'], ['--minutes', '1', '--seed', 'x'],
  ['--minutes', '1', '--workers', '0'], ['--minutes', '1', '--debug']]) {
  test(`a wrong call: ${words.join(' ')}`, () => {
    const done = spawnSync(script, words, { encoding: 'utf8', env: cleanEnvironment() });
    assert.equal(done.status, 2);
    assert.match(done.stderr, /^Usage: scripts\/torture/);
  });
}
