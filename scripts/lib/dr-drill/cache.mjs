// The primary of Redis is killed under load. Sentinels promote the replica, and an address that follows their word leads there,
// as ElastiCache does with its primary endpoint. The shop goes on without Redis, and finds it again by itself.

import { Endpoint } from './endpoint.mjs';
import { Load, figures } from './load.mjs';
import { Postgres } from './postgres.mjs';
import { RedisPair, Ticker } from './redis.mjs';
import { Report } from './report.mjs';
import { Shop } from './shop.mjs';
import { now, until } from './stage.mjs';

/** After so many milliseconds of silence a Sentinel takes the primary for gone. */
const DOWN = 1000;

export async function cache(stage, { program, topology, buyers, seconds, limit }) {
  const report = new Report('cache', `${topology}, ${buyers} buyers`);
  const [server, redis] = await Promise.all([Postgres.make(stage, 'postgres'), RedisPair.start(stage, { down: DOWN })]);
  const endpoint = await Endpoint.open(stage, redis.primary.port);
  const shop = await Shop.start(stage, { program, topology, databaseUrl: server.url, redisUrl: `redis://127.0.0.1:${endpoint.port}` });
  const load = await Load.start(shop.base, buyers);
  await shop.usesRedis(120);
  const ticker = new Ticker(redis.primary.port);
  stage.atEnd(() => ticker.stop());
  stage.tell('under load');
  await load.goesOn(seconds);

  const killed = now();
  redis.primary.process.child.kill('SIGKILL');
  await until('the Sentinels name another primary', async () => (await redis.word()) === redis.replica.port, { seconds: Math.max(limit, 60), every: 50 });
  const promoted = now();
  ticker.stop();
  // Its value may be of the moment at which the connection broke.
  const last = Number(await redis.replica.ask('get', ticker.key));
  endpoint.pointTo(redis.replica.port);
  const patience = Math.max(limit, 60);
  // A process that has asked nothing meanwhile has not missed it.
  await until('the shop is connected', () => endpoint.connections(redis.replica.port) >= shop.processes.length, { seconds: patience });
  await shop.usesRedis(patience);
  const back = now();
  await load.goesOn(Math.min(seconds, 3));
  const over = now();
  await load.stop();

  const { requests } = load.client;
  const meanwhile = figures(requests, killed, back);
  report.line('orders acknowledged', `${load.orders.length}, ${load.orders.filter(({ at }) => at >= killed && at < back).length} of them without Redis`);
  report.time('replica promoted', promoted - killed, 'promoted', ' after the primary was killed');
  report.rto(back - killed, limit, 'until every process uses Redis again');
  report.line('RPO of Redis', `${Math.max(0, killed - last).toFixed(0)} ms of writes lost, and nothing in it is kept for good`, { redis_lost: Math.max(0, killed - last) / 1000 });
  report.rpo(await load.missing(), load.orders.length);
  report.requests('requests before', figures(requests, load.began, killed), 'requests_before');
  report.requests('requests without', meanwhile, 'requests');
  report.requests('requests after', figures(requests, back, over), 'requests_after');
  if (meanwhile.failed > 0) report.wrong.push(`${meanwhile.failed} requests failed for want of Redis, which the shop can do without`);
  report.verify(await server.settles(), await shop.verify());
  report.answers(load.wrong);
  load.close();
  return report;
}
