// What runs the monitoring in Kubernetes: that it is whole, that whom Prometheus asks is there, that nobody may more than he
// needs, and that an alert reaches somebody. With kubectl the manifests are looked at as a cluster would get them; without
// it only what can be read from the files is. No cluster is needed.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';

import { root, temporaryFolder } from '../browser/shop.mjs';
import { kubectl, withKubectl } from './kubectl.mjs';

const folder = join(root, 'kustomize/monitoring');
const read = (path) => readFileSync(join(folder, path), 'utf8');

const NAME = 'app.kubernetes.io/name';

/** Who asks Kubernetes for something, and so has a token. */
const ASKS_KUBERNETES = ['prometheus', 'kube-state-metrics'];

/** What the AWS Distro for OpenTelemetry 0.49 has, of pkg/defaultcomponents/defaults.go, as far as traces go. */
const ADOT = {
  extensions: ['awsproxy', 'ecs_observer', 'file_storage', 'health_check', 'pprof', 'sigv4auth', 'zpages'],
  receivers: ['awsxray', 'jaeger', 'kafka', 'otlp', 'zipkin'],
  processors: ['attributes', 'batch', 'filter', 'groupbytrace', 'k8sattributes', 'memory_limiter', 'probabilistic_sampler',
    'resource', 'resourcedetection', 'span', 'tail_sampling'],
  exporters: ['awsxray', 'debug', 'file', 'kafka', 'loadbalancing', 'otlp', 'otlphttp'],
};

/** All that a cluster would get. kubectl reads the YAML, since node does not. */
function render(path) {
  const built = kubectl(['kustomize', path]);
  assert.equal(built.status, 0, built.stderr);
  const told = kubectl(['annotate', '--local', '-f', '-', 'read-by=test', '-o', 'json'], built.stdout);
  assert.equal(told.status, 0, told.stderr);
  return told.stdout.trim().split(/(?<=^\})\n(?=\{)/m).map((text) => JSON.parse(text));
}

const all = withKubectl.skip ? [] : render(folder);
const of = (kind) => all.filter((each) => each.kind === kind);
const title = ({ kind, metadata }) => `${kind} ${metadata.name}`;

/** What runs: a workload, its pod, and all containers of that. */
const workloads = all.filter(({ kind }) => ['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob', 'Job'].includes(kind))
  .map((each) => {
    const { metadata, spec: pod } = each.kind === 'CronJob' ? each.spec.jobTemplate.spec.template : each.spec.template;
    return {
      title: title(each), namespace: each.metadata.namespace, labels: metadata.labels, pod,
      containers: [...pod.initContainers ?? [], ...pod.containers],
    };
  });

const matches = (selector, labels) => Object.entries(selector).every(([name, value]) => labels[name] === value);

/** Files of the folder, whichever kind they are of. */
function files(path = folder) {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (
    entry.isDirectory() ? files(join(path, entry.name)) : [join(path, entry.name)]));
}

const alerts = [...read('prometheus/rules/alerts.yml').matchAll(/^ {6}- alert: (\S+)\n(?:(?! {6}- alert:).*\n)*? {8}labels: \{severity: (\w+)\}/gm)]
  .map(([, name, severity]) => ({ name, severity }));

test('all of it renders, into the namespace of the monitoring or that of the shop', withKubectl, () => {
  const CLUSTER = ['Namespace', 'ClusterRole', 'ClusterRoleBinding'];
  for (const each of all) {
    if (CLUSTER.includes(each.kind)) continue;
    assert.ok(['monitoring', 'eshopz'].includes(each.metadata.namespace), `${title(each)}: ${each.metadata.namespace}`);
  }
  // Beside the shop is only what has to be.
  const beside = all.filter(({ metadata }) => metadata.namespace === 'eshopz').map(title).sort();
  assert.deepEqual(beside, ['Role kube-state-metrics', 'Role prometheus',
    'RoleBinding kube-state-metrics', 'RoleBinding prometheus']);
  assert.equal(new Set(all.map((each) => `${each.metadata.namespace} ${title(each)}`)).size, all.length);
});

test('each folder renders by itself', withKubectl, () => {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    assert.ok(existsSync(join(folder, entry.name, 'kustomization.yaml')), `${entry.name} has no kustomization.yaml`);
    assert.ok(existsSync(join(folder, entry.name, 'README.md')), `${entry.name} has no README.md`);
    assert.ok(render(join(folder, entry.name)).length > 0, entry.name);
  }
});

/** Whom Prometheus asks and tells, by name and port. What it finds by itself and itself are not among these. */
const asked = [...read('prometheus/prometheus.yml').matchAll(/([a-z-]+)\.monitoring\.svc:(\d+)/g)]
  .map(([, name, port]) => ({ name, port: Number(port) }));

test('whom Prometheus asks is a Service with that port, with one pod behind it that lets Prometheus in', withKubectl, () => {
  assert.ok(asked.length >= 8, 'it asks hardly anybody');
  const grafana = { name: 'prometheus', port: 9090, from: 'grafana' };
  for (const { name, port, from = 'prometheus' } of [...asked, grafana]) {
    const service = of('Service').find(({ metadata }) => metadata.name === name && metadata.namespace === 'monitoring');
    assert.ok(service, `there is no Service ${name}`);
    const opened = service.spec.ports.find((each) => each.port === port);
    assert.ok(opened, `the Service ${name} has no port ${port}`);
    const behind = workloads.filter(({ namespace, labels }) => namespace === 'monitoring' && matches(service.spec.selector, labels));
    assert.equal(behind.length, 1, `behind the Service ${name} there are ${behind.map((each) => each.title)}`);
    const ports = behind[0].containers.flatMap((container) => container.ports ?? []);
    const reached = ports.find((each) => [each.name, each.containerPort].includes(opened.targetPort));
    assert.equal(reached?.containerPort, port, `nothing of ${name} listens at ${opened.targetPort}`);
    const policy = of('NetworkPolicy').find(({ spec }) => matches(spec.podSelector.matchLabels, behind[0].labels));
    const lets = policy.spec.ingress.some((rule) => rule.ports.some((each) => each.port === port)
      && rule.from.some(({ namespaceSelector, podSelector }) => !namespaceSelector && podSelector?.matchLabels?.[NAME] === from));
    assert.ok(lets, `${name} does not let ${from} in at ${port}`);
    const own = of('NetworkPolicy').find(({ metadata }) => metadata.name === from);
    const goes = own.spec.egress.some((rule) => rule.ports.some((each) => each.port === port));
    assert.ok(goes, `${from} does not get out to ${port}`);
  }
});

test('every file of rules is in the pod of Prometheus', withKubectl, () => {
  const names = readdirSync(join(folder, 'prometheus/rules'));
  const generated = of('ConfigMap').find(({ metadata }) => metadata.name === 'prometheus-rules');
  assert.deepEqual(Object.keys(generated.data).sort(), names.sort());
  const [{ projected }] = workloads.find((each) => each.title === 'StatefulSet prometheus').pod.volumes;
  const paths = projected.sources.flatMap(({ configMap }) => configMap.items.map(({ path }) => path));
  assert.deepEqual(paths.sort(), ['prometheus.yml', ...names.map((name) => `rules/${name}`)].sort());
  for (const name of names) assert.ok(read('prometheus/prometheus.yml').includes(`- rules/${name}\n`), name);
});

test('images are pinned', withKubectl, () => {
  const images = workloads.flatMap(({ containers }) => containers.map(({ image }) => image));
  assert.ok(images.length >= 8);
  for (const image of images) assert.match(image, /^[a-z][a-z0-9./-]*:v?\d+\.\d+\.\d+(-[a-z]+)?$/);
});

test('nothing is to be had from outside, and nothing gets at the machine', withKubectl, () => {
  for (const service of of('Service')) {
    assert.equal(service.spec.type, 'ClusterIP', title(service));
    assert.equal(service.spec.externalIPs, undefined);
  }
  assert.deepEqual(all.filter(({ kind }) => ['Ingress', 'HTTPRoute', 'Gateway'].includes(kind)).map(title), []);
  for (const { title: name, pod, containers } of workloads) {
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) assert.ok(!pod[field], `${name}: ${field}`);
    assert.ok(!(pod.volumes ?? []).some(({ hostPath }) => hostPath), `${name}: hostPath`);
    assert.ok(!containers.some(({ ports }) => (ports ?? []).some(({ hostPort }) => hostPort)), `${name}: hostPort`);
  }
});

test('everything runs with limits, as nobody, and writes nowhere but into its volumes', withKubectl, () => {
  for (const { title: name, labels, pod, containers } of workloads) {
    const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext;
    assert.ok(runAsNonRoot && runAsUser > 0, `${name} may be root`);
    assert.equal(seccompProfile.type, 'RuntimeDefault', name);
    const asks = ASKS_KUBERNETES.includes(labels[NAME]);
    assert.equal(pod.automountServiceAccountToken, asks, `${name}: automountServiceAccountToken`);
    assert.equal(pod.enableServiceLinks, false, name);
    for (const { name: container, resources, securityContext } of containers) {
      for (const kind of ['requests', 'limits']) {
        for (const what of ['cpu', 'memory']) assert.ok(resources?.[kind]?.[what], `${name}, ${container}: no ${kind} of ${what}`);
      }
      assert.equal(securityContext.readOnlyRootFilesystem, true, `${name}, ${container}`);
      assert.equal(securityContext.allowPrivilegeEscalation, false, `${name}, ${container}`);
      assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] }, `${name}, ${container}`);
    }
  }
});

test('every pod has a network policy, for both ways', withKubectl, () => {
  for (const { title: name, namespace, labels } of workloads) {
    if (namespace !== 'monitoring') continue;
    const own = of('NetworkPolicy').filter(({ spec }) => matches(spec.podSelector.matchLabels, labels));
    assert.equal(own.length, 1, name);
    assert.deepEqual(own[0].spec.policyTypes, ['Ingress', 'Egress'], name);
    // A rule without ports, or one that lets in whoever comes, would be none.
    for (const rule of own[0].spec.ingress ?? []) assert.ok(rule.ports?.length && rule.from?.length, name);
    for (const rule of own[0].spec.egress ?? []) assert.ok(rule.ports?.length, name);
  }
});

test('nobody may change anything in Kubernetes, or read a Secret', withKubectl, () => {
  for (const role of [...of('Role'), ...of('ClusterRole')]) {
    for (const { apiGroups, resources, verbs } of role.rules) {
      assert.deepEqual(apiGroups, [''], title(role));
      for (const verb of verbs) assert.ok(['get', 'list', 'watch'].includes(verb), `${title(role)}: ${verb}`);
      const may = role.kind === 'Role' ? ['pods'] : ['nodes', 'nodes/metrics'];
      for (const resource of resources) assert.ok(may.includes(resource), `${title(role)}: ${resource}`);
    }
  }
  for (const binding of [...of('RoleBinding'), ...of('ClusterRoleBinding')]) {
    for (const { kind, name, namespace } of binding.subjects) {
      assert.ok(kind === 'ServiceAccount' && namespace === 'monitoring' && ASKS_KUBERNETES.includes(name), title(binding));
    }
  }
});

test('no secret is in git', withKubectl, () => {
  assert.deepEqual(of('Secret'), []);
  // Each that a pod needs is in the list of those to be made.
  const needed = new Set(workloads.flatMap(({ namespace, pod, containers }) => [
    ...(pod.volumes ?? []).map(({ secret }) => secret?.secretName),
    ...containers.flatMap(({ envFrom }) => (envFrom ?? []).map(({ secretRef }) => secretRef?.name)),
    ...containers.flatMap(({ env }) => (env ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef?.name)),
  ].filter(Boolean).map((name) => `${namespace}/${name}`)));
  const listed = [...read('README.md').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => `monitoring/${name}`);
  assert.deepEqual([...needed].sort(), listed.sort());
});

test('no file has what would be a secret', () => {
  const forms = [
    /^kind: Secret$/m, /^secretGenerator:/m, /-----BEGIN [A-Z ]*PRIVATE KEY-----/, /\bAKIA[0-9A-Z]{16}\b/,
    /hooks\.slack\.com\/services\//, /\b(?:routing_key|service_key|api_url|slack_api_url|auth_password|smtp_auth_password|bearer_token|password): *(?!\$(?:__file|\{))\S/,
  ];
  for (const path of files().filter((name) => /\.(ya?ml|ini|sql|json)$/.test(name) && !name.includes('/tests/'))) {
    const text = readFileSync(path, 'utf8').replace(/^ *# .*$/gm, '');
    for (const form of forms) assert.doesNotMatch(text, form, relative(root, path));
  }
});

test('the Alertmanager knows every severity, and every alert that it leaves out', () => {
  const text = read('alertmanager/alertmanager.yml');
  assert.equal(alerts.length, [...read('prometheus/rules/alerts.yml').matchAll(/^ {6}- alert: /gm)].length, 'this test does not see all alerts');
  const routed = [...text.matchAll(/^ {4}- matchers: \['severity="(\w+)"'\]\n {6}receiver: (\w+)$/gm)];
  const severities = new Set(alerts.map(({ severity }) => severity));
  assert.deepEqual(routed.map(([, severity]) => severity).sort(), [...severities].sort());
  const receivers = [...text.matchAll(/^ {2}- name: (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(new Set(routed.map(([, , receiver]) => receiver)), new Set(receivers));
  assert.ok(receivers.includes(/^ {2}receiver: (\w+)$/m.exec(text)[1]), 'what has no severity goes nowhere');
  // A page is never left out for a ticket.
  const severityOf = new Map(alerts.map(({ name, severity }) => [name, severity]));
  const inhibited = text.slice(text.indexOf('\ninhibit_rules:'), text.indexOf('\nreceivers:'));
  const rules = inhibited.split(/^ {2}- source_matchers: /m).slice(1);
  assert.ok(rules.length >= 10);
  for (const rule of rules) {
    const [source, target] = rule.split('target_matchers:').map((part) => expanded(/alertname=~?"([^"]+)"/.exec(part)[1]));
    for (const name of [...source, ...target]) assert.ok(severityOf.has(name), `there is no alert ${name}`);
    for (const name of source) assert.ok(!target.includes(name), `${name} leaves itself out`);
    if (source.some((name) => severityOf.get(name) !== 'page')) {
      for (const name of target) assert.equal(severityOf.get(name), 'ticket', `${name} is left out for ${source}`);
    }
    assert.ok(!target.includes('EshopzWatchdog'), 'the heartbeat never stops');
  }
});

/** The names that a pattern stands for: alternatives, and one group of them. */
function expanded(pattern) {
  const group = /^(\w+)\(([\w|]+)\)$/.exec(pattern);
  return group ? group[2].split('|').map((end) => group[1] + end) : pattern.split('|');
}

const amtool = (...words) => spawnSync('amtool', words, { encoding: 'utf8' });
const withAmtool = { skip: amtool('--version').error ? 'there is no amtool' : false };

test('amtool takes the configuration, and sends each severity where it belongs', withAmtool, () => {
  const copy = temporaryFolder();
  try {
    // Debian's is older than `url_file`.
    const path = join(copy, 'alertmanager.yml');
    writeFileSync(path, read('alertmanager/alertmanager.yml').replace(/(?<=- )url_file: \S+heartbeat-url/, 'url: http://127.0.0.1:1/'));
    const checked = amtool('check-config', path);
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    for (const [severity, receiver] of [['page', 'pager'], ['ticket', 'tickets'], ['heartbeat', 'heartbeat'], ['unheard-of', 'tickets']]) {
      const routed = amtool('config', 'routes', 'test', '--config.file', path, `severity=${severity}`, 'namespace=eshopz');
      assert.equal(routed.stdout.trim(), receiver, severity);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});

test('CloudWatch is asked for what alerts and runbooks ask for', () => {
  const config = read('exporters/config/cloudwatch.yml');
  // As the exporter makes them.
  const words = (text) => text.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
  const items = config.split(/^ {2}- aws_namespace: /m).slice(1);
  const told = new Set(items.flatMap((item) => {
    const field = (name) => new RegExp(`^ {4}${name}: (.*)$`, 'm').exec(item)[1];
    const statistics = field('aws_statistics').replace(/[[\]\s]/g, '').split(',');
    return statistics.map((each) => `${item.split('\n')[0].toLowerCase().replace('/', '_')}_${words(field('aws_metric_name'))}_${words(each)}`);
  }));
  const runbooks = readdirSync(join(root, 'docs/runbooks')).map((name) => readFileSync(join(root, 'docs/runbooks', name), 'utf8'));
  const wanted = new Set([read('prometheus/rules/alerts.yml'), ...runbooks].join('\n').match(/\baws_[a-z0-9_]+/g));
  assert.ok(wanted.size >= 4);
  for (const metric of wanted) assert.ok(told.has(metric), `CloudWatch is not asked for ${metric}`);
  // With CloudWatch's own times Prometheus does not see them as of now.
  assert.match(config, /^set_timestamp: false$/m);
});

test('kube-state-metrics tells what Prometheus keeps', () => {
  const told = /--metric-allowlist=(\S+)/.exec(read('exporters/kube-state-metrics.yaml'))[1].split(',');
  const kept = /regex: (kube_\S+)/.exec(read('prometheus/prometheus.yml'))[1].split('|');
  assert.deepEqual(told.sort(), kept.sort());
});

test('the probe of Prometheus is one that the blackbox exporter has', () => {
  const probe = /module: \[(\w+)\]/.exec(read('prometheus/prometheus.yml'))[1];
  assert.match(read('exporters/config/blackbox.yml'), new RegExp(`^ {2}${probe}:$`, 'm'));
});

test('the collector is made of what its image has, and all of it is used', () => {
  const text = read('otel/collector.yaml');
  const pipeline = text.slice(text.indexOf('\nservice:'));
  for (const [kind, known] of Object.entries(ADOT)) {
    const section = new RegExp(`^${kind}:\\n((?: .*\\n|\\n|#.*\\n)+)`, 'm').exec(text)[1];
    const made = [...section.matchAll(/^ {2}([a-z_0-9]+):/gm)].map(([, name]) => name);
    const used = new RegExp(`^ {2,6}${kind}: \\[(.*)\\]$`, 'm').exec(pipeline)[1].split(', ');
    assert.deepEqual([...used].sort(), [...made].sort(), kind);
    for (const name of made) assert.ok(known.includes(name), `${kind}: the image has no ${name}`);
  }
  // In this order: no memory for what is thrown away anyway, and no trace in two batches before it is decided on.
  assert.match(pipeline, /processors: \[memory_limiter, tail_sampling, batch\]/);
});

test('the job pushes what was found, and nothing when it could not look', () => {
  const block = /^( +)- \|\n((?:\1 {2}.*\n)+)/m.exec(read('exporters/verify/verify.yaml'));
  const script = block[2].replaceAll(new RegExp(`^${block[1]} {2}`, 'gm'), '');
  assert.match(script, /pushgateway\.monitoring\.svc:9091\/metrics\/job\/eshopz-verify\/namespace\/\$NAMESPACE/);
  const copy = temporaryFolder();
  const program = (name, text) => {
    writeFileSync(join(copy, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(copy, name), 0o755);
  };
  const run = (verify) => {
    rmSync(join(copy, 'pushed'), { force: true });
    program('eshopz', verify);
    const done = spawnSync('sh', ['-euc', script.replaceAll('/tools/busybox', join(copy, 'tools'))], {
      encoding: 'utf8', env: { PATH: `${copy}:${process.env.PATH}`, NAMESPACE: 'eshopz' },
    });
    const pushed = join(copy, 'pushed');
    return { ...done, pushed: existsSync(pushed) ? readFileSync(pushed, 'utf8') : null };
  };
  try {
    // In the place of busybox: what it would send is written down.
    program('tools', `[ "$1" = timeout ] && shift 3
    case $1 in
      wget) while [ "$1" != --post-data ]; do shift; done; printf '%s' "$2" >'${join(copy, 'pushed')}';;
      *) exec "$@";;
    esac`);
    const line = (count) => `eshopz_verify_problems{rule="stock_ledger"} ${count}\n`;
    const well = run(`[ "$*" = 'verify --metrics' ] && printf '%s' '${line(0)}'`);
    assert.deepEqual([well.status, well.pushed], [0, line(0)], well.stderr);
    const ill = run(`printf '%s' '${line(2)}'; exit 1`);
    assert.deepEqual([ill.status, ill.pushed], [0, line(2)], ill.stderr);
    const away = run('echo "the database is away" >&2; exit 1');
    assert.deepEqual([away.status, away.pushed], [1, null]);
    assert.match(away.stderr, /the database is away\neshopz verify has ended with 1 and told no figures/);
    const unknown = run('echo "unexpected argument --metrics" >&2; exit 2');
    assert.deepEqual([unknown.status, unknown.pushed], [1, null]);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});
