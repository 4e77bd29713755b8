// A key for each purpose, so that the right to one says nothing of the others. Each turns over once a year.

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Account } from "./account";
import type { Settings } from "./config";
import { type Statement, Part, policy } from "./part";

/** What a key is for, and the service that uses it for others. */
const PURPOSES = {
  cluster: "secrets in the cluster, and disks of its nodes",
  database: "Aurora and its backups",
  cache: "Redis at rest",
  messaging: "topics and queues",
  secrets: "Secrets Manager",
  registry: "images of the shop",
  logs: "what CloudWatch keeps",
} as const;

/** Where CloudFront keeps its certificates, rules and figures. */
export const EDGE_REGION = "us-east-1";

export type Purpose = keyof typeof PURPOSES | "edge";

export class Keys extends Part {
  private readonly all = new Map<Purpose, aws.kms.Key>();

  constructor(settings: Settings, account: Account, parent: pulumi.Resource) {
    super("Keys", settings, parent);
    const purposes: Array<[string, string]> = Object.entries(PURPOSES);
    if (settings.region !== EDGE_REGION) purposes.push(["edge", "alarms and logs of CloudFront"]);
    for (const [purpose, meaning] of purposes as Array<[Purpose, string]>) {
      const region = purpose === "edge" ? { region: EDGE_REGION } : {};
      const key = new aws.kms.Key(this.named(purpose), {
        ...region,
        description: `EShopz ${settings.stack}: ${meaning}`,
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        policy: policy(...statements(purpose, settings, account)),
      }, { ...this.child, protect: settings.protect });
      new aws.kms.Alias(this.named(purpose), { ...region, name: `alias/${this.named(purpose)}`, targetKeyId: key.keyId }, this.child);
      this.all.set(purpose, key);
    }
    this.registerOutputs();
  }

  /** Of what CloudFront needs, which is in us-east-1 wherever the rest is. */
  atEdge(purpose: "messaging" | "logs"): pulumi.Output<string> {
    return this.arn(this.settings.region === EDGE_REGION ? purpose : "edge");
  }

  arn(purpose: Purpose): pulumi.Output<string> {
    const key = this.all.get(purpose);
    if (!key) throw new Error(`no key for ${purpose}`);
    return key.arn;
  }
}

/** The account's own roles by their own policies, and services that cannot have a role. */
function statements(purpose: Purpose, settings: Settings, account: Account): Statement[] {
  const owner: Statement = {
    Sid: "owner",
    Principal: { AWS: pulumi.interpolate`arn:aws:iam::${account.id}:root` },
    Action: "kms:*",
    Resource: "*",
  };
  const use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey"];
  const ours = { StringEquals: { "aws:SourceAccount": account.id } };
  const topics: Statement = {
    Sid: "topics",
    Principal: { Service: ["sns.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"] },
    Action: ["kms:Decrypt", "kms:GenerateDataKey"],
    Resource: "*",
    Condition: ours,
  };
  const logs = (region: string): Statement => ({
    Sid: "logs",
    Principal: { Service: `logs.${region}.amazonaws.com` },
    Action: use,
    Resource: "*",
    Condition: { ArnLike: { "kms:EncryptionContext:aws:logs:arn": pulumi.interpolate`arn:aws:logs:${region}:${account.id}:log-group:*` } },
  });
  switch (purpose) {
    case "messaging":
      return [owner, topics];
    case "logs":
      return [owner, logs(settings.region)];
    case "edge":
      return [owner, topics, logs(EDGE_REGION)];
    case "cluster":
      // Disks of instances that an autoscaling group starts.
      return [owner, {
        Sid: "nodes",
        Principal: { AWS: pulumi.interpolate`arn:aws:iam::${account.id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling` },
        Action: use,
        Resource: "*",
      }, {
        Sid: "disks",
        Principal: { AWS: pulumi.interpolate`arn:aws:iam::${account.id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling` },
        Action: "kms:CreateGrant",
        Resource: "*",
        Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } },
      }];
    default:
      return [owner];
  }
}
