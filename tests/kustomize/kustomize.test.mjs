// The shop in Kubernetes. All in one process, since what kubectl puts together is looked at by each of these.

import './manifests.mjs';
import './validators.mjs';
import './argocd.mjs';
import './pod.mjs';
