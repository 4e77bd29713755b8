// The network: its addresses are as they were given, nothing comes in from anywhere but at the edge, and the database has no way out.

import type { Resource } from "../collect/collect";
import { document } from "./access";
import { type Around, type Rule, type Rules, given, harmless, is, ofType } from "./rule";

export const CIDRS: Record<string, string[]> = {
  public: ["10.0.101.0/24", "10.0.102.0/24", "10.0.103.0/24"],
  private: ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"],
  database: ["10.0.201.0/24", "10.0.202.0/24", "10.0.203.0/24"],
};

const OPEN = ["0.0.0.0/0", "::/0"];

/** Ways to anywhere that are meant. */
export const WAYS_OUT: Record<string, string> = {
  "nat-out": "forwards for the private networks",
  "rotation-aws": "Secrets Manager, whose addresses change; the port is 443",
};

const idOf = (subnet: Resource) => `${subnet.name}-id`;
const kindOf = ({ inputs }: Resource) => Object.keys(CIDRS).find((kind) => CIDRS[kind]!.includes(inputs["cidrBlock"]));

/** The routes of a subnet, by its table. */
export function routesOf(subnet: Resource, all: Resource[]): Resource[] {
  const tables = ofType(all, "aws:ec2/routeTableAssociation:RouteTableAssociation").filter(({ inputs }) => inputs["subnetId"] === idOf(subnet)).map(({ inputs }) => inputs["routeTableId"]);
  return ofType(all, "aws:ec2/route:Route").filter(({ inputs }) => tables.includes(inputs["routeTableId"]));
}

const subnet: Rule = (resource, { all }) => {
  const kind = kindOf(resource);
  if (!kind) return `${resource.inputs["cidrBlock"]} is none of the networks that were agreed on`;
  const routes = routesOf(resource, all);
  const tables = ofType(all, "aws:ec2/routeTableAssociation:RouteTableAssociation").filter(({ inputs }) => inputs["subnetId"] === idOf(resource));
  if (tables.length !== 1) return "has no route table of ours: it would take the network's own";
  switch (kind) {
    case "database": return routes.length > 0 && `has a way out: ${routes.map((one) => one.name).join(", ")}`;
    case "private": return routes.some(({ inputs }) => inputs["gatewayId"]) ? "has a way to the internet without NAT" : routes.length !== 1 && "has no way to a NAT";
    default: return !(routes.length === 1 && routes[0]!.inputs["gatewayId"]) && "has no way to the internet";
  }
};

/** All networks of a kind, each in a zone of its own. */
const whole: Rule = (_, { all }) => {
  const subnets = ofType(all, "aws:ec2/subnet:Subnet");
  return Object.entries(CIDRS).flatMap(([kind, cidrs]) => {
    const found = subnets.filter((one) => kindOf(one) === kind);
    const zones = new Set(found.map(({ inputs }) => inputs["availabilityZone"]));
    const problems = found.map(({ inputs }) => inputs["cidrBlock"]).join() === cidrs.join() ? [] : [`the ${kind} networks are not ${cidrs.join(", ")}`];
    return zones.size === cidrs.length ? problems : [...problems, `the ${kind} networks are in ${zones.size} zones`];
  });
};

const inward: Rule = ({ inputs }) => {
  if (OPEN.includes(inputs["cidrIpv4"]) || OPEN.includes(inputs["cidrIpv6"])) return "lets the whole internet in";
  if (inputs["prefixListId"] && !/cloudfront/.test(inputs["prefixListId"])) return "lets in a list of networks that is not CloudFront's";
  return !inputs["cidrIpv4"] && !inputs["prefixListId"] && !inputs["referencedSecurityGroupId"] && "says of nobody that he may come in";
};

const outward: Rule = ({ inputs, name }) => {
  const open = OPEN.includes(inputs["cidrIpv4"]) || OPEN.includes(inputs["cidrIpv6"]);
  return open && !Object.keys(WAYS_OUT).some((end) => name.endsWith(`-${end}`)) && "lets out to anywhere; narrow it, or list it in policy/network.ts with a reason";
};

/** Rules of groups are resources of their own, which are judged; in the group they would not be. */
const noRulesInside: Rule = ({ inputs }) => ["ingress", "egress"].filter((way) => inputs[way]?.length).map((way) => `has ${way} rules in it, which nothing judges`);

/** Every service that pods talk to, if by endpoints then by all of them and in every zone. */
const endpoint: Rule = ({ inputs }) => {
  if (inputs["vpcEndpointType"] === "Gateway") return inputs["routeTableIds"]?.length !== 3 && "is not to be reached from every zone";
  return [
    inputs["subnetIds"]?.length !== 3 && "is not in every zone",
    inputs["privateDnsEnabled"] !== true && "is not known by the service's name",
    !inputs["securityGroupIds"]?.length && "has no security group",
  ].filter((one): one is string => one !== false);
};

const SERVICES = ["s3", "ecr.api", "ecr.dkr", "secretsmanager", "sqs", "sns", "sts", "logs"];

const everyEndpoint: Rule = (_, { all, settings }: Around) => {
  const wanted = settings.endpoints === "interface" ? SERVICES : ["s3"];
  const made = ofType(all, "aws:ec2/vpcEndpoint:VpcEndpoint").map(({ inputs }) => inputs["serviceName"]);
  return wanted.filter((service) => !made.includes(`com.amazonaws.${settings.region}.${service}`)).map((service) => `has no endpoint for ${service}`);
};

const flowLogged: Rule = (_, { all }) => !ofType(all, "aws:ec2/flowLog:FlowLog").length && "keeps no log of its traffic";

export const network: Rules = {
  "aws:ec2/vpc:Vpc": [is("cidrBlock", "10.0.0.0/16"), is("enableDnsSupport", true), is("enableDnsHostnames", true), whole, everyEndpoint, flowLogged],
  "aws:ec2/subnet:Subnet": [subnet, is("mapPublicIpOnLaunch", false)],
  "aws:ec2/internetGateway:InternetGateway": harmless("who uses it is said by routes"),
  "aws:ec2/natGateway:NatGateway": [given("allocationId"), given("subnetId")],
  "aws:ec2/eip:Eip": [({ name }) => !/-nat-\d$/.test(name) && "is a public address of something that is no NAT"],
  "aws:ec2/routeTable:RouteTable": [({ inputs }) => inputs["routes"]?.length && "has routes in it, which nothing judges"],
  "aws:ec2/routeTableAssociation:RouteTableAssociation": harmless("judged with its subnet"),
  "aws:ec2/route:Route": harmless("judged with the subnets of its table"),
  "aws:ec2/securityGroup:SecurityGroup": [noRulesInside, given("description")],
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": [noRulesInside],
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": [inward],
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": [outward],
  "aws:ec2/vpcEndpoint:VpcEndpoint": [endpoint, document("policy")],
  "aws:ec2/flowLog:FlowLog": [is("trafficType", "ALL")],
  "aws:ec2/instance:Instance": [
    is("metadataOptions.httpTokens", "required"),
    is("rootBlockDevice.encrypted", true),
    ({ name }) => !/-nat-\d$/.test(name) && "is an instance that is no NAT: pods run on nodes",
    ({ inputs }) => inputs["keyName"] && "can be signed in to",
  ],
};
