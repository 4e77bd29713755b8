// What a query in Prometheus' language asks for: its series, and the labels by which it divides them. This reads
// no more of the language than that; whether a query is right is for Prometheus to say.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { isBlank, tokens } from '../../scripts/lib/promql.mjs';
import { root } from '../browser/shop.mjs';

const LABELS_FOLLOW = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'atan2', 'inf', 'nan']);
const AGGREGATORS = new Set('sum min max avg group stddev stdvar count count_values bottomk topk quantile'.split(' '));

/** The series that a query selects, each with the labels of its matchers, and all labels by which it groups or joins. */
export function read(text) {
  const all = tokens(text).filter((word) => !isBlank(word));
  const selectors = [];
  const grouped = new Set();
  for (let i = 0; i < all.length; i += 1) {
    const word = all[i];
    const next = all[i + 1];
    if (word === '{') throw new Error(`a selector without a name in ${text}`);
    if (!/^[A-Za-z_:]/.test(word)) continue;
    if (LABELS_FOLLOW.has(word.toLowerCase())) {
      if (next !== '(') continue;
      for (i += 2; all[i] !== ')'; i += 1) if (all[i] !== ',') grouped.add(all[i]);
    } else if (!WORDS.has(word.toLowerCase()) && next !== '(' && !AGGREGATORS.has(word)) {
      const labels = [];
      if (next === '{') {
        for (i += 2; all[i] !== '}'; i += 1) {
          if (all[i] === undefined) throw new Error(`a brace is missing in ${text}`);
          if (/^[=!]/.test(all[i + 1] ?? '')) labels.push(all[i]);
        }
      }
      selectors.push({ name: word, labels });
    }
  }
  return { selectors, grouped };
}

/** Whoever looks at the shop adds these: the scrape, and in Kubernetes what is known of the pod. */
const SCRAPE = ['job', 'instance', 'namespace', 'pod', 'app', 'le', 'module'];

/** The metrics of `docs/metrics.md`: their labels, and of those whose values are known, the values. */
export function declared() {
  const text = readFileSync(join(root, 'docs/metrics.md'), 'utf8');
  const known = new Map();
  for (const [, name, kind, labels] of text.matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \| (.*?) \| .* \|$/gm)) {
    // Prometheus keeps `job` for the name of a scrape.
    const own = [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => (label === 'job' ? 'exported_job' : label));
    for (const part of kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) known.set(name + part, [...SCRAPE, ...own]);
  }
  return known;
}

/**
 * What a query says wrong: names that are neither known nor of somebody else's, and labels that the metrics of a
 * query do not have. `further` are metrics whose labels are not known here, such as recorded ones.
 */
export function mistakes(text, known, further = () => false) {
  const { selectors, grouped } = read(text);
  const wrong = [];
  const possible = new Set();
  let open = false;
  for (const { name, labels } of selectors) {
    const own = known.get(name);
    if (!own) {
      open = true;
      if (!further(name)) wrong.push(`there is no metric ${name}`);
      continue;
    }
    // By the name of the scrape nobody means to group what has a job of its own.
    own.filter((label) => label !== 'job' || !own.includes('exported_job')).forEach((label) => possible.add(label));
    for (const label of labels) if (!own.includes(label)) wrong.push(`${name} has no label ${label}`);
  }
  for (const label of open ? [] : grouped) if (!possible.has(label)) wrong.push(`nothing there has the label ${label}`);
  return wrong;
}
