// Where the shop's image is. A tag means one image for ever, and each is looked through when it arrives.

import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

import type { Settings } from "./config";
import type { Keys } from "./keys";
import { Part, json } from "./part";

/** What a roll-back may want. */
const KEPT = 30;

export class Registry extends Part {
  readonly repository: aws.ecr.Repository;

  constructor(settings: Settings, keys: Keys, parent: pulumi.Resource) {
    super("Registry", settings, parent);
    this.repository = new aws.ecr.Repository(settings.prefix, {
      name: settings.prefix,
      imageTagMutability: "IMMUTABLE",
      imageScanningConfiguration: { scanOnPush: true },
      encryptionConfigurations: [{ encryptionType: "KMS", kmsKey: keys.arn("registry") }],
    }, { ...this.child, protect: settings.protect });
    new aws.ecr.LifecyclePolicy(settings.prefix, {
      repository: this.repository.name,
      policy: json({
        rules: [
          {
            rulePriority: 1, description: "what lost its tag", action: { type: "expire" },
            selection: { tagStatus: "untagged", countType: "sinceImagePushed", countUnit: "days", countNumber: 7 },
          },
          {
            rulePriority: 2, description: "older than a roll-back would go", action: { type: "expire" },
            selection: { tagStatus: "any", countType: "imageCountMoreThan", countNumber: KEPT },
          },
        ],
      }),
    }, this.child);
    this.registerOutputs();
  }
}
