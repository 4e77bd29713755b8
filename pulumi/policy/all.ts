// Every rule there is.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { UNTAGGABLE } from "../src/tags";
import { access } from "./access";
import { data } from "./data";
import { edge, watch } from "./edge";
import { network } from "./network";
import type { Rule, Rules } from "./rule";

/** A type may have rules of several concerns. */
export const RULES: Rules = {};
for (const rules of [access, network, data, edge, watch]) {
  for (const [type, some] of Object.entries(rules)) RULES[type] = [...RULES[type] ?? [], ...some];
}

const provider = dirname(require.resolve("@pulumi/aws/package.json"));

const answers = new Map<string, boolean>();

/** Whether the provider takes tags for a type, by what it says of it to TypeScript. */
export function taggable(type: string): boolean {
  const known = answers.get(type);
  if (known !== undefined) return known;
  const [, path = "", name = ""] = /^aws:([\w/]+):(\w+)$/.exec(type) ?? [];
  const text = readFileSync(join(provider, `${path}.d.ts`), "utf8");
  const [args] = new RegExp(`export interface ${name}Args \\{[^]*?\\n\\}`).exec(text) ?? [];
  if (!args) throw new Error(`@pulumi/aws says nothing of ${type}`);
  const takes = /^ {4}tags\?:/m.test(args);
  answers.set(type, takes);
  return takes;
}

const tagged: Rule = ({ type, inputs }, { settings }) => {
  if (!type.startsWith("aws:")) return undefined;
  if (!taggable(type)) return [!UNTAGGABLE.has(type) && "takes no tags: list it in src/tags.ts", inputs["tags"] && "has tags, which it does not take"].filter((one): one is string => typeof one === "string");
  const { tags = {} } = inputs;
  return tags.project !== "eshopz" || tags.stack !== settings.stack || !tags.Name ? "has not the tags project, stack and Name" : undefined;
};

export const EVERYWHERE: Rule[] = [tagged];
