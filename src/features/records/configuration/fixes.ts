import type * as v from "valibot";
import { nearestName } from "../../../config/nearest.ts";
import { bare, fileMember } from "../../../http/api/file-form.ts";

/* What mends a problem of configuration files, where its message does not say it. */

/** The first that fits a message. */
const FIXES: readonly (readonly [message: RegExp, fix: string])[] = [
  [/^bad matcher/, 'write it as name="value", name!="value", name=~"pattern" or name!~"pattern"'],
  [/no time interval/, "add it to timeIntervals of the routes"],
  [/is not a weekday/, "write monday to sunday, or a range such as monday:friday"],
  [/no active user that you can reach/, "add the person to the members of the project"],
  [/URL is refused/, "write an https URL of a host that Prism may call"],
  [/no day of the calendar/, "write a day such as 2026-12-07"],
  [/is none of its turns/, "write one of turns"],
  [/^is required/, "add it"],
];
/** By the first step of the path. */
const OF_MEMBER: Readonly<Record<string, string>> = {
  schedule: 'write five fields such as "30 2 * * 1-5", or a name such as @daily',
  ...{
    condition: "see prism docs rules",
    titleTemplate: "see prism docs rules",
    messageTemplate: "see prism docs rules",
  },
  mapping: "see prism docs receivers",
};
const SAYS_IT = /^must |: write | in files$|; its fields: /;
const ELSE = "see prism docs cli-configuration";

/** @param value that is written at the place @param schema of its object */
export function fixOf(
  { code, message }: { readonly code: string; readonly message: string },
  value: unknown,
  path: string,
  schema: v.GenericSchema | undefined,
): string | undefined {
  if (SAYS_IT.test(message)) return undefined;
  if (code === "UNKNOWN_MEMBER") {
    const nearest = schema && nearestName(path.split(".").at(-1) ?? "", membersIn(schema));
    return nearest === undefined ? "remove it; prism check --schema has the members" : `did you mean ${nearest}?`;
  }
  if (/time ?zone/i.test(message)) {
    const nearest = nearestName(String(value), Intl.supportedValuesOf("timeZone"));
    return nearest === undefined ? "write one such as Europe/Berlin" : `did you mean ${nearest}?`;
  }
  const [member = ""] = path.split(".");
  return FIXES.find(([pattern]) => pattern.test(message))?.[1] ?? OF_MEMBER[member] ?? ELSE;
}

/** Names of all members of a schema, and of what is in it, as files have them. */
function membersIn(schema: v.GenericSchema): string[] {
  const { entries = {}, options = [], item, value } = bare(schema);
  const below = [...Object.values(entries), ...options, ...[item ?? [], value ?? []].flat()];
  const own = Object.entries(entries).map(([name, entry]) => fileMember(name, entry));
  return [...own, ...below.flatMap(membersIn)];
}
