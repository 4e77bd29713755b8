// scripts/smoke against the shop in one process and in five, and against shops that are not well: a gateway that moves money,
// a cancellation that fails, an interruption. Whatever happens, nothing of it stays.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, request } from 'node:http';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { codeOf } from '../../scripts/lib/smoke/client.mjs';
import { Shop, cleanEnvironment, ended, freePort, listens, root, temporaryFolder, until } from '../browser/shop.mjs';

const script = join(root, 'scripts/smoke');
const ADMIN = { SMOKE_ADMIN_EMAIL: 'admin@example.com', SMOKE_ADMIN_PASSWORD: 'a long walk by the sea' };

let shop;
let admin;

before(async () => {
  shop = await Shop.start(await freePort(), { products: 20 });
  shop.tell(`${ADMIN.SMOKE_ADMIN_PASSWORD}\n`, 'admin', 'create', '--email', ADMIN.SMOKE_ADMIN_EMAIL);
  const { access_token: token } = await shop.send('POST', '/api/v1/auth/login', {
    email: ADMIN.SMOKE_ADMIN_EMAIL, password: ADMIN.SMOKE_ADMIN_PASSWORD,
  });
  admin = { authorization: `Bearer ${token}` };
});

after(() => shop?.stop());

function start(words, env = {}) {
  const clean = Object.fromEntries(Object.entries(cleanEnvironment()).filter(([name]) => !name.startsWith('SMOKE_')));
  const child = spawn(script, words, { env: { ...clean, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const run = { child, said: '', complained: '' };
  child.stdout.on('data', (text) => { run.said += text; });
  child.stderr.on('data', (text) => { run.complained += text; });
  run.done = new Promise((answer) => { child.once('close', (code) => answer({ code, ...run, said: run.said })); });
  return run;
}

/** Its result, by the name of the step. */
async function smoke(words, env) {
  const done = await start(['--json', ...words], env).done;
  const report = JSON.parse(done.said);
  const of = Object.fromEntries(report.results.map(({ name, outcome, detail }) => [name, `${outcome}: ${detail}`]));
  return { ...done, report, of };
}

/** What it left: accounts that somebody could use, and orders that hold stock. */
async function left() {
  const { items: users } = await shop.send('GET', '/api/v1/users?limit=100', undefined, admin);
  const { items: orders } = await shop.send('GET', '/api/v1/orders?limit=100', undefined, admin);
  const product = await fetch(`${shop.base}/api/v1/products/eshopz-smoke-test`);
  return {
    accounts: users.filter(({ email }) => /smoke/.test(email)).length,
    orders: orders.filter(({ status }) => status !== 'cancelled').length,
    product: product.status,
  };
}

const NOTHING = { accounts: 0, orders: 0, product: 404 };

/** The shop behind somebody who may change what is asked and said. */
async function behind(change) {
  const { hostname, port } = new URL(shop.base);
  const server = createServer((asked, answer) => {
    const parts = [];
    asked.on('data', (part) => parts.push(part));
    asked.on('end', async () => {
      const said = await change.before?.(asked);
      if (said) {
        answer.writeHead(said, { 'content-type': 'application/problem+json' }).end(`{"status":${said},"code":"planted","detail":"planted"}`);
        return;
      }
      const onward = request({ hostname, port, method: asked.method, path: asked.url, headers: asked.headers }, (from) => {
        const read = [];
        from.on('data', (part) => read.push(part));
        from.on('end', () => {
          const { 'content-length': _, 'transfer-encoding': __, ...headers } = from.headers;
          const text = Buffer.concat(read).toString();
          answer.writeHead(from.statusCode, headers).end(change.after?.(text, asked) ?? text);
        });
      });
      onward.end(Buffer.concat(parts));
    });
  });
  await new Promise((next) => { server.listen(0, '127.0.0.1', next); });
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => { server.close(); server.closeAllConnections?.(); } };
}

test('as a customer: it pays, takes it back, and leaves nothing', async () => {
  const { code, report, of } = await smoke([shop.base]);
  assert.equal(code, 0, JSON.stringify(report, null, 1));
  assert.match(of.payment, /^passed: declined, then succeeded/);
  assert.match(of.cancellation, /^passed: .* refunded/);
  assert.match(of['refund by an admin'], /^skipped: without an admin/);
  assert.ok(report.seconds < 30, `${report.seconds} s`);
  assert.deepEqual(await left(), NOTHING);
});

test('as an admin: a product of its own, the same each time; then all of it is tried', async () => {
  const stock = await shop.send('GET', '/api/v1/products?in_stock=true&limit=100');
  for (let time = 0; time < 2; time += 1) {
    const done = await start(['--strict', shop.base], ADMIN).done;
    assert.equal(done.code, 0, done.said);
    assert.match(done.said, /\nsmoke: passed: \d+ passed, 0 failed, 0 skipped in [\d.]+ s\n$/);
    assert.match(done.said, /^ {2}passed {2}refund by an admin +\d+ ms {2}0\.01 USD$/m);
  }
  assert.deepEqual(await left(), NOTHING);
  const { items } = await shop.send('GET', '/api/v1/products?status=archived&limit=100', undefined, admin);
  assert.equal(items.filter(({ tags }) => tags.includes('smoke')).length, 1);
  assert.deepEqual(await shop.send('GET', '/api/v1/products?in_stock=true&limit=100'), stock);
});

test('an admin with a second factor', async () => {
  const said = shop.tell(`${ADMIN.SMOKE_ADMIN_PASSWORD}\n`, 'admin', 'create', '--email', 'two@example.com', '--second-factor');
  const secret = /secret=([A-Z2-7]+)/.exec(said)[1];
  const settings = { ...ADMIN, SMOKE_ADMIN_EMAIL: 'two@example.com' };
  const without = await smoke([shop.base], settings);
  assert.match(without.of.admin, /^failed: two@example\.com cannot sign in: second_factor_required/);
  const { code, report } = await smoke(['--strict', shop.base], { ...settings, SMOKE_ADMIN_TOTP: secret });
  assert.equal(code, 0, JSON.stringify(report, null, 1));
  assert.deepEqual(await left(), NOTHING);
});

test('only looking makes nothing', async () => {
  const before = await shop.send('GET', '/api/v1/orders?limit=100', undefined, admin);
  const { code, of } = await smoke(['--read-only', shop.base]);
  assert.equal(code, 0);
  assert.deepEqual(Object.keys(of), ['signing keys', 'catalogue', 'problems are documents']);
  assert.deepEqual(await shop.send('GET', '/api/v1/orders?limit=100', undefined, admin), before);
});

test('where money moves nothing is paid unless somebody says how', async (t) => {
  const paid = [];
  const proxy = await behind({
    before: ({ url }) => { if (url.endsWith('/confirm')) paid.push(url); },
    after: (text) => text.replaceAll('"gateway":"sandbox"', '"gateway":"stripe"'),
  });
  t.after(proxy.close);
  const without = await smoke([proxy.url]);
  assert.equal(without.code, 0, JSON.stringify(without.report, null, 1));
  assert.match(without.of.payment, /^skipped: not tried: stripe moves money/);
  assert.match(without.of.cancellation, /^passed: payment cancelled/);
  assert.equal(paid.length, 0);
  assert.equal((await smoke(['--strict', proxy.url])).code, 1);

  const told = await smoke([proxy.url], { SMOKE_PAYMENT_METHOD: 'pm_card_mastercard' });
  assert.match(told.of.payment, /^passed: succeeded/);
  assert.equal(paid.length, 1);
  assert.deepEqual(await left(), NOTHING);
});

test('what fails is named, and what was made is taken back all the same', async (t) => {
  let refused = 0;
  const proxy = await behind({
    before: ({ url }) => { if (url.endsWith('/cancel') && refused++ === 0) return 500; },
  });
  t.after(proxy.close);
  const { code, of } = await smoke([proxy.url]);
  assert.equal(code, 1);
  assert.match(of.cancellation, /^failed: POST .*\/cancel: 500 planted: planted/);
  assert.match(of['clean up: orders'], /^passed/);
  assert.deepEqual(await left(), NOTHING);
});

test('a wrong sum is found', async (t) => {
  const proxy = await behind({ after: (text, { url }) => (url.endsWith('/merge') ? text.replace(/"line_total":\{"amount":\d+/, '$&1') : text) });
  t.after(proxy.close);
  const { code, of } = await smoke([proxy.url]);
  assert.equal(code, 1);
  assert.match(of['cart is taken over'], /^failed: 1 times \d+ is not \d+/);
  assert.match(of.order, /^skipped: after the failure above/);
  assert.deepEqual(await left(), NOTHING);
});

test('an interruption takes back what was made', async (t) => {
  let run;
  const proxy = await behind({ before: async ({ url }) => { if (url.endsWith('/confirm')) run.child.kill('SIGINT'); } });
  t.after(proxy.close);
  run = start([proxy.url]);
  const done = await run.done;
  assert.equal(done.code, 1, done.complained);
  assert.match(done.said, /failed +\S+ +0 ms {2}interrupted|failed .* the time is over/);
  assert.match(done.said, /passed {2}clean up: orders/);
  assert.deepEqual(await left(), NOTHING);
});

test('nobody there', async () => {
  const { code, of } = await smoke(['--timeout', '5', `http://127.0.0.1:${await freePort()}`]);
  assert.equal(code, 1);
  assert.match(of['signing keys'], /^failed: GET .*ECONNREFUSED/);
});

test('five processes behind nginx', { timeout: 180_000 }, async (t) => {
  const folder = temporaryFolder();
  const modules = [1, 2, 3, 4, 5];
  let basePort;
  do basePort = 13000 + 10 * Math.floor(Math.random() * 90);
  while ((await Promise.all(modules.flatMap((i) => [0, 1000, 6000].map((above) => listens(basePort + i + above))))).includes(true));
  const ingress = await freePort();
  const topology = spawn(join(root, 'scripts/topology'), ['split', '--debug', '--once'], {
    env: cleanEnvironment({
      ESHOPZ_BASE_PORT: String(basePort), ESHOPZ_INGRESS: `127.0.0.1:${ingress}`, ESHOPZ_DATA_DIR: join(folder, 'data'),
    }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.after(async () => {
    topology.stdin.end();
    await ended(topology);
    rmSync(folder, { recursive: true, force: true });
  });
  let said = '';
  let complained = '';
  topology.stdout.on('data', (text) => { said += text; });
  topology.stderr.on('data', (text) => { complained += text; });
  await until('five processes run', () => {
    assert.equal(topology.exitCode, null, complained);
    return /Admin +(\S+), password (\S+)/.exec(said) && said.endsWith('\n\n');
  }, 150);
  const [, email, password] = /Admin +(\S+), password (\S+)/.exec(said);
  const { code, report } = await smoke(['--strict', '--wait', '5', `http://127.0.0.1:${ingress}/`], {
    SMOKE_ADMIN_EMAIL: email, SMOKE_ADMIN_PASSWORD: password,
  });
  assert.equal(code, 0, JSON.stringify(report, null, 1));
});

test('codes of the second factor are those of RFC 6238', () => {
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
  assert.equal(codeOf(secret, 59_000), '287082');
  assert.equal(codeOf(secret, 1111111109_000), '081804');
  assert.equal(codeOf(secret.toLowerCase(), 20000000000_000), '353130');
});

for (const words of [[], ['a', 'b'], ['shop.example.com'], ['ftp://shop'], ['--wait', 'long', 'http://shop'], ['--fast', 'http://shop']]) {
  test(`a wrong call: ${words.join(' ')}`, async () => {
    const done = await start(words).done;
    assert.equal(done.code, 2);
    assert.match(done.complained, /Usage: scripts\/smoke/);
  });
}
