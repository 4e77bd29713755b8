// scripts/dr-drill in a short form: each drill passes on a shop that keeps what it says, one that does not is found out, and
// nothing is left running, however it ends.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { cleanEnvironment, ended, eshopz, root, temporaryFolder, until } from '../browser/shop.mjs';

const script = join(root, 'scripts/dr-drill');

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

/** Starts it from another folder than the repository; its own folder is then made in one of its own, `place`. */
function start(name, words, program = eshopz) {
  const place = join(folder, name);
  mkdirSync(place);
  const child = spawn(script, [...words, '--eshopz', program, '--json', join(folder, `${name}.json`)], {
    cwd: tmpdir(), env: cleanEnvironment({ TMPDIR: place }), stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const run = { child, place, said: '', complained: '' };
  child.stdout.on('data', (text) => { run.said += text; });
  child.stderr.on('data', (text) => { run.complained += text; });
  run.finished = new Promise((answer) => {
    child.once('close', (code) => { running.delete(child); answer(code); });
  });
  return run;
}

/** Processes with the folder of a run in their command line or their environment. */
function left({ place }) {
  const { stdout } = spawnSync('ps', ['axeww', '-o', 'pid=,stat=,args='], { encoding: 'utf8', maxBuffer: 1 << 26 });
  return stdout.split('\n').filter((line) => line.includes(place) && !/^\s*\d+ Z|ps axeww/.test(line));
}

function assertNothingLeft(run) {
  assert.deepEqual(left(run), [], 'processes are left');
  assert.deepEqual(readdirSync(run.place), [], 'folders are left');
}

/** A drill to its end: its code, and its figures. */
async function play(name, words, program) {
  const run = start(name, words, program);
  const code = await run.finished;
  assert.equal(run.complained, '', run.said);
  assertNothingLeft(run);
  return { code, said: run.said, figures: JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) };
}

/** One that passes. */
async function passes(name, words) {
  const { code, said, figures } = await play(name, words);
  assert.equal(code, 0, said);
  assert.match(said, /\n {2}verify +the books balance\npassed\n$/);
  assert.deepEqual([figures.lost, figures.passed, figures.wrong], [0, true, []]);
  assert.ok(figures.acknowledged >= 5, `${figures.acknowledged} orders are no load`);
  return { said, figures };
}

const SHORT = ['--seconds', '2', '--buyers', '4'];

// Most of a drill is waiting for somebody to notice.
describe('a drill', { concurrency: 2 }, () => {
  test('the database: the standby takes over, and no acknowledged order is lost', async () => {
    const { figures } = await passes('database', ['database', ...SHORT]);
    assert.ok(figures.after > 0, 'no order after it');
    assert.ok(figures.noticed > 0 && figures.noticed < figures.promoted && figures.promoted < figures.rto, JSON.stringify(figures));
    assert.ok(figures.requests.failed > 0, 'nobody has noticed');
  });

  test('the cache: nobody is refused anything, and Redis is found again', async () => {
    const { figures } = await passes('cache', ['cache', ...SHORT]);
    assert.ok(figures.promoted > 1 && figures.promoted < figures.rto, JSON.stringify(figures));
    assert.equal(figures.requests.failed, 0);
    assert.ok(figures.requests.sent > 0);
  });

  test('the pods: whoever dies is back, and is known by the seed', async () => {
    const { said, figures } = await passes('pods', ['pods', '--rounds', '2', '--seed', '5', '--seconds', '1', '--buyers', '4']);
    assert.match(said, /^pods: split, 2 deaths, seed 5, 4 buyers\n/);
    assert.deepEqual(figures.deaths.map(({ name, signal }) => `${name} ${signal}`), ['order SIGKILL', 'product SIGKILL']);
    for (const { name } of figures.deaths.filter(({ signal }) => signal === 'SIGKILL')) {
      assert.ok(figures[`${name}_away`] > 0, `${name} was killed, and nobody missed it`);
    }
  });

  test('the restore: what was acknowledged before the moment is there, and nothing of after', async () => {
    const { figures } = await passes('restore', ['restore', '--destroy', 'folder', ...SHORT]);
    assert.ok(figures.before > 0 && figures.between > 0, JSON.stringify(figures));
    assert.ok(figures.recovery > 0 && figures.recovery < figures.rto, JSON.stringify(figures));
  });

  test('one that goes wrong says what: orders that are lost, a recovery that takes too long, books that do not balance', async () => {
    const program = join(folder, 'one-cent-missing');
    writeFileSync(program, `#!/usr/bin/env bash\nif [[ $1 == verify ]]; then echo 'one cent is missing' && exit 1; fi\nexec ${eshopz} "$@"\n`);
    chmodSync(program, 0o755);
    const { code, said, figures } = await play('wrong', ['database', '--asynchronous', '--lag', '1000', '--limit', '0.5', ...SHORT], program);
    assert.equal(code, 1, said);
    assert.ok(figures.lost > 0 && figures.lost < figures.acknowledged, said);
    assert.match(said, new RegExp(`\nWRONG: ${figures.lost} acknowledged orders? (is|are) lost: EZ-\\d+ \\(acknowledged as paid, now not_found\\)`));
    assert.match(said, /\nWRONG: the recovery took [\d.]+ s, and may take 0\.5 s\n/);
    assert.match(said, /\nWRONG: eshopz verify: one cent is missing\n/);
    assert.match(said, /\nfailed\n$/);
  });

  test('a shop that does not start is said, and nothing is left', async () => {
    const program = join(folder, 'no-server');
    writeFileSync(program, `#!/usr/bin/env bash\nif [[ $1 == serve ]]; then echo 'no, thanks' && exit 1; fi\nexec ${eshopz} "$@"\n`);
    chmodSync(program, 0o755);
    const run = start('lame', ['restore', ...SHORT], program);
    assert.equal(await run.finished, 1, run.said);
    assert.match(run.complained, /^dr-drill: eshopz-1 has ended: no, thanks\n$/);
    assertNothingLeft(run);
  });

  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) {
    test(`it ends at ${signal} and leaves nothing`, async () => {
      const run = start(signal, ['cache', '--seconds', '600']);
      await until('the shop runs', () => {
        if (run.child.exitCode !== null) throw new Error(`it has ended: ${run.said}${run.complained}`);
        return left(run).some((line) => line.includes(' serve --modules'));
      }, 120);
      run.child.kill(signal);
      assert.equal(await run.finished, code, run.complained);
      assert.equal(run.said, '');
      assertNothingLeft(run);
    });
  }
});

for (const words of [[], ['datebase'], ['database', '--seed', '1'], ['database', '--lag', 'long'], ['cache', '--frozen'], ['pods', '--topology', 'combined'],
  ['pods', '--rounds', '0'], ['restore', '--destroy', 'everything'], ['restore', '--limit', '0'], ['cache', '--buyers']]) {
  test(`a wrong call: ${words.join(' ')}`, () => {
    const done = spawnSync(script, words, { encoding: 'utf8', env: cleanEnvironment() });
    assert.equal(done.status, 2);
    assert.match(done.stderr, /^Usage: scripts\/dr-drill/);
  });
}
