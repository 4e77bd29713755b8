// scripts/previous-release: a release that adds something passes, one whose migration takes away what the release before needs is
// found, and where there is no release yet nothing is to be tried.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, eshopz, root, temporaryFolder } from '../browser/shop.mjs';

/** Of the private PostgreSQL: modules/shared/platform/src/embedded. */
const OWNER = 'eshopz';
const DATABASE = 'eshopz';
const script = join(root, 'scripts/previous-release');

function run(words, program = script) {
  return new Promise((answer) => {
    const child = spawn(program, words, { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stdout.on('data', (text) => { said += text; });
    child.stderr.on('data', (text) => { said += text; });
    child.once('close', (code) => answer({ code, said }));
  });
}

/** A program of this release whose migration has this SQL as well. */
function another(t, sql) {
  const folder = temporaryFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'eshopz');
  writeFileSync(program, `#!/usr/bin/env bash
set -euo pipefail
"${eshopz}" "$@"
[[ "$*" == 'migrate up' ]] || exit 0
# PostgreSQL writes down where its socket is.
socket=$(sed -n 5p "$ESHOPZ_DATA_DIR/postgres/postmaster.pid")
PATH=$PATH:$(printf '%s:' /usr/lib/postgresql/*/bin)
psql -X -q -v ON_ERROR_STOP=1 "host=$socket user=${OWNER} dbname=${DATABASE}" <<'SQL'
${sql}
SQL
`, { mode: 0o755 });
  return program;
}

test('a migration that adds something passes, and the release before does not mind that it does not know it', async (t) => {
  const { code, said } = await run(['--binary', eshopz, '--new', another(t, `
    ALTER TABLE carts.cart_items ADD COLUMN gift text;
    INSERT INTO public.eshopz_migrations (module, version, name, checksum) VALUES ('cart', '29990101000000', 'gifts', 'x');`)]);
  assert.equal(code, 0, said);
  assert.equal(said.match(/ sells$/gm).length, 5);
  assert.match(said, /previous-release: passed\n$/);
});

test('a migration that takes away what the release before needs is found', async (t) => {
  const { code, said } = await run(['--binary', eshopz, '--new', another(t, 'ALTER TABLE carts.cart_items DROP COLUMN sku;')]);
  assert.equal(code, 1, said);
  assert.match(said, /failed +guest's cart .*\/items: 500 internal/);
  assert.match(said, /previous-release: the release before, migrated beneath does not sell\n/);
});

test('a tag is the release before, and without one there is none', (t) => {
  const folder = temporaryFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true });
  const git = (...words) => execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...words], { cwd: folder, stdio: 'pipe' });
  git('init', '--quiet');
  git('commit', '--quiet', '--allow-empty', '-m', 'one');
  // A stand-in for cargo tells which commit is to be built.
  writeFileSync(join(folder, 'cargo'), '#!/bin/sh\necho "cargo in $(git describe --tags)" >&2\nexit 9\n', { mode: 0o755 });
  const call = () => spawnSync(join(folder, 'scripts/previous-release'), {
    encoding: 'utf8', env: cleanEnvironment({ PATH: `${folder}:${process.env.PATH}`, CARGO_TARGET_DIR: join(folder, 'target') }),
  });
  const without = call();
  assert.equal(without.status, 0, without.stderr);
  assert.match(without.stdout, /^there is no release yet/);
  git('tag', 'v1.2.3');
  // The tag of this very commit is this release.
  assert.match(call().stdout, /^there is no release yet/);
  git('commit', '--quiet', '--allow-empty', '-m', 'two');
  const before = call();
  assert.notEqual(before.status, 0);
  assert.match(before.stderr, /cargo in v1\.2\.3\n/);
  assert.equal(String(git('worktree', 'list')).trim().split('\n').length, 1);
});

for (const words of [['--fast'], ['--binary'], ['--binary', '/nowhere'], ['--new', '/nowhere']]) {
  test(`a wrong call: ${words.join(' ')}`, async () => assert.equal((await run(words)).code, 2));
}
