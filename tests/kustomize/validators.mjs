// What other people's programs say of the manifests: kubernetes-validate, by the schemas of Kubernetes itself, and checkov, by what is
// thought to be safe. Of what is no part of Kubernetes neither has a schema: what is used of those is written down here. All
// combinations are looked at, each object once.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { ended, root, temporaryFolder } from '../browser/shop.mjs';
import { environments, everything, read, render, withKubectl } from './render.mjs';

const programs = join(root, '.venv-kustomize/bin');
const withValidators = existsSync(join(programs, 'checkov')) ? withKubectl : { skip: 'scripts/test installs checkov and kubernetes-validate' };

const every = withValidators.skip ? [] : [
  ...(await everything()).values(),
  ...await render('monitoring', 'monitoring/logging', 'monitoring/logging/small', 'namespace', ...environments.map((name) => `argocd/${name}`)),
].flat();
const unique = [...new Map(every.map((each) => [JSON.stringify(each), each])).values()];

const text = 'text';
const map = 'map';
/** What is used of kinds that Kubernetes does not have itself: each field, and what it holds. `!` is one that has to be there. */
const STRANGERS = {
  'argoproj.io/v1alpha1 AppProject': {
    'description': text, 'sourceRepos!': [text], 'destinations!': [{ 'server!': text, 'namespace!': text }],
    'clusterResourceWhitelist!': [{ 'group!': text, 'kind!': text }], 'namespaceResourceWhitelist!': [{ 'group!': text, 'kind!': text }],
  },
  'argoproj.io/v1alpha1 Application': {
    'project!': text, 'revisionHistoryLimit': 0, 'destination!': { 'server!': text, 'namespace!': text },
    'source!': { 'repoURL!': text, 'targetRevision!': text, 'path!': text, 'kustomize': { 'patches': [{ 'target': map, 'patch!': text }] } },
    'syncPolicy!': {
      'automated!': { 'prune!': true, 'selfHeal!': true, 'allowEmpty': false }, 'syncOptions': [text],
      'retry': { 'limit': 0, 'backoff': { 'duration': text, 'factor': 0, 'maxDuration': text } },
    },
  },
  'external-secrets.io/v1 SecretStore': { 'provider!': { 'aws!': { 'service!': text, 'region!': text } } },
  'external-secrets.io/v1 ExternalSecret': {
    'refreshInterval': text, 'secretStoreRef!': { 'kind': text, 'name!': text }, 'dataFrom!': [{ 'extract!': { 'key!': text } }],
    'target!': {
      'name!': text, 'creationPolicy': text, 'deletionPolicy': text, 'template': { 'engineVersion': text, 'mergePolicy': text, 'data': map },
    },
  },
};
const name = ({ apiVersion, kind }) => `${apiVersion} ${kind}`;

/** What of a value is not as it is said to be. */
function unlike(value, form, path) {
  if (Array.isArray(form)) return Array.isArray(value) ? value.flatMap((each, i) => unlike(each, form[0], `${path}.${i}`)) : [`${path} is no list`];
  if (form === text || form === map) {
    const holds = form === text ? typeof value === 'string' : Object.values(value).every((each) => typeof each === 'string');
    return holds ? [] : [`${path} is no ${form} of texts`];
  }
  if (typeof form !== 'object') return typeof value === typeof form ? [] : [`${path} is no ${typeof form}`];
  const fields = Object.fromEntries(Object.entries(form).map(([field, inner]) => [field.replace('!', ''), inner]));
  return [
    ...Object.keys(form).filter((field) => field.endsWith('!') && value[field.slice(0, -1)] === undefined).map((field) => `${path} has no ${field.slice(0, -1)}`),
    ...Object.entries(value).flatMap(([field, inner]) => (field in fields ? unlike(inner, fields[field], `${path}.${field}`) : [`${path} has no field ${field}`])),
  ];
}

/**
 * Has a program look at these, in a file, while others go on: what it says goes into files too, since nobody reads a pipe meanwhile.
 */
function look(objects, program, ...words) {
  const folder = temporaryFolder();
  const path = join(folder, 'all.yaml');
  // JSON is YAML.
  writeFileSync(path, objects.map((each) => JSON.stringify(each)).join('\n---\n'));
  const [stdout, stderr] = ['stdout', 'stderr'].map((name) => openSync(join(folder, name), 'w'));
  const child = spawn(join(programs, program), [...words, path], { stdio: ['ignore', stdout, stderr] });
  const done = ended(child).then((status) => ({
    status, stdout: readFileSync(join(folder, 'stdout'), 'utf8'), stderr: readFileSync(join(folder, 'stderr'), 'utf8'),
  })).finally(() => {
    for (const file of [stdout, stderr]) closeSync(file);
    rmSync(folder, { recursive: true, force: true });
  });
  // Whoever waits for it is told; nobody may do so for a while.
  done.catch(() => {});
  return done;
}

const run = (program, ...words) => spawnSync(join(programs, program), words, { encoding: 'utf8' });

/** The three newest versions of Kubernetes that it has the schemas of. */
function newest() {
  const script = "import kubernetes_validate, os; print('\\n'.join(os.listdir(os.path.join(os.path.dirname(kubernetes_validate.__file__), 'kubernetes-json-schema'))))";
  const versions = [...new Set([...run('python', '-c', script).stdout.matchAll(/v(\d+\.\d+\.\d+)/g)].map(([, version]) => version))];
  return versions.sort((one, other) => other.localeCompare(one, 'en', { numeric: true })).slice(0, 3);
}

const validate = (objects, versions) => look(objects, 'kubernetes-validate', '--strict', ...versions.flatMap((version) => ['-k', version]));

const versions = withValidators.skip ? [] : newest();
const natives = unique.filter((each) => !(name(each) in STRANGERS));

/** What belongs to the shop, and one that is to be found. The monitoring has tests of its own. */
function shops() {
  const ours = unique.filter(({ metadata }) => metadata.namespace === 'eshopz');
  const planted = structuredClone(ours.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'eshopz'));
  planted.metadata.name = 'planted';
  planted.spec.template.spec.containers[0].securityContext = { allowPrivilegeEscalation: true };
  return [...ours, planted];
}

// Both at once, and beside the other tests.
const validated = withValidators.skip ? undefined : validate(natives, versions);
const checked = withValidators.skip ? undefined
  : look(shops(), 'checkov', '--skip-download', '--framework', 'kubernetes', '--compact', '--quiet', '--soft-fail', '--output', 'json', '--file');

test('kubernetes-validate takes all of it, for the three newest versions', withValidators, async () => {
  assert.equal(versions.length, 3);
  assert.ok(natives.length > 150, `only ${natives.length} objects`);
  const done = await validated;
  const told = (done.stdout + done.stderr).split('\n');
  assert.deepEqual(told.filter((line) => line && !line.includes(' passed ')), []);
  assert.equal(done.status, 0);
  assert.equal(told.filter((line) => line.includes(' passed ')).length, versions.length * natives.length);
});

test('kubernetes-validate finds a field that there is not', withValidators, async () => {
  const wrong = structuredClone(unique.find(({ kind }) => kind === 'Deployment'));
  wrong.spec.template.spec.containers[0].livenesProbe = {};
  const done = await validate([wrong], versions.slice(0, 1));
  assert.notEqual(done.status, 0);
  assert.match(done.stdout + done.stderr, /livenesProbe/);
});

test('what is no part of Kubernetes has the fields that it is known to have', withValidators, () => {
  const strangers = unique.filter((each) => !/^(v1|\w+\/v\d+|\w+\.k8s\.io\/v\d+|rbac\.authorization\.k8s\.io\/v1)$/.test(each.apiVersion) || name(each) in STRANGERS);
  assert.deepEqual([...new Set(strangers.map(name))].sort(), Object.keys(STRANGERS).sort());
  for (const each of strangers) assert.deepEqual(unlike(each.spec, STRANGERS[name(each)], `${each.kind} ${each.metadata.name}`), []);
  const wrong = structuredClone(strangers.find(({ kind }) => kind === 'Application').spec);
  wrong.syncPolicy.automated.selfheal = true;
  delete wrong.source.path;
  assert.deepEqual(unlike(wrong, STRANGERS['argoproj.io/v1alpha1 Application'], 'it'), ['it.source has no path', 'it.syncPolicy.automated has no field selfheal']);
});

/** What checkov would have otherwise, of what, and why it is as it is. */
const EXCEPTIONS = {
  CKV_K8S_43: [/./, 'a digest: tags of the registry cannot be moved (ECR, immutable), and a tag says which commit runs'],
  CKV_K8S_15: [/./, 'pull always: for the same reason there is nothing new to pull, and a registry that is away keeps no pod from starting'],
  CKV_K8S_35: [/\.(eshopz|eshopz-verify|eshopz-migrate|[a-z]+-service|postgres)$/, 'secrets as files: the program takes settings as variables, and with secrets-manager there is no Secret; so does the image of PostgreSQL'],
  CKV_K8S_40: [/\.(postgres|redis)$/, 'a high user id: these images have users of their own'],
};

test('checkov finds nothing but what is listed here with a reason, and what is planted', withValidators, async () => {
  const done = await checked;
  assert.equal(done.status, 0, done.stderr);
  const { results, summary } = JSON.parse(done.stdout);
  assert.ok(summary.passed > 500, `only ${summary.passed} checks`);
  const isPlanted = ({ resource }) => resource.endsWith('.planted');
  const found = results.failed_checks.filter(isPlanted).map(({ check_id: id }) => id);
  for (const id of ['CKV_K8S_20', 'CKV_K8S_22', 'CKV_K8S_28']) assert.ok(found.includes(id), `${id}: ${found}`);
  const used = new Set();
  const others = results.failed_checks.filter((one) => !isPlanted(one)).filter(({ check_id: id, resource }) => {
    const excused = EXCEPTIONS[id]?.[0].test(resource);
    if (excused) used.add(id);
    return !excused;
  });
  assert.deepEqual(others.map(({ check_id: id, check_name: what, resource }) => `${id} ${resource}: ${what}`), []);
  assert.deepEqual([...used].sort(), Object.keys(EXCEPTIONS).sort(), 'an exception that nobody needs');
});

test('promtool takes the query of the autoscalers', { skip: spawnSync('promtool', ['--version']).error ? 'there is no promtool' : false }, () => {
  const query = /metricsQuery: \|\n((?: +.*\n)+)/.exec(read('components/hpa/prometheus-adapter.yaml'))[1]
    .replaceAll('<<.LabelMatchers>>', 'namespace="eshopz",pod=~"a|b"').replaceAll('<<.GroupBy>>', 'pod').trim();
  assert.ok(!query.includes('<<'));
  const folder = temporaryFolder();
  try {
    const path = join(folder, 'rules.yml');
    writeFileSync(path, JSON.stringify({ groups: [{ name: 'a', rules: [{ record: 'a:b', expr: query }] }] }));
    const done = spawnSync('promtool', ['check', 'rules', path], { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stdout + done.stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
