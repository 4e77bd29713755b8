// The first sketch of the bill, and why each line is another.

import type { Service } from "./bill";

export const SKETCH: Partial<Record<Service, number>> = {
  EKS: 73.00, Nodes: 60.74, Aurora: 58.40, Redis: 24.82, CloudFront: 8.50, NAT: 32.40, ECR: 1.00, S3: 1.00, WAF: 11.00, CloudWatch: 10.00, Secrets: 0.40,
};

export const TARGET = 281;

export const WHY: Record<Service, string> = {
  EKS: "The same: one control plane at 0.10 an hour.",
  Nodes: "Two t4g.medium for two t3.medium, and a third by Spot for the monitoring, which the sketch had no room for; their disks.",
  Aurora: "The sketch's db.t3.micro is not a class of Aurora. The least is db.t4g.medium; two of them, so that one takes over. Disk, reads and writes.",
  Redis: "Two cache.t4g.micro for two cache.t3.micro; snapshots.",
  CloudFront: "100 GB a month are within the terabyte that is free for good. What is above costs 0.085 a GB.",
  NAT: "The sketch had one gateway, with which a zone takes the way out of all. An instance in each zone costs a fifth of a gateway; each has a public address, which the sketch left out.",
  ECR: "Thirty images, which share most of their layers.",
  S3: "20 GB, their copy in another region, and the logs.",
  WAF: "The sketch had the ACL and six rules: so have we. And what is looked at.",
  CloudWatch: "Alarms above the ten that are free, the logs above five GB, flow logs. The shop's figures are Prometheus'.",
  Secrets: "Three secrets for one: the owner's, the shop's login, and the rest; and the shop's looks whether they have changed.",
  "Load balancer": "The sketch had none, and CloudFront needs one to send to.",
  KMS: "The sketch had none. A key for each purpose, so that the right to one says nothing of the others.",
  Endpoints: "S3's is free; the others are off in production, and on in staging.",
  Events: "SQS and SNS are free up to a million calls.",
  Backups: "The sketch had none. A copy of the database in another region.",
};
