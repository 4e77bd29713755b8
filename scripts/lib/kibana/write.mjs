// Writes Kibana's saved objects, or with `--check` says which of them are not what is described here.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import dashboard from './dashboard.mjs';
import { dataView } from './objects.mjs';
import searches from './searches.mjs';

const FOLDER = resolve(fileURLToPath(import.meta.url), '../../../../kustomize/monitoring/logging/setup/saved-objects');

const files = new Map(Object.entries({
  'data-view.ndjson': [dataView('logs-eshopz-*', 'EShopz')],
  'searches.ndjson': searches,
  'dashboard.ndjson': dashboard,
}).map(([name, objects]) => [name, objects.map((one) => `${JSON.stringify(one)}\n`).join('')]));

if (process.argv.includes('--check')) {
  const isAs = (name, text) => existsSync(join(FOLDER, name)) && readFileSync(join(FOLDER, name), 'utf8') === text;
  const wrong = [...files].filter(([name, text]) => !isAs(name, text)).map(([name]) => name);
  if (wrong.length) {
    console.error(`not what scripts/lib/kibana describes: ${wrong.join(', ')}; mend with scripts/kibana`);
    process.exit(1);
  }
} else {
  for (const [name, text] of files) writeFileSync(join(FOLDER, name), text);
}
