// What is kept: encrypted, backed up, not public, and not lost with a zone.

import type { Resource } from "../collect/collect";
import { document } from "./access";
import { type Rule, type Rules, at, given, harmless, is, ofType, protectedStacks } from "./rule";

/** Resources of a bucket, which have its name. */
const beside = (bucket: Resource, all: Resource[], type: string) => ofType(all, type).find(({ name }) => name === bucket.name);

const bucket: Rule = (resource, { all }) => {
  const get = (type: string) => beside(resource, all, type)?.inputs;
  const block = get("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock") ?? {};
  const problems = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"].filter((one) => block[one] !== true).map((one) => `may be public: ${one} is not set`);
  if (at(get("aws:s3/bucketVersioning:BucketVersioning"), "versioningConfiguration.status") !== "Enabled") problems.push("keeps no versions");
  if (!at(get("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"), "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm")) problems.push("is not encrypted");
  if (!get("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")) problems.push("keeps everything for ever");
  const policy = get("aws:s3/bucketPolicy:BucketPolicy")?.["policy"] ?? "{}";
  if (!policy.includes('"aws:SecureTransport":"false"')) problems.push("may be spoken to without TLS");
  if (at(get("aws:s3/bucketOwnershipControls:BucketOwnershipControls"), "rule.objectOwnership") !== "BucketOwnerEnforced") problems.push("has ACLs");
  return problems;
};

const replicated: Rule = (resource, { all, settings }) => {
  if (!resource.name.endsWith("-static")) return undefined;
  const to = at(beside(resource, all, "aws:s3/bucketReplicationConfig:BucketReplicationConfig")?.inputs, "rules.0.destination.bucket");
  const copy = ofType(all, "aws:s3/bucket:Bucket").find(({ inputs }) => `arn:aws:s3:::${inputs["bucket"]}` === to);
  if (copy?.inputs["region"] !== settings.replicaRegion) return "has no copy in another region";
  return !beside(resource, all, "aws:s3/bucketIntelligentTieringConfiguration:BucketIntelligentTieringConfiguration") && "is not tiered";
};

const instancesOf = (all: Resource[], cluster: Resource) => ofType(all, "aws:rds/clusterInstance:ClusterInstance").filter(({ inputs }) => inputs["clusterIdentifier"] === `${cluster.name}-id`);

const tlsOnly: Rule = ({ inputs }) => !inputs["parameters"]?.some((one: { name: string; value: string }) => one.name === "rds.force_ssl" && one.value === "1") && "lets in without TLS (rds.force_ssl)";

const takenOver: Rule = (resource, { all, settings }) => {
  if (settings.stack !== "prod") return undefined;
  const zones = new Set(instancesOf(all, resource).map(({ inputs }) => inputs["availabilityZone"]));
  return zones.size < 2 && "has nobody in another zone who takes over";
};

const backedUp: Rule = ({ name }, { all }) => {
  const selected = ofType(all, "aws:backup/selection:Selection").some(({ inputs }) => inputs["resources"]?.some((arn: string) => arn.endsWith(`/${name}`)));
  return !selected && "is not in a backup plan";
};

/** A policy of ours for a thing, found by what points to it. */
const deadLetters: Rule = (queue, { all }) => {
  if (queue.name.endsWith("-dead")) {
    const of = ofType(all, "aws:sqs/queue:Queue").some(({ inputs }) => inputs["redrivePolicy"]?.includes(`/${queue.name}"`));
    return !of && "is nobody's";
  }
  const policy = JSON.parse(queue.inputs["redrivePolicy"] ?? "{}");
  const dead = ofType(all, "aws:sqs/queue:Queue").find(({ name }) => policy.deadLetterTargetArn?.endsWith(`/${name}`));
  if (!dead) return "has no dead letters";
  return dead.inputs["messageRetentionSeconds"] <= queue.inputs["messageRetentionSeconds"] && "keeps dead letters no longer than others: their time counts from when they were sent";
};

const least = (path: string, bound: number): Rule => ({ inputs }) => !(at(inputs, path) >= bound) && `${path} has to be ${bound} or more, and is ${at(inputs, path)}`;

/** What is in it is encrypted in Pulumi's state. */
const covered = (path: string): Rule => ({ secrets }) => !secrets.includes(path) && `${path} stands in Pulumi's state for everybody to read`;

export const data: Rules = {
  "aws:kms/key:Key": [is("enableKeyRotation", true), least("deletionWindowInDays", 7), document("policy")],
  "aws:kms/alias:Alias": harmless("a name"),

  "aws:s3/bucket:Bucket": [bucket, replicated, ({ inputs }) => inputs["forceDestroy"] === true && "goes with all that is in it"],
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": harmless("judged with its bucket"),
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": harmless("judged with its bucket"),
  "aws:s3/bucketVersioning:BucketVersioning": harmless("judged with its bucket"),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": harmless("judged with its bucket"),
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": harmless("judged with its bucket"),
  "aws:s3/bucketIntelligentTieringConfiguration:BucketIntelligentTieringConfiguration": harmless("judged with its bucket"),
  "aws:s3/bucketReplicationConfig:BucketReplicationConfig": [is("rules.0.status", "Enabled")],
  "aws:s3/bucketPolicy:BucketPolicy": [document("policy")],

  "aws:rds/cluster:Cluster": [
    is("storageEncrypted", true), given("kmsKeyId"), is("manageMasterUserPassword", true), given("masterUserSecretKmsKeyId"),
    ({ inputs }) => inputs["masterPassword"] !== undefined && "has a password in the program",
    least("backupRetentionPeriod", 1), protectedStacks(least("backupRetentionPeriod", 7)), protectedStacks(is("deletionProtection", true)),
    protectedStacks(is("skipFinalSnapshot", false)), protectedStacks(is("deleteAutomatedBackups", false)), given("dbClusterParameterGroupName"), takenOver, backedUp,
  ],
  "aws:rds/clusterParameterGroup:ClusterParameterGroup": [tlsOnly],
  "aws:rds/clusterInstance:ClusterInstance": [
    is("publiclyAccessible", false), is("performanceInsightsEnabled", true),
    ({ inputs }) => /\.(?:micro|small)$/.test(inputs["instanceClass"]) && `Aurora offers no ${inputs["instanceClass"]}`,
  ],
  "aws:rds/subnetGroup:SubnetGroup": [({ inputs }) => inputs["subnetIds"].some((id: string) => !/-database-\d-id$/.test(id)) && "is in networks with a way out"],

  "aws:elasticache/replicationGroup:ReplicationGroup": [
    is("atRestEncryptionEnabled", true), given("kmsKeyId"), is("transitEncryptionEnabled", true), is("transitEncryptionMode", "required"),
    given("authToken"), covered("authToken"),
    ({ inputs }, { settings }) => settings.stack === "prod" && !(inputs["automaticFailoverEnabled"] && inputs["multiAzEnabled"] && inputs["numCacheClusters"] >= 2) && "has nobody who takes over",
  ],
  "aws:elasticache/parameterGroup:ParameterGroup": harmless("how it evicts"),
  "aws:elasticache/subnetGroup:SubnetGroup": [({ inputs }) => inputs["subnetIds"].some((id: string) => /-public-\d-id$/.test(id)) && "is in public networks"],

  "aws:sns/topic:Topic": [given("kmsMasterKeyId")],
  "aws:sns/topicPolicy:TopicPolicy": [document("policy")],
  "aws:sns/topicSubscription:TopicSubscription": [({ inputs }) => inputs["protocol"] === "sqs" && !(inputs["rawMessageDelivery"] === true && inputs["filterPolicy"]) && "is not as the program reads it: raw, by a filter"],
  "aws:sqs/queue:Queue": [given("kmsMasterKeyId"), deadLetters],
  "aws:sqs/queuePolicy:QueuePolicy": [document("policy")],

  "aws:secretsmanager/secret:Secret": [given("kmsKeyId")],
  "aws:secretsmanager/secretVersion:SecretVersion": [covered("secretString")],
  "aws:secretsmanager/secretRotation:SecretRotation": [({ inputs }) => !(at(inputs, "rotationRules.automaticallyAfterDays") <= 90) && "changes too seldom"],
  "aws:serverlessrepository/cloudFormationStack:CloudFormationStack": [
    given("semanticVersion"), ({ inputs }) => !inputs["applicationId"].includes(":297356227824:") && "is not AWS' own", given("parameters.vpcSubnetIds"), given("parameters.kmsKeyArn"),
  ],
  "random:index/randomPassword:RandomPassword": [least("length", 32)],

  "aws:backup/vault:Vault": [({ inputs }, { settings }) => !inputs["kmsKeyArn"] && inputs["region"] !== settings.replicaRegion && "has no key of ours"],
  "aws:backup/plan:Plan": [
    least("rules.0.lifecycle.deleteAfter", 14),
    ({ inputs }) => !inputs["rules"]?.[0]?.copyActions?.length && "keeps no copy elsewhere",
  ],
  "aws:backup/selection:Selection": harmless("judged with what is selected"),

  "aws:ecr/repository:Repository": [is("imageTagMutability", "IMMUTABLE"), is("imageScanningConfiguration.scanOnPush", true), is("encryptionConfigurations.0.encryptionType", "KMS")],
  "aws:ecr/lifecyclePolicy:LifecyclePolicy": harmless("what goes after a time"),
};
