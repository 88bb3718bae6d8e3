import type { PermissionHolder } from "../../../core/caller.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { countUnresolved, summariesOf, withheldIncidents } from "../../alerts/index.ts";
import {
  type AttentionParts,
  bySeverity,
  type Grouping,
  item,
  listText,
  notificationItem,
  notificationRows,
  onCallItem,
  readableProjects,
  type Uncovered,
  uncoveredSchedules,
} from "./attention.ts";
import * as queries from "./queries.ts";
import type { AttentionItem } from "./schema.ts";

/* Open work as a few lines. */

const LISTED_INCIDENTS = 5;
const LISTED_DELIVERY = 3;

/**
 * Without a way out no one learns of the rest, so that comes first; then incidents, then one line for each kind. A
 * paused target of a channel that works is among the rest.
 */
export const grouped: Grouping = async (parts, caller, found) => {
  const of = (...kinds: AttentionItem["kind"][]) => found.filter(({ kind }) => kinds.includes(kind));
  const server = bySeverity(of("watch", "storage", "audit", "events", "module", "config"));
  const urgent = server.filter(({ severity }) => severity === "critical");
  const { pages, others } = await notificationLines(parts, caller);
  const rest = [
    ...onCallLines(await uncoveredSchedules(parts, caller)),
    ...others,
    ...(await heartbeatLine(parts, caller)),
    ...oneLine(of("jobs"), jobsLine),
    ...oneLine(of("queue"), queuesLine),
    ...oneLine(
      server.filter((each) => !urgent.includes(each)),
      serverLine,
    ),
    ...of("unproven", "approvals"),
  ];
  const delivery = deliveryLines(bySeverity([...of("way"), ...of("channel").map(asDelivery)]));
  const isDown = ({ severity }: AttentionItem) => severity === "critical";
  const paused = delivery.filter((each) => !isDown(each));
  const incidents = await incidentLines(parts, caller);
  return [...urgent, ...delivery.filter(isDown), ...incidents, ...pages, ...bySeverity([...paused, ...rest])];
};

function oneLine(
  items: readonly AttentionItem[],
  line: (items: readonly AttentionItem[]) => AttentionItem,
): readonly AttentionItem[] {
  return items.length > 1 ? [line(items)] : items;
}

/** A provider that is down holds all of its messages, one target only its own. */
function asDelivery(each: AttentionItem): AttentionItem {
  return each.ids.length === 1 ? { ...each, severity: "critical" } : each;
}

/** Mail down is listed before a single target that is paused. */
function deliveryLines(items: readonly AttentionItem[]): readonly AttentionItem[] {
  if (items.length <= LISTED_DELIVERY + 1) return items;
  const left = items.slice(LISTED_DELIVERY);
  const more = item({
    kind: "channel",
    severity: left.some(({ severity }) => severity === "critical") ? "critical" : "warning",
    key: "delivery:more",
    title: `${left.length} more targets accept nothing`,
    detail: listText(left.map(({ title }) => title)),
    link: "/deliveries?state=waiting",
    counts: { targets: left.length },
  });
  return [...items.slice(0, LISTED_DELIVERY), more];
}

/** Open incidents with their people. Incidents with only silenced or inhibited alerts can wait. */
async function incidentLines(parts: AttentionParts, caller: PermissionHolder): Promise<AttentionItem[]> {
  const projects = await readableProjects(parts, caller);
  if (projects.length === 0) return [];
  const rows = await queries.openIncidents(parts.db.scan, projects);
  const withheld = await withheldIncidents(parts, rows);
  const open = rows.filter(({ id }) => !withheld.has(id));
  const shown = open.length === LISTED_INCIDENTS + 1 ? open : open.slice(0, LISTED_INCIDENTS);
  if (shown.length === 0) return [];
  const ids = shown.map(({ id }) => id);
  const summaries = await summariesOf(parts.db.scan, ids);
  const notified = await queries.notifiedPeople(parts.db.scan, ids);
  const acknowledged = await queries.acknowledgers(parts.db.scan, ids);
  const lines = shown.map((row) => {
    const isUnreached = parts.pages.hasWays && row.steppedAt !== null && row.reachedAt === null;
    const people = peopleText(acknowledged.get(row.id) ?? [], notified.get(row.id) ?? [], isUnreached);
    return incidentLine({ ...row, title: summaries.get(row.id) ?? row.title }, people, projects.length > 1);
  });
  const left = (await countUnresolved(parts, projects)).waiting - shown.length;
  return left > 0 ? [...lines, moreIncidents(left)] : lines;
}

function incidentLine(row: queries.OpenIncidentRow, people: string, hasProject: boolean): AttentionItem {
  const { id, number, title, alerts, firing, firingSince, project } = row;
  return item({
    kind: "incident",
    severity: severityOf(row),
    key: `incident:${id}`,
    title: `#${number} ${title}`,
    detail: people,
    link: `/incidents/${id}`,
    at: toRfc3339(firingSince),
    ids: [id],
    counts: { alerts, firing },
    word: row.severity ?? `${row.urgency} urgency`,
    project: hasProject ? project : null,
  });
}

/** One whose alerts name no severity is as urgent as its policy says. */
function severityOf({ severity, urgency }: queries.OpenIncidentRow): AttentionItem["severity"] {
  if (severity === null) return urgency === "high" ? "critical" : "info";
  return severity === "error" ? "critical" : severity;
}

/** Who has it, or who was asked to take it. */
function peopleText(acknowledged: readonly string[], notified: readonly string[], isUnreached: boolean): string {
  if (acknowledged.length > 0) return `acknowledged by ${listText(acknowledged)}, more are needed`;
  if (notified.length === 0) return "no person was notified yet";
  return isUnreached ? `not reached yet: ${listText(notified)}` : `${listText(notified)} notified`;
}

function moreIncidents(left: number): AttentionItem {
  return item({
    kind: "incidents",
    severity: "warning",
    key: "incidents:more",
    title: countText(left, "more open incident"),
    detail: left === 1 ? "It is less severe, or newer" : "They are less severe, or newer",
    link: "/incidents?state=open",
    counts: { incidents: left },
  });
}

/** Pages of incidents that the caller may not read one by one, the others as one line. */
async function notificationLines(parts: AttentionParts, caller: PermissionHolder) {
  const { rows, scope } = await notificationRows(parts, caller, queries.CHECKED);
  const readsIncidents = (await readableProjects(parts, caller)).length > 0;
  const pages = readsIncidents ? [] : rows.filter(({ incidentId }) => incidentId !== null).slice(0, LISTED_INCIDENTS);
  const waiting = rows.filter(({ incidentId }) => incidentId === null);
  const items = waiting.map((row) => ({ ...notificationItem(row, scope), severity: "warning" as const }));
  const others = oneLine(items, () => notificationsLine(waiting, scope));
  return { pages: pages.map((row) => notificationItem(row, scope)), others };
}

function notificationsLine(rows: readonly queries.UrgentRow[], scope: "own" | "all"): AttentionItem {
  const byRule = new Map<string, number>();
  for (const { rule } of rows) byRule.set(rule ?? "", (byRule.get(rule ?? "") ?? 0) + 1);
  const rules = [...byRule].filter(([rule]) => rule !== "").sort((a, b) => b[1] - a[1]);
  const others = byRule.get("") ?? 0;
  const isUnseen = rows.every(({ seen }) => seen === 0);
  const count = `${rows.length}${rows.length === queries.CHECKED ? " or more" : ""}`;
  const state = isUnseen ? "unseen" : "unacknowledged";
  return item({
    kind: "notifications",
    severity: "warning",
    key: "notifications",
    title: `${count} ${state} notifications${rules.length === 0 ? "" : ` of ${countText(rules.length, "rule")}`}`,
    detail: listText([
      ...rules.map(([rule, n]) => (n === 1 ? rule : `${rule} (${n})`)),
      ...(rules.length > 0 && others > 0 ? [`${others} without a rule`] : []),
    ]),
    link: scope === "own" ? "/inbox" : `/inbox?show=everyone&state=${state}`,
    at: toRfc3339(Math.min(...rows.map(({ createdAt }) => createdAt))),
    counts: { notifications: rows.length, rules: rules.length },
  });
}

function onCallLines(found: readonly Uncovered[]): readonly AttentionItem[] {
  if (found.length < 2) return found.map(onCallItem);
  return [
    item({
      kind: "oncall",
      severity: "warning",
      key: "oncall",
      title: `No one is on call on ${countText(found.length, "schedule")} that policies name`,
      detail: listText(found.map(({ name }) => name)),
      link: "/oncall",
      ids: found.map(({ id }) => id),
      counts: { schedules: found.length },
    }),
  ];
}

/** Heartbeats with an open incident are in the incident's line. */
async function heartbeatLine(parts: AttentionParts, caller: PermissionHolder): Promise<readonly AttentionItem[]> {
  const projects = await readableProjects(parts, caller);
  const down = projects.length === 0 ? [] : await queries.downHeartbeats(parts.db.scan, projects);
  if (down.length === 0) return [];
  return [
    item({
      kind: "heartbeats",
      severity: "warning",
      key: "heartbeats",
      title: `${countText(down.length, "heartbeat")} without an open incident ${down.length === 1 ? "is" : "are"} down`,
      detail: listText(down.map(({ name }) => name).sort()),
      link: "/heartbeats?status=down",
      ids: down.map(({ id }) => id),
      counts: { heartbeats: down.length },
    }),
  ];
}

function jobsLine(items: readonly AttentionItem[]): AttentionItem {
  const dead = items.reduce((sum, { counts }) => sum + (counts["dead"] ?? 0), 0);
  return item({
    kind: "jobs",
    severity: "warning",
    key: "jobs",
    title: `${countText(dead, "job")} failed in ${countText(items.length, "queue")}`,
    detail: listText(items.map(({ ids, counts }) => `${ids[0]} (${counts["dead"]})`)),
    link: "/jobs?state=dead",
    counts: { dead },
  });
}

function queuesLine(items: readonly AttentionItem[]): AttentionItem {
  return item({
    kind: "queue",
    severity: items.some(({ severity }) => severity === "warning") ? "warning" : "info",
    key: "queues",
    title: `${countText(items.length, "queue")} are paused`,
    detail: listText(items.flatMap(({ ids }) => ids)),
    link: "/jobs/queues",
    counts: { queues: items.length },
  });
}

/** The first one says what it is about; the settings show all of them. */
function serverLine(items: readonly AttentionItem[]): AttentionItem {
  const [first] = items;
  return item({
    kind: first?.kind ?? "config",
    severity: first?.severity ?? "info",
    key: "server",
    title: `${countText(items.length, "note")} about this server`,
    detail: items.map(({ title }) => title).join(" · "),
    link: first?.link ?? "/settings",
    counts: { notes: items.length },
  });
}
