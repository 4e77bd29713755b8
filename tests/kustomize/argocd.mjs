// What ArgoCD is told to keep in the cluster: that each Application is of a folder that there is, that it may do what it has to and no
// more, and that nobody has to do anything by hand.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { of } from './checks.mjs';
import { environments, everything, folder, overlays, read, render, settingsIn, withKubectl } from './render.mjs';

const lists = withKubectl.skip ? new Map() : new Map((await render(...environments.map((name) => `argocd/${name}`))).map((objects, i) => [environments[i], objects]));
const [monitoring, logging, logs] = withKubectl.skip ? [] : await render('monitoring', 'monitoring/logging', 'monitoring/logging/small');
const overlaysMade = withKubectl.skip ? new Map() : await everything();
const made = { 'kustomize/monitoring': monitoring, 'kustomize/monitoring/logging': logging, 'kustomize/monitoring/logging/small': logs };
const objectsAt = (path, environment) => made[path] ?? (path.startsWith('kustomize/overlays/') ? overlaysMade.get(path.slice('kustomize/'.length)) : lists.get(environment));

test('there is a list of Applications for each overlay, and it names that overlay', withKubectl, () => {
  assert.deepEqual(environments, overlays);
  for (const [name, objects] of lists) {
    const path = (application) => of(objects, 'Application').find(({ metadata }) => metadata.name === application).spec.source.path;
    assert.equal(path('eshopz'), `kustomize/overlays/${name}`);
    assert.equal(path('eshopz-apps'), `kustomize/argocd/${name}`);
    assert.deepEqual(of(objects, 'Application').map(({ metadata }) => metadata.name).sort(), ['eshopz', 'eshopz-apps', 'eshopz-logging', 'eshopz-monitoring']);
    for (const { metadata, spec } of of(objects, 'Application')) {
      assert.ok(existsSync(join(folder, '..', spec.source.path, 'kustomization.yaml')), `${metadata.name}: there is no ${spec.source.path}`);
    }
  }
});

test('git counts: what goes there goes here, and what is changed by hand is set back', withKubectl, () => {
  for (const objects of lists.values()) {
    for (const { metadata, spec } of of(objects, 'Application')) {
      assert.deepEqual(spec.syncPolicy.automated, { prune: true, selfHeal: true, allowEmpty: false }, metadata.name);
      assert.ok(spec.syncPolicy.retry.limit > 0, metadata.name);
    }
    // Nothing is twice: whatever two Applications both had, each would set back.
    assert.equal(new Set(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).size, objects.length);
  }
});

test('the project lets its Applications make what they make, there, and nothing else', withKubectl, () => {
  for (const [name, objects] of lists) {
    const [{ metadata: { name: project }, spec: may }] = of(objects, 'AppProject');
    const CLUSTER = ['Namespace', 'ClusterRole', 'ClusterRoleBinding'];
    const used = new Set();
    for (const { metadata, spec } of of(objects, 'Application').filter((one) => one.spec.project === project)) {
      assert.ok(may.sourceRepos.includes(spec.source.repoURL), metadata.name);
      for (const each of objectsAt(spec.source.path, name)) {
        const group = each.apiVersion.includes('/') ? each.apiVersion.split('/')[0] : '';
        const isCluster = CLUSTER.includes(each.kind);
        const list = isCluster ? may.clusterResourceWhitelist : may.namespaceResourceWhitelist;
        assert.ok(list.some((one) => one.group === group && one.kind === each.kind), `${metadata.name}: the project has no ${group} ${each.kind}`);
        const place = isCluster ? spec.destination.namespace : each.metadata.namespace ?? spec.destination.namespace;
        assert.ok(may.destinations.some(({ namespace }) => namespace === place), `${metadata.name}: ${each.kind} in ${place}`);
        used.add(`${group} ${each.kind}`);
      }
    }
    const listed = [...may.clusterResourceWhitelist, ...may.namespaceResourceWhitelist].map(({ group, kind }) => `${group} ${kind}`);
    const unused = listed.filter((one) => !used.has(one));
    // One list for all environments.
    if (name === 'staging') assert.deepEqual(unused, []);
    assert.ok(!listed.includes(' Secret'), 'whoever gets something into git could replace a Secret');
  }
});

test('the namespace is there before all else, and outlives it', withKubectl, () => {
  for (const objects of lists.values()) {
    const [{ metadata }] = of(objects, 'Namespace');
    const waves = of(objects, 'Application').map((one) => Number(one.metadata.annotations['argocd.argoproj.io/sync-wave']));
    assert.ok(Number(metadata.annotations['argocd.argoproj.io/sync-wave']) < Math.min(...waves));
    assert.equal(metadata.annotations['argocd.argoproj.io/sync-options'], 'Prune=false,Delete=false');
    for (const mode of ['enforce', 'warn', 'audit']) assert.equal(metadata.labels[`pod-security.kubernetes.io/${mode}`], 'restricted');
    const destination = of(objects, 'Application').find((one) => one.metadata.name === 'eshopz').spec.destination.namespace;
    assert.equal(destination, metadata.name);
  }
});

test('the monitoring has the roles that the platform has made for it', withKubectl, () => {
  for (const [name, objects] of lists) {
    const { spec: { source } } = of(objects, 'Application').find(({ metadata }) => metadata.name === 'eshopz-monitoring');
    const roles = Object.fromEntries(source.kustomize.patches.filter(({ target }) => target.kind === 'ServiceAccount')
      .map(({ target, patch }) => [target.name, JSON.parse(patch)[0].value['eks.amazonaws.com/role-arn']]));
    const platform = settingsIn(`overlays/${name}/platform.env`);
    const wanted = { 'cloudwatch-exporter': platform.ROLE_ARN_CLOUDWATCH_EXPORTER, 'otel-collector': platform.ROLE_ARN_OTEL_COLLECTOR };
    assert.deepEqual(roles, name === 'dev' ? {} : wanted, `argocd/${name}/kustomization.yaml has other roles than overlays/${name}/platform.env`);
    for (const { target } of source.kustomize.patches) {
      assert.ok(monitoring.some(({ kind, metadata }) => kind === target.kind && metadata.name === target.name), target.name);
    }
  }
});

test('ArgoCD tells of an Application what it is like', () => {
  const text = read('argocd/health/argocd-cm.yaml');
  assert.match(text, /^ {2}resource\.customizations\.health\.argoproj\.io_Application: \|\n/m);
  const lua = text.slice(text.indexOf('Application: |\n') + 15);
  assert.equal(lua.match(/\bif\b/g).length, lua.match(/^ *end$/gm).length);
  assert.match(lua, /return health\n$/);
});
