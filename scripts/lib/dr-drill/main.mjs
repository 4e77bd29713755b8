// Plays a drill and says how it went. scripts/dr-drill has looked at what it was called with.

import { writeFileSync } from 'node:fs';

import { cache } from './cache.mjs';
import { database } from './database.mjs';
import { pods } from './pods.mjs';
import { restore } from './restore.mjs';
import { Stage } from './stage.mjs';

const drills = { database, cache, pods, restore };

const { drill, folder, json, ...options } = JSON.parse(process.argv[2]);
const stage = new Stage(folder);

let ending;
/** Once, whatever comes first. */
function end() {
  ending ??= stage.end();
  return ending;
}

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) {
  process.on(signal, () => { end().finally(() => process.exit(code)); });
}

// A mistake of the drill's own must not leave servers behind either.
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error) => {
    if (!ending) console.error(`dr-drill: ${error.stack}`);
    end().finally(() => process.exit(1));
  });
}

let code = 1;
try {
  const report = await drills[drill](stage, options);
  stage.tell('');
  if (!ending) {
    console.log(String(report));
    if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  }
  code = report.passed ? 0 : 1;
} catch (error) {
  // What a signal has taken away is missed by whoever waits for it.
  if (!ending) console.error(`dr-drill: ${error.message}`);
}
if (!ending) {
  await end();
  process.exit(code);
}
