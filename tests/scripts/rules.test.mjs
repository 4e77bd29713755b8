// The rules of Prometheus: that promtool takes them, that each alert is tested and has a section of a runbook, and that
// what they ask for is measured.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, test } from 'node:test';
import { promisify } from 'node:util';

import { root, temporaryFolder } from '../browser/shop.mjs';

const folder = join(root, 'kustomize/monitoring/prometheus');
const read = (path) => readFileSync(join(folder, path), 'utf8');
const RULES = ['rules/recording.yml', 'rules/alerts.yml'];
const tests = readdirSync(join(folder, 'tests')).filter((name) => name.endsWith('.test.yml'));

/** Metrics that are not the program's, and whose they are. */
const ELSEWHERE = new Map([
  ['up', 'Prometheus itself, of each target'],
  ['push_time_seconds', 'the Pushgateway, of who pushes'],
  ['eshopz_verify_problems', 'what `eshopz verify --metrics` prints, and a CronJob pushes'],
  ['pg_up', 'postgres_exporter'],
  ['pg_stat_database_numbackends', 'postgres_exporter'],
  ['pg_settings_max_connections', 'postgres_exporter'],
  ['pg_replication_lag_seconds', 'postgres_exporter, 0.13 or newer'],
  ['aws_rds_aurora_replica_lag_average', 'cloudwatch_exporter: AuroraReplicaLag, in milliseconds'],
  ['aws_rds_free_local_storage_average', 'cloudwatch_exporter: FreeLocalStorage'],
  ['aws_rds_volume_bytes_used_average', 'cloudwatch_exporter: VolumeBytesUsed'],
  ['kubelet_volume_stats_available_bytes', 'the kubelet'],
  ['kubelet_volume_stats_capacity_bytes', 'the kubelet'],
  ['kube_pod_container_resource_limits', 'kube-state-metrics'],
  ['probe_success', 'blackbox_exporter'],
  ['probe_ssl_earliest_cert_expiry', 'blackbox_exporter'],
]);

function promtool(...words) {
  const done = spawnSync('promtool', words, { cwd: folder, encoding: 'utf8' });
  assert.equal(done.error, undefined, 'there is no promtool');
  assert.equal(done.status, 0, `promtool ${words.join(' ')}:\n${done.stdout}${done.stderr}`);
  return done.stdout + done.stderr;
}

/** The rules of a file, in the one way in which they are written: a list item each, its fields indented below. */
function rulesOf(path) {
  return read(path).split(/^ {6}- (?=alert:|record:)/m).slice(1).map((text) => {
    const field = (name) => new RegExp(`^ *${name}: *(.*)$`, 'm').exec(text)?.[1];
    const expression = /^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)/m.exec(text);
    return {
      name: /^(?:alert|record): (\S+)/.exec(text)[1],
      expression: expression[1] ?? expression[2],
      severity: /severity: (\w+)/.exec(text)?.[1],
      summary: field('summary'),
      description: field('description'),
      runbook: field('runbook_url'),
    };
  });
}

const recorded = rulesOf('rules/recording.yml');
const alerts = rulesOf('rules/alerts.yml');

/** The metrics that an expression asks for: words that are neither functions, nor labels, nor within quotation marks. */
function metricsOf(expression) {
  const bare = expression
    .replace(/"[^"]*"|'[^']*'/g, '""')
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)/g, ' ')
    .replace(/\boffset\s+\w+/g, ' ');
  const words = bare.match(/[a-zA-Z_:][\w:]*(?!\w*\s*\()/g) ?? [];
  const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'by', 'sum', 'avg', 'min', 'max', 'count', 'e']);
  return [...new Set(words.filter((word) => !KEYWORDS.has(word) && new RegExp(`(?<![\\w:])${word}(?![\\w:]*\\s*\\()`).test(bare)))];
}

/** Names of docs/metrics.md, with those that a histogram has besides. */
function measured() {
  const names = new Set();
  const rows = readFileSync(join(root, 'docs/metrics.md'), 'utf8').matchAll(/^\| `(\w+)` \| (\w+) \|/gm);
  for (const [, name, kind] of rows) {
    if (kind === 'histogram') for (const part of ['bucket', 'sum', 'count']) names.add(`${name}_${part}`);
    else names.add(name);
  }
  return names;
}

test('the rules are well formed', () => {
  const said = promtool('check', 'rules', ...RULES);
  const found = [...said.matchAll(/SUCCESS: (\d+) rules found/g)].map(([, count]) => Number(count));
  assert.deepEqual(found, [recorded.length, alerts.length], 'this test does not see all rules');
});

test('the configuration is well formed', () => {
  const copy = temporaryFolder();
  try {
    mkdirSync(join(copy, 'account'));
    for (const name of ['ca.crt', 'token']) writeFileSync(join(copy, 'account', name), '');
    symlinkSync(join(folder, 'rules'), join(copy, 'rules'));
    let text = read('prometheus.yml').replaceAll('/var/run/secrets/kubernetes.io/serviceaccount/', `${copy}/account/`);
    // Debian's promtool is built without Kubernetes. What finds the pods is some lines, and the rest is not.
    const finds = /^ {4}kubernetes_sd_configs:\n {6}- role: (?:pod|node)\n(?: {8,}.*\n)*/gm;
    const lists = text.match(finds);
    assert.equal(lists.length, 2);
    const whole = join(copy, 'whole.yml');
    writeFileSync(whole, text);
    const done = spawnSync('promtool', ['check', 'config', whole], { encoding: 'utf8' });
    if (done.status !== 0 && /kubernetes_sd_configs not found/.test(done.stderr)) {
      text = text.replaceAll(finds, '    static_configs: [{targets: [found:9000]}]\n');
    }
    writeFileSync(join(copy, 'prometheus.yml'), text);
    assert.match(promtool('check', 'config', join(copy, 'prometheus.yml')), /SUCCESS/);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});

/** Hours of evaluations each: as many at a time as there are processors. */
describe('alerts are sent and not sent', { concurrency: true }, () => {
  for (const name of tests) {
    it(`as in ${name}`, async () => {
      const { stdout } = await promisify(execFile)('promtool', ['test', 'rules', join('tests', name)], { cwd: folder });
      assert.match(stdout, /SUCCESS/);
    });
  }
});

test('each alert says how urgent it is, what it is about and what to do', () => {
  assert.equal(new Set(alerts.map(({ name }) => name)).size, alerts.length, 'a name is there twice');
  const anchor = (heading) => heading.trim().toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
  for (const { name, severity, summary, description, runbook } of alerts) {
    assert.match(name, /^Eshopz[A-Z]/);
    // The one that fires always is not for people.
    const known = name === 'EshopzWatchdog' ? ['heartbeat'] : ['page', 'ticket'];
    assert.ok(known.includes(severity), `${name}: ${severity}`);
    assert.ok(summary && description, name);
    const [, path, part] = /^https:\/\/github\.com\/eshopz\/eshopz\/blob\/main\/(docs\/runbooks\/[a-z]+\.md)#(\S+)$/.exec(runbook) ?? [];
    assert.ok(path, `${name}: ${runbook}`);
    assert.ok(existsSync(join(root, path)), `${name}: no ${path}`);
    const headings = [...readFileSync(join(root, path), 'utf8').matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    assert.ok(headings.includes(name), `${name}: no section in ${path}`);
    assert.equal(anchor(name), part);
  }
});

test('each section of a runbook is of an alert, and each alert is in their list', () => {
  const books = readdirSync(join(root, 'docs/runbooks')).filter((name) => !['README.md', 'questions.md'].includes(name));
  const names = alerts.map(({ name }) => name);
  for (const book of books) {
    const text = readFileSync(join(root, 'docs/runbooks', book), 'utf8');
    for (const [, heading] of text.matchAll(/^## (Eshopz.*)$/gm)) assert.ok(names.includes(heading), `${book}: ${heading}`);
  }
  const list = readFileSync(join(root, 'docs/runbooks/README.md'), 'utf8');
  for (const { name, runbook, severity } of alerts) {
    const row = list.split('\n').find((line) => line.includes(`[${name}](${runbook.split('/').at(-1)})`));
    assert.ok(row, `${name} is not in docs/runbooks/README.md`);
    assert.ok(row.includes(`| ${severity} |`), `${name} is no ${severity} in docs/runbooks/README.md`);
  }
});

test('each alert is sent in one test at least, and silent in another', () => {
  const cases = tests.flatMap((name) => read(`tests/${name}`).split(/^ {6}- eval_time: /m).slice(1));
  for (const { name } of alerts) {
    const own = cases.filter((text) => new RegExp(`^.*\\n {8}alertname: ${name}\\n`).test(text));
    assert.ok(own.some((text) => text.includes('- exp_labels:')), `nothing fires ${name}`);
  }
  // A shop that is well has all that an alert looks at, and nobody is called.
  const healthy = read('tests/healthy.test.yml').split('  - name: ')[1];
  assert.match(healthy, /expr: count_over_time\(ALERTS\{alertstate="firing"\}\[2h\]\)\n.*\n +exp_samples: \[\]/);
  for (const { name, expression } of [...recorded, ...alerts]) {
    for (const metric of metricsOf(expression).filter((each) => !each.includes(':'))) {
      assert.ok(healthy.includes(`'${metric}{`), `${name}: a healthy shop has no ${metric}`);
    }
  }
});

test('what the rules ask for is measured', () => {
  const known = measured();
  const names = new Set(recorded.map(({ name }) => name));
  const used = new Set();
  for (const { name, expression } of [...recorded, ...alerts]) {
    const metrics = metricsOf(expression);
    assert.ok(metrics.length > 0, `${name} asks for nothing`);
    for (const metric of metrics) {
      used.add(metric);
      assert.ok(known.has(metric) || names.has(metric) || ELSEWHERE.has(metric), `${name}: nobody measures ${metric}`);
    }
  }
  for (const metric of ELSEWHERE.keys()) {
    assert.ok(used.has(metric), `no rule asks for ${metric} any more`);
    assert.ok(!known.has(metric), `${metric} is the program's by now: take it out of the list of others'`);
  }
});
