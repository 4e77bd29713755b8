// `scripts/instructions`: whether each operation keeps to its bound, and both sides of a bound are looked at.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { cleanEnvironment, eshopz, root, temporaryFolder } from '../browser/shop.mjs';

const script = join(root, 'scripts/instructions');

let folder;

before(() => {
  folder = temporaryFolder();
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** Calls it from another folder than the repository; its own folder is then made in `folder`. */
function call(words) {
  const env = cleanEnvironment({ TMPDIR: folder });
  return spawnSync(script, words, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('a wrong call is refused', () => {
  for (const words of [['--only'], ['--bounds', ''], ['--binary', 'nothing-here'], ['--what', 'x'], ['x']]) {
    const { status, stderr } = call(words);
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, /^Usage: scripts\/instructions/);
  }
});

test('each operation keeps to its bound, one above it is found, one far below it as well, and nothing is left', (t) => {
  const own = JSON.parse(readFileSync(join(root, 'tests/instructions.json'), 'utf8')).debug;
  // Two of another operation's making, which is quicker than to count all of them twice.
  const planted = { 'product by handle, hot': 10, 'product by id, hot': 4_000_000_000 };
  writeFileSync(join(folder, 'bounds.json'), JSON.stringify({ debug: { ...own, ...planted } }));
  const { status, stdout, stderr } = call(['--binary', eshopz, '--bounds', 'bounds.json', '--json', 'counts.json']);
  for (const line of stdout.trimEnd().split('\n')) t.diagnostic(line);
  assert.equal(status, 1, stderr);
  assert.equal(stderr, '');
  assert.match(stdout, /^product by handle, hot +[0-9]{5,} +10 {2}ABOVE$/m);
  assert.match(stdout, /^product by id, hot +[0-9]{5,} +4000000000 {2}FAR BELOW: /m);
  const { instructions } = JSON.parse(readFileSync(join(folder, 'counts.json'), 'utf8'));
  assert.deepEqual(Object.keys(instructions).sort(), Object.keys(own).sort());
  for (const [name, bound] of Object.entries(own)) {
    if (name in planted) {
      const [least, most] = [Math.min(...instructions[name]), Math.max(...instructions[name])];
      assert.ok(most < 1.5 * least, `the counts of ${name} differ: ${instructions[name]}`);
      assert.ok(least <= bound && least > bound / 2, `${name}: ${least}, and its bound is ${bound}`);
    } else {
      assert.match(stdout, new RegExp(`^${name} +[0-9]+ +${bound}$`, 'm'));
    }
  }
  assert.deepEqual(readdirSync(folder).sort(), ['bounds.json', 'counts.json']);
});
