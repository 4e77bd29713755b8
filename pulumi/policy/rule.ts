// How resources are judged: by rules for their type. A type without rules is a failure, so that nothing new goes unjudged.

import type { Collected, Resource } from "../collect/collect";
import type { Settings } from "../src/config";

export interface Around {
  all: Resource[];
  settings: Settings;
}

/** What is wrong with a resource; nothing when nothing is. */
export type Rule = (resource: Resource, around: Around) => string | string[] | undefined | false;

export type Rules = Record<string, Rule[]>;

/** For a type that can do no harm by itself: why. */
export const harmless = (_why: string): Rule[] => [];

/** A rule that holds an input to a value. */
export const is = (path: string, wanted: unknown): Rule => ({ inputs }) => {
  const found = at(inputs, path);
  return found !== wanted && `${path} has to be ${JSON.stringify(wanted)}, and is ${JSON.stringify(found)}`;
};

export const given = (path: string): Rule => ({ inputs }) => {
  const found = at(inputs, path);
  return (found === undefined || found === "" || found === null) && `${path} is missing`;
};

/** A rule for stacks that hold what somebody would miss. */
export const protectedStacks = (rule: Rule): Rule => (resource, around) => around.settings.protect && rule(resource, around);

export function at(value: any, path: string): any {
  return path.split(".").reduce((one, name) => (one === undefined || one === null ? undefined : one[name]), value);
}

export const ofType = (all: Resource[], type: string): Resource[] => all.filter((one) => one.type === type);

/** Everything that is wrong, a line each. */
export function judge({ resources, settings }: Pick<Collected, "resources" | "settings">, rules: Rules, everywhere: Rule[] = []): string[] {
  const around = { all: resources, settings };
  return resources.flatMap((resource) => {
    const title = `${resource.type} ${resource.name}`;
    const own = Object.hasOwn(rules, resource.type) ? rules[resource.type] : undefined;
    if (!own) return [`${title}: say in pulumi/policy how this type is judged`];
    return [...own, ...everywhere].flatMap((rule) => rule(resource, around) || []).map((problem) => `${title}: ${problem}`);
  });
}
