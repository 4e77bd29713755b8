// Who may do what in AWS: a role for each service account that needs one, which only that account can assume, and by which a pod
// gets hours of credentials and never a key. Plus the role of the pipeline.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

import type { Account } from "./account";
import type { Cluster } from "./cluster";
import type { Settings } from "./config";
import { TOPOLOGY } from "./events";
import type { Keys } from "./keys";
import { LOAD_BALANCER_CONTROLLER } from "./loadbalancer-rights";
import type { Messaging } from "./messaging";
import { type Statement, Part, policy, trust } from "./part";
import type { Registry } from "./registry";
import type { Secrets } from "./secrets";

export const NAMESPACE = "eshopz";

const GITHUB = "token.actions.githubusercontent.com";

interface Around {
  account: Account;
  cluster: Cluster;
  keys: Keys;
  messaging: Messaging;
  registry: Registry;
  secrets: Secrets;
}

export class Identity extends Part {
  /** By service account. */
  readonly roles = new Map<string, aws.iam.Role>();
  private readonly provider: aws.iam.OpenIdConnectProvider;

  constructor(settings: Settings, private readonly around: Around, parent: pulumi.Resource) {
    super("Identity", settings, parent);
    const issuer = around.cluster.cluster.identities.apply((all) => all[0]?.oidcs?.[0]?.issuer ?? "");
    this.provider = new aws.iam.OpenIdConnectProvider(this.named("cluster"), { url: issuer, clientIdLists: ["sts.amazonaws.com"] }, this.child);

    const everything = this.modules(TOPOLOGY.modules);
    this.account("eshopz", [NAMESPACE, "eshopz"], everything);
    for (const module of TOPOLOGY.modules) this.account(`${module}-service`, [NAMESPACE, `${module}-service`], this.modules([module]));
    this.account("eshopz-migrate", [NAMESPACE, "eshopz-migrate", "eshopz-verify"], [...this.readSecrets()]);
    this.account("external-secrets", ["external-secrets", "external-secrets"], this.readSecrets());
    this.account("aws-load-balancer-controller", ["kube-system", "aws-load-balancer-controller"], LOAD_BALANCER_CONTROLLER(settings, around.account));
    this.account("cloudwatch-exporter", ["monitoring", "cloudwatch-exporter"], [
      { Sid: "figures", Action: ["cloudwatch:ListMetrics", "cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricData"], Resource: "*" },
    ]);
    this.account("otel-collector", ["monitoring", "otel-collector"], [
      { Sid: "traces", Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource: "*" },
    ]);
    const key = around.keys.arn("cluster");
    const disks = this.account("ebs-csi", ["kube-system", "ebs-csi-controller-sa"], [
      { Sid: "key", Action: ["kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"], Resource: key },
      { Sid: "grant", Action: "kms:CreateGrant", Resource: key, Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } } },
    ]);
    new aws.iam.RolePolicyAttachment(this.named("ebs-csi"), { role: disks.name, policyArn: "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy" }, this.child);
    if (settings.repository) this.pipeline();
    this.registerOutputs();
  }

  role(name: string): aws.iam.Role {
    const role = this.roles.get(name);
    if (!role) throw new Error(`no role for ${name}`);
    return role;
  }

  /** A role that the service accounts of these names, in this namespace, may assume. */
  private account(name: string, [namespace, ...accounts]: [string, ...string[]], statements: Statement[]): aws.iam.Role {
    const host = this.provider.url.apply((url) => url.replace(/^https:\/\//, ""));
    const subjects = accounts.map((one) => `system:serviceaccount:${namespace}:${one}`);
    const role = new aws.iam.Role(this.named(name), {
      name: this.named(name),
      assumeRolePolicy: host.apply((at) => trust({ Federated: this.provider.arn }, "sts:AssumeRoleWithWebIdentity", {
        StringEquals: { [`${at}:sub`]: subjects, [`${at}:aud`]: "sts.amazonaws.com" },
      })),
    }, this.child);
    new aws.iam.RolePolicy(this.named(name), { role: role.name, policy: policy(...statements) }, this.child);
    this.roles.set(name, role);
    return role;
  }

  /** What the shop does in AWS where these modules run. */
  private modules(modules: string[]): Statement[] {
    const { messaging, keys } = this.around;
    const of = <T extends { arn: pulumi.Output<string> }>(all: Map<string, T>) => modules.flatMap((module) => all.get(module)?.arn ?? []);
    const topics = of(messaging.topics);
    const queues = of(messaging.queues);
    const statements = this.readSecrets();
    if (topics.length > 0) {
      statements.push(
        { Sid: "publish", Action: ["sns:Publish", "sns:ListSubscriptionsByTopic"], Resource: topics },
        // Neither knows a narrower resource. A publisher looks whether all are subscribed that it knows of.
        { Sid: "look", Action: ["sns:ListTopics", "sns:GetSubscriptionAttributes"], Resource: "*" },
      );
    }
    if (queues.length > 0) {
      statements.push(
        {
          Sid: "receive",
          Action: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"],
          Resource: queues,
        },
        // `eshopz events dead` and `redrive`, in a pod of the module.
        {
          Sid: "dead",
          Action: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"],
          Resource: of(messaging.dead),
        },
        { Sid: "redrive", Action: "sqs:SendMessage", Resource: queues },
      );
    }
    if (topics.length + queues.length > 0) {
      statements.push({ Sid: "messages", Action: ["kms:Decrypt", "kms:GenerateDataKey"], Resource: keys.arn("messaging") });
    }
    return statements;
  }

  private readSecrets(): Statement[] {
    const { secrets, keys } = this.around;
    return [
      { Sid: "secrets", Action: ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], Resource: [secrets.database.arn, secrets.shop.arn] },
      { Sid: "decrypt", Action: "kms:Decrypt", Resource: keys.arn("secrets") },
    ];
  }

  /** GitHub's runs of the protected environment of this stack's name: push images, and change what is in the shop's namespace. */
  private pipeline(): void {
    const { cluster, registry, keys } = this.around;
    const github = new aws.iam.OpenIdConnectProvider(this.named("github"), { url: `https://${GITHUB}`, clientIdLists: ["sts.amazonaws.com"] }, this.child);
    const role = new aws.iam.Role(this.named("deploy"), {
      name: this.named("deploy"),
      maxSessionDuration: 3600,
      assumeRolePolicy: trust({ Federated: github.arn }, "sts:AssumeRoleWithWebIdentity", {
        StringEquals: { [`${GITHUB}:aud`]: "sts.amazonaws.com", [`${GITHUB}:sub`]: `repo:${this.settings.repository}:environment:${this.settings.stack}` },
      }),
    }, this.child);
    new aws.iam.RolePolicy(this.named("deploy"), {
      role: role.name,
      policy: policy(
        { Sid: "login", Action: "ecr:GetAuthorizationToken", Resource: "*" },
        {
          Sid: "push",
          Action: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
            "ecr:DescribeImageScanFindings", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
          Resource: registry.repository.arn,
        },
        { Sid: "find", Action: "eks:DescribeCluster", Resource: cluster.cluster.arn },
        { Sid: "layers", Action: ["kms:Decrypt", "kms:GenerateDataKey"], Resource: keys.arn("registry") },
      ),
    }, this.child);
    const entry = new aws.eks.AccessEntry(this.named("deploy"), { clusterName: cluster.cluster.name, principalArn: role.arn }, this.child);
    new aws.eks.AccessPolicyAssociation(this.named("deploy"), {
      clusterName: cluster.cluster.name,
      principalArn: entry.principalArn,
      policyArn: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
      accessScope: { type: "namespace", namespaces: [NAMESPACE] },
    }, this.child);
    this.roles.set("deploy", role);
  }
}
