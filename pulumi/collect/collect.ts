// Runs the program without an account: Pulumi's mocks stand for AWS, and what would be made is gathered. Tests and the bill go by
// this, so that neither can speak of something that the program does not make.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { load } from "js-yaml";

import { type Raw, type Settings, settingsOf } from "../src/config";
import { Platform } from "../src/platform";

export const ROOT = join(__dirname, "../..");

export interface Resource {
  type: string;
  name: string;
  /** As they were given, secrets uncovered. */
  inputs: Record<string, any>;
  /** Paths of inputs that Pulumi keeps encrypted. */
  secrets: string[];
}

export interface Collected {
  settings: Settings;
  resources: Resource[];
  environment: Record<string, string>;
  /** Outputs that are secrets: there should be none. */
  secretOutputs: string[];
}

export const ACCOUNT = "123456789012";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const MARK = "4dabf18193072939515e22adb298388d";

const isObject = (value: unknown): value is Record<string, any> => typeof value === "object" && value !== null;

/** A value without Pulumi's covers, and where they were. */
function uncovered(value: unknown, path: string, secrets: string[]): unknown {
  if (!isObject(value)) return value;
  if (value[MARK] === SECRET) {
    secrets.push(path);
    return uncovered(value["value"], path, secrets);
  }
  if (Array.isArray(value)) return value.map((one, place) => uncovered(one, `${path}[${place}]`, secrets));
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, uncovered(one, path ? `${path}.${name}` : name, secrets)]));
}

/** What AWS would say of a resource beside what it was told, as far as others of the program ask for it. */
function state({ type, name, inputs }: Resource, region: string): Record<string, unknown> {
  const [, service = "aws", kind = ""] = /^aws:(\w+)\/(\w+):/.exec(type) ?? [];
  const arn = service === "s3" ? `arn:aws:s3:::${inputs["bucket"] ?? name}`
    : service === "iam" ? `arn:aws:iam::${ACCOUNT}:${kind}/${name}`
      : `arn:aws:${service}:${region}:${ACCOUNT}:${kind}/${name}`;
  const more: Record<string, object> = {
    "aws:acm/certificate:Certificate": { domainValidationOptions: [{ domainName: inputs["domainName"], resourceRecordName: "_proof", resourceRecordType: "CNAME", resourceRecordValue: "_is" }] },
    "aws:acm/certificateValidation:CertificateValidation": { certificateArn: inputs["certificateArn"] },
    "aws:cloudfront/distribution:Distribution": { domainName: `${name}.cloudfront.net`, hostedZoneId: "Z2FDTNDATAQYW2" },
    "aws:ec2/instance:Instance": { primaryNetworkInterfaceId: `eni-${name}` },
    "aws:ec2/launchTemplate:LaunchTemplate": { latestVersion: 1 },
    "aws:ecr/repository:Repository": { repositoryUrl: `${ACCOUNT}.dkr.ecr.${region}.amazonaws.com/${name}` },
    "aws:eks/cluster:Cluster": {
      endpoint: "https://cluster.example", certificateAuthority: { data: "" },
      identities: [{ oidcs: [{ issuer: `https://oidc.eks.${region}.amazonaws.com/id/EXAMPLE` }] }],
      vpcConfig: { ...inputs["vpcConfig"], clusterSecurityGroupId: "sg-cluster" },
    },
    "aws:elasticache/replicationGroup:ReplicationGroup": { primaryEndpointAddress: `master.${name}.cache` },
    "aws:lb/loadBalancer:LoadBalancer": { dnsName: `internal-${name}.elb`, arnSuffix: `app/${name}/0123456789abcdef` },
    "aws:rds/cluster:Cluster": { endpoint: `${name}.cluster`, readerEndpoint: `${name}.cluster-ro` },
    "aws:s3/bucket:Bucket": { bucketRegionalDomainName: `${inputs["bucket"]}.s3.amazonaws.com` },
    "aws:serverlessrepository/cloudFormationStack:CloudFormationStack": { outputs: { RotationLambdaARN: `arn:aws:lambda:${region}:${ACCOUNT}:function:${name}` } },
    "aws:sqs/queue:Queue": { url: `https://sqs.${region}.amazonaws.com/${ACCOUNT}/${name}` },
    "random:index/randomPassword:RandomPassword": { result: `password-of-${name}` },
  };
  return { arn, name, keyId: name, ...inputs, ...more[type] };
}

/** What the program asks AWS. */
function answer(token: string, inputs: Record<string, any>, region: string): Record<string, unknown> {
  switch (token) {
    case "aws:index/getAvailabilityZones:getAvailabilityZones": return { names: ["a", "b", "c", "d"].map((zone) => `${region}${zone}`) };
    case "aws:index/getCallerIdentity:getCallerIdentity": return { accountId: ACCOUNT };
    case "aws:ec2/getManagedPrefixList:getManagedPrefixList": return { id: `pl-${inputs["name"]}` };
    case "aws:route53/getZone:getZone": return { zoneId: "Z0123456789" };
    case "aws:ssm/getParameter:getParameter": return { value: "ami-0123456789abcdef0" };
    default: throw new Error(`the program asks for ${token}: say in collect/collect.ts what AWS would answer`);
  }
}

/** A stack's file. */
export function file(stack: string): { region: unknown; raw: Raw } {
  const { config } = load(readFileSync(join(ROOT, `Pulumi.${stack}.yaml`), "utf8")) as { config: Raw };
  const raw = Object.fromEntries(Object.entries(config).filter(([name]) => name.startsWith("eshopz:")).map(([name, value]) => [name.slice("eshopz:".length), value]));
  return { region: config["aws:region"], raw };
}

/** What the program makes for a stack, with some settings changed. One at a time: Pulumi has one state for the process. */
export async function collect(stack: string, changes: Raw = {}, region?: string): Promise<Collected> {
  const said = file(stack);
  const settings = settingsOf(stack, region ?? said.region, { ...said.raw, ...changes });
  const resources: Resource[] = [];
  // Pulumi takes a stack for each promise, which is a third of the time.
  Error.stackTraceLimit = 0;
  await pulumi.runtime.setMocks({
    newResource(args) {
      const secrets: string[] = [];
      const inputs = uncovered(args.inputs, "", secrets) as Record<string, any>;
      const resource = { type: args.type, name: args.name, inputs, secrets };
      if (args.custom !== false) resources.push(resource);
      const told = state(resource, settings.region);
      // A password is a secret wherever it goes, as its provider says.
      if (args.type.startsWith("random:")) told["result"] = { [MARK]: SECRET, value: told["result"] };
      return { id: `${args.name}-id`, state: told };
    },
    call: (args) => answer(args.token, args.inputs, settings.region),
  }, "eshopz", stack, false);
  const platform = new Platform(settings);
  const secretOutputs: string[] = [];
  for (const [name, output] of Object.entries(platform.environment)) {
    if (await pulumi.isSecret(output)) secretOutputs.push(name);
  }
  const environment = await new Promise<Record<string, string>>((known) => { pulumi.all(platform.environment).apply(known); });
  await pulumi.runtime.disconnect();
  Error.stackTraceLimit = 10;
  return { settings, resources, environment, secretOutputs };
}
