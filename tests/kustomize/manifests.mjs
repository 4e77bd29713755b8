// What overlays and components put into a cluster: that it is whole, that it asks of the program what the program has, that nobody
// may more than he needs, and that who may talk to whom is what the program says. Each check is shown an error once as well. No
// cluster is needed.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, eshopz, root } from '../browser/shop.mjs';
import * as checks from './checks.mjs';
import { network } from './network.mjs';
import {
  COMBINATIONS, components, componentsOf, everything, graph, overlays, read, render, settingsIn, takes, withKubectl,
} from './render.mjs';

const { of, processes, workloads } = checks;
const all = withKubectl.skip ? new Map() : await everything();
const elsewhere = withKubectl.skip ? [] : (await render('monitoring'))[0];
const policies = of(elsewhere, 'NetworkPolicy');
const objectsOf = (name) => all.get(name);

/** What the components of a combination make to be expected. */
function about(name) {
  const own = name.startsWith('overlays/') ? componentsOf(name) : name.split(' ');
  const platform = settingsIn(name.startsWith('overlays/') ? `${name}/platform.env` : 'overlays/staging/platform.env');
  return {
    own, platform, has: (component) => own.includes(component),
    proxies: own.includes('ingress-edge') || own.some((one) => one.startsWith('ingress')) ? platform.ESHOPZ_TRUSTED_PROXIES.split(',').map((one) => one.replace(/0\/24$/, '77')) : [],
  };
}

for (const [title, check] of [
  ['nothing is there twice, and nobody is named who is not there', ({ objects }) => checks.names(objects)],
  ['whoever selects something gets what he means', ({ objects }) => checks.selectors(objects)],
  ['commands, flags, variables, ports and probes are the program\'s', ({ objects }) => checks.program(objects)],
  ['addresses among the settings are those of Services', ({ objects }) => checks.addresses(objects, elsewhere)],
  ['a process is given the time that it takes to come and to go', ({ objects }) => checks.times(objects)],
  ['everything is restricted', ({ objects }) => checks.restricted(objects)],
  ['all that there may be at once fits into the quota', ({ objects }) => checks.quota(objects)],
  ['each path leads to its module', ({ objects }) => checks.paths(objects)],
  ['the migration comes after what it needs and before who needs it', ({ objects }) => checks.order(objects)],
  ['who has rights in AWS has his role', ({ objects, name }) => (about(name).has('irsa') ? checks.roles(objects, about(name).platform) : [])],
  ['network policies let through what the program says, and nothing else', ({ objects, name }) => {
    const { has, proxies } = about(name);
    if (!has('network-policies')) return [];
    return network([...objects, ...policies], { proxies, sns: has('events-sns') });
  }],
]) {
  test(title, withKubectl, () => {
    for (const [name, objects] of all) assert.deepEqual(check({ name, objects }), [], name);
  });
}

test('each component is used by an overlay, or tried', withKubectl, () => {
  const used = new Set([...overlays.map((name) => `overlays/${name}`), ...COMBINATIONS].flatMap((name) => about(name).own));
  assert.deepEqual(components.filter((name) => !used.has(name)), []);
  assert.deepEqual(overlays, ['dev', 'prod-combined', 'prod-split', 'staging']);
});

test('the README has each component and overlay, and no others', () => {
  const listed = [...read('README.md').matchAll(/^\| \[([a-z-]+)\]\((components|overlays)\/\1\/?(?:kustomization\.yaml)?\)/gm)].map(([, name, where]) => `${where}/${name}`);
  assert.deepEqual(listed.sort(), [...components.map((name) => `components/${name}`), ...overlays.map((name) => `overlays/${name}`)].sort());
});

test('the base knows no environment, and overlays only choose', () => {
  const base = ['kustomization.yaml', 'settings.env', ...['deployment', 'kustomization', 'service', 'service-account'].map((name) => `workload/${name}.yaml`)]
    .map((name) => read(`base/${name}`).replace(/^ *#.*$/gm, '')).join('\n');
  for (const known of [/amazonaws|eks\./, /production|development|sandbox|stripe/, /namespace:/, /replicas:/, /\.example\.com/, /eshopz:/]) assert.doesNotMatch(base, known);
  for (const name of overlays) {
    const fields = [...read(`overlays/${name}/kustomization.yaml`).matchAll(/^(\w+):/gm)].map(([, field]) => field);
    const may = ['apiVersion', 'kind', 'namespace', 'resources', 'components', 'images', 'replicas', 'configMapGenerator'];
    assert.deepEqual(fields.filter((field) => !may.includes(field)), [], name);
    assert.match(read(`overlays/${name}/kustomization.yaml`), /^resources:\n {2}- \.\.\/\.\.\/base\n\n/m);
  }
});

test('what differs by account is the same in all places, and no secret', () => {
  const keys = overlays.map((name) => Object.keys(settingsIn(`overlays/${name}/platform.env`)));
  for (const own of keys) assert.deepEqual(own, keys[0]);
  for (const name of overlays) {
    const platform = settingsIn(`overlays/${name}/platform.env`);
    const [, image] = /^ {2}- name: eshopz\n {4}newName: (\S+)\n {4}newTag: \S+$/m.exec(read(`overlays/${name}/kustomization.yaml`));
    // Whoever tries it may take the image from elsewhere.
    if (name !== 'dev') assert.equal(image, platform.IMAGE_REPOSITORY, `${name}: newName in its kustomization.yaml is not where platform.env has the images`);
    for (const [key, value] of Object.entries(platform)) assert.doesNotMatch(`${key}=${value}`, /password|AKIA|sk_|whsec|PRIVATE/i);
    assert.equal(platform.ESHOPZ_TRUSTED_PROXIES.split(',').length, 3, 'a network for each zone');
  }
  assert.deepEqual(settingsIn('overlays/prod-combined/platform.env'), settingsIn('overlays/prod-split/platform.env'));
});

test('a command of the program takes the settings of each process, their values too', withKubectl, () => {
  const tried = new Set();
  for (const [name, objects] of all) {
    const [{ container }] = processes(objects);
    const settings = Object.fromEntries(Object.entries(checks.variables(objects, container)).filter(([, value]) => value !== undefined));
    const { ESHOPZ_SECRETS: secrets, ...others } = settings;
    if (secrets) assert.match(secrets, /^aws:[\w/-]+(,[\w/-]+)*$/, name);
    if (tried.has(JSON.stringify(others))) continue;
    tried.add(JSON.stringify(others));
    // Without the secrets, which it would ask AWS for.
    const done = spawnSync(eshopz, ['config'], { encoding: 'utf8', env: cleanEnvironment({ ...others, ESHOPZ_DATABASE_URL: 'postgres://db/shop' }) });
    assert.equal(done.status, 0, `${name}: ${done.stderr}`);
  }
});

test('in production a process names its gateway and its environment', withKubectl, () => {
  for (const name of overlays) {
    const settings = checks.variables(objectsOf(`overlays/${name}`), processes(objectsOf(`overlays/${name}`))[0].container);
    assert.equal(settings.ESHOPZ_ENV, name === 'dev' ? 'development' : 'production', name);
    assert.equal(settings.ESHOPZ_PAYMENT_GATEWAY, name.startsWith('prod') ? 'stripe' : 'sandbox', name);
  }
});

test('in the overlays every network policy, and every selector of pods, means somebody', withKubectl, () => {
  for (const name of overlays) {
    const objects = objectsOf(`overlays/${name}`);
    for (const policy of of(objects, 'NetworkPolicy')) {
      assert.ok(workloads(objects).some(({ labels }) => checks.matches(policy.spec.podSelector, labels)), `${name}: ${policy.metadata.name} selects nobody`);
    }
  }
});

test('the five are what the program says that there are', withKubectl, () => {
  const names = Object.keys(graph());
  const objects = objectsOf('overlays/prod-split');
  assert.deepEqual(of(objects, 'Deployment').map(({ metadata }) => metadata.name).sort(), names.map((name) => `${name}-service`).sort());
  for (const kind of ['Service', 'ServiceAccount', 'HorizontalPodAutoscaler', 'PodDisruptionBudget']) {
    const own = of(objects, kind).map(({ metadata }) => metadata.name).filter((name) => name.endsWith('-service'));
    assert.deepEqual(own.sort(), names.map((name) => `${name}-service`).sort(), kind);
  }
  for (const { modules, title } of processes(objects)) assert.deepEqual([`Deployment ${modules[0]}-service`], [title]);
});

test('network policies of the modules are those of scripts/network-policies', () => {
  const done = spawnSync(join(root, 'scripts/network-policies'), ['--check'], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
});

test('an external secret has the members that the program reads, and no others', () => {
  const text = read('components/external-secrets/external-secret.yaml');
  const members = [...text.matchAll(/^ {8}(ESHOPZ_\w+): '(.*)'$/gm)];
  assert.ok(members.length >= 6);
  const documented = readFileSync(join(root, 'docs/secrets.md'), 'utf8');
  for (const [, name, value] of members) {
    assert.ok(takes('serve').variables.has(name), name);
    if (name === 'ESHOPZ_DATABASE_URL') continue;
    const [, member] = /^\{\{ (?:\.|index \. ")(\w+)"? \}\}$/.exec(value);
    assert.equal(`ESHOPZ_${member.toUpperCase()}`, name);
    assert.ok(documented.includes(`\`${member}\``), member);
  }
});

test('make-secrets makes what a shop with its database in the cluster reads', withKubectl, () => {
  const path = join(root, 'kustomize/components/postgres-in-cluster/make-secrets');
  const done = spawnSync(path, ['--namespace', 'trial'], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  const twice = spawnSync(path, { encoding: 'utf8' });
  assert.notEqual(done.stdout, twice.stdout.replaceAll('namespace: eshopz', 'namespace: trial'));
  const password = /^ {2}password: ([0-9a-f]{48})$/m.exec(done.stdout)[1];
  assert.ok(done.stdout.includes(`ESHOPZ_DATABASE_URL: postgres://shop:${password}@postgres:5432/shop\n`));
  for (const [, name] of done.stdout.matchAll(/^ {2}(ESHOPZ_\w+):/gm)) assert.ok(takes('serve').variables.has(name), name);
  assert.equal(done.stdout.match(/^ {2}namespace: trial$/gm).length, 2);
  assert.equal(spawnSync(path, ['--namespace', 'No such'], { encoding: 'utf8' }).status, 2);
  const [{ spec }] = of(objectsOf('overlays/dev'), 'StatefulSet');
  const { env } = spec.template.spec.containers[0];
  const named = (name) => env.find((one) => one.name === name);
  assert.deepEqual([named('POSTGRES_USER').value, named('POSTGRES_DB').value, named('POSTGRES_PASSWORD').valueFrom.secretKeyRef], ['shop', 'shop', { name: 'postgres', key: 'password' }]);
});

test('autoscalers ask for what prometheus-adapter is told to compute, of what is measured', withKubectl, () => {
  const values = read('components/hpa/prometheus-adapter.yaml');
  const [, computed] = /^ +as: (\w+)$/m.exec(values);
  const measured = readFileSync(join(root, 'docs/metrics.md'), 'utf8');
  for (const [, metric] of values.replace(/^ *#.*$/gm, '').matchAll(/\b(eshopz_\w+)_bucket\b/g)) assert.ok(measured.includes(`\`${metric}\``), metric);
  let asked = 0;
  for (const name of ['overlays/prod-combined', 'overlays/prod-split']) {
    for (const { metadata, spec } of of(objectsOf(name), 'HorizontalPodAutoscaler')) {
      assert.deepEqual(spec.metrics.map((one) => one.resource?.name ?? one.pods.metric.name), ['cpu', computed], metadata.name);
      assert.ok(spec.minReplicas >= 2, metadata.name);
      asked += 1;
    }
  }
  assert.equal(asked, 6);
  // The labels by which it knows whose a figure is are those that Prometheus gives to pods.
  for (const label of ['namespace', 'pod']) {
    assert.match(values, new RegExp(`^ +${label}: \\{resource: ${label}\\}$`, 'm'));
    assert.match(read('monitoring/prometheus/prometheus.yml'), new RegExp(`target_label: ${label}$`, 'm'));
  }
});

test('the load balancer is told all that the platform knows of it', withKubectl, () => {
  for (const name of ['staging', 'prod-combined', 'prod-split']) {
    const platform = settingsIn(`overlays/${name}/platform.env`);
    const [{ metadata, spec }] = of(objectsOf(`overlays/${name}`), 'Ingress');
    const says = (what) => metadata.annotations[`alb.ingress.kubernetes.io/${what}`];
    const told = { 'group.name': 'ALB_GROUP', 'load-balancer-name': 'ALB_NAME', scheme: 'ALB_SCHEME', subnets: 'ALB_SUBNETS', 'security-groups': 'ALB_SECURITY_GROUPS', 'certificate-arn': 'CERTIFICATE_ARN', 'wafv2-acl-arn': 'WAF_ACL_ARN' };
    for (const [what, key] of Object.entries(told)) assert.equal(says(what), platform[key], what);
    assert.equal(spec.rules[0].host, platform.HOST_NAME);
    // Health is asked for at the management port of whom the path leads to.
    for (const { backend: { service } } of spec.rules[0].http.paths) {
      const found = of(objectsOf(`overlays/${name}`), 'Service').find((one) => one.metadata.name === service.name);
      const port = found.metadata.annotations?.['alb.ingress.kubernetes.io/healthcheck-port'] ?? says('healthcheck-port');
      assert.equal(Number(port), service.port.number + 6000, service.name);
    }
    const { ESHOPZ_TRUSTED_PROXIES: proxies } = checks.variables(objectsOf(`overlays/${name}`), processes(objectsOf(`overlays/${name}`))[0].container);
    assert.equal(proxies, platform.ESHOPZ_TRUSTED_PROXIES);
  }
});

// --- Each check finds what it is there for --------------------------------------------------------------------------------------

const copy = (name) => structuredClone(objectsOf(name));
const find = (objects, kind, name) => objects.find((one) => one.kind === kind && one.metadata.name === name);
const containerOf = (objects, name) => find(objects, 'Deployment', name).spec.template.spec.containers[0];

for (const [what, message, check, plant] of [
  ['a ServiceAccount is missing', /there is no ServiceAccount cart-service/, checks.names, (o) => o.splice(o.indexOf(find(o, 'ServiceAccount', 'cart-service')), 1)],
  ['a Secret that nobody makes', /nobody makes the Secret other/, checks.names, (o) => containerOf(o, 'cart-service').envFrom.push({ secretRef: { name: 'other' } })],
  ['a Secret beside AWS', /from AWS and from a Secret/, checks.names, (o) => containerOf(o, 'cart-service').envFrom.push({ secretRef: { name: 'eshopz' } })],
  ['something that the platform did not fill in', /nothing of platform.env/, checks.names, (o) => { find(o, 'Ingress', 'eshopz').spec.rules[0].host = 'from platform.env'; }],
  ['a Service of two', /there are 2 workloads/, checks.selectors, (o) => { find(o, 'Deployment', 'user-service').spec.template.metadata.labels['app.kubernetes.io/name'] = 'eshopz-cart'; }],
  ['another port behind a Service', /http is 3003, not 3004/, checks.selectors, (o) => { find(o, 'Service', 'cart-service').spec.ports[0].port = 3004; }],
  ['replicas beside an autoscaler', /has replicas/, checks.selectors, (o) => { find(o, 'Deployment', 'order-service').spec.replicas = 3; }],
  ['an internal listener at the ingress', /is no public listener/, checks.selectors, (o) => { find(o, 'Ingress', 'eshopz').spec.rules[0].http.paths[0].backend.service.port.number = 4001; }],
  ['a flag that there is not', /serve knows no --fast/, (o) => checks.program(o), (o) => containerOf(o, 'cart-service').args.push('--fast=yes')],
  ['a command that there is not', /migrate knows no upwards/, (o) => checks.program(o), (o) => { find(o, 'Job', 'eshopz-migrate').spec.template.spec.containers[0].args[1] = 'upwards'; }],
  ['a variable that nobody reads', /nobody reads ESHOPZ_TYPO/, (o) => checks.program(o), (o) => { o.find(({ kind }) => kind === 'ConfigMap').data.ESHOPZ_TYPO = '1'; }],
  ['another port than the module\'s', /listens at 3009/, (o) => checks.program(o), (o) => { containerOf(o, 'cart-service').args[2] = '--listen=0.0.0.0:3009'; }],
  ['a probe that the program does not answer', /asks management for \/healthz/, (o) => checks.program(o), (o) => { containerOf(o, 'cart-service').livenessProbe.httpGet.path = '/healthz'; }],
  ['an address of nobody', /which is nobody/, (o) => checks.addresses(o, elsewhere), (o) => { o.find(({ kind }) => kind === 'ConfigMap').data.ESHOPZ_CART_URL = 'http://carts:4003'; }],
  ['a neighbour that is not named', /does not know where cart is/, (o) => checks.addresses(o, elsewhere), (o) => { delete o.find(({ kind }) => kind === 'ConfigMap').data.ESHOPZ_CART_URL; }],
  ['too little time to drain', /killed before it has drained/, checks.times, (o) => { o.find(({ kind }) => kind === 'ConfigMap').data.ESHOPZ_DRAIN_SECONDS = '30'; }],
  ['too little time to start', /killed while it waits/, checks.times, (o) => { containerOf(o, 'cart-service').startupProbe.failureThreshold = 10; }],
  ['an image that moves', /is not pinned/, checks.times, (o) => { containerOf(o, 'cart-service').image = 'eshopz:latest'; }],
  ['a container that may be root', /may be root/, checks.restricted, (o) => { find(o, 'Deployment', 'cart-service').spec.template.spec.securityContext.runAsNonRoot = false; }],
  ['a container without a limit', /no limits of memory/, checks.restricted, (o) => { delete containerOf(o, 'cart-service').resources.limits.memory; }],
  ['more pods than the quota has room for', /of limits.cpu there may be/, checks.quota, (o) => { find(o, 'HorizontalPodAutoscaler', 'cart-service').spec.maxReplicas = 100; }],
  ['a path that leads elsewhere', /\/api\/v1\/carts.* leads to order-service/, checks.paths, (o) => { find(o, 'Ingress', 'eshopz').spec.rules[0].http.paths.find(({ path }) => path === '/api/v1/carts').backend.service.name = 'order-service'; }],
  ['a path for everything', /\/metrics leads to/, checks.paths, (o) => { find(o, 'Ingress', 'eshopz').spec.rules[0].http.paths[0].path = '/'; }],
  ['a role of another', /has the role/, (o) => checks.roles(o, about('overlays/prod-split').platform), (o) => { find(o, 'ServiceAccount', 'cart-service').metadata.annotations['eks.amazonaws.com/role-arn'] = 'arn:aws:iam::123456789012:role/other'; }],
  ['a migration that is too late', /comes before the Job/, checks.order, (o) => { find(o, 'Job', 'eshopz-migrate').metadata.annotations = { 'argocd.argoproj.io/hook': 'PostSync', 'argocd.argoproj.io/sync-wave': '20' }; }],
  ['a module that may call upwards', /Deployment user-service, to internal of Deployment order-service, gets through/, (o) => network(o, { sns: true }), (o) => {
    const rule = { podSelector: { matchLabels: { 'app.kubernetes.io/name': 'eshopz-user' } } };
    o.push({ kind: 'NetworkPolicy', metadata: { name: 'a', namespace: 'eshopz' }, spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [{ from: [rule] }], egress: [{}] } });
  }],
  ['a call that is not let through', /Deployment order-service, to internal of Deployment cart-service, does not/, (o) => network(o, { sns: true }), (o) => o.splice(o.indexOf(find(o, 'NetworkPolicy', 'calls-cart')), 1)],
  ['no policy at all', /an address outside, to http/, (o) => network(o, { sns: true }), (o) => { for (const one of of(o, 'NetworkPolicy')) o.splice(o.indexOf(one), 1); }],
]) {
  test(`is found: ${what}`, withKubectl, () => {
    const objects = copy('overlays/prod-split');
    plant(objects);
    const wrong = check(objects);
    assert.ok(wrong.some((each) => message.test(each)), `${message}: ${JSON.stringify(wrong.slice(0, 5))}`);
  });
}
