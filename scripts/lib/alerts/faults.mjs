// For each alert a fault that fires it. A scene is a shop, or what stands for one, with the faults that are made there.
//
// An alert has
//   fault   what is done;
//   how     `real`: real processes fail as they would; `staged`: they are real, and something is put forward by hand, such as time
//           that has passed; `played`: the exporter is not to be had in Debian, and a server tells its figures;
//   due     seconds from the fault to the alert, by the rule: its `for`, and of its window as much as the fault has to fill;
//   own     seconds that the program takes by itself, which no factor divides;
//   match   labels by which the alert is known to be of this fault;
//   factor  by how much time is divided in a run without options: what would take longer than some twelve minutes;
//   history seconds of health before the fault that the rule compares with;
//   ends    true where it is soon over once the fault is mended.

import { createHmac } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { sleep, until, Visitors } from './stage.mjs';

const HOUR = 3600;
const DAY = 24 * HOUR;
/** What takes more than some twelve minutes by the rules is seen at this speed, and what takes a day at that. */
const FAST = 60;
const FASTEST = 600;

/** A purchase again and again, often enough for the least numbers of the rules. */
const sales = (shop, method, factor) => shop.stage.every(Math.min(1, 40 / factor), () => shop.buy(method));

function webhook(shop, event) {
  const [body, seconds] = [JSON.stringify(event), Math.floor(Date.now() / 1000)];
  const tag = createHmac('sha256', 'whsec_sandbox').update(`${seconds}.${body}`).digest('hex');
  return shop.send('POST', '/api/v1/payments/webhooks/sandbox', body, { 'sandbox-signature': `t=${seconds},v1=${tag}` });
}

/** The three of an error budget, whose windows are longer than a run: what was before counts as far as it was seen. */
const budget = (kind, fault) => ['Fast', 'Steady', 'Slow'].map((speed, i) => ({
  name: `Eshopz${kind}Budget${speed}`, fault: i ? 'the same' : fault, how: 'real', due: 60, own: 12,
  match: { namespace: kind === 'ApiError' ? 'away' : 'slow' },
}));

export const scenes = [
  {
    name: 'away',
    needs: ['postgres-exporter'],
    alerts: [
      ...budget('ApiError', 'PostgreSQL is killed (SIGKILL of the postmaster); carts are asked for twice a second'),
      { name: 'EshopzDatabaseAway', fault: 'the same', how: 'real', due: 135, own: 6, match: { namespace: 'away' }, ends: true },
    ],
    async set(stage) {
      const server = await stage.postgres('away', { from: await stage.main() });
      const shop = await stage.shop('away', { url: server.url('template_shop') });
      await stage.postgresExporter('away', server, 'away');
      stage.every(0.5, () => shop.ask('POST', '/api/v1/carts'));
      return { server };
    },
    async strike({ server }, { mark }) {
      server.part.child.kill('SIGKILL');
      mark(...this.alerts.map(({ name }) => name));
    },
    async mend({ server }) {
      // The children of one that was killed keep its memory for a moment.
      await sleep(2);
      server.part = await server.start();
    },
  },
  {
    name: 'slow',
    needs: [],
    alerts: budget('ApiLatency', 'the table of carts is locked for nine tenths of each second'),
    async set(stage) {
      const shop = await stage.shop('slow', { url: await stage.database('slow') });
      stage.every(0.2, () => shop.ask('POST', '/api/v1/carts'));
      return { stage, shop };
    },
    async strike(scene, { mark }) {
      const { stage, shop } = scene;
      scene.lock = stage.session(shop.url, `DO $$ BEGIN LOOP
        LOCK TABLE carts.carts IN ACCESS EXCLUSIVE MODE; PERFORM pg_sleep(0.9); COMMIT; PERFORM pg_sleep(0.1);
      END LOOP; END $$`);
      mark(...this.alerts.map(({ name }) => name));
    },
    async mend({ lock }) {
      await lock.release();
    },
  },
  {
    name: 'pool',
    needs: [],
    alerts: [
      { name: 'EshopzPoolExhausted', fault: 'the table of carts is locked, twenty customers at a time ask for one',
        how: 'real', due: 150, own: 6,
        match: { namespace: 'pool', module: 'cart' } },
      { name: 'EshopzPoolWaiting', fault: 'the same', how: 'real', due: 750, own: 6, match: { namespace: 'pool', module: 'cart' } },
    ],
    async set(stage, { factor }) {
      // Where time is short, nobody waits five seconds.
      const settings = factor === 1 ? {} : { ESHOPZ_DATABASE_WAIT_MS: '1000' };
      const shop = await stage.shop('pool', { url: await stage.database('pool'), settings });
      await shop.send('POST', '/api/v1/carts');
      return { stage, shop };
    },
    async strike(scene, { mark }) {
      const { stage, shop } = scene;
      scene.lock = stage.session(shop.url, 'BEGIN; LOCK TABLE carts.carts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(7200)');
      mark('EshopzPoolExhausted', 'EshopzPoolWaiting');
      scene.customers = Array.from({ length: 20 }, () => stage.again(0.05, () => shop.ask('POST', '/api/v1/carts')));
    },
    async mend({ customers, lock }) {
      customers.forEach((customer) => customer.stop());
      await lock.release();
    },
  },
  {
    name: 'declined',
    needs: [],
    alerts: [
      { name: 'EshopzPaymentsDeclined', fault: 'every card is declined (`pm_card_chargeDeclined`)', how: 'real', due: 1200,
        match: { namespace: 'declined' }, factor: FAST, history: 2100 },
      { name: 'EshopzRevenueStopped', fault: 'the same', how: 'real', due: 2160, match: { namespace: 'declined' }, factor: FAST,
        history: 900 },
    ],
    async set(stage, { factor }) {
      const shop = await stage.shop('declined', { url: await stage.database('declined') });
      await shop.shirt();
      return { shop, factor, sales: sales(shop, 'pm_card_visa', factor) };
    },
    async strike(scene, { mark }) {
      scene.sales.stop();
      scene.sales = sales(scene.shop, 'pm_card_chargeDeclined', scene.factor);
      mark('EshopzPaymentsDeclined', 'EshopzRevenueStopped');
    },
    async mend(scene) {
      scene.sales.stop();
    },
  },
  {
    name: 'gateway',
    needs: [],
    alerts: [
      { name: 'EshopzPaymentGatewayFailing', fault: 'the gateway answers no attempt any more (`pm_sandbox_timeout`)',
        how: 'real', due: 360,
        match: { namespace: 'gateway' } },
      { name: 'EshopzPaymentGatewayUnreliable', fault: 'the same',
        how: 'real', due: 1500, match: { namespace: 'gateway' }, factor: FAST },
      { name: 'EshopzRefundsFailing', fault: 'the gateway refuses a refund (paid with `pm_card_refundFail`)',
        how: 'real', due: 15, own: 3,
        match: { namespace: 'gateway', outcome: 'refund_failed' } },
      { name: 'EshopzWebhooksParked', fault: 'the gateway tells of a payment that nobody knows (a signed webhook)',
        how: 'real', due: 1815,
        own: 12, match: { namespace: 'gateway' }, factor: FAST },
    ],
    async set(stage, { factor }) {
      const shop = await stage.shop('gateway', { url: await stage.database('gateway'), settings: { ESHOPZ_GATEWAY_TIMEOUT_MS: '500' } });
      await shop.shirt();
      const { body: bought } = await shop.buy('pm_card_refundFail');
      return { shop, factor, payment: bought.payment.id, admin: await shop.admin(), sales: sales(shop, 'pm_card_visa', factor) };
    },
    async strike(scene, { mark }) {
      const { shop, factor, admin, payment } = scene;
      scene.sales.stop();
      scene.sales = sales(shop, 'pm_sandbox_timeout', factor);
      mark('EshopzPaymentGatewayFailing', 'EshopzPaymentGatewayUnreliable');
      await webhook(shop, { id: 'evt_nobody', type: 'payment_intent.succeeded', data: { object: {
        id: 'sbx_ch_nobody', amount: 100, amount_received: 100, metadata: { payment_id: '01900000-0000-7000-8000-000000000001' } } } });
      mark('EshopzWebhooksParked');
      mark('EshopzRefundsFailing');
      await shop.ask('POST', `/api/v1/payments/${payment}/refunds`, { reason: 'returned' }, { ...admin, 'idempotency-key': 'refund' });
    },
    async mend(scene) {
      scene.sales.stop();
    },
  },
  {
    name: 'split',
    needs: ['redis'],
    alerts: [
      { name: 'EshopzRedisAway', fault: 'Redis is killed',
        how: 'real', due: 300, own: 3, match: { namespace: 'split' }, ends: true },
      { name: 'EshopzBreakerOpen', fault: 'of five processes that of the carts is frozen (SIGSTOP), orders are tried',
        how: 'real', due: 75, own: 10,
        match: { namespace: 'split', neighbour: 'cart' }, ends: true },
      { name: 'EshopzDown', fault: 'the same',
        how: 'real', due: 135, own: 10, match: { namespace: 'split', app: 'eshopz-cart' }, ends: true },
      { name: 'EshopzProcessDown', fault: 'the same',
        how: 'real', due: 315, own: 10, match: { namespace: 'split', app: 'eshopz-cart' }, ends: true },
      { name: 'EshopzOutboxLag', fault: 'the same: the relay cannot tell the carts of accounts that are deleted',
        how: 'real', due: 735, own: 12,
        match: { namespace: 'split', module: 'user' } },
      { name: 'EshopzOutboxStuck', fault: 'the same, 110 accounts',
        how: 'real', due: 615, own: 12, match: { namespace: 'split', module: 'user' } },
    ],
    async set(stage, { wanted }) {
      const url = await stage.database('split');
      const redis = await stage.redis('split');
      const modules = ['user', 'product', 'cart', 'payment', 'order'];
      const ports = {};
      for (const module of modules) ports[module] = await stage.freePort();
      const settings = { ESHOPZ_REDIS_URL: `redis://127.0.0.1:${redis.port}` };
      for (const module of modules) settings[`ESHOPZ_${module.toUpperCase()}_URL`] = `http://127.0.0.1:${ports[module] + 1000}`;
      const shops = Object.fromEntries(await Promise.all(modules.map(async (module) => [module, await stage.shop(`split-${module}`, {
        url, namespace: 'split', app: `eshopz-${module}`, modules: module, settings, ports: { port: ports[module] },
      })])));
      const { user, order, cart } = shops;
      user.bases = Object.fromEntries(modules.map((module) => [module, shops[module].base]));
      const customers = [];
      const many = wanted.has('EshopzOutboxStuck') ? 110 : wanted.has('EshopzOutboxLag') ? 5 : 0;
      while (customers.length < many) customers.push(await user.customer());
      return { stage, redis, user, order, cart, customers };
    },
    async strike(scene, { mark }) {
      const { stage, redis, user, order, cart, customers } = scene;
      redis.child.kill('SIGKILL');
      mark('EshopzRedisAway');
      cart.kill('SIGSTOP');
      mark('EshopzBreakerOpen', 'EshopzDown', 'EshopzProcessDown');
      scene.tries = stage.every(1, () => order.ask('POST', '/api/v1/orders', {
        cart_id: '01900000-0000-7000-8000-000000000001', email: 'ada@example.com',
        shipping_address: { name: 'Ada', line1: '12 St James Square', city: 'London', postal_code: 'SW1Y 4JH', country: 'GB' },
      }, { 'x-cart-token': 'none', 'idempotency-key': String(Math.random()) }));
      mark('EshopzOutboxLag', 'EshopzOutboxStuck');
      for (const customer of customers) await user.ask('DELETE', '/api/v1/users/me', undefined, customer).catch(() => {});
    },
    async mend({ stage, redis, cart, tries }) {
      cart.kill('SIGCONT');
      await stage.partner('redis-again', 'redis-server', redis.port, ['--port', String(redis.port), '--bind', '127.0.0.1', '--save', '']);
      // Somebody has to try for a breaker to close.
      setTimeout(() => tries.stop(), 60_000).unref();
    },
  },
  {
    name: 'books',
    needs: ['pushgateway'],
    alerts: [
      { name: 'EshopzStockDrift',
        fault: 'one more of a shirt is on hand by an UPDATE; `eshopz verify --metrics` finds it and is pushed',
        how: 'real',
        due: 30, own: 3, match: { namespace: 'books', rule: 'stock_ledger' }, ends: true },
      { name: 'EshopzBooksDoNotBalance',
        fault: 'what was told of an order is deleted from the outbox; found and pushed in the same way',
        how: 'real',
        due: 30, own: 3, match: { namespace: 'books', rule: 'order_events' } },
      { name: 'EshopzVerifyOverdue', fault: 'after one push there is no other',
        how: 'real', due: 26 * HOUR + 15, match: { namespace: 'overdue' },
        factor: FASTEST },
      { name: 'EshopzLettersGivenUp', fault: 'the mail server is away, and by an UPDATE a letter is four days old',
        how: 'staged', due: 15, own: 65,
        match: { namespace: 'books' } },
      { name: 'EshopzDeadLetters', fault: 'a listener fails (its table is renamed), and by an UPDATE eleven of its twelve attempts are over',
        how: 'staged', due: 75, own: 20, match: { namespace: 'books', module: 'user' } },
      { name: 'EshopzJobFailing', fault: 'a table that the job `reconcile` needs is renamed', how: 'real', due: 15, own: 40,
        match: { namespace: 'books', exported_job: 'reconcile' } },
      { name: 'EshopzJobNotRunning', fault: 'the lease of the job `order.expire_unpaid` is held by nobody who works',
        how: 'real', due: 1215, own: 10,
        match: { namespace: 'books', exported_job: 'order.expire_unpaid' }, factor: FAST },
    ],
    async set(stage) {
      const shop = await stage.shop('books', { url: await stage.database('books'), settings: {
        ESHOPZ_SMTP_URL: 'smtp://127.0.0.1:9', ESHOPZ_MAIL_FROM: 'Shop <shop@example.com>' } });
      await shop.shirt();
      await shop.buy();
      const customer = await shop.customer();
      const untold = 'SELECT count(*) FROM orders.outbox WHERE remaining IS DISTINCT FROM 0';
      await until('the books are quiet', async () => await shop.sql(untold) === '0', 30);
      await stage.verify(shop, 'books');
      return { stage, shop, customer };
    },
    async strike({ stage, shop, customer }, { mark, wants }) {
      if (wants('EshopzStockDrift', 'EshopzBooksDoNotBalance')) {
        await shop.sql(`UPDATE products.stock_levels SET on_hand = on_hand + 1 WHERE variant_id = '${shop.variant}'`);
        await shop.sql("DELETE FROM orders.outbox WHERE name = 'order.placed.v1'");
        mark('EshopzStockDrift', 'EshopzBooksDoNotBalance');
        await stage.verify(shop, 'books');
      }
      await stage.verify(shop, 'overdue');
      mark('EshopzVerifyOverdue');
      await shop.sql("UPDATE users.letters SET created_at = now() - interval '4 days', available_at = now()");
      mark('EshopzLettersGivenUp');
      await shop.sql('ALTER TABLE payments.webhook_events RENAME TO webhook_events_gone');
      mark('EshopzJobFailing');
      await shop.sql(`UPDATE orders.leases SET holder = gen_random_uuid(), until = now() + interval '2 days'
        WHERE name = 'order.expire_unpaid'`);
      mark('EshopzJobNotRunning');
      if (!wants('EshopzDeadLetters')) return;
      await shop.sql('ALTER TABLE carts.carts RENAME TO carts_gone');
      await shop.send('DELETE', '/api/v1/users/me', undefined, customer);
      const delivery = "users.outbox_deliveries WHERE listener = 'cart.forget_customer' AND attempts > 0";
      await until('the listener has failed', async () => await shop.sql(`SELECT count(*) FROM ${delivery}`) === '1', 30);
      await shop.sql(`UPDATE users.outbox_deliveries SET attempts = 11, available_at = now() WHERE listener = 'cart.forget_customer'`);
      mark('EshopzDeadLetters');
    },
    async mend({ stage, shop }, { wants }) {
      if (wants('EshopzDeadLetters')) await shop.sql('ALTER TABLE carts.carts_gone RENAME TO carts');
      await shop.sql('ALTER TABLE payments.webhook_events_gone RENAME TO webhook_events');
      await shop.sql(`UPDATE orders.leases SET until = now() WHERE name = 'order.expire_unpaid'`);
      await shop.sql(`UPDATE products.stock_levels SET on_hand = on_hand - 1 WHERE variant_id = '${shop.variant}'`);
      await stage.verify(shop, 'books');
    },
  },
  {
    name: 'replica',
    needs: ['postgres-exporter'],
    alerts: [
      { name: 'EshopzDatabaseConnectionsHigh', fault: '22 of 25 connections of a PostgreSQL are opened', how: 'real', due: 615,
        match: { namespace: 'replica' }, ends: true },
      { name: 'EshopzReplicaLag', fault: 'a standby stops to replay (`pg_wal_replay_pause()`) while its primary is written to',
        how: 'real', due: 640,
        match: { namespace: 'standby' }, ends: true },
    ],
    async set(stage) {
      const settings = { max_connections: 25, superuser_reserved_connections: 1 };
      const primary = await stage.postgres('primary', { from: await stage.main(), settings });
      const standby = await stage.postgres('standby', { from: primary, standby: true, settings });
      await stage.postgresExporter('primary', primary, 'replica');
      await stage.postgresExporter('standby', standby, 'standby');
      const writes = stage.session(primary.url('postgres'),
        'DO $$ BEGIN LOOP PERFORM txid_current(); COMMIT; PERFORM pg_sleep(0.2); END LOOP; END $$');
      return { stage, primary, standby, writes };
    },
    async strike(scene, { mark }) {
      const { stage, primary, standby } = scene;
      scene.open = Array.from({ length: 20 }, () => stage.session(primary.url('postgres'), 'SELECT pg_sleep(7200)'));
      mark('EshopzDatabaseConnectionsHigh');
      await stage.sql(standby.url('postgres'), 'SELECT pg_wal_replay_pause()');
      mark('EshopzReplicaLag');
    },
    async mend({ stage, open, standby }) {
      open.forEach((session) => session.child.kill('SIGKILL'));
      await stage.sql(standby.url('postgres'), 'SELECT pg_wal_replay_resume()');
      for (const session of open) await session.release();
    },
  },
  {
    name: 'edge',
    needs: ['blackbox'],
    alerts: [
      { name: 'EshopzCertificateExpiring', fault: 'the certificate of the shop is replaced by one for a day',
        how: 'real', due: 630, own: 70,
        match: { namespace: 'edge' }, ends: true },
      { name: 'EshopzCertificateLastDays', fault: 'the same',
        how: 'real', due: 630, own: 70, match: { namespace: 'edge' }, ends: true },
    ],
    async set(stage) {
      const good = await stage.certificate('good', 90);
      const short = await stage.certificate('short', 1);
      const used = { certificate: join(stage.folder, 'used.pem'), key: join(stage.folder, 'used.key') };
      const use = (of) => { copyFileSync(of.key, used.key); copyFileSync(of.certificate, used.certificate); };
      use(good);
      const shop = await stage.shop('edge', { url: await stage.database('edge'), tls: true, settings: {
        ESHOPZ_TLS_CERTIFICATE: used.certificate, ESHOPZ_TLS_KEY: used.key } });
      await stage.probe(shop, 'edge');
      return { good, short, use };
    },
    async strike({ use, short }, { mark }) {
      use(short);
      mark('EshopzCertificateExpiring', 'EshopzCertificateLastDays');
    },
    async mend({ use, good }) {
      use(good);
    },
  },
  {
    name: 'door',
    needs: ['blackbox'],
    alerts: [
      { name: 'EshopzRestarts', fault: 'a process is killed and started again, three times',
        how: 'real', due: 75, own: 30, match: { namespace: 'door' } },
      { name: 'EshopzUnreachable', fault: 'the process is killed; blackbox_exporter asks by HTTPS', how: 'real', due: 210, own: 8,
        match: { namespace: 'door' }, ends: true },
    ],
    async set(stage) {
      const { certificate, key } = await stage.certificate('door', 90);
      const shop = await stage.shop('door', { url: await stage.database('door'), tls: true, settings: {
        ESHOPZ_TLS_CERTIFICATE: certificate, ESHOPZ_TLS_KEY: key } });
      await stage.probe(shop, 'door');
      return { stage, shop };
    },
    async strike({ stage, shop }, { mark, wants, tick }) {
      if (wants('EshopzRestarts')) {
        mark('EshopzRestarts');
        for (let round = 0; round < 3; round += 1) {
          await stage.end(shop.part, 'SIGKILL');
          await shop.launch();
          // Prometheus has to see each.
          await sleep(tick('EshopzRestarts') * 1.1 + 1);
        }
      }
      await stage.end(shop.part, 'SIGKILL');
      mark('EshopzUnreachable');
    },
    async mend({ shop }) {
      await shop.launch();
    },
  },
  {
    name: 'files',
    needs: ['prlimit'],
    alerts: [
      { name: 'EshopzFileDescriptors', fault: 'a process that may open 180 files has as many customers as it lets in',
        how: 'real', due: 315, own: 5,
        match: { namespace: 'files' }, ends: true },
    ],
    async set(stage) {
      // Few connections to the database, so that it is the customers' that count. What is above 64 of theirs it does not let in.
      const shop = await stage.shop('files', { url: await stage.database('files'), wrap: ['prlimit', '--nofile=180'], settings: {
        ESHOPZ_DATABASE_POOL: '2' } });
      return { stage, shop };
    },
    async strike(scene, { mark }) {
      const { stage, shop } = scene;
      scene.visitors = new Visitors(shop.port, '/.well-known/jwks.json');
      mark('EshopzFileDescriptors');
      scene.again = stage.again(1, () => scene.visitors.round(62));
    },
    async mend({ again, visitors }) {
      again.stop();
      await again.ended;
      visitors.stop();
    },
  },
  {
    name: 'memory',
    needs: [],
    alerts: [
      { name: 'EshopzMemory', fault: 'the limit of a process becomes what it has and a twentieth more',
        how: 'played', of: 'kube-state-metrics, of the limit; the memory is real',
        due: 615, match: { namespace: 'memory' }, ends: true },
    ],
    async set(stage) {
      const shop = await stage.shop('memory', { url: await stage.database('memory') });
      const scene = { shop, limit: 4 * 2 ** 30 };
      const of = 'namespace="memory",pod="memory",container="eshopz",resource="memory",unit="byte"';
      await stage.play('state', () => `kube_pod_container_resource_limits{${of}} ${scene.limit}\n`);
      return scene;
    },
    async strike(scene, { mark }) {
      const text = await (await fetch(`http://127.0.0.1:${scene.shop.port + 6000}/metrics`)).text();
      scene.limit = Number(/^process_resident_memory_bytes\S* (\S+)$/m.exec(text)[1]) * 1.05;
      mark('EshopzMemory');
    },
    async mend(scene) {
      scene.limit *= 4;
    },
  },
  {
    name: 'signin',
    needs: [],
    alerts: [
      { name: 'EshopzPasswordHashesRefused', fault: '400 customers register at the same moment',
        how: 'real', due: 330, own: 10, match: { namespace: 'signin' } },
      { name: 'EshopzPasswordHashesWaiting', fault: 'customers register, sixty at any time',
        how: 'real', due: 800, own: 10, match: { namespace: 'signin' },
        factor: FAST },
    ],
    async set(stage) {
      // With what a password costs in production; and it yields to everybody else on this machine.
      const shop = await stage.shop('signin', { url: await stage.database('signin'), wrap: ['nice', '-n', '5'], settings: {
        ESHOPZ_ARGON2_MEMORY_KIB: undefined, ESHOPZ_ARGON2_ITERATIONS: undefined,
        ESHOPZ_REGISTRATIONS_PER_ADDRESS: '1000000' } });
      return { stage, shop };
    },
    async strike(scene, { mark, wants }) {
      const { stage, shop } = scene;
      const register = () => {
        shop.count += 1;
        const email = `grace-${shop.count}@example.com`;
        return shop.ask('POST', '/api/v1/users', { email, password: 'a long walk by the sea', full_name: 'Grace Hopper' });
      };
      if (wants('EshopzPasswordHashesRefused')) {
        mark('EshopzPasswordHashesRefused');
        await Promise.all(Array.from({ length: 400 }, () => register().catch(() => {})));
      }
      if (!wants('EshopzPasswordHashesWaiting')) return;
      mark('EshopzPasswordHashesWaiting');
      scene.flood = Array.from({ length: 60 }, () => stage.again(0.01, register));
    },
    // A flood costs a processor: it lasts no longer than it must.
    fired({ flood }, name) {
      if (name === 'EshopzPasswordHashesWaiting') flood?.forEach((agent) => agent.stop());
    },
    async mend({ flood }) {
      flood?.forEach((agent) => agent.stop());
    },
  },
  {
    name: 'aws',
    needs: ['moto'],
    alerts: [
      { name: 'EshopzQueueDeadLetters', fault: 'a message is in the queue of dead letters of the orders (SQS as moto plays it)',
        how: 'staged', due: 75,
        own: 45, match: { namespace: 'aws', module: 'order' }, ends: true },
      { name: 'EshopzQueueWaiting', fault: 'tables of the orders are locked, 1,200 messages come (SQS as moto plays it)',
        how: 'real', due: 915, own: 60,
        match: { namespace: 'aws', module: 'order' }, factor: FAST },
      { name: 'EshopzSecretsUnreadable', fault: 'the secret is deleted (Secrets Manager as moto plays it)',
        how: 'real', due: 2115, own: 5,
        match: { namespace: 'aws' }, factor: FAST },
    ],
    async set(stage, { factor }) {
      const url = await stage.database('aws');
      const { env } = await stage.aws();
      await stage.call('secretsmanager', 'CreateSecret', { Name: 'shop', SecretString: JSON.stringify({ database_url: url }) });
      const settings = { ...env, ESHOPZ_EVENTS: 'sns' };
      const once = { ...settings, ESHOPZ_DATABASE_URL: url, ESHOPZ_DATA_DIR: join(stage.folder, 'setup') };
      await stage.run(stage.program, ['events', 'setup'], { env: once });
      const shop = await stage.shop('aws', { url, settings: {
        ...settings, ESHOPZ_DATABASE_URL: undefined, ESHOPZ_SECRETS: 'aws:shop',
        ESHOPZ_SECRETS_REFRESH_SECONDS: String(Math.max(1, Math.round(60 / factor))) } });
      const queue = async (name) => (await stage.call('sqs', 'GetQueueUrl', { QueueName: name })).QueueUrl;
      return { stage, shop, queue: await queue('eshopz-order-listeners'), dead: await queue('eshopz-order-listeners-dead') };
    },
    async strike(scene, { mark, wants }) {
      const { stage, shop, queue, dead } = scene;
      await stage.call('secretsmanager', 'DeleteSecret', { SecretId: 'shop', ForceDeleteWithoutRecovery: true });
      mark('EshopzSecretsUnreadable');
      await stage.call('sqs', 'SendMessage', { QueueUrl: dead, MessageBody: '{"an event": "that nobody could take in"}' });
      mark('EshopzQueueDeadLetters');
      if (!wants('EshopzQueueWaiting')) return;
      // Of a real message as many as nobody can take in at once: a queue of ours hears what the orders hear.
      const spy = (await stage.call('sqs', 'CreateQueue', { QueueName: 'spy' })).QueueUrl;
      const topics = await stage.call('sns', 'ListTopics', {});
      const [topic] = topics.match(/arn:aws:sns:[^<"]*user[^<"]*/);
      await stage.call('sns', 'Subscribe', { TopicArn: topic, Protocol: 'sqs', Endpoint: 'arn:aws:sqs:eu-central-1:123456789012:spy',
        'Attributes.entry.1.key': 'RawMessageDelivery', 'Attributes.entry.1.value': 'true' });
      scene.lock = stage.session(shop.url, 'BEGIN; LOCK TABLE orders.inbox, orders.orders IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(7200)');
      await shop.send('DELETE', '/api/v1/users/me', undefined, await shop.customer());
      let message;
      await until('the orders are told', async () => {
        const { Messages: [found] = [] } = await stage.call('sqs', 'ReceiveMessage', { QueueUrl: spy, MessageAttributeNames: ['All'] });
        // That somebody has registered is told as well, and nobody listens to it.
        message = JSON.stringify(found ?? '').includes('user.deleted') ? found : null;
        return message;
      }, 30);
      mark('EshopzQueueWaiting');
      for (let batch = 0; batch < 120; batch += 1) {
        const entry = { MessageBody: message.Body, MessageAttributes: message.MessageAttributes };
        const Entries = Array.from({ length: 10 }, (_, i) => ({ Id: String(i), ...entry }));
        await stage.call('sqs', 'SendMessageBatch', { QueueUrl: queue, Entries });
      }
    },
    async mend({ stage, lock, queue, dead }) {
      await stage.call('sqs', 'PurgeQueue', { QueueUrl: queue });
      await stage.call('sqs', 'PurgeQueue', { QueueUrl: dead });
      await lock?.release();
    },
  },
  {
    name: 'played',
    needs: [],
    alerts: [
      { name: 'EshopzDatabaseDiskFilling', fault: 'of the volume of PostgreSQL 4 % are left',
        how: 'played', of: 'the kubelet', due: 930,
        match: { namespace: 'played' }, factor: FAST },
      { name: 'EshopzAuroraLocalStorageLow', fault: 'Aurora has 4 GB of local storage',
        how: 'played', of: 'cloudwatch_exporter', due: 975,
        match: { namespace: 'played' }, factor: FAST },
      { name: 'EshopzAuroraVolumeGrowing', fault: 'Aurora\'s volume grows by 30 TB a day',
        how: 'played', of: 'cloudwatch_exporter', due: 6000,
        match: { namespace: 'played' }, factor: FAST, history: 900 },
    ],
    async set(stage, { factor }) {
      const scene = {};
      const of = 'namespace="played",persistentvolumeclaim="data-postgres-0"';
      await stage.play('kubelet', () => `kubelet_volume_stats_capacity_bytes{${of}} 1e11\n`
        + `kubelet_volume_stats_available_bytes{${of}} ${scene.since ? 4e9 : 5e10}\n`);
      await stage.play('cloudwatch', () => {
        const grown = scene.since ? ((Date.now() - scene.since) / 1000) * factor * (30e12 / DAY) : 0;
        return `aws_rds_free_local_storage_average{dbinstance_identifier="shop-1"} ${scene.since ? 4e9 : 3e10}\n`
          + `aws_rds_volume_bytes_used_average{dbcluster_identifier="shop"} ${5e10 + grown}\n`;
      });
      return scene;
    },
    async strike(scene, { mark }) {
      scene.since = Date.now();
      mark(...this.alerts.map(({ name }) => name));
    },
    async mend() {},
  },
  {
    name: 'alone',
    needs: [],
    // A Prometheus of its own: what it does not find, the others do.
    alone: true,
    alerts: [
      { name: 'EshopzAbsent', fault: 'Prometheus finds no process any more', how: 'real', due: 315, match: {} },
      { name: 'EshopzWatchdog', fault: 'Prometheus is killed; what it told last is good until then (the Alertmanager is played)',
        how: 'real', due: 240, match: {} },
    ],
    async set(stage, { prometheus }) {
      const found = join(stage.folder, 'found.json');
      const target = { targets: ['127.0.0.1:1'], labels: { namespace: 'alone', app: 'eshopz' } };
      writeFileSync(found, JSON.stringify([target]));
      const receiver = await stage.alertmanager();
      const watcher = await prometheus({ targets: [{ job: 'eshopz' }], found, receiver });
      return { stage, found, watcher, receiver };
    },
    async strike({ stage, found, watcher, receiver }, { mark, done, wants, fired }) {
      if (wants('EshopzAbsent')) {
        writeFileSync(found, '[]');
        mark('EshopzAbsent');
        await fired('EshopzAbsent');
      }
      if (!wants('EshopzWatchdog')) return;
      await until('the Alertmanager has heard of it', () => receiver.until.has('EshopzWatchdog'), 90);
      await stage.end(watcher.part, 'SIGKILL');
      mark('EshopzWatchdog');
      await sleep(Math.max(0, (receiver.until.get('EshopzWatchdog') - Date.now()) / 1000));
      done('EshopzWatchdog');
    },
    async mend() {},
  },
];

// What is said as `the same` can be said in full.
for (const { alerts } of scenes) {
  alerts.forEach((alert, i) => { alert.base = alert.fault.startsWith('the same') ? alerts[i - 1].base : alert.fault; });
}

export const alertsOf = (only) => scenes.flatMap((scene) => scene.alerts.filter(({ name }) => !only || only.has(name)));
