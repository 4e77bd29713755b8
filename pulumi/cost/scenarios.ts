// What is compared: the stacks as they are, and production by other choices. Each is what the program would make with these
// settings, not a sum of guesses.

import type { Raw } from "../src/config";
import type { Choice } from "./bill";

export interface Scenario {
  name: string;
  stack: "dev" | "staging" | "prod";
  changes?: Raw;
  choice?: Choice;
  /** What it means for the recovery table, and for whoever runs it. */
  means: string;
}

const NODES = { architecture: "arm64", types: ["t4g.medium"], most: 6 };
const SPOT = { types: ["t4g.medium", "t4g.large"], most: 3 };
const SERVERLESS = { kind: "serverless", leastAcu: 0.5, mostAcu: 8, readers: 1, backupDays: 14 };

export const STACKS: Scenario[] = [
  { name: "dev", stack: "dev", means: "the least of everything" },
  { name: "staging", stack: "staging", means: "production's shape, with every endpoint" },
  { name: "prod", stack: "prod", means: "as configured, without any commitment" },
  { name: "prod, committed", stack: "prod", choice: { committed: true }, means: "the same resources, reserved for a year with nothing upfront" },
];

export const BASE: Scenario = STACKS[2]!;

/** Each beside `prod` as it is. */
export const CHOICES: Scenario[] = [
  { name: "reserved for a year", stack: "prod", choice: { committed: true }, means: "the same resources; nodes, Aurora and Redis have to stay of their kind" },
  { name: "no Spot", stack: "prod", changes: { nodes: { ...NODES, count: 3 }, spot: { ...SPOT, count: 0 } }, means: "the monitoring's node does not vanish" },
  { name: "no node for the monitoring", stack: "prod", changes: { spot: { ...SPOT, count: 0 } }, means: "the monitoring does not fit beside the shop: CloudWatch only" },
  { name: "t3 nodes (x86)", stack: "prod", changes: { nodes: { architecture: "x86_64", types: ["t3.medium"], count: 2, most: 6 }, spot: { types: ["t3.medium", "t3.large"], count: 1, most: 3 } }, means: "an image for amd64" },
  { name: "Aurora serverless", stack: "prod", changes: { database: SERVERLESS }, means: "at 1 ACU on average, half the memory of db.t4g.medium; grows with the load" },
  { name: "NAT gateways, one a zone", stack: "prod", changes: { nat: "perZone" }, means: "nothing to patch; the dearest way out" },
  { name: "interface endpoints in every zone", stack: "prod", changes: { endpoints: "interface" }, means: "AWS is reached without a NAT; not more often reached" },
  { name: "split into five", stack: "prod", changes: { shop: "split", nodes: { ...NODES, count: 3 } }, means: "ten processes instead of two, and 2.6 times the processor for a checkout: one node more" },
  { name: "logs in Elasticsearch, three nodes", stack: "prod", changes: { spot: { types: ["t4g.large", "t4g.medium"], count: 3, most: 4 } }, means: "kustomize/monitoring/logging with a node in each zone" },
  { name: "S3 without tiering", stack: "prod", choice: { untiered: true }, means: "cold files cost as much as others" },
  { name: "a second web ACL at the load balancer", stack: "prod", changes: { wafAtLoadBalancer: true }, means: "rules for what comes from CloudFront only" },
  {
    name: "everything in every zone", stack: "prod",
    changes: { nat: "perZone", endpoints: "interface", shop: "split", nodes: { ...NODES, count: 3 } },
    means: "gateways and endpoints in three zones, and the shop in five",
  },
];
