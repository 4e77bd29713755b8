// Asks squawk about the migrations and holds what it finds against what is accepted: main.mjs SQUAWK FOLDER ACCEPTED

import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [squawk, folder, acceptedFile] = process.argv.slice(2);

/** Matters of taste, what the runner takes care of (a migration that fails leaves nothing), and how long a filling may take. */
const LEFT_OUT = ['prefer-robust-stmts', 'prefer-bigint-over-int', 'prefer-bigint-over-smallint', 'prefer-identity',
  'prefer-text-field', 'require-statement-timeout', 'prefer-timestamptz'];

const modules = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
const migrations = modules.flatMap((module) => readdirSync(join(folder, module)).map((name) => `${module}/${name}`)).sort();
if (migrations.length === 0) throw new Error(`${folder} has no migrations`);

function found(names, inTransaction, leftOut = LEFT_OUT) {
  if (names.length === 0) return [];
  const files = names.map((name) => join(folder, name, 'up.sql'));
  const done = spawnSync(squawk, ['--reporter', 'json', '--pg-version', '14', '--exclude', leftOut.join(','),
    `--${inTransaction ? '' : 'no-'}assume-in-transaction`, ...files], {
    encoding: 'utf8', maxBuffer: 64 << 20,
  });
  if (done.error) throw done.error;
  // 1 when something was found.
  if (done.status > 1) throw new Error(done.stderr);
  return JSON.parse(done.stdout).map(({ file, line, rule_name: rule, message, help }) => ({
    migration: file.slice(folder.length + 1).replace(/\/up\.sql$/, ''), line: line + 1, rule, message, help,
  }));
}

const alone = (name) => readFileSync(join(folder, name, 'up.sql'), 'utf8').startsWith('-- no-transaction');
const all = [
  ...found(migrations.filter((name) => !alone(name)), true),
  // It is one statement, with no room for another that says how long it waits; and it stops nobody while it does.
  ...found(migrations.filter(alone), false, [...LEFT_OUT, 'require-lock-timeout']),
];

const problems = [];
const accepted = readFileSync(acceptedFile, 'utf8').split('\n').filter((line) => line.trim() && !line.startsWith('#')).map((line) => {
  const [migration, rule, ...reason] = line.trim().split(/\s+/);
  if (reason.length < 3) problems.push(`${acceptedFile}: no reason: ${line}`);
  return { migration, rule, line, used: false };
});

function accepts(one, { migration, rule }) {
  const timestamp = migration.split('/')[1].split('_')[0];
  const until = /^until-(\d{14})$/.exec(one.migration)?.[1];
  return (until ? timestamp <= until : one.migration === migration) && ['*', rule].includes(one.rule);
}

for (const each of all) {
  const reason = accepted.find((one) => accepts(one, each));
  if (reason) reason.used = true;
  else problems.push(`${folder}/${each.migration}/up.sql:${each.line}: ${each.rule}: ${each.message}${each.help ? ` ${each.help}` : ''}`);
}
for (const { used, line } of accepted) if (!used) problems.push(`${acceptedFile}: nothing needs: ${line}`);

if (problems.length) {
  console.error(`${problems.join('\n')}\n\nlint-migrations: https://squawkhq.com/docs/rules says what to do instead, or accept it in ${acceptedFile}`);
  process.exitCode = 1;
} else {
  console.log(`${migrations.length} migrations, ${all.length} findings, each accepted with a reason`);
}
