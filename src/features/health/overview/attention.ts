import { redactText } from "../../../config/logger.ts";
import type { Permission } from "../../../core/permissions.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { DAY_MS, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import type { OutsideChannel } from "../../../store/schema.ts";
import { type CircuitFacts, type FailingWay, failingWays, openByChannel } from "../../delivery/index.ts";
import { unprovenPeople, unprovenText } from "../../oncall/drill/index.ts";
import type { JobCount } from "../../time/jobs/index.ts";
import * as queries from "./queries.ts";
import type { AttentionItem, AttentionView } from "./schema.ts";

export interface AttentionParts
  extends Uses<
    | "db"
    | "clock"
    | "storage"
    | "projects"
    | "runner"
    | "circuits"
    | "pages"
    | "alerts"
    | "withheldBy"
    | "loaded"
    | "backlog"
    | "watch"
    | "ownWarnings"
    | "auditHead"
  > {
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

/** Resources that the caller may see besides incidents and notifications. */
export type FoundItems = Readonly<
  Record<"ways" | "unproven" | "channels" | "state" | "jobs" | "approvals", readonly AttentionItem[]>
>;

async function foundFor(parts: AttentionParts, caller: PermissionHolder): Promise<FoundItems> {
  const may = (permission: Permission): boolean => caller.permissions.has(permission);
  return {
    ways: may("system:status") ? await wayItems(parts, caller) : [],
    unproven: may("system:status") ? await unprovenItems(parts, caller) : [],
    channels: may("system:status") ? await channelItems(parts, caller) : [],
    state: may("system:status") ? await stateItems(parts) : [],
    jobs: may("jobs:read") ? await jobItems(parts) : [],
    approvals: may("users:approve") ? await approvalItems(parts) : [],
  };
}

/** Puts lines together, from all that the caller may see besides incidents and notifications. */
export type Grouping = (parts: AttentionParts, caller: PermissionHolder, found: FoundItems) => Promise<AttentionItem[]>;

/** Open work, as lines of {@link everything} or of another grouping. */
export async function attentionFor(
  parts: AttentionParts,
  caller: PermissionHolder,
  grouping: Grouping,
): Promise<AttentionView> {
  const items = await grouping(parts, caller, await foundFor(parts, caller));
  const watched = items.length > 0 || grouping === everything ? null : await watchedBy(parts, caller);
  return { items, watched, streams: streamsOf(caller.permissions.has("system:status")) };
}

/** One line for each, the most severe first. */
export const everything: Grouping = async (parts, caller, found) => {
  const { ways, unproven, channels, state, jobs, approvals } = found;
  const incidents = await incidentItems(parts, caller);
  const notifications = await notificationItems(parts, caller, new Set(incidents.flatMap(({ ids }) => ids)));
  const others = [...ways, ...unproven, ...channels, ...state, ...jobs, ...approvals];
  return bySeverity([...incidents, ...notifications, ...others]);
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
    detail: [redactText(error), countText(waiting, "page waits", "pages wait")].join(" · "),
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

async function channelItems(
  { db, circuits, projects }: AttentionParts,
  caller: PermissionHolder,
): Promise<AttentionItem[]> {
  const all = circuits.paused().map(({ facts }) => facts);
  // The circuit of a host says nothing more than that of its targets.
  const isNamed = new Set(all.flatMap(({ channel, target }) => (isHost(target) ? [] : [channel])));
  const paused = all.filter(({ channel, target }) => !isHost(target) || !isNamed.has(channel));
  if (paused.length === 0) return [];
  const waiting = await openByChannel(db.scan);
  const names = await queries.namesOfTargets(
    db.scan,
    paused.map(({ target }) => target),
    { userId: caller.userId, projectIds: projects.readable(caller, "project:read") },
  );
  const channels = [...new Set(paused.map(({ channel }) => channel))];
  return channels.flatMap((channel) => {
    const of = paused.filter((each) => each.channel === channel);
    const count = waiting.get(channel) ?? 0;
    return of.length <= LISTED_TARGETS
      ? of.map((each) => pausedItem(each, names.get(each.target), count))
      : [manyPausedItem(channel, of, names, count)];
  });
}

function isHost(target: string): boolean {
  return target.startsWith("host ");
}

/** @param known name of the target for people */
function pausedItem(
  { channel, target, pausedUntil, lastError, lastFailureAt }: CircuitFacts,
  known: string | undefined,
  waiting: number,
) {
  const name = CHANNEL_NAMES[channel];
  return item({
    kind: "channel",
    severity: "warning",
    key: `channel:${channel}:${target}`,
    title: `${target === "" ? name : `${name} ${known ?? target}`} is paused`,
    detail: [redactText(lastError ?? "Its calls failed"), waitText(waiting)].join(" · "),
    link: `/deliveries?channel=${channel}&state=waiting`,
    at: toRfc3339OrNull(lastFailureAt),
    ids: [channel, ...(target === "" ? [] : [target])],
    counts: { waiting },
    until: toRfc3339OrNull(pausedUntil),
  });
}

function manyPausedItem(
  channel: OutsideChannel,
  of: readonly CircuitFacts[],
  names: ReadonlyMap<string, string>,
  waiting: number,
): AttentionItem {
  const listed = of.flatMap(({ target }) => names.get(target) ?? []).slice(0, LISTED_TARGETS);
  const times = of.flatMap(({ pausedUntil }) => pausedUntil ?? []);
  return item({
    kind: "channel",
    severity: "warning",
    key: `channel:${channel}`,
    title: `${CHANNEL_NAMES[channel]}: ${of.length} targets are paused`,
    detail: [...(listed.length === 0 ? [] : [`${listed.join(", ")}, …`]), waitText(waiting)].join(" · "),
    link: `/deliveries?channel=${channel}&state=waiting`,
    ids: [channel, ...of.map(({ target }) => target)].slice(0, 100),
    counts: { waiting, targets: of.length },
    until: times.length === 0 ? null : toRfc3339(Math.min(...times)),
  });
}

function waitText(waiting: number): string {
  return countText(waiting, "delivery waits", "deliveries wait");
}

/** Conditions of the server itself. */
async function stateItems(parts: AttentionParts): Promise<AttentionItem[]> {
  const { db, loaded, storage, backlog } = parts;
  const failed = await queries.failedEvents(db.scan);
  const audit = parts.auditHead.warning;
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
      .ownWarnings()
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
    detail: countText(waiting, "job waits", "jobs wait"),
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
      title: `${countText(count, "account is", "accounts are")} pending`,
      detail: "for approval, or for the invited person to open it",
      link: "/people/pending",
      at: toRfc3339OrNull(since),
      counts: { pending: count },
    }),
  ];
}
