import { redactText } from "../../config/logger.ts";
import { type Clock, DAY_MS, toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import type { Permission } from "../../core/permissions.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { hasTokenScope } from "../../http/access.ts";
import type { Database } from "../../store/database.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { Projects } from "../access/index.ts";
import {
  type CircuitFacts,
  type Circuits,
  type FailingWay,
  failingWays,
  openByChannel,
  type PageSender,
} from "../delivery/index.ts";
import { unprovenPeople, unprovenText } from "../drill/index.ts";
import type { JobCount, JobRunner } from "../jobs/index.ts";
import type { LoadedModules } from "../plugins/index.ts";
import type { ServerWatch } from "../watch/index.ts";
import * as queries from "./queries.ts";
import type { AttentionItem, AttentionView } from "./schema.ts";

export interface AttentionParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly projects: Pick<Projects, "readable">;
  readonly runner: JobRunner;
  readonly circuits: Circuits;
  readonly pages: PageSender;
  readonly loaded: LoadedModules;
  readonly storage: StorageGuard;
  readonly backlog: { readonly isBehind: boolean };
  readonly watch: Pick<ServerWatch, "findings">;
  /** Problems of settings, files and proxies. */
  warnings(): readonly string[];
  /** Null: the audit trail is complete. */
  auditWarning(): string | null;
  countJobs(): Promise<readonly JobCount[]>;
}

const SEVERITIES = ["critical", "warning", "info"] as const;
/** Paused webhooks and devices of a channel that are listed one by one. */
const LISTED_TARGETS = 3;
const LISTED_WAYS = 10;
const LISTED_PEOPLE = 100;
const CHANNEL_NAMES: Readonly<Record<OutsideChannel, string>> = {
  email: "Mail",
  webhook: "Webhook",
  service: "Channel",
  fcm: "Push by FCM",
  apns: "Push by APNs",
  webpush: "Push to browsers",
  pusher: "Pusher",
};

/** What the caller may see of what needs attention, the most severe first. */
export async function attentionFor(parts: AttentionParts, caller: PermissionHolder): Promise<AttentionView> {
  const may = (permission: Permission): boolean => caller.permissions.has(permission);
  const incidents = await incidentItems(parts, caller);
  const found = await Promise.all([
    incidents,
    notificationItems(parts, caller, new Set(incidents.flatMap(({ ids }) => ids))),
    may("system:status") ? wayItems(parts, caller) : [],
    may("system:status") ? unprovenItems(parts, caller) : [],
    may("system:status") ? channelItems(parts) : [],
    may("system:status") ? stateItems(parts) : [],
    may("jobs:read") ? jobItems(parts) : [],
    may("users:approve") ? approvalItems(parts) : [],
  ]);
  const items = found.flat().sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
  return { items, streams: streamsOf(may("system:status")) };
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

function item(given: Item): AttentionItem {
  return { at: null, ids: [], counts: {}, until: null, ...given };
}

async function incidentItems(
  { db, projects, pages }: AttentionParts,
  caller: PermissionHolder,
): Promise<AttentionItem[]> {
  if (!hasTokenScope(caller, ["events:read"])) return [];
  const readable = projects.readable(caller, "events:read") ?? (await queries.projectIds(db.scan));
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
      `${firing === 1 ? "1 alert fires" : `${firing} alerts fire`}, ` +
      (isUnreached ? "no one is reached yet" : "not acknowledged"),
    link: `/incidents/${id}`,
    at: toRfc3339(openedAt),
    ids: [id],
    counts: { alerts, firing },
  });
}

/** @param incidents are listed themselves */
async function notificationItems(
  { db, clock }: AttentionParts,
  caller: PermissionHolder,
  incidents: ReadonlySet<string>,
): Promise<AttentionItem[]> {
  const since = clock.now() - DAY_MS;
  if (caller.permissions.has("notifications:read_all"))
    return (await queries.unacknowledged(db.scan, since)).map((row) => notificationItem(row, seenText(row)));
  if (caller.userId === null || !hasTokenScope(caller, ["notifications:own"])) return [];
  const own = await queries.ownUnacknowledged(db.scan, caller.userId, since);
  const others = own.filter(({ incidentId }) => incidentId === null || !incidents.has(incidentId));
  return others.map((row) => notificationItem(row, "You have not acknowledged it"));
}

function notificationItem(row: queries.UrgentRow, detail: string): AttentionItem {
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

/** Ways of incidents that accept nothing. Those of projects that the caller does not see are counted. */
async function wayItems(
  { db, pages, clock, projects }: AttentionParts,
  caller: PermissionHolder,
): Promise<AttentionItem[]> {
  const reader = { userId: caller.userId, projectIds: projects.readable(caller, "project:read") };
  const ways = (await failingWays(pages, db.scan, clock, reader)).filter(({ isFailed }) => isFailed);
  const listed = ways.filter(({ isHidden }) => !isHidden).slice(0, LISTED_WAYS);
  const others = ways.filter((way) => !listed.includes(way));
  return [...listed.map(wayItem), ...(others.length === 0 ? [] : [moreWaysItem(others)])];
}

function wayItem({ target, name, kind, since, waiting, error }: FailingWay): AttentionItem {
  return item({
    kind: "way",
    severity: "critical",
    key: `way:${target}`,
    title: `Incidents do not reach the ${name}`,
    detail: [redactText(error), waiting === 1 ? "1 page waits" : `${waiting} pages wait`].join(" · "),
    link: WAY_LINKS[kind],
    at: toRfc3339(since),
    ids: [name],
    counts: { waiting },
  });
}

const WAY_LINKS = { delivery: "/deliveries?state=waiting", channel: "/connect", webhook: "/incidents" } as const;

function moreWaysItem(ways: readonly FailingWay[]): AttentionItem {
  return item({
    kind: "way",
    severity: "critical",
    key: "ways",
    title: `Incidents do not reach ${countText(ways.length, "other target")}`,
    detail: ways
      .filter(({ isHidden }) => !isHidden)
      .slice(0, LISTED_WAYS)
      .map(({ name }) => name)
      .join(", "),
    link: "/incidents",
    counts: { ways: ways.length, waiting: ways.reduce((sum, { waiting }) => sum + waiting, 0) },
  });
}

/** Who is on call soon without a proof that pages arrive; other users are counted for who does not see all projects. */
async function unprovenItems(
  { db, clock, projects }: AttentionParts,
  caller: PermissionHolder,
): Promise<AttentionItem[]> {
  const people = await unprovenPeople(db.scan, clock.now());
  if (people.length === 0) return [];
  const seesAll = projects.readable(caller, "project:read") === null;
  const shown = people.filter(({ userId }) => seesAll || userId === caller.userId);
  const others = people.length - shown.length;
  return [
    item({
      kind: "unproven",
      severity: "info",
      key: "unproven",
      title: `On call soon without proof that pages arrive: ${countText(people.length, "user")}`,
      detail: [unprovenText(shown), others === 0 ? "" : countText(others, "other user")]
        .filter((text) => text !== "")
        .join(", "),
      link: "/oncall",
      ids: shown.slice(0, LISTED_PEOPLE).map(({ name }) => name),
      counts: { users: people.length },
    }),
  ];
}

async function channelItems({ db, circuits }: AttentionParts): Promise<AttentionItem[]> {
  const paused = circuits.paused().map(({ facts }) => facts);
  if (paused.length === 0) return [];
  const waiting = await openByChannel(db.scan);
  const channels = [...new Set(paused.map(({ channel }) => channel))];
  return channels.flatMap((channel) => {
    const of = paused.filter((each) => each.channel === channel);
    const count = waiting.get(channel) ?? 0;
    return of.length <= LISTED_TARGETS
      ? of.map((each) => pausedItem(each, count))
      : [manyPausedItem(channel, of, count)];
  });
}

function pausedItem({ channel, target, pausedUntil, lastError, lastFailureAt }: CircuitFacts, waiting: number) {
  const name = CHANNEL_NAMES[channel];
  return item({
    kind: "channel",
    severity: "warning",
    key: `channel:${channel}:${target}`,
    title: `${target === "" ? name : `${name} ${target}`} is paused`,
    detail: [redactText(lastError ?? "Its calls failed"), waitText(waiting)].join(" · "),
    link: `/deliveries?channel=${channel}&state=waiting`,
    at: toRfc3339OrNull(lastFailureAt),
    ids: [channel, ...(target === "" ? [] : [target])],
    counts: { waiting },
    until: toRfc3339OrNull(pausedUntil),
  });
}

function manyPausedItem(channel: OutsideChannel, of: readonly CircuitFacts[], waiting: number): AttentionItem {
  const times = of.flatMap(({ pausedUntil }) => pausedUntil ?? []);
  return item({
    kind: "channel",
    severity: "warning",
    key: `channel:${channel}`,
    title: `${CHANNEL_NAMES[channel]}: ${of.length} targets are paused`,
    detail: waitText(waiting),
    link: `/deliveries?channel=${channel}&state=waiting`,
    ids: [channel, ...of.map(({ target }) => target)].slice(0, 100),
    counts: { waiting, targets: of.length },
    until: times.length === 0 ? null : toRfc3339(Math.min(...times)),
  });
}

function waitText(waiting: number): string {
  return waiting === 1 ? "1 delivery waits" : `${waiting} deliveries wait`;
}

/** Conditions of the server itself. */
async function stateItems(parts: AttentionParts): Promise<AttentionItem[]> {
  const { db, loaded, storage, backlog } = parts;
  const failed = await queries.failedEvents(db.scan);
  const audit = parts.auditWarning();
  const modules = loaded.list().filter(({ state }) => state === "failed");
  return [
    ...parts.watch.findings().map((finding) => item({ kind: "watch", link: "/settings", ...finding })),
    ...(storage.problem === null ? [] : [storageItem(storage.problem)]),
    ...(audit === null ? [] : [auditItem(audit)]),
    ...(failed === 0 ? [] : [failedItem(failed)]),
    ...(backlog.isBehind ? [LAG_ITEM] : []),
    ...modules.map(({ name, error }) =>
      item({
        kind: "module",
        severity: "warning",
        key: `module:${name}`,
        title: `Module ${name} failed`,
        detail: error ?? "It could not be loaded",
        link: "/modules",
        ids: [name],
      }),
    ),
    ...parts
      .warnings()
      .map((text) =>
        item({ kind: "config", severity: "info", key: `config:${text}`, title: text, detail: "", link: "/settings" }),
      ),
  ];
}

function storageItem(problem: "disk" | "limit"): AttentionItem {
  return item({
    kind: "storage",
    severity: "critical",
    key: "storage",
    title: problem === "disk" ? "The disk is almost full" : "The database has reached its limit",
    detail: "New data is refused until there is room",
    link: "/settings",
  });
}

function auditItem(problem: string): AttentionItem {
  const title = "The audit trail does not match its record";
  return item({ kind: "audit", severity: "critical", key: "audit", title, detail: problem, link: "/audit" });
}

function failedItem(failed: number): AttentionItem {
  return item({
    kind: "events",
    severity: "warning",
    key: "events:failed",
    title: `${countText(failed, "event")} could not be evaluated`,
    detail: "The rules are tried again by their jobs",
    link: "/events?processed=false",
    counts: { events: failed },
  });
}

const LAG_ITEM = item({
  kind: "events",
  severity: "warning",
  key: "events:lag",
  title: "The rules are lagging",
  detail: "Events are stored faster than they are evaluated",
  link: "/events?processed=false",
});

async function jobItems({ runner, countJobs }: AttentionParts): Promise<AttentionItem[]> {
  const counts = await countJobs();
  const dead = counts.filter(({ state }) => state === "dead");
  const paused = runner.queueNames.filter((name) => runner.isPaused(name));
  return [
    ...dead.map(({ queue, n }) =>
      item({
        kind: "jobs",
        severity: "warning",
        key: `jobs:${queue}`,
        title: `${countText(n, "job")} failed in ${queue}`,
        detail: n === 1 ? "It has used up its attempts" : "They have used up their attempts",
        link: `/jobs?state=dead&queue=${encodeURIComponent(queue)}`,
        ids: [queue],
        counts: { dead: n },
      }),
    ),
    ...paused.map((queue) => pausedQueueItem(queue, counts)),
  ];
}

function pausedQueueItem(queue: string, counts: readonly JobCount[]): AttentionItem {
  const waiting = counts.find((count) => count.queue === queue && count.state === "ready")?.n ?? 0;
  return item({
    kind: "queue",
    severity: waiting > 0 ? "warning" : "info",
    key: `queue:${queue}`,
    title: `Queue ${queue} is paused`,
    detail: waiting === 1 ? "1 job waits" : `${waiting} jobs wait`,
    link: `/jobs?queue=${encodeURIComponent(queue)}`,
    ids: [queue],
    counts: { waiting },
  });
}

async function approvalItems({ db }: AttentionParts): Promise<AttentionItem[]> {
  const { count, since } = await queries.pendingUsers(db.scan);
  if (count === 0) return [];
  return [
    item({
      kind: "approvals",
      severity: "info",
      key: "approvals",
      title: count === 1 ? "1 account is pending" : `${count} accounts are pending`,
      detail: "for approval, or for the invited person to open it",
      link: "/people/pending",
      at: toRfc3339OrNull(since),
      counts: { pending: count },
    }),
  ];
}

function countText(count: number, one: string): string {
  return count === 1 ? `1 ${one}` : `${count} ${one}s`;
}
