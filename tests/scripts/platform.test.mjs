// What goes between the program, the platform in AWS and the overlays: topics and queues as the program says, and the overlays'
// settings from what Pulumi prints.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, root, temporaryFolder } from '../browser/shop.mjs';
import { OVERLAYS, environmentOf } from '../../scripts/lib/platform/env.mjs';
import { topologyOf } from '../../scripts/lib/platform/events.mjs';

function run(script, words, { input = '', env = {} } = {}) {
  return spawnSync(join(root, 'scripts', script), words, { cwd: root, env: cleanEnvironment(env), input, encoding: 'utf8' });
}

const good = { environment: { STACK: 'prod', HOST_NAME: 'shop.example.com', WAF_ACL_ARN: '' } };

function overlays(t) {
  const folder = temporaryFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of Object.values(OVERLAYS).flat()) mkdirSync(join(folder, name));
  return folder;
}

test('topics and queues are those of the program', () => {
  const checked = run('platform-events', ['--check']);
  assert.equal(checked.status, 0, checked.stderr);
});

test('an event that is told or taken anew is seen', () => {
  const graph = 'order  public :3005\n  calls      user\n  tells      order.placed.v1 -> order.finish, cart.empty\n  tells      order.paid.v1 -> nobody\n';
  assert.deepEqual(topologyOf(graph), {
    modules: ['order'],
    publishes: { order: ['order.paid.v1', 'order.placed.v1'] },
    listens: { cart: { order: ['order.placed.v1'] }, order: { order: ['order.placed.v1'] } },
  });
});

test('what Pulumi prints goes to each overlay of the stack, and no other', (t) => {
  const folder = overlays(t);
  const written = run('platform-env', [], { input: JSON.stringify(good), env: { OVERLAYS: folder } });
  assert.equal(written.status, 0, written.stderr);
  for (const name of OVERLAYS.prod) {
    const text = readFileSync(join(folder, name, 'platform.env'), 'utf8');
    assert.match(text, /^# Written by .*\nHOST_NAME=shop\.example\.com\nSTACK=prod\nWAF_ACL_ARN=\n$/);
  }
  assert.deepEqual(readdirSync(join(folder, 'dev')), []);
  const again = run('platform-env', ['--check'], { input: JSON.stringify(good), env: { OVERLAYS: folder } });
  assert.equal(again.status, 0, again.stderr);
});

test('an overlay that differs is found, and stays', (t) => {
  const folder = overlays(t);
  writeFileSync(join(folder, 'prod-split/platform.env'), 'HOST_NAME=old\n');
  const file = join(folder, 'outputs.json');
  writeFileSync(file, JSON.stringify(good));
  const checked = run('platform-env', ['--check', file], { env: { OVERLAYS: folder } });
  assert.equal(checked.status, 1);
  assert.match(checked.stderr, /prod-combined.*prod-split.*mend with scripts\/platform-env/);
  assert.equal(readFileSync(join(folder, 'prod-split/platform.env'), 'utf8'), 'HOST_NAME=old\n');
});

test('what is no output of ours is refused', () => {
  const bad = [
    [{}, /no environment/],
    [{ environment: [] }, /no environment/],
    [{ environment: { ...good.environment, STACK: 'live' } }, /no overlays of a stack live/],
    [{ environment: { ...good.environment, KEY: '[secret]' } }, /KEY is a secret/],
    [{ environment: { ...good.environment, KEY: 'a\nB=c' } }, /KEY is no line/],
    [{ environment: { ...good.environment, 'a b': '' } }, /a b is no name/],
  ];
  for (const [outputs, says] of bad) assert.throws(() => environmentOf(outputs), says);
  const broken = run('platform-env', [], { input: 'hello' });
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, /standard input is no JSON/);
});

test('the lock file names no host', () => {
  assert.ok(!readFileSync(join(root, 'pulumi/package-lock.json'), 'utf8').includes('"resolved"'));
});
