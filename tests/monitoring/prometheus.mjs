// A Prometheus of its own for a test, which looks at a shop every second.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { cleanEnvironment, ended, freePort, temporaryFolder, until } from '../browser/shop.mjs';

/** A server that ends with the test: `start` it, wait until `ready` says so, and `stop` it. */
export class Partner {
  constructor(program, words) {
    this.log = '';
    this.program = program;
    this.child = spawn(program, words, { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.once('error', (error) => { this.log += String(error); this.missing = true; });
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (text) => { this.log += text; });
  }

  async ready(probe) {
    await until(`${this.program} is ready`, async () => {
      if (this.missing || this.child.exitCode !== null) throw new Error(`${this.program} has ended: ${this.log}`);
      return probe();
    }, 60);
  }

  async stop() {
    if (this.missing) return;
    this.child.kill('SIGTERM');
    await ended(this.child);
  }
}

export class Prometheus {
  /** `targets` are management listeners, `rules` is a folder of rule files that need not be there. */
  static async start(targets, rules) {
    const prometheus = new Prometheus();
    const folder = temporaryFolder();
    const port = await freePort();
    const files = existsSync(rules) ? readdirSync(rules).filter((name) => /\.ya?ml$/.test(name)) : [];
    Object.assign(prometheus, { folder, files, base: `http://127.0.0.1:${port}` });
    // As they are, but computed as often as all else here: some build on others, and a test is short.
    for (const name of files) {
      writeFileSync(join(folder, name), readFileSync(join(rules, name), 'utf8').replace(/^( *interval:).*$/gm, '$1 1s'));
    }
    // JSON is YAML.
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: files.map((name) => join(folder, name)),
      scrape_configs: [{ job_name: 'eshopz', static_configs: [{ targets }] }],
    }));
    mkdirSync(join(folder, 'data'));
    prometheus.server = new Partner('prometheus', [
      `--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn',
    ]);
    try {
      await prometheus.server.ready(async () => (await fetch(`${prometheus.base}/-/ready`).catch(() => null))?.ok);
    } catch (error) {
      await prometheus.stop();
      throw error;
    }
    return prometheus;
  }

  async ask(path, parameters = {}) {
    const answer = await fetch(`${this.base}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const document = await answer.json();
    if (document.status !== 'success') throw new Error(`${document.error}`);
    return document.data;
  }

  /** What a query finds, without what is not a number. */
  async find(query) {
    const { resultType, result } = await this.ask('query', { query });
    const found = resultType === 'scalar' ? [{ metric: {}, value: result }] : result;
    return found.filter(({ value }) => value[1] !== 'NaN');
  }

  /** Waits until it has looked once more. */
  async look() {
    const now = Date.now() / 1000;
    await until('Prometheus has looked', async () => {
      const found = await this.find('min(timestamp(up))');
      return found.length && Number(found[0].value[1]) > now;
    }, 30);
  }

  /** The rules that it has read, each with its file. */
  async rules() {
    const { groups } = await this.ask('rules');
    return groups.flatMap(({ file, rules }) => rules.map((rule) => ({ ...rule, file })));
  }

  async stop() {
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
