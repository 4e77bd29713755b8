// Processes of the shop die under load, one after the other, some at once and some asked to end; each is started again, as a
// ReplicaSet does. What is asked of each module meanwhile says how long it was away.

import { setTimeout as sleep } from 'node:timers/promises';

import { Client, Load, figures } from './load.mjs';
import { Postgres } from './postgres.mjs';
import { Report } from './report.mjs';
import { MODULES, Shop } from './shop.mjs';
import { now } from './stage.mjs';

const PROBE_EVERY = 25;

/** The same numbers for the same seed (mulberry32, of the public domain). */
function dice(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Asks something of each module again and again. An outage is from the first that failed to the next that did not. */
class Probes {
  #client;
  #stopped = false;
  #all = [];
  longest = Object.fromEntries(MODULES.map((module) => [module, 0]));

  static async start(base) {
    const probes = new Probes();
    probes.#client = new Client(base);
    const cart = await probes.#client.ask('POST', '/api/v1/carts');
    // Lists are refused to nobody and to guests, and a refusal is an answer: the module is there.
    const paths = {
      user: '/.well-known/jwks.json', product: '/api/v1/products?limit=1', cart: `/api/v1/carts/${cart.body.id}`,
      payment: '/api/v1/payments?limit=1', order: '/api/v1/orders?limit=1',
    };
    const headers = { 'x-cart-token': cart.body.token };
    probes.#all = MODULES.map((module) => probes.#probe(module, paths[module], headers));
    return probes;
  }

  async #probe(module, path, headers) {
    for (let since = null; !this.#stopped;) {
      const at = now();
      const { status } = await this.#client.ask('GET', path, { headers, quiet: true });
      const isAway = status === 0 || status >= 500;
      if (isAway) since ??= at;
      // One that has not ended is as long as it is by now.
      if (since !== null) this.longest[module] = Math.max(this.longest[module], now() - since);
      if (!isAway) since = null;
      await sleep(PROBE_EVERY);
    }
  }

  async stop() {
    this.#stopped = true;
    await Promise.all(this.#all);
    this.#client.close();
  }
}

export async function pods(stage, { program, topology, buyers, seconds, limit, rounds, seed }) {
  const report = new Report('pods', `${topology}, ${rounds} deaths, seed ${seed}, ${buyers} buyers`);
  const server = await Postgres.make(stage, 'postgres');
  const shop = await Shop.start(stage, { program, topology, databaseUrl: server.url });
  const load = await Load.start(shop.base, buyers);
  const probes = await Probes.start(shop.base);
  const draw = dice(seed);
  stage.tell('under load');
  await load.goesOn(0);
  const began = now();
  const deaths = [];
  for (let round = 0; round < rounds; round += 1) {
    const each = shop.processes[draw(shop.processes.length)];
    const signal = draw(2) ? 'SIGKILL' : 'SIGTERM';
    await sleep(seconds * 1000 * (0.5 + draw(1000) / 1000));
    stage.tell(`death ${round + 1} of ${rounds}: ${each.name} ${signal}`);
    const at = now();
    each.process.child.kill(signal);
    const how = await each.process.ended;
    if (signal === 'SIGTERM' && how !== 0) report.wrong.push(`${each.name} was asked to end, and ended with ${how}: ${stage.lastWords(each.name)}`);
    shop.startOne(each);
    await shop.isReady(each);
    deaths.push({ name: each.name, signal, ms: now() - at });
  }
  stage.tell('under load');
  await load.goesOn(seconds);
  const over = now();
  await load.stop();
  await probes.stop();

  const slowest = deaths.reduce((one, other) => (one.ms > other.ms ? one : other));
  report.line('deaths', deaths.map(({ name, signal }) => `${name} ${signal.slice(3)}`).join(', '), { deaths });
  report.time('ready again', slowest.ms, 'ready', ` after it died, the slowest (${slowest.name} ${slowest.signal.slice(3)})`);
  for (const module of MODULES) report.time(`${module} away`, probes.longest[module], `${module}_away`, ' at the longest');
  report.line('orders acknowledged', String(load.orders.length));
  report.time('no order for', load.longestSilence(began, over), 'silence', ' at the longest');
  report.rto(Math.max(...Object.values(probes.longest)), limit, 'the longest that a module was away');
  report.rpo(await load.missing(), load.orders.length);
  report.requests('requests', figures(load.client.requests, began, over), 'requests');
  report.verify(await server.settles(), await shop.verify());
  report.answers(load.wrong);
  load.close();
  return report;
}
