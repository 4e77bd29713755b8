// Each rule against what it is there for: one mistake is made at a time, and has to be found. A rule that nothing here breaks is
// one that nobody knows to work.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Resource } from "../collect/collect";
import { EVERYWHERE, RULES } from "../policy/all";
import { judge } from "../policy/rule";
import { variant } from "./variants";

type Change = (inputs: Record<string, any>, all: Resource[]) => void;

const set = (path: string, value: unknown): Change => (inputs) => {
  const names = path.split(".");
  const last = names.pop()!;
  let at = inputs;
  for (const name of names) at = at[name];
  at[last] = value;
};
const without = (path: string): Change => set(path, undefined);

/** Changes a policy's first statement. */
const statement = (input: string, change: (statement: Record<string, any>) => void): Change => (inputs) => {
  const said = JSON.parse(inputs[input]);
  change(said.Statement[0]);
  inputs[input] = JSON.stringify(said);
};

/** Another resource goes, or changes. */
const gone = (type: string, name: RegExp): Change => (_, all) => {
  const place = all.findIndex((one) => one.type === type && name.test(one.name));
  assert.ok(place >= 0, `no ${type} ${name}`);
  all.splice(place, 1);
};
const other = (type: string, name: RegExp, change: Change): Change => (_, all) => {
  const found = all.find((one) => one.type === type && name.test(one.name));
  assert.ok(found, `no ${type} ${name}`);
  change(found.inputs, all);
};

/** Type, end of the name, what is done to it, what is said of it. */
type Mistake = [type: string, name: RegExp, change: Change, says: RegExp];

const MISTAKES: Mistake[] = [
  ["aws:ec2/vpc:Vpc", /./, set("cidrBlock", "10.1.0.0/16"), /cidrBlock has to be "10.0.0.0\/16"/],
  ["aws:ec2/vpc:Vpc", /./, set("enableDnsHostnames", false), /enableDnsHostnames/],
  ["aws:ec2/vpc:Vpc", /./, set("enableDnsSupport", false), /enableDnsSupport/],
  ["aws:ec2/vpc:Vpc", /./, gone("aws:ec2/vpcEndpoint:VpcEndpoint", /-sqs$/), /no endpoint for sqs/],
  ["aws:ec2/vpc:Vpc", /./, gone("aws:ec2/flowLog:FlowLog", /./), /keeps no log/],
  ["aws:ec2/vpc:Vpc", /./, other("aws:ec2/subnet:Subnet", /database-3/, set("availabilityZone", "us-east-1a")), /in 2 zones/],
  ["aws:ec2/subnet:Subnet", /private-1$/, set("cidrBlock", "10.0.4.0/24"), /none of the networks/],
  ["aws:ec2/subnet:Subnet", /public-1$/, set("mapPublicIpOnLaunch", true), /mapPublicIpOnLaunch/],
  ["aws:ec2/subnet:Subnet", /database-2$/, other("aws:ec2/route:Route", /private-1-nat/, set("routeTableId", "eshopz-prod-database-id")), /has a way out/],
  ["aws:ec2/subnet:Subnet", /private-1$/, other("aws:ec2/route:Route", /private-1-nat/, set("gatewayId", "igw")), /without NAT/],
  ["aws:ec2/subnet:Subnet", /private-1$/, gone("aws:ec2/route:Route", /private-1-nat/), /no way to a NAT/],
  ["aws:ec2/subnet:Subnet", /public-1$/, gone("aws:ec2/route:Route", /public-internet/), /no way to the internet/],
  ["aws:ec2/subnet:Subnet", /private-1$/, gone("aws:ec2/routeTableAssociation:RouteTableAssociation", /private-1-1/), /no route table/],
  ["aws:ec2/natGateway:NatGateway", /./, without("allocationId"), /allocationId is missing/],
  ["aws:ec2/eip:Eip", /./, (_, all) => { all.find((one) => one.type === "aws:ec2/eip:Eip")!.name = "eshopz-prod-node"; }, /public address of something/],
  ["aws:ec2/routeTable:RouteTable", /database$/, set("routes", [{ cidrBlock: "0.0.0.0/0" }]), /routes in it/],
  ["aws:ec2/securityGroup:SecurityGroup", /cache$/, set("ingress", [{ cidrBlocks: ["0.0.0.0/0"] }]), /ingress rules in it/],
  ["aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", /./, set("ingress", [{ self: true }]), /ingress rules in it/],
  ["aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", /cache-from-cluster$/, set("cidrIpv4", "0.0.0.0/0"), /whole internet/],
  ["aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", /balancer-from-cloudfront$/, set("prefixListId", "pl-s3"), /not CloudFront's/],
  ["aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", /cache-from-cluster$/, without("referencedSecurityGroupId"), /says of nobody/],
  ["aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", /rotation-database$/, set("cidrIpv4", "0.0.0.0/0"), /lets out to anywhere/],
  ["aws:ec2/vpcEndpoint:VpcEndpoint", /-sqs$/, set("subnetIds", ["one"]), /not in every zone/],
  ["aws:ec2/vpcEndpoint:VpcEndpoint", /-sqs$/, set("privateDnsEnabled", false), /service's name/],
  ["aws:ec2/vpcEndpoint:VpcEndpoint", /-s3$/, set("routeTableIds", ["one"]), /every zone/],
  ["aws:ec2/flowLog:FlowLog", /./, set("trafficType", "REJECT"), /trafficType/],
  ["aws:ec2/launchTemplate:LaunchTemplate", /base$/, set("metadataOptions.httpTokens", "optional"), /httpTokens/],
  ["aws:ec2/launchTemplate:LaunchTemplate", /base$/, set("metadataOptions.httpPutResponseHopLimit", 2), /HopLimit/],
  ["aws:ec2/launchTemplate:LaunchTemplate", /base$/, set("blockDeviceMappings.0.ebs.encrypted", "false"), /encrypted/],

  ["aws:iam/role:Role", /user-service$/, statement("assumeRolePolicy", (one) => { one["Condition"].StringEquals = { "x:aud": "sts.amazonaws.com" }; }), /without looking at their sub/],
  ["aws:iam/role:Role", /user-service$/, statement("assumeRolePolicy", (one) => { one["Condition"].StringEquals["x:sub"] = "system:serviceaccount:eshopz:*"; }), /by a pattern/],
  ["aws:iam/role:Role", /node$/, statement("assumeRolePolicy", (one) => { one["Principal"] = "*"; }), /lets anybody in/],
  ["aws:iam/rolePolicy:RolePolicy", /user-service$/, statement("policy", (one) => { one["Action"] = "secretsmanager:*"; }), /has secretsmanager:\*/],
  ["aws:iam/rolePolicy:RolePolicy", /user-service$/, statement("policy", (one) => { one["Resource"] = "*"; }), /has \*/],
  ["aws:iam/rolePolicy:RolePolicy", /user-service$/, statement("policy", (one) => { one["NotAction"] = "iam:*"; }), /not meant/],
  ["aws:iam/rolePolicyAttachment:RolePolicyAttachment", /cluster$/, set("policyArn", "arn:aws:iam::aws:policy/AdministratorAccess"), /not listed/],
  ["aws:iam/openIdConnectProvider:OpenIdConnectProvider", /cluster$/, set("clientIdLists", ["others"]), /than STS/],
  ["aws:eks/accessPolicyAssociation:AccessPolicyAssociation", /./, set("accessScope", { type: "cluster" }), /beyond a namespace/],
  ["aws:eks/accessPolicyAssociation:AccessPolicyAssociation", /./, set("policyArn", "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"), /more than editing/],
  ["aws:kms/key:Key", /database$/, set("enableKeyRotation", false), /enableKeyRotation/],
  ["aws:kms/key:Key", /database$/, set("deletionWindowInDays", 1), /deletionWindowInDays/],
  ["aws:kms/key:Key", /messaging$/, (inputs) => { const said = JSON.parse(inputs["policy"]); delete said.Statement[1].Condition; inputs["policy"] = JSON.stringify(said); }, /no condition/],

  ["aws:s3/bucket:Bucket", /static$/, gone("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", /static$/), /may be public/],
  ["aws:s3/bucket:Bucket", /static$/, other("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", /static$/, set("blockPublicPolicy", false)), /blockPublicPolicy is not set/],
  ["aws:s3/bucket:Bucket", /logs$/, gone("aws:s3/bucketVersioning:BucketVersioning", /logs$/), /no versions/],
  ["aws:s3/bucket:Bucket", /logs$/, gone("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", /logs$/), /not encrypted/],
  ["aws:s3/bucket:Bucket", /logs$/, gone("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", /logs$/), /for ever/],
  ["aws:s3/bucket:Bucket", /static$/, gone("aws:s3/bucketPolicy:BucketPolicy", /static$/), /without TLS/],
  ["aws:s3/bucket:Bucket", /static$/, gone("aws:s3/bucketOwnershipControls:BucketOwnershipControls", /static$/), /ACLs/],
  ["aws:s3/bucket:Bucket", /static$/, gone("aws:s3/bucketReplicationConfig:BucketReplicationConfig", /./), /no copy in another region/],
  ["aws:s3/bucket:Bucket", /static$/, gone("aws:s3/bucketIntelligentTieringConfiguration:BucketIntelligentTieringConfiguration", /static$/), /not tiered/],
  ["aws:s3/bucket:Bucket", /static$/, set("forceDestroy", true), /goes with all/],
  ["aws:s3/bucketReplicationConfig:BucketReplicationConfig", /./, set("rules.0.status", "Disabled"), /status/],
  ["aws:s3/bucketPolicy:BucketPolicy", /static$/, statement("policy", (one) => { one["Principal"] = "*"; }), /lets anybody in/],

  ["aws:rds/cluster:Cluster", /./, set("storageEncrypted", false), /storageEncrypted/],
  ["aws:rds/cluster:Cluster", /./, without("kmsKeyId"), /kmsKeyId/],
  ["aws:rds/cluster:Cluster", /./, set("masterPassword", "hunter2"), /password in the program/],
  ["aws:rds/cluster:Cluster", /./, set("backupRetentionPeriod", 1), /has to be 7 or more/],
  ["aws:rds/cluster:Cluster", /./, set("deletionProtection", false), /deletionProtection/],
  ["aws:rds/cluster:Cluster", /./, set("skipFinalSnapshot", true), /skipFinalSnapshot/],
  ["aws:rds/cluster:Cluster", /./, gone("aws:rds/clusterInstance:ClusterInstance", /prod-2$/), /nobody in another zone/],
  ["aws:rds/cluster:Cluster", /./, gone("aws:backup/selection:Selection", /./), /not in a backup plan/],
  ["aws:rds/cluster:Cluster", /./, gone("aws:cloudwatch/metricAlarm:MetricAlarm", /database-lag$/), /no alarm on AuroraReplicaLagMaximum/],
  ["aws:rds/clusterParameterGroup:ClusterParameterGroup", /./, set("parameters.0.value", "0"), /force_ssl/],
  ["aws:rds/clusterInstance:ClusterInstance", /prod-1$/, set("publiclyAccessible", true), /publiclyAccessible/],
  ["aws:rds/clusterInstance:ClusterInstance", /prod-1$/, set("instanceClass", "db.t3.micro"), /offers no db.t3.micro/],
  ["aws:rds/clusterInstance:ClusterInstance", /prod-1$/, set("performanceInsightsEnabled", false), /performanceInsights/],
  ["aws:rds/clusterInstance:ClusterInstance", /prod-2$/, gone("aws:cloudwatch/metricAlarm:MetricAlarm", /database-2-connections$/), /no alarm on DatabaseConnections/],
  ["aws:rds/subnetGroup:SubnetGroup", /./, set("subnetIds", ["eshopz-prod-private-1-id"]), /way out/],
  ["aws:elasticache/replicationGroup:ReplicationGroup", /./, set("transitEncryptionEnabled", false), /transitEncryptionEnabled/],
  ["aws:elasticache/replicationGroup:ReplicationGroup", /./, set("transitEncryptionMode", "preferred"), /transitEncryptionMode/],
  ["aws:elasticache/replicationGroup:ReplicationGroup", /./, set("atRestEncryptionEnabled", false), /atRestEncryptionEnabled/],
  ["aws:elasticache/replicationGroup:ReplicationGroup", /./, without("authToken"), /authToken is missing/],
  ["aws:elasticache/replicationGroup:ReplicationGroup", /./, (_, all) => { all.find((one) => one.type.startsWith("aws:elasticache/replicationGroup"))!.secrets = []; }, /for everybody to read/],
  ["aws:elasticache/replicationGroup:ReplicationGroup", /./, set("multiAzEnabled", false), /nobody who takes over/],
  ["aws:elasticache/replicationGroup:ReplicationGroup", /./, gone("aws:cloudwatch/metricAlarm:MetricAlarm", /cache-002-cpu$/), /no alarm on EngineCPU/],
  ["aws:elasticache/subnetGroup:SubnetGroup", /./, set("subnetIds", ["eshopz-prod-public-1-id"]), /public networks/],

  ["aws:sns/topic:Topic", /order-events$/, without("kmsMasterKeyId"), /kmsMasterKeyId/],
  ["aws:sns/topicPolicy:TopicPolicy", /alarms$/, statement("policy", (one) => { delete one["Condition"]; }), /no condition/],
  ["aws:sns/topicSubscription:TopicSubscription", /to-order$/, set("rawMessageDelivery", false), /as the program reads it/],
  ["aws:sqs/queue:Queue", /order-listeners$/, without("redrivePolicy"), /no dead letters/],
  ["aws:sqs/queue:Queue", /order-listeners$/, without("kmsMasterKeyId"), /kmsMasterKeyId/],
  ["aws:sqs/queue:Queue", /order-listeners$/, other("aws:sqs/queue:Queue", /order-listeners-dead$/, set("messageRetentionSeconds", 60)), /no longer than others/],
  ["aws:sqs/queue:Queue", /order-listeners-dead$/, other("aws:sqs/queue:Queue", /order-listeners$/, without("redrivePolicy")), /nobody's/],
  ["aws:sqs/queue:Queue", /order-listeners-dead$/, gone("aws:cloudwatch/metricAlarm:MetricAlarm", /order-events-dead$/), /no alarm/],
  ["aws:sqs/queue:Queue", /order-listeners$/, gone("aws:cloudwatch/metricAlarm:MetricAlarm", /order-events-wait$/), /no alarm on ApproximateAge/],
  ["aws:sqs/queuePolicy:QueuePolicy", /order/, statement("policy", (one) => { one["Principal"] = "*"; }), /lets anybody in/],
  ["aws:secretsmanager/secret:Secret", /shop$/, without("kmsKeyId"), /kmsKeyId/],
  ["aws:secretsmanager/secretVersion:SecretVersion", /shop$/, (_, all) => { all.filter((one) => one.type.includes("SecretVersion")).forEach((one) => { one.secrets = []; }); }, /for everybody to read/],
  ["aws:secretsmanager/secretRotation:SecretRotation", /./, set("rotationRules.automaticallyAfterDays", 400), /too seldom/],
  ["aws:serverlessrepository/cloudFormationStack:CloudFormationStack", /./, set("applicationId", "arn:aws:serverlessrepo:us-east-1:666666666666:applications/x"), /not AWS' own/],
  ["random:index/randomPassword:RandomPassword", /./, set("length", 8), /length/],
  ["aws:backup/vault:Vault", /prod$/, without("kmsKeyArn"), /no key of ours/],
  ["aws:backup/plan:Plan", /./, without("rules.0.copyActions"), /no copy elsewhere/],
  ["aws:ecr/repository:Repository", /./, set("imageTagMutability", "MUTABLE"), /imageTagMutability/],
  ["aws:ecr/repository:Repository", /./, set("imageScanningConfiguration.scanOnPush", false), /scanOnPush/],

  ["aws:cloudfront/distribution:Distribution", /./, set("viewerCertificate.minimumProtocolVersion", "TLSv1"), /minimumProtocolVersion/],
  ["aws:cloudfront/distribution:Distribution", /./, without("webAclId"), /webAclId/],
  ["aws:cloudfront/distribution:Distribution", /./, set("orderedCacheBehaviors.1.viewerProtocolPolicy", "allow-all"), /answers without TLS/],
  ["aws:cloudfront/distribution:Distribution", /./, set("orderedCacheBehaviors.1.compress", false), /not compressed/],
  ["aws:cloudfront/distribution:Distribution", /./, set("origins.0", { originId: "shop", customOriginConfig: {} }), /over the internet/],
  ["aws:cloudfront/distribution:Distribution", /./, without("origins.1.originAccessControlId"), /others than CloudFront/],
  ["aws:cloudfront/distribution:Distribution", /./, without("customErrorResponses"), /keeps errors/],
  ["aws:cloudfront/distribution:Distribution", /./, gone("aws:cloudwatch/metricAlarm:MetricAlarm", /edge-5xx$/), /no alarm on 5xxErrorRate/],
  ["aws:cloudfront/cachePolicy:CachePolicy", /./, set("parametersInCacheKeyAndForwardedToOrigin.headersConfig.headers.items", ["Host"]), /to another/],
  ["aws:cloudfront/cachePolicy:CachePolicy", /./, set("minTtl", 60), /private/],
  ["aws:cloudfront/cachePolicy:CachePolicy", /./, set("defaultTtl", 60), /does not say/],
  ["aws:cloudfront/cachePolicy:CachePolicy", /./, set("parametersInCacheKeyAndForwardedToOrigin.queryStringsConfig.queryStringBehavior", "none"), /two searches/],
  ["aws:cloudfront/originAccessControl:OriginAccessControl", /./, set("signingBehavior", "never"), /signingBehavior/],
  ["aws:cloudfront/vpcOrigin:VpcOrigin", /./, set("vpcOriginEndpointConfig.originProtocolPolicy", "http-only"), /originProtocolPolicy/],
  ["aws:wafv2/webAcl:WebAcl", /edge$/, (inputs) => inputs["rules"].pop(), /does not use AWSManagedRulesSQLi/],
  ["aws:wafv2/webAcl:WebAcl", /edge$/, set("rules.0.statement.rateBasedStatement.limit", 6000), /not stricter on \/auth/],
  ["aws:wafv2/webAcl:WebAcl", /edge$/, (inputs) => inputs["rules"].shift(), /no limit for \/auth/],
  ["aws:wafv2/webAcl:WebAcl", /edge$/, (inputs) => inputs["rules"].splice(1, 1), /no limit for all/],
  ["aws:wafv2/webAcl:WebAcl", /edge$/, set("rules.3.overrideAction", { count: {} }), /does not use AWSManagedRulesCommon/],
  ["aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration", /./, without("redactedFields"), /tokens into its log/],
  ["aws:acm/certificate:Certificate", /./, set("validationMethod", "EMAIL"), /validationMethod/],
  ["aws:lb/loadBalancer:LoadBalancer", /./, set("internal", false), /internal/],
  ["aws:lb/loadBalancer:LoadBalancer", /./, set("enableDeletionProtection", false), /by a slip/],
  ["aws:lb/loadBalancer:LoadBalancer", /./, set("securityGroups", ["a", "b"]), /more groups/],
  ["aws:lb/loadBalancer:LoadBalancer", /./, gone("aws:cloudwatch/metricAlarm:MetricAlarm", /balancer-5xx$/), /no alarm on HTTPCode_ELB/],
  ["aws:eks/cluster:Cluster", /./, set("vpcConfig.endpointPublicAccess", true), /open to the world/],
  ["aws:eks/cluster:Cluster", /./, set("vpcConfig.publicAccessCidrs", ["0.0.0.0/0"]), /open to the world/],
  ["aws:eks/cluster:Cluster", /./, without("encryptionConfig"), /encrypt its secrets/],
  ["aws:eks/cluster:Cluster", /./, set("enabledClusterLogTypes", ["api"]), /log all/],
  ["aws:eks/cluster:Cluster", /./, set("upgradePolicy", {}), /six times/],
  ["aws:eks/nodeGroup:NodeGroup", /base$/, set("subnetIds", ["eshopz-prod-private-1-id"]), /three zones/],
  ["aws:eks/nodeGroup:NodeGroup", /base$/, set("subnetIds.0", "eshopz-prod-public-1-id"), /private networks/],
  ["aws:eks/nodeGroup:NodeGroup", /spot$/, set("taints", []), /must not vanish/],
  ["aws:eks/nodeGroup:NodeGroup", /spot$/, set("instanceTypes", ["t4g.medium"]), /sold out/],
  ["aws:eks/nodeGroup:NodeGroup", /base$/, set("remoteAccess", {}), /signed in to/],
  ["aws:eks/addon:Addon", /coredns$/, set("addonVersion", "latest"), /no exact version/],
  ["kubernetes:helm.sh/v3:Release", /argo-cd$/, set("version", "^8.0.0"), /no exact version/],
  ["aws:cloudwatch/metricAlarm:MetricAlarm", /waf-blocks$/, set("alarmActions", []), /tells nobody/],
  ["aws:cloudwatch/metricAlarm:MetricAlarm", /waf-blocks$/, set("metricName", "AllowedRequests"), /on no dashboard/],
  ["aws:cloudwatch/dashboard:Dashboard", /./, set("dashboardBody", '{"widgets": []}'), /hardly anything/],
  ["aws:cloudwatch/logGroup:LogGroup", /./, set("retentionInDays", 0), /for ever/],
  ["aws:budgets/budget:Budget", /./, set("notifications", []), /tells nobody/],
  ["aws:budgets/budget:Budget", /./, set("tags", {}), /has not the tags/],
  ["aws:ec2/route:Route", /public-internet/, set("tags", { stack: "prod" }), /which it does not take/],
];

/** Of which only another variant has some. */
const elsewhere = async (type: string) => (type === "aws:ec2/instance:Instance" ? variant("prod") : variant("prod, everything in every zone"));

async function judged([type, name, change]: Mistake, from = elsewhere): Promise<string[]> {
  const { resources, settings } = await from(type);
  const all: Resource[] = structuredClone(resources);
  const found = all.find((one) => one.type === type && name.test(one.name));
  assert.ok(found, `no ${type} ${name}`);
  change(found.inputs, all);
  return judge({ resources: all, settings }, RULES, EVERYWHERE);
}

test("each mistake is found", async () => {
  for (const mistake of MISTAKES) {
    const [type, name, , says] = mistake;
    const problems = await judged(mistake);
    assert.ok(problems.some((problem) => problem.startsWith(`${type} `) && says.test(problem)), `${type} ${name} ${says}: found only ${JSON.stringify(problems)}`);
  }
});

test("the mistakes of NAT instances are found", async () => {
  const type = "aws:ec2/instance:Instance";
  const mistakes: Mistake[] = [
    [type, /./, set("metadataOptions.httpTokens", "optional"), /httpTokens/],
    [type, /./, set("rootBlockDevice.encrypted", false), /encrypted/],
    [type, /./, set("keyName", "mine"), /signed in to/],
    [type, /./, (_, all) => { all.find((one) => one.type === type)!.name = "eshopz-prod-shell"; }, /no NAT/],
  ];
  for (const mistake of mistakes) assert.ok((await judged(mistake)).some((problem) => mistake[3].test(problem)), String(mistake[3]));
});

test("each type that has rules has a mistake that breaks one", () => {
  const broken = new Set([...MISTAKES.map(([type]) => type), "aws:ec2/instance:Instance"]);
  assert.deepEqual(Object.keys(RULES).filter((type) => RULES[type]!.length > 0 && !broken.has(type)), []);
});

test("a new type is not let through unjudged", async () => {
  const { settings } = await variant("dev");
  const strange = { type: "aws:dynamodb/table:Table", name: "carts", inputs: {}, secrets: [] };
  assert.deepEqual(judge({ resources: [strange], settings }, RULES), ["aws:dynamodb/table:Table carts: say in pulumi/policy how this type is judged"]);
});
