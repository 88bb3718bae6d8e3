import { isDeepStrictEqual } from "node:util";
import type { ConfigurationPlan } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { inZone, spanText } from "../../../core/time/clock.ts";
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
  const { warnings = [], kept = [], open = [], history = null } = plan;
  const left = leftOver.map(
    (each) => `left over: ${named(each)}${each.project ? ` of ${each.project}` : ""}; --prune deletes it`,
  );
  if (changes.length === 0) return ["no changes", ...left, ...runtimeLines(plan)].map(printable);
  const projects = [...new Set([...changes, ...drift, ...open].map(({ project }) => project ?? null))];
  return [
    ...projects.flatMap((project) => [
      project === null ? "server" : `project ${project}`,
      ...changes.filter((each) => (each.project ?? null) === project).flatMap(changeLines),
      ...drift.filter((each) => (each.project ?? null) === project).map(driftLine),
      ...onCall.filter((each) => each.project === project).map(onCallLine),
      ...kept.filter((each) => each.project === project).map(keptLine),
      ...warnings.filter((each) => each.project === project).map(warningLine),
      ...open.filter((each) => each.project === project).map(openLine),
    ]),
    `  = ${unchanged} unchanged`,
    ...left,
    ...(history ? historyLines(history) : []),
    ...mayNot.map((each) => `may not apply: ${lackText(each)}`),
    ...runtimeLines(plan),
    countsOf(plan),
  ].map(printable);
}

/** What is made once, beside the plan. */
function runtimeLines({ runtime }: ConfigurationPlan): string[] {
  if (!runtime) return [];
  const { made, known, over } = runtime;
  return [
    `runtime: ${made} to make, ${known} made before`,
    ...over.map(({ kind, name, at }) => `  left out, as it is over: ${kind} "${name}"  ${at ?? ""}`.trimEnd()),
  ];
}

/**
 * {@link planLines} for a comment in a forge. In a fence that no text can end, names of strangers are no mentions,
 * links, pictures or HTML.
 */
export function planMarkdown(plan: ConfigurationPlan, failedTests: readonly string[] = []): string {
  const text = [...planLines(plan), ...failedTests.map(printable)].join("\n");
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
    ...(op === "create"
      ? []
      : members.flatMap(({ path, before, after }) => memberLines(path, before, after).map((line) => `      ${line}`))),
    ...notes.map((note) => `      ${note}`),
  ];
}

const MAX_ITEMS = 6;

/** A member with both values; of long lists only the items that differ. */
function memberLines(path: string, before: unknown, after: unknown): string[] {
  if (before === undefined || before === after) return [`${path}  ${shown(after)}`];
  const isShort = [before, after].every((value) => inline(value).length <= WIDTH);
  if (!isShort && isList(before) && isList(after)) return itemLines(path, before, after);
  if (!isShort && isMembers(before) && isMembers(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    const differing = names.filter((name) => !isDeepStrictEqual(before[name], after[name]));
    return firstOf(differing.flatMap((name) => memberLines(`${path}.${name}`, before[name], after[name])));
  }
  const [from, to] = fromFirstDifference(inline(before), inline(after));
  return [`${path}  ${cut(from, WIDTH)} → ${cut(to, WIDTH)}`];
}

/** Items between the equal ones at the beginning and at the end. */
function itemLines(path: string, before: readonly unknown[], after: readonly unknown[]): string[] {
  const shorter = Math.min(before.length, after.length);
  let first = 0;
  while (first < shorter && isDeepStrictEqual(before[first], after[first])) first++;
  let same = 0;
  while (same < shorter - first && isDeepStrictEqual(before.at(-1 - same), after.at(-1 - same))) same++;
  const [removed, added] = [before, after].map((list) => list.slice(first, list.length - same)) as [
    unknown[],
    unknown[],
  ];
  if (removed.length === added.length)
    return firstOf(removed.flatMap((item, index) => memberLines(`${path}.${first + index}`, item, added[index])));
  return firstOf([
    ...removed.map((item, index) => `${path}.${first + index}  - ${shown(item)}`),
    ...added.map((item, index) => `${path}.${first + index}  + ${shown(item)}`),
  ]);
}

function firstOf(lines: readonly string[]): string[] {
  return lines.length <= MAX_ITEMS
    ? [...lines]
    : [...lines.slice(0, MAX_ITEMS), `and ${lines.length - MAX_ITEMS} more`];
}

/** Long texts that begin alike, from a little before where they differ. */
function fromFirstDifference(before: string, after: string): readonly [string, string] {
  if (before.length <= WIDTH && after.length <= WIDTH) return [before, after];
  let first = 0;
  while (first < before.length && before[first] === after[first]) first++;
  const from = Math.max(0, first - WIDTH / 4);
  return from === 0 ? [before, after] : [`…${before.slice(from)}`, `…${after.slice(from)}`];
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const WIDTH = 100;

/** As YAML writes it on one line. */
function shown(value: unknown): string {
  return cut(inline(value), WIDTH);
}

function inline(value: unknown): string {
  if (value === undefined) return "-";
  if (isList(value)) return `[${value.map(inline).join(", ")}]`;
  if (!isMembers(value)) return String(value);
  return `{${Object.entries(value)
    .map(([name, each]) => `${name}: ${inline(each)}`)
    .join(", ")}}`;
}

function driftLine(each: ConfigurationPlan["drift"][number]): string {
  const by = each.by ? ` by ${each.by}` : "";
  const when = each.when === null ? "by hand" : `on ${shortTime(each.when)}`;
  const [done, mends] = each.paths.length === 0 ? ["deleted", "this makes it again"] : ["changed", "this puts it back"];
  return `  ! ${named(each)} was ${done}${by} ${when}; ${mends}`;
}

function onCallLine({ schedule, timezone, from, to, before, after }: ConfigurationPlan["onCall"][number]): string {
  const people = [before, after].map((users) => users.join(", ") || "nobody").join(" → ");
  // By the clocks of the schedule: handovers are at the hours of its file.
  const [first, last] = [from, to].map((at) => inZone(at, timezone).slice(0, "2026-12-14 09:00".length));
  return `  on call, ${schedule}: ${first} to ${last} ${timezone}  ${people}`;
}

function warningLine(each: ConfigurationPlan["warnings"][number]): string {
  return `  ! ${named(each)}${placeText(each)}: ${each.message}`;
}

function placeText({ at }: { readonly at: string | null }): string {
  return at === null ? "" : ` (${at.replace(/:\d+$/, "")})`;
}

function keptLine({ shift, anchor: { on, turn }, ...each }: ConfigurationPlan["kept"][number]): string {
  const anchor = `anchor: { on: ${on}, turn: [${turn.join(", ")}] }`;
  return `  kept: ${named(each)}${placeText(each)}, ${shift}: write ${anchor}`;
}

type Open = ConfigurationPlan["open"][number];

const EFFECTS: Readonly<Record<Open["effect"], (open: Open) => string>> = {
  moves: ({ policy, people, pages }) => `its alerts go to the policy ${policy}, which ${pagesText(people, pages)}`,
  begins: ({ people, pages }) => `nothing withholds it any more: it ${pagesText(people, pages)}`,
  withheld: () => "nothing of it is sent any more while routes withhold it",
  "asks-again": () => "it has reached no one, and asks its targets again",
  "mirror-begins": () => "the project becomes a mirror: Prism sends nothing more of it, not even its end",
  "mirror-ends": ({ people }) =>
    `the project is no mirror any more, so it ${people.length > 0 ? pagesText(people, true) : "tells people of its end"}`,
};

function openLine(open: Open): string {
  return `  ! incident #${open.number} is open: ${EFFECTS[open.effect](open)}`;
}

function pagesText(people: readonly string[], pages: boolean): string {
  if (people.length > 0) return `pages ${people.join(", ")}`;
  return pages ? "sends to channels" : "pages no one";
}

type PlanHistory = NonNullable<ConfigurationPlan["history"]>;
type Differing = PlanHistory["differing"][number];

const MAX_SHOWN = 20;
/** Each incident counts once, by what is worst. */
const OUTCOMES = [
  ["withheld", "would be withheld, or not any more"],
  ["people", "would page others"],
  ["time", "would page at another time"],
  ["later", "would page others later"],
  ["outside", "would send to other channels"],
] as const;

function historyLines({ incidents, differing, differences, rules, isCut, notReadable }: PlanHistory): string[] {
  const counts = OUTCOMES.flatMap(([change, text]) => {
    const count = differing.filter(({ changes: [first] }) => first === change).length;
    return count === 0 ? [] : `${count} ${text}`;
  });
  const more = differences > MAX_SHOWN ? [`  and ${differences - MAX_SHOWN} more`] : [];
  return [
    `history: ${countText(incidents, "incident")}; ${counts.join(", ") || "all would page the same people"}`,
    ...differing.slice(0, MAX_SHOWN).map((each) => `  #${each.number} ${shortTime(each.at)}  ${outcomeText(each)}`),
    ...more,
    ...rules.map(ruleLine),
    ...(isCut ? ["history: there was more than could be compared"] : []),
    ...notReadable.map((slug) => `history: without ${slug}, as you lack events:read there`),
  ];
}

function outcomeText({ changes, before, after }: Differing): string {
  if (changes.includes("withheld")) return `${sentText(before)} → ${sentText(after)}`;
  if (changes.includes("people")) return `${peopleText(before.people)} → ${peopleText(after.people)}`;
  if (changes.includes("time"))
    return `${peopleText(before.people)} ${afterText(before.afterMs)} → ${afterText(after.afterMs)}`;
  if (changes.includes("later")) return `later ${peopleText(before.later)} → ${peopleText(after.later)}`;
  return "other channels";
}

function sentText({ withheld, people }: Differing["before"]): string {
  return withheld.length > 0 ? withheld.join(", ") : peopleText(people);
}

function peopleText(people: readonly string[]): string {
  return people.join(", ") || "nobody";
}

function afterText(ms: number | null): string {
  return ms === null ? "never" : ms === 0 ? "at once" : `after ${spanText(ms)}`;
}

function ruleLine({ name, before, after }: PlanHistory["rules"][number]): string {
  return `  rule "${name}": ${before.matched} → ${after.matched} events match, ${before.fired} → ${after.fired} notify`;
}

/** What a caller lacks, such as `policies of duty: policies:write`. */
export function lackText({ kind, project, right }: ConfigurationPlan["mayNot"][number]): string {
  return `${kind}${project === null ? "" : ` of ${project}`}: ${right}`;
}
