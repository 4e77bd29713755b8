// What a drill prints: a line for each thing that was measured, and what is wrong, if anything is.

import { cpus, totalmem } from 'node:os';

import { version } from './postgres.mjs';

const seconds = (ms) => `${(ms / 1000).toFixed(ms < 9950 ? 2 : 1)} s`;

export class Report {
  #lines = [];
  #values = {};
  wrong = [];

  constructor(drill, how) {
    this.title = `${drill}: ${how}`;
    this.#values = { drill, how, date: new Date().toISOString().slice(0, 10) };
    const memory = Math.round(totalmem() / 2 ** 30);
    this.line('played', `${this.#values.date}, on ${cpus().length} cores with ${memory} GiB, ${version()}`);
  }

  line(name, text, values = {}) {
    this.#lines.push([name, text]);
    Object.assign(this.#values, values);
  }

  time(name, ms, key, more = '') {
    this.line(name, seconds(ms) + more, { [key]: ms / 1000 });
  }

  /** Of the recovery: how long it took, against how long it may take. */
  rto(ms, limit, what) {
    this.time('RTO', ms, 'rto', `, ${what} (at most ${limit} s)`);
    if (ms > limit * 1000) this.wrong.push(`the recovery took ${seconds(ms)}, and may take ${limit} s`);
  }

  /** Orders that clients were told of, and that are not there. */
  rpo(lost, of) {
    this.line('RPO', `${lost.length} of ${of} acknowledged orders lost`, { lost: lost.length, acknowledged: of });
    if (lost.length) {
      const some = lost.slice(0, 2).map(({ name, status, found }) => `${name} (acknowledged as ${status}, now ${found})`).join(', ');
      this.wrong.push(`${lost.length} acknowledged ${lost.length === 1 ? 'order is' : 'orders are'} lost: ${some}${lost.length > 2 ? ', …' : ''}`);
    }
  }

  requests(name, { sent, failed, p50, p99, max }, key) {
    this.line(name, `${sent} sent, ${failed} failed; the others took ${p50} ms, p99 ${p99} ms, at most ${max} ms`, { [key]: { sent, failed, p50, p99, max } });
  }

  /** What is left under way, if anything is, and what `eshopz verify` says. */
  verify(left, { wrong, said }) {
    if (left) this.wrong.push(left);
    this.line('verify', said, { verify: said });
    if (wrong) this.wrong.push(`eshopz verify: ${wrong}`);
  }

  /** What clients were told that nobody may be told. */
  answers(wrong) {
    if (wrong.length) this.wrong.push(`${wrong.length} wrong ${wrong.length === 1 ? 'answer' : 'answers'}, the first: ${wrong[0].text}`);
  }

  get passed() {
    return this.wrong.length === 0;
  }

  toString() {
    const width = Math.max(...this.#lines.map(([name]) => name.length)) + 2;
    const lines = this.#lines.map(([name, text]) => `  ${name.padEnd(width)}${text}`);
    const end = this.passed ? ['passed'] : [...this.wrong.map((text) => `WRONG: ${text}`), 'failed'];
    return [this.title, ...lines, ...end].join('\n');
  }

  toJSON() {
    return { ...this.#values, wrong: this.wrong, passed: this.passed };
  }
}
