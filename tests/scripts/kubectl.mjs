// kubectl, by which manifests are looked at as a cluster would get them.

import { spawnSync } from 'node:child_process';

/** No cluster of whoever runs this is asked. */
export const kubectl = (words, input) => spawnSync('kubectl', words, {
  encoding: 'utf8', input, maxBuffer: 64 << 20, env: { ...process.env, KUBECONFIG: '/dev/null' },
});

/** The kustomize that is part of it; older ones do not know all that is asked of them. */
const kustomize = Number(/Kustomize Version: v(\d+)/.exec(kubectl(['version', '--client']).stdout ?? '')?.[1] ?? 0);

/** For `test`, which says so where something is skipped. */
export const withKubectl = { skip: kustomize >= 5 ? false : 'there is no kubectl with kustomize 5 or newer' };
