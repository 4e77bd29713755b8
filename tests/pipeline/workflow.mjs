// Runs a workflow of GitHub Actions on this machine: its jobs in the order of their needs, their steps in order, as the file has
// them. What a step runs is run by bash; an action of somebody else is written down, and what it would have brought is brought.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'yaml';

/** What is not there is empty, at any depth. */
const loose = (value) => (value !== null && typeof value === 'object'
  ? new Proxy(value, { get: (all, name) => loose(all[name] ?? '') }) : value);

export class Workflow {
  /** `actions` says by the name of an action what it does: a function of the step. */
  constructor(place, file, { github, vars = {}, secrets = {}, env = {}, actions = {} }) {
    Object.assign(this, { place, github, vars, secrets, actions, outer: env });
    this.definition = parse(readFileSync(join(place.folder, '.github/workflows', file), 'utf8'));
    this.results = {};
    this.log = [];
  }

  /** Runs it, and gives what became of each job. */
  async run() {
    for (const [name, job] of this.ordered()) {
      const needs = [job.needs ?? []].flat();
      const wanted = needs.every((each) => this.results[each] === 'success')
        && this.evaluate(job.if ?? 'true', { ok: true });
      this.results[name] = wanted ? await this.job(name, job) : 'skipped';
    }
    return this.results;
  }

  ordered() {
    const jobs = Object.entries(this.definition.jobs);
    const sorted = [];
    while (sorted.length < jobs.length) {
      const ready = jobs.find(([name, { needs = [] }]) => !sorted.some(([done]) => done === name)
        && [needs].flat().every((need) => sorted.some(([done]) => done === need)));
      if (!ready) throw new Error('the jobs wait for each other');
      sorted.push(ready);
    }
    return sorted;
  }

  async job(name, job) {
    const state = { ok: true, steps: {}, env: {} };
    for (const [key, value] of Object.entries({ ...this.definition.env, ...job.env })) state.env[key] = this.fill(value, state);
    for (const [number, step] of job.steps.entries()) {
      const title = step.name ?? step.uses;
      const condition = String(step.if ?? 'true');
      const asks = /\b(success|failure|cancelled|always)\(/.test(condition);
      const wanted = (asks || state.ok) && this.evaluate(condition, state);
      let outcome = 'skipped';
      const outputs = {};
      if (wanted) {
        outcome = await this.step(`${name}-${number}`, step, state, outputs) ? 'success' : 'failure';
        if (outcome === 'failure') state.ok = false;
      }
      this.log.push({ job: name, step: title, outcome });
      if (step.id) state.steps[step.id] = { outcome, outputs };
    }
    return state.ok ? 'success' : 'failure';
  }

  async step(id, step, state, outputs) {
    if (step.uses) {
      this.place.record(`uses ${step.uses.replace(/@.*/, '')}`);
      const given = Object.fromEntries(Object.entries(step.with ?? {}).map(([key, value]) => [key, this.fill(String(value), state)]));
      this.actions[step.uses.replace(/@.*/, '')]?.(given, state);
      return true;
    }
    const files = {};
    mkdirSync(join(this.place.folder, '.runner'), { recursive: true });
    for (const which of ['ENV', 'OUTPUT']) {
      files[`GITHUB_${which}`] = join(this.place.folder, '.runner', `${id}-${which}`);
      writeFileSync(files[`GITHUB_${which}`], '');
    }
    const env = { ...this.outer, ...state.env };
    for (const [key, value] of Object.entries(step.env ?? {})) env[key] = this.fill(value, state);
    const done = await this.place.run('bash', ['-e', '-c', this.fill(step.run, state)], {
      ...env, ...files, GITHUB_ACTIONS: 'true', GITHUB_REF_NAME: this.github.ref.replace(/^refs\/\w+\//, ''), GITHUB_SHA: this.github.sha,
    });
    this.said = `${this.said ?? ''}${done.said}${done.complained}`;
    const pairs = (file) => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => /^(\w+)=(.*)$/.exec(line).slice(1));
    Object.assign(state.env, Object.fromEntries(pairs(files.GITHUB_ENV)));
    Object.assign(outputs, Object.fromEntries(pairs(files.GITHUB_OUTPUT)));
    return done.code === 0;
  }

  fill(text, state) {
    return String(text).replaceAll(/\$\{\{([^]*?)\}\}/g, (_, expression) => String(this.evaluate(expression, state) || ''));
  }

  /** An expression, which is one of JavaScript too as far as these workflows go. */
  evaluate(expression, state) {
    const names = {
      github: loose(this.github), vars: loose(this.vars), secrets: loose(this.secrets), steps: loose(state.steps ?? {}),
      env: loose(state.env ?? {}), runner: loose({ os: 'Linux' }), success: () => state.ok, failure: () => !state.ok,
      cancelled: () => false, always: () => true, hashFiles: () => 'hash',
    };
    const text = expression.replace(/^\s*\$\{\{([^]*)\}\}\s*$/, '$1');
    // eslint-disable-next-line no-new-func
    return new Function(...Object.keys(names), `return (${text});`)(...Object.values(names));
  }
}
