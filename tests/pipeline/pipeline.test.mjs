// The pipeline as its file has it, run step by step on this machine: with stand-ins for the cluster, for AWS and its registry, and
// for the programs that GitHub's machines bring (docker, Trivy, skopeo, cosign). The scripts are the real ones, and what is bought is
// bought from a real shop. A green way; a hole in the image; a shop that does not sell after the roll-out.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Shop, freePort, temporaryFolder } from '../browser/shop.mjs';
import { Place } from './place.mjs';
import { Workflow } from './workflow.mjs';

const REPOSITORY = '123456789012.dkr.ecr.us-east-1.amazonaws.com/eshopz-prod';
const JOBS = ['test', 'coverage', 'database', 'image', 'deploy'];

let folder;
let tls;
let shop;
let broken;

before(async () => {
  folder = temporaryFolder();
  tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', tls.key, '-out', tls.cert], { stdio: 'ignore' });
  execFileSync('chmod', ['644', tls.key]);
  shop = await Shop.start(await freePort(), { products: 5, settings: { ESHOPZ_TLS_CERTIFICATE: tls.cert, ESHOPZ_TLS_KEY: tls.key } });
  // A release that starts, is healthy, and sells nothing.
  broken = createServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, (_, answer) => { answer.end('{}'); });
  await new Promise((next) => { broken.listen(0, '127.0.0.1', next); });
});

after(async () => {
  broken?.close();
  broken?.closeAllConnections?.();
  await shop?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The pipeline on a commit of a repository of its own. */
function pipeline(t, { event = 'push', ref = 'refs/heads/main', host = `localhost:${new URL(shop.base).port}`, env = {} } = {}) {
  const place = new Place().stand('kubectl', 'docker', 'skopeo');
  t.after(() => place.remove());
  for (const heavy of ['test', 'coverage', 'lint-migrations', 'previous-release']) {
    writeFileSync(join(place.folder, 'scripts', heavy), `#!/usr/bin/env bash\nprintf 'scripts/${heavy}\\n' >>"$FAKE_CALLS"\n`, { mode: 0o755 });
  }
  place.write('aws', 'case "$*" in "ecr get-login-password "*) printf token ;; esac')
    .write('cosign', '[[ "$1" != login ]] || cat >/dev/null')
    .write('trivy', '[[ " $FAKE_FAILS " != *" scan "* ]] || exit 1')
    .write('gh', '');
  for (const overlay of ['prod-combined', 'prod-split']) {
    writeFileSync(join(place.folder, 'kustomize/overlays', overlay, 'platform.env'), `AWS_ACCOUNT_ID=123456789012\nAWS_REGION=us-east-1\n`
      + `CLUSTER_NAME=eshopz-prod\nESHOPZ_SECRETS=aws:x\nHOST_NAME=${host}\nIMAGE_REPOSITORY=${REPOSITORY}\n`);
  }
  place.git('init', '--quiet', '--initial-branch=main');
  place.git('add', '.github', 'scripts', 'kustomize', 'Cargo.toml');
  place.git('commit', '--quiet', '-m', 'the change');
  const sha = place.git('rev-parse', 'HEAD');
  const workflow = new Workflow(place, 'pipeline.yml', {
    github: { event_name: event, ref, sha },
    env: { FAKE_REGISTRY: join(place.folder, '.registry'), FAKE_FAILS: '', NODE_EXTRA_CA_CERTS: tls.cert, ...env },
    actions: {
      'aws-actions/configure-aws-credentials': (given) => { place.role = given['role-to-assume']; },
      'actions/upload-artifact': ({ name, path }) => { if (name === 'image') mkdirSync(join(place.folder, path, '../../.kept'), { recursive: true }); },
    },
  });
  return { place, workflow, sha };
}

const outcome = (workflow, title) => workflow.log.find(({ step }) => step === title)?.outcome;

test('green: built, scanned, pushed, signed, rolled out, and something is bought there', async (t) => {
  const { place, workflow, sha } = pipeline(t);
  const results = await workflow.run();
  assert.deepEqual(results, Object.fromEntries(JOBS.map((job) => [job, 'success'])), workflow.said);
  const calls = place.calls();
  const order = [
    'scripts/test', 'scripts/coverage', 'scripts/lint-migrations', 'scripts/previous-release', 'docker buildx build ',
    'trivy image --input target/image/amd64 ', 'trivy image --input target/image/arm64 ', 'trivy filesystem ',
    'uses aws-actions/configure-aws-credentials', 'aws ecr get-login-password --region us-east-1',
    `skopeo copy --quiet --all --retry-times 3 oci-archive:target/image/eshopz.tar docker://${REPOSITORY}:${sha}`,
    `cosign sign --yes ${REPOSITORY}@sha256:`, 'aws eks update-kubeconfig --name eshopz-prod --region us-east-1',
    'kubectl --namespace eshopz delete job eshopz-migrate', 'kubectl --namespace eshopz rollout status deployment/eshopz',
  ];
  let at = -1;
  for (const wanted of order) {
    const next = calls.findIndex((call, index) => index > at && call.startsWith(wanted));
    assert.ok(next > at, `after ${calls[at]} there is no ${wanted}:\n${calls.join('\n')}`);
    at = next;
  }
  assert.equal(place.role, 'arn:aws:iam::123456789012:role/eshopz-prod-deploy');
  assert.match(place.images().eshopz, new RegExp(`^${REPOSITORY}@sha256:[0-9a-f]{64}$`));
  assert.match(workflow.said, /smoke: passed: \d+ passed, 0 failed/);
  assert.equal(outcome(workflow, 'Back to what ran before'), 'skipped');
  assert.ok(calls.filter((call) => call.startsWith('trivy')).every((call) => call.includes('--severity CRITICAL,HIGH --exit-code 1')));
  assert.match(calls.find((call) => call.startsWith('docker buildx build')), new RegExp(`COMMIT=${sha}.* --platform linux/amd64,linux/arm64`));

  // Once more for the same commit: nothing is pushed over what is there.
  await workflow.run();
  assert.ok(!place.calls().some((call) => call.startsWith('skopeo copy') && call.includes('docker://')));
});

test('a hole in the image: nothing is pushed, nothing is rolled out', async (t) => {
  const { place, workflow } = pipeline(t, { env: { FAKE_FAILS: 'scan' } });
  const results = await workflow.run();
  assert.equal(results.image, 'failure');
  assert.equal(results.deploy, 'skipped');
  assert.match(workflow.said, /there are holes that are known, CRITICAL or HIGH/);
  const calls = place.calls();
  assert.ok(!calls.some((call) => /^(aws|kubectl|cosign)|docker:\/\//.test(call)), calls.join('\n'));
});

test('a shop that does not sell: back to what ran before, and a note of what was undone', async (t) => {
  const { place, workflow } = pipeline(t, { host: `localhost:${broken.address().port}` });
  const old = `${REPOSITORY}:old`;
  assert.equal((await place.script('deploy', ['prod-combined', old])).code, 0);
  place.calls();
  const results = await workflow.run();
  assert.equal(results.deploy, 'failure');
  assert.deepEqual(['Roll out', 'Buy something there', 'Back to what ran before'].map((step) => outcome(workflow, step)),
    ['success', 'failure', 'success']);
  assert.equal(place.images().eshopz, old);
  assert.ok(place.calls().includes('kubectl --namespace eshopz rollout undo deployment/eshopz --to-revision=1'));
  assert.match(place.told(), /rollback of prod-combined:\n- eshopz: \S+@sha256:\S+ is undone, back to revision 1\n- eshopz: \S+:old runs/);
  assert.match(workflow.said, /^::error title=Rolled back::eshopz of prod-combined/m);
});

test('a release that does not get healthy is undone by the roll-out itself, and nothing is bought', async (t) => {
  const { place, workflow } = pipeline(t, { env: { FAKE_FAILS: 'roll-out', FAKE_NEW: '@sha256:' } });
  const old = `${REPOSITORY}:old`;
  await place.script('deploy', ['prod-combined', old]);
  const results = await workflow.run();
  assert.equal(results.deploy, 'failure');
  assert.equal(outcome(workflow, 'Buy something there'), 'skipped');
  assert.equal(outcome(workflow, 'Back to what ran before'), 'success');
  assert.equal(place.images().eshopz, old);
  assert.equal(place.calls().filter((call) => call.includes('rollout undo')).length, 1);
});

test('an image that is too large is not even scanned', async (t) => {
  const { place, workflow } = pipeline(t, { env: { FAKE_LAYER: '39000001' } });
  const results = await workflow.run();
  assert.equal(results.image, 'failure');
  assert.match(workflow.said, /an image is to have at most 40 MB/);
  assert.ok(!place.calls().some((call) => call.startsWith('trivy')));
});

for (const [name, how] of [['a pull request', { event: 'pull_request', ref: 'refs/pull/7/merge' }], ['another branch', { ref: 'refs/heads/try' }]]) {
  test(`${name} asks AWS for nothing`, async (t) => {
    const { place, workflow } = pipeline(t, how);
    const results = await workflow.run();
    assert.equal(results.image, 'success', workflow.said);
    assert.equal(results.deploy, 'skipped');
    const calls = place.calls();
    assert.ok(!calls.some((call) => /^(aws|kubectl|cosign|uses aws)|docker:\/\//.test(call)), calls.join('\n'));
  });
}

test('a release: what was pushed for the commit gets the tag, is signed with what it is made of, and is told of', async (t) => {
  const { place, workflow, sha } = pipeline(t);
  writeFileSync(join(place.folder, 'scripts/supply-chain'), '#!/usr/bin/env bash\nmkdir -p target && printf {} >"$2"\n', { mode: 0o755 });
  const changelog = readFileSync(join(place.folder, 'CHANGELOG.md'), 'utf8');
  const version = /^version = "(.*)"/m.exec(readFileSync(join(place.folder, 'Cargo.toml'), 'utf8'))[1];
  const release = () => new Workflow(place, 'release.yml', { github: { event_name: 'push', ref: `refs/tags/v${version}`, sha }, env: workflow.outer });

  const early = release();
  writeFileSync(join(place.folder, 'CHANGELOG.md'), changelog.replaceAll(`## [${version}]`, '## [0.0.0]'));
  assert.deepEqual(await early.run(), { release: 'failure' });
  assert.match(early.said, new RegExp(`CHANGELOG.md says nothing of ${version}`));

  writeFileSync(join(place.folder, 'CHANGELOG.md'), changelog.replace('## [Unreleased]', `## [Unreleased]\n\n## [${version}] - 2026-01-01\n\n### Added\n\n- All of it.\n\n## [0.0.0]\n`));
  const unbuilt = release();
  assert.deepEqual(await unbuilt.run(), { release: 'failure' });
  assert.match(unbuilt.said, /nothing was pushed for the commit/);

  const env = workflow.outer;
  await place.script('image', ['build'], env);
  await place.script('image', ['push', REPOSITORY], env);
  place.calls();
  const done = release();
  assert.deepEqual(await done.run(), { release: 'success' }, done.said);
  const calls = place.calls();
  assert.ok(calls.some((call) => call.endsWith(` docker://${REPOSITORY}:v${version}`)), calls.join('\n'));
  assert.ok(calls.some((call) => call.startsWith('cosign attest --yes --type cyclonedx --predicate target/eshopz.cdx.json')));
  assert.ok(calls.some((call) => call.startsWith(`gh release create v${version} --verify-tag`)));
  assert.equal(readFileSync(join(place.folder, 'notes.md'), 'utf8'), '### Added\n\n- All of it.\n');
});
