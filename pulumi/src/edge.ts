// CloudFront: the one door. It ends TLS near the customer, has each request looked at by WAF, answers for the catalogue while its
// answers last, hands out static files, and passes the rest on.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

import type { Balancer } from "./balancer";
import type { Settings } from "./config";
import type { Firewall } from "./firewall";
import { EDGE_REGION } from "./keys";
import { Part } from "./part";
import type { Storage } from "./storage";

/** What AWS calls `Managed-CachingDisabled`, `Managed-CachingOptimized` and `Managed-AllViewer`. */
const NO_CACHE = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
const STATIC_CACHE = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const ALL_VIEWER = "216adef6-2c7f-47e4-b989-5492eafa07d3";

/** Where answers may say that they can be kept. Those that do not are not. */
export const CATALOGUE = ["/api/v1/products*", "/api/v1/categories*", "/api/v1/variants/*", "/.well-known/*", "/openapi.json", "/docs/*"];
export const STATIC = "/static/*";

const READ = ["GET", "HEAD", "OPTIONS"];
const ALL = [...READ, "PUT", "PATCH", "POST", "DELETE"];

/** Answers that CloudFront would keep for ten seconds whatever they say. */
const ERRORS = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504];

export class Edge extends Part {
  readonly distribution: aws.cloudfront.Distribution;
  /** Of the load balancer's listener. */
  readonly certificate: pulumi.Output<string>;

  constructor(settings: Settings, balancer: Balancer, storage: Storage, firewall: Firewall, parent: pulumi.Resource) {
    super("Edge", settings, parent);
    const zone = aws.route53.getZoneOutput({ name: settings.zoneName });
    const atEdge = this.certify("edge", EDGE_REGION, zone.zoneId);
    // The load balancer's has to be in its own region. The records that prove the name are the same.
    this.certificate = settings.region === EDGE_REGION ? atEdge : this.certify("balancer", settings.region, undefined);

    const origin = new aws.cloudfront.VpcOrigin(this.named("balancer"), {
      vpcOriginEndpointConfig: {
        name: this.named("balancer"),
        arn: balancer.balancer.arn,
        httpPort: 80,
        httpsPort: 443,
        originProtocolPolicy: "https-only",
        originSslProtocols: { items: ["TLSv1.2"], quantity: 1 },
      },
    }, this.child);
    const access = new aws.cloudfront.OriginAccessControl(this.named("static"), {
      name: this.named("static"), originAccessControlOriginType: "s3", signingBehavior: "always", signingProtocol: "sigv4",
    }, this.child);
    this.distribution = this.distribute(balancer, storage, firewall, origin, access, atEdge);
    storage.letRead(this.distribution.arn);
    for (const type of ["A", "AAAA"]) {
      new aws.route53.Record(this.named(`host-${type}`), {
        zoneId: zone.zoneId,
        name: settings.hostName,
        type,
        aliases: [{ name: this.distribution.domainName, zoneId: this.distribution.hostedZoneId, evaluateTargetHealth: false }],
      }, this.child);
    }
    this.registerOutputs();
  }

  /** A certificate whose name is proven by DNS, if it has not been already. */
  private certify(name: string, region: string, zoneId: pulumi.Output<string> | undefined): pulumi.Output<string> {
    const certificate = new aws.acm.Certificate(this.named(name), { region, domainName: this.settings.hostName, validationMethod: "DNS" }, this.child);
    const proof = certificate.domainValidationOptions.apply((all) => {
      const option = all[0];
      if (!option) throw new Error(`ACM asks for no proof of ${this.settings.hostName}`);
      return option;
    });
    if (zoneId) {
      new aws.route53.Record(this.named(`proof-${name}`), {
        zoneId, name: proof.resourceRecordName, type: proof.resourceRecordType, records: [proof.resourceRecordValue], ttl: 300, allowOverwrite: true,
      }, this.child);
    }
    return new aws.acm.CertificateValidation(this.named(name), { region, certificateArn: certificate.arn }, this.child).certificateArn;
  }

  private distribute(
    balancer: Balancer, storage: Storage, firewall: Firewall, origin: aws.cloudfront.VpcOrigin, access: aws.cloudfront.OriginAccessControl, certificate: pulumi.Output<string>,
  ): aws.cloudfront.Distribution {
    const catalogue = this.cataloguePolicy();
    const common = { viewerProtocolPolicy: "redirect-to-https", compress: true };
    const shop = { ...common, targetOriginId: "shop", allowedMethods: ALL, cachedMethods: ["GET", "HEAD"], originRequestPolicyId: ALL_VIEWER };
    return new aws.cloudfront.Distribution(this.settings.prefix, {
      comment: `EShopz ${this.settings.stack}`,
      enabled: true,
      isIpv6Enabled: true,
      httpVersion: "http2and3",
      // North America and Europe; elsewhere customers are served from there.
      priceClass: "PriceClass_100",
      aliases: [this.settings.hostName],
      webAclId: firewall.acl.arn,
      viewerCertificate: { acmCertificateArn: certificate, sslSupportMethod: "sni-only", minimumProtocolVersion: "TLSv1.2_2021" },
      origins: [
        {
          originId: "shop",
          domainName: balancer.balancer.dnsName,
          vpcOriginConfig: { vpcOriginId: origin.id, originReadTimeout: 30, originKeepaliveTimeout: 60 },
        },
        { originId: "static", domainName: storage.statics.bucketRegionalDomainName, originAccessControlId: access.id },
        { originId: "static-copy", domainName: storage.copy.bucketRegionalDomainName, originAccessControlId: access.id },
      ],
      // Where a region is away its copy answers.
      originGroups: [{
        originId: "statics",
        failoverCriteria: { statusCodes: [500, 502, 503, 504] },
        members: [{ originId: "static" }, { originId: "static-copy" }],
      }],
      defaultCacheBehavior: { ...shop, cachePolicyId: NO_CACHE },
      orderedCacheBehaviors: [
        { ...common, pathPattern: STATIC, targetOriginId: "statics", allowedMethods: READ, cachedMethods: ["GET", "HEAD"], cachePolicyId: STATIC_CACHE },
        ...CATALOGUE.map((pathPattern) => ({ ...shop, pathPattern, cachePolicyId: catalogue.id })),
      ],
      customErrorResponses: ERRORS.map((errorCode) => ({ errorCode, errorCachingMinTtl: 0 })),
      restrictions: { geoRestriction: { restrictionType: "none" } },
    }, this.child);
  }

  /** Keeps what says that it may be kept, as long as it says. Whoever signs in has answers of his own, and each origin as well. */
  private cataloguePolicy(): aws.cloudfront.CachePolicy {
    return new aws.cloudfront.CachePolicy(this.named("catalogue"), {
      name: this.named("catalogue"),
      comment: "By the answer's Cache-Control, and not at all without one",
      minTtl: 0,
      defaultTtl: 0,
      maxTtl: 3600,
      parametersInCacheKeyAndForwardedToOrigin: {
        enableAcceptEncodingBrotli: true,
        enableAcceptEncodingGzip: true,
        cookiesConfig: { cookieBehavior: "none" },
        headersConfig: { headerBehavior: "whitelist", headers: { items: ["Authorization", "Host", "Origin"] } },
        queryStringsConfig: { queryStringBehavior: "all" },
      },
    }, this.child);
  }
}
