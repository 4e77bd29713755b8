// Topics, queues and rights against what the program says (topology.json, which scripts/platform-events holds to the program).

import assert from "node:assert/strict";
import { test } from "node:test";

import { ofType } from "../policy/rule";
import { TOPOLOGY, deadName, queueName, topicName } from "../src/events";
import { variant, variants } from "./variants";

test("a topic for each that tells something, a queue with dead letters for each that listens, and no others", async () => {
  for (const [name, { resources, settings }] of await variants()) {
    const topics = ofType(resources, "aws:sns/topic:Topic").map(({ inputs }) => inputs["name"]).filter((one) => !/-alarms/.test(one));
    assert.deepEqual(topics.sort(), Object.keys(TOPOLOGY.publishes).map((module) => topicName(settings.prefix, module)).sort(), name);
    const queues = ofType(resources, "aws:sqs/queue:Queue").map(({ inputs }) => inputs["name"]);
    const wanted = Object.keys(TOPOLOGY.listens).flatMap((module) => [queueName(settings.prefix, module), deadName(settings.prefix, module)]);
    assert.deepEqual(queues.sort(), wanted.sort(), name);
  }
});

test("each queue gets what its listeners take, and as `eshopz events setup` would make it", async () => {
  const { resources, settings } = await variant("prod");
  for (const [module, publishers] of Object.entries(TOPOLOGY.listens)) {
    const name = queueName(settings.prefix, module);
    const queue = ofType(resources, "aws:sqs/queue:Queue").find((one) => one.name === name)!.inputs;
    assert.deepEqual([queue["messageRetentionSeconds"], queue["visibilityTimeoutSeconds"], queue["receiveWaitTimeSeconds"]], [TOPOLOGY.retention, TOPOLOGY.visibility, TOPOLOGY.wait]);
    assert.equal(JSON.parse(queue["redrivePolicy"]).maxReceiveCount, TOPOLOGY.maxReceives);
    const subscribed = ofType(resources, "aws:sns/topicSubscription:TopicSubscription").filter(({ inputs }) => inputs["endpoint"].endsWith(`/${name}`));
    const filters = Object.fromEntries(subscribed.map(({ inputs }) => [inputs["topic"].split("/").pop(), JSON.parse(inputs["filterPolicy"])[TOPOLOGY.filter]]));
    assert.deepEqual(filters, Object.fromEntries(Object.entries(publishers).map(([publisher, events]) => [topicName(settings.prefix, publisher), events])));
    const senders = JSON.parse(ofType(resources, "aws:sqs/queuePolicy:QueuePolicy").find((one) => one.name === name)!.inputs["policy"]).Statement[0].Condition.ArnEquals["aws:SourceArn"];
    assert.equal(senders.length, Object.keys(publishers).length);
  }
});

test("a module's role reaches its own topic and queue, and no other's", async () => {
  const { resources, settings } = await variant("prod");
  for (const module of TOPOLOGY.modules) {
    const policy = ofType(resources, "aws:iam/rolePolicy:RolePolicy").find(({ name }) => name === `${settings.prefix}-${module}-service`)!.inputs["policy"];
    const reached = (policy.match(/eshopz-prod-\w+-(?:events|listeners)/g) ?? []) as string[];
    const own = [...(module in TOPOLOGY.publishes ? [topicName(settings.prefix, module)] : []), ...(module in TOPOLOGY.listens ? [queueName(settings.prefix, module)] : [])];
    assert.deepEqual([...new Set(reached)].sort(), own.sort(), module);
  }
});
