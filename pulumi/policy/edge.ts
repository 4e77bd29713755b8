// The door and the cluster: TLS of today, no way around CloudFront, rules of WAF, and a cluster that is not open to the world.

import { type Rule, type Rules, at, given, harmless, is, ofType } from "./rule";

const OPEN = ["0.0.0.0/0", "::/0"];

const allBehaviours = (inputs: Record<string, any>) => [inputs["defaultCacheBehavior"], ...inputs["orderedCacheBehaviors"] ?? []];

const distribution: Rule = ({ inputs }) => {
  const problems = allBehaviours(inputs).filter((one) => one.viewerProtocolPolicy !== "redirect-to-https" && one.viewerProtocolPolicy !== "https-only")
    .map((one) => `${one.pathPattern ?? "default"} answers without TLS`);
  for (const one of allBehaviours(inputs)) if (one.compress !== true) problems.push(`${one.pathPattern ?? "default"} is not compressed`);
  for (const origin of inputs["origins"]) {
    if (origin.customOriginConfig) problems.push(`${origin.originId} is reached over the internet`);
    else if (!origin.vpcOriginConfig && !origin.originAccessControlId) problems.push(`${origin.originId} is a bucket that others than CloudFront have to reach`);
  }
  const kept = (inputs["customErrorResponses"] ?? []).filter((one: any) => one.errorCachingMinTtl !== 0);
  if (kept.length > 0 || !inputs["customErrorResponses"]?.length) problems.push("keeps errors");
  return problems;
};

/** What is kept is kept for nobody else: nothing without the answer's word, and nobody's for another. */
const cachePolicy: Rule = ({ inputs }) => {
  const key = inputs["parametersInCacheKeyAndForwardedToOrigin"];
  return [
    inputs["minTtl"] !== 0 && "keeps what says that it is private",
    inputs["defaultTtl"] !== 0 && "keeps what does not say that it may be kept",
    !at(key, "headersConfig.headers.items")?.includes("Authorization") && "gives one customer's answer to another: Authorization is not in the key",
    at(key, "queryStringsConfig.queryStringBehavior") !== "all" && "takes two searches for one",
  ].filter((one): one is string => one !== false);
};

const MANAGED = ["AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet", "AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesAmazonIpReputationList"];

const firewall: Rule = ({ inputs }) => {
  const rules: any[] = inputs["rules"] ?? [];
  const groups = rules.flatMap((rule) => (rule.overrideAction?.none ? rule.statement.managedRuleGroupStatement?.name ?? [] : []));
  const problems = MANAGED.filter((name) => !groups.includes(name)).map((name) => `does not use ${name}`);
  if (inputs["scope"] !== "CLOUDFRONT") return problems;
  if (inputs["region"] !== "us-east-1") problems.push("is not where CloudFront looks");
  const rates = rules.filter((rule) => rule.action?.block && rule.statement.rateBasedStatement).map((rule) => rule.statement.rateBasedStatement);
  const general = rates.find((rate) => !rate.scopeDownStatement);
  const auth = rates.find((rate) => rate.scopeDownStatement?.byteMatchStatement?.searchString?.includes("/auth"));
  if (!general) problems.push("has no limit for all");
  if (!auth) problems.push("has no limit for /auth");
  else if (general && auth.limit >= general.limit) problems.push("is not stricter on /auth");
  return problems;
};

const cluster: Rule = ({ inputs }) => {
  const { vpcConfig = {} } = inputs;
  return [
    vpcConfig.endpointPrivateAccess !== true && "is not to be reached from within",
    vpcConfig.endpointPublicAccess !== false && !vpcConfig.publicAccessCidrs?.length && "is open to the world",
    vpcConfig.publicAccessCidrs?.some((cidr: string) => OPEN.includes(cidr)) && "is open to the world",
    !inputs["encryptionConfig"]?.resources?.includes("secrets") && "does not encrypt its secrets",
    ["api", "audit", "authenticator", "controllerManager", "scheduler"].some((log) => !inputs["enabledClusterLogTypes"]?.includes(log)) && "does not log all of its control plane",
    inputs["upgradePolicy"]?.supportType !== "STANDARD" && "is paid for six times when its version is old",
    inputs["accessConfig"]?.authenticationMode !== "API" && "lets in by a ConfigMap",
  ].filter((one): one is string => typeof one === "string");
};

const nodes: Rule = ({ inputs, name }) => {
  const spot = inputs["capacityType"] === "SPOT";
  return [
    inputs["subnetIds"]?.length !== 3 && "is not over three zones",
    inputs["subnetIds"]?.some((id: string) => !/-private-\d-id$/.test(id)) && "is not in the private networks",
    spot && !inputs["taints"]?.some((taint: any) => taint.effect === "NO_SCHEDULE") && "takes what must not vanish",
    !spot && name.endsWith("-spot") && "is no Spot group",
    spot && inputs["instanceTypes"]?.length < 2 && "has one kind of instance, which may be sold out",
    inputs["remoteAccess"] && "can be signed in to",
    !inputs["launchTemplate"] && "has no template of ours",
  ].filter((one): one is string => typeof one === "string");
};

const exact = (path: string): Rule => ({ inputs }) => !/^v?\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(at(inputs, path) ?? "") && `${path} is no exact version: ${at(inputs, path)}`;

export const edge: Rules = {
  "aws:cloudfront/distribution:Distribution": [
    is("viewerCertificate.minimumProtocolVersion", "TLSv1.2_2021"), given("viewerCertificate.acmCertificateArn"), given("webAclId"), distribution,
  ],
  "aws:cloudfront/cachePolicy:CachePolicy": [cachePolicy],
  "aws:cloudfront/originAccessControl:OriginAccessControl": [is("signingBehavior", "always"), is("signingProtocol", "sigv4")],
  "aws:cloudfront/vpcOrigin:VpcOrigin": [
    is("vpcOriginEndpointConfig.originProtocolPolicy", "https-only"),
    ({ inputs }) => at(inputs, "vpcOriginEndpointConfig.originSslProtocols.items")?.join() !== "TLSv1.2" && "speaks an old TLS",
  ],
  "aws:wafv2/webAcl:WebAcl": [firewall],
  "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": [({ inputs }) => !JSON.stringify(inputs["redactedFields"] ?? "").includes("authorization") && "writes tokens into its log"],
  "aws:acm/certificate:Certificate": [is("validationMethod", "DNS")],
  "aws:acm/certificateValidation:CertificateValidation": harmless("waits"),
  "aws:route53/record:Record": harmless("a name for the distribution, or the proof of it"),
  "aws:lb/loadBalancer:LoadBalancer": [
    is("internal", true), is("dropInvalidHeaderFields", true), is("accessLogs.enabled", true),
    ({ inputs }, { settings }) => settings.protect && inputs["enableDeletionProtection"] !== true && "may be deleted by a slip",
    ({ inputs }, { all }) => inputs["securityGroups"].length !== 1 && all.length > 0 && "is in more groups than its own",
  ],
  "aws:eks/cluster:Cluster": [cluster, ({ inputs }, { settings }) => settings.protect && inputs["deletionProtection"] !== true && "may be deleted by a slip"],
  "aws:eks/nodeGroup:NodeGroup": [nodes],
  "aws:eks/addon:Addon": [exact("addonVersion")],
  "aws:ec2/launchTemplate:LaunchTemplate": [
    is("metadataOptions.httpTokens", "required"), is("metadataOptions.httpPutResponseHopLimit", 1), is("blockDeviceMappings.0.ebs.encrypted", "true"), given("blockDeviceMappings.0.ebs.kmsKeyId"),
  ],
  "kubernetes:helm.sh/v3:Release": [exact("version"), given("repositoryOpts.repo")],
  "pulumi:providers:kubernetes": harmless("how Pulumi gets into the cluster; it holds no password"),
};

/** What has to be watched, and by which figures. */
const watched = (namespace: string, dimension: string, value: (name: string) => string, metrics: string[]): Rule => ({ name }, { all }) => {
  const own = ofType(all, "aws:cloudwatch/metricAlarm:MetricAlarm").filter(({ inputs }) => inputs["namespace"] === namespace && inputs["dimensions"]?.[dimension] === value(name));
  return metrics.filter((metric) => !own.some(({ inputs }) => inputs["metricName"] === metric)).map((metric) => `has no alarm on ${metric}`);
};

const same = (name: string) => name;

const cacheNodes: Rule = (resource, around) => Array.from({ length: resource.inputs["numCacheClusters"] }, (_, place) => `${resource.name}-00${place + 1}`)
  .flatMap((node) => watched("AWS/ElastiCache", "CacheClusterId", () => node, ["EngineCPUUtilization", "DatabaseMemoryUsagePercentage", ...(resource.inputs["numCacheClusters"] > 1 ? ["ReplicationLag"] : [])])(resource, around) || []);

export const watch: Rules = {
  "aws:rds/clusterInstance:ClusterInstance": [watched("AWS/RDS", "DBInstanceIdentifier", same, ["DatabaseConnections", "CPUUtilization", "FreeableMemory", "CommitLatency"])],
  "aws:rds/cluster:Cluster": [(resource, around) => around.settings.database.readers > 0 && watched("AWS/RDS", "DBClusterIdentifier", same, ["AuroraReplicaLagMaximum"])(resource, around)],
  "aws:elasticache/replicationGroup:ReplicationGroup": [cacheNodes],
  "aws:sqs/queue:Queue": [(resource, around) => watched("AWS/SQS", "QueueName", same, [resource.name.endsWith("-dead") ? "ApproximateNumberOfMessagesVisible" : "ApproximateAgeOfOldestMessage"])(resource, around)],
  "aws:lb/loadBalancer:LoadBalancer": [watched("AWS/ApplicationELB", "LoadBalancer", (name) => `app/${name}/0123456789abcdef`, ["HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count"])],
  "aws:wafv2/webAcl:WebAcl": [(resource, around) => resource.inputs["scope"] === "CLOUDFRONT" && watched("AWS/WAFV2", "WebACL", same, ["BlockedRequests"])(resource, around)],
  "aws:cloudfront/distribution:Distribution": [watched("AWS/CloudFront", "DistributionId", (name) => `${name}-id`, ["5xxErrorRate"])],
  "aws:cloudwatch/metricAlarm:MetricAlarm": [
    ({ inputs }) => !inputs["alarmActions"]?.length && "tells nobody",
    given("alarmDescription"),
    ({ inputs, name }, { all }) => {
      const onBoard = ofType(all, "aws:cloudwatch/dashboard:Dashboard").some((board) => board.inputs["dashboardBody"].includes(`"${inputs["metricName"]}"`));
      return !onBoard && !/-nat-\d-unwell$/.test(name) && "is on no dashboard";
    },
  ],
  "aws:cloudwatch/dashboard:Dashboard": [({ inputs }) => !(JSON.parse(inputs["dashboardBody"]).widgets.length >= 10) && "shows hardly anything"],
  "aws:cloudwatch/logGroup:LogGroup": [given("kmsKeyId"), ({ inputs }) => !(inputs["retentionInDays"] > 0) && "keeps logs for ever"],
  "aws:budgets/budget:Budget": [given("costFilters.0.values.0"), ({ inputs }) => !(inputs["notifications"]?.length >= 2) && "tells nobody"],
  "aws:xray/group:Group": harmless("a way to look at traces"),
};
