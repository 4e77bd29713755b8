// A shop of its own for a test: the debug binary on free ports, with a private PostgreSQL in a folder
// that goes when the test ends. Waits are probes of what is awaited, never a fixed time.

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(fileURLToPath(import.meta.url), '../../..');

export const eshopz = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/eshopz');

const MANAGEMENT_OFFSET = 6000;

/** The environment without the settings of a shop, so that the caller's do not reach the test's. */
export function cleanEnvironment(additions = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('ESHOPZ_'));
  return { ...Object.fromEntries(kept), ...additions };
}

/** A folder that PostgreSQL's own user may pass through, which it must when root runs the test. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'eshopz-'));
  chmodSync(folder, 0o755);
  return folder;
}

export function listens(port) {
  return new Promise((answer) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); answer(true); });
    socket.once('error', () => answer(false));
  });
}

export async function freePort() {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = 41000 + Math.floor(Math.random() * 9000);
    if (!(await listens(port)) && !(await listens(port + MANAGEMENT_OFFSET))) return port;
  }
  throw new Error('no free port');
}

export async function until(what, probe, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not in ${seconds} s`);
    await new Promise((next) => { setTimeout(next, 50); });
  }
}

export function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((answer) => { child.once('exit', answer); });
}

export class Shop {
  /** Starts a shop with a demo catalogue, and maybe with settings or as another program than the debug binary. */
  static async start(port, { products = 60, settings = {}, program = eshopz } = {}) {
    const shop = new Shop();
    shop.program = program;
    shop.folder = temporaryFolder();
    shop.environment = cleanEnvironment({ ESHOPZ_DATA_DIR: join(shop.folder, 'data'), ...settings });
    shop.base = `http://127.0.0.1:${port}`;
    shop.log = '';
    shop.child = spawn(program, ['serve', '--listen', `127.0.0.1:${port}`], {
      env: shop.environment, stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [shop.child.stdout, shop.child.stderr]) {
      stream.on('data', (text) => { shop.log += text; });
    }
    try {
      await shop.ready(port + MANAGEMENT_OFFSET);
      shop.run('seed', 'demo', '--products', String(products));
    } catch (error) {
      await shop.stop();
      throw error;
    }
    return shop;
  }

  async ready(port) {
    await until('the shop is ready', async () => {
      if (this.child.exitCode !== null) throw new Error(`the shop has ended: ${this.log}`);
      const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null);
      return answer?.ok;
    }, 180);
  }

  /** A command beside the running shop. */
  run(...words) {
    return this.tell('', ...words);
  }

  /** A command that reads this from its standard input. */
  tell(input, ...words) {
    const done = spawnSync(this.program, words, { env: this.environment, encoding: 'utf8', input });
    if (done.status !== 0) throw new Error(`eshopz ${words.join(' ')}: ${done.stderr}`);
    return done.stdout;
  }

  async send(method, path, body, headers = {}) {
    const answer = await fetch(this.base + path, {
      method,
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  async stop() {
    this.child.kill('SIGTERM');
    await ended(this.child);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The block of the README that buys something, for a shop at this address. */
export function purchase(base) {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const block = /<!-- buy[^>]*-->\n```bash\n([^]*?)```/.exec(readme);
  if (!block) throw new Error('README.md has no block after a mark `<!-- buy`');
  return block[1].replaceAll('http://127.0.0.1:3000', base);
}
