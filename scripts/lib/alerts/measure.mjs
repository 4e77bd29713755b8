// How long each alert takes: what is expected, what Prometheus says, and what is told of it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { groupsOf } from './scale.mjs';
import { root, sleep } from './stage.mjs';

/** How long somebody waits for an alert to be over. */
const PATIENCE = 90;

export const say = (text) => { if (process.stderr.isTTY) process.stderr.write(`${text}\n`); };

/** How fast time goes for an alert, and what that means. `alerts` are those that are tried. */
export class Speed {
  constructor({ scale, quick }, alerts) {
    Object.assign(this, { scale: Number(scale) || undefined, quick });
    // With many to look at not so often that it is all that this machine does.
    this.least = alerts.length > 10 ? 1 : 0.5;
  }

  /** By how much time is divided for an alert. */
  factor({ factor = 1 }) {
    return this.scale ?? (this.quick ? Math.max(factor, 60) : factor);
  }

  /** How often Prometheus looks, in seconds. */
  tick(factor) {
    return factor === 1 ? 15 : Math.max(15 / factor, this.least);
  }

  /**
   * How long an alert may take: by its rule, a tenth more, what the program takes by itself, and some looks of Prometheus.
   * Where time is divided, what a busy machine adds is not: for that there are twenty seconds.
   */
  bound(alert) {
    const factor = this.factor(alert);
    return (alert.due / factor) * 1.1 + (alert.own ?? 0) + 3 * this.tick(factor) + (factor === 1 ? 10 : 20);
  }
}

export function span(seconds) {
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(seconds < 600 ? 1 : 0)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const has = (labels, match) => Object.entries(match).every(([key, value]) => labels[key] === value);

/** What happens to the alerts: when their faults were made, when Prometheus called them firing, when it ceased to. */
export class Notes {
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

/** Makes the faults of a scene, waits for its alerts, mends what was broken and waits until that is seen. */
export async function play(scene, state, notes, wanted, speed) {
  const own = scene.alerts.filter(({ name }) => wanted.has(name));
  const until = async (probe, deadline) => { while (!probe() && Date.now() < deadline()) await sleep(0.2); };
  const late = (alert) => () => (notes.of(alert.name).struck ?? Date.now()) + speed.bound(alert) * 1000;
  const tools = {
    mark: (...names) => names.forEach((name) => {
      const note = notes.of(name);
      note.struck = Date.now();
      note.early = note.fires && name !== 'EshopzWatchdog';
    }),
    done: (name) => { notes.of(name).fired = Date.now(); },
    wants: (...names) => names.some((name) => wanted.has(name)),
    tick: (name) => speed.tick(speed.factor(scene.alerts.find((alert) => alert.name === name))),
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

function complaint({ early, broken, measured, bound }) {
  if (early) return 'it fired before the fault';
  if (measured === null) return broken ? `its fault could not be made: ${broken}` : `it did not fire within ${span(bound)}`;
  return measured > bound ? `it took longer than ${span(bound)}` : null;
}

/** What is told of each alert. */
export function report(alerts, notes, speed) {
  const rules = new Map(groupsOf(readFileSync(join(root, 'kustomize/monitoring/prometheus/rules/alerts.yml'), 'utf8'))
    .flatMap((group) => group.rules).map((rule) => [rule.name, rule]));
  return alerts.map((alert) => {
    const { struck, fired, over, mended, early, broken } = notes.of(alert.name);
    const factor = speed.factor(alert);
    const measured = struck && fired ? (fired - struck) / 1000 : null;
    const bound = speed.bound(alert);
    return {
      alert: alert.name, fault: alert.fault, base: alert.base, how: alert.how, of: alert.of, for: rules.get(alert.name).for,
      factor, bound, measured,
      over: alert.ends && over ? Math.max(0, (over - mended) / 1000) : null,
      wrong: complaint({ early, broken, measured, bound }),
    };
  });
}

/** The same as a table in Markdown. */
export function table(rows) {
  // `the same` as what is said above it.
  let above;
  const fault = (row) => {
    const said = row.base === above ? row.fault : row.fault.replace(/^the same/, row.base);
    above = row.base;
    return said;
  };
  const lines = rows.map((row) => `| ${[
    row.alert, fault(row), row.of ? `${row.how}: ${row.of}` : row.how, row.for === '0s' ? '' : row.for, span(row.bound),
    row.wrong ? `**${row.wrong}**` : span(row.measured),
    row.factor === 1 ? '' : `÷ ${row.factor}${row.measured === null ? '' : `, so ${span(row.measured * row.factor)}`}`,
    row.over === null ? '' : span(row.over),
  ].join(' | ')} |`);
  const head = ['| alert | fault | how | `for` | due within | fired after | time | over after |', '|---|---|---|---|---|---|---|---|'];
  return [...head, ...lines, ''].join('\n');
}
