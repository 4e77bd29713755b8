// The platform of the stack that Pulumi runs. README.md says how; src/platform.ts is where to begin to read.

import { readSettings } from "./src/config";
import { Platform } from "./src/platform";

const platform = new Platform(readSettings());

/** For `scripts/platform-env`. */
export const environment = platform.environment;
/** Of CloudFront, before its name is in DNS. */
export const distribution = platform.distribution;
/** For the pipeline, when a repository is named. */
export const deployRole = platform.deployRole;
