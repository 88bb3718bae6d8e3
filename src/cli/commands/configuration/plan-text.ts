import type { ConfigurationPlan } from "../../../client/api-types.gen.ts";
import { cut, printable, shortTime } from "../../output/output.ts";

/** A problem of a plan, as commands and the server find it. */
export type PlanProblem = Partial<Omit<ConfigurationPlan["problems"][number], "fix">> &
  Pick<ConfigurationPlan["problems"][number], "kind" | "path" | "code" | "message"> & {
    readonly fix?: string | undefined;
  };

/** An object that a plan names; a server object has no project. */
type Named = Pick<ConfigurationPlan["changes"][number], "kind" | "name"> & { readonly noun?: string };

const MARKS = { create: "+", update: "~", adopt: "~", rename: "~", delete: "-" } as const;
const PLACE_COLUMN = 52;

/** A plan for people. */
export function planLines(plan: ConfigurationPlan): string[] {
  const { changes, drift, onCall, unchanged, leftOver, mayNot } = plan;
  if (changes.length === 0) return ["no changes"];
  const projects = [...new Set([...changes, ...drift].map(({ project }) => project ?? null))];
  return [
    ...projects.flatMap((project) => [
      project === null ? "server" : `project ${project}`,
      ...changes.filter((each) => (each.project ?? null) === project).flatMap(changeLines),
      ...drift.filter((each) => (each.project ?? null) === project).map(driftLine),
      ...onCall.filter((each) => each.project === project).map(onCallLine),
    ]),
    `  = ${unchanged} unchanged`,
    ...leftOver.map(
      (each) => `left over: ${named(each)}${each.project ? ` of ${each.project}` : ""}; --prune deletes it`,
    ),
    ...mayNot.map((each) => `may not apply: ${lackText(each)}`),
    countsOf(plan),
  ].map(printable);
}

/**
 * {@link planLines} for a comment in a forge. In a fence that no text can end, names of strangers are no mentions,
 * links, pictures or HTML.
 */
export function planMarkdown(plan: ConfigurationPlan): string {
  const text = planLines(plan).join("\n");
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `**Prism: ${plan.changes.length === 0 ? "no changes" : countsOf(plan)}**\n\n${fence}\n${text}\n${fence}`;
}

export function countsOf({ changes }: ConfigurationPlan): string {
  const [added, deleted] = ["create", "delete"].map((op) => changes.filter((each) => each.op === op).length);
  const changed = changes.length - Number(added) - Number(deleted);
  return `${added} to add, ${changed} to change, ${deleted} to delete`;
}

function named({ kind, noun = kind, name }: Named): string {
  return `${noun} "${name}"`;
}

function changeLines(change: ConfigurationPlan["changes"][number]): string[] {
  const { op, at, members, notes } = change;
  const head = `  ${MARKS[op]} ${named(change)}${op === "adopt" ? ", taken over" : ""}`;
  const place = at?.replace(/:\d+$/, "");
  return [
    place === undefined ? head : `${head.padEnd(PLACE_COLUMN)} ${place}`,
    ...(op === "create" ? [] : members.map(({ path, before, after }) => `      ${path}  ${memberText(before, after)}`)),
    ...notes.map((note) => `      ${note}`),
  ];
}

function memberText(before: unknown, after: unknown): string {
  if (before === undefined || before === after) return shown(after);
  return `${shown(before)} → ${shown(after)}`;
}

/** As YAML writes it on one line. */
function shown(value: unknown): string {
  return cut(value === undefined ? "-" : inline(value), 100);
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return `{${Object.entries(value).map(([name, each]) => `${name}: ${inline(each)}`)}}`;
}

function driftLine(each: ConfigurationPlan["drift"][number]): string {
  const by = each.by ? ` by ${each.by}` : "";
  return `  ! ${named(each)} was changed${by} ${each.when === null ? "by hand" : `on ${shortTime(each.when)}`}; this puts it back`;
}

function onCallLine({ schedule, from, to, before, after }: ConfigurationPlan["onCall"][number]): string {
  const people = [before, after].map((users) => users.join(", ") || "nobody").join(" → ");
  return `  on call, ${schedule}: ${shortTime(from)} to ${shortTime(to)}  ${people}`;
}

/** What a caller lacks, such as `policies of duty: policies:write`. */
export function lackText({ kind, project, right }: ConfigurationPlan["mayNot"][number]): string {
  return `${kind}${project === null ? "" : ` of ${project}`}: ${right}`;
}
