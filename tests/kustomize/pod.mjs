// A pod's containers run here, as far as a machine can do what a cluster does: the program with a pod's arguments and variables, its
// addresses led to what is here; first the migration, then a process, whose probes are asked as the kubelet would, until it is told
// to stop.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, ended, eshopz, listens, temporaryFolder, until } from '../browser/shop.mjs';
import * as checks from './checks.mjs';
import { everything, withKubectl } from './render.mjs';

const withPostgres = join(dirname(eshopz), 'with-postgres');
const withServer = existsSync(withPostgres) ? withKubectl : { skip: `there is no ${withPostgres}: cargo build -p eshopz-testkit --bin with-postgres` };

/** A PostgreSQL that goes when its standard input ends. */
async function postgres() {
  const child = spawn(withPostgres, ['--', 'sh', '-c', 'env | sed -n "s/^ESHOPZ_TEST_[A-Z_]*=\\(postgres.*\\)/\\1/p"; cat'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { said += text; });
  const url = await until('a PostgreSQL', () => {
    if (child.exitCode !== null) throw new Error(said);
    return /^(postgres\S*)\n/m.exec(said)?.[1];
  });
  return { url, stop: async () => { child.stdin.end(); await ended(child); } };
}

/** One whose other two are free as well, below those that are given to whoever asks for any. */
async function threePorts() {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = 12000 + Math.floor(Math.random() * 10000);
    const used = await Promise.all([port, port + 1000, port + 6000].map(listens));
    if (!used.includes(true)) return port;
  }
  throw new Error('no free ports');
}

/** A container as it would run, in a folder of its own that stands for its root. Nothing of it is changed but addresses. */
function run(objects, container, changes, folder) {
  const settings = Object.fromEntries(Object.entries(checks.variables(objects, container)).filter(([, value]) => value !== undefined));
  const env = cleanEnvironment({ ...settings, ...changes.settings });
  const args = container.args.map(changes.argument ?? ((word) => word));
  const child = spawn(eshopz, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { child.said += text; });
  return child;
}

/** What a probe of the kubelet would say. */
const probe = async ({ httpGet: { path }, timeoutSeconds = 1 }, port) => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(timeoutSeconds * 1000) }).catch(() => null);
  return answer !== null && answer.status >= 200 && answer.status < 400;
};

for (const [overlay, which] of [['overlays/dev', 'Deployment eshopz'], ['overlays/prod-split', 'Deployment order-service']]) {
  test(`the pods of ${overlay} run: the migration, and ${which}`, withServer, async () => {
    const objects = (await everything()).get(overlay);
    const { container, each } = checks.processes(objects).find(({ title }) => title === which);
    const server = await postgres();
    const folder = temporaryFolder();
    const port = await threePorts();
    let child;
    try {
      const database = server.url.replace(/\/[^/?]*(\?|$)/, `/pod_${process.pid}_${port}$1`);
      const owner = spawnSync('psql', [server.url, '-qc', `CREATE DATABASE pod_${process.pid}_${port}`], { encoding: 'utf8' });
      assert.equal(owner.status, 0, owner.stderr);
      const settings = {
        // In place of what the Secret, AWS' own or Kubernetes', would hold.
        ESHOPZ_DATABASE_URL: database, ESHOPZ_SECRET_KEY: 'a secret key of this test', ESHOPZ_WEBHOOK_SECRET: 'whsec_of_this_test',
        ESHOPZ_SECRETS: 'env', ESHOPZ_STRIPE_SECRET_KEY: 'sk_test_of_this_test', ESHOPZ_DATA_DIR: join(folder, 'data'),
        AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'none', AWS_SECRET_ACCESS_KEY: 'none', AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
        ESHOPZ_DRAIN_SECONDS: '4',
        // Here it is spoken to in the clear.
        ESHOPZ_DATABASE_CA_FILE: undefined,
      };
      mkdirSync(settings.ESHOPZ_DATA_DIR);
      const job = checks.workloads(objects).find(({ title }) => title === 'Job eshopz-migrate').containers[0];
      child = run(objects, job, { settings }, folder);
      assert.equal(await ended(child), 0, child.said);
      assert.match(child.said, /applied {3}\S+_init/);

      // As eshopz-verify calls it.
      const verify = { ...checks.workloads(objects).find(({ title }) => title === 'CronJob eshopz-verify').containers[1], args: ['verify', '--metrics'] };
      const nowhere = join(folder, 'nowhere');
      child = run(objects, verify, { settings: { ...settings, ESHOPZ_DATA_DIR: nowhere } }, folder);
      assert.equal(await ended(child), 0, child.said);
      assert.match(child.said, /^eshopz_verify_problems\{.*\} 0$/m);
      assert.deepEqual(readdirSync(folder), ['data'], 'a command writes into its image');

      const argument = (word) => word.replace(/^--listen=0\.0\.0\.0:\d+$/, `--listen=127.0.0.1:${port}`);
      child = run(objects, container, { settings, argument }, folder);
      const management = port + 6000;
      const patience = container.startupProbe.periodSeconds * container.startupProbe.failureThreshold;
      await until('the startup probe', () => {
        if (child.exitCode !== null) throw new Error(child.said);
        return probe(container.startupProbe, management);
      }, patience);
      assert.ok(await probe(container.readinessProbe, management), 'not ready');
      assert.ok(await probe(container.livenessProbe, management), 'not alive');
      const info = await (await fetch(`http://127.0.0.1:${management}/info`)).json();
      assert.deepEqual(info.modules, checks.processes(objects).find(({ title }) => title === which).modules);

      const open = `http://127.0.0.1:${port}/openapi.json`;
      assert.equal((await fetch(open)).status, 200);
      child.kill('SIGTERM');
      const told = Date.now();
      await until('no more requests wanted', async () => !(await probe(container.readinessProbe, management)), 4);
      // While who stands before it notices, it serves on, and nobody restarts it.
      assert.equal((await fetch(open)).status, 200);
      assert.ok(await probe(container.livenessProbe, management), 'it would be restarted while it drains');
      assert.equal(await ended(child), 0, child.said);
      assert.deepEqual(readdirSync(folder), ['data'], 'it writes into its image');
      const limit = each.spec.template.spec.terminationGracePeriodSeconds - container.lifecycle.preStop.sleep.seconds;
      assert.ok(Date.now() - told < limit * 1000, 'it would be killed');
    } finally {
      if (child && child.exitCode === null) { child.kill('SIGKILL'); await ended(child); }
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
