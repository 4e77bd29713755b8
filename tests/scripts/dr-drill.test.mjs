// scripts/dr-drill in a short form: each drill passes on a shop that keeps what it says, one that does not is found out, and
// nothing is left running, however it ends. And docs/disaster-recovery.md against the drills and the Pulumi program.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { cleanEnvironment, ended, eshopz, root, temporaryFolder, until } from '../browser/shop.mjs';

const script = join(root, 'scripts/dr-drill');
const read = (path) => readFileSync(join(root, path), 'utf8');
const documentText = read('docs/disaster-recovery.md');

/** Names of the lines that a drill prints; those of `deaths` and the like are by chance what they say, not how they are called. */
const namesOf = (said) => [...said.matchAll(/^ {2}(\S+(?: \S+)*) {2,}\S/gm)].map(([, name]) => name);

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

/** Processes that work in the folder of a run, or have it in their command line: their environment is not looked at, since nginx
 * and Redis write over theirs. */
function left({ place }) {
  const { stdout } = spawnSync('ps', ['axww', '-o', 'pid=,stat=,args='], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const worksThere = (pid) => { try { return readlinkSync(`/proc/${pid}/cwd`).startsWith(place); } catch { return false; } };
  return stdout.split('\n').filter((line) => (line.includes(place) || worksThere(parseInt(line, 10))) && !/^\s*\d+ Z/.test(line));
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
  const shown = new RegExp(`^${name}: [^]*?\n(?:passed|failed)$`, 'm').exec(documentText)?.[0] ?? '';
  assert.deepEqual(namesOf(shown), namesOf(said), 'docs/disaster-recovery.md shows another output');
  assert.ok(figures.acknowledged >= 5, `${figures.acknowledged} orders are no load`);
  return { said, figures };
}

describe('docs/disaster-recovery.md', () => {
  const rows = documentText.split('\n').filter((line) => /^\| (?!component|-)/.test(line)).map((line) => line.split('|').map((cell) => cell.trim()).slice(1, -1))
    .filter((cells) => cells.length === 6);
  const agreed = { EKS: ['< 5 min', '0'], Aurora: ['< 5 min', '< 1 min'], Redis: ['< 5 min', '< 1 min'], 'S3 and CloudFront': ['0', '< 15 min'] };

  test('every component has the objectives that were agreed on', () => {
    for (const [component, [rto, rpo]] of Object.entries(agreed)) {
      assert.ok(rows.some(([name, , ...times]) => name.startsWith(component) && times[0] === rto && times[1].startsWith(rpo)), component);
    }
    // What a drill allows when it is not told otherwise.
    assert.match(read('scripts/dr-drill'), / limit=300\n/);
  });

  test('every row has a resource, and a drill or the reason why not', () => {
    assert.ok(rows.length >= 5);
    for (const [component, strategy, , , resource, drill] of rows) {
      assert.ok(strategy, component);
      assert.match(resource, /`aws\.\w+\.\w+`/, component);
      assert.match(drill, /^(`scripts\/dr-drill (database|cache|pods|restore)`|needs an account)$/, component);
    }
  });

  test('every resource is in the Pulumi program', { skip: !existsSync(join(root, 'pulumi/src')) && 'there is no pulumi/ yet' }, () => {
    const sources = readdirSync(join(root, 'pulumi/src')).filter((name) => name.endsWith('.ts')).map((name) => read(join('pulumi/src', name))).join('\n');
    for (const [component, , , , cell] of rows) {
      for (const [, type] of cell.matchAll(/`(aws\.\w+\.\w+)`/g)) assert.ok(sources.includes(`new ${type}(`), `${component}: ${type}`);
      // A name has the stack's before it; numbers are counted.
      for (const [, name] of cell.matchAll(/`eshopz-prod-([a-z-]*[a-z])`/g)) assert.ok(sources.includes(`"${name}"`), `${component}: ${name}`);
      for (const [, group, member] of cell.matchAll(/`eshopz:(\w+)\.(\w+)`/g)) {
        assert.match(sources, new RegExp(`settings\\.${group}\\.${member} >= 1, "eshopz:${group}\\.${member} has to be 1 or more`), `${component}: ${member}`);
      }
    }
    const [, days] = / second of (\d+) days/.exec(documentText);
    assert.match(read('pulumi/Pulumi.prod.yaml'), new RegExp(`backupDays: ${days}\\b`));
  });

  test('every option that a document shows exists', () => {
    const { stdout } = spawnSync(script, ['--help'], { encoding: 'utf8' });
    const shown = ['docs/disaster-recovery.md', 'docs/runbooks/region-loss.md', 'docs/runbooks/bad-release.md'].map(read).join('\n');
    const calls = [...shown.matchAll(/scripts\/dr-drill ([^`\n]+)/g)].map(([, words]) => words.split(' '));
    assert.ok(calls.length >= 10);
    for (const option of new Set([...calls.flat().filter((word) => word.startsWith('--')), ...shown.match(/(?<=\(`|`)--[a-z]+(?=`)/g)])) {
      assert.ok(option === '--help' || option === '--repair' || stdout.includes(`  ${option} `), option);
    }
  });
});

const SHORT = ['--seconds', '2', '--buyers', '4'];

// Most of a drill is waiting for somebody to notice.
describe('a drill', { concurrency: 3 }, () => {
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

  /** Waits until a drill has all that it starts. */
  async function runs(run) {
    await until('the shop runs', () => {
      if (run.child.exitCode !== null) throw new Error(`it has ended: ${run.said}${run.complained}`);
      return left(run).some((line) => line.includes('nginx: worker'));
    }, 120);
  }

  test('it ends when it is told to, and leaves nothing', async () => {
    const run = start('told', ['restore', '--seconds', '600']);
    await runs(run);
    run.child.kill('SIGTERM');
    assert.equal(await run.finished, 143, run.complained);
    assert.equal(run.said, '');
    assertNothingLeft(run);
  });

  test('what plays it is killed, and nothing is left', async () => {
    const run = start('killed', ['cache', '--seconds', '600']);
    await runs(run);
    process.kill(Number(/^\s*(\d+)/.exec(left(run).find((line) => line.includes('dr-drill/main.mjs')))[1]), 'SIGKILL');
    assert.equal(await run.finished, 137, run.complained);
    assertNothingLeft(run);
  });
});

for (const words of [[], ['datebase'], ['database', '--seed', '1'], ['database', '--lag', 'long'], ['cache', '--frozen'], ['pods', '--topology', 'combined'],
  ['pods', '--rounds', '0'], ['restore', '--destroy', 'everything'], ['restore', '--limit', '0'], ['cache', '--buyers']]) {
  test(`a wrong call: ${words.join(' ')}`, () => {
    const done = spawnSync(script, words, { encoding: 'utf8', env: cleanEnvironment() });
    assert.equal(done.status, 2);
    assert.match(done.stderr, /^Usage: scripts\/dr-drill/);
  });
}
