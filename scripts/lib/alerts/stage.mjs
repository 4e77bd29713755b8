// What alerts are tried on: shops, PostgreSQL, Redis, exporters and Prometheus, each a process of its own that ends with this.

import { AsyncLocalStorage } from 'node:async_hooks';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { join } from 'node:path';

import { cleanEnvironment, ended, listens, root, temporaryFolder, until } from '../../../tests/browser/shop.mjs';

import { scaleRules } from './scale.mjs';

export { listens, root, until };
export const sleep = (seconds) => new Promise((next) => { setTimeout(next, seconds * 1000); });

const RULES = ['recording.yml', 'alerts.yml'].map((name) => join(root, 'kustomize/monitoring/prometheus/rules', name));

/** Whoever runs PostgreSQL, which refuses root: its own user where there is one. */
function unprivileged() {
  if (process.getuid?.() !== 0) return {};
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  const of = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
  return { uid: Number(of[2]), gid: Number(of[3]) };
}

function postgresPrograms() {
  const { ESHOPZ_POSTGRES_BIN: own } = process.env;
  const asked = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' }).stdout?.trim();
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => b - a).map((version) => join(debian, version, 'bin')) : [];
  const found = [own, asked, ...versions].find((folder) => folder && existsSync(join(folder, 'initdb')));
  if (!found) throw new Error('there is no PostgreSQL: set ESHOPZ_POSTGRES_BIN to the folder of its programs');
  return found;
}

const SCENE = new AsyncLocalStorage();

/** The stage, which knows all processes and ends them. */
export class Stage {
  constructor({ program, moto, say = () => {} }) {
    Object.assign(this, { program, moto, say, folder: temporaryFolder(), parts: [], agents: [], targets: [], probes: [], databases: 0 });
    this.played = { kubelet: () => '', cloudwatch: () => '', state: () => '' };
  }

  /** Does something for a scene, so that what is started meanwhile is known to be of it. */
  during(scene, what) {
    return SCENE.run(scene, what);
  }

  /** What Prometheus is to look at. */
  target(of) {
    this.targets.push({ scene: SCENE.getStore(), ...of });
  }

  /** One that is free, and so are those of a shop's other listeners. Each is given once. */
  async freePort() {
    for (let attempt = 0; attempt < 500; attempt += 1) {
      const port = this.port();
      const taken = await Promise.all([0, 1000, 6000].map((offset) => listens(port + offset)));
      if (!taken.includes(true)) return port;
    }
    throw new Error('no free port');
  }

  /** The next one, whether free or not. All are below those that the system gives to whoever asks for any. */
  port() {
    this.nextPort = (this.nextPort ?? 20_000 + Math.floor(Math.random() * 3000)) + 1;
    return this.nextPort;
  }

  /** Starts a program; its output goes to a file beside the others. */
  spawn(name, program, words, { env = {}, ...options } = {}) {
    if (this.stopped) throw new Error('all is being stopped');
    const file = join(this.folder, `${name}.log`);
    const log = openSync(file, 'a');
    const child = spawn(program, words, { env: cleanEnvironment(env), stdio: ['ignore', log, log], cwd: this.folder, ...options });
    closeSync(log);
    const part = { name, child, file, said: () => readFileSync(file, 'utf8') };
    child.once('error', (error) => { part.error = error; });
    this.parts.push(part);
    return part;
  }

  async ready(part, probe, seconds = 90) {
    await until(`${part.name} is ready`, async () => {
      if (part.error) throw part.error;
      if (part.child.exitCode !== null || part.child.signalCode !== null) {
        throw new Error(`${part.name} has ended: ${part.said().slice(-2000)}`);
      }
      return probe();
    }, seconds);
    return part;
  }

  async partner(name, program, port, words, options) {
    const part = await this.ready(this.spawn(name, program, words, options), () => listens(port));
    return Object.assign(part, { port });
  }

  /** A command that ends by itself. */
  async run(program, words, { may = [0], ...options } = {}) {
    const { code, out, complained } = await this.tell(program, words, options);
    if (!may.includes(code)) throw new Error(`${program} ${words.join(' ')}: ${complained}`);
    return out;
  }

  /** Nothing waits for a command but who has called it: requests are under way meanwhile. */
  tell(program, words, { env = {}, input, ...options } = {}) {
    return new Promise((done) => {
      const child = spawn(program, words, { env: cleanEnvironment(env), cwd: this.folder, ...options });
      const said = { out: '', complained: '' };
      child.stdout.on('data', (text) => { said.out += text; });
      child.stderr.on('data', (text) => { said.complained += text; });
      child.once('error', (error) => done({ ...said, code: null, complained: String(error) }));
      child.once('close', (code) => done({ ...said, code }));
      child.stdin.on('error', () => {});
      child.stdin.end(input ?? '');
    });
  }

  async end(part, signal = 'SIGTERM') {
    if (part.error || !part.child.pid) return;
    // One that is frozen could not end.
    part.child.kill('SIGCONT');
    part.child.kill(signal);
    const late = setTimeout(() => part.child.kill('SIGKILL'), 8_000);
    await ended(part.child);
    clearTimeout(late);
  }

  async stop() {
    this.stopped = true;
    for (const agent of this.agents) agent.stop?.();
    // Those that lean on others first.
    const [databases, others] = [[], []];
    for (const part of this.parts) (part.database ? databases : others).push(part);
    await Promise.all(others.map((part) => this.end(part)));
    await Promise.all(databases.reverse().map((part) => this.end(part, 'SIGINT')));
    await Promise.all(this.agents.map((agent) => agent.ended));
    this.server?.closeAllConnections?.();
    this.server?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  // --- PostgreSQL

  async postgres(name, { from, standby = false, settings = {} } = {}) {
    const [bin, as, port] = [postgresPrograms(), unprivileged(), await this.freePort()];
    const data = join(this.folder, `data-${name}`);
    mkdirSync(data, { mode: 0o700 });
    if (as.uid !== undefined) await this.run('chown', [`${as.uid}:${as.gid}`, data]);
    if (from) {
      await this.run(join(bin, 'pg_basebackup'), ['-h', '127.0.0.1', '-p', String(from.port), '-U', 'eshopz', '-D', data, '-c', 'fast',
        ...(standby ? ['-R'] : [])], { ...as });
    } else {
      await this.run(join(bin, 'initdb'), ['-D', data, '--username=eshopz', '--auth=trust', '--encoding=UTF8', '--locale=C',
        '--lc-ctype=C.UTF-8', '--no-sync'], { ...as, env: { TZ: 'UTC' } });
    }
    const all = {
      port, listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: 700, shared_buffers: '32MB', fsync: 'off',
      wal_level: 'replica', max_wal_senders: 5, wal_keep_size: '512MB', jit: 'off', autovacuum_naptime: '60', ...settings,
    };
    const words = ['-D', data, ...Object.entries(all).flatMap(([key, value]) => ['-c', `${key}=${value}`])];
    const start = async () => {
      const part = await this.partner(`postgres-${name}`, join(bin, 'postgres'), port, words, { ...as });
      part.database = true;
      return part;
    };
    const server = { name, port, start, part: await start(), url: (database) => `postgres://eshopz@127.0.0.1:${port}/${database}` };
    await until(`${name} takes connections`, () => this.sql(server.url('postgres'), 'SELECT 1').catch(() => null));
    return server;
  }

  /** Statements, each for itself, and what they answer. */
  async sql(url, ...texts) {
    return (await this.run('psql', ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', url, ...texts.flatMap((text) => ['-c', text])])).trim();
  }

  /** A session that stays, doing this; it ends with `release`. */
  session(url, text) {
    const name = `alerts-${this.parts.length}`;
    const part = this.spawn(name, 'psql', ['-X', '-q', '-d', `${url}?application_name=${name}`, '-c', text]);
    part.release = () => this.sql(url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${name}'`);
    return part;
  }

  /** The server of most shops, with a database that is filled and is copied for each of them. */
  async main() {
    this.mainServer ??= (async () => {
      const server = await this.postgres('main');
      const url = server.url('template_shop');
      await this.sql(server.url('postgres'), 'CREATE DATABASE template_shop');
      const env = { ESHOPZ_DATABASE_URL: url, ESHOPZ_DATA_DIR: join(this.folder, 'seed') };
      await this.run(this.program, ['migrate', 'up'], { env });
      await this.run(this.program, ['seed', 'demo', '--products', '20'], { env });
      await this.run(this.program, ['admin', 'create', '--email', ADMIN], { env, input: `${PASSWORD}\n` });
      // A copy takes all, and nobody may be connected meanwhile.
      await until('nobody is connected', async () => await this.sql(server.url('postgres'),
        "SELECT count(*) FROM pg_stat_activity WHERE datname = 'template_shop'") === '0');
      return server;
    })();
    return this.mainServer;
  }

  async database(name) {
    const server = await this.main();
    // Two copies at once are refused.
    this.copying = (this.copying ?? Promise.resolve()).then(() => (
      this.sql(server.url('postgres'), `CREATE DATABASE ${name} TEMPLATE template_shop`)));
    await this.copying;
    return server.url(name);
  }

  // --- The shop

  /** A process of the shop. What it is in Prometheus are the labels: its namespace, its app and its pod. */
  async shop(name, { url, namespace = name, app = 'eshopz', modules = 'all', settings = {}, wrap = [], tls, ports } = {}) {
    const port = ports?.port ?? await this.freePort();
    const env = {
      ESHOPZ_DATABASE_URL: url, ESHOPZ_DATA_DIR: join(this.folder, `files-${name}`),
      // What a password costs is of no interest, but where it is.
      ESHOPZ_ARGON2_MEMORY_KIB: '1024', ESHOPZ_ARGON2_ITERATIONS: '1', ESHOPZ_WORKERS: '2', RUST_LOG: 'warn', ...settings,
    };
    for (const [key, value] of Object.entries(env)) if (value === undefined) delete env[key];
    const words = ['serve', '--modules', modules, '--listen', `127.0.0.1:${port}`];
    const [program, ...rest] = [...wrap, this.program, ...words];
    const shop = new Shop(this, { name, namespace, port, url, env, base: `${tls ? 'https' : 'http'}://127.0.0.1:${port}` });
    shop.launch = async () => {
      shop.part = this.spawn(name, program, rest, { env });
      await this.ready(shop.part, async () => (await fetch(`http://127.0.0.1:${port + 6000}/health/ready`).catch(() => null))?.ok, 120);
    };
    shop.begun = shop.launch();
    this.target({ job: 'eshopz', address: `127.0.0.1:${port + 6000}`, labels: { namespace, app, pod: name } });
    await shop.begun;
    return shop;
  }

  redis = async (name) => {
    const port = await this.freePort();
    const words = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    return this.partner(`redis-${name}`, 'redis-server', port, words);
  };

  // --- Exporters

  async postgresExporter(name, server, namespace) {
    const port = await this.freePort();
    const version = await this.tell('prometheus-postgres-exporter', ['--version']);
    const old = /version 0\.(\d+)\./.exec(version.out + version.complained)?.[1] < 13;
    // What it measures by itself from 0.13 on: Debian 12 has 0.11, which can be told.
    writeFileSync(join(this.folder, 'replication.yml'), `pg_replication:
  query: >-
    SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) END AS lag_seconds
  metrics:
    - lag_seconds:
        usage: GAUGE
        description: Replication lag behind the primary in seconds
`);
    await this.partner(`exporter-${name}`, 'prometheus-postgres-exporter', port, [
      `--web.listen-address=127.0.0.1:${port}`, ...(old ? [`--extend.query-path=${join(this.folder, 'replication.yml')}`] : [])], {
      env: { DATA_SOURCE_NAME: `${server.url('postgres')}?sslmode=disable` },
    });
    this.target({ job: 'postgres', address: `127.0.0.1:${port}`, labels: { namespace } });
  }

  async pushgateway() {
    this.gateway ??= (async () => {
      const port = await this.freePort();
      const part = await this.partner('pushgateway', 'prometheus-pushgateway', port, [
        // Nothing of another run: Debian's keeps what it has in a place of its own.
        `--web.listen-address=127.0.0.1:${port}`, `--persistence.file=${join(this.folder, 'pushgateway')}`]);
      this.target({ job: 'pushgateway', address: `127.0.0.1:${port}`, labels: {} });
      return part;
    })();
    return this.gateway;
  }

  /** Has `eshopz verify --metrics` push what it finds, as the CronJob of the manifests does. */
  async verify(shop, namespace) {
    const { port } = await this.pushgateway();
    // It ends with 1 when it has found something.
    const figures = await this.run(this.program, ['verify', '--metrics'], { env: shop.env, may: [0, 1] });
    if (!/^eshopz_verify_problems\{/m.test(figures)) throw new Error('eshopz verify told no figures');
    const answer = await fetch(`http://127.0.0.1:${port}/metrics/job/eshopz-verify/namespace/${namespace}`, { method: 'POST', body: figures });
    if (!answer.ok) throw new Error(`the Pushgateway said ${answer.status}: ${await answer.text()}`);
  }

  /** The certificate of an authority of our own, and one of it for so many days. */
  async certificate(name, days) {
    const at = (file) => join(this.folder, file);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    this.authority ??= this.run('openssl', [
      'req', '-x509', ...key, '-days', '365', '-subj', '/CN=Alerts', '-keyout', at('ca.key'), '-out', at('ca.pem')]);
    await this.authority;
    await this.run('openssl', ['req', '-new', ...key, '-subj', '/CN=127.0.0.1', '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`)]);
    writeFileSync(at(`${name}.ext`), 'subjectAltName=IP:127.0.0.1\n');
    await this.run('openssl', ['x509', '-req', '-in', at(`${name}.csr`), '-CA', at('ca.pem'), '-CAkey', at('ca.key'),
      '-CAserial', at(`${name}.srl`), '-CAcreateserial', '-days', String(days), '-extfile', at(`${name}.ext`), '-out', at(`${name}.pem`)]);
    return { certificate: at(`${name}.pem`), key: at(`${name}.key`) };
  }

  /** blackbox_exporter with the configuration of the manifests; only whom it trusts is of this run. */
  async probe(shop, namespace) {
    this.blackbox ??= (async () => {
      const port = await this.freePort();
      return this.partner('blackbox', 'prometheus-blackbox-exporter', port, [
        `--config.file=${join(root, 'kustomize/monitoring/exporters/config/blackbox.yml')}`,
        `--web.listen-address=127.0.0.1:${port}`, '--timeout-offset=0.1',
      ], { env: { SSL_CERT_FILE: join(this.folder, 'ca.pem') } });
    })();
    const { port } = await this.blackbox;
    const probe = `${shop.base}/api/v1/products?limit=1`;
    this.target({ job: 'eshopz-edge', address: `127.0.0.1:${port}`, probe, labels: { namespace } });
  }

  /** What Debian does not have, played: an exposition with the names that the exporter's documentation gives. */
  async play(job, text) {
    this.played[job] = text;
    this.playing ??= new Promise((done) => {
      this.server = createServer((asked, answer) => {
        answer.setHeader('content-type', 'text/plain; version=0.0.4');
        answer.end(this.played[asked.url.split('/')[1]]?.() ?? '');
      });
      this.server.listen(0, '127.0.0.1', () => done(this.server.address().port));
    });
    const port = await this.playing;
    const labels = job === 'cloudwatch' ? { namespace: 'played' } : {};
    this.target({ job: job === 'state' ? 'kube-state-metrics' : job, address: `127.0.0.1:${port}`, path: `/${job}`, labels });
  }

  // --- AWS, which moto plays

  async aws() {
    this.cloud ??= (async () => {
      const port = await this.freePort();
      const part = await this.partner('moto', this.moto, port, ['-H', '127.0.0.1', '-p', String(port)]);
      part.env = {
        AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`, AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test',
      };
      return part;
    })();
    return this.cloud;
  }

  /** A call of AWS' JSON protocol. moto does not look at signatures, but at whose they are. */
  async call(service, action, body) {
    const { port } = await this.aws();
    const scope = `test/20260101/eu-central-1/${service}/aws4_request`;
    const answer = await patient(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      headers: {
        'content-type': service === 'sns' ? 'application/x-www-form-urlencoded' : `application/x-amz-json-1.${service === 'sqs' ? 0 : 1}`,
        'x-amz-target': `${{ sqs: 'AmazonSQS', secretsmanager: 'secretsmanager' }[service] ?? service}.${action}`,
        authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=00`,
      },
      body: service === 'sns' ? new URLSearchParams({ Action: action, Version: '2010-03-31', ...body }) : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${service} ${action}: ${answer.status} ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : text;
  }

  // --- Who asks

  /** Does something again and again until it is stopped; failures are the point of it and of no interest. */
  again(seconds, what) {
    const agent = { stop() { this.over = true; } };
    agent.ended = (async () => {
      while (!agent.over && !this.stopped) {
        const began = Date.now();
        await Promise.resolve().then(what).catch((error) => { agent.error = error; });
        await sleep(Math.max(0.01, seconds - (Date.now() - began) / 1000));
      }
    })();
    this.agents.push(agent);
    return agent;
  }

  /** The same without waiting for one to end before the next. */
  every(seconds, what) {
    const timer = setInterval(() => Promise.resolve().then(what).catch(() => {}), seconds * 1000);
    const agent = { stop: () => clearInterval(timer) };
    this.agents.push(agent);
    return agent;
  }

  // --- Prometheus

  /** One that looks at these targets by the rules with all time divided by `factor`. */
  async prometheus(name, { targets, factor, tick: look, wanted, found, receiver }) {
    const port = await this.freePort();
    const folder = join(this.folder, `prometheus-${name}`);
    mkdirSync(join(folder, 'data'), { recursive: true });
    const tick = (seconds, least = look) => Math.max(seconds / factor, least);
    const span = (...of) => `${Math.round(tick(...of) * 1000)}ms`;
    // Without its server, postgres_exporter takes a second to say so.
    const slowest = { postgres: Math.max(look, 2) };
    const written = scaleRules(RULES, factor, tick(15), wanted).map(({ name: file, text }) => {
      writeFileSync(join(folder, file), text);
      return file;
    });
    const every = { 'eshopz-edge': 30, cloudwatch: 60 };
    const jobs = [...new Set(['prometheus', ...targets.map(({ job }) => job)])].map((job) => ({
      job_name: job,
      scrape_interval: span(every[job] ?? 15, slowest[job]),
      scrape_timeout: `${Math.round(Math.min(tick(every[job] ?? 15, slowest[job]), 10) * 1000)}ms`,
      honor_labels: ['pushgateway', 'kubelet', 'kube-state-metrics'].includes(job),
      ...(job === 'eshopz-edge' ? {
        metrics_path: '/probe',
        params: { module: ['http_2xx'] },
        relabel_configs: [{ source_labels: ['__param_target'], target_label: 'instance' }],
      } : {}),
      ...(found && job === 'eshopz' ? { file_sd_configs: [{ files: [found], refresh_interval: '5s' }] } : {
        static_configs: job === 'prometheus' ? [{ targets: [`127.0.0.1:${port}`] }]
          : targets.filter((target) => target.job === job).map(({ address, labels, probe, path }) => ({
            targets: [address],
            labels: { ...labels, ...(probe ? { __param_target: probe } : {}), ...(path ? { __metrics_path__: path } : {}) },
          })),
      }),
    }));
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify({
      global: { scrape_interval: span(15), scrape_timeout: `${Math.round(Math.min(tick(15), 10) * 1000)}ms`, evaluation_interval: span(15) },
      rule_files: written.map((file) => join(folder, file)),
      ...(receiver ? { alerting: { alertmanagers: [{ static_configs: [{ targets: [receiver.address] }] }] } } : {}),
      scrape_configs: jobs,
    }));
    const part = await this.ready(this.spawn(`prometheus-${name}`, 'prometheus', [
      `--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn',
      `--rules.alert.resend-delay=${Math.round(Math.max(60 / factor, tick(15)) * 1000)}ms`,
      `--query.lookback-delta=${Math.round(Math.max(300 / factor, 4 * tick(15)) * 1000)}ms`,
    ]), async () => (await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null))?.ok);
    return new Watcher(part, `http://127.0.0.1:${port}`, factor, tick(15));
  }

  /** Plays the Alertmanager: remembers until when each alert that it was told of is good. */
  async alertmanager() {
    const receiver = { until: new Map() };
    const server = createServer((asked, answer) => {
      let body = '';
      asked.on('data', (text) => { body += text; });
      asked.on('end', () => {
        const told = asked.url === '/api/v2/alerts' ? JSON.parse(body) : [];
        for (const { labels, endsAt } of told) receiver.until.set(labels.alertname, Date.parse(endsAt));
        answer.end('{}');
      });
    });
    await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
    server.unref();
    receiver.address = `127.0.0.1:${server.address().port}`;
    receiver.close = () => { server.closeAllConnections?.(); server.close(); };
    this.agents.push({ stop: receiver.close });
    return receiver;
  }
}


export const ADMIN = 'owner@example.com';
export const PASSWORD = 'a long walk by the sea';

/** Prometheus' alerts, read again and again. */
export class Watcher {
  constructor(part, base, factor, tick) {
    Object.assign(this, { part, base, factor, tick });
  }

  async alerts() {
    const answer = await fetch(`${this.base}/api/v1/alerts`);
    return (await answer.json()).data.alerts;
  }

  async find(query) {
    const answer = await (await fetch(`${this.base}/api/v1/query?${new URLSearchParams({ query })}`)).json();
    if (answer.status !== 'success') throw new Error(answer.error);
    return answer.data.result;
  }

  async rules() {
    const { groups } = (await (await fetch(`${this.base}/api/v1/rules`)).json()).data;
    return groups.flatMap(({ rules }) => rules);
  }
}

/** Again where a connection that was kept had been closed meanwhile, of which 408 is another word. There may be several. */
async function patient(address, asked, left = 5) {
  const answer = await fetch(address, asked).catch((error) => {
    if (left && ['UND_ERR_SOCKET', 'ECONNRESET'].includes(error.cause?.code)) return null;
    throw new Error(`${asked.method} ${address}: ${error.cause?.code ?? error.message}`);
  });
  return answer === null || (answer.status === 408 && left) ? patient(address, asked, left - 1) : answer;
}

/** A process of the shop, and what customers do there. */
class Shop {
  constructor(stage, fields) {
    Object.assign(this, { stage, count: 0 }, fields);
  }

  async sql(...texts) {
    return this.stage.sql(this.url, ...texts);
  }

  /** The status and body of an answer, whatever it is. */
  async ask(method, path, body, headers = {}, base = this.base) {
    const answer = await patient(base + path, {
      method,
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    return { status: answer.status, body: text && /json/.test(answer.headers.get('content-type') ?? '') ? JSON.parse(text) : text };
  }

  /** The same of what has to be a success. */
  async send(...words) {
    const { status, body } = await this.ask(...words);
    if (status >= 300) throw new Error(`${this.name}: ${words[0]} ${words[1]}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  of(module) {
    return this.bases?.[module] ?? this.base;
  }

  async admin() {
    const { access_token: token } = await this.send('POST', '/api/v1/auth/login', { email: ADMIN, password: PASSWORD }, {}, this.of('user'));
    return { authorization: `Bearer ${token}` };
  }

  /** Something to buy, of which there is enough. */
  async shirt() {
    const variants = [{ on_hand: 50_000, price: { amount: 4900, currency: 'USD' } }];
    const made = { title: 'Linen Shirt', status: 'active', variants };
    const product = await this.send('POST', '/api/v1/products', made, await this.admin(), this.of('product'));
    this.variant = product.variants[0].id;
    return this.variant;
  }

  /** A guest buys one; whether it is paid is the answer's to say. */
  async buy(method = 'pm_card_visa') {
    const { id, token } = await this.send('POST', '/api/v1/carts', undefined, {}, this.of('cart'));
    const holder = { 'x-cart-token': token };
    await this.send('POST', `/api/v1/carts/${id}/items`, { variant_id: this.variant, quantity: 1 }, holder, this.of('cart'));
    const shipping = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postal_code: 'SW1Y 4JH', country: 'GB' };
    const order = { cart_id: id, email: 'ada@example.com', shipping_address: shipping, payment_method: method };
    return this.ask('POST', '/api/v1/orders', order, { ...holder, 'idempotency-key': id }, this.of('order'));
  }

  /** An account with a token. */
  async customer() {
    this.count += 1;
    const email = `ada-${this.count}@example.com`;
    await this.send('POST', '/api/v1/users', { email, password: PASSWORD, full_name: 'Ada Lovelace' }, {}, this.of('user'));
    const { access_token: token } = await this.send('POST', '/api/v1/auth/login', { email, password: PASSWORD }, {}, this.of('user'));
    return { authorization: `Bearer ${token}` };
  }

  kill(signal) {
    this.part.child.kill(signal);
  }
}

/** Connections that stay open and ask now and then, so that nobody takes them for silent. */
export class Visitors {
  constructor(port, path) {
    this.sockets = [];
    this.agent = new Agent({ keepAlive: true, keepAliveMsecs: 600_000 });
    this.ask = () => new Promise((done) => {
      const asked = request({ host: '127.0.0.1', port, path, agent: this.agent }, (answer) => { answer.resume(); answer.on('end', done); });
      asked.on('error', done);
      asked.end();
    });
  }

  /** As many as that at once, each on a connection of its own. */
  async round(count) {
    await Promise.all(Array.from({ length: count }, () => this.ask()));
  }

  stop() {
    this.agent.destroy();
  }
}
