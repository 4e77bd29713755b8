// Every query of the dashboards, and every rule, against a shop that is visited: what asks for a metric that nobody
// measures, or for a label that it does not have, looks like a shop in which nothing happens, and nobody notices.
//
// ESHOPZ_MONITORING_PROGRAM names a program to be used in place of the debug binary.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

import { Shop, freePort, listens, root } from '../browser/shop.mjs';
import { Visitors } from './load.mjs';
import { Partner, Prometheus } from './prometheus.mjs';
import { declared, mistakes, read } from './promql.mjs';

const DASHBOARDS = join(root, 'kustomize/monitoring/grafana/dashboards');
const RULES = join(root, 'kustomize/monitoring/prometheus/rules');
const PATIENCE_SECONDS = 30;

/** What one process, in which all goes well, does not have. Its names and labels are looked at all the same. */
const NOT_HERE = [
  { of: /\beshopz_sqs_/, why: 'events go straight to the listener, without queues' },
  { of: /\beshopz_wire_/, why: 'all modules are in one process' },
  { of: /\beshopz_secrets_/, why: 'secrets are not those of AWS' },
  { of: /\beshopz_http_shut_total\b/, why: 'nobody keeps others waiting' },
  { of: /^topk\(.*status=~"5\.\."[^>]*> 0\)$/, why: 'nothing fails' },
];

/** Metrics that are not the shop's, which rules may ask for. */
const ELSEWHERE = new RegExp(`^(up|ALERTS|ALERTS_FOR_STATE|(${[
  'scrape', 'prometheus', 'alertmanager', 'probe', 'push', 'pg', 'redis', 'aws', 'kube', 'kubelet', 'container', 'node',
].join('|')})_\\w+)$`);

/** What a job pushes that ends too soon to be looked at: what `eshopz verify` finds. It is not in `docs/metrics.md`. */
const PUSHED = new Set(['eshopz_verify_problems']);

/** What Grafana would put in. Where all are chosen it is `.*`, which is no value that was chosen. */
const VALUES = { __rate_interval: '20s', __range: '5m', namespace: '.*', module: '.*', instance: '.*' };

const filledIn = (text) => text.replace(/\$\{?(\w+)(?::\w+)?\}?/g, (whole, name) => {
  if (!(name in VALUES)) throw new Error(`nobody knows ${whole} in ${text}`);
  return VALUES[name];
});

const known = declared();
const dashboards = readdirSync(DASHBOARDS).filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, ...JSON.parse(readFileSync(join(DASHBOARDS, name), 'utf8')) }));
const panels = dashboards.flatMap((of) => of.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
  .filter((panel) => panel.type !== 'row').map((panel) => ({ ...panel, where: `${of.title}: ${panel.title}` })));
const queries = panels.flatMap((panel) => panel.targets.map(({ expr, legendFormat, refId }) => (
  { where: `${panel.where} (${refId})`, query: filledIn(expr), legend: legendFormat })));
const excuse = (query) => NOT_HERE.find(({ of }) => of.test(query));

let redis;
let shop;
let prometheus;
let visitors;

/** What is wrong with a query of a dashboard as of now. */
async function wrongWith({ query, legend }) {
  const said = mistakes(query, known);
  const shown = [...(legend ?? '').matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, label]) => label);
  const found = await prometheus.find(query).catch((error) => { said.push(error.message); return null; });
  if (!found) return said;
  if (excuse(query)) {
    const { grouped } = read(query);
    for (const label of shown) if (!grouped.has(label)) said.push(`the legend shows ${label}, by which nothing is grouped`);
    return said;
  }
  if (!found.length) said.push('it finds nothing');
  for (const label of shown) {
    if (found.some(({ metric }) => !(label in metric))) said.push(`the legend shows ${label}, which not all have`);
  }
  return said;
}

async function complaints(of) {
  const said = of.map(async (one) => (await wrongWith(one)).map((what) => `${one.where}: ${what}\n    ${one.query}`));
  return (await Promise.all(said)).flat();
}

/** What has happened once has no rate yet: somebody visits until nothing is wrong. */
async function settles(what, look) {
  const deadline = Date.now() + PATIENCE_SECONDS * 1000;
  let wrong;
  do {
    await visitors.round();
    await prometheus.look();
    wrong = await look();
  } while (wrong.length && Date.now() < deadline);
  assert.ok(!wrong.length, `${wrong.length} wrong of ${what}, ${visitors.rounds} rounds of visitors:\n${wrong.join('\n')}`);
}

before(async () => {
  const port = await freePort();
  const redisPort = await freePort();
  redis = new Partner('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']);
  await redis.ready(() => listens(redisPort));
  const program = process.env.ESHOPZ_MONITORING_PROGRAM;
  shop = await Shop.start(port, {
    ...(program ? { program: resolve(program) } : {}),
    settings: {
      ESHOPZ_REDIS_URL: `redis://127.0.0.1:${redisPort}`,
      // What a password costs is of no interest here.
      ESHOPZ_ARGON2_MEMORY_KIB: '1024', ESHOPZ_ARGON2_ITERATIONS: '1',
    },
  });
  prometheus = await Prometheus.start([`127.0.0.1:${port + 6000}`], RULES);
  visitors = await Visitors.of(shop);
});

after(async () => {
  await prometheus?.stop();
  await shop?.stop();
  await redis?.stop();
});

test('every panel says what it shows', () => {
  for (const of of dashboards) {
    assert.match(of.uid, /^eshopz-[a-z]+$/, of.name);
    assert.equal(`${of.uid}.json`, of.name);
    assert.ok(of.templating.list.some(({ name }) => name === 'namespace'), `${of.name} asks for no namespace`);
  }
  assert.equal(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length);
  for (const panel of panels) {
    assert.ok(panel.title && panel.description && panel.fieldConfig.defaults.unit, panel.where);
    assert.ok(panel.targets.length > 0, `${panel.where} asks nothing`);
    assert.ok(panel.targets.every(({ datasource }) => datasource.type === 'prometheus'), panel.where);
  }
});

test('every dashboard is deployed', () => {
  for (const part of ['kustomization.yaml', 'deployment.yaml']) {
    const text = readFileSync(join(DASHBOARDS, '..', part), 'utf8');
    for (const { name } of dashboards) assert.ok(text.includes(`dashboards/${name}`), `${name} is not in ${part}`);
  }
});

test('every query of every dashboard finds something', async (t) => {
  t.diagnostic(`${dashboards.length} dashboards, ${panels.length} panels, ${queries.length} queries`);
  assert.ok(queries.length > 0);
  await settles('queries', () => complaints(queries));
  const excused = queries.filter(({ query }) => excuse(query));
  t.diagnostic(`${queries.length - excused.length} queries found something after ${visitors.rounds} rounds of visitors`);
  for (const { of, why } of NOT_HERE) {
    const count = excused.filter(({ query }) => of.test(query)).length;
    t.diagnostic(`${count} need not: ${why}`);
    assert.ok(count > 0, `nobody needs the excuse that ${why}`);
  }
});

test('a query for what nobody measures is found', async () => {
  const wrong = (query, legend = '') => wrongWith({ query, legend });
  const rate = 'sum(rate(eshopz_no_such_total{module=~".*"}[20s]))';
  const missing = 'there is no metric eshopz_no_such_total';
  assert.deepEqual(await wrong(rate), [missing, 'it finds nothing']);
  assert.deepEqual(await wrong(`${rate} or vector(0)`), [missing]);
  assert.deepEqual(await wrong('eshopz_sqs_no_such'), ['there is no metric eshopz_sqs_no_such']);
  assert.deepEqual(await wrong('sum by (modul) (eshopz_outbox_dead)'), ['nothing there has the label modul']);
  assert.deepEqual(await wrong('sum by (job) (eshopz_job_runs_total)'), ['nothing there has the label job']);
  assert.deepEqual(await wrong('eshopz_outbox_dead{modul=""}'), ['eshopz_outbox_dead has no label modul']);
  assert.deepEqual(await wrong('sum(eshopz_outbox_dead)', '{{module}}'), ['the legend shows module, which not all have']);
  assert.deepEqual(await wrong('sum(eshopz_sqs_dead)', '{{module}}'), ['the legend shows module, by which nothing is grouped']);
  assert.deepEqual(await wrong('eshopz_outbox_dead / (eshopz_outbox_dead * 0) '), ['it finds nothing'], 'NaN is nothing');
  for (const broken of ['sum(eshopz_outbox_dead', 'sum(eshopz_sqs_dead']) assert.match((await wrong(broken)).join(), /parse error/);
});

/** What is wrong with a rule as of now. */
async function wrongWithRule({ type, query, lastError }, further) {
  const said = mistakes(query, known, further);
  if (lastError) said.push(lastError);
  for (const { name } of read(query).selectors) {
    if (!known.has(name) || excuse(name)) continue;
    if (!(await prometheus.find(`count(${name})`)).length) said.push(`nobody tells ${name}`);
  }
  // An alert finds something only when something is wrong.
  if (type === 'recording' && !(await prometheus.find(query)).length) said.push('it finds nothing');
  return said;
}

test('every rule asks for what there is', async (t) => {
  const rules = await prometheus.rules();
  const names = [...new Set(rules.map(({ file }) => basename(file)))];
  assert.deepEqual(names.sort(), [...prometheus.files].sort(), 'a file has no rule');
  const recording = rules.filter(({ type }) => type === 'recording');
  const recorded = new Set(recording.map(({ name }) => name));
  t.diagnostic(`${names.length} rule files, ${rules.length - recording.length} alerts, ${recording.length} recording rules`);
  const further = (metric) => recorded.has(metric) || PUSHED.has(metric) || ELSEWHERE.test(metric);
  const unknown = { type: 'alerting', query: 'eshopz_no_such > 0' };
  assert.deepEqual(await wrongWithRule(unknown, further), ['there is no metric eshopz_no_such']);
  await settles('rules', async () => {
    const all = await prometheus.rules();
    const said = await Promise.all(all.map(async (rule) => (await wrongWithRule(rule, further))
      .map((what) => `${basename(rule.file)}: ${rule.name}: ${what}\n    ${rule.query}`)));
    return said.flat();
  });
});
