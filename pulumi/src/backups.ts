// Beside Aurora's own backups, which go with its region and its cluster: one a day by AWS Backup, with a copy in another region.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

import type { Settings } from "./config";
import type { Database } from "./database";
import type { Keys } from "./keys";
import { Part, trust } from "./part";

/** Days that a backup is kept; its copy. */
const KEPT = 35;
const COPY_KEPT = 14;

export class Backups extends Part {
  constructor(settings: Settings, database: Database, keys: Keys, parent: pulumi.Resource) {
    super("Backups", settings, parent);
    const vault = new aws.backup.Vault(settings.prefix, { name: settings.prefix, kmsKeyArn: keys.arn("database") }, { ...this.child, protect: settings.protect });
    // With AWS Backup's own key: the copies have to be to be read when the first region's keys are not.
    const copies = new aws.backup.Vault(this.named("copy"), { name: this.named("copy"), region: settings.replicaRegion }, { ...this.child, protect: settings.protect });
    const plan = new aws.backup.Plan(settings.prefix, {
      name: settings.prefix,
      rules: [{
        ruleName: "daily",
        targetVaultName: vault.name,
        schedule: "cron(30 3 * * ? *)",
        startWindow: 60,
        completionWindow: 240,
        lifecycle: { deleteAfter: KEPT },
        copyActions: [{ destinationVaultArn: copies.arn, lifecycle: { deleteAfter: COPY_KEPT } }],
      }],
    }, this.child);
    const role = new aws.iam.Role(this.named("backup"), { name: this.named("backup"), assumeRolePolicy: trust({ Service: "backup.amazonaws.com" }) }, this.child);
    for (const name of ["AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForRestores"]) {
      new aws.iam.RolePolicyAttachment(this.named(name), { role: role.name, policyArn: `arn:aws:iam::aws:policy/service-role/${name}` }, this.child);
    }
    new aws.backup.Selection(settings.prefix, { name: settings.prefix, planId: plan.id, iamRoleArn: role.arn, resources: [database.cluster.arn] }, this.child);
    this.registerOutputs();
  }
}
