// The primary of PostgreSQL is killed under load. A watchman notices, promotes the standby, and has the address lead there,
// as Aurora does with its cluster endpoint; or the shop knows both servers and looks for the one that can be written to. It has
// to find it by itself.
//
// Aurora's writer and reader share their storage: what was acknowledged is in it, whichever of them dies. The nearest that
// PostgreSQL has is a standby without which no commit is acknowledged.

import { setTimeout as sleep } from 'node:timers/promises';

import { Endpoint } from './endpoint.mjs';
import { Load, figures } from './load.mjs';
import { Postgres } from './postgres.mjs';
import { Report } from './report.mjs';
import { Shop } from './shop.mjs';
import { now, until } from './stage.mjs';

/** The watchman asks so often, and believes it after so many silences. */
const ASKS_EVERY = 500;
const SILENCES = 3;

const STANDBY = 'standby';

async function watch(server) {
  for (let silences = 0; silences < SILENCES;) {
    silences = (await server.answers()) ? 0 : silences + 1;
    if (silences < SILENCES) await sleep(ASKS_EVERY);
  }
}

export async function database(stage, options) {
  const { program, topology, buyers, seconds, limit, asynchronous, lag, frozen, address } = options;
  const report = new Report('database', `${topology}, ${address === 'hosts' ? 'both servers in the URL, ' : ''}${asynchronous ? 'asynchronous' : 'synchronous'} standby${lag ? ` ${lag} ms behind` : ''}, primary ${frozen ? 'frozen' : 'killed'}, ${buyers} buyers`);
  const primary = await Postgres.make(stage, 'primary');
  const way = await Endpoint.open(stage, primary.port);
  const endpoint = await Endpoint.open(stage, primary.port);
  const standby = await Postgres.copyOf(primary, STANDBY, { follows: true, by: way.port });
  await standby.start({ hot_standby: 'on' });
  const state = asynchronous ? 'async' : 'sync';
  if (!asynchronous) {
    await primary.query(`ALTER SYSTEM SET synchronous_standby_names = '${STANDBY}'`);
    await primary.query('SELECT pg_reload_conf()');
  }
  await until(`the standby follows (${state})`, async () =>
    (await primary.query(`SELECT sync_state FROM pg_stat_replication WHERE application_name = '${STANDBY}' AND state = 'streaming'`)) === state);
  const servers = address === 'hosts' ? `127.0.0.1:${primary.port},127.0.0.1:${standby.port}` : `127.0.0.1:${endpoint.port}`;
  const only = address === 'hosts' ? '?target_session_attrs=read-write' : '';
  const shop = await Shop.start(stage, { program, topology, databaseUrl: primary.url.replace(`127.0.0.1:${primary.port}`, servers) + only });
  way.lag = lag;

  const load = await Load.start(shop.base, buyers);
  stage.tell('under load');
  await load.goesOn(seconds);
  const killed = now();
  if (frozen) {
    await primary.freeze();
  } else {
    way.cut();
    await primary.kill();
  }
  stage.tell(`the primary is ${frozen ? 'frozen' : 'killed'}`);
  await watch(primary);
  const noticed = now();
  // One that only seems to be dead must not wake up beside the new one.
  way.cut();
  await primary.kill();
  await standby.promote();
  const promoted = now();
  endpoint.pointTo(standby.port);
  const first = await until('an order is accepted again', () => load.firstOrderAfter(killed), { seconds: Math.max(limit, 60) });
  await load.goesOn(Math.min(seconds, 3));
  await load.stop();

  const before = load.orders.filter(({ at }) => at < killed).length;
  report.line('orders acknowledged', `${before} before the primary ${frozen ? 'stood still' : 'was killed'}, ${load.orders.length - before} after`, { before, after: load.orders.length - before });
  report.time('noticed', noticed - killed, 'noticed', ' after that');
  report.time('standby promoted', promoted - killed, 'promoted');
  report.rto(first.at - killed, limit, 'from then to the first order that was sent and acknowledged after it');
  report.rpo(await load.missing(), load.orders.length);
  report.requests('requests meanwhile', figures(load.client.requests, killed, first.at), 'requests');
  report.verify(await standby.settles(), await shop.verify());
  report.answers(load.wrong);
  load.close();
  return report;
}
