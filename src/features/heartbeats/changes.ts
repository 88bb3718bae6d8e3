import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { normalised } from "../../core/text/clean-text.ts";
import { isTimezone, toRfc3339 } from "../../core/time/clock.ts";
import type { Context } from "../../module/feature.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { Recurrence, readCron } from "../time/schedules/index.ts";
import { MAX_FEEDS } from "./feeds.ts";
import type { HeartbeatDefinition, HeartbeatRow } from "./heartbeat.ts";
import { type GivenIds, keysOf, newHeartbeat } from "./heartbeats.ts";
import { nextElapse, readOnCalendar } from "./on-calendar.ts";
import { paused, resumed } from "./status.ts";
import type { KeysRow } from "./table.ts";
import * as table from "./table.ts";

// Changes to heartbeats besides pings: the same for each API.

export type HeartbeatsContext = Context<"heartbeats" | "projects" | "principals">;

/** Prometheus reports a firing alert each minute. */
export const FED_PLAN = { timeoutMs: 300_000, graceMs: 60_000 } as const;

/** @throws LIMIT_REACHED */
async function requireFeed(trx: Trx, projectId: string): Promise<void> {
  if ((await table.countFed(trx, projectId)) >= MAX_FEEDS)
    throw new PrismError("LIMIT_REACHED", `A project has at most ${MAX_FEEDS} heartbeats with fedBy`);
}

function noteFeed(trx: Trx, { id, projectId, fedBy: before }: HeartbeatRow, fedBy: string | null): void {
  if (before === null && fedBy === null) return;
  addEffect(trx, { type: "heartbeats-fed", heartbeats: [{ id, projectId, fedBy }] });
}

/**
 * `fedBy` was checked before the transaction, as compiling takes a while.
 * @throws LIMIT_REACHED, INVALID_CRON, INVALID_TIMEZONE
 */
export async function createHeartbeat(
  ctx: HeartbeatsContext,
  trx: Trx,
  projectId: string,
  definition: HeartbeatDefinition,
  { createdBy, ...given }: GivenIds & { readonly createdBy: string | null },
): Promise<HeartbeatRow> {
  const { heartbeats, audit } = ctx;
  ctx.storage.requireSpace();
  await ctx.projects.quotas.requireRoom(trx, "heartbeats", { projectId, createdBy });
  const now = heartbeats.clock.now();
  const name = definition.name ?? "";
  const plan = definition.fedBy ? FED_PLAN : {};
  const row = {
    ...newHeartbeat(heartbeats.ids, projectId, { name, slug: slugOf(name), ...given }, now),
    ...plan,
    ...definition,
    createdBy,
  };
  requirePlan(row, now);
  if (row.fedBy !== null) await requireFeed(trx, projectId);
  await trx.insertInto("heartbeats").values(row).execute();
  noteFeed(trx, row, row.fedBy);
  await keysOf(trx, projectId, now);
  const metadata = { projectId, kind: row.kind };
  await audit.record({ action: "heartbeat.create", resourceType: "heartbeat", resourceId: row.id, metadata }, { trx });
  return row;
}

/** The due time follows the new plan; the status follows the next ping, or the due time. */
export async function updateHeartbeat(
  ctx: HeartbeatsContext,
  trx: Trx,
  row: HeartbeatRow,
  changes: HeartbeatDefinition,
) {
  const { heartbeats, audit } = ctx;
  const now = heartbeats.clock.now();
  requirePlan({ ...row, ...changes }, now);
  if (changes.fedBy !== undefined && changes.fedBy !== row.fedBy) {
    if (changes.fedBy !== null) await requireFeed(trx, row.projectId);
    noteFeed(trx, row, changes.fedBy);
  }
  const next = await heartbeats.store(trx, row, null, { ...changes, version: row.version + 1, updatedAt: now });
  if (next.status === "down" && changesAlert(row, next)) await heartbeats.changeAlert(trx, next);
  const metadata = { changed: Object.keys(changes).sort() };
  await audit.record({ action: "heartbeat.update", resourceType: "heartbeat", resourceId: row.id, metadata }, { trx });
  return next;
}

const OF_ALERT = ["severity", "labels", "channels", "name", "slug", "tags"] as const;

/** Whether its alert has another severity, or other labels. */
function changesAlert(row: HeartbeatRow, next: HeartbeatRow): boolean {
  return OF_ALERT.some((column) => row[column] !== next[column]);
}

/** A heartbeat that is down is resolved by its end. */
export async function deleteHeartbeat(ctx: HeartbeatsContext, trx: Trx, row: HeartbeatRow): Promise<void> {
  const { heartbeats, audit } = ctx;
  const flip = { from: row.status, to: "paused", at: heartbeats.clock.now(), reason: "delete" } as const;
  await heartbeats.alert(trx, [{ row, flip }]);
  heartbeats.recordDue(trx, { id: row.id, dueAt: null, graceMs: row.graceMs });
  noteFeed(trx, row, null);
  await table.deleteHeartbeat(trx, row);
  await audit.record({ action: "heartbeat.delete", resourceType: "heartbeat", resourceId: row.id }, { trx });
}

/** Idempotent. */
export async function pauseHeartbeat(ctx: HeartbeatsContext, trx: Trx, row: HeartbeatRow): Promise<HeartbeatRow> {
  const now = ctx.heartbeats.clock.now();
  const change = paused(row, now);
  if (!change) return row;
  await ctx.audit.record({ action: "heartbeat.pause", resourceType: "heartbeat", resourceId: row.id }, { trx });
  return ctx.heartbeats.store(trx, row, change, { version: row.version + 1, updatedAt: now });
}

/** @throws INVALID_STATE for one that is not paused */
export async function resumeHeartbeat(ctx: HeartbeatsContext, trx: Trx, row: HeartbeatRow): Promise<HeartbeatRow> {
  const now = ctx.heartbeats.clock.now();
  const change = resumed(row, now);
  if (!change) throw new PrismError("INVALID_STATE", "The heartbeat is not paused");
  await ctx.audit.record({ action: "heartbeat.resume", resourceType: "heartbeat", resourceId: row.id }, { trx });
  return ctx.heartbeats.store(trx, row, change, { version: row.version + 1, updatedAt: now });
}

/** Gives the heartbeat another ping URL; the old one is unknown from now on. */
export async function rotatePingUrl(ctx: HeartbeatsContext, trx: Trx, row: HeartbeatRow): Promise<HeartbeatRow> {
  const { ids, clock } = ctx.heartbeats;
  const changes = { ...ids.columnsOf(row.id), version: row.version + 1, updatedAt: clock.now() };
  table.updateHeartbeat(trx, row.id, changes);
  await ctx.audit.record({ action: "heartbeat.rotate", resourceType: "heartbeat", resourceId: row.id }, { trx });
  return { ...row, ...changes };
}

/**
 * Gives the project another ping key; URLs with the old one are unknown from now on.
 * @param key default: a random one @throws NAME_TAKEN
 */
export async function rotatePingKey(
  ctx: HeartbeatsContext,
  trx: Trx,
  projectId: string,
  key?: string,
): Promise<KeysRow> {
  const now = ctx.heartbeats.clock.now();
  if (key !== undefined) await requireFreePing(ctx, trx, key);
  const keys = {
    ...(await keysOf(trx, projectId, now)),
    ...ctx.heartbeats.ids.keyColumnsOf(projectId, key),
    updatedAt: now,
  };
  await table.putKeys(trx, keys);
  await ctx.audit.record({ action: "heartbeat.key", resourceType: "project", resourceId: projectId }, { trx });
  return keys;
}

/** Ids of heartbeats and keys of projects are in the same place of ping URLs. @throws NAME_TAKEN */
export async function requireFreePing({ heartbeats }: HeartbeatsContext, trx: Trx, given: string): Promise<void> {
  const hash = heartbeats.ids.hashOf(given);
  const isTaken =
    (await table.findHeartbeat(trx, "pingHash", hash)) ?? (await table.findKeys(trx, "pingKeyHash", hash));
  if (isTaken) throw new PrismError("NAME_TAKEN", "Another heartbeat or project has this in its ping URLs");
}

/** A slug from a name; "" if nothing is left. */
export function slugOf(name: string): string {
  return normalised(name, "NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 100);
}

/** Kind of a schedule: cron if it can be read as such. @throws INVALID_CRON */
export function kindOfSchedule(schedule: string): "cron" | "oncalendar" {
  if (/^\s*(@|\S+(\s+\S+){4,5}\s*$)/.test(schedule) && !/[:~]/.test(schedule)) {
    readCron(schedule);
    return "cron";
  }
  readOnCalendar(schedule);
  return "oncalendar";
}

type TimePlan = Pick<HeartbeatRow, "kind" | "schedule" | "timezone">;

/** @throws INVALID_CRON, INVALID_TIMEZONE */
function requirePlan({ kind, schedule, timezone }: TimePlan, now: number): void {
  if (!isTimezone(timezone)) {
    const detail = { path: "timezone", code: "INVALID_TIMEZONE", message: "is not an IANA time zone" };
    throw new PrismError("INVALID_TIMEZONE", "No such time zone", { details: [detail] });
  }
  if (kind === "simple") return;
  if (nextTime({ kind, schedule, timezone }, now) === null)
    throw new PrismError("INVALID_CRON", "The schedule never matches a date");
}

const PREVIEWED_TIMES = 5;

interface PreviewPlan {
  readonly kind?: HeartbeatRow["kind"] | undefined;
  readonly schedule: string;
  readonly timezone?: string | undefined;
}

/** @throws INVALID_CRON, INVALID_TIMEZONE */
export function previewPlan(plan: PreviewPlan, now: number) {
  const { schedule, timezone = "UTC" } = plan;
  const kind = plan.kind === undefined || plan.kind === "simple" ? kindOfSchedule(schedule) : plan.kind;
  requirePlan({ kind, schedule, timezone }, now);
  const times: string[] = [];
  for (let at: number | null = now; times.length < PREVIEWED_TIMES; ) {
    at = nextTime({ kind, schedule, timezone }, at);
    if (at === null) break;
    times.push(toRfc3339(at));
  }
  return { kind, timezone, times };
}

function nextTime({ kind, schedule, timezone }: TimePlan, after: number): number | null {
  return kind === "cron"
    ? new Recurrence({ cron: schedule ?? "", timezone }).nextRun(after)
    : nextElapse(readOnCalendar(schedule ?? ""), timezone, after);
}

/** Ping URLs for callers who may write, null for others, and that of the badge. */
export function urlsOf(ctx: Pick<HeartbeatsContext, "publicUrl" | "heartbeats">, row: HeartbeatRow, isWriter: boolean) {
  const base = ctx.publicUrl();
  const uuid = isWriter ? ctx.heartbeats.ids.uuidOf(row) : null;
  return {
    uuid,
    pingUrl: uuid && `${base}/ping/${uuid}`,
    pushUrl: uuid && `${base}/api/push/${isUuid(uuid) ? uuid.replaceAll("-", "") : uuid}`,
    badgeUrl: `${base}/b/2/${row.badgeUuid}.svg`,
  };
}
