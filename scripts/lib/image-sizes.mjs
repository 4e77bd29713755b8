// The platforms of an OCI layout, a line each: architecture, and how many bytes of layers are pulled for it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);
const blob = (digest) => JSON.parse(readFileSync(join(folder, 'blobs', ...digest.split(':')), 'utf8'));

function print(index) {
  for (const { digest } of index.manifests) {
    const found = blob(digest);
    // An index may be of indexes.
    if (found.manifests) print(found);
    else console.log(blob(found.config.digest).architecture, found.layers.reduce((sum, { size }) => sum + size, 0));
  }
}

print(JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')));
