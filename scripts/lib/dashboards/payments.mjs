// What became of payments, and of the money.

import { better, dashboard, panel, quantile, row, share, shop, stat, worse } from './panels.mjs';

const outcomes = (which) => `eshopz_payments_total{${shop},outcome=~"${which}"}`;
const money = (direction) => `eshopz_payment_revenue_minor_total{${shop},direction="${direction}"}`;
const moved = (direction, range) => `sum by (currency) (increase(${money(direction)}[${range}]))`;
// What has not been refunded yet has no series.
const net = (range) => `${moved('captured', range)} - (${moved('refunded', range)} or ${moved('captured', range)} * 0)`;
const minor = 'In minor units of the currency, such as cents.';
const webhooks = `${shop},route="/api/v1/payments/webhooks/{gateway}"`;
const duration = 'eshopz_http_request_duration_seconds';
const asking = `${shop},method="POST",route=~"/api/v1/payments/[{]id[}]/(confirm|capture|refunds)"`;

export default dashboard({
  uid: 'payments',
  title: 'Payments',
  description: 'What became of payments, and of the money.',
  from: 'now-6h',
  parts: [
    row('In the time that is shown'),
    stat('Captured', `Money that came in. ${minor}`, 'short', moved('captured', '$__range'), { decimals: 0 }),
    stat('Refunded',
      `Money that went back. ${minor}`, 'short',
      moved('refunded', '$__range'), { decimals: 0, none: 'none' }),
    stat('Kept',
      `What came in without what went back. ${minor}`, 'short',
      net('$__range'), { decimals: 0, signed: true }),
    stat('Attempts that succeeded',
      'Of the attempts that have an answer.', 'percentunit',
      share(`increase(${outcomes('succeeded')}[$__range])`, `increase(${outcomes('succeeded|failed')}[$__range])`), { thresholds: better(0.7, 0.9), none: 'no attempts' }),
    stat('Unanswered',
      'Attempts that the gateway did not answer in time. What became of them is asked for later.', 'short',
      `sum(increase(${outcomes('unanswered')}[$__range])) or vector(0)`, { decimals: 0, thresholds: worse(1, 10) }),
    stat('Parked webhooks',
      'Events of the gateway that wait for a payment which is not known yet.', 'short',
      `max(eshopz_payment_webhooks_parked{${shop}})`, { thresholds: worse(1, 20) }),
    row('Outcomes'),
    panel('Outcomes',
      'Per minute. `surplus` is money that came twice, `release_broken` an authorisation that the gateway would not release: both want a look.', 'short', [
      [`sum by (outcome) (rate(eshopz_payments_total{${shop}}[$__rate_interval])) * 60`, '{{outcome}}'],
    ], { width: 12, stacked: true }),
    panel('Why attempts fail',
      'Failed attempts and refunds per minute, by the reason that the gateway gives.', 'short', [
      [`sum by (outcome, reason) (rate(${outcomes('failed|refund_failed')}[$__rate_interval])) * 60`, '{{outcome}}: {{reason}}'],
    ], { width: 12, stacked: true, none: 'none failed' }),
    panel('Attempts that succeeded', 'Of the attempts that have an answer, over the hour before.', 'percentunit', [
      [share(`increase(${outcomes('succeeded')}[1h])`, `increase(${outcomes('succeeded|failed')}[1h])`), 'succeeded'],
    ], { width: 12, max: 1, thresholds: better(0.7, 0.9) }),
    panel('Orders and payments',
      'Per minute. Payments that succeed while no order becomes paid are a relay or a listener that stands still.', 'short', [
      [`sum(rate(${outcomes('succeeded')}[$__rate_interval])) * 60 or vector(0)`, 'payments that succeeded'],
      [`sum(rate(eshopz_orders_total{${shop},status="paid"}[$__rate_interval])) * 60`, 'orders that became paid'],
    ], { width: 12 }),
    row('Money'),
    panel('Captured', `Per hour, by currency. ${minor}`, 'short', [
      [moved('captured', '1h'), '{{currency}}'],
    ]),
    panel('Refunded', `Per hour, by currency. ${minor}`, 'short', [
      [moved('refunded', '1h'), '{{currency}}'],
    ], { none: 'none' }),
    panel('Kept', `What came in without what went back, per hour, by currency. ${minor}`, 'short', [
      [net('1h'), '{{currency}}'],
    ], { signed: true }),
    row('The gateway'),
    panel('Time of what asks the gateway',
      'Answers of confirm, capture and refund: the time of the gateway, and what the shop does besides. Payments that are made with an order are in the time of the checkout.', 's', [
      [quantile(0.5, duration, ['route'], asking), 'p50 {{route}}'],
      [quantile(0.99, duration, ['route'], asking), 'p99 {{route}}'],
    ], { width: 12, thresholds: worse(2, 5) }),
    panel('No answer', 'Attempts per minute that the gateway did not answer in time.', 'short', [
      [`sum(rate(${outcomes('unanswered')}[$__rate_interval])) * 60 or vector(0)`, 'unanswered'],
    ], { width: 12, thresholds: worse(1, 5) }),
    panel('Webhooks',
      'Answers to the gateway per minute: 4xx are signatures that are not right, 5xx it sends again.', 'short', [
      [`sum by (status) (rate(eshopz_http_responses_total{${webhooks}}[$__rate_interval])) * 60`, '{{status}}'],
    ], { stacked: true, none: 'none came' }),
    panel('Parked webhooks',
      'Events of the gateway that wait for a payment which is not known yet, as the job that looks after them saw it last.', 'short', [
      [`max(eshopz_payment_webhooks_parked{${shop}})`, 'parked'],
    ], { thresholds: worse(1, 20) }),
    panel('Asking again',
      'Runs per minute of the jobs that look after payments: what is open is asked for, old webhooks are removed.', 'short', [
      [`sum by (exported_job, outcome) (rate(eshopz_job_runs_total{${shop},module="payment"}[$__rate_interval])) * 60`, '{{exported_job}} {{outcome}}'],
    ]),
  ],
});
