// What the shop must know and nobody else may. Two secrets, as docs/secrets.md describes them: `database` in RDS' shape, whose
// password a function changes, and `shop` with the rest. What is in them is a secret to Pulumi too: encrypted in its state,
// never an output.

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import type { Cache } from "./cache";
import type { Settings } from "./config";
import { PORT, type Database } from "./database";
import type { Keys } from "./keys";
import type { Network } from "./network";
import { Part, json } from "./part";
import { ROTATION } from "./versions";

const ROTATION_DAYS = 30;

/** Of others, each given by `pulumi config set --secret eshopz:NAME`; empty ones count as missing to the shop. */
const FROM_OTHERS = { webhook_secret: "webhookSecret", stripe_secret_key: "stripeSecretKey", smtp_url: "smtpUrl" } as const;

export class Secrets extends Part {
  readonly database: aws.secretsmanager.Secret;
  readonly shop: aws.secretsmanager.Secret;

  constructor(settings: Settings, network: Network, keys: Keys, database: Database, cache: Cache, parent: pulumi.Resource) {
    super("Secrets", settings, parent);
    const password = new random.RandomPassword(this.named("database"), { length: 40, special: false }, this.child);
    this.database = this.secret("database", "How the shop reaches its database", keys, {
      engine: "postgres",
      host: database.cluster.endpoint,
      port: PORT,
      dbname: "shop",
      username: "shop",
      password: password.result,
      dbClusterIdentifier: database.cluster.clusterIdentifier,
    });
    const secretKey = new random.RandomPassword(this.named("secret-key"), { length: 64, special: false }, this.child);
    const config = new pulumi.Config("eshopz");
    const others = Object.entries(FROM_OTHERS).map(([member, name]) => [member, config.getSecret(name) ?? ""]);
    this.shop = this.secret("shop", "What the shop must know", keys, {
      redis_url: cache.url,
      secret_key: secretKey.result,
      ...Object.fromEntries(others),
    });
    this.rotation(network, keys, database);
    this.registerOutputs();
  }

  private secret(name: string, description: string, keys: Keys, value: Record<string, unknown>): aws.secretsmanager.Secret {
    const full = `${this.settings.prefix}/${name}`;
    const secret = new aws.secretsmanager.Secret(this.named(name), {
      name: full, description, kmsKeyId: keys.arn("secrets"), recoveryWindowInDays: 30,
    }, { ...this.child, protect: this.settings.protect });
    new aws.secretsmanager.SecretVersion(this.named(name), {
      secretId: secret.id,
      secretString: pulumi.secret(json(value)),
      // The password is the rotation's from then on.
    }, { ...this.child, ...(name === "database" ? { ignoreChanges: ["secretString"] } : {}) });
    return secret;
  }

  /** AWS' own function, in the private networks, with the right to this secret only. */
  private rotation(network: Network, keys: Keys, database: Database): void {
    const group = new aws.ec2.SecurityGroup(this.named("rotation"), { vpcId: network.vpc.id, description: "Changes the database's password" }, this.child);
    new aws.vpc.SecurityGroupEgressRule(this.named("rotation-database"), {
      securityGroupId: group.id, referencedSecurityGroupId: database.securityGroup.id, ipProtocol: "tcp", fromPort: PORT, toPort: PORT, description: "Aurora",
    }, this.child);
    // Secrets Manager, by the NAT or by its endpoint: its addresses change.
    new aws.vpc.SecurityGroupEgressRule(this.named("rotation-aws"), {
      securityGroupId: group.id, cidrIpv4: "0.0.0.0/0", ipProtocol: "tcp", fromPort: 443, toPort: 443, description: "Secrets Manager",
    }, this.child);
    new aws.vpc.SecurityGroupIngressRule(this.named("database-from-rotation"), {
      securityGroupId: database.securityGroup.id, referencedSecurityGroupId: group.id, ipProtocol: "tcp", fromPort: PORT, toPort: PORT, description: "rotation",
    }, this.child);
    const name = this.named("rotation");
    const rotation = new aws.serverlessrepository.CloudFormationStack(name, {
      name,
      applicationId: ROTATION.application,
      semanticVersion: ROTATION.version,
      capabilities: ["CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY"],
      parameters: {
        functionName: name,
        endpoint: `https://secretsmanager.${this.settings.region}.amazonaws.com`,
        kmsKeyArn: keys.arn("secrets"),
        vpcSubnetIds: pulumi.all(network.privateSubnets.map((subnet) => subnet.id)).apply((ids) => ids.join(",")),
        vpcSecurityGroupIds: group.id,
      },
    }, this.child);
    new aws.secretsmanager.SecretRotation(this.named("database"), {
      secretId: this.database.id,
      rotationLambdaArn: rotation.outputs.apply((outputs) => outputs["RotationLambdaARN"] ?? ""),
      // The user is made by hand first (README.md); a rotation before that would fail.
      rotateImmediately: false,
      rotationRules: { automaticallyAfterDays: ROTATION_DAYS },
    }, this.child);
  }
}
