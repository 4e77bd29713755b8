// Versions of what is not made here, in one place. `pulumi up` names what AWS offers where it knows one of them no more:
//   aws eks describe-addon-versions --kubernetes-version 1.35 --addon-name coredns

export const KUBERNETES = "1.35";
export const POSTGRESQL = "16.9";
export const REDIS = "7.1";

/** Add-ons that EKS installs itself. */
export const ADDONS = {
  "vpc-cni": "v1.21.1-eksbuild.1",
  "kube-proxy": "v1.35.0-eksbuild.2",
  coredns: "v1.13.2-eksbuild.1",
  "aws-ebs-csi-driver": "v1.55.0-eksbuild.1",
  "metrics-server": "v0.8.1-eksbuild.1",
} as const;

/** Charts of Helm. The collector of ADOT is in kustomize/monitoring/otel, pinned by its digest. */
export const CHARTS = {
  "aws-load-balancer-controller": { repository: "https://aws.github.io/eks-charts", version: "1.13.4", namespace: "kube-system" },
  "external-secrets": { repository: "https://charts.external-secrets.io", version: "0.19.2", namespace: "external-secrets" },
  "argo-cd": { repository: "https://argoproj.github.io/argo-helm", version: "8.3.0", namespace: "argocd" },
} as const;

/** AWS' own function for the rotation of a password (Serverless Application Repository). */
export const ROTATION = {
  application: "arn:aws:serverlessrepo:us-east-1:297356227824:applications/SecretsManagerRDSPostgreSQLRotationSingleUser",
  version: "1.1.367",
};
