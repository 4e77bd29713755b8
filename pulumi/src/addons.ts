// What runs in the cluster before the shop does: EKS' own add-ons, and three charts. All by exact versions (versions.ts).

import * as aws from "@pulumi/aws";
import * as kubernetes from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

import type { Cluster } from "./cluster";
import type { Settings } from "./config";
import type { Identity } from "./identity";
import type { Network } from "./network";
import { Part, json } from "./part";
import { ADDONS, CHARTS } from "./versions";

const ROLE = "eks.amazonaws.com/role-arn";

/** Those without which no node is ready; the others need nodes. */
const FIRST = ["vpc-cni", "kube-proxy"];

export class Addons extends Part {
  constructor(settings: Settings, private readonly cluster: Cluster, identity: Identity, network: Network, parent: pulumi.Resource) {
    super("Addons", settings, parent);
    for (const [name, version] of Object.entries(ADDONS)) this.addon(name, version, identity);
    const provider = new kubernetes.Provider(this.named("kubernetes"), { kubeconfig: cluster.kubeconfig }, this.child);
    const account = (name: string) => ({ create: true, name, annotations: { [ROLE]: identity.role(name).arn } });
    this.chart(provider, "aws-load-balancer-controller", {
      clusterName: cluster.cluster.name,
      region: settings.region,
      vpcId: network.vpc.id,
      replicaCount: settings.nodes.count > 1 ? 2 : 1,
      serviceAccount: account("aws-load-balancer-controller"),
      // Pulumi opens the nodes to the load balancer.
      enableBackendSecurityGroup: false,
      // WAF of old and Shield are asked for nothing, so that it needs no right to.
      enableWaf: false,
      enableShield: false,
      // What it takes over keeps its tags.
      externalManagedTags: ["Name", "project", "stack", "managed-by"],
    });
    this.chart(provider, "external-secrets", { installCRDs: true, serviceAccount: account("external-secrets") });
    // By `kubectl port-forward`: its address is not open to the world.
    this.chart(provider, "argo-cd", {
      configs: { params: { "server.insecure": false } },
      server: { service: { type: "ClusterIP" }, ingress: { enabled: false } },
      dex: { enabled: false },
      notifications: { enabled: false },
    });
    this.registerOutputs();
  }

  private addon(addonName: string, addonVersion: string, identity: Identity): void {
    new aws.eks.Addon(this.named(addonName), {
      clusterName: this.cluster.cluster.name,
      addonName,
      addonVersion,
      resolveConflictsOnCreate: "OVERWRITE",
      resolveConflictsOnUpdate: "OVERWRITE",
      ...(addonName === "aws-ebs-csi-driver" ? { serviceAccountRoleArn: identity.role("ebs-csi").arn } : {}),
      // A node has room for more pods than it has addresses of its own, and network policies are kept.
      ...(addonName === "vpc-cni"
        ? { configurationValues: json({ enableNetworkPolicy: "true", env: { ENABLE_PREFIX_DELEGATION: "true", WARM_PREFIX_TARGET: "1" } }) }
        : {}),
    }, { ...this.child, dependsOn: FIRST.includes(addonName) ? [] : [this.cluster.base] });
  }

  private chart(provider: kubernetes.Provider, name: keyof typeof CHARTS, values: pulumi.Inputs): void {
    const { repository, version, namespace } = CHARTS[name];
    new kubernetes.helm.v3.Release(this.named(name), {
      name, chart: name, version, namespace, createNamespace: true, repositoryOpts: { repo: repository }, atomic: true, timeout: 600, values,
    }, { ...this.child, provider, dependsOn: [this.cluster.base] });
  }
}
