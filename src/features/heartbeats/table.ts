import { type Selectable, sql } from "kysely";
import * as v from "valibot";
import type { Principal } from "../../core/caller.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { by, equals, listing, within } from "../../http/api/listing.ts";
import { text } from "../../http/api/shapes.ts";
import {
  addEffect,
  type BoundStatement,
  insertLater,
  type ReadDb,
  runLater,
  type Trx,
  updateLater,
} from "../../store/database.ts";
import type { FedHeartbeat } from "../../store/effect.ts";
import { daysBefore, type NamedSweep, sweepRows } from "../../store/retention.ts";
import type { HeartbeatKeysTable, HeartbeatPingsTable } from "../../store/schema.ts";
import { putSetting, readSetting } from "../../store/setting-rows.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";
import { owned } from "../access/index.ts";
import { Heartbeat, HeartbeatFlip, type HeartbeatRow, STORED } from "./heartbeat.ts";
import type { PingIds } from "./ping-ids.ts";
import type { FedTarget, PingTarget } from "./pings.ts";
import type { StatusTime } from "./status.ts";

// All SQL of heartbeats, their pings, flips and keys.

export type PingRow = Selectable<HeartbeatPingsTable>;
export type KeysRow = Selectable<HeartbeatKeysTable>;

/** Pings kept of each heartbeat. */
export const KEPT_PINGS = 100;
/** Older pings are removed in batches. */
const PRUNE_EVERY = 50;
const FLIP_DAYS = 93;

type Db = ReadDb | Trx;

/** The heartbeat with a value that no other one has. */
export function findHeartbeat(db: Db, column: "id" | "pingHash" | "badgeUuid", value: string) {
  return db.selectFrom("heartbeats").selectAll().where(column, "=", value).executeTakeFirst();
}

const BY_ID = "select * from heartbeats where id = ?";
const BY_PING_HASH = "select * from heartbeats where pingHash = ?";
/** At most two, as {@link findBySlug}. */
const BY_SLUG = `select h.* from heartbeat_keys k join heartbeats h on h.projectId = k.projectId and h.slug = ?
  where k.pingKeyHash = ? limit 2`;

/** Reads the heartbeat of a ping, if there is one. */
export function targetRead(target: PingTarget | FedTarget, ids: PingIds): BoundStatement {
  if ("fedId" in target) return { sql: BY_ID, parameters: [target.fedId] };
  if ("uuid" in target) return { sql: BY_PING_HASH, parameters: [ids.hashOf(target.uuid)] };
  return { sql: BY_SLUG, parameters: [target.slug, ids.hashOf(target.pingKey)] };
}

export function findByUniqueKey(db: Db, projectId: string, uniqueKey: string): Promise<HeartbeatRow | undefined> {
  const found = db.selectFrom("heartbeats").selectAll().where("uniqueKey", "=", uniqueKey);
  return found.where("projectId", "=", projectId).executeTakeFirst();
}

/** At most two: more than one means that the slug is ambiguous. */
export function findBySlug(db: Db, projectId: string, slug: string): Promise<HeartbeatRow[]> {
  const found = db.selectFrom("heartbeats").selectAll().where("projectId", "=", projectId).where("slug", "=", slug);
  return found.limit(2).execute();
}

export function heartbeatsOf(db: Db, projectId: string): Promise<HeartbeatRow[]> {
  return db.selectFrom("heartbeats").selectAll().where("projectId", "=", projectId).orderBy("id").execute();
}

/** As `fairDueAt`. */
function isOver({ now, back }: StatusTime) {
  return sql<boolean>`(dueAt <= ${now} and ${back.at} + min(graceMs, ${back.downMs}) <= ${now})`;
}

/**
 * Counts those in which no job runs. Their due time is the end of the grace time of the expected
 * ping, so the schedule is not evaluated. @param tag null: all
 */
export async function countStates(db: Db, projectId: string, tag: string | null, moment: StatusTime) {
  const isDown = sql<boolean>`status = 'down' or (status = 'up' and ${isOver(moment)})`;
  const isLate = sql<boolean>`status = 'up' and not ${isOver(moment)} and dueAt - graceMs <= ${moment.now}`;
  return await ofTag(db, projectId, tag)
    .select((e) => [
      e.fn.countAll<number>().as("total"),
      sql<number>`coalesce(sum(${isDown}), 0)`.as("down"),
      sql<number>`coalesce(sum(${isLate}), 0)`.as("grace"),
    ])
    .where("lastStartAt", "is", null)
    .executeTakeFirstOrThrow();
}

/** The heartbeats whose job runs now. */
export function runningOf(db: Db, projectId: string, tag: string | null): Promise<HeartbeatRow[]> {
  return ofTag(db, projectId, tag).selectAll().where("lastStartAt", "is not", null).execute();
}

function ofTag(db: Db, projectId: string, tag: string | null) {
  const all = db.selectFrom("heartbeats").where("projectId", "=", projectId);
  return tag === null ? all : all.where(sql<boolean>`instr(' ' || tags || ' ', ${` ${tag} `}) > 0`);
}

/** A run that began before its ping was late has its own end in `dueAt`, and only a period tells when it was. */
function isInGrace(moment: StatusTime) {
  const { now } = moment;
  return sql<boolean>`status = 'up' and not ${isOver(moment)} and (
    dueAt - graceMs <= ${now} and (lastStartAt is null or dueAt - graceMs < lastStartAt)
    or lastStartAt is not null and kind = 'simple' and lastPingAt + timeoutMs <= ${now})`;
}

export const heartbeatAccess = owned<HeartbeatRow, Principal>(Heartbeat, {
  read: "events:read",
  write: "heartbeats:write",
  missing: "HEARTBEAT_NOT_FOUND",
  noun: "heartbeat",
});

export const heartbeatList = listing(
  Heartbeat,
  () => ({
    status: by(
      v.picklist([...STORED, "grace"]),
      "Stored status: `up` has those in their grace time too; `grace` has only these",
      (status, moment: StatusTime) => (status === "grace" ? isInGrace(moment) : sql`status = ${status}`),
    ),
    slug: equals(text(100, 1), "Exact slug"),
    q: within(["name", "tags"], text(100, 1), "Part of the name or of the tags"),
  }),
  { searches: true },
);

export function updateHeartbeat(trx: Trx, id: string, columns: Partial<HeartbeatRow>): void {
  updateLater(trx, "heartbeats", id, columns);
}

export async function deleteHeartbeat(trx: Trx, { id, projectId }: HeartbeatRow): Promise<void> {
  // Before the row: triggers find the project of a body by it.
  await trx.deleteFrom("heartbeat_pings").where("heartbeatId", "=", id).execute();
  await trx.deleteFrom("heartbeat_flips").where("heartbeatId", "=", id).execute();
  await trx.deleteFrom("heartbeats").where("id", "=", id).execute();
  addEffect(trx, { type: "texts-changed", projectIds: [projectId] });
}

/** Adds a ping and, now and then, removes those beyond the last {@link KEPT_PINGS}. */
export function insertPing(trx: Trx, row: PingRow, projectId: string): void {
  insertLater(trx, "heartbeat_pings", row);
  const isPruned = row.n % PRUNE_EVERY === 0;
  if (row.body !== null || isPruned) addEffect(trx, { type: "texts-changed", projectIds: [projectId] });
  if (!isPruned) return;
  const old = trx
    .deleteFrom("heartbeat_pings")
    .where("heartbeatId", "=", row.heartbeatId)
    .where("n", "<=", row.n - KEPT_PINGS);
  runLater(trx, old.compile());
}

/** Newest first, without their bodies. */
export async function pingsOf(db: ReadDb, { id, pingCount }: HeartbeatRow, before = pingCount + 1, limit = KEPT_PINGS) {
  return db
    .selectFrom("heartbeat_pings")
    .select(["n", "at", "kind", "exitStatus", "rid", "durationMs", "scheme", "method", "userAgent", "address"])
    .select((e) => e("body", "is not", null).$castTo<0 | 1>().as("hasBody"))
    .where("heartbeatId", "=", id)
    .where("n", ">", pingCount - KEPT_PINGS)
    .where("n", "<", before)
    .orderBy("n", "desc")
    .limit(limit)
    .execute();
}
export type PingListRow = Awaited<ReturnType<typeof pingsOf>>[number];

export async function pingBody(db: ReadDb, { id, pingCount }: HeartbeatRow, n: number): Promise<Uint8Array | null> {
  if (n <= pingCount - KEPT_PINGS) return null;
  const found = db.selectFrom("heartbeat_pings").select("body").where("heartbeatId", "=", id).where("n", "=", n);
  return (await found.executeTakeFirst())?.body ?? null;
}

/** Newest first. @param span epoch ms, both ends included */
export function flipsOf(db: ReadDb, id: string, span: { from?: EpochMs; to?: EpochMs } = {}, limit = 1000) {
  let query = db.selectFrom("heartbeat_flips").selectAll().where("heartbeatId", "=", id);
  if (span.from !== undefined) query = query.where("at", ">=", span.from);
  if (span.to !== undefined) query = query.where("at", "<=", span.to);
  return query.orderBy("at", "desc").orderBy("id", "desc").limit(limit).execute();
}

export const flipList = listing(HeartbeatFlip, () => ({}), {
  order: { at: "number", id: "string" },
  searches: true,
});

/** The keys of a project, by a value that no other project has. */
export function findKeys(db: Db, column: "projectId" | "pingKeyHash" | "badgeKey", value: string) {
  return db.selectFrom("heartbeat_keys").selectAll().where(column, "=", value).executeTakeFirst();
}

export async function putKeys(trx: Trx, row: KeysRow): Promise<void> {
  await trx
    .insertInto("heartbeat_keys")
    .values(row)
    .onConflict((conflict) => conflict.column("projectId").doUpdateSet(row))
    .execute();
}

/** Heartbeats that go down without another ping. */
export function watched(db: ReadDb): Promise<{ id: string; dueAt: number; graceMs: number }[]> {
  const due = db.selectFrom("heartbeats").select(["id", "dueAt", "graceMs"]).where("dueAt", "is not", null);
  return due.$castTo<{ id: string; dueAt: number; graceMs: number }>().execute();
}

/** Heartbeats that alerts feed. */
export function fed(db: ReadDb): Promise<FedHeartbeat[]> {
  return db.selectFrom("heartbeats").select(["id", "projectId", "fedBy"]).where("fedBy", "is not", null).execute();
}

export function countFed(db: Db, projectId: string): Promise<number> {
  return countOf(db.selectFrom("heartbeats").where("projectId", "=", projectId).where("fedBy", "is not", null));
}

export function heartbeatsById(trx: Trx, ids: readonly string[]): Promise<HeartbeatRow[]> {
  return trx.selectFrom("heartbeats").selectAll().where("id", "in", ids).execute();
}

/** The policies of a project, by name. */
export function policyNames(db: Db, projectId: string): Promise<{ id: string; name: string }[]> {
  const named = db.selectFrom("policies").select(["id", "name"]).where("projectId", "=", projectId);
  return named.where("deletedAt", "is", null).orderBy("name").execute();
}

const ALIVE_SETTING = "heartbeats.aliveAt";

/** When a server last watched; null: never. */
export async function readAliveAt(db: ReadDb): Promise<EpochMs | null> {
  const at = await readSetting(db, ALIVE_SETTING);
  return at === undefined ? null : Number(at);
}

export async function putAliveAt(trx: Trx, at: EpochMs): Promise<void> {
  await putSetting(trx, ALIVE_SETTING, at, at);
}

/** Flips are kept for 93 days. */
export const HEARTBEAT_SWEEPS: readonly NamedSweep[] = [
  sweepRows("heartbeat_flips", (db, now) =>
    db.selectFrom("heartbeat_flips").select("id").where("at", "<", daysBefore(now, FLIP_DAYS)).orderBy("at"),
  ),
];
