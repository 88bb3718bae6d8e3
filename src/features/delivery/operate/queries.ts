import { type SelectQueryBuilder, sql } from "kysely";
import { firstIdAt } from "../../../core/ids.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { OutsideChannel, Schema } from "../../../store/schema.ts";
import { valuesOf } from "../../../store/sqlite/list-queries.ts";
import { type DeliveryFilters, OPEN_STATES, STATES } from "./schema.ts";

/** Deliveries that a page looks through when no index finds them. */
const SEARCHED_AT_ONCE = 50_000;
/** Limit of unfinished deliveries that are selected. */
const MAX_OPEN = 100_000;
const MAX_HISTORY = 100;
/** Newest deliveries that are searched for the last result of webhooks. */
const RESULTS_FROM = 20_000;

/** Literal states: with bound values SQLite could not use the partial index. */
const IS_OPEN = sql<boolean>`state in ('queued', 'sending', 'failed')`;

/** The states that a filter names. */
export function statesOf(state: DeliveryFilters["state"]): readonly (typeof STATES)[number][] | undefined {
  return state && STATES.filter((each) => state.includes(each) || (isOpen(each) && state.includes("waiting")));
}

function isOpen(state: string): boolean {
  return OPEN_STATES.some((each) => each === state);
}

/** Whether an index finds the deliveries, so that a page needs no bound. */
function isIndexed({ notificationId, state }: DeliveryFilters): boolean {
  return notificationId !== undefined || statesOf(state)?.every(isOpen) === true;
}

function selected(db: ReadDb, filters: DeliveryFilters) {
  const { channel, notificationId, webhookId, userId, from, to } = filters;
  const states = statesOf(filters.state);
  let query = db.selectFrom("deliveries as d");
  if (notificationId !== undefined) query = query.where("d.notificationId", "=", notificationId);
  else if (states?.every(isOpen))
    query = query.where("d.id", "in", db.selectFrom("deliveries").select("id").where(IS_OPEN).limit(MAX_OPEN));
  if (states !== undefined) query = query.where("d.state", "in", states);
  if (channel !== undefined) query = query.where("d.channel", "in", channel);
  if (webhookId !== undefined) query = query.where("d.channel", "=", "webhook").where("d.target", "=", webhookId);
  if (userId !== undefined) query = query.where("d.userId", "=", userId);
  // Ids are in the order of creation.
  if (from !== undefined) query = query.where("d.id", ">=", firstIdAt(from));
  if (to !== undefined) query = query.where("d.id", "<", firstIdAt(to));
  return query;
}

/** Ids of a page, newest first, and the last one that was looked at if older ones remain. */
export async function deliveryIds(
  db: ReadDb,
  filters: DeliveryFilters,
  { before, limit, offset }: { readonly before: string | null; readonly limit: number; readonly offset: number },
  isBounded: boolean,
): Promise<{ readonly ids: string[]; readonly searchedTo: string | null }> {
  let query = selected(db, filters);
  if (before !== null) query = query.where("d.id", "<", before);
  const searchedTo = isBounded && !isIndexed(filters) ? await lastSearched(db, filters, before) : null;
  if (searchedTo !== null) query = query.where("d.id", ">=", searchedTo);
  const rows = await query.select("d.id").orderBy("d.id", "desc").limit(limit).offset(offset).execute();
  return { ids: rows.map(({ id }) => id), searchedTo };
}

async function lastSearched(db: ReadDb, { from, to }: DeliveryFilters, before: string | null): Promise<string | null> {
  let query = db.selectFrom("deliveries").select("id");
  if (before !== null) query = query.where("id", "<", before);
  if (from !== undefined) query = query.where("id", ">=", firstIdAt(from));
  if (to !== undefined) query = query.where("id", "<", firstIdAt(to));
  const row = await query.orderBy("id", "desc").limit(1).offset(SEARCHED_AT_ONCE).executeTakeFirst();
  return row?.id ?? null;
}

export async function countDeliveries(db: ReadDb, filters: DeliveryFilters): Promise<number> {
  const { n } = await selected(db, filters)
    .select((e) => e.fn.countAll<number>().as("n"))
    .executeTakeFirstOrThrow();
  return n;
}

/** Deliveries with all that operators see of them, newest first. */
export function deliveryRows(db: ReadDb, ids: readonly string[]) {
  return db
    .selectFrom("deliveries as d")
    .leftJoin("notifications as n", "n.id", "d.notificationId")
    .leftJoin("users as u", "u.id", "d.userId")
    .leftJoin("webhooks as w", "w.id", "d.target")
    .leftJoin("jobs as j", "j.id", "d.id")
    .selectAll("d")
    .select(["n.title", "u.name", "u.username", "w.url", "j.state as jobState", "j.runAt", "j.startedAt", "j.workerId"])
    .where("d.id", "in", ids)
    .orderBy("d.id", "desc")
    .execute();
}

export type DeliveryRow = Awaited<ReturnType<typeof deliveryRows>>[number];

/** The last failed attempts, oldest first. A successful one leaves no row. */
export async function failedAttempts(db: ReadDb, deliveryId: string) {
  const rows = await db
    .selectFrom("job_attempts")
    .selectAll()
    .where("jobId", "=", deliveryId)
    .orderBy("attempt", "desc")
    .limit(MAX_HISTORY)
    .execute();
  return rows.reverse();
}

/** Unfinished deliveries by channel. */
export async function openByChannel(db: ReadDb): Promise<Map<string, number>> {
  const { rows } = await sql<{ channel: string; n: number }>`
    select channel, count(*) as n from (
      select channel from deliveries where state in ('queued', 'sending', 'failed') limit ${MAX_OPEN}
    ) group by channel`.execute(db);
  return new Map(rows.map(({ channel, n }) => [channel, n]));
}

/** Deliveries that wait for a paused provider. */
export async function waitingForProvider(
  db: ReadDb,
  channel: OutsideChannel,
  target: string | undefined,
  limit: number,
): Promise<string[]> {
  let query: SelectQueryBuilder<Schema, "deliveries", { id: string }> = db
    .selectFrom("deliveries")
    .select("id")
    .where(IS_OPEN)
    .where("channel", "=", channel)
    .where("reason", "=", "provider paused");
  if (target !== undefined && !target.startsWith("host ")) query = query.where("target", "=", target);
  return (await query.limit(limit).execute()).map(({ id }) => id);
}

/** The last result of webhooks, from the newest deliveries. */
export async function lastResults(db: ReadDb, webhookIds: readonly string[]) {
  const { rows } = await sql<{
    target: string;
    state: "delivered" | "failed" | "dead";
    lastError: string | null;
    at: number;
  }>`
    select target, state, lastError, max(updatedAt) as at from (
      select channel, target, state, lastError, updatedAt from deliveries order by updatedAt desc limit ${RESULTS_FROM}
    ) where channel = 'webhook' and target in ${valuesOf(webhookIds)}
      and state in ('delivered', 'failed', 'dead')
    group by target`.execute(db);
  return new Map(rows.map((row) => [row.target, row]));
}

/** Ids of roles, by name or id; unknown ones are left out. */
export async function roleIds(db: ReadDb, refs: readonly string[]): Promise<string[]> {
  const wanted = new Set(refs.map((ref) => ref.toLowerCase()));
  const roles = await db.selectFrom("roles").select(["id", "name"]).execute();
  return roles.filter(({ id, name }) => wanted.has(id) || wanted.has(name.toLowerCase())).map(({ id }) => id);
}

/** A user's data that decides about deliveries. */
export interface PreviewedUser {
  readonly id: string;
  readonly name: string | null;
  readonly username: string | null;
  readonly email: string | null;
  readonly timezone: string;
  /** JSON. */
  readonly prefs: string;
}

/** In the order of the ids. */
export async function readers(db: ReadDb, ids: readonly string[]): Promise<ReadonlyMap<string, PreviewedUser>> {
  if (ids.length === 0) return new Map();
  const columns = ["id", "name", "username", "email", "timezone", "prefs"] as const;
  const rows = await db.selectFrom("users").select(columns).where("id", "in", ids).orderBy("id").execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** Who asks for names of targets. */
interface NameReader {
  readonly userId: string | null;
  /** Null: all projects. */
  readonly projectIds: readonly string[] | null;
}

/**
 * Names of the targets of channels and webhooks, by id: a channel's name, a webhook's host. Those of other
 * projects and people have none.
 */
export async function namesOfTargets(
  db: ReadDb,
  ids: readonly string[],
  { userId, projectIds }: NameReader,
): Promise<ReadonlyMap<string, string>> {
  const channels = await db
    .selectFrom("channels")
    .select(["id", "projectId", "userId", "name"])
    .where("id", "in", ids)
    .execute();
  const webhooks = await db
    .selectFrom("webhooks")
    .select(["id", "projectId", "userId", "url"])
    .where("id", "in", ids)
    .execute();
  const named = webhooks.map(({ url, ...row }) => ({ ...row, name: URL.canParse(url) ? new URL(url).host : "" }));
  const isSeen = (row: { readonly projectId: string | null; readonly userId: string | null }): boolean =>
    projectIds === null || (row.projectId === null ? row.userId === userId : projectIds.includes(row.projectId));
  return new Map(
    [...channels, ...named].flatMap((row) => (row.name !== "" && isSeen(row) ? [[row.id, row.name]] : [])),
  );
}
