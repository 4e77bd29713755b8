// The bill: that nothing is left out of it, that its sums are right, and that it is where it should be.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PRICED, PriceError, bill, byService, cost, total } from "../cost/bill";
import { filled } from "../cost/main";
import { addedByThousand, measured, rates } from "../cost/orders";
import prices from "../cost/prices.json";
import { CHOICES, STACKS } from "../cost/scenarios";
import { SKETCH, TARGET, WHY } from "../cost/sketch";
import { settingsOf } from "../src/config";
import { file } from "../collect/collect";
import { variant, variants } from "./variants";

const near = (found: number, wanted: number) => assert.ok(Math.abs(found - wanted) < 0.005, `${found}, not ${wanted}`);

test("what the program makes has a price, or a reason for having none", async () => {
  const types = new Set<string>();
  for (const [name, collected] of await variants()) {
    assert.ok(total(bill(collected)) > 50, name);
    for (const { type } of collected.resources) types.add(type);
  }
  const unused = Object.keys(PRICED).filter((key) => ![...types].some((type) => (key.endsWith("*") ? type.startsWith(key.slice(0, -1)) : type === key)));
  assert.deepEqual(unused, [], "prices of what is not made");
});

test("a new type, or one without a price, is no surprise on the bill", async () => {
  const { settings, resources } = await variant("prod");
  const strange = { type: "aws:dynamodb/table:Table", name: "carts", inputs: {}, secrets: [] };
  assert.throws(() => bill({ settings, resources: [...resources, strange] }), (error) => error instanceof PriceError && /does not say what aws:dynamodb\/table:Table costs/.test(error.message));
  assert.throws(() => cost("ec2.m7g.large", 1), /prices.json has no price of ec2.m7g.large/);
});

test("single lines are as one would reckon them by hand", async () => {
  const prod = byService(bill(await variant("prod")));
  near(prod.get("EKS")!, 73);
  near(prod.get("Nodes")!, 2 * 0.0336 * 730 + 0.0336 * 730 * 0.4 + 3 * 20 * 0.08);
  near(prod.get("Aurora")!, 2 * 0.073 * 730 + 10 * 0.1 + 5 * 0.2);
  near(prod.get("NAT")!, 3 * (0.0042 * 730 + 8 * 0.08 + 0.005 * 730));
  near(prod.get("WAF")!, 5 + 6 + 3 * 0.6);
  near(prod.get("CloudFront")!, 0);
  const full = byService(bill(await variant("prod, everything in every zone")));
  near(full.get("NAT")!, 3 * (0.045 + 0.005) * 730 + 20 * 0.045);
  near(full.get("Endpoints")!, 7 * 3 * 0.01 * 730);
});

test("production, committed for a year, is within the first sketch's sum", async () => {
  const committed = total(bill(await variant("prod"), { committed: true }));
  assert.ok(committed <= TARGET, `${committed.toFixed(2)} is above ${TARGET}: say in docs/cost.md why, and what the nearest is`);
  near(Object.values(SKETCH).reduce((sum, usd) => sum + usd, 0), 281.26);
});

test("a stack's budget is above its bill, and not by far", async () => {
  for (const [name, collected] of await variants()) {
    if (name.includes(",")) continue;
    const sum = total(bill(collected));
    const { monthlyBudget } = collected.settings;
    assert.ok(monthlyBudget > sum && monthlyBudget < sum * 1.3, `${name}: a budget of ${monthlyBudget} for ${sum.toFixed(2)}`);
  }
});

test("each service of a bill is explained beside the sketch", async () => {
  const services = new Set<string>();
  for (const collected of (await variants()).values()) for (const { service } of bill(collected)) services.add(service);
  assert.deepEqual([...services].filter((service) => !Object.hasOwn(WHY, service)), []);
});

test("a price says where it is from and when", () => {
  for (const [key, price] of [...Object.entries(prices.prices), ...Object.entries(prices.shares)] as Array<[string, { source: string; known: string }]>) {
    assert.match(price.source, /https:\/\/|^Assumed/, key);
    assert.match(price.known, /^\d{4}-\d\d$/, key);
  }
});

test("what is compared is what the settings allow", () => {
  for (const { stack, changes } of [...STACKS, ...CHOICES]) {
    const { region, raw } = file(stack);
    assert.ok(settingsOf(stack, region, { ...raw, ...changes }));
  }
});

test("a thousand orders cost what was measured", () => {
  const { database, combined, split } = measured();
  assert.ok(database > 0 && combined > 0 && split > combined);
  const { lasting, burst } = rates(2);
  near(lasting, 0.4 / (database / 1000));
  assert.ok(burst > lasting);
  assert.ok(addedByThousand().every(([, usd]) => usd > 0));
});

test("tables of a document are put where they belong, and a missing place is said", () => {
  const text = "a\n<!-- one: made -->\nold\n<!-- /one -->\nb\n";
  assert.equal(filled(text, { one: "new" }), "a\n<!-- one: made -->\n\nnew\n\n<!-- /one -->\nb\n");
  assert.throws(() => filled(text, { one: "x", two: "y" }), /no place for two/);
  assert.throws(() => filled(text, {}), /a place for one, of which there is no table/);
});
