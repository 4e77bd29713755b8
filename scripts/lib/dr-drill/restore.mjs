// A backup and an archive of what was written since; then somebody destroys something under load, and the database is restored
// to a moment before that. Orders of before must be there, and none of after.

import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { Endpoint } from './endpoint.mjs';
import { Load } from './load.mjs';
import { Postgres, serversFolder } from './postgres.mjs';
import { Report } from './report.mjs';
import { Shop } from './shop.mjs';
import { now, until } from './stage.mjs';

/** How often what was written is archived, even if it fills no file, in seconds. */
const ARCHIVED_EVERY = 2;

/** More orders than there can have been since the moment. */
const NUMBERS_LEFT_OUT = 100_000;

/** What is destroyed, and how. */
const DISASTERS = {
  table: { how: 'a table is dropped', strike: (server) => server.query('DROP TABLE orders.order_lines CASCADE') },
  folder: {
    how: 'the server is lost with its files',
    strike: async (server) => { await server.kill(); rmSync(server.folder, { recursive: true, force: true }); },
  },
};

export async function restore(stage, { program, topology, buyers, seconds, limit, destroy }) {
  const { how, strike } = DISASTERS[destroy];
  const report = new Report('restore', `${topology}, ${how}, ${buyers} buyers`);
  const archive = serversFolder(join(stage.folder, 'archive'));
  const server = await Postgres.make(stage, 'first', {
    archive_mode: 'on', archive_timeout: ARCHIVED_EVERY,
    // A file that is there whole or not at all.
    archive_command: `cp "%p" "${archive}/%f.part" && mv "${archive}/%f.part" "${archive}/%f"`,
  });
  const endpoint = await Endpoint.open(stage, server.port);
  const shop = await Shop.start(stage, {
    program, topology, databaseUrl: server.url.replace(`:${server.port}/`, `:${endpoint.port}/`),
  });
  const load = await Load.start(shop.base, buyers);
  stage.tell('under load');
  await load.goesOn(seconds / 2);
  const backupBegan = now();
  const backup = await Postgres.copyOf(server, 'backup');
  const backupTook = now() - backupBegan;
  await load.goesOn(seconds / 2);

  // The moment is the database's, between two of this program's clock: what is certain is before the first or after the second.
  const momentFrom = now();
  const [moment, position] = (await server.query('SELECT clock_timestamp(), pg_current_wal_lsn()')).split('|');
  const momentTo = now();
  await load.goesOn(seconds);
  await until('what was written until the moment is archived', async () => (await server.query(
    `SELECT last_archived_wal ~ '^[0-9A-F]{24}$' AND last_archived_wal > pg_walfile_name('${position}') AND last_archived_time > '${moment}' FROM pg_stat_archiver`)) === 't', { every: 100 });
  const behind = Number(await server.query('SELECT extract(epoch FROM clock_timestamp() - last_archived_time) FROM pg_stat_archiver')) * 1000;
  const struck = now();
  await strike(server);
  const momentToStrike = struck - momentTo;

  stage.tell('restoring');
  const recoveryBegan = now();
  const restored = await backup.restored('restored');
  restored.signalRecovery();
  await restored.start({
    restore_command: `cp "${archive}/%f" "%p"`, recovery_target_time: moment, recovery_target_action: 'promote',
    archive_mode: 'off', hot_standby: 'on',
  });
  await restored.isWriter();
  const recovered = now();
  // Numbers of orders that are gone are on somebody's paper: none is to be given again.
  await restored.query(`SELECT setval('orders.order_numbers', (SELECT last_value FROM orders.order_numbers) + ${NUMBERS_LEFT_OUT})`);
  // What holds on to what is no more: its caches, and what it was about to do.
  await shop.killAll();
  endpoint.pointTo(restored.port);
  await shop.startAll();
  const ready = now();
  const first = await until('an order is accepted again', () => load.firstOrderAfter(recovered), { seconds: Math.max(limit, 60) });
  await load.goesOn(Math.min(seconds, 3));
  await load.stop();

  const before = load.orders.filter(({ at }) => at < momentFrom);
  const between = load.orders.filter(({ sentAt, at }) => sentAt > momentTo && at < struck);
  report.line('orders acknowledged', `${before.length} before the moment, ${between.length} from it until the disaster, ${load.orders.filter(({ at }) => at > recovered).length} after the recovery`,
    { before: before.length, between: between.length });
  report.time('base backup', backupTook, 'backup', ' under load');
  report.time('recovery', recovered - recoveryBegan, 'recovery', ` to ${moment}`);
  report.time('shop started', ready - recovered, 'started');
  report.rto(first.at - struck, limit, 'from the disaster to the first order that was acknowledged');
  report.time('moment before', momentToStrike, 'moment', ` the disaster: what ${between.length} orders of that time were told is gone, as it was meant`);
  report.time('archive behind', behind, 'behind', ', which a restore to the last moment there is would lose');
  report.rpo(await load.missing(before), before.length);
  const gone = await load.missing(between);
  if (gone.length < between.length) report.wrong.push(`${between.length - gone.length} orders of after the moment are there`);
  report.line('orders of after the moment', `${between.length - gone.length} of ${between.length} are there, as none should be`);
  const names = load.orders.map(({ name }) => name);
  const twice = names.filter((name, place) => names.indexOf(name) < place);
  if (twice.length) report.wrong.push(`${twice.length} numbers of orders were given twice, the first: ${twice[0]}`);
  report.verify(await restored.settles(), await shop.verify());
  // Carts of after the moment are gone with it.
  report.answers(load.wrong.filter(({ at }) => at < struck));
  load.close();
  return report;
}
