// The words of a query in Prometheus' language, for whoever looks at one or changes it.

const TOKENS = new RegExp([
  /\s+|#[^\n]*/, /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/,
  // A name may have colons; one before a number is that of a subquery.
  /(?:[A-Za-z_]|:(?=[A-Za-z_:]))[\w:]*/, /(?:\d+(?:ms|[smhdwy]))+/, /\d+(?:\.\d+)?(?:e[+-]?\d+)?/, /=~|!~|!=|==|>=|<=|[^\s\w]/,
].map(({ source }) => source).join('|'), 'gy');

/** Its words, one after the other; none is left out. */
export function tokens(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    if (match.index !== end) break;
    end += match[0].length;
    found.push(match[0]);
  }
  if (end !== text.length) throw new Error(`cannot read ${text.slice(end)}`);
  return found;
}

/** Whether a word is room or a comment. */
export const isBlank = (word) => /^[\s#]/.test(word);
