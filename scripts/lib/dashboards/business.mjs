// What the shop earns, and who comes.

import { dashboard, panel, row, share, shop, stat } from './panels.mjs';

const orders = (status) => `eshopz_orders_total{${shop},status="${status}"}`;
const money = (direction, range) => `sum by (currency) (increase(eshopz_payment_revenue_minor_total{${shop},direction="${direction}"}[${range}]))`;
// The shop has one currency; a change of it leaves two for a while.
const average = (range) => `${money('captured', range)} / on () group_left () (sum(increase(${orders('paid')}[${range}])) > 0)`;
const within = (series) => `sum(increase(${series}[$__range]))`;
const signIns = (outcome) => `eshopz_user_sign_ins_total{${shop},outcome="${outcome}"}`;
const minor = 'In minor units of the currency, such as cents.';

export default dashboard({
  uid: 'business',
  title: 'Business',
  description: 'What the shop earns, and who comes. Counts are of the processes: a restart may lose the last seconds of one. The books are in the database.',
  from: 'now-24h',
  parts: [
    row('In the time that is shown'),
    stat('Revenue', `Money that came in. ${minor}`, 'short', money('captured', '$__range'), { decimals: 0 }),
    stat('Orders paid', 'Orders that were paid.', 'short', within(orders('paid')), { decimals: 0 }),
    stat('Average order',
      `Money that came in, divided by the orders that were paid. ${minor}`, 'short',
      average('$__range'), { decimals: 0, none: 'no orders' }),
    stat('Refunded',
      `Money that went back. ${minor}`, 'short',
      money('refunded', '$__range'), { decimals: 0, none: 'none' }),
    stat('Registrations',
      'Accounts made.', 'short',
      within(`eshopz_user_registrations_total{${shop}}`), { decimals: 0 }),
    stat('Sign-ins', 'Passwords that were right.', 'short', within(signIns('done')), { decimals: 0 }),
    row('Orders'),
    panel('Orders by status', 'Orders that came to a state, per hour.', 'short', [
      [`sum by (status) (increase(eshopz_orders_total{${shop}}[1h]))`, '{{status}}'],
    ], { width: 12, decimals: 0 }),
    panel('Cancelled',
      'Orders that were cancelled, of those that were placed, over the hour before. An order may be cancelled long after it was placed.', 'percentunit', [
      [share(`increase(${orders('cancelled')}[1h])`, `increase(${orders('pending_payment')}[1h])`), 'cancelled'],
    ], { width: 12 }),
    row('Money'),
    panel('Revenue', `Money that came in, per hour, by currency. ${minor}`, 'short', [
      [money('captured', '1h'), '{{currency}}'],
    ]),
    panel('Average order',
      `Money that came in, divided by the orders that were paid, over the hour before. ${minor}`, 'short', [
      [average('1h'), '{{currency}}'],
    ]),
    panel('Refunded', `Money that went back, per hour, by currency. ${minor}`, 'short', [
      [money('refunded', '1h'), '{{currency}}'],
    ], { none: 'none' }),
    row('People'),
    panel('Registrations', 'Accounts made per hour.', 'short', [
      [`sum(increase(eshopz_user_registrations_total{${shop}}[1h]))`, 'registrations'],
    ]),
    panel('Sign-ins', 'Passwords compared per hour: those that were right, and those that were not.', 'short', [
      [`sum by (outcome) (increase(eshopz_user_sign_ins_total{${shop}}[1h]))`, '{{outcome}}'],
    ]),
    panel('Sign-ins refused',
      'Of the passwords compared, those that were not right, over the hour before. Many are somebody who guesses.', 'percentunit', [
      [share(`increase(${signIns('refused')}[1h])`, `increase(eshopz_user_sign_ins_total{${shop}}[1h])`), 'refused'],
    ], { thresholds: [['green', null], ['yellow', 0.3], ['red', 0.7]], none: 'no sign-ins' }),
    panel('Carts', 'Carts made per hour, by customers who have signed in and by guests.', 'short', [
      [`sum by (holder) (increase(eshopz_carts_created_total{${shop}}[1h]))`, '{{holder}}'],
    ], { stacked: true, width: 12 }),
    panel('Stock-outs', 'Checkouts per hour that failed for want of stock: sales that were not made.', 'short', [
      [`sum(increase(eshopz_stockouts_total{${shop}}[1h]))`, 'stock-outs'],
    ], { width: 12 }),
  ],
});
