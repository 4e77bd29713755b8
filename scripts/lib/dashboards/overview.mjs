// Whether the shop is well: rate, errors, time and what runs short, by module.

import { dashboard, module, panel, quantile, row, share, shop, stat, worse } from './panels.mjs';

const answers = (further = '') => `rate(eshopz_http_responses_total{${module}${further}}[$__rate_interval])`;
const duration = 'eshopz_http_request_duration_seconds';
const failed = ',status=~"5.."';

const times = [[0.5, 'Half of the answers'], [0.95, '19 of 20 answers'], [0.99, '99 of 100 answers']].map(([q, who]) => panel(
  `Time, p${q * 100}`, `${who} of a module were there within this time, from the head of the request to the head of the answer.`, 's',
  [[quantile(q, duration, ['module'], module), '{{module}}']], { thresholds: q === 0.99 ? worse(0.5, 2) : undefined },
));

export default dashboard({
  uid: 'overview',
  title: 'Overview',
  description: 'Whether the shop is well: rate, errors, time and what runs short, by module.',
  choices: ['edge'],
  parts: [
    row('Now'),
    stat('Processes',
      'Processes of the shop that tell their metrics.', 'short',
      `count(eshopz_build_info{${shop}})`, { thresholds: [['red', null], ['green', 1]] }),
    stat('Requests', 'Answers per second.', 'reqps', `sum(${answers()})`),
    stat('Errors',
      'Of all answers, those with a status of 500 and above.', 'percentunit',
      share(answers(failed), answers()), { thresholds: worse(0.001, 0.01), none: 'no requests' }),
    stat('Time, p99',
      '99 of 100 answers were there within this time.', 's',
      quantile(0.99, duration, [], module), { thresholds: worse(0.5, 2), none: 'no requests' }),
    stat('Oldest event',
      'How long the oldest event waits that is not delivered to everybody.', 's',
      `max(eshopz_outbox_lag_seconds{${shop}})`, { thresholds: worse(30, 300) }),
    stat('Dead letters',
      'Deliveries of events that were given up. `eshopz events dead` lists them.', 'short',
      `sum(max by (namespace, module) (eshopz_outbox_dead{${shop}}))`, { thresholds: worse(1, 10) }),
    row('Rate'),
    panel('Requests',
      'Answers per second, by module. What belongs to no module is the edge: the documents, and what matches no route.', 'reqps', [
      [`sum by (module) (${answers()})`, '{{module}}'],
    ], { width: 12 }),
    panel('Answers by status', 'Answers per second, by their status code.', 'reqps', [
      [`sum by (status) (${answers()})`, '{{status}}'],
    ], { width: 12, stacked: true }),
    row('Errors'),
    panel('Errors', 'Of the answers of a module, those with a status of 500 and above.', 'percentunit', [
      [share(answers(failed), answers(), ['module']), '{{module}}'],
    ], { thresholds: worse(0.001, 0.01) }),
    panel('Refused',
      'Of the answers of a module, those with a status of 400 to 499: mistakes of clients, or a release that broke a client.', 'percentunit', [
      [share(answers(',status=~"4.."'), answers(), ['module']), '{{module}}'],
    ]),
    panel('Errors by route', 'The ten routes with the most answers of 500 and above per second.', 'reqps', [
      [`topk(10, sum by (method, route, status) (${answers(failed)}) > 0)`, '{{method}} {{route}} {{status}}'],
    ], { none: 'no errors' }),
    row('Time'),
    ...times,
    panel('Slowest routes', 'The ten routes with the longest time that 99 of 100 answers keep to.', 's', [
      [`topk(10, ${quantile(0.99, duration, ['module', 'method', 'route'], module)})`, '{{method}} {{route}}'],
    ], { type: 'bargauge', width: 12, height: 10, thresholds: worse(0.5, 2) }),
    panel('Routes that take most of the time',
      'The ten routes on which the shop spends most: seconds of answering per second.', 's', [
      [`topk(10, sum by (method, route) (rate(${duration}_sum{${module}}[$__rate_interval])))`, '{{method}} {{route}}'],
    ], { type: 'bargauge', width: 12, height: 10 }),
    row('What runs short'),
    panel('Database pool',
      'Of the connections that a module may open for writing, those that are lent.', 'percentunit', [
      [`sum by (module) (eshopz_db_pool_connections{${module},pool="writer",state="used"}) / (sum by (module) (eshopz_db_pool_connections_max{${module},pool="writer"}) > 0)`, '{{module}}'],
    ], { max: 1, thresholds: worse(0.8, 1) }),
    panel('Waiting for a connection',
      'Requests and jobs that wait for a connection to the database. More than none for long is a pool that is too small, or a database that is too slow.', 'short', [
      [`sum by (module) (eshopz_db_pool_waiting{${module}})`, '{{module}}'],
    ], { thresholds: worse(1, 10) }),
    panel('Passwords that wait',
      'Passwords that wait for their turn to be hashed. What waits too long is refused with 503.', 'short', [
      [`sum(eshopz_user_hashes_waiting{${shop}})`, 'waiting'],
      [`sum(rate(eshopz_user_hashes_refused_total{${shop}}[$__rate_interval]))`, 'refused per second'],
    ], { thresholds: worse(10, 50) }),
    panel('Processor', 'Processor time that a process takes, per second: 1 is a whole core.', 'short', [
      [`rate(process_cpu_seconds_total{${shop}}[$__rate_interval])`, '{{instance}} {{module}}'],
    ]),
    panel('File descriptors', 'Of the file descriptors that a process may open, those that are open.', 'percentunit', [
      [`process_open_fds{${shop}} / (process_max_fds{${shop}} > 0)`, '{{instance}}'],
    ], { max: 1, thresholds: worse(0.7, 0.9) }),
    panel('Open connections', 'Connections of the public listener.', 'short', [
      [`sum by (instance) (eshopz_http_connections{${shop}})`, '{{instance}}'],
    ]),
  ],
});
