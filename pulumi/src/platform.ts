// The platform put together, in the order in which its parts need each other.

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { type Account, account } from "./account";
import { Addons } from "./addons";
import { Backups } from "./backups";
import { Balancer, GROUP } from "./balancer";
import { Cache, PORT as REDIS_PORT } from "./cache";
import { Cluster } from "./cluster";
import type { Settings } from "./config";
import { Database, PORT as DATABASE_PORT } from "./database";
import { Edge } from "./edge";
import { TOPOLOGY } from "./events";
import { Firewall } from "./firewall";
import { Identity } from "./identity";
import { Keys } from "./keys";
import { Messaging } from "./messaging";
import { Network, PUBLIC_CIDRS, VPC_CIDR } from "./network";
import { Registry } from "./registry";
import { Secrets } from "./secrets";
import { Storage } from "./storage";
import { tagging } from "./tags";
import { Watch } from "./watch";

export class Platform extends pulumi.ComponentResource {
  private readonly account: Account;
  private readonly network: Network;
  private readonly cluster: Cluster;
  private readonly registry: Registry;
  private readonly secrets: Secrets;
  private readonly identity: Identity;
  private readonly balancer: Balancer;
  private readonly firewall: Firewall;
  private readonly edge: Edge;

  constructor(private readonly settings: Settings) {
    super("eshopz:platform:Platform", settings.prefix, {}, { transformations: [tagging(settings)] });
    this.account = account();
    const keys = new Keys(settings, this.account, this);
    const storage = new Storage(settings, this.account, this);
    this.network = new Network(settings, this.account, storage, this);
    this.cluster = new Cluster(settings, this.network, keys, this);
    const database = new Database(settings, this.account, this.network, keys, this);
    const cache = new Cache(settings, this.network, keys, this);
    this.letIn("database", database.securityGroup, DATABASE_PORT);
    this.letIn("cache", cache.securityGroup, REDIS_PORT);
    const messaging = new Messaging(settings, keys, this);
    this.registry = new Registry(settings, keys, this);
    this.secrets = new Secrets(settings, this.network, keys, database, cache, this);
    this.identity = new Identity(settings, { account: this.account, cluster: this.cluster, keys, messaging, registry: this.registry, secrets: this.secrets }, this);
    new Addons(settings, this.cluster, this.identity, this.network, this);
    this.balancer = new Balancer(settings, this.network, this.cluster, storage, this);
    this.firewall = new Firewall(settings, keys, this);
    this.edge = new Edge(settings, this.balancer, storage, this.firewall, this);
    new Backups(settings, database, keys, this);
    new Watch(settings, { account: this.account, keys, network: this.network, database, cache, messaging, balancer: this.balancer, edge: this.edge, firewall: this.firewall }, this);
    this.registerOutputs();
  }

  /** The cluster's nodes, and with them its pods, may reach a store. */
  private letIn(name: string, store: aws.ec2.SecurityGroup, port: number): void {
    new aws.vpc.SecurityGroupIngressRule(`${this.settings.prefix}-${name}-from-cluster`, {
      securityGroupId: store.id, referencedSecurityGroupId: this.cluster.securityGroup, ipProtocol: "tcp", fromPort: port, toPort: port, description: "cluster",
    }, { parent: this });
  }

  /** What the overlays of kustomize want to know (`scripts/platform-env`): names and addresses, nothing secret. */
  get environment(): Record<string, pulumi.Output<string>> {
    const { settings, network, secrets } = this;
    const text = (value: pulumi.Input<string>) => pulumi.output(value);
    const roles = Object.fromEntries(TOPOLOGY.modules.map((module) => [`ROLE_ARN_${module.toUpperCase()}`, this.identity.role(`${module}-service`).arn]));
    return {
      ALB_GROUP: text(GROUP),
      ALB_NAME: this.balancer.balancer.name,
      ALB_SCHEME: text("internal"),
      ALB_SECURITY_GROUPS: this.balancer.securityGroup.id,
      ALB_SUBNETS: pulumi.all(network.publicSubnets.map((subnet) => subnet.id)).apply((ids) => ids.join(",")),
      AWS_ACCOUNT_ID: this.account.id,
      AWS_REGION: text(settings.region),
      CERTIFICATE_ARN: this.edge.certificate,
      CLUSTER_NAME: this.cluster.cluster.name,
      ESHOPZ_EVENTS_PREFIX: text(settings.prefix),
      ESHOPZ_SECRETS: pulumi.interpolate`aws:${secrets.database.name},${secrets.shop.name}`,
      ESHOPZ_TRUSTED_PROXIES: text(PUBLIC_CIDRS.join(",")),
      HOST_NAME: text(settings.hostName),
      IMAGE_REPOSITORY: this.registry.repository.repositoryUrl,
      NODE_ARCHITECTURE: text(settings.nodes.architecture === "arm64" ? "arm64" : "amd64"),
      ROLE_ARN_CLOUDWATCH_EXPORTER: this.identity.role("cloudwatch-exporter").arn,
      ROLE_ARN_ESHOPZ: this.identity.role("eshopz").arn,
      ROLE_ARN_EXTERNAL_SECRETS: this.identity.role("external-secrets").arn,
      ROLE_ARN_LOAD_BALANCER_CONTROLLER: this.identity.role("aws-load-balancer-controller").arn,
      ROLE_ARN_MIGRATE: this.identity.role("eshopz-migrate").arn,
      ROLE_ARN_OTEL_COLLECTOR: this.identity.role("otel-collector").arn,
      ...roles,
      SECRET_DATABASE: secrets.database.name,
      SECRET_SHOP: secrets.shop.name,
      STACK: text(settings.stack),
      VPC_CIDR: text(VPC_CIDR),
      VPC_ID: network.vpc.id,
      WAF_ACL_ARN: this.firewall.regional?.arn ?? text(""),
    };
  }

  get distribution(): pulumi.Output<string> {
    return this.edge.distribution.domainName;
  }

  get deployRole(): pulumi.Output<string> {
    return this.settings.repository ? this.identity.role("deploy").arn : pulumi.output("");
  }
}
