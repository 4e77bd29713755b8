// The processes: what runs, what it takes, and the calls between them.

import { dashboard, panel, process, quantile, row, stat, worse } from './panels.mjs';

export default dashboard({
  uid: 'process',
  title: 'Processes',
  description: 'The processes: what runs, what it takes, and the calls between them.',
  choices: ['instance'],
  parts: [
    row('What runs'),
    panel('Processes', 'The modules, the version and the commit of each process.', 'short', [
      [`eshopz_build_info{${process}}`, ''],
    ], { type: 'table', width: 12, hidden: ['Value', '__name__', 'job'] }),
    panel('Uptime', 'Since when a process runs.', 's', [
      [`time() - process_start_time_seconds{${process}}`, '{{instance}} {{module}}'],
    ], { width: 12 }),
    stat('Versions',
      'More than one while a release is under way.', 'short',
      `count(count by (version, commit) (eshopz_build_info{${process}}))`, { thresholds: [['green', null], ['yellow', 2]], width: 8 }),
    stat('Restarts',
      'Starts of processes in the time that is shown.', 'short',
      `sum(changes(process_start_time_seconds{${process}}[$__range]))`, { thresholds: worse(1, 5), width: 8 }),
    stat('Longest uptime',
      'Of the process that runs longest.', 's',
      `max(time() - process_start_time_seconds{${process}})`, { width: 8 }),
    row('What it takes'),
    panel('Processor', 'Processor time per second: 1 is a whole core.', 'short', [
      [`rate(process_cpu_seconds_total{${process}}[$__rate_interval])`, '{{instance}} {{module}}'],
    ]),
    panel('Memory', 'That a process has, without what is shared with others or swapped out.', 'bytes', [
      [`process_resident_memory_bytes{${process}}`, '{{instance}} {{module}}'],
    ]),
    panel('Addresses', 'That a process has reserved. Much more than its memory is usual.', 'bytes', [
      [`process_virtual_memory_bytes{${process}}`, '{{instance}} {{module}}'],
    ]),
    panel('File descriptors', 'Open file descriptors, connections included, and how many there may be.', 'short', [
      [`process_open_fds{${process}}`, '{{instance}} open'],
      [`process_max_fds{${process}}`, '{{instance}} may be open'],
    ]),
    panel('File descriptors, share',
      'Of the file descriptors that a process may open, those that are open.', 'percentunit', [
      [`process_open_fds{${process}} / (process_max_fds{${process}} > 0)`, '{{instance}}'],
    ], { max: 1, thresholds: worse(0.7, 0.9) }),
    panel('Threads', 'Threads of a process.', 'short', [
      [`process_threads{${process}}`, '{{instance}} {{module}}'],
    ]),
    row('Connections and passwords'),
    panel('Open connections', 'Connections of the public listener.', 'short', [
      [`eshopz_http_connections{${process}}`, '{{instance}} {{module}}'],
    ]),
    panel('Shut connections', 'Connections per minute that were closed on somebody who kept others waiting.', 'short', [
      [`sum by (instance, reason) (rate(eshopz_http_shut_total{${process}}[$__rate_interval])) * 60`, '{{instance}} {{reason}}'],
    ], { none: 'none' }),
    panel('Hashing of passwords',
      'What hashing a password took, and waiting for its turn: 99 of 100 were done within this time.', 's', [
      [quantile(0.99, 'eshopz_user_hash_duration_seconds', ['step'], process, '10m'), '{{step}}'],
    ], { thresholds: worse(1, 5) }),
    panel('Looks at secrets', 'Looks at AWS Secrets Manager per minute, with ESHOPZ_SECRETS=aws.', 'short', [
      [`sum by (instance, outcome) (rate(eshopz_secrets_looks_total{${process}}[$__rate_interval])) * 60`, '{{instance}} {{outcome}}'],
    ], { none: 'none' }),
    row('Calls between processes'),
    panel('Calls', 'Per second. `fault` is an answer that says no, `failed` is no answer.', 'ops', [
      [`sum by (neighbour, outcome) (rate(eshopz_wire_call_duration_seconds_count{${process}}[$__rate_interval]))`, '{{neighbour}} {{outcome}}'],
    ], { stacked: true, none: 'all modules in one process' }),
    panel('Time of calls', '99 of 100 calls were answered within this time.', 's', [
      [quantile(0.99, 'eshopz_wire_call_duration_seconds', ['neighbour'], process), '{{neighbour}}'],
    ], { thresholds: worse(0.5, 2), none: 'all modules in one process' }),
    panel('Slowest calls', 'The ten with the longest time that 99 of 100 keep to.', 's', [
      [`topk(10, ${quantile(0.99, 'eshopz_wire_call_duration_seconds', ['neighbour', 'method'], process)})`, '{{neighbour}}.{{method}}'],
    ], { none: 'all modules in one process' }),
    panel('Second tries', 'Calls per minute that were tried a second time.', 'short', [
      [`sum by (neighbour) (rate(eshopz_wire_retries_total{${process}}[$__rate_interval])) * 60`, '{{neighbour}}'],
    ], { width: 12, none: 'none' }),
    panel('Neighbours that do not answer', '1 while calls of a module that does not answer fail at once.', 'short', [
      [`max by (instance, neighbour) (eshopz_wire_breaker_open{${process}})`, '{{instance}} → {{neighbour}}'],
    ], { width: 12, max: 1, thresholds: [['green', null], ['red', 1]], none: 'all modules in one process' }),
  ],
});
