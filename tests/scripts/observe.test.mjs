// `scripts/observe` beside a shop: it sees the shop with the rules of production, and leaves nothing behind, however
// it ends.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';

import { Shop, cleanEnvironment, ended, freePort, listens, root, until } from '../browser/shop.mjs';

const script = join(root, 'scripts/observe');

let shop;
let management;
const running = new Set();

before(async () => {
  const port = await freePort();
  management = `127.0.0.1:${port + 6000}`;
  shop = await Shop.start(port, { products: 5 });
});

after(async () => {
  for (const child of running) child.kill('SIGTERM');
  await Promise.all([...running].map(ended));
  await shop?.stop();
});

/** Starts it from another folder than the repository and waits until all is said. */
async function start(...words) {
  const child = spawn(script, ['--once', ...words], {
    cwd: tmpdir(), env: cleanEnvironment(), stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  const run = { child, said: '', complained: '' };
  child.stdout.on('data', (text) => { run.said += text; });
  child.stderr.on('data', (text) => { run.complained += text; });
  await until('scripts/observe has said all', () => {
    if (child.exitCode !== null) throw new Error(`scripts/observe has ended: ${run.complained}`);
    return run.said.includes('docs/runbooks/questions.md') && run.said.endsWith('\n\n');
  }, 300);
  run.port = Number(/Queries +http:\/\/127\.0\.0\.1:(\d+)/.exec(run.said)[1]);
  [, run.log] = /Log +(\S+)/.exec(run.said);
  return run;
}

async function assertGone(run) {
  running.delete(run.child);
  assert.equal(await listens(run.port), false, 'something still listens');
  assert.equal(existsSync(dirname(run.log)), false, `${dirname(run.log)} is left`);
}

async function ask(run, path) {
  const answer = await fetch(`http://127.0.0.1:${run.port}/api/v1/${path}`);
  assert.equal(answer.status, 200, path);
  return (await answer.json()).data;
}

const query = async (run, text) => (await ask(run, `query?query=${encodeURIComponent(text)}`)).result;

test('a shop is seen by the rules of production', async (t) => {
  const first = await start('--targets', `${management},127.0.0.1:1`);

  await t.test('it says who answers and where to look', async () => {
    assert.match(first.said, new RegExp(`${management} +answers\n`));
    assert.match(first.said, /127\.0\.0\.1:1 +does not answer yet\n/);
    for (const [, address] of first.said.matchAll(/(http:\/\/\S+)/g)) {
      assert.equal((await fetch(address)).status, 200, address);
    }
    assert.equal(first.complained, '');
  });

  await t.test('the shop is there, and who is not is down', async () => {
    await until('both were looked at', async () => (await query(first, 'up{job="eshopz"}')).length === 2);
    const states = await query(first, 'up{job="eshopz"}');
    const up = Object.fromEntries(states.map(({ metric, value }) => [metric.instance, value[1]]));
    assert.deepEqual(up, { [management]: '1', '127.0.0.1:1': '0' });
    const [info] = await query(first, 'eshopz_build_info');
    assert.equal(info.metric.module, 'all');
    assert.equal(info.metric.namespace, 'local');
  });

  await t.test('every rule is evaluated without an error', async () => {
    const rules = await until('each was evaluated', async () => {
      const all = (await ask(first, 'rules')).groups.flatMap((group) => group.rules);
      return all.every((rule) => rule.health !== 'unknown') && all;
    });
    assert.ok(rules.length >= 50, `${rules.length} rules`);
    assert.deepEqual(rules.filter((rule) => rule.health !== 'ok').map((rule) => [rule.name, rule.lastError]), []);
  });

  await t.test('what is recorded is of this shop', async () => {
    await shop.send('GET', '/api/v1/products?limit=1');
    const rate = 'namespace:eshopz_api_requests:rate5m{namespace="local"} > 0';
    await until('the request is seen', async () => {
      await shop.send('GET', '/api/v1/products?limit=1');
      return (await query(first, rate)).length === 1;
    });
  });

  await t.test('it ends when standard input closes', async () => {
    first.child.stdin.end();
    assert.equal(await ended(first.child), 0);
    await assertGone(first);
  });
});

test('it passes over a port that is taken, and ends at SIGTERM', async () => {
  const taken = createServer();
  const isTaken = !(await listens(9090));
  if (isTaken) await new Promise((done) => { taken.listen(9090, '127.0.0.1', done); });
  const run = await start('--targets', management);
  if (isTaken) taken.close();
  assert.notEqual(run.port, 9090);
  run.child.kill('SIGTERM');
  assert.equal(await ended(run.child), 143);
  await assertGone(run);
});

test('when Prometheus ends by itself, so does all', async () => {
  const run = await start('--targets', management);
  const [{ metric }] = await until('there is a look', async () => {
    const found = await query(run, 'up{job="eshopz"}');
    return found.length > 0 && found;
  });
  assert.equal(metric.instance, management);
  const found = spawnSync('pgrep', ['-P', String(run.child.pid), '-x', 'prometheus'], { encoding: 'utf8' });
  process.kill(Number(found.stdout), 'SIGKILL');
  assert.equal(await ended(run.child), 1);
  assert.match(run.complained, /Prometheus has ended by itself/);
  await assertGone(run);
});

for (const words of [['observe'], ['--targets'], ['--targets', ''], ['--targets', '9000'], ['--targets', '127.0.0.1:'],
  ['--targets', '127.0.0.1:9000,'], ['--targets', "a:1\n- b:2"], ['--once', 'twice']]) {
  test(`a wrong call: ${JSON.stringify(words)}`, () => {
    const done = spawnSync(script, words, { encoding: 'utf8', env: cleanEnvironment() });
    assert.equal(done.status, 2);
    assert.equal(done.stdout, '');
    assert.match(done.stderr, /^Usage: scripts\/observe/);
  });
}
