// Makes the faults, waits for the alerts, and says how long each took. scripts/alerts says how it is called.

import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

import { alertsOf, scenes } from './faults.mjs';
import { Notes, Speed, play, report, say, span, table } from './measure.mjs';
import { Stage, sleep } from './stage.mjs';

/** Seconds for which Prometheus looks before there is a fault, where an alert asks for no more. */
const HISTORY = 75;

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

async function inTurn(limit, all, what) {
  const left = [...all];
  await Promise.all(Array.from({ length: limit }, async () => { while (left.length) await what(left.shift()); }));
}

function machine() {
  const [{ model }] = cpus();
  return `${cpus().length} × ${model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}

async function run() {
  if (options.scale !== undefined && !(Number(options.scale) >= 1 && Number(options.scale) <= 10_000)) {
    throw new WrongCall('--scale needs a number from 1 to 10000');
  }
  const only = chosen();
  const alerts = alertsOf(only);
  const wanted = new Set(alerts.map(({ name }) => name));
  const playing = scenes.filter((scene) => scene.alerts.some(({ name }) => wanted.has(name)));
  if (options.needs) {
    process.stdout.write(`${[...new Set(playing.flatMap(({ needs }) => needs))].join('\n')}\n`);
    return 0;
  }
  const speed = new Speed(options, alerts);
  const stage = new Stage({ program: options.program, moto: options.moto, say });
  let stopping;
  const stop = () => { stopping ??= stage.stop(); return stopping; };
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) {
    process.once(signal, () => { stop().finally(() => process.exit(code)); });
  }
  try {
    const began = Date.now();
    const notes = new Notes();
    const states = new Map();
    const factorsOf = (scene) => new Set(scene.alerts.filter(({ name }) => wanted.has(name)).map((alert) => speed.factor(alert)));
    await inTurn(3, playing, (scene) => stage.during(scene.name, async () => {
      const factor = Math.max(...factorsOf(scene));
      states.set(scene, await scene.set(stage, {
        factor, wanted, prometheus: (more) => stage.prometheus(scene.name, { factor, tick: speed.tick(factor), ...more }),
      }));
      say(`${scene.name} is there`);
    }));
    const watching = [];
    for (const factor of new Set(playing.filter(({ alone }) => !alone).flatMap((scene) => [...factorsOf(scene)]))) {
      const isAlone = (alert) => playing.some(({ alone, alerts: own }) => alone && own.includes(alert));
      const mine = alerts.filter((alert) => speed.factor(alert) === factor && !isAlone(alert));
      const of = new Set(playing.filter((scene) => scene.alerts.some((alert) => mine.includes(alert))).map(({ name }) => name));
      const targets = stage.targets.filter(({ scene }) => of.has(scene));
      const watcher = await stage.prometheus(`by-${factor}`, {
        targets, factor, tick: speed.tick(factor), wanted: factor === 1 ? undefined : mine.map(({ name }) => name),
      });
      watching.push([watcher, mine]);
    }
    for (const scene of playing.filter(({ alone }) => alone)) {
      watching.push([states.get(scene).watcher, scene.alerts.filter(({ name }) => wanted.has(name))]);
    }
    const followers = watching.map(([watcher, mine]) => notes.follow(watcher, mine, stage));
    say(`all is there after ${span((Date.now() - began) / 1000)}`);
    await sleep(Math.max(...alerts.map((alert) => {
      const factor = speed.factor(alert);
      return Math.max((factor === 1 ? HISTORY : alert.history ?? HISTORY * 4) / factor, 3 * speed.tick(factor));
    })));
    say('the faults are made');
    // One that cannot be played is no reason to give up the others.
    const played = (scene) => stage.during(scene.name, () => play(scene, states.get(scene), notes, wanted, speed));
    await Promise.all(playing.map((scene) => played(scene).catch((error) => {
      process.stderr.write(`alerts: the scene ${scene.name} broke off: ${error.stack}${error.cause ? ` ${error.cause}` : ''}\n`);
      for (const { name } of scene.alerts) notes.of(name).broken = error.message;
    })));
    followers.forEach((each) => each.stop());
    const rows = report(alerts, notes, speed);
    const wrong = rows.filter((row) => row.wrong);
    const took = span((Date.now() - began) / 1000);
    process.stdout.write(`${table(rows)}\n${rows.length - wrong.length} of ${rows.length} alerts fired in time, on ${machine()}, in ${took}.\n`);
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
// Where a start was given up half-way, what it was about keeps nobody.
setTimeout(() => process.exit(), 2_000).unref();
