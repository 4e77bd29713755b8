// The network: who has an address in it, and which ways lead out. Public networks have the way to the internet, private ones
// the NAT, and the database's none at all.

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Account } from "./account";
import type { Settings } from "./config";
import { Part, policy } from "./part";
import type { Storage } from "./storage";

export const VPC_CIDR = "10.0.0.0/16";
export const PUBLIC_CIDRS = ["10.0.101.0/24", "10.0.102.0/24", "10.0.103.0/24"];
export const PRIVATE_CIDRS = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"];
export const DATABASE_CIDRS = ["10.0.201.0/24", "10.0.202.0/24", "10.0.203.0/24"];

const ANYWHERE = "0.0.0.0/0";

/** What the shop and its nodes talk to in AWS. */
const INTERFACES = ["ecr.api", "ecr.dkr", "secretsmanager", "sqs", "sns", "sts", "logs"];

export class Network extends Part {
  readonly vpc: aws.ec2.Vpc;
  readonly publicSubnets: aws.ec2.Subnet[];
  readonly privateSubnets: aws.ec2.Subnet[];
  readonly databaseSubnets: aws.ec2.Subnet[];
  readonly natInstances: aws.ec2.Instance[] = [];
  /** The private route tables, one a zone: NATs are put into them. */
  private readonly ways: aws.ec2.RouteTable[];

  constructor(settings: Settings, private readonly account: Account, storage: Storage, parent: pulumi.Resource) {
    super("Network", settings, parent);
    this.vpc = new aws.ec2.Vpc(this.named("vpc"), { cidrBlock: VPC_CIDR, enableDnsSupport: true, enableDnsHostnames: true }, this.child);
    // The one that comes with a network lets everything through among its members: it has none here, and lets nothing.
    new aws.ec2.DefaultSecurityGroup(this.named("default"), { vpcId: this.vpc.id, ingress: [], egress: [] }, this.child);
    this.publicSubnets = this.subnets("public", PUBLIC_CIDRS, { "kubernetes.io/role/elb": "1" });
    this.privateSubnets = this.subnets("private", PRIVATE_CIDRS, { "kubernetes.io/role/internal-elb": "1" });
    this.databaseSubnets = this.subnets("database", DATABASE_CIDRS, {});

    const gateway = new aws.ec2.InternetGateway(this.named("internet"), { vpcId: this.vpc.id }, this.child);
    const [outside] = this.routeTables("public", [this.publicSubnets]);
    new aws.ec2.Route(this.named("public-internet"), { routeTableId: outside!.id, destinationCidrBlock: ANYWHERE, gatewayId: gateway.id }, this.child);
    this.ways = this.routeTables("private", this.privateSubnets.map((subnet) => [subnet]));
    this.routeTables("database", [this.databaseSubnets]);
    this.nat();
    this.endpoints();
    new aws.ec2.FlowLog(this.named("flows"), {
      vpcId: this.vpc.id,
      trafficType: "ALL",
      logDestinationType: "s3",
      logDestination: pulumi.interpolate`${storage.logs.arn}/flows/`,
      maxAggregationInterval: 600,
      destinationOptions: { fileFormat: "parquet", perHourPartition: true },
    }, { ...this.child, dependsOn: [storage.mayWriteLogs] });
    this.registerOutputs();
  }

  private subnets(kind: string, cidrs: string[], tags: Record<string, string>): aws.ec2.Subnet[] {
    return cidrs.map((cidrBlock, place) => new aws.ec2.Subnet(this.named(`${kind}-${place + 1}`), {
      vpcId: this.vpc.id,
      cidrBlock,
      availabilityZone: this.account.zones[place]!,
      // An address is given to a NAT and to nobody else.
      mapPublicIpOnLaunch: false,
      tags,
    }, this.child));
  }

  /** A table for each group of subnets. */
  private routeTables(kind: string, groups: aws.ec2.Subnet[][]): aws.ec2.RouteTable[] {
    return groups.map((group, place) => {
      const name = groups.length > 1 ? `${kind}-${place + 1}` : kind;
      const table = new aws.ec2.RouteTable(this.named(name), { vpcId: this.vpc.id }, this.child);
      group.forEach((subnet, index) => {
        new aws.ec2.RouteTableAssociation(this.named(`${name}-${index + 1}`), { routeTableId: table.id, subnetId: subnet.id }, this.child);
      });
      return table;
    });
  }

  private nat(): void {
    if (this.settings.nat === "instances") return this.makeInstances();
    const count = this.settings.nat === "one" ? 1 : this.ways.length;
    const gateways = this.publicSubnets.slice(0, count).map((subnet, place) => {
      const address = new aws.ec2.Eip(this.named(`nat-${place + 1}`), { domain: "vpc" }, this.child);
      return new aws.ec2.NatGateway(this.named(`nat-${place + 1}`), { subnetId: subnet.id, allocationId: address.id }, this.child);
    });
    this.ways.forEach((table, place) => {
      const gateway = gateways[place] ?? gateways[0]!;
      new aws.ec2.Route(this.named(`private-${place + 1}-nat`), { routeTableId: table.id, destinationCidrBlock: ANYWHERE, natGatewayId: gateway.id }, this.child);
    });
  }

  /** In each zone the least instance, as AWS describes it ("NAT instances"): a fifth of a gateway's price, and 5 Gbit/s at most. */
  private makeInstances(): void {
    const group = new aws.ec2.SecurityGroup(this.named("nat"), { vpcId: this.vpc.id, description: "NAT: takes what comes from the private networks" }, this.child);
    PRIVATE_CIDRS.forEach((cidrIpv4, place) => {
      new aws.vpc.SecurityGroupIngressRule(this.named(`nat-from-${place + 1}`), { securityGroupId: group.id, cidrIpv4, ipProtocol: "-1", description: "private network" }, this.child);
    });
    new aws.vpc.SecurityGroupEgressRule(this.named("nat-out"), { securityGroupId: group.id, cidrIpv4: ANYWHERE, ipProtocol: "-1", description: "the internet" }, this.child);
    const image = aws.ssm.getParameterOutput({ name: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64" });
    this.ways.forEach((table, place) => {
      const instance = new aws.ec2.Instance(this.named(`nat-${place + 1}`), {
        ami: image.value,
        instanceType: "t4g.nano",
        subnetId: this.publicSubnets[place]!.id,
        vpcSecurityGroupIds: [group.id],
        // What it forwards is not for itself.
        sourceDestCheck: false,
        metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 },
        rootBlockDevice: { volumeType: "gp3", volumeSize: 8, encrypted: true },
        maintenanceOptions: { autoRecovery: "default" },
        userData: NAT_SETUP,
        userDataReplaceOnChange: true,
      }, { ...this.child, ignoreChanges: ["ami"] });
      this.natInstances.push(instance);
      new aws.ec2.Eip(this.named(`nat-${place + 1}`), { domain: "vpc", instance: instance.id }, this.child);
      new aws.ec2.Route(this.named(`private-${place + 1}-nat`), {
        routeTableId: table.id,
        destinationCidrBlock: ANYWHERE,
        networkInterfaceId: instance.primaryNetworkInterfaceId,
      }, this.child);
      // The system's failure is mended by AWS; that of what runs on it by a restart.
      new aws.cloudwatch.MetricAlarm(this.named(`nat-${place + 1}-unwell`), {
        name: this.named(`nat-${place + 1}-unwell`),
        alarmDescription: "The NAT of a zone does not answer; it is restarted.",
        namespace: "AWS/EC2",
        metricName: "StatusCheckFailed_Instance",
        dimensions: { InstanceId: instance.id },
        statistic: "Maximum",
        period: 60,
        evaluationPeriods: 2,
        threshold: 1,
        comparisonOperator: "GreaterThanOrEqualToThreshold",
        // Before its first figures it is not to be restarted.
        treatMissingData: "notBreaching",
        alarmActions: [`arn:aws:automate:${this.settings.region}:ec2:reboot`],
      }, this.child);
    });
  }

  private endpoints(): void {
    const { region } = this.settings;
    new aws.ec2.VpcEndpoint(this.named("s3"), {
      vpcId: this.vpc.id,
      serviceName: `com.amazonaws.${region}.s3`,
      vpcEndpointType: "Gateway",
      routeTableIds: this.ways.map((table) => table.id),
      policy: policy(
        {
          Sid: "ours",
          Principal: "*",
          Action: ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetBucketLocation"],
          Resource: "*",
          Condition: { StringEquals: { "aws:ResourceAccount": this.account.id } },
        },
        // Where ECR keeps the layers of images.
        { Sid: "layers", Principal: "*", Action: "s3:GetObject", Resource: `arn:aws:s3:::prod-${region}-starport-layer-bucket/*` },
      ),
    }, this.child);
    if (this.settings.endpoints === "gateway") return;
    const group = new aws.ec2.SecurityGroup(this.named("endpoints"), { vpcId: this.vpc.id, description: "AWS' services by their endpoints" }, this.child);
    PRIVATE_CIDRS.forEach((cidrIpv4, place) => {
      new aws.vpc.SecurityGroupIngressRule(this.named(`endpoints-from-${place + 1}`), {
        securityGroupId: group.id, cidrIpv4, ipProtocol: "tcp", fromPort: 443, toPort: 443, description: "private network",
      }, this.child);
    });
    for (const service of INTERFACES) {
      new aws.ec2.VpcEndpoint(this.named(service.replace(".", "-")), {
        vpcId: this.vpc.id,
        serviceName: `com.amazonaws.${region}.${service}`,
        vpcEndpointType: "Interface",
        privateDnsEnabled: true,
        subnetIds: this.privateSubnets.map((subnet) => subnet.id),
        securityGroupIds: [group.id],
      }, this.child);
    }
  }
}

const NAT_SETUP = `#!/bin/bash
set -eux
echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/90-nat.conf
sysctl --system
# Its public address comes a little later than itself.
until dnf install -y nftables; do sleep 5; done
out=$(ip route show default | awk '{ print $5; exit }')
cat > /etc/sysconfig/nftables.conf <<RULES
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "$out" ip saddr ${VPC_CIDR} masquerade
  }
}
RULES
systemctl enable --now nftables
`;
