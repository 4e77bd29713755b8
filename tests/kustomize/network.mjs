// Who gets through to whom, as Kubernetes would decide it from the network policies.

import { graph } from './render.mjs';
import { matches, of, processes, workloads } from './checks.mjs';

const number = (address) => address.split('.').reduce((all, part) => all * 256 + Number(part), 0);
const within = (address, cidr) => {
  const [base, bits] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  return Math.floor(number(address) / size) === Math.floor(number(base) / size);
};

/** Whether a rule's end is somebody: a pod with labels in a namespace, or an address. */
const meets = (peers, who, home) => !peers || peers.some(({ podSelector, namespaceSelector, ipBlock }) => {
  if (ipBlock) return who.address !== undefined && within(who.address, ipBlock.cidr) && !(ipBlock.except ?? []).some((one) => within(who.address, one));
  if (!who.labels) return false;
  const namespace = namespaceSelector ? matches(namespaceSelector, { 'kubernetes.io/metadata.name': who.namespace }) : who.namespace === home;
  return namespace && (!podSelector || matches(podSelector, who.labels));
});

const opens = (ports, port, protocol) => !ports || ports.some((one) => (
  (one.protocol ?? 'TCP') === protocol && port >= one.port && port <= (one.endPort ?? one.port)));

/** Whether the policies of this side let it through. */
function side(policies, whose, direction, peer, port, protocol) {
  const own = policies.filter(({ metadata, spec }) => (
    metadata.namespace === whose.namespace && spec.policyTypes.includes(direction) && matches(spec.podSelector, whose.labels)));
  if (!own.length) return true;
  return own.some(({ spec }) => (spec[direction.toLowerCase()] ?? []).some((rule) => (
    meets(direction === 'Ingress' ? rule.from : rule.to, peer, whose.namespace) && opens(rule.ports, port, protocol))));
}

/** Whether `from` reaches `to` at this port: both have to let it. An address has no policies. */
export function reaches(objects, from, to, port, protocol = 'TCP') {
  const policies = of(objects, 'NetworkPolicy');
  return side(policies, from, 'Egress', to, port, protocol) && side(policies, to, 'Ingress', from, port, protocol);
}

const pod = (namespace, labels) => ({ namespace, labels });
const named = (namespace, name) => pod(namespace, { 'app.kubernetes.io/name': name });

export const PROMETHEUS = named('monitoring', 'prometheus');
export const GRAFANA = named('monitoring', 'grafana');
export const COLLECTOR = named('monitoring', 'otel-collector');
export const PUSHGATEWAY = named('monitoring', 'pushgateway');
export const STRANGER = named('eshopz', 'stranger');
export const NEIGHBOUR = named('default', 'prometheus');
export const at = (address) => ({ address });

/**
 * Each way that is open and should not be, or should be and is not. `proxies` are who stands before the shop, `sns` says how events
 * go. `objects` has the policies of the monitoring as well, whose side counts too.
 */
export function network(objects, { proxies = [], sns = false } = {}) {
  const wrong = [];
  const modules = graph();
  const expect = (is, from, to, port, what, protocol) => {
    const open = reaches(objects, from, to, port, protocol);
    if (open !== is) wrong.push(`${what} ${open ? 'gets through' : 'does not get through'}`);
  };
  const shop = processes(objects).map((one) => ({ ...one, ...pod('eshopz', one.labels), ports: Object.fromEntries(one.container.ports.map(({ name, containerPort }) => [name, containerPort])) }));
  const outside = [['an address outside', at('203.0.113.7')], ['a stranger', STRANGER], ['a pod of another namespace', NEIGHBOUR], ['Grafana', GRAFANA]];
  for (const to of shop) {
    for (const [what, port] of Object.entries(to.ports)) {
      for (const [who, from] of outside) expect(false, from, to, port, `${who}, to ${what} of ${to.title},`);
      expect(what === 'management', PROMETHEUS, to, port, `Prometheus, to ${what} of ${to.title},`);
      for (const proxy of proxies) expect(what !== 'internal', at(proxy), to, port, `the load balancer, to ${what} of ${to.title},`);
      for (const from of shop) {
        const calls = from.modules.some((one) => to.modules.some((other) => modules[one].calls.includes(other)));
        const tells = !sns && from.modules.some((one) => to.modules.some((other) => modules[one].tells.includes(other)));
        expect(from !== to && what === 'internal' && (calls || tells), from, to, port, `${from.title}, to ${what} of ${to.title},`);
      }
    }
    expect(false, to, STRANGER, 80, `${to.title}, to a stranger,`);
    expect(true, to, COLLECTOR, 4318, `${to.title}, to the collector,`);
    expect(false, to, PUSHGATEWAY, 9091, `${to.title}, to the Pushgateway,`);
    expect(true, to, at('10.0.2.10'), 6379, `${to.title}, to Redis,`);
    const sendsMail = to.modules.includes('user');
    for (const port of [465, 587]) expect(sendsMail, to, at('198.51.100.9'), port, `${to.title}, to a mail server,`);
    expect(false, to, at('198.51.100.9'), 25, `${to.title}, to port 25,`);
  }
  for (const one of workloads(objects).filter(({ each }) => each.metadata.namespace === 'eshopz')) {
    const from = pod('eshopz', one.labels);
    const component = one.labels['app.kubernetes.io/component'];
    const isOurs = ['shop', 'migrate', 'verify'].includes(component);
    expect(isOurs, from, at('10.0.201.5'), 5432, `${one.title}, to the database,`);
    expect(isOurs, from, at('52.94.1.1'), 443, `${one.title}, to AWS,`);
    expect(false, from, at('52.94.1.1'), 80, `${one.title}, to the network without TLS,`);
    expect(false, from, at('203.0.113.7'), 5432, `${one.title}, to a database outside,`);
    for (const port of [80, 443]) expect(false, from, at('169.254.169.254'), port, `${one.title}, to the machine's own metadata,`);
    if (isOurs) for (const protocol of ['UDP', 'TCP']) expect(true, from, at('10.100.0.10'), 53, `${one.title}, to the names,`, protocol);
    if (component === 'verify') expect(true, from, PUSHGATEWAY, 9091, `${one.title}, to the Pushgateway,`);
    for (const [name, port, who] of [['postgres', 5432, ['shop', 'migrate', 'verify']], ['redis', 6379, ['shop']]]) {
      const server = workloads(objects).find(({ labels }) => labels['app.kubernetes.io/name'] === name);
      if (!server || server === one) continue;
      // Its address is one of the networks that are nobody's but one's own.
      const to = { ...pod('eshopz', server.labels), address: '10.244.1.9' };
      expect(who.includes(component), from, to, port, `${one.title}, to ${name},`);
      expect(false, PROMETHEUS, to, port, `Prometheus, to ${name},`);
    }
  }
  return wrong;
}
