// Settings that make no sense are refused, with the setting's name and what to do.

import assert from "node:assert/strict";
import { test } from "node:test";

import { file } from "../collect/collect";
import { STACKS, type Raw, SettingsError, settingsOf } from "../src/config";

const prod = (changes: Raw) => settingsOf("prod", "us-east-1", { ...file("prod").raw, ...changes });

test("the stacks' own settings are good", () => {
  for (const stack of STACKS) assert.equal(settingsOf(stack, file(stack).region, file(stack).raw).stack, stack);
});

test("what makes no sense is refused, by name", () => {
  const { raw } = file("prod");
  const database = raw["database"] as Raw;
  const nodes = raw["nodes"] as Raw;
  const bad: Array<[Raw, RegExp]> = [
    [{ nat: "two" }, /^eshopz:nat has to be one, perZone or instances; it is "two"$/],
    [{ nat: "one" }, /^in production eshopz:nat has to be perZone or instances/],
    [{ hostName: undefined }, /^eshopz:hostName has to be .*; it is missing$/],
    [{ hostName: "Shop" }, /^eshopz:hostName/],
    [{ hostName: "shop.example.org" }, /shop.example.org, is not in the zone eshopz:zoneName, example.com/],
    [{ alarmEmail: "ops" }, /^eshopz:alarmEmail/],
    [{ operatorCidrs: ["0.0.0.0/0"] }, /^eshopz:operatorCidrs .*none wider than \/8/],
    [{ operatorCidrs: ["10.0.0.300/24"] }, /^eshopz:operatorCidrs/],
    [{ operatorCidrs: "203.0.113.0/24" }, /^eshopz:operatorCidrs has to be a list/],
    [{ monthlyBudget: 0 }, /^eshopz:monthlyBudget/],
    [{ monthlyBudget: "281" }, /^eshopz:monthlyBudget/],
    [{ nodes: { ...nodes, count: 1 } }, /^in production eshopz:nodes.count has to be 2 or more/],
    [{ nodes: { ...nodes, most: 1 } }, /^eshopz:nodes.most is 1, fewer than count, 2$/],
    [{ nodes: { ...nodes, types: ["t3.medium"] } }, /^eshopz:nodes.types: t3.medium is not arm64/],
    [{ nodes: { ...nodes, types: [] } }, /^eshopz:nodes.types has to be a list/],
    [{ nodes: { ...nodes, size: 3 } }, /^eshopz:nodes.size is no setting; there are architecture, count/],
    [{ spot: { types: ["m5.large"], count: 0, most: 1 } }, /^eshopz:spot.types: m5.large is not arm64/],
    [{ database: { ...database, class: "db.t3.micro" } }, /Aurora PostgreSQL has no db.t3.micro; the least is db.t4g.medium/],
    [{ database: { ...database, kind: "cluster" } }, /^eshopz:database.kind has to be serverless or instances/],
    [{ database: { ...database, readers: 0 } }, /^in production eshopz:database.readers/],
    [{ database: { ...database, backupDays: 36 } }, /^eshopz:database.backupDays has to be a whole number from 1 to 35; it is 36$/],
    [{ database: { ...database, backupDays: 1 } }, /^in production eshopz:database.backupDays/],
    [{ database: { kind: "serverless", leastAcu: 0, mostAcu: 4, readers: 1, backupDays: 7 } }, /^in production eshopz:database.leastAcu/],
    [{ database: { kind: "serverless", leastAcu: 8, mostAcu: 4, readers: 1, backupDays: 7 } }, /^eshopz:database.mostAcu/],
    [{ database: { kind: "serverless", leastAcu: 0.3, mostAcu: 4, readers: 1, backupDays: 7 } }, /^eshopz:database.leastAcu has to be 0 to 256 in halves/],
    [{ database: undefined }, /^eshopz:database.kind has to be .*; it is missing$/],
    [{ cache: { type: "t4g.micro", replicas: 1, snapshotDays: 1 } }, /^eshopz:cache.type/],
    [{ cache: { type: "cache.t4g.micro", replicas: 0, snapshotDays: 1 } }, /^in production eshopz:cache.replicas/],
    [{ replicaRegion: "us-east-1" }, /^in production eshopz:replicaRegion/],
    [{ wafAtLoadBalancer: "yes" }, /^eshopz:wafAtLoadBalancer has to be true or false/],
    [{ repository: "eshopz" }, /^eshopz:repository has to be owner\/name/],
    [{ prefix: "Shop" }, /^eshopz:prefix has to be 3 to 24 small letters/],
    [{ prefix: "eshopz--west" }, /^eshopz:prefix/],
    [{ database: { ...database, snapshot: "my snapshot" } }, /^eshopz:database.snapshot/],
    [{ natGateways: 3 }, /^eshopz:natGateways is no setting/],
  ];
  for (const [changes, says] of bad) {
    assert.throws(() => prod(changes), (error) => error instanceof SettingsError && says.test(error.message), `${JSON.stringify(changes)} ${says}`);
  }
  assert.throws(() => settingsOf("prod", undefined, raw), /aws:region has to be a region such as us-east-1; it is missing/);
  assert.throws(() => settingsOf("live", "us-east-1", raw), /there is no stack live; there are dev, staging, prod/);
});
