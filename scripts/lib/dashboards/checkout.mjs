// The way from a cart to a paid order, and where it is left.

import { better, dashboard, panel, quantile, row, share, shop, stat, worse } from './panels.mjs';

const carts = `eshopz_carts_created_total{${shop}}`;
const lines = `eshopz_http_responses_total{${shop},method="POST",route="/api/v1/carts/{id}/items",status="201"}`;
const placed = `eshopz_orders_total{${shop},status="pending_payment"}`;
const paid = `eshopz_orders_total{${shop},status="paid"}`;
const abandoned = `eshopz_carts_abandoned_total{${shop}}`;
const checkout = `${shop},method="POST",route="/api/v1/orders"`;

const within = (series) => `sum(increase(${series}[$__range]))`;
const perMinute = (series) => `sum(rate(${series}[$__rate_interval])) * 60`;
const hourly = (part, whole) => share(`increase(${part}[1h])`, `increase(${whole}[1h])`);
const wholly = (part, whole) => share(`increase(${part}[$__range])`, `increase(${whole}[$__range])`);

export default dashboard({
  uid: 'checkout',
  title: 'Checkout',
  description: 'The way from a cart to a paid order, and where it is left.',
  from: 'now-6h',
  parts: [
    row('In the time that is shown'),
    panel('From cart to payment',
      'How many there were of each step. Steps of one buyer may lie in different times, so that a later step can be more than an earlier one.', 'short', [
      [within(carts), 'carts made'],
      [`${within(lines)} or vector(0)`, 'lines added'],
      [within(placed), 'orders placed'],
      [within(paid), 'orders paid'],
    ], { type: 'bargauge', width: 12, decimals: 0 }),
    stat('Conversion',
      'Orders that were paid, of the carts that were made.', 'percentunit',
      wholly(paid, carts), { none: 'no carts' }),
    stat('Placed and paid',
      'Orders that were paid, of those that were placed.', 'percentunit',
      wholly(paid, placed), { thresholds: better(0.5, 0.8), none: 'no orders' }),
    stat('Abandoned',
      'Carts that nobody touched until their time was over, of the carts that were made.', 'percentunit',
      wholly(abandoned, carts), { none: 'no carts' }),
    stat('Stock-outs',
      'Checkouts that failed for want of stock.', 'short',
      within(`eshopz_stockouts_total{${shop}}`), { decimals: 0, thresholds: worse(1, 10) }),
    stat('Cancelled',
      'Orders that were cancelled, by whomever, or since nobody paid in time.', 'short',
      within(`eshopz_orders_total{${shop},status="cancelled"}`), { decimals: 0 }),
    stat('Reservations run out',
      'Reservations of stock that nobody turned into an order in time.', 'short',
      within(`eshopz_product_reservations_expired_total{${shop}}`), { decimals: 0 }),
    row('Over time'),
    panel('Steps', 'Per minute.', 'short', [
      [perMinute(carts), 'carts made'],
      [`${perMinute(lines)} or vector(0)`, 'lines added'],
      [perMinute(placed), 'orders placed'],
      [perMinute(paid), 'orders paid'],
    ], { width: 12 }),
    panel('Conversion', 'Each over the hour before.', 'percentunit', [
      [hourly(placed, carts), 'carts that became orders'],
      [hourly(paid, placed), 'orders that were paid'],
      [hourly(paid, carts), 'carts that became paid orders'],
    ], { width: 12 }),
    panel('Carts by holder', 'Carts made per minute, by customers who have signed in and by guests.', 'short', [
      [`sum by (holder) (rate(${carts}[$__rate_interval])) * 60`, '{{holder}}'],
    ], { stacked: true }),
    panel('Lost on the way', 'Per minute.', 'short', [
      [perMinute(abandoned), 'carts abandoned'],
      [perMinute(`eshopz_stockouts_total{${shop}}`), 'stock-outs'],
      [perMinute(`eshopz_orders_total{${shop},status="cancelled"}`), 'orders cancelled'],
      [perMinute(`eshopz_product_reservations_expired_total{${shop}}`), 'reservations run out'],
    ]),
    panel('Abandoned carts',
      'Carts abandoned, of those that were made, each over the hour before. A cart is abandoned long after it was made.', 'percentunit', [
      [hourly(abandoned, carts), 'abandoned'],
    ]),
    row('Placing an order'),
    panel('Answers',
      'Of `POST /api/v1/orders`, per minute: 201 is an order, 402 a declined card, 409 no stock or a cart that has changed.', 'short', [
      [`sum by (status) (rate(eshopz_http_responses_total{${checkout}}[$__rate_interval])) * 60`, '{{status}}'],
    ], { stacked: true }),
    panel('Time', 'From the head of the request to the head of the answer, the payment included.', 's', [
      [quantile(0.5, 'eshopz_http_request_duration_seconds', [], checkout), 'p50'],
      [quantile(0.95, 'eshopz_http_request_duration_seconds', [], checkout), 'p95'],
      [quantile(0.99, 'eshopz_http_request_duration_seconds', [], checkout), 'p99'],
    ], { thresholds: worse(1, 3) }),
    panel('Errors', 'Of the answers of `POST /api/v1/orders`, those with a status of 500 and above.', 'percentunit', [
      [share(`rate(eshopz_http_responses_total{${checkout},status=~"5.."}[$__rate_interval])`, `rate(eshopz_http_responses_total{${checkout}}[$__rate_interval])`), 'errors'],
    ], { thresholds: worse(0.001, 0.01), none: 'no checkouts' }),
  ],
});
