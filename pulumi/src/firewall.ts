// AWS WAF's rules: what attackers send is refused before it reaches the shop, and so is who asks too often.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

import type { Settings } from "./config";
import { EDGE_REGION, type Keys } from "./keys";
import { Part } from "./part";

/** Requests of one address in five minutes. The shop's own limit is 1200 a minute; this is for who does not care. */
export const RATE = 6000;
/** The same for signing in, tokens and password resets. */
export const AUTH_RATE = 100;
export const AUTH_PATH = "/api/v1/auth";

const LOGS_DAYS = 30;

/** AWS' groups of rules, and those of their rules that only count. */
const GROUPS: Array<{ name: string; counted: string[] }> = [
  { name: "AWSManagedRulesAmazonIpReputationList", counted: [] },
  // A product file is larger than 8 KB, and a description is HTML, which the shop cleans itself.
  { name: "AWSManagedRulesCommonRuleSet", counted: ["SizeRestrictions_BODY", "CrossSiteScripting_BODY"] },
  { name: "AWSManagedRulesKnownBadInputsRuleSet", counted: [] },
  { name: "AWSManagedRulesSQLiRuleSet", counted: [] },
];

const seen = (metricName: string) => ({ cloudwatchMetricsEnabled: true, sampledRequestsEnabled: true, metricName });

export class Firewall extends Part {
  readonly acl: aws.wafv2.WebAcl;
  /** For the Ingress' annotation, if it is wanted. */
  readonly regional?: aws.wafv2.WebAcl;

  constructor(settings: Settings, keys: Keys, parent: pulumi.Resource) {
    super("Firewall", settings, parent);
    this.acl = new aws.wafv2.WebAcl(this.named("edge"), {
      name: this.named("edge"),
      region: EDGE_REGION,
      scope: "CLOUDFRONT",
      defaultAction: { allow: {} },
      rules: [...this.rates(), ...this.groups(2)],
      visibilityConfig: seen(this.named("edge")),
    }, this.child);
    const logs = new aws.cloudwatch.LogGroup(this.named("waf"), {
      // WAF writes to no other names.
      name: `aws-waf-logs-${settings.prefix}`, region: EDGE_REGION, retentionInDays: LOGS_DAYS, kmsKeyId: keys.atEdge("logs"),
    }, this.child);
    new aws.wafv2.WebAclLoggingConfiguration(this.named("edge"), {
      region: EDGE_REGION,
      resourceArn: this.acl.arn,
      logDestinationConfigs: [logs.arn],
      redactedFields: [{ singleHeader: { name: "authorization" } }, { singleHeader: { name: "cookie" } }],
      // What was let through is in the shop's log.
      loggingFilter: {
        defaultBehavior: "DROP",
        filters: [{ behavior: "KEEP", requirement: "MEETS_ANY", conditions: [{ actionCondition: { action: "BLOCK" } }, { actionCondition: { action: "COUNT" } }] }],
      },
    }, this.child);
    if (settings.wafAtLoadBalancer) {
      // No rates: all requests come from CloudFront's addresses there.
      this.regional = new aws.wafv2.WebAcl(this.named("balancer"), {
        name: this.named("balancer"), scope: "REGIONAL", defaultAction: { allow: {} }, rules: this.groups(0), visibilityConfig: seen(this.named("balancer")),
      }, this.child);
    }
    this.registerOutputs();
  }

  private rates() {
    const rule = (name: string, priority: number, limit: number, scopeDownStatement?: object) => ({
      name,
      priority,
      action: { block: { customResponse: { responseCode: 429 } } },
      statement: { rateBasedStatement: { limit, evaluationWindowSec: 300, aggregateKeyType: "IP", ...(scopeDownStatement ? { scopeDownStatement } : {}) } },
      visibilityConfig: seen(name),
    });
    const auth = {
      byteMatchStatement: {
        fieldToMatch: { uriPath: {} },
        positionalConstraint: "STARTS_WITH",
        searchString: AUTH_PATH,
        textTransformations: [{ priority: 0, type: "URL_DECODE" }, { priority: 1, type: "NORMALIZE_PATH" }, { priority: 2, type: "LOWERCASE" }],
      },
    };
    return [rule("auth-rate", 0, AUTH_RATE, auth), rule("rate", 1, RATE)];
  }

  private groups(from: number) {
    return GROUPS.map(({ name, counted }, place) => ({
      name,
      priority: from + place,
      overrideAction: { none: {} },
      statement: {
        managedRuleGroupStatement: {
          vendorName: "AWS",
          name,
          ruleActionOverrides: counted.map((one) => ({ name: one, actionToUse: { count: {} } })),
        },
      },
      visibilityConfig: seen(name),
    }));
  }
}
