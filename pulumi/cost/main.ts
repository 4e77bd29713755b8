// Prints the bill, writes its tables into docs/cost.md, or says that they are not what they would be.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "../collect/collect";
import { asJson, find, report, tables } from "./report";

const DOCUMENT = join(ROOT, "../docs/cost.md");

/** The document with its tables anew: each stands between two comments with its name. */
export function filled(text: string, made: Record<string, string>): string {
  let left = Object.keys(made);
  const done = text.replace(/(<!-- (\w+): .*-->\n)[^]*?(<!-- \/\2 -->)/g, (_, begin: string, name: string, end: string) => {
    if (made[name] === undefined) throw new Error(`docs/cost.md has a place for ${name}, of which there is no table`);
    left = left.filter((other) => other !== name);
    return `${begin}\n${made[name]}\n\n${end}`;
  });
  if (left.length > 0) throw new Error(`docs/cost.md has no place for ${left.join(", ")}`);
  return done;
}

async function main(options: string[]): Promise<number> {
  const [option] = options;
  if (options.length > 1 || (option && !["--json", "--write", "--check"].includes(option))) {
    console.error("Usage: scripts/cost [--json | --write | --check]");
    return 2;
  }
  const made = await report();
  if (option === "--json") {
    console.log(JSON.stringify(asJson(made), null, 2));
    return 0;
  }
  const all = tables(made);
  if (!option) {
    for (const name of ["stacks", "sketch", "choices", "orders"]) console.log(`${all[name]}\n`);
    console.log(`${all["aim"]}\n${find(made, "prod").lines.map(({ service, what, usd }) => `${usd.toFixed(2).padStart(8)}  ${service}: ${what}`).join("\n")}`);
    return 0;
  }
  const text = readFileSync(DOCUMENT, "utf8");
  const wanted = filled(text, all);
  if (option === "--write") writeFileSync(DOCUMENT, wanted);
  else if (text !== wanted) {
    console.error("docs/cost.md does not have the bill of what the program makes; mend with scripts/cost --write");
    return 1;
  }
  return 0;
}

if (require.main === module) {
  main(process.argv.slice(2)).then((code) => { process.exitCode = code; }, (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
