// Makes the faults, waits for the alerts, and says how long each took. scripts/alerts says how it is called.

import { availableParallelism, cpus, totalmem } from 'node:os';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { alertsOf, scenes } from './faults.mjs';
import { groupsOf } from './scale.mjs';
import { Stage, root, sleep } from './stage.mjs';

/** Seconds for which Prometheus looks before there is a fault, where a scene asks for no more. */
const HISTORY = 75;
/** How long somebody waits for an alert to be over. */
const PATIENCE = 90;

const { values: options } = parseArgs({ options: {
  quick: { type: 'boolean' }, scale: { type: 'string' }, only: { type: 'string' }, json: { type: 'string' },
  program: { type: 'string' }, moto: { type: 'string' }, needs: { type: 'boolean' },
} });

class WrongCall extends Error {}

function chosen() {
  if (!options.only) return null;
  const known = alertsOf().map(({ name }) => name);
  const only = options.only.split(',');
  for (const name of only) if (!known.includes(name)) throw new WrongCall(`there is no alert ${name}; docs/alerts.md lists them`);
  return new Set(only);
}

/** By how much time is divided for an alert. */
function factorOf({ factor = 1 }) {
  if (options.scale) return Number(options.scale);
  return options.quick ? Math.max(factor, 60) : factor;
}

/** How often Prometheus looks, in seconds; with many to look at not so often that it is all that this machine does. */
let least = 0.5;
const tickOf = (factor) => Math.max(15 / factor, Math.min(least, 15));

/** How long an alert may take: by its rule, a tenth more, what the program takes by itself, and some looks of Prometheus. */
const boundOf = (alert) => (alert.due / factorOf(alert)) * 1.1 + (alert.own ?? 0) + 3 * tickOf(factorOf(alert)) + 10;

const say = (text) => { if (process.stderr.isTTY) process.stderr.write(`${text}\n`); };

function span(seconds) {
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(seconds < 600 ? 1 : 0)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const has = (labels, match) => Object.entries(match).every(([key, value]) => labels[key] === value);

/** What happens to the alerts: when their faults were made, when Prometheus called them firing, when it ceased to. */
class Notes {
  constructor() {
    this.all = new Map();
  }

  of(name) {
    if (!this.all.has(name)) this.all.set(name, {});
    return this.all.get(name);
  }

  /** Looks at what a Prometheus says of these alerts, again and again. */
  follow(watcher, alerts, stage) {
    return stage.again(watcher.factor === 1 ? 1 : 0.2, async () => {
      const [now, said] = [Date.now(), await watcher.alerts()];
      for (const { name, match } of alerts) {
        const note = this.of(name);
        const own = said.filter(({ labels }) => labels.alertname === name && has(labels, match));
        note.fires = own.some(({ state }) => state === 'firing');
        if (name === 'EshopzWatchdog') continue;
        if (note.fires && note.struck && !note.fired) {
          note.fired = now;
          note.labels = own.find(({ state }) => state === 'firing').labels;
          say(`${name} fires after ${span((now - note.struck) / 1000)}`);
        }
        if (!note.fires && note.mended && note.fired && !note.over) note.over = now;
      }
    });
  }
}

async function inTurn(limit, all, what) {
  const left = [...all];
  await Promise.all(Array.from({ length: limit }, async () => { while (left.length) await what(left.shift()); }));
}

/** Makes the faults of a scene, waits for its alerts, mends what was broken and waits until that is seen. */
async function play(scene, state, notes, wanted) {
  const own = scene.alerts.filter(({ name }) => wanted.has(name));
  const until = async (probe, deadline) => { while (!probe() && Date.now() < deadline()) await sleep(0.2); };
  const late = (alert) => () => (notes.of(alert.name).struck ?? Date.now()) + boundOf(alert) * 1000;
  const tools = {
    mark: (...names) => names.forEach((name) => {
      const note = notes.of(name);
      note.struck = Date.now();
      note.early = note.fires && name !== 'EshopzWatchdog';
    }),
    done: (name) => { notes.of(name).fired = Date.now(); },
    wants: (...names) => names.some((name) => wanted.has(name)),
    tick: (name) => tickOf(factorOf(scene.alerts.find((alert) => alert.name === name))),
    fired: (name) => {
      const alert = scene.alerts.find((each) => each.name === name);
      return until(() => notes.of(name).fired, late(alert));
    },
  };
  let failed;
  const striking = scene.strike(state, tools).catch((error) => { failed = error; });
  await Promise.all(own.map(async (alert) => {
    await until(() => notes.of(alert.name).fired || failed, late(alert));
    scene.fired?.(state, alert.name);
  }));
  await striking;
  if (failed) throw failed;
  own.forEach(({ name }) => { notes.of(name).mended = Date.now(); });
  await scene.mend(state, tools);
  const mended = Date.now();
  await until(() => own.every(({ name, ends }) => !ends || !notes.of(name).fired || notes.of(name).over), () => mended + PATIENCE * 1000);
}

function machine() {
  const [{ model }] = cpus();
  return `${availableParallelism?.() ?? cpus().length} × ${model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}

/** What is told of each alert. */
function report(alerts, notes) {
  const rules = new Map(groupsOf(readFileSync(join(root, 'kustomize/monitoring/prometheus/rules/alerts.yml'), 'utf8'))
    .flatMap((group) => group.rules).map((rule) => [rule.name, rule]));
  return alerts.map((alert) => {
    const { struck, fired, over, mended, early, broken } = notes.of(alert.name);
    const factor = factorOf(alert);
    const measured = struck && fired ? (fired - struck) / 1000 : null;
    const bound = boundOf(alert);
    return {
      alert: alert.name, fault: alert.fault, how: alert.how, of: alert.of, for: rules.get(alert.name).for, factor, bound, measured,
      over: alert.ends && over ? Math.max(0, (over - mended) / 1000) : null,
      wrong: early ? 'it fired before the fault' : broken && measured === null ? `its fault could not be made: ${broken}` : measured === null ? `it did not fire within ${span(bound)}`
        : measured > bound ? `it took longer than ${span(bound)}` : null,
    };
  });
}

function table(rows) {
  const lines = rows.map((row) => `| ${[
    row.alert, row.fault, row.of ? `${row.how}: ${row.of}` : row.how, row.for === '0s' ? '' : row.for, span(row.bound),
    row.wrong ? `**${row.wrong}**` : span(row.measured),
    row.factor === 1 ? '' : `÷ ${row.factor}${row.measured === null ? '' : `, so ${span(row.measured * row.factor)}`}`,
    row.over === null ? '' : span(row.over),
  ].join(' | ')} |`);
  return ['| alert | fault | how | `for` | due within | fired after | time | over after |', '|---|---|---|---|---|---|---|---|', ...lines, ''].join('\n');
}

async function run() {
  if (options.scale !== undefined && !(Number(options.scale) >= 1 && Number(options.scale) <= 10_000)) throw new WrongCall('--scale needs a number from 1 to 10000');
  const only = chosen();
  const alerts = alertsOf(only);
  const wanted = new Set(alerts.map(({ name }) => name));
  const playing = scenes.filter((scene) => scene.alerts.some(({ name }) => wanted.has(name)));
  if (options.needs) {
    process.stdout.write(`${[...new Set(playing.flatMap(({ needs }) => needs))].join('\n')}\n`);
    return 0;
  }
  if (alerts.length > 10) least = 1;
  const stage = new Stage({ program: options.program, moto: options.moto, say });
  let stopping;
  const stop = () => { stopping ??= stage.stop(); return stopping; };
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) process.once(signal, () => { stop().finally(() => process.exit(code)); });
  try {
    const began = Date.now();
    const notes = new Notes();
    const states = new Map();
    const factorsOf = (scene) => new Set(scene.alerts.filter(({ name }) => wanted.has(name)).map(factorOf));
    await inTurn(3, playing, (scene) => stage.during(scene.name, async () => {
      const factor = Math.max(...factorsOf(scene));
      states.set(scene, await scene.set(stage, {
        factor, wanted, prometheus: (more) => stage.prometheus(scene.name, { factor, tick: tickOf(factor), ...more }),
      }));
      say(`${scene.name} is there`);
    }));
    const watching = [];
    for (const factor of new Set(playing.filter(({ alone }) => !alone).flatMap((scene) => [...factorsOf(scene)]))) {
      const mine = alerts.filter((alert) => factorOf(alert) === factor && !playing.find(({ alone, alerts: own }) => alone && own.includes(alert)));
      const of = new Set(playing.filter((scene) => scene.alerts.some((alert) => mine.includes(alert))).map(({ name }) => name));
      const targets = stage.targets.filter(({ scene }) => of.has(scene));
      const watcher = await stage.prometheus(`by-${factor}`, { targets, factor, tick: tickOf(factor), wanted: factor === 1 ? undefined : mine.map(({ name }) => name) });
      watching.push([watcher, mine]);
    }
    for (const scene of playing.filter(({ alone }) => alone)) watching.push([states.get(scene).watcher, scene.alerts.filter(({ name }) => wanted.has(name))]);
    const followers = watching.map(([watcher, mine]) => notes.follow(watcher, mine, stage));
    say(`all is there after ${span((Date.now() - began) / 1000)}`);
    await sleep(Math.max(...playing.flatMap((scene) => [...factorsOf(scene)].map((factor) => (
      Math.max((factor === 1 ? HISTORY : scene.history ?? HISTORY * 4) / factor, 3 * tickOf(factor)))))));
    say('the faults are made');
    // One that cannot be played is no reason to give up the others.
    await Promise.all(playing.map((scene) => stage.during(scene.name, () => play(scene, states.get(scene), notes, wanted)).catch((error) => {
      process.stderr.write(`alerts: the scene ${scene.name} broke off: ${error.stack}${error.cause ? ` ${error.cause}` : ''}\n`);
      for (const { name } of scene.alerts) notes.of(name).broken = error.message;
    })));
    followers.forEach((each) => each.stop());
    const rows = report(alerts, notes);
    const wrong = rows.filter((row) => row.wrong);
    process.stdout.write(`${table(rows)}\n${rows.length - wrong.length} of ${rows.length} alerts fired in time, on ${machine()}, in ${span((Date.now() - began) / 1000)}.\n`);
    if (options.json) {
      const document = { taken_at: new Date().toISOString(), machine: machine(), seconds: (Date.now() - began) / 1000, alerts: rows };
      writeFileSync(options.json, `${JSON.stringify(document, null, 2)}\n`);
    }
    return wrong.length ? 1 : 0;
  } finally {
    await stop();
  }
}

try {
  process.exitCode = await run();
} catch (error) {
  process.stderr.write(`alerts: ${error instanceof WrongCall ? error.message : error.stack}\n`);
  process.exitCode = error instanceof WrongCall ? 2 : 1;
}
