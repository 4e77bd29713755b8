// What has to hold of everything that a cluster would get. Each check takes the objects and answers what is wrong with them, so that
// it can also be shown what is.

import { documents, graph, managementPaths, takes } from './render.mjs';

const NAME = 'app.kubernetes.io/name';
const COMPONENT = 'app.kubernetes.io/component';

export const title = ({ kind, metadata }) => `${kind} ${metadata.name}`;
export const of = (objects, kind) => objects.filter((each) => each.kind === kind);
export const matches = ({ matchLabels = {}, matchExpressions = [] }, labels = {}) => (
  Object.entries(matchLabels).every(([name, value]) => labels[name] === value)
  && matchExpressions.every(({ key, operator, values }) => {
    if (operator !== 'In') throw new Error(`what is ${operator}?`);
    return values.includes(labels[key]);
  }));

const template = (each) => (each.kind === 'CronJob' ? each.spec.jobTemplate.spec.template : each.spec.template);

/** What runs: its pods, and their containers. */
export const workloads = (objects) => objects
  .filter(({ kind }) => ['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob', 'Job'].includes(kind))
  .map((each) => {
    const { metadata, spec: pod } = template(each);
    return { each, title: title(each), labels: metadata.labels, pod, containers: [...pod.initContainers ?? [], ...pod.containers] };
  });

/** The processes of the shop, by the modules that they run. */
export const processes = (objects) => workloads(objects).filter(({ labels }) => labels[COMPONENT] === 'shop').map((one) => {
  const [{ args }] = one.containers;
  const modules = args.find((word) => word.startsWith('--modules=')).slice('--modules='.length);
  return { ...one, container: one.containers[0], modules: modules === 'all' ? Object.keys(graph()) : modules.split(',') };
});

/** Is of the shop's own image. */
const isShop = ({ image }) => /(^|\/)eshopz(-[a-z]+)?(:|@|$)/.test(image);

/** What a container's variables are, as far as they are written down; those of a Secret have no value. */
export function variables(objects, { env = [], envFrom = [] }) {
  const all = {};
  for (const { configMapRef, secretRef } of envFrom) {
    if (configMapRef) Object.assign(all, of(objects, 'ConfigMap').find(({ metadata }) => metadata.name === configMapRef.name)?.data);
    if (secretRef) for (const name of secretMembers(objects, secretRef.name)) all[name] = undefined;
  }
  for (const { name, value } of env) all[name] = value;
  return all;
}

/** Whoever makes it, by hand or as an ExternalSecret. */
const secretMembers = (objects, name) => Object.keys(
  of(objects, 'ExternalSecret').find(({ spec }) => spec.target.name === name)?.spec.target.template.data ?? {});

/** Variables that are read by others than the settings of the program. */
const OTHERS = {
  RUST_LOG: 'src/telemetry.rs reads it',
  NAMESPACE: 'the script of eshopz-verify says where it runs',
};

const memory = (text) => {
  const [, number, unit] = /^(\d+)(Ki|Mi|Gi)$/.exec(text);
  return Number(number) * { Ki: 1 / 1024, Mi: 1, Gi: 1024 }[unit];
};
const processors = (text) => (text.endsWith('m') ? Number(text.slice(0, -1)) / 1000 : Number(text));
const seconds = (probe) => (probe.initialDelaySeconds ?? 0) + (probe.periodSeconds ?? 10) * (probe.failureThreshold ?? 3);

/** Names: nothing twice, nothing left over from the making, nobody named who is not there. */
export function names(objects) {
  const wrong = [];
  const seen = new Set();
  for (const each of objects) {
    const key = `${each.metadata.namespace} ${title(each)}`;
    if (seen.has(key)) wrong.push(`${key} is there twice`);
    seen.add(key);
    if (each.metadata.namespace !== 'eshopz') wrong.push(`${title(each)} is in ${each.metadata.namespace}`);
    if (JSON.stringify(each).includes('from platform.env')) wrong.push(`${title(each)} has got nothing of platform.env`);
    if (each.kind === 'ConfigMap' && each.metadata.name === 'platform') wrong.push('platform.env gets into the cluster');
    if (['Secret', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'].includes(each.kind)) wrong.push(`${title(each)} is not ours to make`);
  }
  const has = (kind, name) => of(objects, kind).some(({ metadata }) => metadata.name === name);
  for (const { title: whose, pod, containers } of workloads(objects)) {
    const account = pod.serviceAccountName;
    if (account && !has('ServiceAccount', account)) wrong.push(`${whose}: there is no ServiceAccount ${account}`);
    for (const { envFrom = [], env = [] } of containers) {
      for (const { configMapRef } of envFrom) {
        if (configMapRef && !has('ConfigMap', configMapRef.name)) wrong.push(`${whose}: there is no ConfigMap ${configMapRef.name}`);
      }
      const secrets = [...envFrom.map((one) => one.secretRef?.name), ...env.map((one) => one.valueFrom?.secretKeyRef?.name)].filter(Boolean);
      for (const name of secrets) {
        if (!['eshopz', 'postgres'].includes(name)) wrong.push(`${whose}: nobody makes the Secret ${name}`);
      }
      const fromAws = envFrom.some(({ configMapRef }) => variables(objects, { envFrom: [{ configMapRef }] }).ESHOPZ_SECRETS)
        || env.some(({ name }) => name === 'ESHOPZ_SECRETS');
      if (fromAws && secrets.includes('eshopz')) wrong.push(`${whose} reads its secrets from AWS and from a Secret that is not there`);
    }
    for (const { name, configMap } of pod.volumes ?? []) {
      // The certificates of the database's server are made by hand, as kustomize/README.md says.
      if (configMap && configMap.name !== 'database-ca' && !has('ConfigMap', configMap.name)) wrong.push(`${whose}: there is nothing for the volume ${name}`);
    }
  }
  for (const { kind, metadata } of objects) {
    if (kind !== 'ConfigMap') continue;
    const used = workloads(objects).some(({ containers }) => containers.some(({ envFrom = [] }) => (
      envFrom.some(({ configMapRef }) => configMapRef?.name === metadata.name))));
    if (!used) wrong.push(`nobody reads the ConfigMap ${metadata.name}`);
  }
  return wrong;
}

/** Whoever selects something gets what he means, once. */
export function selectors(objects) {
  const wrong = [];
  const running = workloads(objects);
  for (const { title: whose, each, labels } of running) {
    if (each.spec.selector && !matches(each.spec.selector, labels)) wrong.push(`${whose} does not select its own pods`);
    for (const spread of running.find((one) => one.each === each).pod.topologySpreadConstraints ?? []) {
      if (!matches(spread.labelSelector, labels)) wrong.push(`${whose} spreads others than its own pods`);
    }
  }
  const behind = (selector) => running.filter(({ labels }) => matches(selector, labels));
  for (const service of of(objects, 'Service')) {
    const found = behind({ matchLabels: service.spec.selector });
    if (found.length !== 1) wrong.push(`behind ${title(service)} there are ${found.length} workloads`);
    for (const { port, targetPort } of service.spec.ports) {
      const reached = found[0]?.containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === targetPort);
      // Network policies of AWS want both to be the same.
      if (reached?.containerPort !== port) wrong.push(`${title(service)}: ${targetPort} is ${reached?.containerPort}, not ${port}`);
    }
  }
  for (const budget of of(objects, 'PodDisruptionBudget')) {
    if (behind(budget.spec.selector).length !== 1) wrong.push(`${title(budget)} selects ${behind(budget.spec.selector).length} workloads`);
  }
  for (const { metadata, spec } of of(objects, 'HorizontalPodAutoscaler')) {
    const target = of(objects, spec.scaleTargetRef.kind).find((one) => one.metadata.name === spec.scaleTargetRef.name);
    if (!target) wrong.push(`HorizontalPodAutoscaler ${metadata.name}: there is no ${spec.scaleTargetRef.name}`);
    if (target?.spec.replicas !== undefined) wrong.push(`${title(target)} has replicas, and somebody who sets them`);
  }
  for (const { spec } of of(objects, 'Ingress')) {
    for (const { path, backend: { service } } of spec.rules.flatMap(({ http }) => http.paths)) {
      const found = of(objects, 'Service').find(({ metadata }) => metadata.name === service.name);
      if (!found?.spec.ports.some(({ name, port }) => name === 'http' && port === service.port.number)) {
        wrong.push(`${path} leads to ${service.name}:${service.port.number}, which is no public listener`);
      }
    }
  }
  return wrong;
}

/** Commands, flags, variables, ports and paths are the program's. */
export function program(objects) {
  const wrong = [];
  const modules = graph();
  for (const { title: whose, containers } of workloads(objects)) {
    for (const container of containers.filter(isShop)) {
      const [command, ...rest] = container.args ?? ['verify'];
      const { flags, variables: known, words } = takes(command);
      for (const word of rest) {
        const flag = word.split('=')[0];
        if (word.startsWith('--') ? !flags.has(flag) : !words.has(word)) wrong.push(`${whose}: ${command} knows no ${word}`);
      }
      for (const name of Object.keys(variables(objects, container))) {
        if (!known.has(name) && !(name in OTHERS) && !takes('serve').variables.has(name)) wrong.push(`${whose}: nobody reads ${name}`);
      }
    }
  }
  for (const { title: whose, container, modules: run } of processes(objects)) {
    const open = Number(/:(\d+)$/.exec(container.args.find((word) => word.startsWith('--listen=')))?.[1]);
    const own = run.length === 1 ? modules[run[0]] : { public: 3000, internal: 4000, management: 9000 };
    const expected = { http: own.public, internal: own.internal, management: own.management };
    if (open !== own.public) wrong.push(`${whose} listens at ${open}, not at ${own.public}`);
    for (const { name, containerPort } of container.ports) {
      if (expected[name] !== containerPort) wrong.push(`${whose}: ${name} is ${expected[name]}, not ${containerPort}`);
    }
    for (const kind of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      const { path, port } = container[kind]?.httpGet ?? {};
      if (port !== 'management' || !managementPaths.has(path)) wrong.push(`${whose}: the ${kind} asks ${port} for ${path}`);
    }
  }
  return wrong;
}

/** The addresses among the settings are Services with such a port; `elsewhere` are those of the monitoring. */
export function addresses(objects, elsewhere) {
  const wrong = [];
  for (const { metadata, data } of of(objects, 'ConfigMap')) {
    for (const [name, value] of Object.entries(data)) {
      const [, host, port] = /^(?:http|redis):\/\/([^/:]+):(\d+)$/.exec(value) ?? [];
      if (!host) continue;
      const [service, namespace = 'eshopz'] = host.split('.');
      const there = of([...objects, ...elsewhere], 'Service')
        .find((one) => one.metadata.name === service && one.metadata.namespace === namespace);
      if (!there?.spec.ports.some((one) => one.port === Number(port))) wrong.push(`${metadata.name}: ${name} is ${value}, which is nobody`);
    }
  }
  const settings = Object.assign({}, ...of(objects, 'ConfigMap').map(({ data }) => data));
  const modules = graph();
  for (const { modules: run, title: whose } of processes(objects)) {
    // As the program has it: whom it calls, and who hears it unless events go by queues.
    const needed = run.flatMap((one) => [...modules[one].calls, ...(settings.ESHOPZ_EVENTS === 'sns' ? [] : modules[one].tells)]);
    for (const other of needed.filter((one) => !run.includes(one))) {
      const url = settings[`ESHOPZ_${other.toUpperCase()}_URL`];
      if (url !== `http://${other}-service:${modules[other].internal}`) wrong.push(`${whose} does not know where ${other} is`);
    }
  }
  return wrong;
}

/** How a process comes and goes fits to how long it is waited for. */
export function times(objects) {
  const wrong = [];
  for (const { title: whose, container, pod, each } of processes(objects)) {
    const settings = variables(objects, container);
    const [drain, grace, startup] = ['DRAIN', 'GRACE', 'STARTUP'].map((name) => Number(settings[`ESHOPZ_${name}_SECONDS`]));
    const pause = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
    // Three more, in which it notes what it has left.
    if (!(pod.terminationGracePeriodSeconds >= pause + drain + grace + 3)) wrong.push(`${whose} is killed before it has drained`);
    if (!(pause > 0 && drain > 0)) wrong.push(`${whose} goes before anybody can have noticed`);
    if (!(seconds(container.startupProbe) > startup)) wrong.push(`${whose} is killed while it waits for its database`);
    if (!(each.spec.progressDeadlineSeconds > seconds(container.startupProbe))) wrong.push(`${whose}: a roll-out is given up before a start is`);
    if (each.spec.strategy.rollingUpdate.maxUnavailable !== 0) wrong.push(`${whose}: a roll-out takes pods away`);
    const zones = (pod.topologySpreadConstraints ?? []).map(({ topologyKey }) => topologyKey);
    if (!zones.includes('topology.kubernetes.io/zone')) wrong.push(`${whose} may be in one zone only`);
  }
  for (const { title: whose, labels, containers } of workloads(objects)) {
    if (labels[COMPONENT] === 'shop' && labels[NAME].split('-')[0] !== 'eshopz') wrong.push(`${whose}: Prometheus has no name for it`);
    // Lines and figures of a database are none of the shop's.
    const isOurs = !['redis', 'postgres'].includes(labels[COMPONENT]);
    if ((labels['app.kubernetes.io/part-of'] === 'eshopz') !== isOurs) wrong.push(`${whose} is part of ${labels['app.kubernetes.io/part-of']}`);
    for (const { name, image } of containers) {
      if (!/^[a-z0-9][a-z0-9.:/-]*(@sha256:[0-9a-f]{64}|:[A-Za-z0-9_][\w.-]*)$/.test(image) || image.endsWith(':latest')) wrong.push(`${whose}: the image of ${name} is not pinned: ${image}`);
    }
  }
  return wrong;
}

/** As the standard `restricted` of Kubernetes has it, and more. */
export function restricted(objects) {
  const wrong = [];
  for (const { title: whose, pod, containers } of workloads(objects)) {
    const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext ?? {};
    if (!runAsNonRoot || !(runAsUser > 0)) wrong.push(`${whose} may be root`);
    if (seccompProfile?.type !== 'RuntimeDefault') wrong.push(`${whose} may make any call of the kernel`);
    if (pod.automountServiceAccountToken !== false) wrong.push(`${whose} gets a token of Kubernetes, which it has no use for`);
    if (pod.enableServiceLinks !== false) wrong.push(`${whose} is told of each Service`);
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) if (pod[field]) wrong.push(`${whose}: ${field}`);
    for (const volume of pod.volumes ?? []) {
      if (!['emptyDir', 'configMap', 'secret', 'projected'].some((kind) => volume[kind])) wrong.push(`${whose}: the volume ${volume.name} is of a kind that is not allowed`);
      if (volume.emptyDir && !volume.emptyDir.sizeLimit) wrong.push(`${whose}: the volume ${volume.name} may fill the node`);
    }
    for (const { name, resources, securityContext = {}, ports = [] } of containers) {
      for (const kind of ['requests', 'limits']) {
        for (const what of ['cpu', 'memory']) if (!resources?.[kind]?.[what]) wrong.push(`${whose}, ${name}: no ${kind} of ${what}`);
      }
      if (securityContext.readOnlyRootFilesystem !== true) wrong.push(`${whose}, ${name} may write into its image`);
      if (securityContext.allowPrivilegeEscalation !== false) wrong.push(`${whose}, ${name} may get more rights`);
      if (JSON.stringify(securityContext.capabilities) !== '{"drop":["ALL"]}') wrong.push(`${whose}, ${name} keeps capabilities`);
      if (ports.some(({ hostPort }) => hostPort)) wrong.push(`${whose}, ${name} is at a port of its node`);
    }
  }
  for (const { metadata, automountServiceAccountToken } of of(objects, 'ServiceAccount')) {
    if (automountServiceAccountToken !== false) wrong.push(`ServiceAccount ${metadata.name} hands out tokens`);
  }
  for (const service of of(objects, 'Service')) if (service.spec.type !== 'ClusterIP') wrong.push(`${title(service)} is to be had from outside`);
  return wrong;
}

/** All pods that there may be at once fit into the quota, and each into its limits. */
export function quota(objects) {
  const [limits] = of(objects, 'ResourceQuota');
  if (!limits) return [];
  const wrong = [];
  const [{ spec: { limits: [{ max }] } }] = of(objects, 'LimitRange');
  const sum = { pods: 0, 'requests.cpu': 0, 'requests.memory': 0, 'limits.cpu': 0, 'limits.memory': 0 };
  for (const { each, title: whose, containers } of workloads(objects)) {
    const scaled = of(objects, 'HorizontalPodAutoscaler').find(({ spec }) => spec.scaleTargetRef.name === each.metadata.name);
    const surge = each.spec.strategy?.rollingUpdate?.maxSurge ?? 0;
    const pods = (scaled?.spec.maxReplicas ?? each.spec.replicas ?? 1) + surge;
    sum.pods += pods;
    for (const kind of ['requests', 'limits']) {
      for (const [what, number] of [['cpu', processors], ['memory', memory]]) {
        sum[`${kind}.${what}`] += pods * containers.reduce((all, { resources }) => all + number(resources[kind][what]), 0);
      }
    }
    for (const { name, resources } of containers) {
      if (processors(resources.limits.cpu) > processors(max.cpu) || memory(resources.limits.memory) > memory(max.memory)) wrong.push(`${whose}, ${name} may have more than a container may`);
    }
  }
  for (const [what, needed] of Object.entries(sum)) {
    const given = what.endsWith('memory') ? memory(limits.spec.hard[what]) : Number(limits.spec.hard[what]);
    if (!(given >= needed)) wrong.push(`of ${what} there may be ${given}, and ${needed} are needed`);
  }
  return wrong;
}

/** Each path that a module serves leads to it, and nothing leads to another listener. */
export function paths(objects) {
  const wrong = [];
  for (const { spec } of of(objects, 'Ingress')) {
    const rules = spec.rules.flatMap(({ http }) => http.paths);
    const leads = (path) => rules.filter(({ path: own, pathType }) => (
      pathType === 'Exact' ? own === path : own === '/' || path === own || path.startsWith(`${own}/`)))
      .sort((one, other) => other.path.length - one.path.length)[0]?.backend.service.name;
    const wanted = Object.entries(documents).flatMap(([module, all]) => all.map((path) => [path, module]));
    for (const [path, module] of [...wanted, ['/docs/', 'order'], ['/openapi.json', 'order']]) {
      const service = of(objects, 'Service').find(({ metadata }) => metadata.name === leads(path));
      const found = service && processes(objects).find(({ labels }) => matches({ matchLabels: service.spec.selector }, labels));
      if (!found?.modules.includes(module)) wrong.push(`${path} leads to ${leads(path)}, and not to ${module}`);
    }
    if (rules.length > 1) for (const nobody of ['/', '/health/ready', '/metrics', '/internal/v1/user/session', '/api/v1/nothing']) {
      if (leads(nobody)) wrong.push(`${nobody} leads to ${leads(nobody)}`);
    }
  }
  return wrong;
}

/** Who has rights in AWS has the role that the platform has made for him. */
export function roles(objects, platform) {
  const roleOf = (name) => {
    if (['eshopz-migrate', 'eshopz-verify'].includes(name)) return platform.ROLE_ARN_MIGRATE;
    return platform[`ROLE_ARN_${name === 'eshopz' ? 'ESHOPZ' : name.replace('-service', '').toUpperCase()}`];
  };
  return of(objects, 'ServiceAccount').flatMap(({ metadata }) => {
    const role = metadata.annotations?.['eks.amazonaws.com/role-arn'];
    return role && role === roleOf(metadata.name) ? [] : [`ServiceAccount ${metadata.name} has the role ${role}`];
  });
}

/** The migration comes after what it needs and before who needs it, in ArgoCD's order. */
export function order(objects) {
  const wrong = [];
  const annotation = (each, name) => each?.metadata.annotations?.[`argocd.argoproj.io/${name}`];
  const place = (each) => {
    const hook = annotation(each, 'hook');
    return (hook === 'PreSync' ? 0 : 1000) + Number(annotation(each, 'sync-wave') ?? 0);
  };
  const find = (kind, name) => of(objects, kind).find(({ metadata }) => metadata.name === name);
  const job = find('Job', 'eshopz-migrate');
  if (!job) return wrong;
  if (annotation(job, 'hook-delete-policy') !== 'BeforeHookCreation') wrong.push('the Job cannot be made a second time');
  const { pod, containers: [container] } = workloads([job])[0];
  const needs = [
    find('ServiceAccount', pod.serviceAccountName),
    ...(container.envFrom ?? []).map(({ configMapRef, secretRef }) => (
      configMapRef ? find('ConfigMap', configMapRef.name) : find('ExternalSecret', secretRef.name))),
    find('StatefulSet', 'postgres'),
  ].filter(Boolean);
  for (const each of needs) if (!(place(each) < place(job))) wrong.push(`the Job comes before ${title(each)}`);
  for (const { each } of processes(objects)) if (!(place(each) > place(job))) wrong.push(`${title(each)} comes before the Job`);
  if (containerOfJob(job).image !== processes(objects)[0].container.image) wrong.push('the Job is of another release');
  return wrong;
}

const containerOfJob = (job) => job.spec.template.spec.containers[0];
