// What a thousand orders cost: the fixed bill divided by what the chosen machines can do, and what each order adds. Measured
// figures come from docs/performance.md, by its own words, so that a new measurement changes this.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "../collect/collect";
import { cost } from "./bill";

export interface Measured {
  /** Milliseconds of a processor for a guest's whole checkout: PostgreSQL's, the shop's in one process, in five. */
  database: number;
  combined: number;
  split: number;
}

export function measured(): Measured {
  const text = readFileSync(join(ROOT, "../docs/performance.md"), "utf8");
  const read = (pattern: RegExp, what: string): string[] => {
    const found = pattern.exec(text);
    if (!found) throw new Error(`docs/performance.md does not say ${what} any more: say in cost/orders.ts how it says it now`);
    return found.slice(1);
  };
  const [combined, split] = read(/CPU per checkout: one process ([\d.]+) ms, five ([\d.]+) ms/, "what a checkout takes of the shop");
  const [database] = read(/time: ([\d.]+) ms of it for each checkout/, "what a checkout takes of PostgreSQL");
  return { database: Number(database), combined: Number(combined), split: Number(split) };
}

/** Of a burstable machine: the part of a core that it may use for good. */
const BASELINE: Record<string, { cores: number; part: number }> = {
  "db.t4g.medium": { cores: 2, part: 0.2 },
  "t4g.medium": { cores: 2, part: 0.2 },
};

export interface Rates {
  /** Checkouts a second for good, without being billed for bursts. */
  lasting: number;
  /** With all of the database's cores, while credits last. */
  burst: number;
  limitedBy: string;
}

export function rates(nodes: number): Rates {
  const { database, combined } = measured();
  const ofDatabase = BASELINE["db.t4g.medium"]!;
  const ofNode = BASELINE["t4g.medium"]!;
  const byDatabase = ofDatabase.cores * ofDatabase.part / (database / 1000);
  const byShop = nodes * ofNode.cores * ofNode.part / (combined / 1000);
  return { lasting: Math.min(byDatabase, byShop), burst: ofDatabase.cores / (database / 1000), limitedBy: byDatabase < byShop ? "Aurora" : "the nodes" };
}

/** What a thousand orders add to the bill. Assumed: for each order 24 requests of customers (20 looks, 4 of the checkout), 4 events to
 *  SNS with 9 calls of SQS, 60 reads and writes of the disk, 13 uses of a key, 8 kB of logs. Nothing is taken off for what is free. */
export function addedByThousand(): Array<[string, number]> {
  const thousand = 1000 / 1e6;
  const plain = (key: string, quantity: number) => cost(key, quantity + free(key)) - cost(key, free(key));
  return [
    ["WAF and CloudFront, 24 requests each", plain("waf.requests", 24 * thousand) + plain("cloudfront.requests", 24 * thousand)],
    ["CloudFront, 24 answers of 5 kB", plain("cloudfront.data", 24 * 1000 * 5 / 1e6)],
    ["SNS and SQS, 4 and 9 calls", plain("sns", 4 * thousand) + plain("sqs", 9 * thousand)],
    ["KMS, 13 uses", plain("kms.requests", 13 * thousand)],
    ["Aurora, 60 reads and writes", plain("aurora.io", 60 * thousand)],
    ["logs, 8 kB", plain("cloudwatch.logs", 8 * 1000 / 1e6)],
  ];
}

const FREE: Record<string, number> = { "cloudfront.data": 1024, "cloudfront.requests": 10, sqs: 1, sns: 1, "kms.requests": 0.02, "cloudwatch.logs": 5 };
const free = (key: string): number => FREE[key] ?? 0;
