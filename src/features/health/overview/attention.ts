import type { PermissionHolder } from "../../../core/caller.ts";
import type { Finding } from "../../../core/finding.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { DAY_MS, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import * as queries from "./queries.ts";
import type { AttentionItem, AttentionView } from "./schema.ts";

export type AttentionParts = Uses<
  "db" | "clock" | "projects" | "pages" | "alerts" | "withheldBy" | "findings" | "policies" | "onCall"
>;

const SEVERITIES = ["critical", "warning", "info"] as const;
/** Of kinds with the same severity. */
const ORDER: readonly AttentionItem["kind"][] = [
  ...(["way", "unproven", "channel", "watch", "storage", "audit", "events", "module", "config"] as const),
  ...(["jobs", "queue", "approvals"] as const),
];

/** Puts lines together, from what the features find and work that waits. */
export type Grouping = (
  parts: AttentionParts,
  caller: PermissionHolder,
  found: readonly AttentionItem[],
) => Promise<AttentionItem[]>;

/** Open work, as lines of {@link everything} or of another grouping. */
export async function attentionFor(
  parts: AttentionParts,
  caller: PermissionHolder,
  grouping: Grouping,
): Promise<AttentionView> {
  const found = (await parts.findings.shownTo(caller)).flatMap(({ shown, ...finding }) =>
    shown ? [findingItem(finding, shown)] : [],
  );
  const sorted = found.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const items = await grouping(parts, caller, sorted);
  const watched = items.length > 0 || grouping === everything ? null : await watchedBy(parts, caller);
  return { items, watched, streams: streamsOf(caller.permissions.has("system:status")) };
}

function findingItem(
  { severity, text, since = null }: Omit<Finding, "shown">,
  { detail, until = null, ids = [], counts = {}, ...shown }: NonNullable<Finding["shown"]>,
): AttentionItem {
  return item({
    ...{ ...shown, severity: severity === "ok" ? "info" : severity, title: text, detail },
    ...{ at: toRfc3339OrNull(since), ids: [...ids], counts: { ...counts }, until: toRfc3339OrNull(until) },
  });
}

/** One line for each, the most severe first. */
export const everything: Grouping = async (parts, caller, found) => {
  const incidents = await incidentItems(parts, caller);
  const notifications = await notificationItems(parts, caller, new Set(incidents.flatMap(({ ids }) => ids)));
  return bySeverity([
    ...incidents,
    ...notifications,
    ...(await uncoveredSchedules(parts, caller)).map(onCallItem),
    ...found,
  ]);
};

export function bySeverity(items: readonly AttentionItem[]): AttentionItem[] {
  return items.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
}

function streamsOf(seesSystem: boolean): AttentionView["streams"] {
  const own = {
    stream: "user:me",
    types: ["notification", "notification.read", "notification.acknowledged", "notification.deleted"],
  };
  const system = {
    stream: "system",
    types: [
      ...["job.dead", "jobs.dead", "queue.paused", "queue.resumed", "provider.paused", "provider.resumed"],
      ...["storage.low", "storage.recovered", "module.failed", "module.recovered"],
    ],
  };
  return seesSystem ? [own, system] : [own];
}

type Item = Pick<AttentionItem, "kind" | "severity" | "key" | "title" | "detail" | "link"> & Partial<AttentionItem>;

export function item(given: Item): AttentionItem {
  return { at: null, ids: [], counts: {}, until: null, word: null, project: null, ...given };
}

/** Ids of the projects whose incidents the caller may read. */
export async function readableProjects(
  { db, projects }: AttentionParts,
  caller: PermissionHolder,
): Promise<readonly string[]> {
  if (!hasTokenScope(caller, ["events:read"])) return [];
  return projects.readable(caller, "events:read") ?? (await queries.projectIds(db.scan));
}

async function watchedBy(parts: AttentionParts, caller: PermissionHolder): Promise<AttentionView["watched"]> {
  const projects = await readableProjects(parts, caller);
  return projects.length === 0 ? null : queries.countWatched(parts.db.scan, projects);
}

async function incidentItems(parts: AttentionParts, caller: PermissionHolder): Promise<AttentionItem[]> {
  const { db, pages } = parts;
  const readable = await readableProjects(parts, caller);
  if (readable.length === 0) return [];
  return (await queries.openIncidents(db.scan, readable)).map((row) => incidentItem(row, pages.hasWays));
}

/** @param hasWays people can be reached outside of the app at all */
function incidentItem(row: queries.OpenIncidentRow, hasWays: boolean): AttentionItem {
  const { id, number, title, urgency, alerts, firing, openedAt, steppedAt, reachedAt } = row;
  const isUnreached = hasWays && steppedAt !== null && reachedAt === null;
  return item({
    kind: "incident",
    severity: urgency === "high" ? "critical" : "warning",
    key: `incident:${id}`,
    title: `#${number} ${title}`,
    detail:
      `${countText(firing, "alert is", "alerts are")} firing; ` +
      (isUnreached ? "no one has been reached yet" : "no one has acknowledged it"),
    link: `/incidents/${id}`,
    at: toRfc3339(openedAt),
    ids: [id],
    counts: { alerts, firing },
  });
}

/** A schedule with no one on call now, and the policies of which a step has no other target. */
export interface Uncovered {
  readonly id: string;
  readonly name: string;
  readonly policies: readonly string[];
}

/** More schedules are on the page of on-call. */
const MAX_SCHEDULES = 200;

/** As for warnings of policies, schedules that report no gaps are left out. Mirrors call no one. */
export async function uncoveredSchedules(parts: AttentionParts, caller: PermissionHolder): Promise<Uncovered[]> {
  const { db, clock, projects, onCall } = parts;
  const ids = (await readableProjects(parts, caller)).filter((id) => !projects.isMirror(id));
  const steps = stepsOfSchedules(parts, ids);
  const named = [...new Set(steps.flatMap(({ schedules }) => schedules))];
  const without = new Map<string, string>();
  const schedules = await queries.schedulesIn(db.scan, ids, named);
  for (const { id, name } of schedules.slice(0, MAX_SCHEDULES)) {
    const { current } = await onCall(db.scan, id, clock.now());
    if (current.length === 0) without.set(id, name);
  }
  const uncovered = steps.filter(({ schedules }) => schedules.every((id) => without.has(id)));
  return [...without].flatMap(([id, name]) => {
    const policies = uncovered.filter(({ schedules }) => schedules.includes(id)).map(({ policy }) => policy);
    return policies.length === 0 ? [] : [{ id, name, policies: [...new Set(policies)].sort() }];
  });
}

/** Steps of policies that notify schedules and nothing else. */
function stepsOfSchedules({ policies }: Uses<"policies">, projectIds: readonly string[]) {
  return projectIds
    .flatMap((id) => [...policies.of(id).values()])
    .flatMap((ref) =>
      policies.definitionOf(ref).steps.flatMap((step) => {
        if (step.type !== "notify" || step.schedules.length === 0) return [];
        const hasOthers = step.users.length > 0 || step.roles.length > 0 || step.members;
        return hasOthers ? [] : [{ policy: ref.name, schedules: step.schedules.map(({ id }) => id) }];
      }),
    );
}

export function onCallItem({ id, name, policies }: Uncovered): AttentionItem {
  return item({
    kind: "oncall",
    severity: "warning",
    key: `oncall:${id}`,
    title: `No one is on call on ${name}`,
    detail: `${policies.length === 1 ? "The policy" : "The policies"} ${listText(policies)} would notify no one else`,
    link: `/oncall/${id}`,
    ids: [id],
    counts: { policies: policies.length },
  });
}

const NAMED = 3;

/** Such as "Anna, Ben, Cleo and 3 more"; one more is named. */
export function listText(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 1 ? `${names.slice(0, NAMED).join(", ")} and ${more} more` : names.join(", ");
}

/** @param incidents are listed themselves */
async function notificationItems(
  parts: AttentionParts,
  caller: PermissionHolder,
  incidents: ReadonlySet<string>,
): Promise<AttentionItem[]> {
  const { rows, scope } = await notificationRows(parts, caller, queries.LISTED);
  const others = rows.filter(({ incidentId }) => incidentId === null || !incidents.has(incidentId));
  return others.map((row) => notificationItem(row, scope));
}

interface UrgentRows {
  readonly rows: readonly queries.UrgentRow[];
  /** `own`: those of the caller. */
  readonly scope: "all" | "own";
}

/** Urgent notifications of the last day that wait for an acknowledgement, as far as the caller may read them. */
export async function notificationRows(
  { db, clock }: AttentionParts,
  caller: PermissionHolder,
  limit: number,
): Promise<UrgentRows> {
  const since = clock.now() - DAY_MS;
  if (caller.permissions.has("notifications:read_all"))
    return { rows: await queries.unacknowledged(db.scan, since, limit), scope: "all" };
  if (caller.userId === null || !hasTokenScope(caller, ["notifications:own"])) return { rows: [], scope: "own" };
  return { rows: await queries.ownUnacknowledged(db.scan, caller.userId, since, limit), scope: "own" };
}

export function notificationItem(row: queries.UrgentRow, scope: UrgentRows["scope"]): AttentionItem {
  const detail = scope === "own" ? "You have not acknowledged it" : seenText(row);
  const { id, title, createdAt, recipients, seen, suppressed } = row;
  return item({
    kind: "notification",
    severity: "critical",
    key: `notification:${id}`,
    title,
    detail,
    link: `/inbox/${id}`,
    at: toRfc3339(createdAt),
    ids: [id],
    counts: { recipients, seen, suppressed },
  });
}

function seenText({ rule, recipients, seen, aggregateCount, suppressed }: queries.UrgentRow): string {
  const unseen = recipients - seen;
  const parts = [
    rule === null ? "" : `rule ${rule}`,
    unseen === 0
      ? "seen, not acknowledged"
      : `${unseen} of ${countText(recipients, "recipient")} ${unseen === 1 ? "has" : "have"} not seen it`,
    aggregateCount > 1 ? `for ${aggregateCount} events` : "",
    suppressed > 0 ? `${suppressed} more suppressed` : "",
  ];
  return parts.filter((part) => part !== "").join(" · ");
}
