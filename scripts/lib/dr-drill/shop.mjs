// The shop of a drill: its processes in one of the topologies, as for production, and nginx before them.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { environment, listens, run, until } from './stage.mjs';

export const MODULES = ['user', 'product', 'cart', 'payment', 'order'];

const INTERNAL = 1000;
const MANAGEMENT = 6000;
const REPLICAS = 3;
/** Distances between processes. */
const APART = 10;

function selectionsOf(topology) {
  if (topology === 'split') return MODULES;
  return Array(topology === 'replicas' ? REPLICAS : 1).fill('all');
}

export class Shop {
  /** Prepares its database and starts it. */
  static async start(stage, { program, topology, databaseUrl, redisUrl, products = 200 }) {
    const shop = new Shop();
    const selections = selectionsOf(topology);
    const above = selections.flatMap((_, index) => [0, INTERNAL, MANAGEMENT].map((distance) => index * APART + distance));
    const first = await stage.ports(above);
    shop.stage = stage;
    shop.program = program;
    shop.processes = selections.map((selection, index) => ({
      name: selection === 'all' ? `eshopz-${index + 1}` : selection, selection, port: first + index * APART,
    }));
    const neighbours = topology === 'split'
      ? shop.processes.map(({ selection, port }) => [`ESHOPZ_${selection.toUpperCase()}_URL`, `http://127.0.0.1:${port + INTERNAL}`]) : [];
    shop.environment = {
      ...environment, ...Object.fromEntries(neighbours), ...(redisUrl ? { ESHOPZ_REDIS_URL: redisUrl } : {}),
      RUST_LOG: process.env.RUST_LOG ?? 'warn', ESHOPZ_ENV: 'production', ESHOPZ_DATABASE_URL: databaseUrl, ESHOPZ_PAYMENT_GATEWAY: 'sandbox',
      ESHOPZ_SECRET_KEY: randomBytes(32).toString('hex'), ESHOPZ_WEBHOOK_SECRET: randomBytes(16).toString('hex'),
      ESHOPZ_RATE_LIMIT: 'off', ESHOPZ_TRUSTED_PROXIES: '127.0.0.1', ESHOPZ_DATA_DIR: join(stage.folder, 'data'),
    };
    stage.tell('making the database');
    await shop.command('migrate', 'up');
    await shop.command('seed', 'demo', '--products', String(products));

    stage.tell('starting the shop');
    await shop.startAll();
    await shop.#startIngress();
    return shop;
  }

  /** A command beside the shop; its code and what it said. */
  command(...words) {
    return run(this.program, words, { env: this.environment });
  }

  async startAll() {
    for (const each of this.processes) this.startOne(each);
    await Promise.all(this.processes.map((each) => this.isReady(each)));
  }

  startOne(each) {
    this.stage.letGo(each.port, each.port + INTERNAL, each.port + MANAGEMENT);
    each.process = this.stage.start(each.name, this.program,
      ['serve', '--modules', each.selection, '--listen', `127.0.0.1:${each.port}`], { env: this.environment });
  }

  isReady(each, seconds = 180) {
    return this.stage.awaits(each.process, `${each.name} is ready`, async () => {
      const answer = await fetch(`http://127.0.0.1:${each.port + MANAGEMENT}/health/ready`).catch(() => null);
      return answer?.ok;
    }, { seconds });
  }

  /** Kills all of it. */
  async killAll() {
    for (const { process } of this.processes) process.child.kill('SIGKILL');
    await Promise.all(this.processes.map(({ process }) => process.ended));
  }

  /** Whether a process says that it has Redis. */
  async #hasRedis({ port }) {
    const answer = await fetch(`http://127.0.0.1:${port + MANAGEMENT}/metrics`).catch(() => null);
    return answer ? /^eshopz_redis_up(\{[^}]*\})? 1$/m.test(await answer.text()) : false;
  }

  /** Waits until each process has said that it has Redis. Asked now and then only: to count all its metrics takes a process
   * longer than to serve a customer. */
  async usesRedis(seconds) {
    await Promise.all(this.processes.map((each) => until('the shop uses Redis', () => this.#hasRedis(each), { seconds, every: 100 })));
  }

  /** What `eshopz verify` says, with `null` for nothing wrong. */
  async verify() {
    const { code, stdout, stderr } = await run(this.program, ['verify'], { env: this.environment, mayFail: true });
    const said = (stdout.trim() || stderr.trim()).split('\n');
    return { wrong: code === 0 ? null : said.join('\n'), said: said.at(-1) };
  }

  /** nginx by the template of scripts/topology. */
  async #startIngress() {
    const port = await this.stage.ports();
    const folder = join(this.stage.folder, 'ingress');
    mkdirSync(folder);
    let text = readFileSync(new URL('../ingress.conf.template', import.meta.url), 'utf8');
    for (const module of MODULES) {
      const servers = this.processes.filter(({ selection }) => selection === 'all' || selection === module);
      text = text.replaceAll(`@${module.toUpperCase()}@`, servers.map((each) => `server 127.0.0.1:${each.port} max_fails=0;`).join(' '));
    }
    writeFileSync(join(folder, 'nginx.conf'), text.replaceAll('@LISTEN@', `127.0.0.1:${port}`).replaceAll('@FOLDER@', folder));
    this.stage.letGo(port);
    const nginx = this.stage.start('nginx', 'nginx', ['-e', join(folder, 'error.log'), '-p', folder, '-c', join(folder, 'nginx.conf')]);
    // Its workers would outlive one that is killed.
    this.stage.atEnd(async () => { nginx.child.kill('SIGTERM'); await nginx.ended; });
    await this.stage.awaits(nginx, 'nginx listens', () => listens(port));
    this.base = `http://127.0.0.1:${port}`;
  }
}
