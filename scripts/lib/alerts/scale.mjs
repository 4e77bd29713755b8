// The rules of Prometheus with all time in them divided by a factor, so that what takes hours is seen in minutes.
//
// What is divided: ranges, offsets and subqueries, `for` and `interval`; and of plain numbers those that are a time: the
// horizon of predict_linear(), an age (`time() - … > 26 * 3600`), a lag (`…_lag_seconds > 300`), and the interval by which a
// sum over time is multiplied. What ends by the calendar (`… - time() < 14 * 86400`) is left: a certificate ends when it does.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { isBlank, tokens } from '../promql.mjs';

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 };
const DURATION = /^(?:\d+(?:ms|[smhdwy]))+$/;
/** A duration in milliseconds. */
export function milliseconds(text) {
  if (!DURATION.test(text)) throw new Error(`${text} is no duration`);
  return [...text.matchAll(/(\d+)(ms|[smhdwy])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
}

/** A duration divided by a factor, to the millisecond. */
export const divided = (text, factor) => (factor === 1 ? text : `${Math.max(1, Math.round(milliseconds(text) / factor))}ms`);

/** The index after the bracket that closes the one at `from`. */
function closes(all, from) {
  const [open, close] = all[from] === '(' ? ['(', ')'] : ['{', '}'];
  let depth = 0;
  for (let i = from; i < all.length; i += 1) {
    if (all[i] === open) depth += 1;
    if (all[i] === close && (depth -= 1) === 0) return i + 1;
  }
  throw new Error(`a bracket is not closed in ${all.join('')}`);
}

/** Where a number begins and ends that stands after `from`, such as `300` or `26 * 3600`. */
function number(all, from) {
  let i = from;
  const skip = () => { while (i < all.length && isBlank(all[i])) i += 1; };
  skip();
  const begin = i;
  let end = i;
  for (;;) {
    if (!/^\d/.test(all[i] ?? '')) return end > begin ? [begin, end] : null;
    i += 1;
    end = i;
    skip();
    if (all[i] !== '*') return [begin, end];
    i += 1;
    skip();
  }
}

/**
 * An expression with its time divided by `factor`. `tick` is in seconds how often it is computed then, where it says 15 s.
 */
export function scaleExpression(text, factor, tick = 15 / factor) {
  if (factor === 1) return text;
  const all = tokens(text);
  const shrink = (place) => {
    if (!place) return;
    const [begin, end] = place;
    all[begin] = end - begin === 1 ? String(Number(all[begin]) / factor) : `(${all[begin]}`;
    if (end - begin > 1) all[end - 1] += `) / ${factor}`;
  };
  const next = (i) => { let at = i; while (at < all.length && isBlank(all[at])) at += 1; return at; };
  const COMPARED = /^(?:>|<|>=|<=|==|!=)$/;
  for (let i = 0; i < all.length; i += 1) {
    const word = all[i];
    if (DURATION.test(word)) {
      all[i] = divided(word, factor);
    } else if (word === 'predict_linear') {
      const end = closes(all, next(i + 1)) - 1;
      let comma = end;
      while (all[comma] !== ',') comma -= 1;
      shrink(number(all, comma + 1));
    } else if (word === 'time' && all[next(i + 1)] === '(') {
      // An age is `time() - …`; what comes at a time is `… - time()`.
      const minus = next(closes(all, next(i + 1)));
      if (all[minus] !== '-') continue;
      let at = minus;
      while (at < all.length && !COMPARED.test(all[at])) at = all[at] === '(' || all[at] === '{' ? closes(all, at) : at + 1;
      shrink(number(all, at + 1));
    } else if (word.endsWith('_lag_seconds')) {
      let at = next(i + 1);
      if (all[at] === '{') at = next(closes(all, at));
      while (all[at] === ')') at = next(at + 1);
      if (COMPARED.test(all[at])) shrink(number(all, at + 1));
    } else if (word === 'sum_over_time') {
      const times = next(closes(all, next(i + 1)));
      const many = all[times] === '*' ? next(times + 1) : -1;
      if (many >= 0 && all[many] === '15') all[many] = String(tick);
    }
  }
  return all.join('');
}

/** The rules of a file, written as they are in rules/: groups, each a list of rules with their fields below. */
export function groupsOf(text) {
  return text.split(/^ {2}- (?=name: )/m).slice(1).map((group) => {
    const [head, ...rules] = group.split(/^ {6}- (?=alert:|record:)/m);
    return {
      name: /^name: (\S+)/.exec(head)[1],
      head,
      rules: rules.map((rule) => {
        const [, kind, name] = /^(alert|record): (\S+)/.exec(rule);
        const [, block, line] = /^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)/m.exec(rule);
        return {
          kind, name, text: rule, expression: (block ?? line).replace(/^ {10}/gm, ''), for: /^ {8}for: (\S+)$/m.exec(rule)?.[1] ?? '0s',
        };
      }),
    };
  });
}

const words = (expression) => new Set(expression.match(/[A-Za-z_:][\w:]*/g));

/** The rules among these by name that somebody wants, with those that they build on. */
export function needed(groups, wanted) {
  const rules = new Map(groups.flatMap((group) => group.rules).map((rule) => [rule.name, rule]));
  const taken = new Set();
  const take = (name) => {
    const rule = rules.get(name);
    if (!rule || taken.has(name)) return;
    taken.add(name);
    for (const word of words(rule.expression)) if (rules.get(word)?.kind === 'record') take(word);
  };
  wanted.forEach(take);
  return taken;
}

/** The files of rules, each with the rules that are needed, their time divided. A file without any is left out. */
export function scaleRules(files, factor, tick, wanted) {
  const read = files.map((file) => ({ file, groups: groupsOf(readFileSync(file, 'utf8')) }));
  const taken = wanted && needed(read.flatMap(({ groups }) => groups), wanted);
  return read.map(({ file, groups }) => {
    const kept = groups.map((group) => ({ ...group, rules: group.rules.filter(({ name }) => !taken || taken.has(name)) }))
      .filter(({ rules }) => rules.length);
    const written = kept.map(({ head, rules }) => {
      const interval = factor === 1 ? head : head.replace(/^( *interval: *)\S+$/m, `$1${Math.round(tick * 1000)}ms`);
      return `  - ${interval}${rules.map((rule) => `      - ${scaleRule(rule, factor, tick)}`).join('')}`;
    });
    return { name: basename(file), text: kept.length ? `groups:\n${written.join('')}` : '' };
  }).filter(({ text }) => text);
}

function scaleRule({ text, expression }, factor, tick) {
  if (factor === 1) return text;
  const lines = scaleExpression(expression, factor, tick).trimEnd().split('\n').map((line) => `          ${line}\n`).join('');
  return text
    .replace(/^ {8}expr: (?:\|\n(?: {10}.*\n)+|.*\n)/m, () => `        expr: |\n${lines}`)
    .replace(/^( {8}for: )(\S+)$/m, (_, before, time) => before + divided(time, factor));
}
