// The settings of a stack (`Pulumi.<stack>.yaml`), typed, and refused with a word on what to do where they make no sense.

import * as pulumi from "@pulumi/pulumi";

export const STACKS = ["dev", "staging", "prod"] as const;
export type Stack = (typeof STACKS)[number];

export interface Nodes {
  /** Of the node groups; the image has to be for it. */
  architecture: "arm64" | "x86_64";
  types: string[];
  count: number;
  most: number;
}

export type Spot = Omit<Nodes, "architecture">;

export interface Database {
  kind: "serverless" | "instances";
  /** Of `instances`. */
  class: string;
  /** Aurora capacity units, of `serverless`; 0 lets it pause. */
  leastAcu: number;
  mostAcu: number;
  /** Each in another zone than the writer, ready to take over. */
  readers: number;
  /** Days to any second of which it can be set back. */
  backupDays: number;
  /** A snapshot that it begins as, when it is made anew; nothing otherwise. */
  snapshot: string;
}

export interface Cache {
  type: string;
  replicas: number;
  snapshotDays: number;
}

export interface Settings {
  stack: Stack;
  /** Before every name, and of the program's topics and queues. */
  prefix: string;
  region: string;
  /** Where copies of the static files are kept. */
  replicaRegion: string;
  hostName: string;
  /** The zone of Route 53 that `hostName` is in. */
  zoneName: string;
  alarmEmail: string;
  /** Who may reach the cluster's API from outside; nobody when empty. */
  operatorCidrs: string[];
  monthlyBudget: number;
  /** One role for the whole shop, or one for each module. Both are made; this says how many nodes' worth to expect. */
  shop: "combined" | "split";
  /** The way out of the private networks: one NAT gateway, one in each zone, or a small instance in each zone. */
  nat: "one" | "perZone" | "instances";
  /** To AWS' services without leaving the network: S3 only (free), or an interface for each service in each zone. */
  endpoints: "gateway" | "interface";
  nodes: Nodes;
  spot: Spot;
  database: Database;
  cache: Cache;
  /** A second, regional web ACL for the Ingress' annotation; CloudFront has one in any case. */
  wafAtLoadBalancer: boolean;
  /** `owner/name` of the repository whose pipeline may push images and deploy; nobody may when empty. */
  repository: string;
  /** Whether what holds data resists deletion. */
  protect: boolean;
}

/** What stands in a stack's file, whoever reads it: Pulumi, or the tests and the bill. */
export type Raw = Record<string, unknown>;

export class SettingsError extends Error {}

type Check<T> = (value: unknown) => T | undefined;

const text = (pattern: RegExp): Check<string> => (value) =>
  typeof value === "string" && pattern.test(value) ? value : undefined;
const whole = (least: number, most: number): Check<number> => (value) =>
  typeof value === "number" && Number.isInteger(value) && value >= least && value <= most ? value : undefined;
const acu: Check<number> = (value) =>
  typeof value === "number" && value >= 0 && value <= 256 && value * 2 === Math.round(value * 2) ? value : undefined;
const yesNo: Check<boolean> = (value) => (typeof value === "boolean" ? value : undefined);
const oneOf = <T extends string>(...all: readonly T[]): Check<T> => (value) => all.find((one) => one === value);
const listOf = <T>(check: Check<T>, least = 0): Check<T[]> => (value) => {
  if (!Array.isArray(value) || value.length < least) return undefined;
  const checked = value.map(check);
  return checked.every((one): one is NonNullable<typeof one> => one !== undefined) ? checked : undefined;
};

const CIDR = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\/(?:[89]|[12]\d|3[0-2])$/;
const HOST = /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/;
const REGION = /^[a-z]{2}(?:-[a-z]+)+-\d$/;
const EC2 = /^[a-z]+\d+[a-z]*\.[a-z0-9]+$/;

/** Of a Graviton type the family has a `g` behind its number: t4g, m7g, c6gn. */
const architectureOf = (type: string): Nodes["architecture"] => (/^[a-z]+\d+g/.test(type) ? "arm64" : "x86_64");

/** Reads members of an object, and takes note of those that nobody asked for. */
class Reader {
  private readonly asked = new Set<string>();

  constructor(private readonly raw: Raw, private readonly place: string) {}

  take<T>(name: string, check: Check<T>, meaning: string, otherwise?: T): T {
    this.asked.add(name);
    const value = this.raw[name];
    if (value === undefined && otherwise !== undefined) return otherwise;
    const checked = check(value);
    if (checked !== undefined) return checked;
    const is = value === undefined ? "it is missing" : `it is ${JSON.stringify(value)}`;
    throw new SettingsError(`${this.place}${name} has to be ${meaning}; ${is}`);
  }

  group(name: string): Reader {
    const group = this.take(name, (value) => (isObject(value) ? value : undefined), "an object", {});
    return new Reader(group, `${this.place}${name}.`);
  }

  nothingElse(): void {
    const stranger = Object.keys(this.raw).find((name) => !this.asked.has(name));
    if (stranger !== undefined) {
      throw new SettingsError(`${this.place}${stranger} is no setting; there are ${[...this.asked].sort().join(", ")}`);
    }
  }
}

const isObject = (value: unknown): value is Raw => typeof value === "object" && value !== null && !Array.isArray(value);

function nodes(reader: Reader, least: number): Omit<Nodes, "architecture"> {
  return {
    types: reader.take("types", listOf(text(EC2), 1), "a list of instance types such as t4g.medium"),
    count: reader.take("count", whole(least, 50), `a whole number from ${least} to 50`),
    most: reader.take("most", whole(1, 100), "a whole number from 1 to 100"),
  };
}

function database(reader: Reader): Database {
  const kind = reader.take("kind", oneOf("serverless", "instances"), "serverless or instances");
  const read: Database = {
    kind,
    class: reader.take("class", text(/^db\.[a-z0-9]+\.[a-z0-9]+$/), "a class such as db.t4g.medium", kind === "instances" ? undefined : "db.serverless"),
    leastAcu: reader.take("leastAcu", acu, "0 to 256 in halves", kind === "serverless" ? undefined : 0),
    mostAcu: reader.take("mostAcu", acu, "1 to 256 in halves", kind === "serverless" ? undefined : 1),
    readers: reader.take("readers", whole(0, 15), "a whole number from 0 to 15"),
    backupDays: reader.take("backupDays", whole(1, 35), "a whole number from 1 to 35"),
    snapshot: reader.take("snapshot", text(/^[\w:.-]*$/), "the ARN of a snapshot", ""),
  };
  reader.nothingElse();
  if (/\.(?:micro|small)$/.test(read.class)) {
    throw new SettingsError(`eshopz:database.class: Aurora PostgreSQL has no ${read.class}; the least is db.t4g.medium, or kind serverless`);
  }
  if (read.mostAcu < Math.max(1, read.leastAcu)) {
    throw new SettingsError(`eshopz:database.mostAcu has to be 1 or more, and not below leastAcu (${read.leastAcu}); it is ${read.mostAcu}`);
  }
  return read;
}

function architecture(reader: Reader, all: Array<[string, Omit<Nodes, "architecture">]>): Nodes["architecture"] {
  const value = reader.take("architecture", oneOf("arm64", "x86_64"), "arm64 or x86_64");
  for (const [place, group] of all) {
    const other = group.types.find((type) => architectureOf(type) !== value);
    if (other !== undefined) throw new SettingsError(`eshopz:${place}.types: ${other} is not ${value}, which eshopz:nodes.architecture says`);
    if (group.most < group.count) throw new SettingsError(`eshopz:${place}.most is ${group.most}, fewer than count, ${group.count}`);
  }
  return value;
}

/** What holds in production whatever the file says, since the recovery table counts on it. */
function enoughForProduction(settings: Settings): void {
  const must: Array<[boolean, string]> = [
    [settings.database.readers >= 1, "eshopz:database.readers has to be 1 or more: without one nothing takes over within minutes"],
    [settings.database.backupDays >= 7, "eshopz:database.backupDays has to be 7 or more"],
    [settings.database.kind === "instances" || settings.database.leastAcu >= 0.5, "eshopz:database.leastAcu has to be 0.5 or more: a database that pauses keeps customers waiting"],
    [settings.cache.replicas >= 1, "eshopz:cache.replicas has to be 1 or more: without one nothing takes over"],
    [settings.nodes.count >= 2, "eshopz:nodes.count has to be 2 or more: one zone may go"],
    [settings.nat !== "one", "eshopz:nat has to be perZone or instances: with one, a zone takes the way out of all"],
    [settings.replicaRegion !== settings.region, "eshopz:replicaRegion has to be another region than aws:region"],
  ];
  const broken = must.find(([holds]) => !holds);
  if (broken) throw new SettingsError(`in production ${broken[1]}`);
}

/** The settings of a stack. Throws `SettingsError`. */
export function settingsOf(stackName: string, region: unknown, raw: Raw): Settings {
  const stack = oneOf(...STACKS)(stackName);
  if (stack === undefined) throw new SettingsError(`there is no stack ${stackName}; there are ${STACKS.join(", ")}`);
  const reader = new Reader(raw, "eshopz:");
  const where = new Reader({ region }, "aws:");
  const group = reader.group("nodes");
  const base = nodes(group, 1);
  const spotGroup = reader.group("spot");
  const spot = nodes(spotGroup, 0);
  spotGroup.nothingElse();
  const cacheGroup = reader.group("cache");
  const settings: Settings = {
    stack,
    prefix: reader.take("prefix", text(/^[a-z](?:[a-z0-9]|-(?!-)){1,22}[a-z0-9]$/), "3 to 24 small letters, digits and single hyphens", `eshopz-${stack}`),
    region: where.take("region", text(REGION), "a region such as us-east-1"),
    replicaRegion: reader.take("replicaRegion", text(REGION), "a region such as us-west-2", "us-west-2"),
    hostName: reader.take("hostName", text(HOST), "a host name such as shop.example.com"),
    zoneName: reader.take("zoneName", text(HOST), "the name of a zone in Route 53, such as example.com"),
    alarmEmail: reader.take("alarmEmail", text(/^[^@\s]+@[^@\s]+\.[^@\s]+$/), "an address that alarms are sent to"),
    operatorCidrs: reader.take("operatorCidrs", listOf(text(CIDR)), "a list of networks such as 203.0.113.0/24, none wider than /8", []),
    monthlyBudget: reader.take("monthlyBudget", whole(1, 1_000_000), "whole dollars a month"),
    shop: reader.take("shop", oneOf("combined", "split"), "combined or split"),
    nat: reader.take("nat", oneOf("one", "perZone", "instances"), "one, perZone or instances"),
    endpoints: reader.take("endpoints", oneOf("gateway", "interface"), "gateway or interface"),
    nodes: { ...base, architecture: architecture(group, [["nodes", base], ["spot", spot]]) },
    spot,
    database: database(reader.group("database")),
    cache: {
      type: cacheGroup.take("type", text(/^cache\.[a-z0-9]+\.[a-z0-9]+$/), "a node type such as cache.t4g.micro"),
      replicas: cacheGroup.take("replicas", whole(0, 5), "a whole number from 0 to 5"),
      snapshotDays: cacheGroup.take("snapshotDays", whole(0, 35), "a whole number from 0 to 35"),
    },
    wafAtLoadBalancer: reader.take("wafAtLoadBalancer", yesNo, "true or false", false),
    repository: reader.take("repository", text(/^(?:[\w.-]+\/[\w.-]+)?$/), "owner/name", ""),
    protect: stack !== "dev",
  };
  group.nothingElse();
  cacheGroup.nothingElse();
  reader.nothingElse();
  const { hostName, zoneName } = settings;
  if (hostName !== zoneName && !hostName.endsWith(`.${zoneName}`)) {
    throw new SettingsError(`eshopz:hostName, ${hostName}, is not in the zone eshopz:zoneName, ${zoneName}`);
  }
  if (stack === "prod") enoughForProduction(settings);
  return settings;
}

/** Names of all settings, by which Pulumi is asked. */
const NAMES = ["alarmEmail", "cache", "database", "endpoints", "hostName", "monthlyBudget", "nat", "nodes", "operatorCidrs", "prefix",
  "replicaRegion", "repository", "shop", "spot", "wafAtLoadBalancer", "zoneName"];

/** The settings of the stack that Pulumi runs. Secrets are not among them: `secrets.ts` asks for these. */
export function readSettings(): Settings {
  const config = new pulumi.Config("eshopz");
  const raw: Raw = {};
  for (const name of NAMES) {
    const said = config.get(name);
    if (said !== undefined) raw[name] = parsed(said);
  }
  return settingsOf(pulumi.getStack(), new pulumi.Config("aws").get("region"), raw);
}

/** Pulumi hands everything over as text: lists and objects as JSON, numbers and booleans as they are written. */
function parsed(said: string): unknown {
  try {
    return JSON.parse(said);
  } catch {
    return said;
  }
}
