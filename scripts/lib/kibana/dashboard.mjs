// What the lines say on one page.

import { bars, count, dashboard, max, overTime, percentile, table, top } from './objects.mjs';
import { deadLetters } from './searches.mjs';

const levels = bars({
  id: 'eshopz-levels', title: 'Lines by level',
  description: 'A line without a level is none of the shop\'s own, such as the last words of a process.',
  query: '', x: 'time', y: 'lines', split: 'level',
  columns: { level: top('Level', 'level', 5, 'lines', { missing: true }), time: overTime('Time'), lines: count('Lines') },
});

const modules = bars({
  id: 'eshopz-errors-by-module', title: 'Errors by module',
  description: 'Without a module: code that all share, outside of a request.',
  query: 'level: "ERROR"', x: 'time', y: 'errors', split: 'module',
  columns: { module: top('Module', 'module', 6, 'errors', { missing: true }), time: overTime('Time'), errors: count('Errors') },
});

const routes = table({
  id: 'eshopz-slowest-routes', title: 'Slowest routes',
  description: 'By the time that 95 of 100 answers took at most, in milliseconds. Needs RUST_LOG=info.',
  query: 'message.keyword: "answered"',
  columns: {
    route: top('Route', 'route', 15, 'p95'),
    p95: percentile('95 of 100 (ms)', 'millis', 95), p50: percentile('half (ms)', 'millis', 50), longest: max('longest (ms)', 'millis'),
    answers: count('Answers'),
  },
});

const messages = table({
  id: 'eshopz-top-messages', title: 'Most frequent errors and warnings',
  description: 'What was said, and whose code said it.',
  query: 'level: ("ERROR" or "WARN")',
  columns: {
    message: top('Message', 'message.keyword', 15, 'lines'), target: top('Code', 'target', 2, 'lines'), lines: count('Lines'),
  },
});

const causes = table({
  id: 'eshopz-top-causes', title: 'Most frequent causes',
  description: 'What the database, the gateway or a neighbour said.',
  query: 'level: ("ERROR" or "WARN")',
  columns: { error: top('Cause', 'error.keyword', 15, 'lines'), lines: count('Lines') },
});

const page = dashboard({
  id: 'eshopz-logs', title: 'EShopz: logs',
  description: 'What the processes of the shop say. How well it is, is in Grafana.',
  panels: [
    [levels, 0, 0, 24, 11], [modules, 24, 0, 24, 11],
    [messages, 0, 11, 24, 14], [causes, 24, 11, 24, 14],
    [routes, 0, 25, 24, 14], [deadLetters, 24, 25, 24, 14],
  ],
});

export default [levels, modules, routes, messages, causes, page];
