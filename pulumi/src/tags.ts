// What every resource is tagged with, so that the bill can be read by stack and nothing is without an owner.

import type * as pulumi from "@pulumi/pulumi";

import type { Settings } from "./config";

/** Types of AWS that take no tags, of those that are used here; a test holds this list to the provider's own types. */
export const UNTAGGABLE = new Set([
  "aws:acm/certificateValidation:CertificateValidation",
  "aws:backup/selection:Selection",
  "aws:cloudfront/cachePolicy:CachePolicy",
  "aws:cloudfront/originAccessControl:OriginAccessControl",
  "aws:cloudwatch/dashboard:Dashboard",
  "aws:ec2/route:Route",
  "aws:ec2/routeTableAssociation:RouteTableAssociation",
  "aws:ecr/lifecyclePolicy:LifecyclePolicy",
  "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
  "aws:iam/rolePolicy:RolePolicy",
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  "aws:kms/alias:Alias",
  "aws:route53/record:Record",
  "aws:s3/bucketIntelligentTieringConfiguration:BucketIntelligentTieringConfiguration",
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  "aws:s3/bucketPolicy:BucketPolicy",
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  "aws:s3/bucketVersioning:BucketVersioning",
  "aws:secretsmanager/secretRotation:SecretRotation",
  "aws:secretsmanager/secretVersion:SecretVersion",
  "aws:sns/topicPolicy:TopicPolicy",
  "aws:sns/topicSubscription:TopicSubscription",
  "aws:sqs/queuePolicy:QueuePolicy",
  "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
]);

/** Puts the tags of a stack onto everything of AWS that takes some. */
export function tagging(settings: Settings): pulumi.ResourceTransformation {
  const common = { project: "eshopz", stack: settings.stack, "managed-by": "pulumi" };
  return ({ type, name, props, opts }) => {
    if (!type.startsWith("aws:") || UNTAGGABLE.has(type)) return undefined;
    return { props: { ...props, tags: { Name: name, ...common, ...props["tags"] } }, opts };
  };
}
