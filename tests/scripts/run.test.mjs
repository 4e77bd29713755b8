// `scripts/run` from an empty folder to a paid order: what it prints is what the README says, and
// the README's lines work as they stand.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { cleanEnvironment, ended, freePort, listens, purchase, root, temporaryFolder, until } from '../browser/shop.mjs';

let folder;
let port;
let base;
const running = new Set();

before(async () => {
  folder = temporaryFolder();
  port = await freePort();
  base = `http://127.0.0.1:${port}`;
});

after(async () => {
  for (const child of running) child.kill('SIGTERM');
  await Promise.all([...running].map(ended));
  rmSync(folder, { recursive: true, force: true });
});

/** Starts it from another folder than the repository and waits until all is said. */
async function start() {
  const child = spawn(join(root, 'scripts/run'), ['--debug', '--once'], {
    cwd: tmpdir(),
    env: cleanEnvironment({ ESHOPZ_LISTEN: `127.0.0.1:${port}`, ESHOPZ_DATA_DIR: join(folder, 'data') }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  let said = '';
  let complained = '';
  child.stdout.on('data', (text) => { said += text; });
  child.stderr.on('data', (text) => { complained += text; });
  await until('scripts/run has said all', () => {
    if (child.exitCode !== null) throw new Error(`scripts/run has ended: ${complained}`);
    return said.includes('/api/v1/orders') && said.endsWith('\n\n');
  }, 900);
  return { child, said };
}

async function assertGone(child) {
  running.delete(child);
  assert.equal(await listens(port), false, 'something still listens');
}

function adminPassword(said) {
  return /admin@example\.com, password (\S+)/.exec(said)[1];
}

async function signIn(password) {
  const answer = await fetch(`${base}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'admin@example.com', password }),
  });
  return answer.json();
}

test('a first run, the purchase word for word, and a second run', async (t) => {
  const first = await start();
  const password = adminPassword(first.said);

  await t.test('it prints the lines of the README', () => {
    assert.ok(first.said.includes(`${base}/docs/`), first.said);
    assert.ok(first.said.includes(purchase(base)), first.said);
    assert.equal(purchase(base).trim().split('\n').length, 3);
    assert.ok(!first.said.includes('\u001b'), 'colours, though nobody looks');
  });

  await t.test('the lines buy something', () => {
    const done = spawnSync('bash', ['-c', purchase(base)], { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr);
    const order = JSON.parse(done.stdout.trim().split('\n').at(-1));
    assert.equal(order.status, 'paid');
    assert.equal(order.payment.status, 'succeeded');
  });

  await t.test('the admin signs in', async () => {
    assert.equal((await signIn(password)).user.role, 'admin');
  });

  await t.test('it ends when standard input closes', async () => {
    first.child.stdin.end();
    assert.equal(await ended(first.child), 0);
    await assertGone(first.child);
  });

  await t.test('a second run finds everything as it was, and ends at SIGTERM', async () => {
    const second = await start();
    assert.equal(adminPassword(second.said), password);
    assert.equal((await signIn(password)).user.role, 'admin');
    const orders = await fetch(`${base}/api/v1/orders`, {
      headers: { authorization: `Bearer ${(await signIn(password)).access_token}` },
    });
    assert.equal((await orders.json()).items.length, 1);
    second.child.kill('SIGTERM');
    assert.equal(await ended(second.child), 143);
    await assertGone(second.child);
  });
});

test('a port in use is said at once', async () => {
  const taken = createServer().listen(port, '127.0.0.1');
  const done = await new Promise((answer) => {
    const child = spawn(join(root, 'scripts/run'), ['--debug', '--once'], {
      env: cleanEnvironment({ ESHOPZ_LISTEN: `127.0.0.1:${port}`, ESHOPZ_DATA_DIR: join(folder, 'data') }),
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let complained = '';
    child.stderr.on('data', (text) => { complained += text; });
    child.once('close', (code) => answer({ code, complained }));
  });
  taken.close();
  assert.equal(done.code, 1);
  assert.match(done.complained, /in use/);
});
