// Writes the dashboards, or with `--check` says which of them are not what is described here.

import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import business from './business.mjs';
import checkout from './checkout.mjs';
import database from './database.mjs';
import events from './events.mjs';
import overview from './overview.mjs';
import payments from './payments.mjs';
import processes from './process.mjs';

const FOLDER = resolve(fileURLToPath(import.meta.url), '../../../../kustomize/monitoring/grafana/dashboards');

const all = [overview, checkout, payments, events, database, processes, business];
const files = new Map(all.map((one) => [`${one.uid}.json`, `${JSON.stringify(one, null, 1)}\n`]));
const present = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
const unknown = present.filter((name) => !files.has(name));

if (process.argv.includes('--check')) {
  const drifted = [...files].filter(([name, text]) => !present.includes(name) || readFileSync(join(FOLDER, name), 'utf8') !== text);
  const wrong = [...drifted.map(([name]) => name), ...unknown];
  if (wrong.length) {
    console.error(`not what scripts/lib/dashboards describes: ${wrong.join(', ')}; mend with scripts/dashboards`);
    process.exit(1);
  }
} else {
  for (const [name, text] of files) writeFileSync(join(FOLDER, name), text);
  for (const name of unknown) rmSync(join(FOLDER, name));
}
