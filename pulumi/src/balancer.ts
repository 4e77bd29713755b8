// The load balancer: inside, without a public address; CloudFront alone gets to it, by its way into the network (a VPC origin).
// It is made here and not by the controller, since CloudFront, alarms and logs need to know it before the shop is there. It has the
// tags by which the controller finds what is its own: the Ingress of the group brings listener, rules and targets.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

import type { Cluster } from "./cluster";
import type { Settings } from "./config";
import { CLUSTER_TAG } from "./loadbalancer-rights";
import type { Network } from "./network";
import { Part } from "./part";
import type { Storage } from "./storage";

/** `alb.ingress.kubernetes.io/group.name`. */
export const GROUP = "eshopz";

/** The shop's public listeners, combined and split; its management listeners, for health checks. */
const PORTS: Array<[number, number, string]> = [[3000, 3005, "shop"], [9000, 9005, "health"]];

export class Balancer extends Part {
  readonly balancer: aws.lb.LoadBalancer;
  readonly securityGroup: aws.ec2.SecurityGroup;

  constructor(settings: Settings, network: Network, cluster: Cluster, storage: Storage, parent: pulumi.Resource) {
    super("Balancer", settings, parent);
    const cloudfront = aws.ec2.getManagedPrefixListOutput({ name: "com.amazonaws.global.cloudfront.origin-facing" });
    this.securityGroup = new aws.ec2.SecurityGroup(this.named("balancer"), { vpcId: network.vpc.id, description: "Load balancer" }, this.child);
    new aws.vpc.SecurityGroupIngressRule(this.named("balancer-from-cloudfront"), {
      securityGroupId: this.securityGroup.id, prefixListId: cloudfront.id, ipProtocol: "tcp", fromPort: 443, toPort: 443, description: "CloudFront",
    }, this.child);
    for (const [fromPort, toPort, what] of PORTS) {
      const between = { ipProtocol: "tcp", fromPort, toPort, description: what };
      new aws.vpc.SecurityGroupEgressRule(this.named(`balancer-to-${what}`), {
        securityGroupId: this.securityGroup.id, referencedSecurityGroupId: cluster.securityGroup, ...between,
      }, this.child);
      new aws.vpc.SecurityGroupIngressRule(this.named(`nodes-from-balancer-${what}`), {
        securityGroupId: cluster.securityGroup, referencedSecurityGroupId: this.securityGroup.id, ...between,
      }, this.child);
    }
    this.balancer = new aws.lb.LoadBalancer(settings.prefix, {
      name: settings.prefix,
      internal: true,
      loadBalancerType: "application",
      // Beside the NATs, where no pod has an address: what comes from there is the load balancer.
      subnets: network.publicSubnets.map((subnet) => subnet.id),
      securityGroups: [this.securityGroup.id],
      dropInvalidHeaderFields: true,
      desyncMitigationMode: "defensive",
      enableDeletionProtection: settings.protect,
      idleTimeout: 60,
      accessLogs: { enabled: true, bucket: storage.logs.bucket, prefix: "balancer" },
      tags: { [CLUSTER_TAG]: settings.prefix, "ingress.k8s.aws/stack": GROUP, "ingress.k8s.aws/resource": "LoadBalancer" },
    }, { ...this.child, dependsOn: [storage.mayWriteLogs], protect: settings.protect });
    this.registerOutputs();
  }
}
