// Redis, for what may vanish. A replica in another zone takes over by itself; who asks needs TLS and the token.

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import type { Settings } from "./config";
import type { Keys } from "./keys";
import type { Network } from "./network";
import { Part } from "./part";
import { REDIS } from "./versions";

const LOGS_DAYS = 30;
export const PORT = 6379;

export class Cache extends Part {
  readonly group: aws.elasticache.ReplicationGroup;
  readonly securityGroup: aws.ec2.SecurityGroup;
  private readonly token: random.RandomPassword;

  constructor(settings: Settings, network: Network, keys: Keys, parent: pulumi.Resource) {
    super("Cache", settings, parent);
    const { cache } = settings;
    this.securityGroup = new aws.ec2.SecurityGroup(this.named("cache"), { vpcId: network.vpc.id, description: "Redis" }, this.child);
    const subnets = new aws.elasticache.SubnetGroup(settings.prefix, { name: settings.prefix, subnetIds: network.privateSubnets.map((subnet) => subnet.id) }, this.child);
    const parameters = new aws.elasticache.ParameterGroup(settings.prefix, {
      name: settings.prefix,
      family: `redis${REDIS.split(".")[0]}`,
      // What is full gives up the oldest: all of it may vanish.
      parameters: [{ name: "maxmemory-policy", value: "allkeys-lru" }],
    }, this.child);
    // A newer version makes another token: `pulumi config set eshopz:redisTokenVersion 2`.
    const version = new pulumi.Config("eshopz").get("redisTokenVersion") ?? "1";
    this.token = new random.RandomPassword(this.named("redis-token"), { length: 64, special: false, keepers: { version } }, this.child);
    const logs = new aws.cloudwatch.LogGroup(this.named("cache"), {
      name: `/eshopz/${settings.stack}/redis-slow`, retentionInDays: LOGS_DAYS, kmsKeyId: keys.arn("logs"),
    }, this.child);
    this.group = new aws.elasticache.ReplicationGroup(settings.prefix, {
      replicationGroupId: settings.prefix,
      description: `EShopz ${settings.stack}: copies and counters`,
      engine: "redis",
      engineVersion: REDIS,
      nodeType: cache.type,
      port: PORT,
      numCacheClusters: 1 + cache.replicas,
      automaticFailoverEnabled: cache.replicas > 0,
      multiAzEnabled: cache.replicas > 0,
      subnetGroupName: subnets.name,
      parameterGroupName: parameters.name,
      securityGroupIds: [this.securityGroup.id],
      atRestEncryptionEnabled: true,
      kmsKeyId: keys.arn("cache"),
      transitEncryptionEnabled: true,
      transitEncryptionMode: "required",
      authToken: this.token.result,
      // The old token is good beside the new one until the next change, so that nobody is turned away meanwhile.
      authTokenUpdateStrategy: "ROTATE",
      snapshotRetentionLimit: cache.snapshotDays,
      snapshotWindow: "03:00-04:00",
      maintenanceWindow: "sun:05:30-sun:06:30",
      autoMinorVersionUpgrade: true,
      applyImmediately: true,
      logDeliveryConfigurations: [{ logType: "slow-log", logFormat: "json", destinationType: "cloudwatch-logs", destination: logs.name }],
    }, { ...this.child, protect: settings.protect });
    this.registerOutputs();
  }

  /** With the token in it: a secret. */
  get url(): pulumi.Output<string> {
    return pulumi.secret(pulumi.interpolate`rediss://:${this.token.result}@${this.group.primaryEndpointAddress}:${PORT}`);
  }
}
