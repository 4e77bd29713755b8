// scripts/lint-migrations: what would stop a live shop is found, what is accepted passes, and a reason that nothing needs does not.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, root, temporaryFolder } from '../browser/shop.mjs';

const script = join(root, 'scripts/lint-migrations');
const lint = (...words) => spawnSync(script, words, { encoding: 'utf8', env: cleanEnvironment() });

/** What is said of these migrations, by their names. */
function said(t, migrations, accepted = '') {
  const folder = temporaryFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, sql] of Object.entries(migrations)) {
    mkdirSync(join(folder, 'order', name), { recursive: true });
    writeFileSync(join(folder, 'order', name, 'up.sql'), sql);
  }
  writeFileSync(join(folder, 'README.md'), 'not a migration');
  writeFileSync(join(folder, 'accepted.txt'), accepted);
  const done = lint('--accepted', join(folder, 'accepted.txt'), folder);
  return { code: done.status, text: (done.stdout + done.stderr).replaceAll(folder, 'F') };
}

const timeout = "SET LOCAL lock_timeout = '5s';\n";

test('the migrations that are there pass', () => {
  const done = lint();
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stdout, /^\d+ migrations, \d+ findings, each accepted with a reason\n$/);
});

for (const [rule, sql] of [
  ['require-concurrent-index-creation', 'CREATE INDEX orders_email ON orders (email);'],
  ['ban-drop-column', 'ALTER TABLE orders DROP COLUMN email;'],
  ['renaming-column', 'ALTER TABLE orders RENAME COLUMN email TO mail;'],
  ['ban-drop-table', 'DROP TABLE order_lines;'],
  ['changing-column-type', 'ALTER TABLE orders ALTER COLUMN tries TYPE bigint;'],
  ['adding-required-field', 'ALTER TABLE orders ADD COLUMN gift text NOT NULL;'],
  ['constraint-missing-not-valid', 'ALTER TABLE orders ADD CONSTRAINT positive CHECK (total_minor >= 0);'],
  ['adding-foreign-key-constraint', 'ALTER TABLE orders ADD CONSTRAINT of FOREIGN KEY (a) REFERENCES b (id);'],
  ['disallowed-unique-constraint', 'ALTER TABLE orders ADD CONSTRAINT one UNIQUE (email);'],
]) {
  test(`found: ${rule}`, (t) => {
    const { code, text } = said(t, { '20270101000000_new': timeout + sql });
    assert.equal(code, 1);
    assert.match(text, new RegExp(`^F/order/20270101000000_new/up\\.sql:2: ${rule}: `, 'm'));
  });
}

test('found: a lock that is waited for without an end', (t) => {
  const { code, text } = said(t, { '20270101000000_new': 'ALTER TABLE orders ADD COLUMN gift text;' });
  assert.equal(code, 1);
  assert.match(text, /require-lock-timeout/);
});

test('what does no harm passes', (t) => {
  const { code, text } = said(t, {
    '20270101000000_new': `${timeout}ALTER TABLE orders ADD COLUMN gift text;\nCREATE TABLE gifts (id uuid PRIMARY KEY);\nCREATE INDEX gifts_of ON gifts (id);`,
    '20270102000000_index': '-- no-transaction\nCREATE INDEX CONCURRENTLY orders_gift ON orders (gift);',
  });
  assert.equal(code, 0, text);
});

test('an index that is made beside a transaction has to say so', (t) => {
  const { code, text } = said(t, { '20270102000000_index': `${timeout}CREATE INDEX CONCURRENTLY orders_gift ON orders (gift);` });
  assert.equal(code, 1);
  assert.match(text, /ban-concurrent-index-creation-in-transaction/);
});

test('accepted with a reason, by its name or by its time', (t) => {
  const migrations = { '20270101000000_drop': `${timeout}ALTER TABLE orders DROP COLUMN email;` };
  assert.equal(said(t, migrations, 'order/20270101000000_drop ban-drop-column Nothing reads it since 1.2.0.').code, 0);
  assert.equal(said(t, migrations, 'until-20270101000000 * Before the first release.').code, 0);
  const other = said(t, migrations, 'until-20261231000000 * Before the first release.');
  assert.equal(other.code, 1);
  assert.match(other.text, /ban-drop-column[^]*nothing needs: until-20261231000000/);
  assert.match(said(t, migrations, 'order/20270101000000_drop ban-drop-column').text, /no reason/);
});

for (const words of [['--fast'], ['a', 'b'], ['--accepted']]) {
  test(`a wrong call: ${words.join(' ')}`, () => assert.equal(lint(...words).status, 2));
}
