// Who may do what. A star stands only where it is listed with its reason, and each of the list is needed.

import type { Resource } from "../collect/collect";
import { type Rule, type Rules, harmless } from "./rule";

interface Statement {
  Sid?: string;
  Effect: string;
  Principal?: unknown;
  Action: string | string[];
  Resource?: string | string[];
  Condition?: Record<string, Record<string, unknown>>;
}

/** Stars that are meant: the end of the resource's name, the statement, which stars, and why. */
export const STARS: Array<{ name: string; sid: string; stars: string[]; why: string }> = [
  { name: "*", sid: "owner", stars: ["kms:*", "*"], why: "A key without its account as the owner can be changed by nobody ever again; resource * is the key itself." },
  { name: "*", sid: "topics", stars: ["*"], why: "In the policy of a key * is the key itself." },
  { name: "*", sid: "logs", stars: ["*"], why: "In the policy of a key * is the key itself." },
  { name: "-cluster", sid: "nodes", stars: ["*"], why: "In the policy of a key * is the key itself." },
  { name: "-cluster", sid: "disks", stars: ["*"], why: "In the policy of a key * is the key itself." },
  { name: "*", sid: "tls", stars: ["s3:*", "/*"], why: "It denies." },
  { name: "*", sid: "cloudfront", stars: ["/*"], why: "All files of the bucket, by one distribution." },
  { name: "-logs", sid: "flows", stars: ["/*"], why: "Files of one folder." },
  { name: "-logs", sid: "balancer", stars: ["/*"], why: "Files of one folder." },
  { name: "-replication", sid: "read", stars: ["/*"], why: "All files of one bucket." },
  { name: "-replication", sid: "write", stars: ["/*"], why: "All files of one bucket." },
  { name: "-s3", sid: "ours", stars: ["*"], why: "Buckets of this account, by its condition; roles say which." },
  { name: "-s3", sid: "layers", stars: ["/*"], why: "Layers of images in ECR's own bucket." },
  { name: "*", sid: "look", stars: ["*"], why: "sns:ListTopics, sns:GetSubscriptionAttributes and what describes load balancers and networks know no narrower resource." },
  { name: "-cloudwatch-exporter", sid: "figures", stars: ["*"], why: "CloudWatch knows no narrower resource to read figures of." },
  { name: "-otel-collector", sid: "traces", stars: ["*"], why: "X-Ray knows no narrower resource." },
  { name: "-aws-load-balancer-controller", sid: "make", stars: ["*"], why: "What is made has no name yet; it has to have the cluster's tag." },
  { name: "-aws-load-balancer-controller", sid: "name", stars: ["/*"], why: "Names are made by the controller; they have to have the cluster's tag." },
  { name: "-aws-load-balancer-controller", sid: "change", stars: ["/*"], why: "Names are made by the controller; they have to have the cluster's tag." },
  { name: "-aws-load-balancer-controller", sid: "waf", stars: ["/*"], why: "The web ACL of this stack, whose id AWS makes." },
  { name: "-deploy", sid: "login", stars: ["*"], why: "ecr:GetAuthorizationToken knows no narrower resource." },
];

/** AWS' own policies, each where it is needed. */
const ATTACHED: Record<string, string> = {
  "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy": "what EKS itself needs",
  "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy": "what a node needs to join",
  "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy": "what gives pods their addresses",
  "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly": "images",
  "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy": "volumes",
  "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup": "backups",
  "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForRestores": "restores",
};

const list = <T>(one: T | T[] | undefined): T[] => (one === undefined ? [] : Array.isArray(one) ? one : [one]);

/** Exceptions that were made use of; what is not in here by the end is stale. */
export const usedStars = new Set<string>();

function excused(resource: Resource, statement: Statement, star: string): boolean {
  const found = STARS.find(({ name, sid, stars }) => sid === statement.Sid && (name === "*" || resource.name.endsWith(name))
    && stars.some((one) => (one.startsWith("/") ? star.endsWith(one) : star === one)));
  if (found) usedStars.add(`${found.name} ${found.sid}`);
  return found !== undefined;
}

const principals = (principal: unknown): string[] => (typeof principal === "string" ? [principal]
  : Object.values((principal ?? {}) as Record<string, string | string[]>).flatMap((one) => list(one)));

/** Judges a policy document in an input. */
export const document = (input: string): Rule => (resource) => {
  const text = resource.inputs[input];
  if (text === undefined) return undefined;
  const problems: string[] = [];
  for (const statement of list<Statement>(JSON.parse(text).Statement)) {
    const where = `statement ${statement.Sid ?? "without a Sid"}`;
    for (const star of [...list(statement.Action), ...list(statement.Resource)].filter((one) => one.includes("*"))) {
      // What a star in the middle of a name stands for is one name that AWS makes.
      if (!excused(resource, statement, star)) problems.push(`${where} has ${star}; narrow it, or list it in policy/access.ts with a reason`);
    }
    if ("NotAction" in statement || "NotResource" in statement || "NotPrincipal" in statement) problems.push(`${where} says what is not meant`);
    if (statement.Effect === "Allow") {
      const open = principals(statement.Principal).includes("*") && resource.type !== "aws:ec2/vpcEndpoint:VpcEndpoint";
      if (open) problems.push(`${where} lets anybody in`);
      const service = principals((statement.Principal as Record<string, unknown> | undefined)?.["Service"]).length > 0;
      if (service && statement.Resource !== undefined && !statement.Condition) problems.push(`${where} lets a service in for whatever account it acts (no condition)`);
    }
  }
  return problems;
};

/** A role that another identity provider's tokens open has to say whose and for whom. */
const federated: Rule = ({ inputs }) => list<Statement>(JSON.parse(inputs["assumeRolePolicy"]).Statement).flatMap((statement) => {
  if (!(statement.Principal as Record<string, unknown>)["Federated"]) return [];
  const keys = Object.keys(statement.Condition?.["StringEquals"] ?? {});
  const values = Object.values(statement.Condition?.["StringEquals"] ?? {}).flatMap((one) => list(one as string));
  const problems = [":sub", ":aud"].filter((end) => !keys.some((key) => key.endsWith(end))).map((end) => `trusts tokens without looking at their ${end.slice(1)}`);
  if (values.some((value) => value.includes("*"))) problems.push("trusts tokens by a pattern");
  return problems;
});

export const access: Rules = {
  "aws:iam/role:Role": [document("assumeRolePolicy"), federated],
  "aws:iam/rolePolicy:RolePolicy": [document("policy")],
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": [({ inputs }) => !Object.hasOwn(ATTACHED, inputs["policyArn"]) && `${inputs["policyArn"]} is not listed in policy/access.ts`],
  "aws:iam/openIdConnectProvider:OpenIdConnectProvider": [({ inputs }) => inputs["clientIdLists"]?.join() !== "sts.amazonaws.com" && "is for others than STS"],
  "aws:eks/accessEntry:AccessEntry": harmless("what it may is said by its association"),
  "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": [
    ({ inputs }) => inputs["accessScope"]?.type !== "namespace" && "reaches beyond a namespace",
    ({ inputs }) => !inputs["policyArn"].endsWith("/AmazonEKSEditPolicy") && "is more than editing",
  ],
};
