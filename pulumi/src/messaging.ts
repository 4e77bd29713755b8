// Topics and queues of the shop's events: a topic for each module that tells something, a queue with dead letters for each that
// listens, and between them a filter that lets through what its listeners take.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

import type { Settings } from "./config";
import { TOPOLOGY, deadName, queueName, topicName } from "./events";
import type { Keys } from "./keys";
import { Part, json, policy } from "./part";

export class Messaging extends Part {
  readonly topics = new Map<string, aws.sns.Topic>();
  readonly queues = new Map<string, aws.sqs.Queue>();
  readonly dead = new Map<string, aws.sqs.Queue>();

  constructor(settings: Settings, keys: Keys, parent: pulumi.Resource) {
    super("Messaging", settings, parent);
    const key = keys.arn("messaging");
    for (const module of Object.keys(TOPOLOGY.publishes)) {
      const name = topicName(settings.prefix, module);
      this.topics.set(module, new aws.sns.Topic(name, { name, kmsMasterKeyId: key }, this.child));
    }
    for (const [module, publishers] of Object.entries(TOPOLOGY.listens)) {
      this.queue(module, Object.keys(publishers), key);
      for (const [publisher, events] of Object.entries(publishers)) this.subscribe(module, publisher, events);
    }
    this.registerOutputs();
  }

  private topic(module: string): aws.sns.Topic {
    const topic = this.topics.get(module);
    if (!topic) throw new Error(`${module} publishes nothing, and is listened to`);
    return topic;
  }

  private queue(module: string, publishers: string[], key: pulumi.Output<string>): void {
    const all = { kmsMasterKeyId: key, kmsDataKeyReusePeriodSeconds: 3600, visibilityTimeoutSeconds: TOPOLOGY.visibility, receiveWaitTimeSeconds: TOPOLOGY.wait };
    const deadly = deadName(this.settings.prefix, module);
    const dead = new aws.sqs.Queue(deadly, { name: deadly, messageRetentionSeconds: TOPOLOGY.deadRetention, ...all }, this.child);
    const name = queueName(this.settings.prefix, module);
    const queue = new aws.sqs.Queue(name, {
      name,
      messageRetentionSeconds: TOPOLOGY.retention,
      redrivePolicy: json({ deadLetterTargetArn: dead.arn, maxReceiveCount: TOPOLOGY.maxReceives }),
      ...all,
    }, this.child);
    new aws.sqs.QueuePolicy(name, {
      queueUrl: queue.url,
      policy: policy({
        Sid: "topics",
        Principal: { Service: "sns.amazonaws.com" },
        Action: "sqs:SendMessage",
        Resource: queue.arn,
        Condition: { ArnEquals: { "aws:SourceArn": publishers.map((publisher) => this.topic(publisher).arn) } },
      }),
    }, this.child);
    this.queues.set(module, queue);
    this.dead.set(module, dead);
  }

  private subscribe(module: string, publisher: string, events: string[]): void {
    new aws.sns.TopicSubscription(`${topicName(this.settings.prefix, publisher)}-to-${module}`, {
      topic: this.topic(publisher).arn,
      protocol: "sqs",
      endpoint: this.queues.get(module)!.arn,
      rawMessageDelivery: true,
      filterPolicy: json({ [TOPOLOGY.filter]: events }),
    }, this.child);
  }
}
