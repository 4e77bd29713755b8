// Buckets: the static files that CloudFront hands out, with a copy in another region, and the logs of what has no better place.
// None is public; each keeps what was overwritten or deleted for a while.

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Account } from "./account";
import type { Settings } from "./config";
import { type Statement, Part, policy, trust } from "./part";

const OLD_VERSIONS_DAYS = 30;
const LOGS_DAYS = 90;

export class Storage extends Part {
  readonly statics: aws.s3.Bucket;
  readonly copy: aws.s3.Bucket;
  readonly logs: aws.s3.Bucket;
  /** What writes logs waits for its right to. */
  readonly mayWriteLogs: aws.s3.BucketPolicy;

  private readonly versionings: aws.s3.BucketVersioning[] = [];

  constructor(settings: Settings, private readonly account: Account, parent: pulumi.Resource) {
    super("Storage", settings, parent);
    this.logs = this.bucket("logs", {});
    this.mayWriteLogs = this.policy("logs", this.logs, undefined, this.deliveries(this.logs));
    // What everybody may read by CloudFront needs no key of ours: S3's own, in both regions.
    this.statics = this.bucket("static", { tiering: true });
    this.copy = this.bucket("static-copy", { region: settings.replicaRegion, tiering: true });
    this.replicate();
    this.registerOutputs();
  }

  /** Who may read the static files: a distribution. It is not known when the buckets are made. */
  letRead(distribution: pulumi.Output<string>): void {
    const read = (bucket: aws.s3.Bucket): Statement => ({
      Sid: "cloudfront",
      Principal: { Service: "cloudfront.amazonaws.com" },
      Action: "s3:GetObject",
      Resource: pulumi.interpolate`${bucket.arn}/*`,
      Condition: { StringEquals: { "aws:SourceArn": distribution } },
    });
    this.policy("static", this.statics, undefined, [read(this.statics)]);
    this.policy("static-copy", this.copy, this.settings.replicaRegion, [read(this.copy)]);
  }

  private bucket(name: string, is: {
    region?: string;
    tiering?: boolean;
  }): aws.s3.Bucket {
    const region = is.region ? { region: is.region } : {};
    // Names of buckets are those of all accounts: the account's number makes them ours.
    const bucket = new aws.s3.Bucket(this.named(name), {
      bucket: pulumi.interpolate`${this.named(name)}-${this.account.id}`, ...region,
    }, { ...this.child, protect: this.settings.protect });
    const of = { bucket: bucket.bucket, ...region };
    new aws.s3.BucketPublicAccessBlock(this.named(name), {
      ...of, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true,
    }, this.child);
    new aws.s3.BucketOwnershipControls(this.named(name), { ...of, rule: { objectOwnership: "BucketOwnerEnforced" } }, this.child);
    this.versionings.push(new aws.s3.BucketVersioning(this.named(name), { ...of, versioningConfiguration: { status: "Enabled" } }, this.child));
    new aws.s3.BucketServerSideEncryptionConfiguration(this.named(name), {
      ...of,
      rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
    }, this.child);
    new aws.s3.BucketLifecycleConfiguration(this.named(name), { ...of, rules: this.lifecycle(is.tiering === true) }, this.child);
    if (is.tiering) {
      new aws.s3.BucketIntelligentTieringConfiguration(this.named(name), {
        ...of, name: "archive", tierings: [{ accessTier: "ARCHIVE_ACCESS", days: 180 }],
      }, this.child);
    }
    return bucket;
  }

  private policy(name: string, bucket: aws.s3.Bucket, region: string | undefined, statements: Statement[]): aws.s3.BucketPolicy {
    return new aws.s3.BucketPolicy(this.named(name), {
      bucket: bucket.bucket,
      ...(region ? { region } : {}),
      policy: policy(...statements, {
        Sid: "tls",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: [bucket.arn, pulumi.interpolate`${bucket.arn}/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      }),
    }, this.child);
  }

  private lifecycle(tiering: boolean) {
    const clean = {
      id: "clean",
      status: "Enabled",
      filter: { prefix: "" },
      abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
      noncurrentVersionExpiration: { noncurrentDays: OLD_VERSIONS_DAYS },
    };
    return tiering
      ? [{ ...clean, transitions: [{ days: 0, storageClass: "INTELLIGENT_TIERING" }] }]
      : [{ ...clean, expiration: { days: LOGS_DAYS } }];
  }

  /** Flow logs and the load balancer's log, written by services. */
  private deliveries(bucket: aws.s3.Bucket): Statement[] {
    const ours = { StringEquals: { "aws:SourceAccount": this.account.id } };
    const write = (sid: string, service: string, folder: string): Statement => ({
      Sid: sid, Principal: { Service: service }, Action: "s3:PutObject", Resource: pulumi.interpolate`${bucket.arn}/${folder}/*`, Condition: ours,
    });
    return [
      write("flows", "delivery.logs.amazonaws.com", "flows"),
      write("balancer", "logdelivery.elasticloadbalancing.amazonaws.com", "balancer"),
      { Sid: "look", Principal: { Service: "delivery.logs.amazonaws.com" }, Action: "s3:GetBucketAcl", Resource: bucket.arn, Condition: ours },
    ];
  }

  private replicate(): void {
    const role = new aws.iam.Role(this.named("replication"), {
      name: this.named("replication"), assumeRolePolicy: trust({ Service: "s3.amazonaws.com" }),
    }, this.child);
    new aws.iam.RolePolicy(this.named("replication"), {
      role: role.name,
      policy: policy(
        { Sid: "look", Action: ["s3:GetReplicationConfiguration", "s3:ListBucket"], Resource: this.statics.arn },
        {
          Sid: "read",
          Action: ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"],
          Resource: pulumi.interpolate`${this.statics.arn}/*`,
        },
        { Sid: "write", Action: ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"], Resource: pulumi.interpolate`${this.copy.arn}/*` },
      ),
    }, this.child);
    new aws.s3.BucketReplicationConfig(this.named("static"), {
      bucket: this.statics.bucket,
      role: role.arn,
      rules: [{
        id: "all",
        status: "Enabled",
        priority: 1,
        filter: { prefix: "" },
        deleteMarkerReplication: { status: "Enabled" },
        destination: { bucket: this.copy.arn, storageClass: "INTELLIGENT_TIERING" },
      }],
      // S3 copies versions, and refuses to before both buckets have them.
    }, { ...this.child, dependsOn: this.versionings });
  }
}
