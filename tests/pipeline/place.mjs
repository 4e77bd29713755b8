// A copy of what the pipeline calls, with small overlays of its own and stand-ins for the cluster and for AWS first on the path.
// What they were asked is written down.

import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { cleanEnvironment, root, temporaryFolder } from '../browser/shop.mjs';
import { answer } from './stand-ins/kubectl.mjs';

export const standIns = join(dirname(fileURLToPath(import.meta.url)), 'stand-ins');

const labels = (component) => `  labels:
    app.kubernetes.io/component: ${component}`;
const part = (kind, name, component) => `apiVersion: v1
kind: ${kind}
metadata:
${component ? `${labels(component)}\n` : ''}  name: ${name}
  namespace: eshopz
spec:
  template:
    spec:
      containers:
      - image: eshopz
        name: ${name}
`;

function overlay(folder, name, deployments) {
  mkdirSync(join(folder, 'kustomize/overlays', name), { recursive: true });
  writeFileSync(join(folder, 'kustomize/overlays', name, 'kustomization.yaml'), `# A comment that stays.
namespace: eshopz
resources:
  - all.yaml
images:
  - name: busybox
    newTag: 1.37.0
  # The release.
  - name: eshopz
    newName: registry.example/eshopz
    newTag: 0.1.0
replicas:
  - name: eshopz
    count: 2
`);
  const parts = [part('ConfigMap', 'eshopz-abc'), ...deployments.map((each) => part('Deployment', each, 'shop')),
    part('Deployment', 'redis'), part('Job', 'eshopz-migrate', 'migrate')];
  writeFileSync(join(folder, 'kustomize/overlays', name, 'all.yaml'), parts.join('---\n'));
}

export class Place {
  constructor() {
    this.folder = temporaryFolder();
    for (const each of ['scripts', '.github', 'Dockerfile', 'CHANGELOG.md', 'Cargo.toml', '.trivyignore.yaml']) {
      if (existsSync(join(root, each))) cpSync(join(root, each), join(this.folder, each), { recursive: true });
    }
    overlay(this.folder, 'prod-combined', ['eshopz']);
    overlay(this.folder, 'prod-split', ['user-service', 'product-service', 'cart-service', 'payment-service', 'order-service']);
    this.callsFile = join(this.folder, '.calls');
    this.cluster = join(this.folder, '.cluster');
    writeFileSync(this.callsFile, '');
    this.bin = join(this.folder, '.bin');
    mkdirSync(this.bin);
    this.summary = join(this.folder, '.summary');
    this.socket = join(this.folder, '.socket');
    this.server = createServer((request, response) => {
      let text = '';
      request.on('data', (part) => { text += part; });
      request.on('end', () => {
        const lines = text.split('\n').slice(0, -1);
        const env = Object.fromEntries(lines.slice(0, 3).map((line) => [line.split('=')[0], line.slice(line.indexOf('=') + 1) || undefined]));
        const { code, out, err } = answer(lines.slice(3), { ...env, FAKE_CALLS: this.callsFile, FAKE_CLUSTER: this.cluster });
        response.writeHead(200, { 'exit-code': code, 'exit-stream': err ? 2 : 1 }).end(out || err);
      });
    }).listen(this.socket);
  }

  /** A program of the stand-ins under its name. */
  stand(...names) {
    for (const name of names) symlinkSync(join(standIns, name), join(this.bin, name));
    return this;
  }

  /** A program that is only asked once or twice: text of bash. */
  write(name, text) {
    writeFileSync(join(this.bin, name), `#!/usr/bin/env bash\nprintf '${name} %s\\n' "$*" >>"$FAKE_CALLS"\n${text}\n`);
    chmodSync(join(this.bin, name), 0o755);
    return this;
  }

  git(...words) {
    return execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.com', ...words], {
      cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  }

  get environment() {
    return cleanEnvironment({
      PATH: `${this.bin}:${process.env.PATH}`, FAKE_CALLS: this.callsFile, FAKE_SOCKET: this.socket, DEPLOY_POLL_SECONDS: '0.05',
      GIT_AUTHOR_NAME: 'test', GIT_AUTHOR_EMAIL: 'test@example.com', GIT_COMMITTER_NAME: 'test',
      GIT_COMMITTER_EMAIL: 'test@example.com', GITHUB_STEP_SUMMARY: this.summary, GITHUB_ACTIONS: '',
    });
  }

  /** Runs a program of it to its end. */
  run(program, words = [], env = {}) {
    return new Promise((answer) => {
      const child = spawn(program, words, { cwd: this.folder, env: { ...this.environment, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      let complained = '';
      child.stdout.on('data', (text) => { said += text; });
      child.stderr.on('data', (text) => { complained += text; });
      child.once('error', (error) => answer({ code: -1, said, complained: error.message }));
      child.once('close', (code) => answer({ code, said, complained }));
    });
  }

  script(name, words, env) {
    return this.run(join(this.folder, 'scripts', name), words, env);
  }

  /** Writes down something that was asked of somebody who is not here at all. */
  record(line) {
    appendFileSync(this.callsFile, `${line}\n`);
  }

  /** What was asked since the last time. */
  calls() {
    const text = readFileSync(this.callsFile, 'utf8');
    writeFileSync(this.callsFile, '');
    return text.trim().split('\n');
  }

  get state() {
    return JSON.parse(readFileSync(this.cluster, 'utf8'));
  }

  set state(state) {
    writeFileSync(this.cluster, JSON.stringify(state));
  }

  images() {
    return Object.fromEntries(Object.entries(this.state.deployments).map(([name, { image }]) => [name, image]));
  }

  told() {
    return existsSync(this.summary) ? readFileSync(this.summary, 'utf8') : '';
  }

  remove() {
    this.server.close();
    this.server.closeAllConnections?.();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
