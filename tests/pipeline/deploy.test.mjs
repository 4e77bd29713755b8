// scripts/deploy and scripts/rollback against a stand-in for the cluster: in which order they change what, that they stop where
// something fails, what they undo, and that the same again changes nothing.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, root } from '../browser/shop.mjs';
import { withKubectl } from '../scripts/kubectl.mjs';
import { Place } from './place.mjs';

const OLD = 'registry.example/eshopz:old';
const NEW = 'registry.example/eshopz:new';

function place(t) {
  const made = new Place().stand('kubectl');
  t.after(() => made.remove());
  return made;
}

/** One in which the old release runs. */
async function running(t, overlay = 'prod-combined') {
  const made = place(t);
  const done = await made.script('deploy', [overlay, OLD]);
  assert.equal(done.code, 0, done.complained);
  made.calls();
  return made;
}

const changes = (calls) => calls.map((each) => each.replace('kubectl --namespace eshopz ', '').replaceAll(/\/tmp\/\S+\/all.yaml/g, 'ALL'))
  .filter((each) => /^(apply|delete|rollout|annotate)/.test(each));

test('the database first, then the processes', async (t) => {
  const made = await running(t);
  const { code, said } = await made.script('deploy', ['prod-combined', NEW]);
  assert.equal(code, 0);
  assert.match(said, /deployed: registry\.example\/eshopz:new as prod-combined\n$/);
  assert.deepEqual(changes(made.calls()), [
    'annotate --overwrite deployment/eshopz eshopz/revision-before-deploy=1',
    'delete job eshopz-migrate --ignore-not-found',
    'apply --filename ALL --selector app.kubernetes.io/component notin (shop, verify)',
    'apply --filename ALL',
    `annotate --overwrite deployments --selector app.kubernetes.io/component=shop kubernetes.io/change-cause=${NEW}`,
    'rollout status deployment/eshopz --timeout=600s',
  ]);
  assert.equal(made.images().eshopz, NEW);
  assert.equal(made.state.job, NEW);
});

test('five Deployments are waited for, and the image may be named by its digest', async (t) => {
  const made = await running(t, 'prod-split');
  const image = `registry.example:5000/a/eshopz@sha256:${'ab'.repeat(32)}`;
  const { code } = await made.script('deploy', ['prod-split', image]);
  assert.equal(code, 0);
  const waited = changes(made.calls()).filter((each) => each.startsWith('rollout status'));
  assert.deepEqual(waited.map((each) => each.split(' ')[2]), ['user', 'product', 'cart', 'payment', 'order']
    .map((each) => `deployment/${each}-service`));
  const { redis, ...shop } = made.images();
  assert.deepEqual(new Set(Object.values(shop)), new Set([image]));
});

test('the same again changes nothing', async (t) => {
  const made = await running(t);
  const before = made.state;
  const { code } = await made.script('deploy', ['prod-combined', OLD]);
  assert.equal(code, 0);
  assert.equal(made.state.deployments.eshopz.revision, before.deployments.eshopz.revision);
  const undone = await made.script('rollback', ['prod-combined']);
  assert.equal(undone.code, 0);
  assert.match(undone.said, /nothing to undo/);
});

test('a migration that fails ends it before the shop is touched', async (t) => {
  const made = await running(t);
  const { code, complained } = await made.script('deploy', ['prod-combined', NEW], { FAKE_FAILS: 'migration' });
  assert.equal(code, 1);
  assert.match(complained, /the migration has failed; what ran before runs on/);
  assert.match(complained, /the migration said this/);
  assert.equal(made.images().eshopz, OLD);
  assert.match((await made.script('rollback', ['prod-combined'])).said, /nothing to undo/);
});

test('a roll-out that fails is undone, all of it, and it is said what', async (t) => {
  const made = await running(t, 'prod-split');
  const { code, said, complained } = await made.script('deploy', ['prod-split', NEW], { FAKE_FAILS: 'roll-out' });
  assert.equal(code, 1);
  assert.match(complained, /exceeded its progress deadline/);
  for (const module of ['user', 'product', 'cart', 'payment', 'order']) {
    assert.match(said, new RegExp(`- ${module}-service: ${NEW} is undone, back to revision 1\n`));
    assert.equal(made.images()[`${module}-service`], OLD);
  }
  assert.match(made.told(), /rollback of prod-split:\n- /);
  assert.match(made.told(), /schema of the database was left as it is/);
});

test('rollback goes back once, and only once', async (t) => {
  const made = await running(t);
  await made.script('deploy', ['prod-combined', NEW]);
  const first = await made.script('rollback', ['prod-combined'], { GITHUB_ACTIONS: 'true' });
  assert.equal(first.code, 0);
  assert.match(first.said, /- eshopz: \S+:new is undone, back to revision 1/);
  assert.match(first.said, /^::error title=Rolled back::eshopz of prod-combined/m);
  assert.equal(made.images().eshopz, OLD);
  const second = await made.script('rollback', ['prod-combined']);
  assert.equal(second.code, 0);
  assert.match(second.said, /nothing to undo/);
  assert.equal(made.images().eshopz, OLD);
  const third = await made.script('rollback', ['--previous', 'prod-combined']);
  assert.equal(third.code, 0);
  assert.equal(made.images().eshopz, NEW);
});

test('a first release that fails has nothing to go back to', async (t) => {
  const made = place(t);
  const { code, said } = await made.script('deploy', ['prod-combined', NEW], { FAKE_FAILS: 'roll-out' });
  assert.equal(code, 1);
  assert.match(said, /is its first release, there is nothing to go back to/);
});

test('a dry run changes nothing', async (t) => {
  const made = await running(t);
  const before = made.state;
  const deployed = await made.script('deploy', ['--dry-run', 'prod-combined', NEW]);
  assert.equal(deployed.code, 0, deployed.complained);
  assert.match(deployed.said, /\+ {2}image: new/);
  assert.match(deployed.said, /would run: kubectl --namespace eshopz apply/);
  assert.match(deployed.said, /would run: .*annotate --overwrite deployment\/eshopz eshopz\/revision-before-deploy=1/);
  await made.script('deploy', ['prod-combined', NEW]);
  const undone = await made.script('rollback', ['--dry-run', 'prod-combined']);
  assert.match(undone.said, /would run: .*rollout undo deployment\/eshopz --to-revision=1/);
  assert.equal(made.images().eshopz, NEW);
  assert.equal(before.deployments.eshopz.image, OLD);
});

test('a dry run needs no cluster', async (t) => {
  const made = place(t);
  made.state = { deployments: {}, argocd: null, job: null, away: true };
  const { code, said, complained } = await made.script('deploy', ['--dry-run', 'prod-combined', NEW]);
  assert.equal(code, 0, complained);
  assert.match(said, /no cluster answers, so nothing is compared/);
});

/** One whose shop ArgoCD keeps as it is in git. */
async function withArgocd(t) {
  const made = place(t);
  const repository = join(made.folder, '.origin');
  made.git('init', '--quiet', '--initial-branch=main');
  made.git('add', 'kustomize', 'scripts');
  made.git('commit', '--quiet', '-m', 'start');
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', repository]);
  made.git('remote', 'add', 'origin', repository);
  made.git('push', '--quiet', 'origin', 'main');
  made.state = { deployments: {}, job: null, argocd: { path: 'kustomize/overlays/prod-combined', repository } };
  return made;
}

test('where ArgoCD keeps the shop a deployment is a commit, and so is the way back', async (t) => {
  const made = await withArgocd(t);
  const file = join(made.folder, 'kustomize/overlays/prod-combined/kustomization.yaml');
  const before = readFileSync(file, 'utf8');
  const { code, said, complained } = await made.script('deploy', ['prod-combined', NEW]);
  assert.equal(code, 0, complained);
  assert.match(said, /ArgoCD: [0-9a-f]{12} is in the cluster, and healthy/);
  assert.equal(made.git('log', '-1', '--format=%s', 'origin/main'), `overlays: Deploy ${NEW} to prod-combined`);
  // Nothing else of the file changes.
  assert.equal(readFileSync(file, 'utf8'), before.replace('newTag: 0.1.0', 'newTag: "new"'));
  assert.ok(made.calls().every((call) => !/ (apply|undo) /.test(call)));

  const again = await made.script('deploy', ['prod-combined', NEW]);
  assert.equal(again.code, 0);
  assert.match(again.said, /is in git already/);

  const undone = await made.script('rollback', ['prod-combined']);
  assert.equal(undone.code, 0, undone.complained);
  assert.match(undone.said, /registry\.example\/eshopz:new to prod-combined is reverted in git/);
  assert.equal(readFileSync(file, 'utf8'), before);
  assert.match((await made.script('rollback', ['prod-combined'])).said, /nothing to undo/);
});

test('a sync of ArgoCD that fails is reverted', async (t) => {
  const made = await withArgocd(t);
  const { code, complained } = await made.script('deploy', ['prod-combined', NEW], { FAKE_FAILS: 'argocd' });
  assert.equal(code, 1);
  assert.match(complained, /the sync of [0-9a-f]{12} has failed/);
  assert.match(made.git('log', '-1', '--format=%s', 'origin/main'), /^Revert "overlays: Deploy/);
});

test('who may not ask ArgoCD does not deploy past it', async (t) => {
  const made = await running(t);
  made.state = { ...made.state, hidden: true };
  for (const [name, words] of [['deploy', ['prod-combined', NEW]], ['rollback', ['prod-combined']]]) {
    const { code, complained } = await made.script(name, words);
    assert.equal(code, 1);
    assert.match(complained, /ArgoCD keeps the shop as it is in git, and may not be asked/);
  }
  assert.equal(made.images().eshopz, OLD);
});

test('somebody who pushed at the same time is not lost', async (t) => {
  const made = await withArgocd(t);
  made.git('clone', '--quiet', '.origin', '.other');
  const other = (...words) => made.git('-C', '.other', ...words);
  other('commit', '--quiet', '--allow-empty', '-m', 'of somebody else');
  other('push', '--quiet');
  const { code, complained } = await made.script('deploy', ['prod-combined', NEW]);
  assert.equal(code, 0, complained);
  assert.deepEqual(made.git('log', '-2', '--format=%s', 'origin/main').split('\n'),
    [`overlays: Deploy ${NEW} to prod-combined`, 'of somebody else']);
});

for (const [name, words] of [
  ['deploy', []], ['deploy', ['prod-combined']], ['deploy', ['prod-combined', 'eshopz']], ['deploy', ['--timeout', 'long', 'prod-combined', NEW]],
  ['deploy', ['prod-combined', 'eshopz@sha256:ab']], ['deploy', ['--fast', 'prod-combined', NEW]],
  ['rollback', []], ['rollback', ['prod-combined', NEW]], ['rollback', ['--timeout', '0', 'prod-combined']]]) {
  test(`a wrong call: scripts/${name} ${words.join(' ')}`, () => {
    const { status, stderr } = spawnSync(join(root, 'scripts', name), words, { encoding: 'utf8', env: cleanEnvironment() });
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`^Usage: scripts/${name}`));
  });
}

for (const [words, reason] of [[['prod', NEW], /there is no overlay prod/], [['../x', NEW], /is not the name of an overlay/],
  [['prod-combined', 'eshopz:latest'], /name a release/]]) {
  test(`not deployed: ${words.join(' ')}`, async (t) => {
    const made = place(t);
    const { code, complained } = await made.script('deploy', words);
    assert.equal(code, 1);
    assert.match(complained, reason);
    assert.deepEqual(made.calls(), ['']);
  });
}

// The overlays themselves, as kubectl reads them.
const overlays = existsSync(join(root, 'kustomize/overlays')) ? readdirSync(join(root, 'kustomize/overlays')) : [];
for (const overlay of overlays) {
  test(`the image of ${overlay} is set in all that is the shop`, withKubectl, async (t) => {
    const made = place(t);
    made.state = { deployments: {}, argocd: null, job: null };
    const real = execFileSync('bash', ['-c', 'command -v kubectl'], { encoding: 'utf8' }).trim();
    execFileSync('cp', ['-R', join(root, 'kustomize'), join(made.folder, 'real')]);
    execFileSync('rm', ['-rf', join(made.folder, 'kustomize')]);
    execFileSync('mv', [join(made.folder, 'real'), join(made.folder, 'kustomize')]);
    const { code, complained } = await made.script('deploy', [overlay, NEW], { REAL_KUBECTL: real });
    assert.equal(code, 0, complained);
    const shop = Object.entries(made.images()).filter(([name]) => /^eshopz$|-service$/.test(name));
    assert.ok(shop.length === 1 || shop.length === 5);
    for (const [name, image] of shop) assert.equal(image, NEW, name);
    assert.equal(made.state.job, NEW);
  });
}
