// The cluster: its control plane, and two groups of nodes. `base` is on demand and carries the shop; `spot` carries what may
// vanish within two minutes, and says so by a taint.

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Settings } from "./config";
import type { Keys } from "./keys";
import type { Network } from "./network";
import { Part, json, trust } from "./part";
import { KUBERNETES } from "./versions";

const LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"];
const LOGS_DAYS = 30;
const DISK_GIB = 20;
/** Addresses come by the block (addons.ts), so that a small node is not full with seventeen pods. */
const PODS = 60;

/** What a node of Amazon Linux 2023 is told beside what EKS tells it. */
const NODE_CONFIG = `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

---
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config:
      maxPods: ${PODS}

--//--
`;

/** What a node may: join, give pods an address, fetch images. */
const NODE_POLICIES = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"];

export class Cluster extends Part {
  readonly cluster: aws.eks.Cluster;
  readonly base: aws.eks.NodeGroup;
  readonly spot: aws.eks.NodeGroup;
  /** EKS' own group, which all nodes are in. */
  readonly securityGroup: pulumi.Output<string>;

  constructor(settings: Settings, private readonly network: Network, keys: Keys, parent: pulumi.Resource) {
    super("Cluster", settings, parent);
    const role = new aws.iam.Role(this.named("cluster"), {
      name: this.named("cluster"), assumeRolePolicy: trust({ Service: "eks.amazonaws.com" }),
    }, this.child);
    const manage = new aws.iam.RolePolicyAttachment(this.named("cluster"), { role: role.name, policyArn: "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy" }, this.child);
    // EKS would make it without a key and for ever.
    const logs = new aws.cloudwatch.LogGroup(this.named("cluster"), {
      name: `/aws/eks/${settings.prefix}/cluster`, retentionInDays: LOGS_DAYS, kmsKeyId: keys.arn("logs"),
    }, this.child);
    this.cluster = new aws.eks.Cluster(settings.prefix, {
      name: settings.prefix,
      version: KUBERNETES,
      roleArn: role.arn,
      // A version whose time is over is left for the next one, rather than paid for six times.
      upgradePolicy: { supportType: "STANDARD" },
      accessConfig: { authenticationMode: "API", bootstrapClusterCreatorAdminPermissions: true },
      // Add-ons come by their pinned versions.
      bootstrapSelfManagedAddons: false,
      enabledClusterLogTypes: LOGS,
      encryptionConfig: { provider: { keyArn: keys.arn("cluster") }, resources: ["secrets"] },
      deletionProtection: settings.protect,
      vpcConfig: {
        subnetIds: network.privateSubnets.map((subnet) => subnet.id),
        endpointPrivateAccess: true,
        endpointPublicAccess: settings.operatorCidrs.length > 0,
        ...(settings.operatorCidrs.length > 0 ? { publicAccessCidrs: settings.operatorCidrs } : {}),
      },
    }, { ...this.child, dependsOn: [manage, logs], protect: settings.protect });
    this.securityGroup = this.cluster.vpcConfig.clusterSecurityGroupId;
    const node = this.nodeRole();
    this.base = this.group("base", node, keys, settings.nodes, []);
    this.spot = this.group("spot", node, keys, settings.spot, [{ key: "eshopz/spot", value: "true", effect: "NO_SCHEDULE" }]);
    this.registerOutputs();
  }

  private nodeRole(): aws.iam.Role {
    const role = new aws.iam.Role(this.named("node"), { name: this.named("node"), assumeRolePolicy: trust({ Service: "ec2.amazonaws.com" }) }, this.child);
    for (const name of NODE_POLICIES) {
      new aws.iam.RolePolicyAttachment(this.named(`node-${name}`), { role: role.name, policyArn: `arn:aws:iam::aws:policy/${name}` }, this.child);
    }
    return role;
  }

  private group(
    name: "base" | "spot",
    role: aws.iam.Role,
    keys: Keys,
    size: { types: string[]; count: number; most: number },
    taints: Array<{ key: string; value: string; effect: string }>,
  ): aws.eks.NodeGroup {
    const tags = { project: "eshopz", stack: this.settings.stack, Name: this.named(name) };
    const template = new aws.ec2.LaunchTemplate(this.named(name), {
      name: this.named(name),
      updateDefaultVersion: true,
      userData: Buffer.from(NODE_CONFIG).toString("base64"),
      // Pods have roles of their own and no business with the node's: one hop ends before them.
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      blockDeviceMappings: [{
        deviceName: "/dev/xvda",
        ebs: { volumeType: "gp3", volumeSize: DISK_GIB, encrypted: "true", kmsKeyId: keys.arn("cluster"), deleteOnTermination: "true" },
      }],
      tagSpecifications: ["instance", "volume"].map((resourceType) => ({ resourceType, tags })),
    }, this.child);
    return new aws.eks.NodeGroup(this.named(name), {
      clusterName: this.cluster.name,
      nodeGroupName: this.named(name),
      nodeRoleArn: role.arn,
      version: KUBERNETES,
      capacityType: name === "spot" ? "SPOT" : "ON_DEMAND",
      amiType: this.settings.nodes.architecture === "arm64" ? "AL2023_ARM_64_STANDARD" : "AL2023_x86_64_STANDARD",
      instanceTypes: size.types,
      subnetIds: this.network.privateSubnets.map((subnet) => subnet.id),
      scalingConfig: { minSize: size.count, desiredSize: size.count, maxSize: size.most },
      updateConfig: { maxUnavailable: 1 },
      nodeRepairConfig: { enabled: true },
      launchTemplate: { id: template.id, version: pulumi.interpolate`${template.latestVersion}` },
      labels: { "eshopz/nodes": name },
      taints,
      // How many there are at the moment is the autoscaler's business.
    }, { ...this.child, ignoreChanges: ["scalingConfig.desiredSize"] });
  }

  /** By which `kubectl`, and Pulumi itself, get in: with a token of AWS, never with a password. */
  get kubeconfig(): pulumi.Output<string> {
    const { name, endpoint, certificateAuthority } = this.cluster;
    return json({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "eshopz",
      contexts: [{ name: "eshopz", context: { cluster: "eshopz", user: "eshopz" } }],
      clusters: [{ name: "eshopz", cluster: { server: endpoint, "certificate-authority-data": certificateAuthority.data } }],
      users: [{
        name: "eshopz",
        user: { exec: { apiVersion: "client.authentication.k8s.io/v1", interactiveMode: "Never", command: "aws", args: ["eks", "get-token", "--cluster-name", name, "--region", this.settings.region] } },
      }],
    });
  }
}
