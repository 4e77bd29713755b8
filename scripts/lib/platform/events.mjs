// Writes pulumi/topology.json, or with `--check` says that it is not what the program says: who publishes what and who takes it
// by `eshopz modules --graph`, and what a queue is like by the sources of `eshopz events setup`.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');
const FILE = join(root, 'pulumi/topology.json');
const MENDED_BY = 'scripts/platform-events';

export function fail(message) {
  console.error(message);
  process.exit(1);
}

/** The modules, what each tells, and who takes it. */
export function topologyOf(graph) {
  const publishes = {};
  const listens = {};
  const modules = [];
  let module;
  for (const line of graph.split('\n')) {
    const [, name] = /^(\w+) +public :/.exec(line) ?? [];
    if (name) {
      module = name;
      modules.push(module);
      continue;
    }
    const [, event, takers] = /^ +tells +(\S+\.v\d+) -> (.*)$/.exec(line) ?? [];
    if (!event) continue;
    (publishes[module] ??= []).push(event);
    for (const taker of takers === 'nobody' ? [] : takers.split(', ')) {
      const of = ((listens[taker.split('.')[0]] ??= {})[module] ??= []);
      if (!of.includes(event)) of.push(event);
    }
  }
  if (!modules.length || !Object.keys(listens).length) fail('nothing to be read from `eshopz modules --graph`');
  return { modules: modules.sort(), publishes: sorted(publishes), listens: sorted(listens) };
}

/** The same in whichever order it was said. */
function sorted(value) {
  if (Array.isArray(value)) return [...value].sort();
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
}

/** A constant of the sources. */
function constant(path, pattern) {
  const [, value] = pattern.exec(readFileSync(join(root, path), 'utf8')) ?? [];
  if (value === undefined) fail(`${path}: no ${pattern}; say in scripts/lib/platform/events.mjs where it is now`);
  return value.replaceAll('_', '');
}

function queues() {
  const setup = 'modules/shared/aws/src/events/setup.rs';
  const number = (path, name) => Number(constant(path, new RegExp(`const ${name}: u32 = ([\\d_]+);`)));
  return {
    maxReceives: number('modules/shared/aws/src/events/topology.rs', 'MAX_RECEIVES'),
    retention: number(setup, 'RETENTION'),
    deadRetention: number(setup, 'DEAD_RETENTION'),
    visibility: number(setup, 'VISIBILITY'),
    wait: number(setup, 'WAIT'),
    filter: readFileSync(join(root, 'modules/shared/aws/src/events/message.rs'), 'utf8').match(/const EVENT: &str = "(\w+)";/)?.[1]
      ?? fail('modules/shared/aws/src/events/message.rs: no EVENT'),
  };
}

/** Names are built in two places, which say the same. */
function namesAreAlike() {
  const theirs = readFileSync(join(root, 'modules/shared/aws/src/events/topology.rs'), 'utf8');
  for (const format of ['"{}-{module}-events"', '"{}-{module}-listeners"', '"{}-dead"']) {
    if (!theirs.includes(`format!(${format}`)) fail(`topology.rs names nothing ${format} any more: pulumi/src/events.ts has to follow`);
  }
}

function main() {
  const program = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/eshopz');
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('ESHOPZ_'));
  const said = spawnSync(program, ['modules', '--graph'], { encoding: 'utf8', env: Object.fromEntries(kept) });
  if (said.status !== 0) fail(`${program} modules --graph: ${said.error?.message ?? said.stderr}; build it with cargo build`);
  namesAreAlike();
  const text = `${JSON.stringify({ ...topologyOf(said.stdout), ...queues() }, null, 2)}\n`;
  if (!process.argv.includes('--check')) writeFileSync(FILE, text);
  else if (readFileSync(FILE, 'utf8') !== text) fail(`pulumi/topology.json is not what the program says; mend with ${MENDED_BY}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
