// What the modules tell each other, the queues between them, and periodic work.

import { dashboard, module, panel, quantile, row, share, stat, worse } from './panels.mjs';

// Where the program says `job`, Prometheus says `exported_job`: its own `job` is the name of a scrape.

// Each process of a module looks at the same outbox.
const outbox = (what) => `max by (namespace, module) (eshopz_outbox_${what}{${module}})`;
const deliveries = (further = '') => `rate(eshopz_event_deliveries_total{${module}${further}}[$__rate_interval])`;

export default dashboard({
  uid: 'events',
  title: 'Events and jobs',
  description: 'What the modules tell each other, the queues between them, and periodic work.',
  choices: ['module'],
  parts: [
    row('Now'),
    stat('Oldest event',
      'How long the oldest event waits that is not delivered to everybody.', 's',
      `max(${outbox('lag_seconds')})`, { thresholds: worse(30, 300), width: 6 }),
    stat('Pending',
      'Events that are not delivered to everybody yet.', 'short',
      `sum(${outbox('pending')})`, { thresholds: worse(100, 1000), width: 6 }),
    stat('Dead letters',
      'Deliveries that were given up. `eshopz events dead` lists them, `eshopz events redrive` sends them again.', 'short',
      `sum(${outbox('dead')})`, { thresholds: worse(1, 10), width: 6 }),
    stat('Deliveries that fail',
      'Of all attempts, those that failed or were given up.', 'percentunit',
      share(deliveries(',outcome=~"failed|dead"'), deliveries()), { thresholds: worse(0.01, 0.1), none: 'no deliveries', width: 6 }),
    row('Outbox'),
    panel('Oldest event',
      'How long the oldest event of a module waits that is not delivered to everybody. Measured every ten seconds.', 's', [
      [outbox('lag_seconds'), '{{module}}'],
    ], { thresholds: worse(30, 300) }),
    panel('Pending', 'Events of a module that are not delivered to everybody yet.', 'short', [
      [outbox('pending'), '{{module}}'],
    ]),
    panel('Dead letters', 'Deliveries of a module that were given up.', 'short', [
      [outbox('dead'), '{{module}}'],
    ], { thresholds: worse(1, 10) }),
    row('Deliveries'),
    panel('Published', 'Events per second that a relay has taken up.', 'short', [
      [`sum by (event) (rate(eshopz_events_published_total{${module}}[$__rate_interval]))`, '{{event}}'],
    ], { stacked: true }),
    panel('Deliveries by outcome',
      'Attempts per second. `away` is a listener whose process does not answer, `postponed` one that somebody else is at work on.', 'short', [
      [`sum by (outcome) (${deliveries()})`, '{{outcome}}'],
    ], { stacked: true }),
    panel('Failures by listener',
      'Of the attempts to deliver to a listener, those that failed or were given up.', 'percentunit', [
      [share(deliveries(',outcome=~"failed|dead"'), deliveries(), ['listener']), '{{listener}}'],
    ], { thresholds: worse(0.01, 0.1) }),
    panel('Time of listeners', '19 of 20 deliveries were done within this time.', 's', [
      [quantile(0.95, 'eshopz_event_handler_duration_seconds', ['listener'], module), '{{listener}}'],
    ], { thresholds: worse(1, 5) }),
    panel('Time of listeners, by event',
      'The ten events and listeners that take longest: 99 of 100 deliveries were done within this time.', 's', [
      [`topk(10, ${quantile(0.99, 'eshopz_event_handler_duration_seconds', ['event', 'listener'], module)})`, '{{event}} → {{listener}}'],
    ], { thresholds: worse(1, 5) }),
    panel('From event to effect',
      'From the transaction that published an event to the end of what a listener did about it.', 's', [
      [quantile(0.5, 'eshopz_events_lag_seconds', ['listener'], module), 'p50 {{listener}}'],
      [quantile(0.99, 'eshopz_events_lag_seconds', ['listener'], module), 'p99 {{listener}}'],
    ], { thresholds: worse(5, 10) }),
    row('Jobs'),
    panel('Runs by outcome', 'Runs of periodic work per minute.', 'short', [
      [`sum by (outcome) (rate(eshopz_job_runs_total{${module}}[$__rate_interval])) * 60`, '{{outcome}}'],
    ], { stacked: true }),
    panel('Jobs that fail', 'Of the runs of a job, those that were not done, over the hour before.', 'percentunit', [
      [share(`increase(eshopz_job_runs_total{${module},outcome!="done"}[1h])`, `increase(eshopz_job_runs_total{${module}}[1h])`, ['exported_job']), '{{exported_job}}'],
    ], { thresholds: worse(0.01, 0.2) }),
    panel('Time of jobs', 'The ten jobs that take longest: 19 of 20 runs were done within this time.', 's', [
      [`topk(10, ${quantile(0.95, 'eshopz_job_duration_seconds', ['exported_job'], module, '10m')})`, '{{exported_job}}'],
    ]),
    panel('Letters', 'Letters per minute, by what became of them: handed to the mail server, or dropped.', 'short', [
      [`sum by (outcome) (rate(eshopz_user_letters_total{${module}}[$__rate_interval])) * 60`, '{{outcome}}'],
    ], { none: 'none' }),
    row('SQS, with ESHOPZ_EVENTS=sns'),
    panel('Waiting messages',
      'Messages in the queue of a module that nobody has received. Measured every half a minute.', 'short', [
      [`max by (module) (eshopz_sqs_waiting{${module}})`, '{{module}}'],
    ], { thresholds: worse(100, 1000), none: 'no queues' }),
    panel('Dead letters of SQS', 'Messages in the queue of dead letters of a module.', 'short', [
      [`max by (module) (eshopz_sqs_dead{${module}})`, '{{module}}'],
    ], { thresholds: worse(1, 10), none: 'no queues' }),
    panel('Messages by outcome', 'Messages per second that were handled.', 'short', [
      [`sum by (outcome) (rate(eshopz_sqs_messages_total{${module}}[$__rate_interval]))`, '{{outcome}}'],
    ], { stacked: true, none: 'no queues' }),
    panel('Time of listeners, by queues', '19 of 20 messages were done within this time.', 's', [
      [quantile(0.95, 'eshopz_sqs_handling_duration_seconds', ['listener'], module), '{{listener}}'],
    ], { thresholds: worse(1, 5), none: 'no queues' }),
  ],
});
