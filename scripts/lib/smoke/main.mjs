// Runs the steps against a shop, takes back what they made, and prints what went well.

import { parseArgs } from 'node:util';

import { Client, Failure, pause } from './client.mjs';
import { Skip, steps } from './steps.mjs';

// Taking back has a time of its own: it is the more needed the slower the shop is.
const CLEANING_SECONDS = 15;

function wrongCall(message) {
  process.stderr.write(`smoke: ${message}\n\n${process.env.SMOKE_USAGE}\n`);
  process.exit(2);
}

function call() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean' }, strict: { type: 'boolean' }, 'read-only': { type: 'boolean' },
        wait: { type: 'string', default: '0' }, timeout: { type: 'string', default: '40' },
      },
    });
  } catch (error) {
    wrongCall(error.message);
  }
  const { values, positionals } = parsed;
  if (positionals.length !== 1) wrongCall('one URL is needed');
  const url = tryUrl(positionals[0]);
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash) wrongCall(`${positionals[0]} is not the address of a shop`);
  for (const name of ['wait', 'timeout']) {
    if (!/^\d{1,4}$/.test(values[name])) wrongCall(`--${name} ${values[name]} is not a number of seconds`);
  }
  const { env } = process;
  const settings = {
    email: env.SMOKE_EMAIL || 'eshopz@example.com',
    adminEmail: env.SMOKE_ADMIN_EMAIL, adminPassword: env.SMOKE_ADMIN_PASSWORD, adminTotp: env.SMOKE_ADMIN_TOTP,
    paymentMethod: env.SMOKE_PAYMENT_METHOD,
  };
  if (!/^[^@\s]+@[^@\s]+$/.test(settings.email)) wrongCall(`SMOKE_EMAIL=${settings.email} is not an email address`);
  if (settings.adminEmail && !settings.adminPassword) wrongCall('SMOKE_ADMIN_EMAIL needs SMOKE_ADMIN_PASSWORD');
  return { ...values, wait: Number(values.wait), timeout: Number(values.timeout), base: url.href.replace(/\/+$/, ''), settings };
}

function tryUrl(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** Waits until somebody answers at all, for a load balancer that has just been told of new processes. */
async function appear(base, seconds) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await fetch(`${base}/.well-known/jwks.json`, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
    if (answer?.ok || Date.now() > deadline) return;
    await pause(500);
  }
}

/** Runs one thing and says how it went. */
async function attempt(name, action) {
  const began = performance.now();
  const done = (outcome, detail) => ({ name, outcome, ms: Math.round(performance.now() - began), detail });
  try {
    return done('passed', (await action()) ?? '');
  } catch (error) {
    if (error instanceof Skip) return done('skipped', error.message);
    return done('failed', error instanceof Failure ? error.message : `an answer is not of its form: ${error.message}`);
  }
}

async function walk(context, readOnly) {
  const results = [];
  for (const step of steps) {
    const without = (step.needs ?? []).filter((need) => !context.found[need]);
    if (readOnly && step.writes) continue;
    if (context.stopped) {
      results.push({ name: step.name, outcome: 'failed', ms: 0, detail: 'interrupted' });
      break;
    }
    results.push(without.length
      ? { name: step.name, outcome: 'skipped', ms: 0, detail: reasonFor(without, results) }
      : await attempt(step.name, () => step.run(context)));
  }
  return results;
}

const REASONS = {
  admin: 'without an admin', offer: 'nothing in stock that could be bought', paid: 'nothing has been paid',
};

function reasonFor(without, results) {
  if (results.some(({ outcome }) => outcome === 'failed')) return 'after the failure above';
  return REASONS[without[0]] ?? 'nothing to try it with';
}

/** In reverse order, each whether or not the others went well. */
async function takeBack(context) {
  context.client.deadline = Date.now() + CLEANING_SECONDS * 1000;
  const results = [];
  for (const [name, undo] of context.undo.reverse()) {
    results.push(await attempt(`clean up: ${name}`, undo));
  }
  return results;
}

function table({ url, run, results, seconds, ok }) {
  const width = Math.max(...results.map(({ name }) => name.length));
  const line = ({ name, outcome, ms, detail }) => `  ${outcome.padEnd(8)}${name.padEnd(width)}${String(ms).padStart(6)} ms  ${detail}`;
  const count = (wanted) => results.filter(({ outcome }) => outcome === wanted).length;
  return `${url} (${run})\n\n${results.map(line).map((each) => each.trimEnd()).join('\n')}\n\nsmoke: ${ok ? 'passed' : 'FAILED'}: ${
    count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped in ${seconds} s\n`;
}

const { base, settings, wait, timeout, ...flags } = call();
const run = `smoke-${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
await appear(base, wait);
const began = Date.now();
const client = new Client(base, run, began + timeout * 1000);
const context = { client, run, settings, found: {}, undo: [], stopped: false };
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    context.stopped = true;
    client.deadline = 0;
  });
}
const results = [...await walk(context, flags['read-only']), ...await takeBack(context)];
const bad = flags.strict ? ['failed', 'skipped'] : ['failed'];
const report = {
  url: base, run, ok: !results.some(({ outcome }) => bad.includes(outcome)),
  seconds: Number(((Date.now() - began) / 1000).toFixed(1)), results,
};
process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : table(report));
process.exitCode = report.ok ? 0 : 1;
