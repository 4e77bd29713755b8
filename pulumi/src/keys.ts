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
  storage: "files and images",
  logs: "what CloudWatch keeps",
} as const;

export type Purpose = keyof typeof PURPOSES;

export class Keys extends Part {
  private readonly all = new Map<Purpose, aws.kms.Key>();

  constructor(settings: Settings, account: Account, parent: pulumi.Resource) {
    super("Keys", settings, parent);
    for (const [purpose, meaning] of Object.entries(PURPOSES) as Array<[Purpose, string]>) {
      const key = new aws.kms.Key(this.named(purpose), {
        description: `EShopz ${settings.stack}: ${meaning}`,
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        policy: policy(...statements(purpose, settings, account)),
      }, { ...this.child, protect: settings.protect });
      new aws.kms.Alias(this.named(purpose), { name: `alias/${this.named(purpose)}`, targetKeyId: key.keyId }, this.child);
      this.all.set(purpose, key);
    }
    this.registerOutputs();
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
  switch (purpose) {
    case "messaging":
      return [owner, { Sid: "topics", Principal: { Service: ["sns.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }, Action: ["kms:Decrypt", "kms:GenerateDataKey"], Resource: "*", Condition: ours }];
    case "logs":
      return [owner, {
        Sid: "logs",
        Principal: { Service: `logs.${settings.region}.amazonaws.com` },
        Action: use,
        Resource: "*",
        Condition: { ArnLike: { "kms:EncryptionContext:aws:logs:arn": pulumi.interpolate`arn:aws:logs:${settings.region}:${account.id}:log-group:*` } },
      }];
    case "storage":
      return [owner, {
        Sid: "cloudfront",
        Principal: { Service: "cloudfront.amazonaws.com" },
        Action: ["kms:Decrypt"],
        Resource: "*",
        Condition: { ...ours, StringLike: { "aws:SourceArn": pulumi.interpolate`arn:aws:cloudfront::${account.id}:distribution/*` } },
      }];
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
