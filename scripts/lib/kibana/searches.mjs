// Questions that are asked of the lines. Where a word in capitals stands, whoever asks puts in what he looks for.

import { search } from './objects.mjs';

const WHERE = ['kubernetes.pod_name'];

export const errors = search({
  id: 'eshopz-errors', title: 'Errors by module',
  description: 'What went wrong for a reason of ours, and whose code it was. Expected refusals (4xx) are no errors.',
  query: 'level: "ERROR"',
  columns: ['module', 'message', 'error', 'code', 'request_id', ...WHERE],
  sort: [['module', 'asc'], ['@timestamp', 'desc']],
});

export const request = search({
  id: 'eshopz-request', title: 'One request: put its id into the query',
  description: 'All lines of a request, in every process. The id is in X-Request-Id of the answer, and in each problem document.',
  query: 'request_id: "REQUEST_ID"',
  columns: ['level', 'module', 'message', 'error', 'route', 'status', 'millis', ...WHERE],
  sort: [['@timestamp', 'asc']],
});

export const trace = search({
  id: 'eshopz-trace', title: 'One trace: put its id into the query',
  description: 'All that came of a request: its calls of other modules, and the deliveries of its events, which have request ids of '
    + 'their own.',
  query: 'trace_id: "TRACE_ID"',
  columns: ['level', 'module', 'message', 'error', 'route', 'event', 'listener', 'request_id', ...WHERE],
  sort: [['@timestamp', 'asc']],
});

export const order = search({
  id: 'eshopz-order', title: 'One order: put its number and ids into the query',
  description: 'Lines that name an order, its payment, or an address with its id. What else belongs to it is found by their trace_id.',
  query: 'order: ("EZ-NUMBER" or "ORDER_ID") or payment: "PAYMENT_ID" or span.path: *ORDER_ID*',
  columns: ['level', 'module', 'message', 'error', 'route', 'status', 'payment', 'trace_id', ...WHERE],
  sort: [['@timestamp', 'asc']],
});

export const slow = search({
  id: 'eshopz-slow', title: 'Slow requests',
  description: 'Answers that took half a second or more, the slowest first. Needs RUST_LOG=info.',
  query: 'message.keyword: "answered" and millis >= 500',
  columns: ['millis', 'module', 'route', 'status', 'statements', 'commits', 'request_id', ...WHERE],
  sort: [['millis', 'desc']],
});

export const deadLetters = search({
  id: 'eshopz-dead-letters', title: 'Dead letters',
  description: 'Deliveries that were given up: docs/runbooks/events.md, EshopzDeadLetters.',
  query: 'message.keyword: ("delivery failed for good: dead letter" or "delivery failed for good: dead letter of the queue")',
  columns: ['module', 'event', 'listener', 'error', 'attempt', 'event_id', 'trace_id', ...WHERE],
});

export const security = search({
  id: 'eshopz-security', title: 'Sign-in failures and what else matters to security',
  description: 'Refused at /auth (with RUST_LOG=info), refresh tokens that came twice, service tokens that were refused, and who '
    + 'changed what is logged. What admins did is in the audit log of the shop, and not in any line.',
  query: '(message.keyword: "answered" and route: /api/v1/auth/* and status: (401 or 403 or 429)) '
    + 'or message.keyword: ("a refresh token came twice; its session is ended" or "what is logged was changed" '
    + 'or "the neighbour refuses our service token: do the processes share ESHOPZ_SECRET_KEY or one database, and is its URL right?") '
    + 'or (target: "eshopz_platform::wire::keys" and level: "WARN")',
  columns: ['message', 'route', 'status', 'client', 'session', 'caller', 'request_id', ...WHERE],
});

export default [errors, request, trace, order, slow, deadLetters, security];
