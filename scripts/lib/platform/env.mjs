// Writes what Pulumi knows into the overlays of kustomize: `pulumi stack output --json`, from a file or standard input, becomes one
// file platform.env for each overlay of that stack. Nothing is copied by hand, and nothing secret is in it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');

/** Which overlays a stack's figures go to. */
export const OVERLAYS = { dev: ['dev'], staging: ['staging'], prod: ['prod-combined', 'prod-split'] };

const HEAD = `# Written by scripts/platform-env from the outputs of the stack in pulumi/: do not edit.\n`;

export class EnvError extends Error {}

/** The text of a platform.env. */
export function environmentOf(outputs) {
  const values = outputs?.environment;
  if (typeof values !== 'object' || values === null || Array.isArray(values)) throw new EnvError('the outputs have no environment: is it `pulumi stack output --json` of pulumi/?');
  const lines = Object.entries(values).sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, value]) => {
    if (!/^[A-Z][A-Z0-9_]*$/.test(key)) throw new EnvError(`${key} is no name of a variable`);
    if (value === '[secret]') throw new EnvError(`${key} is a secret, which belongs into no file`);
    if (typeof value !== 'string' || /[\n\r]/.test(value)) throw new EnvError(`${key} is no line of text`);
    return `${key}=${value}\n`;
  });
  if (!Object.hasOwn(OVERLAYS, values.STACK)) throw new EnvError(`there are no overlays of a stack ${values.STACK}; there are ${Object.keys(OVERLAYS).join(', ')}`);
  return { stack: values.STACK, text: HEAD + lines.join('') };
}

function main(words) {
  const check = words.includes('--check');
  const [path = '-', ...more] = words.filter((word) => word !== '--check');
  if (more.length || (path.startsWith('-') && path !== '-')) throw new EnvError('Usage: scripts/platform-env [--check] [FILE]');
  const said = readFileSync(path === '-' ? 0 : path, 'utf8');
  let outputs;
  try {
    outputs = JSON.parse(said);
  } catch {
    throw new EnvError(`${path === '-' ? 'standard input' : path} is no JSON; it should be what \`pulumi stack output --json\` prints`);
  }
  const { stack, text } = environmentOf(outputs);
  const wrong = [];
  for (const overlay of OVERLAYS[stack]) {
    const folder = join(process.env.OVERLAYS ?? join(root, 'kustomize/overlays'), overlay);
    if (!existsSync(folder)) throw new EnvError(`there is no overlay ${folder}`);
    const file = join(folder, 'platform.env');
    const same = existsSync(file) && readFileSync(file, 'utf8') === text;
    if (check && !same) wrong.push(file);
    if (!check && !same) writeFileSync(file, text);
    if (!check) console.log(`${same ? 'unchanged' : 'written'} ${file}`);
  }
  if (wrong.length) throw new EnvError(`not what the stack says: ${wrong.join(', ')}; mend with scripts/platform-env`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof EnvError) && error.code === undefined) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
