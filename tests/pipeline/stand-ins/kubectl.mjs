// Plays kubectl and a cluster with Deployments, a Job and an ArgoCD, whose state is the file of FAKE_CLUSTER. It knows the calls of
// scripts/deploy and scripts/rollback and refuses every other one. Each call is written down. The test answers them itself, by a
// socket: a program of its own would take longer to start than all that it does.
//
// FAKE_FAILS has words for what is to go wrong: `migration`, `roll-out` (of what is new), `argocd`.

import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';

class Answer {
  constructor(code, { out = '', err = '' }) {
    Object.assign(this, { code, out, err });
  }
}

/** What it says to these words: a code, and what goes to standard output and to standard error. */
export function answer(words, env) {
  try {
    asked(words, env);
  } catch (error) {
    if (error instanceof Answer) return error;
    return new Answer(98, { err: `${error.stack}\n` });
  }
  throw new Error('it has an answer to everything');
}

function asked(words, env) {
  const { FAKE_CALLS, FAKE_CLUSTER, FAKE_FAILS = '' } = env;
  const fails = (what) => FAKE_FAILS.split(' ').includes(what);
  appendFileSync(FAKE_CALLS, `kubectl ${words.join(' ')}\n`);

  const state = existsSync(FAKE_CLUSTER) ? JSON.parse(readFileSync(FAKE_CLUSTER, 'utf8'))
    : { deployments: {}, argocd: null, job: null };
  const end = (text = '', code = 0, stream = code ? 'err' : 'out') => {
    writeFileSync(FAKE_CLUSTER, JSON.stringify(state, null, 1));
    throw new Answer(code, { [stream]: text });
  };

  const REVISION = 'deployment.kubernetes.io/revision';

  /** A new template is a new revision; the same one as before comes back under a new number. */
  function roll(name, image, isShop = true) {
    const one = state.deployments[name] ??= { isShop, revision: 0, history: {}, annotations: {} };
    if (one.image === image) return 'unchanged';
    one.revision += 1;
    for (const [number, old] of Object.entries(one.history)) if (old === image) delete one.history[number];
    one.history[one.revision] = image;
    one.image = image;
    one.annotations[REVISION] = String(one.revision);
    return 'configured';
  }

  const option = (name) => words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3)
    ?? (words.includes(`--${name}`) ? words[words.indexOf(`--${name}`) + 1] : undefined);
  const call = words[0] === '--namespace' ? words.slice(2) : words;
  const line = call.join(' ');

  if (call[0] === 'kustomize') {
    if (env.REAL_KUBECTL) end(spawnSync(env.REAL_KUBECTL, call, { encoding: 'utf8', maxBuffer: 64 << 20 }).stdout);
    const text = readFileSync(`${call[1]}/kustomization.yaml`, 'utf8');
    const ours = /name: eshopz\n((?: +\w+: .*\n)*)/.exec(text)[1];
    const of = (key) => new RegExp(`^ *${key}: "?([^"\\n]+)"?$`, 'm').exec(ours)?.[1];
    const image = of('digest') ? `${of('newName')}@${of('digest')}` : `${of('newName')}:${of('newTag')}`;
    end(readFileSync(`${call[1]}/all.yaml`, 'utf8').replaceAll(/image: eshopz$/gm, `image: ${image}`));
  }
  if (call[0] === 'version') end('', state.away ? 1 : 0);
  if (line === 'config current-context') end('stand-in\n');
  if (call[0] === 'diff') end('-  image: old\n+  image: new\n', 1, 'out');
  if (line.startsWith('get application ') && state.hidden) end('Error from server (Forbidden)\n', 1);
  if (/^get deployments .*tracking-id/.test(line)) end(state.hidden ? 'eshopz:apps/Deployment:eshopz/eshopz' : '');
  if (line.startsWith('get application ')) end(state.argocd ? (line.includes('.status.') ? status() : state.argocd.path) : '');
  if (/^annotate --overwrite application \S+ argocd\.argoproj\.io\/refresh=normal$/.test(line) && state.argocd) end();
  if (line.startsWith('get deployments ')) {
    end(Object.entries(state.deployments).filter(([, { isShop }]) => isShop).map(([name, { annotations, image }]) => (
      `${name}\t${annotations[REVISION]}\t${annotations['eshopz/revision-before-deploy'] ?? '-'}\t${image}\n`)).join(''));
  }
  if (call[0] === 'annotate' && call[1] === '--overwrite') {
    const pair = call.at(-1);
    const names = call[2] === 'deployments' ? Object.keys(state.deployments) : [call[2].replace('deployment/', '')];
    for (const name of names) state.deployments[name].annotations[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
    end('annotated\n');
  }
  if (line === 'delete job eshopz-migrate --ignore-not-found') {
    state.job = null;
    end();
  }
  if (call[0] === 'apply') {
    const text = readFileSync(option('filename'), 'utf8').split('\n---\n');
    const first = option('selector') === 'app.kubernetes.io/component notin (shop, verify)';
    if (!first && option('selector')) end('another selector\n', 1);
    let said = '';
    for (const part of text) {
      const kind = /^kind: (\S+)$/m.exec(part)[1];
      const name = /^ {2}name: (\S+)$/m.exec(part)[1];
      const image = /image: (\S+)$/m.exec(part)?.[1];
      const isShop = /^ {4}app\.kubernetes\.io\/component: shop$/m.test(part);
      if (first && isShop) continue;
      if (kind === 'Job') {
        if (state.job && state.job !== image) end('Job.batch is invalid: spec.template: field is immutable\n', 1);
        state.job = image;
      }
      if (kind === 'Deployment') said += `deployment.apps/${name} ${roll(name, image, isShop)}\n`;
    }
    end(said);
  }
  if (line.startsWith('get job eshopz-migrate ')) end(fails('migration') ? 'Failed' : 'Complete');
  if (call[0] === 'logs') end('ERROR: the migration said this\n');
  if (line.startsWith('rollout status ')) {
    const name = call[2].replace('deployment/', '');
    if (!state.deployments[name]) end(`no ${name}\n`, 1);
    // What ran before is healthy, whatever is wrong with the new one.
    if (fails('roll-out') && state.deployments[name].image.includes(env.FAKE_NEW ?? 'new')) end(`error: deployment "${name}" exceeded its progress deadline\n`, 1);
    end(`deployment "${name}" successfully rolled out\n`);
  }
  if (line.startsWith('rollout undo ')) {
    const one = state.deployments[call[2].replace('deployment/', '')];
    const numbers = Object.keys(one.history).map(Number).sort((a, b) => b - a);
    const to = option('to-revision') ?? numbers[1];
    if (!one.history[to]) end(`error: unable to find specified revision ${to} in history\n`, 1);
    roll(call[2].replace('deployment/', ''), one.history[to]);
    end('rolled back\n');
  }
  end(`the stand-in does not know: kubectl ${words.join(' ')}\n`, 97);

  /** ArgoCD follows the branch of the repository that it was told of. */
  function status() {
    const { repository, path } = state.argocd;
    const git = (...these) => spawnSync('git', ['--git-dir', repository, ...these], { encoding: 'utf8' }).stdout.trim();
    const head = git('rev-parse', 'main');
    const image = /name: eshopz\n.*\n.*newTag: "?([^"\n]+)/.exec(git('show', `main:${path}/kustomization.yaml`))[1];
    if (fails('argocd') && image.includes('new')) return `OutOfSync,${head},Degraded,Failed`;
    roll('eshopz', image);
    return `Synced,${head},Healthy,Succeeded`;
  }
}
