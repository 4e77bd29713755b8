// `scripts/alerts`: that each alert has a fault and a row in docs/alerts.md, that dividing time divides all of it and nothing
// else, and that some faults fire their alerts. The script itself makes all of them; CI has no time for that.
//
// ESHOPZ_MONITORING_PROGRAM names a program to be used in place of the debug binary.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, ended, eshopz, root, temporaryFolder, until } from '../browser/shop.mjs';
import { alertsOf, scenes } from '../../scripts/lib/alerts/faults.mjs';
import { Notes, Speed, play, report, table } from '../../scripts/lib/alerts/measure.mjs';
import { divided, groupsOf, milliseconds, needed, scaleExpression, scaleRules } from '../../scripts/lib/alerts/scale.mjs';

const script = join(root, 'scripts/alerts');
const program = resolve(process.env.ESHOPZ_MONITORING_PROGRAM ?? eshopz);
const FILES = ['recording.yml', 'alerts.yml'].map((name) => join(root, 'kustomize/monitoring/prometheus/rules', name));
const rules = FILES.flatMap((file) => groupsOf(readFileSync(file, 'utf8'))).flatMap((group) => group.rules);
const names = rules.filter(({ kind }) => kind === 'alert').map(({ name }) => name);

test('each alert has one fault, and each fault an alert', () => {
  assert.deepEqual(alertsOf().map(({ name }) => name).sort(), [...names].sort());
  for (const { name, fault, how, of, due } of alertsOf()) {
    assert.ok(fault && due > 0, name);
    assert.ok(['real', 'staged', 'played'].includes(how), `${name}: ${how}`);
    assert.equal(how === 'played', Boolean(of), `${name}: whose figures are played`);
    const waits = milliseconds(rules.find((rule) => rule.name === name).for.replace(/^0s$/, '0ms')) / 1000;
    assert.ok(due >= waits, `${name} is expected sooner than its \`for\``);
  }
  assert.equal(new Set(scenes.map(({ name }) => name)).size, scenes.length);
});

test('each alert has a row in docs/alerts.md, with its fault', () => {
  const text = readFileSync(join(root, 'docs/alerts.md'), 'utf8');
  const rows = new Map([...text.matchAll(/^\| (Eshopz\w+) \| (.*) \|$/gm)].map(([, name, rest]) => [name, rest.split(' | ')]));
  assert.deepEqual([...rows.keys()].sort(), [...names].sort());
  for (const { name, fault, base, how, of } of alertsOf()) {
    const [said, kind, waits] = rows.get(name);
    assert.ok([fault, fault.replace(/^the same/, base)].includes(said), `${name}: ${said}`);
    assert.equal(kind, of ? `${how}: ${of}` : how, name);
    assert.equal(waits || '0s', rules.find((rule) => rule.name === name).for, name);
    assert.doesNotMatch(rows.get(name).join(), /\*\*/, `${name} did not fire`);
  }
});

test('durations are divided', () => {
  const cases = [['5m', 300_000], ['1h30m', 5_400_000], ['1d', 86_400_000], ['250ms', 250], ['1w', 604_800_000]];
  for (const [text, expected] of cases) assert.equal(milliseconds(text), expected);
  assert.equal(divided('5m', 60), '5000ms');
  assert.equal(divided('15s', 60), '250ms');
  assert.equal(divided('1ms', 60), '1ms');
  assert.equal(divided('7d', 1), '7d');
  for (const none of ['5', 'm', '5 m', 'rate5m', '']) assert.throws(() => milliseconds(none));
});

test('all time in an expression is divided, and nothing else', () => {
  const of = (text) => scaleExpression(text, 60, 0.5);
  const cases = [
    // Ranges, subqueries and offsets.
    ['rate(a_total[5m])', 'rate(a_total[5000ms])'],
    ['max_over_time(rate(a[5m])[1h:1m]) > 5', 'max_over_time(rate(a[5000ms])[60000ms:1000ms]) > 5'],
    ['a unless a offset 1h', 'a unless a offset 60000ms'],
    ['a offset -1w', 'a offset -10080000ms'],
    // Names, labels and texts only look like time.
    ['namespace:a:rate5m{b="5m", c=~"x[5m]"} > 5', 'namespace:a:rate5m{b="5m", c=~"x[5m]"} > 5'],
    ['a > 5e9 # for 5m', 'a > 5e9 # for 5m'],
    // A sum over time becomes a count by the interval of its samples.
    ['sum_over_time(n:a:rate5m[1h]) * 15 >= 15', 'sum_over_time(n:a:rate5m[60000ms]) * 0.5 >= 15'],
    ['avg_over_time(a[1h]) * 15', 'avg_over_time(a[60000ms]) * 15'],
    // A horizon, an age, a lag.
    ['predict_linear(a{b=~"(x"}[6h], 86400) < 0', 'predict_linear(a{b=~"(x"}[360000ms], 1440) < 0'],
    ['predict_linear(a[1d], 30 * 86400) > 100e12', 'predict_linear(a[1440000ms], (30 * 86400) / 60) > 100e12'],
    ['time() - max by (b) (a{c="d"}) > 26 * 3600', 'time() - max by (b) (a{c="d"}) > (26 * 3600) / 60'],
    ['max by (b) (a_lag_seconds{c="d"}) > 300 and b > 300', 'max by (b) (a_lag_seconds{c="d"}) > 5 and b > 300'],
    // What ends by the calendar.
    ['a{b="c"} - time() < 14 * 86400', 'a{b="c"} - time() < 14 * 86400'],
  ];
  for (const [text, expected] of cases) {
    assert.equal(of(text), expected);
    assert.equal(scaleExpression(text, 1), text);
  }
  assert.throws(() => of('predict_linear(a[5m], 3600'), /a bracket is not closed/);
});

/** What a rule says of time in plain numbers: a new one has to be looked at, whether it is divided as it should be. */
const NUMBERS = {
  EshopzOutboxStuck: ['5'], EshopzOutboxLag: ['2'], EshopzReplicaLag: ['0.16666666666666666'], EshopzDatabaseDiskFilling: ['1440'],
  EshopzAuroraVolumeGrowing: ['(30 * 86400) / 60'], EshopzVerifyOverdue: ['(26 * 3600) / 60'],
};

test('in the rules, these numbers are time', () => {
  const numbers = (text) => text.replace(/"[^"]*"|\[[^\]]*\]|offset \w+/g, '').match(/\(\d+ \* \d+\) \/ 60|(?<![\w.:])\d[\w.]*(?: \* \d+)?/g) ?? [];
  const found = {};
  for (const { name, expression } of rules) {
    const [before, after] = [numbers(expression), numbers(scaleExpression(expression, 60, 0.5))];
    const changed = after.filter((each) => !before.includes(each) && each !== '0.5');
    if (changed.length) found[name] = changed;
    const sums = (expression.match(/sum_over_time\([^)]*\) \* 15/g) ?? []).length;
    assert.equal(after.filter((each) => each === '0.5').length, sums, name);
    // What is large enough to be hours or days is divided, or ends by the calendar.
    if (/\b(3600|86400)\b/.test(expression) && !/- time\(\)/.test(expression)) assert.ok(changed.length, name);
  }
  assert.deepEqual(found, NUMBERS);
});

test('promtool takes the rules with time divided, and a part of them', () => {
  const folder = temporaryFolder();
  try {
    const check = (written) => {
      const paths = written.map(({ name, text }) => { writeFileSync(join(folder, name), text); return join(folder, name); });
      const done = spawnSync('promtool', ['check', 'rules', ...paths], { encoding: 'utf8' });
      assert.equal(done.status, 0, done.stderr);
      return [...done.stdout.matchAll(/(\d+) rules found/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    assert.equal(check(scaleRules(FILES, 60, 0.5)), rules.length);
    const part = scaleRules(FILES, 60, 0.5, ['EshopzPaymentsDeclined', 'EshopzRedisAway']);
    const kept = part.flatMap(({ text }) => groupsOf(text)).flatMap((group) => group.rules.map(({ name }) => name));
    assert.equal(check(part), kept.length);
    assert.deepEqual(kept.filter((name) => name.startsWith('Eshopz')), ['EshopzPaymentsDeclined', 'EshopzRedisAway']);
    // What attempts are is recorded from what passed, was declined and failed.
    assert.ok(kept.includes('namespace:eshopz_payments_passed:rate5m') && !kept.includes('namespace:eshopz_api_requests:rate5m'));
    for (const { text } of part) assert.doesNotMatch(text, /\b\d+[smhd]\b(?![^\n]*#)/m, 'time that is not divided');
    for (const { name, text } of scaleRules(FILES, 1, 15)) {
      const [file] = FILES.filter((each) => each.endsWith(name));
      assert.deepEqual(groupsOf(text), groupsOf(readFileSync(file, 'utf8')), 'at their own speed they are as they were');
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  assert.deepEqual([...needed([{ rules }], ['EshopzNone'])], []);
});

test('what does not fire, fires too late or before its fault is told', async () => {
  const alert = (name) => ({ name, fault: 'a fault', base: 'a fault', how: 'real', due: 1, match: {} });
  const [fires, never, early] = ['EshopzRedisAway', 'EshopzDown', 'EshopzAbsent'].map(alert);
  const speed = new Speed({ scale: '600' }, [fires]);
  speed.bound = () => 1;
  const notes = new Notes();
  const said = [];
  const mended = [];
  const scene = {
    name: 'one', alerts: [fires, never, early],
    async strike(state, { mark }) { mark('EshopzRedisAway', 'EshopzDown', 'EshopzAbsent'); said.push('EshopzRedisAway'); },
    async mend() { mended.push('one'); },
  };
  said.push('EshopzAbsent');
  const watcher = { factor: 600, alerts: async () => said.map((alertname) => ({ labels: { alertname }, state: 'firing' })) };
  const loop = { again: (seconds, what) => { const timer = setInterval(what, 20); return { stop: () => clearInterval(timer) }; } };
  const following = notes.follow(watcher, scene.alerts, loop);
  await until('the early one was seen', () => notes.of('EshopzAbsent').fires, 5);
  await play(scene, {}, notes, new Set(scene.alerts.map(({ name }) => name)), speed);
  following.stop();
  assert.deepEqual(mended, ['one']);
  const late = { ...alert('EshopzOutboxLag') };
  Object.assign(notes.of(late.name), { struck: 1000, fired: 9000 });
  const broken = alert('EshopzRestarts');
  notes.of(broken.name).broken = 'no such table';
  const rows = report([fires, never, early, late, broken], notes, speed);
  assert.deepEqual(rows.map(({ wrong }) => wrong), [
    null, 'it did not fire within 1.0 s', 'it fired before the fault', 'it took longer than 1.0 s', 'its fault could not be made: no such table',
  ]);
  assert.match(table(rows), /\| EshopzRedisAway \| a fault \| real \| 5m \| 1\.0 s \| 0\.\d s \| ÷ 600, so [\d.]+ (s|min) \| {2}\|\n/);
  assert.match(table(rows), /\| EshopzDown \|.*\| \*\*it did not fire within 1\.0 s\*\* \|/);
});

for (const words of [['quick'], ['--only'], ['--only', ''], ['--only', 'a b'], ['--scale', 'x'], ['--json'], ['--program', '/no/such']]) {
  test(`a wrong call: ${JSON.stringify(words)}`, () => {
    const done = spawnSync(script, words, { encoding: 'utf8', env: cleanEnvironment() });
    assert.equal(done.status, 2);
    assert.equal(done.stdout, '');
    assert.match(done.stderr, /^Usage: scripts\/alerts/);
  });
}

test('an alert that there is not is refused', () => {
  const done = spawnSync(script, ['--program', program, '--only', 'EshopzRedis'], { encoding: 'utf8', env: cleanEnvironment() });
  assert.deepEqual([done.status, done.stdout], [2, '']);
  assert.match(done.stderr, /there is no alert EshopzRedis/);
});

test('these fire, and nothing is left behind', async (t) => {
  const few = ['EshopzPoolExhausted', 'EshopzRevenueStopped', 'EshopzRedisAway', 'EshopzDown', 'EshopzOutboxLag'];
  const folder = temporaryFolder();
  const before = Date.now();
  const child = spawn(script, ['--program', program, '--scale', '80', '--only', few.join(), '--json', 'took.json'], {
    cwd: folder, env: cleanEnvironment({ TMPDIR: folder }), stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [said, complained] = ['', ''];
  child.stdout.on('data', (text) => { said += text; });
  child.stderr.on('data', (text) => { complained += text; });
  try {
    assert.equal(await ended(child), 0, `${said}${complained}`);
    assert.equal(complained, '');
    const took = JSON.parse(readFileSync(join(folder, 'took.json'), 'utf8'));
    assert.deepEqual(took.alerts.map(({ alert }) => alert).sort(), [...few].sort());
    for (const { alert, measured, bound, factor, wrong } of took.alerts) {
      assert.ok(factor === 80 && wrong === null && measured > 0 && measured <= bound, alert);
      assert.ok(said.includes(`| ${alert} |`), `${alert} is not in the table`);
      t.diagnostic(`${alert}: ${measured.toFixed(1)} s`);
    }
    assert.match(said, /\n5 of 5 alerts fired in time, on /);
    const left = spawnSync('pgrep', ['-f', folder], { encoding: 'utf8' }).stdout.trim();
    assert.equal(left, '', 'a process is left');
  } finally {
    child.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
  t.diagnostic(`${Math.round((Date.now() - before) / 1000)} s`);
});
