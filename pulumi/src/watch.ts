// What AWS is watched for: alarms to a topic that mails, a dashboard, a budget, and a group of traces. What the shop tells itself
// Prometheus watches (kustomize/monitoring); here is what only AWS knows, and what has to be told even when the cluster is away.

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Account } from "./account";
import type { Balancer } from "./balancer";
import type { Cache } from "./cache";
import type { Settings } from "./config";
import { type Panel, dashboardBody } from "./dashboard";
import type { Database } from "./database";
import type { Edge } from "./edge";
import { TOPOLOGY, deadName, queueName } from "./events";
import type { Firewall } from "./firewall";
import { EDGE_REGION, type Keys } from "./keys";
import type { Messaging } from "./messaging";
import type { Network } from "./network";
import { Part, policy } from "./part";

interface Watched {
  account: Account;
  keys: Keys;
  network: Network;
  database: Database;
  cache: Cache;
  messaging: Messaging;
  balancer: Balancer;
  edge: Edge;
  firewall: Firewall;
}

interface Alarm {
  what: string;
  namespace: string;
  metric: string;
  dimensions: Record<string, pulumi.Input<string>>;
  statistic?: "Average" | "Maximum" | "Sum";
  above: number;
  below?: boolean;
  /** Of five minutes each. */
  periods?: number;
  missing?: "notBreaching" | "breaching";
  region?: string;
}

const MIB = 1024 * 1024;
const PERIOD = 300;

export class Watch extends Part {
  readonly topic: aws.sns.Topic;
  private readonly topicAtEdge: aws.sns.Topic;
  private readonly panels: Panel[] = [];

  constructor(settings: Settings, private readonly watched: Watched, parent: pulumi.Resource) {
    super("Watch", settings, parent);
    this.topic = this.topicIn("alarms", undefined, watched.keys.arn("messaging"));
    this.topicAtEdge = settings.region === EDGE_REGION ? this.topic : this.topicIn("alarms-edge", EDGE_REGION, watched.keys.atEdge("messaging"));
    this.database();
    this.cache();
    this.balancer();
    this.queues();
    this.edge();
    this.nat();
    new aws.cloudwatch.Dashboard(settings.prefix, { dashboardName: settings.prefix, dashboardBody: dashboardBody(settings.region, this.panels) }, this.child);
    this.budget();
    new aws.xray.Group(settings.prefix, {
      groupName: settings.prefix,
      filterExpression: 'service("eshopz") AND (error = true OR fault = true OR responsetime > 1)',
      insightsConfiguration: { insightsEnabled: false, notificationsEnabled: false },
    }, this.child);
    this.registerOutputs();
  }

  private topicIn(name: string, region: string | undefined, key: pulumi.Output<string>): aws.sns.Topic {
    const where = region ? { region } : {};
    const topic = new aws.sns.Topic(this.named(name), { name: this.named(name), kmsMasterKeyId: key, ...where }, this.child);
    const ours = { StringEquals: { "aws:SourceAccount": this.watched.account.id } };
    new aws.sns.TopicPolicy(this.named(name), {
      arn: topic.arn,
      ...where,
      policy: policy({ Sid: "alarms", Principal: { Service: ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }, Action: "sns:Publish", Resource: topic.arn, Condition: ours }),
    }, this.child);
    new aws.sns.TopicSubscription(this.named(name), { topic: topic.arn, protocol: "email", endpoint: this.settings.alarmEmail, ...where }, this.child);
    return topic;
  }

  /** One alarm for each, and one panel for all of them. */
  private alarms(title: string, alarms: Array<[string, Alarm]>): void {
    for (const [name, alarm] of alarms) {
      const topic = alarm.region === EDGE_REGION ? this.topicAtEdge : this.topic;
      new aws.cloudwatch.MetricAlarm(this.named(name), {
        name: this.named(name),
        ...(alarm.region ? { region: alarm.region } : {}),
        alarmDescription: alarm.what,
        namespace: alarm.namespace,
        metricName: alarm.metric,
        dimensions: alarm.dimensions,
        statistic: alarm.statistic ?? "Average",
        period: PERIOD,
        evaluationPeriods: alarm.periods ?? 2,
        threshold: alarm.above,
        comparisonOperator: alarm.below ? "LessThanThreshold" : "GreaterThanThreshold",
        treatMissingData: alarm.missing ?? "notBreaching",
        alarmActions: [topic.arn],
        okActions: [topic.arn],
      }, this.child);
    }
    const [first] = alarms;
    if (!first) return;
    const { region, statistic, above } = first[1];
    this.panels.push({
      title,
      region: region ?? this.settings.region,
      statistic: statistic ?? "Average",
      line: above,
      metrics: alarms.map(([, { namespace, metric, dimensions }]) => ({ namespace, metric, dimensions })),
    });
  }

  private database(): void {
    const namespace = "AWS/RDS";
    const { cluster, instances } = this.watched.database;
    const each = (name: string, alarm: (dimensions: Alarm["dimensions"], place: number) => Omit<Alarm, "namespace" | "dimensions">): Array<[string, Alarm]> =>
      instances.map((instance, place) => {
        const dimensions = { DBInstanceIdentifier: instance.identifier };
        return [`database-${place + 1}-${name}`, { namespace, dimensions, ...alarm(dimensions, place) }];
      });
    const most = this.mostConnections();
    this.alarms("Aurora: connections", each("connections", () => ({ what: "Four of five connections that the database allows are taken.", metric: "DatabaseConnections", statistic: "Maximum", above: Math.floor(most * 0.8) })));
    this.alarms("Aurora: processor", each("cpu", () => ({ what: "The database has hardly any processor left.", metric: "CPUUtilization", above: 80, periods: 3 })));
    this.alarms("Aurora: free memory", each("memory", () => ({ what: "The database runs out of memory.", metric: "FreeableMemory", statistic: "Average", above: 200 * MIB, below: true, periods: 3 })));
    this.alarms("Aurora: milliseconds of a commit", each("latency", () => ({ what: "A commit takes long: orders do as well.", metric: "CommitLatency", above: 50, periods: 3 })));
    if (instances.length > 1) {
      this.alarms("Aurora: milliseconds that a reader is behind", [["database-lag", {
        what: "A reader is seconds behind the writer: what takes over would take longer.",
        namespace, metric: "AuroraReplicaLagMaximum", dimensions: { DBClusterIdentifier: cluster.clusterIdentifier }, statistic: "Maximum", above: 2000,
      }]]);
    }
  }

  /** Aurora's default, DBInstanceClassMemory / 9531392, at most 5000: of 2 GiB for each capacity unit of serverless. */
  private mostConnections(): number {
    const { database } = this.settings;
    const gib: Record<string, number> = { medium: 4, large: 16, xlarge: 32 };
    const memory = database.kind === "serverless" ? database.mostAcu * 2 : gib[database.class.split(".")[2] ?? ""] ?? 32;
    return Math.min(5000, Math.floor(memory * 1024 * MIB / 9_531_392));
  }

  private cache(): void {
    const namespace = "AWS/ElastiCache";
    const nodes = Array.from({ length: 1 + this.settings.cache.replicas }, (_, place) => `00${place + 1}`.slice(-3));
    const each = (name: string, alarm: Omit<Alarm, "namespace" | "dimensions">): Array<[string, Alarm]> => nodes.map((node) => [
      `cache-${node}-${name}`,
      { namespace, dimensions: { CacheClusterId: pulumi.interpolate`${this.watched.cache.group.replicationGroupId}-${node}` }, ...alarm },
    ]);
    this.alarms("Redis: processor", each("cpu", { what: "Redis has no processor left: limits and copies are slow.", metric: "EngineCPUUtilization", above: 80 }));
    this.alarms("Redis: memory", each("memory", { what: "Redis is full, and gives up the oldest.", metric: "DatabaseMemoryUsagePercentage", above: 80 }));
    if (this.settings.cache.replicas > 0) {
      this.alarms("Redis: seconds that a replica is behind", each("lag", { what: "A replica of Redis is behind.", metric: "ReplicationLag", statistic: "Maximum", above: 30 }));
    }
  }

  private balancer(): void {
    const { balancer } = this.watched.balancer;
    const of = { namespace: "AWS/ApplicationELB", dimensions: { LoadBalancer: balancer.arnSuffix } };
    this.alarms("Load balancer: 5xx of its own", [["balancer-5xx", { ...of, what: "The load balancer answers in the shop's place: nobody is behind it, or too slow.", metric: "HTTPCode_ELB_5XX_Count", statistic: "Sum", above: 10 }]]);
    this.alarms("Load balancer: 5xx of the shop", [["shop-5xx", { ...of, what: "The shop answers with errors.", metric: "HTTPCode_Target_5XX_Count", statistic: "Sum", above: 20 }]]);
    this.alarms("Load balancer: seconds of an answer", [["shop-slow", { ...of, what: "The shop is slow.", metric: "TargetResponseTime", above: 1, periods: 3 }]]);
  }

  private queues(): void {
    const { prefix } = this.settings;
    const modules = Object.keys(TOPOLOGY.listens);
    const on = (name: string, queue: string, alarm: Omit<Alarm, "namespace" | "dimensions">): [string, Alarm] => [name, { namespace: "AWS/SQS", dimensions: { QueueName: queue }, ...alarm }];
    this.alarms("Queues: age of the oldest message, s", modules.map((module) => on(`${module}-events-wait`, queueName(prefix, module), {
      what: `Events wait for ten minutes: ${module} does not take them in.`, metric: "ApproximateAgeOfOldestMessage", statistic: "Maximum", above: 600,
    })));
    this.alarms("Queues: dead letters", modules.map((module) => on(`${module}-events-dead`, deadName(prefix, module), {
      what: `Events that ${module} could not take in: eshopz events dead.`, metric: "ApproximateNumberOfMessagesVisible", statistic: "Maximum", above: 0, periods: 1,
    })));
  }

  private edge(): void {
    const { edge, firewall } = this.watched;
    this.alarms("WAF: refused requests", [["waf-blocks", {
      what: "WAF refuses much: an attack, or a rule that hits customers.",
      region: EDGE_REGION, namespace: "AWS/WAFV2", metric: "BlockedRequests", dimensions: { WebACL: firewall.acl.name, Rule: "ALL" }, statistic: "Sum", above: 1000,
    }]]);
    this.alarms("CloudFront: 5xx, %", [["edge-5xx", {
      what: "Customers are answered with errors.",
      region: EDGE_REGION, namespace: "AWS/CloudFront", metric: "5xxErrorRate", dimensions: { DistributionId: edge.distribution.id, Region: "Global" }, above: 1,
    }]]);
  }

  private nat(): void {
    const { natInstances } = this.watched.network;
    if (natInstances.length > 0) {
      this.alarms("NAT: failed checks", natInstances.map((instance, place): [string, Alarm] => [`nat-${place + 1}-away`, {
        what: "The way out of a zone is away: its pods reach neither Stripe nor the mail server.",
        namespace: "AWS/EC2", metric: "StatusCheckFailed", dimensions: { InstanceId: instance.id }, statistic: "Maximum", above: 0, periods: 1, missing: "breaching",
      }]));
    }
  }

  private budget(): void {
    const { settings, topic } = this;
    const tell = (notificationType: string, threshold: number) => ({
      notificationType, threshold, thresholdType: "PERCENTAGE", comparisonOperator: "GREATER_THAN",
      subscriberSnsTopicArns: [topic.arn], subscriberEmailAddresses: [settings.alarmEmail],
    });
    new aws.budgets.Budget(settings.prefix, {
      name: settings.prefix,
      budgetType: "COST",
      timeUnit: "MONTHLY",
      limitAmount: String(settings.monthlyBudget),
      limitUnit: "USD",
      // By the tag that all of it has, once that is switched on for bills (README.md).
      costFilters: [{ name: "TagKeyValue", values: [`user:stack$${settings.stack}`] }],
      notifications: [tell("ACTUAL", 80), tell("ACTUAL", 100), tell("FORECASTED", 100)],
    }, this.child);
  }
}
