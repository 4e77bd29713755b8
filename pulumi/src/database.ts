// Aurora PostgreSQL: a writer, and readers in other zones that take over. Its networks have no way out, nothing comes in but from
// the cluster, and nothing is said to it but by TLS. RDS makes the owner's password and changes it every week.
//
// The first sketch had `db.t3.micro`, which Aurora does not offer: its least are db.t4g.medium and serverless.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

import type { Account } from "./account";
import type { Settings } from "./config";
import type { Keys } from "./keys";
import type { Network } from "./network";
import { Part } from "./part";
import { POSTGRESQL } from "./versions";

const LOGS_DAYS = 30;
export const PORT = 5432;

export class Database extends Part {
  readonly cluster: aws.rds.Cluster;
  readonly instances: aws.rds.ClusterInstance[];
  readonly securityGroup: aws.ec2.SecurityGroup;

  constructor(settings: Settings, account: Account, network: Network, keys: Keys, parent: pulumi.Resource) {
    super("Database", settings, parent);
    const { database, protect } = settings;
    const subnets = new aws.rds.SubnetGroup(settings.prefix, { name: settings.prefix, subnetIds: network.databaseSubnets.map((subnet) => subnet.id) }, this.child);
    this.securityGroup = new aws.ec2.SecurityGroup(this.named("database"), { vpcId: network.vpc.id, description: "Aurora" }, this.child);
    const parameters = new aws.rds.ClusterParameterGroup(settings.prefix, {
      name: settings.prefix,
      family: `aurora-postgresql${POSTGRESQL.split(".")[0]}`,
      parameters: [
        { name: "rds.force_ssl", value: "1" },
        { name: "log_min_duration_statement", value: "1000" },
      ],
    }, this.child);
    const logs = new aws.cloudwatch.LogGroup(this.named("database"), {
      name: `/aws/rds/cluster/${settings.prefix}/postgresql`, retentionInDays: LOGS_DAYS, kmsKeyId: keys.arn("logs"),
    }, this.child);
    this.cluster = new aws.rds.Cluster(settings.prefix, {
      clusterIdentifier: settings.prefix,
      engine: "aurora-postgresql",
      engineVersion: POSTGRESQL,
      masterUsername: "eshopz_owner",
      manageMasterUserPassword: true,
      masterUserSecretKmsKeyId: keys.arn("secrets"),
      storageEncrypted: true,
      kmsKeyId: keys.arn("database"),
      dbSubnetGroupName: subnets.name,
      dbClusterParameterGroupName: parameters.name,
      vpcSecurityGroupIds: [this.securityGroup.id],
      // Any second of so many days can be restored.
      backupRetentionPeriod: database.backupDays,
      preferredBackupWindow: "04:00-04:30",
      preferredMaintenanceWindow: "sun:05:00-sun:05:30",
      copyTagsToSnapshot: true,
      deletionProtection: protect,
      skipFinalSnapshot: !protect,
      ...(protect ? { finalSnapshotIdentifier: `${settings.prefix}-last` } : {}),
      deleteAutomatedBackups: !protect,
      enabledCloudwatchLogsExports: ["postgresql"],
      ...(database.snapshot ? { snapshotIdentifier: database.snapshot } : {}),
      ...(database.kind === "serverless"
        ? { serverlessv2ScalingConfiguration: { minCapacity: database.leastAcu, maxCapacity: database.mostAcu } }
        : {}),
      // What it began as does not make it anew later.
    }, { ...this.child, dependsOn: [logs], protect, ignoreChanges: ["snapshotIdentifier"] });
    this.instances = Array.from({ length: 1 + database.readers }, (_, place) => new aws.rds.ClusterInstance(`${settings.prefix}-${place + 1}`, {
      identifier: `${settings.prefix}-${place + 1}`,
      clusterIdentifier: this.cluster.id,
      engine: "aurora-postgresql",
      engineVersion: POSTGRESQL,
      instanceClass: database.kind === "serverless" ? "db.serverless" : database.class,
      availabilityZone: account.zones[place % account.zones.length]!,
      // Who takes over first: the next one, which is as large as the writer.
      promotionTier: Math.min(place, 15),
      publiclyAccessible: false,
      // The version is said in versions.ts, and changed there.
      autoMinorVersionUpgrade: false,
      performanceInsightsEnabled: true,
      performanceInsightsKmsKeyId: keys.arn("database"),
      // A week of it costs nothing.
      performanceInsightsRetentionPeriod: 7,
      copyTagsToSnapshot: true,
    }, { ...this.child, protect }));
    this.registerOutputs();
  }
}
