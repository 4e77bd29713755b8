// A month's bill from the resources that the program makes: what each costs by the price table. A type that costs nothing is listed
// with the reason, and one that is not listed at all fails, so that nothing new is left out of the bill.

import type { Collected, Resource } from "../collect/collect";
import type { Settings } from "../src/config";
import prices from "./prices.json";
import usageTable from "./usage.json";

export type Service = "EKS" | "Nodes" | "Aurora" | "Redis" | "CloudFront" | "NAT" | "ECR" | "S3" | "WAF" | "CloudWatch" | "Secrets"
  | "Load balancer" | "KMS" | "Endpoints" | "Events" | "Backups";

export interface Line {
  service: Service;
  what: string;
  usd: number;
}

export interface Usage {
  orders: number;
  requestsMillions: number;
  outGb: number;
  natGb: number;
  databaseGb: number;
  ioMillions: number;
  averageAcu: number;
  logGb: number;
  flowGb: number;
  staticGb: number;
  imagesGb: number;
  lcu: number;
  messagesMillions: number;
  kmsMillions: number;
  secretCallsMillions: number;
}

export interface Choice {
  /** Reserved for a year, without anything paid at once. */
  committed?: boolean;
  /** S3's Intelligent-Tiering; the program has it. */
  untiered?: boolean;
}

export const USAGE = usageTable as unknown as Record<Settings["stack"], Usage>;

type Price = keyof typeof prices.prices;

const HOURS = prices.hours;

export class PriceError extends Error {}

/** So much of something that has a price; what is free of it is not counted. */
export function cost(key: string, quantity: number): number {
  if (!Object.hasOwn(prices.prices, key)) throw new PriceError(`cost/prices.json has no price of ${key}`);
  const price: { usd: number; per: string; free?: number } = prices.prices[key as Price];
  const paid = Math.max(0, quantity - (price.free ?? 0));
  return paid * price.usd * (/^(?:hour|\w+-hour)$/.test(price.per) ? HOURS : 1);
}

interface Around {
  settings: Settings;
  usage: Usage;
  choice: Choice;
  all: Resource[];
}

type Pricing = (resource: Resource, around: Around) => Line[];

const share = (name: keyof typeof prices.shares): number => prices.shares[name].of;

const one = (service: Service, what: string, usd: number): Line[] => [{ service, what, usd }];

/** What is used once for all resources of a type is billed with the first. */
const shared = (first: Pricing): Pricing => (resource, around) => (around.all.find(({ type }) => type === resource.type) === resource ? first(resource, around) : []);

const nodeGroup: Pricing = ({ inputs }, { choice, all }) => {
  const count: number = inputs["scalingConfig"].desiredSize;
  const type: string = inputs["instanceTypes"][0];
  const spot = inputs["capacityType"] === "SPOT";
  const part = spot ? share("spot") : choice.committed ? share("oneYear.ec2") : 1;
  const template = all.find((other) => other.type === "aws:ec2/launchTemplate:LaunchTemplate" && other.inputs["name"] === inputs["nodeGroupName"]);
  const gib: number = template?.inputs["blockDeviceMappings"][0].ebs.volumeSize ?? 20;
  return count === 0 ? [] : [
    ...one("Nodes", `${count} x ${type}${spot ? ", Spot" : choice.committed ? ", for a year" : ""}`, cost(`ec2.${type}`, count) * part),
    ...one("Nodes", `${count} disks of ${gib} GB`, cost("ebs.gp3", count * gib)),
  ];
};

const databaseInstance: Pricing = ({ inputs, name }, { choice, usage, settings }) => {
  const type: string = inputs["instanceClass"];
  if (type === "db.serverless") {
    const acu = Math.max(usage.averageAcu, settings.database.leastAcu);
    return one("Aurora", `${name}: serverless, ${acu} ACU on average`, cost("aurora.acu", acu));
  }
  return one("Aurora", `${name}: ${type}${choice.committed ? ", for a year" : ""}`, cost(`aurora.${type}`, 1) * (choice.committed ? share("oneYear.aurora") : 1));
};

const bucket: Pricing = ({ name }, { usage, choice }) => {
  if (name.endsWith("-logs")) return one("S3", "logs", cost("s3.standard", usage.flowGb * 3));
  const lines = one("S3", `${name.endsWith("-copy") ? "copy" : "static files"}, ${usage.staticGb} GB`, cost(choice.untiered ? "s3.standard" : "s3.tiering", usage.staticGb));
  return name.endsWith("-copy") ? [...lines, ...one("S3", "to the other region", cost("s3.transfer", usage.staticGb / 10))] : lines;
};

const free = (_why: string): Pricing => () => [];

export const PRICED: Record<string, Pricing> = {
  "aws:eks/cluster:Cluster": () => one("EKS", "control plane", cost("eks.cluster", 1)),
  "aws:eks/nodeGroup:NodeGroup": nodeGroup,
  "aws:ec2/launchTemplate:LaunchTemplate": free("a description; disks are billed with the nodes"),
  "aws:eks/addon:Addon": free("runs on the nodes"),
  "kubernetes:helm.sh/v3:Release": free("runs on the nodes"),
  "aws:eks/accessEntry:AccessEntry": free("a right"),
  "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": free("a right"),

  "aws:rds/cluster:Cluster": (_, { usage }) => [
    ...one("Aurora", `${usage.databaseGb} GB`, cost("aurora.storage", usage.databaseGb)),
    ...one("Aurora", `${usage.ioMillions} million reads and writes of the disk`, cost("aurora.io", usage.ioMillions)),
    // RDS makes it, for the owner's password.
    ...one("Secrets", "the owner's password", cost("secret", 1)),
  ],
  "aws:rds/clusterInstance:ClusterInstance": databaseInstance,
  "aws:rds/subnetGroup:SubnetGroup": free("a list"),
  "aws:rds/clusterParameterGroup:ClusterParameterGroup": free("a list"),

  "aws:elasticache/replicationGroup:ReplicationGroup": ({ inputs }, { choice }) => [
    ...one("Redis", `${inputs["numCacheClusters"]} x ${inputs["nodeType"]}${choice.committed ? ", for a year" : ""}`,
      cost(`elasticache.${inputs["nodeType"]}`, inputs["numCacheClusters"]) * (choice.committed ? share("oneYear.elasticache") : 1)),
    // One snapshot is free; each may be as large as the memory, of which little is used.
    ...one("Redis", "snapshots", cost("elasticache.backup", Math.max(0, inputs["snapshotRetentionLimit"] - 1) * 0.1)),
  ],
  "aws:elasticache/subnetGroup:SubnetGroup": free("a list"),
  "aws:elasticache/parameterGroup:ParameterGroup": free("a list"),

  "aws:ec2/natGateway:NatGateway": (resource, around) => [
    ...one("NAT", resource.name, cost("nat.gateway", 1)),
    ...shared((_, { usage }) => one("NAT", `${usage.natGb} GB`, cost("nat.data", usage.natGb)))(resource, around),
  ],
  // A Savings Plan is for a family of instances, whatever their size: the nodes' is the NATs'.
  "aws:ec2/instance:Instance": ({ inputs, name }, { choice }) => [
    ...one("NAT", `${name}: ${inputs["instanceType"]}`, cost(`ec2.${inputs["instanceType"]}`, 1) * (choice.committed ? share("oneYear.ec2") : 1)),
    ...one("NAT", `${name}: disk`, cost("ebs.gp3", inputs["rootBlockDevice"].volumeSize)),
  ],
  "aws:ec2/eip:Eip": ({ name }) => one("NAT", `${name}: public address`, cost("ipv4", 1)),
  "aws:ec2/vpcEndpoint:VpcEndpoint": ({ inputs, name }) => (inputs["vpcEndpointType"] === "Gateway" ? [] : one("Endpoints", name, cost("endpoint.interface", inputs["subnetIds"].length))),
  "aws:ec2/flowLog:FlowLog": (_, { usage }) => one("CloudWatch", `flow logs, ${usage.flowGb} GB`, cost("flowlogs", usage.flowGb)),

  "aws:lb/loadBalancer:LoadBalancer": (_, { usage }) => [...one("Load balancer", "hours", cost("alb", 1)), ...one("Load balancer", `${usage.lcu} units of capacity`, cost("alb.lcu", usage.lcu))],
  "aws:cloudfront/distribution:Distribution": (_, { usage }) => [
    ...one("CloudFront", `${usage.outGb} GB`, cost("cloudfront.data", usage.outGb)),
    ...one("CloudFront", `${usage.requestsMillions} million requests`, cost("cloudfront.requests", usage.requestsMillions)),
  ],
  "aws:wafv2/webAcl:WebAcl": ({ inputs, name }, { usage }) => [
    ...one("WAF", `${name}: ${inputs["rules"].length} rules`, cost("waf.acl", 1) + cost("waf.rule", inputs["rules"].length)),
    ...one("WAF", `${name}: ${usage.requestsMillions} million requests`, cost("waf.requests", usage.requestsMillions)),
  ],
  "aws:kms/key:Key": (resource, around) => [
    ...one("KMS", resource.name, cost("kms.key", 1)),
    ...shared((_, { usage }) => one("KMS", `${usage.kmsMillions} million requests`, cost("kms.requests", usage.kmsMillions)))(resource, around),
  ],
  "aws:secretsmanager/secret:Secret": (resource, around) => [
    ...one("Secrets", resource.name, cost("secret", 1)),
    ...shared((_, { usage }) => one("Secrets", `${usage.secretCallsMillions} million looks`, cost("secret.calls", usage.secretCallsMillions)))(resource, around),
  ],
  "aws:serverlessrepository/cloudFormationStack:CloudFormationStack": free("a function that runs for seconds a month: within what is free"),
  "aws:ecr/repository:Repository": (_, { usage }) => one("ECR", `${usage.imagesGb} GB`, cost("ecr.storage", usage.imagesGb)),
  "aws:s3/bucket:Bucket": bucket,
  "aws:backup/plan:Plan": ({ inputs }, { usage }) => one("Backups", "of Aurora, and their copies in the other region",
    // The first is whole, and each day after it keeps what has changed: a fiftieth.
    cost("backup.aurora", usage.databaseGb * (1 + inputs["rules"][0].lifecycle.deleteAfter / 50) + usage.databaseGb * (1 + (inputs["rules"][0].copyActions[0]?.lifecycle.deleteAfter ?? 0) / 50))),
  "aws:cloudwatch/metricAlarm:MetricAlarm": shared((_, { all }) => {
    const count = all.filter(({ type }) => type === "aws:cloudwatch/metricAlarm:MetricAlarm").length;
    return one("CloudWatch", `${count} alarms`, cost("cloudwatch.alarm", count));
  }),
  "aws:cloudwatch/dashboard:Dashboard": () => one("CloudWatch", "dashboard", cost("cloudwatch.dashboard", 1)),
  "aws:cloudwatch/logGroup:LogGroup": shared((_, { usage }) => one("CloudWatch", `logs, ${usage.logGb} GB`, cost("cloudwatch.logs", usage.logGb))),
  "aws:sqs/queue:Queue": shared((_, { usage }) => one("Events", `${usage.messagesMillions} million calls of SQS`, cost("sqs", usage.messagesMillions))),
  "aws:sns/topic:Topic": shared((_, { usage }) => one("Events", "SNS", cost("sns", usage.messagesMillions / 10))),
  "aws:budgets/budget:Budget": () => one("CloudWatch", "budget", cost("budget", 1)),
  "aws:route53/record:Record": free("what asks for an alias asks for nothing"),
  "aws:xray/group:Group": free("traces are billed by what the collector keeps: 100,000 a month are free"),
};

for (const [prefix, why] of Object.entries({
  "aws:acm/": "certificates for CloudFront and load balancers are free",
  "aws:iam/": "rights are free",
  "aws:s3/bucket": "settings of a bucket",
  "aws:vpc/securityGroup": "rules are free",
  "random:": "made by Pulumi",
  "pulumi:": "Pulumi's own",
})) PRICED[`${prefix}*`] = free(why);

for (const type of [
  "aws:backup/selection:Selection", "aws:backup/vault:Vault", "aws:cloudfront/cachePolicy:CachePolicy", "aws:cloudfront/originAccessControl:OriginAccessControl",
  "aws:cloudfront/vpcOrigin:VpcOrigin", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "aws:ec2/internetGateway:InternetGateway", "aws:ec2/route:Route",
  "aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation", "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/subnet:Subnet",
  "aws:ec2/vpc:Vpc", "aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:kms/alias:Alias", "aws:secretsmanager/secretRotation:SecretRotation",
  "aws:secretsmanager/secretVersion:SecretVersion", "aws:sns/topicPolicy:TopicPolicy", "aws:sns/topicSubscription:TopicSubscription",
  "aws:sqs/queuePolicy:QueuePolicy", "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
]) PRICED[type] = free("has no price of its own");

function pricingOf(type: string): Pricing {
  const found = PRICED[type] ?? Object.entries(PRICED).find(([key]) => key.endsWith("*") && type.startsWith(key.slice(0, -1)))?.[1];
  if (!found) throw new PriceError(`cost/bill.ts does not say what ${type} costs`);
  return found;
}

/** All that a month costs, a line each. */
export function bill({ resources, settings }: Pick<Collected, "resources" | "settings">, choice: Choice = {}): Line[] {
  const around = { settings, usage: USAGE[settings.stack], choice, all: resources };
  return resources.flatMap((resource) => pricingOf(resource.type)(resource, around));
}

export const total = (lines: Line[]): number => lines.reduce((sum, { usd }) => sum + usd, 0);

export function byService(lines: Line[]): Map<Service, number> {
  const sums = new Map<Service, number>();
  for (const { service, usd } of lines) sums.set(service, (sums.get(service) ?? 0) + usd);
  return sums;
}
