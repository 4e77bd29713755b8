// The bill as tables of docs/cost.md and as JSON.

import { collect } from "../collect/collect";
import { type Line, type Service, bill, byService, total, USAGE } from "./bill";
import { addedByThousand, measured, rates } from "./orders";
import prices from "./prices.json";
import { BASE, CHOICES, STACKS, type Scenario } from "./scenarios";
import { SKETCH, TARGET, WHY } from "./sketch";

export interface Estimate {
  scenario: Scenario;
  lines: Line[];
  services: Map<Service, number>;
  total: number;
}

const collecting = new Map<string, Promise<Awaited<ReturnType<typeof collect>>>>();
let last: Promise<unknown> = Promise.resolve();

/** One after the other, and each settings once: Pulumi has one state for the process. */
function once(stack: string, changes: Scenario["changes"]) {
  const key = JSON.stringify([stack, changes ?? {}]);
  let found = collecting.get(key);
  if (!found) {
    const before = last;
    found = (async () => { await before; return collect(stack, changes); })();
    last = found.catch(() => undefined);
    collecting.set(key, found);
  }
  return found;
}

export async function estimate(scenario: Scenario): Promise<Estimate> {
  const lines = bill(await once(scenario.stack, scenario.changes), scenario.choice);
  return { scenario, lines, services: byService(lines), total: total(lines) };
}

export interface Report {
  stacks: Estimate[];
  choices: Estimate[];
}

export async function report(): Promise<Report> {
  const stacks: Estimate[] = [];
  for (const scenario of STACKS) stacks.push(await estimate(scenario));
  const choices: Estimate[] = [];
  for (const scenario of CHOICES) choices.push(await estimate(scenario));
  return { stacks, choices };
}

const dollars = (usd: number | undefined): string => (usd === undefined ? "" : usd.toFixed(2));
const row = (...cells: string[]): string => `| ${cells.join(" | ")} |`;
const SERVICES = Object.keys(WHY) as Service[];

function table(head: string[], rows: string[][]): string {
  const rule = head.map((_, place) => (place === 0 || head[place] === "" ? "---" : "---:"));
  return [row(...head), row(...rule), ...rows.map((cells) => row(...cells))].join("\n");
}

export const find = ({ stacks }: Report, name: string): Estimate => {
  const found = stacks.find(({ scenario }) => scenario.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
};

/** Tables by the name of their place in the document. */
export function tables(made: Report): Record<string, string> {
  const base = find(made, BASE.name);
  const committed = find(made, "prod, committed");
  const sketchSum = Object.values(SKETCH).reduce((sum, usd) => sum + usd, 0);
  const stacks = table(["USD a month", ...made.stacks.map(({ scenario }) => scenario.name)], [
    ...SERVICES.map((service) => [service, ...made.stacks.map(({ services }) => dollars(services.get(service) ?? 0))]),
    ["**Sum**", ...made.stacks.map((one) => `**${dollars(one.total)}**`)],
  ]);
  const sketch = [
    row("service", "sketch", "prod", "prod, committed", "why"), row("---", "---:", "---:", "---:", "---"),
    ...SERVICES.map((service) => row(service, dollars(SKETCH[service] ?? 0), dollars(base.services.get(service) ?? 0), dollars(committed.services.get(service) ?? 0), WHY[service])),
    row("**Sum**", `**${dollars(sketchSum)}**`, `**${dollars(base.total)}**`, `**${dollars(committed.total)}**`, `The aim: at most ${TARGET}.`),
  ].join("\n");
  const choices = [
    row("production, but", "USD a month", "difference", "what it means"), row("---", "---:", "---:", "---"),
    row("as it is", dollars(base.total), "", BASE.means),
    ...made.choices.map((one) => row(one.scenario.name, dollars(one.total), signed(one.total - base.total), one.scenario.means)),
  ].join("\n");
  return { stacks, sketch, choices, orders: orders(base, committed), prices: priceTable(), usage: usageTable(), aim: aim(committed) };
}

const signed = (usd: number): string => `${usd < 0 ? "-" : "+"}${Math.abs(usd).toFixed(2)}`;

function aim(committed: Estimate): string {
  const left = TARGET - committed.total;
  return left >= 0
    ? `Committed for a year, production costs ${dollars(committed.total)} a month: ${dollars(left)} under the aim of ${TARGET}.`
    : `Committed for a year, production costs ${dollars(committed.total)} a month: ${dollars(-left)} above the aim of ${TARGET}.`;
}

function orders(base: Estimate, committed: Estimate): string {
  const { lasting, burst, limitedBy } = rates(2);
  const { database, combined, split } = measured();
  const month = lasting * 3600 * prices.hours;
  const added = addedByThousand().reduce((sum, [, usd]) => sum + usd, 0);
  const at = (name: string, amount: number) => [name, Math.round(amount).toLocaleString("en-GB"),
    (base.total / (amount / 1000) + added).toFixed(3), (committed.total / (amount / 1000) + added).toFixed(3)];
  return [
    `A guest's whole checkout takes ${database} ms of a core of PostgreSQL and ${combined} ms of the shop in one process (${split} ms in five).`,
    `db.t4g.medium may use 2 x 20 % of a core for good: 0.4 / ${(database / 1000).toFixed(3)} s = ${lasting.toFixed(0)} checkouts a second, which ${limitedBy} limits;`,
    `with both cores, while its credits last, 2 / ${(database / 1000).toFixed(3)} s = ${burst.toFixed(0)}.`,
    "",
    table(["orders", "a month", "prod, USD for 1,000", "prod, committed"], [
      at("1,000 a day", 1000 * 365 / 12), at("10,000 a day", 10_000 * 365 / 12), at("a tenth of what lasts", month / 10), at("what lasts, all month", month),
    ]),
    "",
    `Of that ${added.toFixed(3)} are what each thousand adds:`,
    "",
    table(["for 1,000 orders", "USD"], addedByThousand().map(([what, usd]) => [what, usd.toFixed(4)])),
  ].join("\n");
}

function priceTable(): string {
  const rows = Object.entries(prices.prices).map(([key, price]: [string, { usd: number; per: string; source: string; known: string; free?: number }]) => (
    row(`\`${key}\``, String(price.usd), price.per, price.free === undefined ? "" : String(price.free), price.known, price.source)));
  const shares = Object.entries(prices.shares).map(([key, share]) => row(`\`${key}\``, `${Math.round(share.of * 100)} %`, "of the list price", "", share.known, share.source));
  return [row("price", "USD", "for a", "free", "known", "from"), row("---", "---:", "---", "---:", "---", "---"), ...rows, ...shares].join("\n");
}

function usageTable(): string {
  const stacks = ["dev", "staging", "prod"] as const;
  const keys = Object.keys(USAGE.prod) as Array<keyof (typeof USAGE)["prod"]>;
  return table(["a month", ...stacks], keys.map((key) => [`\`${key}\``, ...stacks.map((stack) => String(USAGE[stack][key]))]));
}

/** For machines. */
export function asJson(made: Report): unknown {
  const one = ({ scenario, lines, services, total: sum }: Estimate) => ({
    name: scenario.name, stack: scenario.stack, changes: scenario.changes ?? {}, committed: scenario.choice?.committed === true,
    total: round(sum), services: Object.fromEntries([...services].map(([service, usd]) => [service, round(usd)])),
    lines: lines.map((line) => ({ ...line, usd: round(line.usd) })),
  });
  return { currency: prices.currency, region: prices.region, note: prices.note, stacks: made.stacks.map(one), choices: made.choices.map(one) };
}

const round = (usd: number): number => Math.round(usd * 100) / 100;
