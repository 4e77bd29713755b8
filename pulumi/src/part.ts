// What all parts of the platform have in common: a component in Pulumi's tree, and names with the stack's prefix.

import * as pulumi from "@pulumi/pulumi";

import type { Settings } from "./config";

/** Where names and children of a part come from. */
export abstract class Part extends pulumi.ComponentResource {
  protected constructor(kind: string, protected readonly settings: Settings, parent: pulumi.Resource) {
    super(`eshopz:platform:${kind}`, `${settings.prefix}-${kind.toLowerCase()}`, {}, { parent });
  }

  /** A name in AWS and in Pulumi. */
  protected named(name: string): string {
    return `${this.settings.prefix}-${name}`;
  }

  protected get child(): { parent: pulumi.Resource } {
    return { parent: this };
  }
}

/** As JSON, whose parts may not be known yet. */
export const json = (value: unknown): pulumi.Output<string> => pulumi.jsonStringify(value);

/** A policy of IAM, or of a resource. */
export const policy = (...statements: Statement[]): pulumi.Output<string> =>
  json({ Version: "2012-10-17", Statement: statements.map((one) => ({ Effect: "Allow", ...one })) });

export interface Statement {
  Sid: string;
  Effect?: "Allow" | "Deny";
  Principal?: unknown;
  Action: string | string[];
  Resource: pulumi.Input<string> | Array<pulumi.Input<string>>;
  Condition?: unknown;
}

/** Who may assume a role. */
export const trust = (principal: unknown, action = "sts:AssumeRole", condition?: unknown): pulumi.Output<string> =>
  json({
    Version: "2012-10-17",
    Statement: [{ Sid: "trust", Effect: "Allow", Principal: principal, Action: action, ...(condition ? { Condition: condition } : {}) }],
  });
