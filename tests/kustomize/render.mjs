// What a cluster would get: overlays and other combinations of components, as kubectl puts them together; and what the program says
// of itself, which they are held to.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, relative } from 'node:path';

import { cleanEnvironment, ended, eshopz, root, temporaryFolder } from '../browser/shop.mjs';
import { kubectl, withKubectl } from '../scripts/kubectl.mjs';

export { withKubectl };
export const folder = join(root, 'kustomize');
export const read = (path) => readFileSync(join(folder, path), 'utf8');
const foldersIn = (path) => readdirSync(join(folder, path), { withFileTypes: true }).filter((one) => one.isDirectory()).map(({ name }) => name).sort();

export const overlays = foldersIn('overlays');
export const components = foldersIn('components');
export const environments = foldersIn('argocd').filter((name) => overlays.includes(name));

/** What kubectl makes of a folder. */
async function kustomize(path) {
  const child = spawn('kubectl', ['kustomize', path], { env: { ...process.env, KUBECONFIG: '/dev/null' }, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  const closed = ['stdout', 'stderr'].map((name) => new Promise((done) => {
    child[name].setEncoding('utf8').on('data', (text) => { said[name] += text; }).once('close', done);
  }));
  await Promise.all([...closed, ended(child)]);
  assert.equal(child.exitCode, 0, `${path}: ${said.stderr}`);
  return said.stdout;
}

/** The results of these, as many at a time as there are processors. */
async function together(works) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < works.length) {
      const mine = next;
      next += 1;
      results[mine] = await works[mine]();
    }
  };
  await Promise.all(cpus().map(worker));
  return results;
}

/** kubectl reads the YAML, since node does not: all of it at once, with something between one folder and the next. */
function parsed(yamls) {
  const border = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: border-between-two\n';
  const told = kubectl(['annotate', '--local', '-f', '-', 'read-by=test', '-o', 'json'], yamls.join(`---\n${border}---\n`));
  assert.equal(told.status, 0, told.stderr);
  const all = [[]];
  for (const text of told.stdout.trim().split(/(?<=^\})\n(?=\{)/m)) {
    const object = JSON.parse(text);
    delete object.metadata.annotations['read-by'];
    if (object.metadata.name === 'border-between-two') all.push([]);
    else all.at(-1).push(object);
  }
  return all;
}

/** The objects of folders of the repository. */
export const render = async (...paths) => parsed(await together(paths.map((path) => () => kustomize(join(folder, path)))));

/** Components on the base, in an overlay of their own. */
async function combine(names) {
  const copy = temporaryFolder();
  try {
    const to = (path) => `  - ${relative(copy, join(folder, path))}`;
    writeFileSync(join(copy, 'platform.env'), read('overlays/staging/platform.env'));
    writeFileSync(join(copy, 'kustomization.yaml'), [
      'apiVersion: kustomize.config.k8s.io/v1beta1', 'kind: Kustomization', 'namespace: eshopz',
      'resources:', to('base'), ...(names.length ? ['components:', ...names.map((name) => to(`components/${name}`))] : []),
      'images:', '  - {name: eshopz, newName: registry.example.com/eshopz, newTag: 1.2.3}',
      'configMapGenerator:', '  - name: platform', '    envs: [platform.env]',
      "    options: {annotations: {config.kubernetes.io/local-config: 'true'}}", '',
    ].join('\n'));
    return await kustomize(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Beside the overlays: each component alone, where it is of use alone, and pairs that one would put together otherwise. */
export const COMBINATIONS = [
  '',
  ...components.filter((name) => !name.endsWith('-split')),
  ...components.filter((name) => name.endsWith('-split')).map((name) => `split-into-five ${name}`),
  'postgres-in-cluster network-policies',
  'migrate-job postgres-in-cluster',
  'migrate-job external-secrets irsa',
  'migrate-job monitoring database-tls',
  'migrate-job monitoring external-secrets network-policies',
  'migrate-job monitoring secrets-manager irsa events-sns',
  'network-policies ingress hpa pdb',
  'network-policies redis-in-cluster tracing',
  'split-into-five migrate-job monitoring postgres-in-cluster redis-in-cluster network-policies-split',
  'split-into-five migrate-job external-secrets irsa network-policies-split ingress-split',
  'split-into-five secrets-manager network-policies-split events-sns logging',
];

let all;
/** The objects of all of them by name: an overlay by its own, another one by its components. Looked at by all tests of a process. */
export function everything() {
  all ??= (async () => {
    const names = [...overlays.map((name) => `overlays/${name}`), ...COMBINATIONS.map((each) => each || 'base')];
    const objects = parsed(await together([
      ...overlays.map((name) => () => kustomize(join(folder, 'overlays', name))),
      ...COMBINATIONS.map((each) => () => combine(each.split(' ').filter(Boolean))),
    ]));
    return new Map(names.map((name, i) => [name, objects[i]]));
  })();
  return all;
}

/** The components of an overlay, in their order, with those that they bring along. */
export function componentsOf(path) {
  const text = read(join(path, 'kustomization.yaml'));
  const list = /^components:\n((?: {2}- .*\n)+)/m.exec(text)?.[1] ?? '';
  return [...list.matchAll(/^ {2}- (\S+)$/gm)].flatMap(([, there]) => {
    const inner = relative(folder, join(folder, path, there));
    return [...componentsOf(inner), inner.replace('components/', '')];
  });
}

export const settingsIn = (path) => Object.fromEntries(read(path).split('\n').filter((line) => /^\w+=/.test(line))
  .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));

// --- The program -------------------------------------------------------------------------------------------------------------

const say = (...words) => {
  const done = spawnSync(eshopz, words, { encoding: 'utf8', env: cleanEnvironment() });
  assert.equal(done.status, 0, done.stderr || `${eshopz}: build it with cargo build`);
  return done.stdout;
};

const helps = new Map();
/** What a command of the program takes: flags, and variables. */
export function takes(command) {
  if (!helps.has(command)) {
    const text = say(command, '--help');
    helps.set(command, {
      flags: new Set([...text.matchAll(/^ +(--[a-z0-9-]+)/gm)].map(([, flag]) => flag)),
      variables: new Set([...text.matchAll(/\[env: (\w+)/g)].map(([, name]) => name)),
      words: new Set([...(/^Commands:\n((?: .*\n)+)/m.exec(text)?.[1] ?? '').matchAll(/^ {2}(\w+)/gm)].map(([, word]) => word)),
    });
  }
  return helps.get(command);
}

/** The modules: where they listen, whom they call, whose listeners hear them. */
export function graph() {
  known ??= readGraph();
  return known;
}

let known;
function readGraph() {
  const modules = {};
  let at;
  for (const line of say('modules', '--graph').split('\n')) {
    const [, name, open, internal, management] = /^(\w+) +public :(\d+) +internal :(\d+) +management :(\d+)$/.exec(line) ?? [];
    if (name) {
      at = { public: Number(open), internal: Number(internal), management: Number(management), calls: [], tells: [] };
      modules[name] = at;
    }
    const [, kind, rest] = /^ {2}(calls|tells) +(.*)$/.exec(line) ?? [];
    if (kind === 'calls' && rest !== 'nobody') at.calls = rest.split(', ');
    const hearers = kind === 'tells' ? /-> (.*)$/.exec(rest)?.[1] : undefined;
    if (hearers && hearers !== 'nobody') at.tells.push(...hearers.split(', ').map((listener) => listener.split('.')[0]));
  }
  for (const [name, module] of Object.entries(modules)) module.tells = [...new Set(module.tells)].filter((other) => other !== name);
  return modules;
}

/** What can be asked of the management listener, as the program's source has it. */
export const managementPaths = new Set([...readFileSync(join(root, 'src/server.rs'), 'utf8')
  .split('pub fn management')[1].split('async fn answer_ready')[0].matchAll(/(?:route|resource)\("(\/[a-z/]+)"/g)].map(([, path]) => path));

/** The paths that each module serves, by its document. */
export const documents = Object.fromEntries(['user', 'product', 'cart', 'payment', 'order'].map((name) => [
  name, Object.keys(JSON.parse(readFileSync(join(root, `openapi/${name}.json`), 'utf8')).paths)]));
