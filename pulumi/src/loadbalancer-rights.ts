// What the load balancer controller may. Its own policy lets it change every load balancer of the account; here it is that of the
// cluster, by the tag that it puts on what it makes. It makes no load balancer and no security group: those are here.

import * as pulumi from "@pulumi/pulumi";

import type { Account } from "./account";
import type { Settings } from "./config";
import type { Statement } from "./part";

export const CLUSTER_TAG = "elbv2.k8s.aws/cluster";

const LOOK = [
  "acm:DescribeCertificate", "acm:ListCertificates", "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeAvailabilityZones",
  "ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
  "ec2:DescribeIpamPools", "ec2:DescribeRouteTables", "ec2:DescribeTags", "ec2:DescribeVpcs", "ec2:GetSecurityGroupsForVpc", "elasticloadbalancing:DescribeCapacityReservation", "elasticloadbalancing:DescribeListenerAttributes", "elasticloadbalancing:DescribeListenerCertificates",
  "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeLoadBalancers",
  "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeSSLPolicies", "elasticloadbalancing:DescribeTags",
  "elasticloadbalancing:DescribeTargetGroupAttributes", "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
  "elasticloadbalancing:DescribeTrustStores", "wafv2:GetWebACLForResource",
];

export function LOAD_BALANCER_CONTROLLER(settings: Settings, account: Account): Statement[] {
  const at = (kind: string) => pulumi.interpolate`arn:aws:elasticloadbalancing:${settings.region}:${account.id}:${kind}`;
  const ours = { StringEquals: { [`aws:ResourceTag/${CLUSTER_TAG}`]: settings.prefix } };
  const asOurs = { StringEquals: { [`aws:RequestTag/${CLUSTER_TAG}`]: settings.prefix } };
  const all = ["loadbalancer/app/*", "targetgroup/*", "listener/app/*", "listener-rule/app/*"].map(at);
  return [
    { Sid: "look", Action: LOOK, Resource: "*" },
    { Sid: "make", Action: "elasticloadbalancing:CreateTargetGroup", Resource: "*", Condition: asOurs },
    { Sid: "name", Action: "elasticloadbalancing:AddTags", Resource: all, Condition: asOurs },
    {
      Sid: "change",
      Action: [
        "elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateListener",
        "elasticloadbalancing:CreateRule", "elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteRule",
        "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyListener",
        "elasticloadbalancing:ModifyListenerAttributes", "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:RemoveListenerCertificates", "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetIpAddressType",
        "elasticloadbalancing:SetRulePriorities", "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
        "elasticloadbalancing:SetWebAcl",
      ],
      Resource: all,
      Condition: ours,
    },
    {
      Sid: "waf",
      Action: ["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACL"],
      Resource: [pulumi.interpolate`arn:aws:wafv2:${settings.region}:${account.id}:regional/webacl/${settings.prefix}*/*`, at("loadbalancer/app/*")],
    },
  ];
}
