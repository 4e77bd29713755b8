// PostgreSQL servers for a drill, with Debian's programs: a primary, a standby that follows it, one that is restored. They
// sync what they commit, as in production.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { environment, run, until } from './stage.mjs';

const USER = 'shop_owner';
const DATABASE = 'shop';

/** The folder of PostgreSQL's programs, the newest that there is. */
function programs() {
  const versions = (folder) => (existsSync(folder) ? readdirSync(folder) : [])
    .sort((one, other) => parseFloat(other) - parseFloat(one)).map((version) => join(folder, version, 'bin'));
  const path = (process.env.PATH ?? '').split(':');
  const homes = ['/opt/homebrew/opt', '/usr/local/opt'].filter(existsSync)
    .flatMap((folder) => readdirSync(folder).filter((name) => name.startsWith('postgresql')).map((name) => join(folder, name, 'bin')));
  const all = [process.env.ESHOPZ_POSTGRES_BIN, ...versions('/usr/lib/postgresql'), ...homes, ...path];
  const found = all.find((folder) => folder && ['initdb', 'postgres', 'pg_basebackup', 'psql'].every((name) => existsSync(join(folder, name))));
  if (!found) throw new Error('PostgreSQL\'s programs (initdb, postgres, pg_basebackup, psql) are not found; set ESHOPZ_POSTGRES_BIN');
  return found;
}

/** The version of the servers. */
export const version = () => execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' }).trim().replace(/^postgres \(PostgreSQL\) (\S+).*$/, 'PostgreSQL $1');

/** As whom servers run: PostgreSQL refuses root. */
function unprivileged() {
  if (process.getuid() !== 0) return {};
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (flag) => Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch { /* There is no such user. */ }
  }
  throw new Error('there is neither a user postgres nor nobody to run PostgreSQL as');
}

const bin = programs();
const account = unprivileged();
const password = randomBytes(16).toString('hex');

const urlOf = (port) => `postgres://${USER}:${password}@127.0.0.1:${port}/${DATABASE}`;

/** A folder that belongs to the servers' user. */
export function serversFolder(path) {
  mkdirSync(path);
  chmodSync(path, 0o700);
  if (account.uid !== undefined) chownSync(path, account.uid, account.gid);
  return path;
}

export class Postgres {
  constructor(stage, name, port) {
    Object.assign(this, { stage, name, port, folder: join(stage.folder, name), url: urlOf(port) });
  }

  static async #named(stage, name) {
    return new Postgres(stage, name, await stage.ports());
  }

  /** An empty one, started, with the database of the shop. */
  static async make(stage, name, settings = {}) {
    const server = await Postgres.#named(stage, name);
    serversFolder(server.folder);
    const secret = join(stage.folder, `${name}.password`);
    writeFileSync(secret, password, { mode: 0o600 });
    if (account.uid !== undefined) chownSync(secret, account.uid, account.gid);
    // In clear, since it does not leave the machine: a program that is built without optimisation takes long over SCRAM.
    await run(join(bin, 'initdb'), ['-D', server.folder, '-U', USER, `--pwfile=${secret}`, '--auth=password', '-E', 'UTF8',
      '--locale=C.UTF-8', '--no-sync'], { account, cwd: stage.folder });
    rmSync(secret);
    await server.start({ wal_level: 'replica', ...settings });
    await server.query(`CREATE DATABASE ${DATABASE}`, 'postgres');
    return server;
  }

  /** A copy of one that runs; by another port, it goes that way from then on. Not started yet. */
  static async copyOf(primary, name, { follows = false, by = primary.port } = {}) {
    const server = await Postgres.#named(primary.stage, name);
    serversFolder(server.folder);
    await run(join(bin, 'pg_basebackup'), ['-D', server.folder, '-X', 'stream', '-c', 'fast', '--no-sync', ...(follows ? ['-R'] : []),
      '-d', `host=127.0.0.1 port=${by} user=${USER} application_name=${name}`],
    { account, cwd: primary.stage.folder, env: { ...environment, PGPASSWORD: password } });
    return server;
  }

  /** Another server on a copy of this one's files, which are not in use. */
  async restored(name) {
    const server = await Postgres.#named(this.stage, name);
    await run('cp', ['-a', this.folder, server.folder]);
    return server;
  }

  async start(settings = {}) {
    const all = {
      port: this.port, listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: 300,
      // What one that is killed leaves is then in its own folder.
      dynamic_shared_memory_type: 'mmap', ...settings,
    };
    const words = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    this.stage.letGo(this.port);
    this.process = this.stage.start(this.name, join(bin, 'postgres'), ['-D', this.folder, ...words], { account, cwd: this.folder });
    this.stage.atEnd(() => this.kill());
    await this.stage.awaits(this.process, `${this.name} accepts connections`, () => this.answers(), { seconds: 120, every: 50 });
  }

  /** Whether it accepts connections. */
  async answers() {
    const asked = await run(join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(this.port), '-t', '1'], { mayFail: true });
    return asked.code === 0;
  }

  /** What a statement answers, a row a line. */
  async query(sql, database = DATABASE) {
    const words = ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', String(this.port), '-U', USER, '-d', database, '-c', sql];
    return (await run(join(bin, 'psql'), words, { env: { ...environment, PGPASSWORD: password } })).stdout.trim();
  }

  /** Sends a signal to it and to every process that it has. */
  async #signal(signal) {
    const { pid } = this.process;
    const { stdout } = await run('pgrep', ['-P', String(pid)], { mayFail: true });
    for (const each of [pid, ...stdout.split('\n').filter(Boolean).map(Number)]) {
      try { process.kill(each, signal); } catch { /* It has ended just now. */ }
    }
  }

  /** Has it stand still, as when its disk no longer answers: its connections are there, and nothing comes back. */
  freeze() {
    return this.#signal('SIGSTOP');
  }

  /** `kill -9` of it and of every process that it has, as when its machine is lost. */
  async kill() {
    if (!this.process || this.process.over) return;
    await this.#signal('SIGKILL');
    await this.process.ended;
    await this.#sweep();
  }

  /** The little piece of shared memory by which a server knows that another one runs here. */
  async #sweep() {
    const file = join(this.folder, 'postmaster.pid');
    const id = existsSync(file) && readFileSync(file, 'utf8').split('\n')[6]?.trim().split(/\s+/)[1];
    if (id) await run('ipcrm', ['-m', id], { mayFail: true }).catch(() => {});
  }

  /** Has its next start go on from what the archive has. */
  signalRecovery() {
    const file = join(this.folder, 'recovery.signal');
    writeFileSync(file, '');
    if (account.uid !== undefined) chownSync(file, account.uid, account.gid);
  }

  /** Makes the writer of a standby. */
  async promote() {
    await this.query('SELECT pg_promote(true, 60)', 'postgres');
    await this.isWriter();
  }

  async isWriter(seconds = 120) {
    const probe = async () => (await this.query('SELECT pg_is_in_recovery()', 'postgres').catch(() => '')) === 'f';
    await this.stage.awaits(this.process, `${this.name} is a writer`, probe, { seconds });
  }

  /** Waits until nothing is under way that a buyer has begun: events to be told, charges without an end. Says what is left. */
  async settles(seconds = 120) {
    const outboxes = ['users', 'products', 'carts', 'payments', 'orders']
      .map((schema) => `(SELECT count(*) FROM ${schema}.outbox WHERE remaining IS DISTINCT FROM 0)`);
    const sum = [...outboxes, '(SELECT count(*) FROM payments.transactions WHERE status IN (\'pending\', \'surplus\'))'].join(' + ');
    let left = '';
    const isOver = async () => { left = await this.query(`SELECT ${sum}`); return left === '0'; };
    return until('', isOver, { seconds, every: 100 }).then(() => null, () => `${left} events or charges are still under way after ${seconds} s`);
  }
}
