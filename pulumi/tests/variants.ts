// The stacks as they are, and as settings can make them: what is dearer, elsewhere, or switched on.

import { type Collected, collect } from "../collect/collect";
import { STACKS } from "../src/config";

const CHANGED = {
  "prod, everything in every zone": { stack: "prod", changes: { nat: "perZone", endpoints: "interface", shop: "split", repository: "eshopz/eshopz" }, region: undefined },
  "prod, serverless, in Frankfurt": {
    stack: "prod", region: "eu-central-1",
    changes: {
      prefix: "eshopz-prod-west",
      database: { kind: "serverless", leastAcu: 0.5, mostAcu: 8, readers: 1, backupDays: 7, snapshot: "arn:aws:rds:eu-central-1:123456789012:cluster-snapshot:awsbackup:copyjob-1" }, nat: "perZone", wafAtLoadBalancer: true,
      operatorCidrs: ["203.0.113.0/24"], nodes: { architecture: "x86_64", types: ["t3.medium"], count: 2, most: 4 }, spot: { types: ["t3.medium", "t3.large"], count: 0, most: 2 },
    },
  },
};

let made: Promise<Map<string, Collected>> | undefined;

/** All of them, made once. */
export function variants(): Promise<Map<string, Collected>> {
  made ??= (async () => {
    const all = new Map<string, Collected>();
    for (const stack of STACKS) all.set(stack, await collect(stack));
    for (const [name, { stack, changes, region }] of Object.entries(CHANGED)) all.set(name, await collect(stack, changes, region));
    return all;
  })();
  return made;
}

export async function variant(name: string): Promise<Collected> {
  const found = (await variants()).get(name);
  if (!found) throw new Error(`no ${name}`);
  return found;
}
