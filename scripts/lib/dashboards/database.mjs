// PostgreSQL as the shop sees it, caches, and Redis.

import { better, dashboard, module, panel, quantile, row, share, shop, stat, worse } from './panels.mjs';

const connections = (further) => `sum(eshopz_db_pool_connections{${module},${further}})`;
const acquired = 'eshopz_db_acquire_duration_seconds';
const statement = 'eshopz_db_statement_duration_seconds';
const looks = (further = '') => `rate(eshopz_cache_requests_total{${module}${further}}[$__rate_interval])`;
const reads = (further = '') => `rate(eshopz_db_reads_total{${module}${further}}[$__rate_interval])`;
const perRequest = (what, labels) => `sum by (${labels}) (rate(eshopz_http_db_${what}_sum{${module}}[$__rate_interval])) / (sum by (${labels}) (rate(eshopz_http_db_${what}_count{${module}}[$__rate_interval])) > 0)`;

export default dashboard({
  uid: 'database',
  title: 'Database and Redis',
  description: 'PostgreSQL as the shop sees it, caches, and Redis.',
  choices: ['edge'],
  parts: [
    row('Now'),
    stat('Pools',
      'Of the connections that may be opened for writing, those that are lent.', 'percentunit',
      `${connections('pool="writer",state="used"')} / (sum(eshopz_db_pool_connections_max{${module},pool="writer"}) > 0)`, { thresholds: worse(0.8, 1) }),
    stat('Waiting',
      'Requests and jobs that wait for a connection.', 'short',
      `sum(eshopz_db_pool_waiting{${module}})`, { thresholds: worse(1, 10) }),
    stat('Statements',
      'Per second, those of jobs and relays included.', 'ops',
      `sum(rate(eshopz_db_statements_total{${module}}[$__rate_interval]))`),
    stat('Commits',
      'Transactions per second that PostgreSQL has to keep.', 'ops',
      `sum(rate(eshopz_db_commits_total{${module}}[$__rate_interval]))`),
    stat('Hits',
      'Looks into caches, in memory and in Redis, that found something.', 'percentunit',
      share(looks(',outcome="hit"'), looks()), { none: 'no looks' }),
    stat('Redis',
      'Whether all processes that are given a Redis reach it. Without it the shop is slower and nothing else.', 'short',
      `min(eshopz_redis_up{${shop}})`, { thresholds: [['red', null], ['green', 1]], mappings: { 0: { text: 'away' }, 1: { text: 'up' } }, none: 'none' }),
    row('Pools'),
    panel('Connections', 'Of all pools for writing: lent, open and idle, and how many there may be.', 'short', [
      [connections('pool="writer",state="used"'), 'used'],
      [connections('pool="writer",state="idle"'), 'idle'],
      [`sum(eshopz_db_pool_connections_max{${module},pool="writer"})`, 'may be open'],
    ]),
    panel('Use of the pools',
      'Of the connections that a pool may open, those that are lent. A reader without a replica has none.', 'percentunit', [
      [`sum by (module, pool) (eshopz_db_pool_connections{${module},state="used"}) / (sum by (module, pool) (eshopz_db_pool_connections_max{${module}}) > 0)`, '{{module}} {{pool}}'],
    ], { max: 1, thresholds: worse(0.8, 1) }),
    panel('Waiting for a connection', 'Requests and jobs that wait for a connection.', 'short', [
      [`sum by (module, pool) (eshopz_db_pool_waiting{${module}})`, '{{module}} {{pool}}'],
    ], { thresholds: worse(1, 10) }),
    panel('Time until a connection is lent, p95',
      '19 of 20 had their connection within this time. Opening one is included, and those who got none.', 's', [
      [quantile(0.95, acquired, ['module', 'pool'], module), '{{module}} {{pool}}'],
    ], { thresholds: worse(0.05, 0.5) }),
    panel('Time until a connection is lent, p99', '99 of 100 had their connection within this time.', 's', [
      [quantile(0.99, acquired, ['module', 'pool'], module), '{{module}} {{pool}}'],
    ], { thresholds: worse(0.1, 1) }),
    panel('No connection', 'Times per second that no connection was to be had: the request was told 503.', 'ops', [
      [`sum by (module, pool) (rate(eshopz_db_acquire_failures_total{${module}}[$__rate_interval]))`, '{{module}} {{pool}}'],
    ], { thresholds: worse(0.01, 1) }),
    row('Statements'),
    panel('Statements', 'Per second, those of jobs and relays included.', 'ops', [
      [`sum by (module) (rate(eshopz_db_statements_total{${module}}[$__rate_interval]))`, '{{module}}'],
    ], { stacked: true }),
    panel('Most frequent statements', 'The ten that are sent most, per second.', 'ops', [
      [`topk(10, sum by (module, statement) (rate(${statement}_count{${module}}[$__rate_interval])))`, '{{module}}: {{statement}}'],
    ]),
    panel('Slowest statements', 'The ten with the longest time that 99 of 100 keep to.', 's', [
      [`topk(10, ${quantile(0.99, statement, ['module', 'statement'], module)})`, '{{module}}: {{statement}}'],
    ], { thresholds: worse(0.1, 1) }),
    panel('Statements that take most of the time',
      'The ten on which PostgreSQL spends most: seconds of answering per second.', 's', [
      [`topk(10, sum by (module, statement) (rate(${statement}_sum{${module}}[$__rate_interval])))`, '{{module}}: {{statement}}'],
    ], { type: 'bargauge', width: 12, height: 10 }),
    panel('Statements of a request', 'On average, of the ten routes with the most.', 'short', [
      [`topk(10, ${perRequest('statements', 'method, route')})`, '{{method}} {{route}}'],
    ], { type: 'bargauge', width: 12, height: 10, decimals: 1 }),
    row('Commits and replicas'),
    panel('Commits', 'Transactions per second that PostgreSQL has to keep.', 'ops', [
      [`sum by (module) (rate(eshopz_db_commits_total{${module}}[$__rate_interval]))`, '{{module}}'],
    ], { stacked: true }),
    panel('Commits of a request', 'On average, by module. Requests that only read are included.', 'short', [
      [perRequest('commits', 'module'), '{{module}}'],
    ], { decimals: 2 }),
    panel('Reads from the replica',
      'Of the reads that a replica may answer, those that it did. Without a replica there are none.', 'percentunit', [
      [share(reads(',from="reader"'), reads(), ['module']), '{{module}}'],
    ], { max: 1 }),
    row('Caches and Redis'),
    panel('Hits',
      'Of the looks into a cache, those that found something: first in the memory of the process, then in Redis.', 'percentunit', [
      [share(looks(',outcome="hit"'), looks(), ['cache', 'level']), '{{cache}} {{level}}'],
    ], { max: 1, thresholds: better(0.2, 0.5) }),
    panel('Looks', 'Per second. `away` is a Redis that does not answer.', 'ops', [
      [`sum by (level, outcome) (${looks()})`, '{{level}} {{outcome}}'],
    ], { stacked: true }),
    panel('Redis', '1 while Redis answers.', 'short', [
      [`min by (instance) (eshopz_redis_up{${shop}})`, '{{instance}}'],
    ], { max: 1, thresholds: [['red', null], ['green', 1]], none: 'none' }),
  ],
});
