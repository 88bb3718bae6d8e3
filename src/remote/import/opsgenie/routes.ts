import { DAY_MS, HOUR_MS, isTimezone, MINUTE_MS } from "../../../core/time/clock.ts";
import type { Matcher } from "../../../features/alerts/model/matchers.ts";
import type { ImportedFiles } from "../files.ts";
import { ANY, isPattern, type OldRoute, quoted } from "../routes.ts";
import type { TeamFiles, TeamPolicy, TeamProject } from "../team-files.ts";
import { type ClockWindow, WEEK_MS } from "../windows.ts";
import type { OldCondition, OldCriteria, OldRoutingRule, OldTimeRestriction, OpsgenieRef } from "./read.ts";

const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const PRIORITIES = ["P1", "P2", "P3", "P4", "P5"];

/** Windows of a time restriction; null: it has a form that is not known. */
export function windowsOf(restriction: OldTimeRestriction): ClockWindow[] | null {
  if (restriction === null) return [];
  const { type, restriction: one, restrictions } = restriction;
  const isDaily = type === "time-of-day";
  const found = [...(one ? [one] : []), ...restrictions].map((each): ClockWindow | null => {
    const time = (hour: number | null, minute: number | null) => (hour ?? 0) * HOUR_MS + (minute ?? 0) * MINUTE_MS;
    const [startMs, end] = [time(each.startHour, each.startMin), time(each.endHour, each.endMin)];
    if (isDaily) return { day: null, startMs, durationMs: lengthOf(end - startMs, DAY_MS) };
    const [day, endDay] = [each.startDay, each.endDay].map((name) => DAYS.indexOf((name ?? "").toLowerCase()));
    if (day === undefined || endDay === undefined || day < 0 || endDay < 0) return null;
    return { day, startMs, durationMs: lengthOf((endDay - day) * DAY_MS + end - startMs, WEEK_MS) };
  });
  return found.includes(null) ? null : (found as ClockWindow[]);
}

function lengthOf(ms: number, cycleMs: number): number {
  const length = ((ms % cycleMs) + cycleMs) % cycleMs;
  return length === 0 ? cycleMs : length;
}

/** The routes of a team. @param policyOf the policy of what a rule notifies */
export function addRoutes(
  team: TeamFiles,
  project: TeamProject,
  rules: readonly OldRoutingRule[],
  policyOf: (ref: OpsgenieRef | null, name: string) => TeamPolicy | null,
): void {
  const { files } = team;
  const kept: OldRoute[] = [];
  const ordered = [...rules].sort(
    (a, b) => Number(a.isDefault ?? false) - Number(b.isDefault ?? false) || (a.order ?? 0) - (b.order ?? 0),
  );
  for (const [at, rule] of ordered.entries()) {
    const name = rule.name ?? (rule.isDefault ? "Default" : `Rule ${at + 1}`);
    const of = `${project.name}: ${name}`;
    const policy = policyOf(rule.notify, name);
    const windows = windowsOf(rule.timeRestriction);
    const isTimed = windows === null || windows.length > 0;
    const timezone = rule.timezone !== null && isTimezone(rule.timezone) ? rule.timezone : isTimed ? null : "UTC";
    const alternatives = alternativesOf(files, of, rule.criteria);
    if (!policy) files.note("routing rule", of, "not taken", "notifies what was not taken; write a route");
    else if (!windows || timezone === null)
      files.note("routing rule", of, "not taken", "has a time restriction of another form or zone; write a route");
    else if (alternatives) {
      kept.push({ name, alternatives, windows, timezone, policy: policy.name });
      if (isTimed)
        files.note(
          ...(["routing rule", of, "changed"] as const),
          "an alert that still fires when its times begin or end is then routed again",
        );
    }
  }
  team.addRoutes(project, kept, kept.length < rules.length ? [[]] : []);
}

/** Null: nothing of it can be a route. */
function alternativesOf(files: ImportedFiles, of: string, criteria: OldCriteria): Matcher[][] | null {
  if (criteria === null || criteria.type === "match-all") return [[]];
  const found = criteria.conditions.map((condition) => ({ condition, matcher: matcherOf(condition) }));
  const left = found.filter(({ matcher }) => matcher === null);
  for (const { condition } of left)
    files.note("routing rule", of, "not taken", `has no route for the condition ${textOf(condition)}`);
  const matchers = found.flatMap(({ matcher }) => matcher ?? []);
  if (criteria.type === "match-any-condition")
    return matchers.length === 0 ? null : matchers.map((matcher) => [matcher]);
  return left.length > 0 || matchers.length === 0 ? null : [matchers];
}

function textOf({ field, key, not, operation, expectedValue }: OldCondition): string {
  const place = key === null || key === "" ? field : `${field} ${key}`;
  return `${place}${not ? " not" : ""} ${operation} ${expectedValue ?? ""}`.trim();
}

/** Labels of Prism's alerts of Opsgenie's senders. */
const LABELS: Readonly<Record<string, string>> = {
  ...{ message: "alertname", source: "source", entity: "entity", priority: "priority" },
};

/** Null: no label has it. */
export function matcherOf({ field, key, not, operation, expectedValue }: OldCondition): Matcher | null {
  const value = expectedValue ?? "";
  const isNot = not === true;
  if (field === "tags") {
    if (!["contains", "equals", "contains-value"].includes(operation ?? "") || value === "") return null;
    const name = `tag_${value.replace(/[^A-Za-z0-9_]/g, "_")}`;
    return { name, operator: isNot ? "!=" : "=", value: "true" };
  }
  const isDetail = (field === "extra-properties" || field === "details") && key !== null && key !== "";
  const name = isDetail ? key : LABELS[field ?? ""];
  if (name === undefined) return null;
  const exact = (text: string): Matcher => ({ name, operator: isNot ? "!=" : "=", value: text });
  const pattern = (text: string): Matcher | null =>
    isPattern(text) ? { name, operator: isNot ? "!~" : "=~", value: text } : null;
  switch (operation) {
    case "equals":
      return exact(value);
    case "equals-ignore-whitespace":
      return pattern(`\\s*${value.trim().split(/\s+/).map(quoted).join("\\s*")}\\s*`);
    case "contains":
      return pattern(`${ANY}${quoted(value)}${ANY}`);
    case "starts-with":
      return pattern(`${quoted(value)}${ANY}`);
    case "ends-with":
      return pattern(`${ANY}${quoted(value)}`);
    case "matches":
      return pattern(value);
    case "is-empty":
      return exact("");
    case "greater-than":
    case "less-than": {
      const at = PRIORITIES.indexOf(value);
      if (field !== "priority" || at < 0) return null;
      // P1 is the greatest.
      const of = operation === "greater-than" ? PRIORITIES.slice(0, at) : PRIORITIES.slice(at + 1);
      return of.length === 0 ? null : pattern(of.join("|"));
    }
    default:
      return null;
  }
}
