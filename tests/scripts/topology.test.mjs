// `scripts/topology split` from an empty folder to a paid order: five processes behind nginx, the README's lines
// as they stand, and nothing left running, however it ends.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { cleanEnvironment, ended, freePort, listens, purchase, root, temporaryFolder, until } from '../browser/shop.mjs';

const MODULES = ['user', 'product', 'cart', 'payment', 'order'];
const script = join(root, 'scripts/topology');

let folder;
let port;
let basePort;
let base;
const running = new Set();

before(async () => {
  folder = temporaryFolder();
  basePort = await freePorts();
  port = await freePort();
  base = `http://127.0.0.1:${port}`;
});

after(async () => {
  for (const child of running) child.kill('SIGTERM');
  await Promise.all([...running].map(ended));
  rmSync(folder, { recursive: true, force: true });
});

function portsFrom(first) {
  return MODULES.flatMap((_, index) => [0, 1000, 6000].map((above) => first + 1 + index + above));
}

/** The first of a row of ports, none of which has anybody. They lie below those of outgoing connections. */
async function freePorts() {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const first = 12000 + 10 * Math.floor(Math.random() * 90);
    const taken = await Promise.all(portsFrom(first).map(listens));
    if (!taken.includes(true)) return first;
  }
  throw new Error('no free ports');
}

function environment() {
  return cleanEnvironment({
    ESHOPZ_BASE_PORT: String(basePort),
    ESHOPZ_INGRESS: `127.0.0.1:${port}`,
    ESHOPZ_DATA_DIR: join(folder, 'data'),
  });
}

/** Starts it from another folder than the repository and waits until all is said. */
async function start() {
  const child = spawn(script, ['split', '--debug', '--once'], {
    cwd: tmpdir(), env: environment(), stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  const run = { child, said: '', complained: '' };
  child.stdout.on('data', (text) => { run.said += text; });
  child.stderr.on('data', (text) => { run.complained += text; });
  await until('scripts/topology has said all', () => {
    if (child.exitCode !== null) throw new Error(`scripts/topology has ended: ${run.complained}`);
    return run.said.includes('/api/v1/orders') && run.said.endsWith('\n\n');
  }, 900);
  run.pids = MODULES.map((name) => Number(new RegExp(`^ +${name} +${name} .* (\\d+)$`, 'm').exec(run.said)[1]));
  return run;
}

function lives(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function assertGone(run) {
  running.delete(run.child);
  assert.deepEqual(run.pids.filter(lives), [], 'processes are left');
  for (const each of [port, ...portsFrom(basePort)]) {
    assert.equal(await listens(each), false, `something still listens at ${each}`);
  }
}

function buy() {
  return spawnSync('bash', ['-c', purchase(base)], { encoding: 'utf8' });
}

test('five processes, the purchase word for word, and a failure of one', async (t) => {
  const first = await start();

  await t.test('it prints the processes and the lines of the README', () => {
    assert.ok(first.said.includes(`${base}/docs/`), first.said);
    assert.ok(first.said.includes(purchase(base)), first.said);
    assert.equal(new Set(first.pids).size, 5);
    for (const each of portsFrom(basePort)) assert.ok(first.said.includes(`http://127.0.0.1:${each} `), first.said);
  });

  await t.test('the lines buy something', () => {
    const done = buy();
    assert.equal(done.status, 0, done.stderr);
    const order = JSON.parse(done.stdout.trim().split('\n').at(-1));
    assert.equal(order.status, 'paid');
    assert.equal(order.payment.status, 'succeeded');
  });

  await t.test('the internal listeners are not behind nginx', async () => {
    const answer = await fetch(`${base}/internal/v1/product/product`, { method: 'POST' });
    assert.equal(answer.status, 404);
  });

  await t.test('one that is stopped is missed, and the others go on', async () => {
    process.kill(first.pids[1], 'SIGTERM');
    await until('it is said', () => first.said.includes('product has been stopped'));
    const away = await fetch(`${base}/api/v1/products`);
    assert.equal(away.status, 503);
    assert.match(away.headers.get('retry-after'), /^\d+$/);
    const cart = await fetch(`${base}/api/v1/carts`, { method: 'POST' });
    assert.equal(cart.status, 201);
  });

  await t.test('it ends when standard input closes', async () => {
    first.child.stdin.end();
    assert.equal(await ended(first.child), 0);
    await assertGone(first);
  });

  await t.test('a second run finds everything as it was, and ends at SIGTERM', async () => {
    const second = await start();
    const password = /admin@example\.com, password (\S+)/;
    assert.equal(password.exec(second.said)[1], password.exec(first.said)[1]);
    second.child.kill('SIGTERM');
    assert.equal(await ended(second.child), 143);
    await assertGone(second);
  });

  await t.test('when one ends by itself, so does all', async () => {
    const third = await start();
    process.kill(third.pids[2], 'SIGABRT');
    assert.equal(await ended(third.child), 1);
    assert.match(third.complained, /cart \(pid \d+\) has ended by itself/);
    await assertGone(third);
  });
});

test('a port in use is said at once', async () => {
  const taken = createServer().listen(basePort + 3, '127.0.0.1');
  const child = spawn(script, ['split', '--debug', '--once'], { env: environment(), stdio: ['pipe', 'ignore', 'pipe'] });
  let complained = '';
  child.stderr.on('data', (text) => { complained += text; });
  const code = await new Promise((answer) => { child.once('close', answer); });
  taken.close();
  assert.equal(code, 1);
  assert.match(complained, new RegExp(`${basePort + 3} is in use`));
});

for (const words of [[], ['spilt'], ['replicas'], ['replicas', '0'], ['split', '--seconds', '3'], ['split', '--events', 'sqs'],
  ['compare', '--redis'], ['compare', '--rounds']]) {
  test(`a wrong call: ${words.join(' ')}`, () => {
    const done = spawnSync(script, words, { encoding: 'utf8', env: cleanEnvironment() });
    assert.equal(done.status, 2);
    assert.match(done.stderr, /^Usage: scripts\/topology/);
  });
}
