// Every stack against every rule, and what the rules do not see: outputs, and lists that nobody needs any more.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { ROOT } from "../collect/collect";
import { STARS, usedStars } from "../policy/access";
import { EVERYWHERE, RULES } from "../policy/all";
import { CIDRS, WAYS_OUT, routesOf } from "../policy/network";
import { judge, ofType } from "../policy/rule";
import { UNTAGGABLE } from "../src/tags";
import { variant, variants } from "./variants";

test("nothing in any stack breaks a rule", async () => {
  for (const [name, collected] of await variants()) assert.deepEqual(judge(collected, RULES, EVERYWHERE), [], name);
});

test("no rule, exception or list is there for nothing", async () => {
  const all = [...(await variants()).values()].flatMap(({ resources }) => resources);
  const types = new Set(all.map(({ type }) => type));
  assert.deepEqual(Object.keys(RULES).filter((type) => !types.has(type)), [], "types that are judged and not made");
  assert.deepEqual([...UNTAGGABLE].filter((type) => !types.has(type)), [], "types of src/tags.ts that are not made");
  assert.deepEqual(STARS.filter(({ name, sid }) => !usedStars.has(`${name} ${sid}`)), [], "stars that nobody needs");
  assert.deepEqual(Object.keys(WAYS_OUT).filter((end) => !all.some(({ name }) => name.endsWith(`-${end}`))), [], "ways out that nobody needs");
});

test("the networks are those that were agreed on, and the database's have no way out", async () => {
  for (const [name, { resources }] of await variants()) {
    const subnets = ofType(resources, "aws:ec2/subnet:Subnet");
    assert.deepEqual(subnets.map(({ inputs }) => inputs["cidrBlock"]).sort(), Object.values(CIDRS).flat().sort(), name);
    for (const subnet of subnets.filter((one) => one.name.includes("-database-"))) assert.deepEqual(routesOf(subnet, resources), [], subnet.name);
  }
});

test("one NAT, one in each zone, or an instance in each, by the setting", async () => {
  const count = async (name: string, type: string) => ofType((await variant(name)).resources, type).length;
  assert.deepEqual([await count("dev", "aws:ec2/natGateway:NatGateway"), await count("dev", "aws:ec2/instance:Instance")], [1, 0]);
  assert.deepEqual([await count("prod", "aws:ec2/natGateway:NatGateway"), await count("prod", "aws:ec2/instance:Instance")], [0, 3]);
  const full = "prod, everything in every zone";
  assert.deepEqual([await count(full, "aws:ec2/natGateway:NatGateway"), await count(full, "aws:ec2/instance:Instance")], [3, 0]);
  const { resources } = await variant(full);
  const ways = ofType(resources, "aws:ec2/route:Route").filter(({ inputs }) => inputs["natGatewayId"]);
  assert.equal(new Set(ways.map(({ inputs }) => inputs["natGatewayId"])).size, 3, "a zone goes out by another's NAT");
  assert.equal(ofType(resources, "aws:ec2/vpcEndpoint:VpcEndpoint").length, 8);
});

test("production holds what the recovery table counts on", async () => {
  const { resources, settings } = await variant("prod");
  const [cluster] = ofType(resources, "aws:rds/cluster:Cluster");
  assert.ok(cluster && settings.database.backupDays >= 7 && cluster.inputs["deletionProtection"]);
  assert.deepEqual(ofType(resources, "aws:rds/clusterInstance:ClusterInstance").map(({ inputs }) => [inputs["identifier"], inputs["availabilityZone"]]),
    [["eshopz-prod-1", "us-east-1a"], ["eshopz-prod-2", "us-east-1b"]]);
  const [plan] = ofType(resources, "aws:backup/plan:Plan");
  assert.match(plan?.inputs["rules"][0].copyActions[0].destinationVaultArn, /eshopz-prod-copy/);
});

test("elsewhere and under another name nothing meets what was there before", async () => {
  const { resources, environment } = await variant("prod, serverless, in Frankfurt");
  assert.deepEqual(resources.filter(({ name }) => !name.startsWith("eshopz-prod-west")), []);
  assert.ok(!/eshopz-prod(?!-west)/.test(JSON.stringify([resources.map(({ inputs }) => inputs), environment])));
  const [cluster] = ofType(resources, "aws:rds/cluster:Cluster");
  assert.match(cluster?.inputs["snapshotIdentifier"], /cluster-snapshot:awsbackup/);
});

test("outputs hold no secret, and all that the overlays want", async () => {
  for (const [name, { environment, secretOutputs }] of await variants()) {
    assert.deepEqual(secretOutputs, [], name);
    assert.ok(!/password-of/.test(JSON.stringify(environment)), name);
    for (const [key, value] of Object.entries(environment)) {
      assert.match(key, /^[A-Z0-9_]+$/);
      assert.ok(typeof value === "string" && !/[\n\r]/.test(value), `${name}: ${key} is no line`);
      assert.ok(value !== "" || key === "WAF_ACL_ARN", `${name}: ${key} is empty`);
    }
  }
});

test("no input but those that Pulumi encrypts has a password in it", async () => {
  for (const [name, { resources }] of await variants()) {
    for (const resource of resources) {
      const covered = { ...resource.inputs };
      for (const path of resource.secrets) delete covered[path.split(/[.[]/)[0]!];
      assert.ok(!JSON.stringify(covered).includes("password-of"), `${name}: ${resource.type} ${resource.name}`);
    }
  }
});

/** Of platform.env what the settings say; the rest is made by AWS. */
const SAID = ["ALB_GROUP", "ALB_NAME", "ALB_SCHEME", "AWS_REGION", "CLUSTER_NAME", "ESHOPZ_EVENTS_PREFIX", "ESHOPZ_SECRETS", "ESHOPZ_TRUSTED_PROXIES",
  "NODE_ARCHITECTURE", "SECRET_DATABASE", "SECRET_SHOP", "STACK", "VPC_CIDR"];
const OVERLAYS: Record<string, string> = { dev: "dev", staging: "staging", "prod-combined": "prod", "prod-split": "prod" };

test("the overlays have what the program hands out", async (t) => {
  const folder = join(ROOT, "../kustomize/overlays");
  if (!existsSync(folder)) return t.skip("there are no overlays yet");
  for (const [overlay, stack] of Object.entries(OVERLAYS)) {
    const { environment } = await variant(stack);
    const text = readFileSync(join(folder, overlay, "platform.env"), "utf8");
    const values = Object.fromEntries(text.split("\n").filter((line) => /^[A-Z]/.test(line)).map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
    assert.deepEqual(Object.keys(values).sort(), Object.keys(environment).sort(), overlay);
    for (const name of SAID) assert.equal(values[name], environment[name], `${overlay}: ${name}`);
  }
});
