// `scripts/instructions`: whether it counts, and holds the counts against both sides of a bound. What the bounds are is not
// looked at here.

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

test('a count above its bound is found, one far below it as well, and nothing is left', () => {
  const bounds = { debug: { 'product by handle, hot': 10, 'product by id, hot': 4_000_000_000 } };
  writeFileSync(join(folder, 'bounds.json'), JSON.stringify(bounds));
  const words = ['--binary', eshopz, '--only', 'product by', '--bounds', 'bounds.json', '--json', 'counts.json'];
  const { status, stdout, stderr } = call(words);
  assert.equal(status, 1, stderr);
  assert.equal(stderr, '');
  assert.match(stdout, /^product by handle, hot +[0-9]{5,} +10 {2}ABOVE$/m);
  assert.match(stdout, /^product by id, hot +[0-9]{5,} +4000000000 {2}FAR BELOW: /m);
  const { instructions } = JSON.parse(readFileSync(join(folder, 'counts.json'), 'utf8'));
  for (const rounds of Object.values(instructions)) {
    assert.ok(Math.max(...rounds) < 1.5 * Math.min(...rounds), `the counts differ: ${rounds}`);
  }
  assert.deepEqual(readdirSync(folder).sort(), ['bounds.json', 'counts.json']);
});
