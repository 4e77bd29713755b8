// Redis for a drill: a primary, a replica and three Sentinels, who agree on when the primary is gone and promote the other.
// `redis-sentinel` of Debian is `redis-server --sentinel`.

import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { run } from './stage.mjs';

const MASTER = 'eshopz';
const SENTINELS = 3;

/** Asks a Redis something by a connection of its own. */
async function ask(port, ...words) {
  return (await run('redis-cli', ['-h', '127.0.0.1', '-p', String(port), ...words])).stdout.trim();
}

class Redis {
  constructor(stage, name, port) {
    Object.assign(this, { stage, name, port });
  }

  static async start(stage, name, words = []) {
    const redis = new Redis(stage, name, await stage.ports());
    stage.letGo(redis.port);
    redis.process = stage.start(name, 'redis-server', ['--bind', '127.0.0.1', '--port', String(redis.port), '--dir', stage.folder,
      '--dbfilename', `${name}.rdb`, '--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0', ...words]);
    await stage.awaits(redis.process, `${name} answers`, async () => (await ask(redis.port, 'ping').catch(() => '')) === 'PONG');
    return redis;
  }

  ask(...words) {
    return ask(this.port, ...words);
  }
}

export class RedisPair {
  /** `down` is after how many milliseconds of silence a Sentinel takes the primary for gone. */
  static async start(stage, { down }) {
    const pair = new RedisPair();
    pair.primary = await Redis.start(stage, 'redis-1');
    pair.replica = await Redis.start(stage, 'redis-2', ['--replicaof', '127.0.0.1', String(pair.primary.port)]);
    await stage.awaits(pair.replica.process, 'the replica follows', async () => /master_link_status:up/.test(await pair.replica.ask('info', 'replication')));
    pair.sentinels = [];
    for (let number = 1; number <= SENTINELS; number += 1) pair.sentinels.push(await RedisPair.#sentinel(stage, number, pair.primary.port, down));
    const last = pair.sentinels.at(-1);
    await stage.awaits(last.process, 'the Sentinels know each other and the replica', async () => {
      const told = (await Promise.all(pair.sentinels.map(({ port }) => ask(port, 'sentinel', 'master', MASTER)))).map((text) => text.split('\n'));
      const field = (lines, name) => lines[lines.indexOf(name) + 1];
      return told.every((lines) => field(lines, 'num-other-sentinels') === String(SENTINELS - 1) && field(lines, 'num-slaves') === '1');
    });
    return pair;
  }

  static async #sentinel(stage, number, primary, down) {
    const name = `sentinel-${number}`;
    const port = await stage.ports();
    const file = join(stage.folder, `${name}.conf`);
    writeFileSync(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${stage.folder}`, `sentinel monitor ${MASTER} 127.0.0.1 ${primary} 2`,
      `sentinel down-after-milliseconds ${MASTER} ${down}`, `sentinel failover-timeout ${MASTER} 10000`, ''].join('\n'));
    stage.letGo(port);
    const process = stage.start(name, 'redis-server', [file, '--sentinel']);
    await stage.awaits(process, `${name} answers`, async () => (await ask(port, 'ping').catch(() => '')) === 'PONG');
    return { port, process };
  }

  /** The port of the primary, as the Sentinels have it. */
  async word() {
    const told = await ask(this.sentinels[0].port, 'sentinel', 'get-master-addr-by-name', MASTER);
    return Number(told.split('\n')[1]);
  }
}

/** Writes the time into a Redis again and again, over one connection. */
export class Ticker {
  #timer;
  #socket;
  key = 'drill:clock';

  constructor(port) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('error', () => {});
    this.#socket.on('data', () => {});
    this.#timer = setInterval(() => { this.#socket.write(`SET ${this.key} ${performance.now()}\r\n`); }, 20);
  }

  stop() {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}
