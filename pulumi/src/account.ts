// Whose account it is and which zones are used.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

export interface Account {
  id: pulumi.Output<string>;
  /** Three of the region. */
  zones: [pulumi.Output<string>, pulumi.Output<string>, pulumi.Output<string>];
}

/** Neither the control plane of EKS nor CloudFront's way into a network is offered there. */
const WITHOUT_EKS = ["use1-az3", "usw1-az2", "cac1-az3"];

export function account(): Account {
  const { names } = aws.getAvailabilityZonesOutput({
    state: "available",
    excludeZoneIds: WITHOUT_EKS,
    filters: [{ name: "opt-in-status", values: ["opt-in-not-required"] }],
  });
  const zone = (place: number) => names.apply((all) => {
    const name = all[place];
    if (name === undefined) throw new Error(`three zones are needed, and this region offers ${all.length}`);
    return name;
  });
  return { id: aws.getCallerIdentityOutput().accountId, zones: [zone(0), zone(1), zone(2)] };
}
