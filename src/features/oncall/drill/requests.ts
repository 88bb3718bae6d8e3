import type { PermissionHolder, Principal, UserPrincipal } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { type EpochMs, HOUR_MS, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { pageBody, readPage } from "../../../http/api/shapes.ts";
import { missingPermission, requireAccount, requireTokenScope } from "../../../http/server/access.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { countOf, newestFirst } from "../../../store/sqlite/list-queries.ts";
import { type Projects, userNames } from "../../access/index.ts";
import { startDrill } from "./drill.ts";
import type { Drills } from "./drills.ts";
import { DAYS, hasUrgentIncident, personOf, plannedDrill, quietEndOf, saveChoices } from "./plan.ts";
import type {
  DrillState,
  DrillView,
  ListDrills,
  ProofsQuery,
  StartDrills,
  UpdateDrillPreferences,
  WayView,
} from "./schema.ts";
import { type DrillParts, isProven, proofText, stateOf, type Way, waysOfUsers } from "./ways.ts";

/** Drills of one person in an hour: each costs a message by every way. */
const MAX_PER_HOUR = 6;

export interface DrillContext extends DrillParts {
  readonly projects: Projects;
  readonly drills: Drills;
}

/**
 * Starts drills of the caller, or of named people.
 * @throws RECIPIENT_NOT_FOUND, UNAUTHORIZED_ROLE, RATE_LIMITED; INVALID_STATE in quiet hours of others, and for people
 * of mirrors
 */
export async function startDrills(
  context: DrillContext,
  principal: PermissionHolder,
  { users: refs, now: isForced = false }: StartDrills,
  trx: Trx,
): Promise<{ data: DrillView[] }> {
  requireReader(context, principal);
  // A drill sends messages: a token that only reads starts none.
  requireTokenScope(principal, ["account:own", "oncall:write"]);
  const ids = namedUsers(context, principal, refs);
  for (const id of ids) await requireTime(context, trx, principal, id, isForced);
  const started: string[] = [];
  for (const id of ids) {
    const { id: drillId, ways } = await startDrill(context, trx, id, principal.userId ?? "operator");
    const entry = { action: "drill.start", resourceType: "drill", resourceId: drillId } as const;
    await context.audit.record({ ...entry, metadata: { userId: id, ways } }, { trx });
    started.push(drillId);
  }
  return { data: await viewsOf(trx, started) };
}

/** Drills are for whom rules of some project reach: every active user, but not every token. */
function requireReader({ projects }: DrillContext, principal: PermissionHolder): void {
  if (projects.mayBeGiven(principal, projects.defaultId, "events:read")) return;
  if (!projects.hasAnywhere(principal, "events:read")) throw missingPermission("events:read");
}

function namedUsers(context: DrillContext, principal: PermissionHolder, refs: StartDrills["users"]): string[] {
  const { users } = context;
  if (refs === undefined) return [requireAccount(principal).userId];
  const ids = new Set<string>();
  for (const [at, ref] of refs.entries()) {
    const id = users.find(ref);
    const isKnown = id !== undefined && users.reachable([id], null).length > 0;
    if (isKnown && (id === principal.userId || mayDrill(context, principal, id))) ids.add(id);
    else if (isKnown && mayDrill(context, principal, id, true))
      throw new PrismError(
        "INVALID_STATE",
        `users.${at}: of your projects only mirrors have the person: no one is called`,
      );
    else if (!context.projects.hasAnywhere(principal, "oncall:write")) throw missingPermission("oncall:write");
    else throw new PrismError("RECIPIENT_NOT_FOUND", `users.${at}: no such user in your projects`);
  }
  return [...ids];
}

/** As who may change their schedules. */
function mayDrill({ projects, users }: DrillContext, principal: Principal, userId: string, inMirrors = false): boolean {
  const projectIds = projects.readable(principal, "oncall:write");
  const isOf = (id: string) => (inMirrors || !projects.isMirror(id)) && users.reachable([userId], id).length > 0;
  return projectIds === null || projectIds.some(isOf);
}

async function requireTime(
  context: DrillContext,
  trx: Trx,
  principal: PermissionHolder,
  userId: string,
  isForced: boolean,
): Promise<void> {
  const now = context.clock.now();
  const last = await trx
    .selectFrom("drills")
    .select("startedAt")
    .where("userId", "=", userId)
    .where("startedAt", ">", now - HOUR_MS)
    .orderBy("startedAt", "desc")
    .limit(MAX_PER_HOUR)
    .execute();
  const sixth = last[MAX_PER_HOUR - 1];
  if (sixth) {
    const retryAfterMs = sixth.startedAt + HOUR_MS - now;
    throw new PrismError("RATE_LIMITED", `A person has at most ${MAX_PER_HOUR} drills in an hour`, { retryAfterMs });
  }
  if (isForced || userId === principal.userId) return;
  const person = await personOf(context, trx, userId);
  const until = person ? quietEndOf(person, now) : null;
  if (until !== null)
    throw new PrismError(
      "INVALID_STATE",
      `The person has quiet hours until ${toRfc3339(until)}; \`now\` (--now) starts it anyway`,
    );
  if (await hasUrgentIncident(trx, userId))
    throw new PrismError("INVALID_STATE", "The person has an incident of high urgency; `now` (--now) starts it anyway");
}

/** The caller's drills and those that the caller started, newest first; with `oncall:write` everywhere all. */
export async function listDrills(context: DrillContext, principal: PermissionHolder, query: ListDrills) {
  requireReader(context, principal);
  const { db, users } = context;
  const request = readPage(query, ["string"]);
  const userId = query.user === undefined ? undefined : (users.findAny(query.user) ?? "");
  const filter = { userId, seenBy: seesAll(context, principal) ? null : principal.userId };
  const rows = await newestFirst(filtered(db.read, filter).selectAll(), request).execute();
  const total = request.wantsTotal ? await countOf(filtered(db.read, filter)) : undefined;
  const ids = rows.map(({ id }) => id);
  const views = new Map((await viewsOf(db.read, ids)).map((view) => [view.id, view]));
  return pageBody(
    request,
    rows,
    ({ id }) => views.get(id) as DrillView,
    ({ id }) => [id],
    total,
  );
}

interface DrillFilter {
  readonly userId: string | undefined;
  /** Their own drills and those they started; null: all. */
  readonly seenBy: string | null;
}

function filtered(db: ReadDb, { userId, seenBy }: DrillFilter) {
  let found = db.selectFrom("drills");
  if (userId !== undefined) found = found.where("userId", "=", userId);
  return seenBy === null ? found : found.where((e) => e.or([e("userId", "=", seenBy), e("startedBy", "=", seenBy)]));
}

function seesAll({ projects }: DrillContext, principal: PermissionHolder): boolean {
  return principal.userId === null || projects.readable(principal, "oncall:write") === null;
}

/** @throws DRILL_NOT_FOUND, also for one that the caller may not see */
export async function readDrill(context: DrillContext, principal: PermissionHolder, id: string): Promise<DrillView> {
  requireReader(context, principal);
  const { db } = context;
  const row = isUuid(id)
    ? await db.read.selectFrom("drills").selectAll().where("id", "=", id).executeTakeFirst()
    : undefined;
  const isOwn = row && (row.userId === principal.userId || row.startedBy === principal.userId);
  const [view] = row && (isOwn || seesAll(context, principal)) ? await viewsOf(db.read, [row.id]) : [];
  if (!view) throw new PrismError("DRILL_NOT_FOUND", "No such drill");
  return view;
}

async function viewsOf(db: ReadDb | Trx, ids: readonly string[]): Promise<DrillView[]> {
  if (ids.length === 0) return [];
  const drills = await db.selectFrom("drills").selectAll().where("id", "in", ids).orderBy("id", "desc").execute();
  const ways = await waysOfDrills(db, ids);
  const names = await userNames(db, [...new Set(drills.flatMap((each) => [each.userId, each.startedBy ?? ""]))]);
  const person = (id: string) => names.get(id) ?? { id, username: null, name: null };
  return drills.map(({ id, userId, startedBy, startedAt }) => ({
    id,
    user: person(userId),
    startedAt: toRfc3339(startedAt),
    startedBy: startedBy !== null && isUuid(startedBy) ? person(startedBy) : null,
    ways: ways.filter(({ drillId }) => drillId === id).map(wayOfDrill),
  }));
}

function waysOfDrills(db: ReadDb | Trx, ids: readonly string[]) {
  return db
    .selectFrom("drill_ways as w")
    .leftJoin("pages as p", "p.id", "w.id")
    .select(["w.id", "w.drillId", "w.name", "w.channel", "w.startedAt", "w.confirmedAt"])
    .select(["p.deliveredAt", "p.failedAt", "p.lastError", "p.attempts", "p.endedAt", "p.note"])
    .where("w.drillId", "in", ids)
    .orderBy("w.id")
    .execute();
}

type WayRow = Awaited<ReturnType<typeof waysOfDrills>>[number];

function wayOfDrill(row: WayRow): DrillView["ways"][number] {
  const { id, name, channel, startedAt, confirmedAt, deliveredAt, lastError, note } = row;
  const after = (at: EpochMs | null): number | null => (at === null ? null : Math.max(0, at - startedAt));
  const state = drillState(row);
  const error = state === "failed" || state === "trying" ? lastError : state === "not-sent" ? note : null;
  return { id, name, channel, state, acceptedMs: after(deliveredAt), confirmedMs: after(confirmedAt), error };
}

function drillState({ confirmedAt, deliveredAt, failedAt, attempts, endedAt }: WayRow): DrillState {
  if (confirmedAt !== null) return "confirmed";
  if (deliveredAt !== null) return "accepted";
  if (failedAt !== null) return "failed";
  if (endedAt !== null) return "not-sent";
  return (attempts ?? 0) > 0 ? "trying" : "queued";
}

export async function readOwnWays(context: DrillContext, { userId }: UserPrincipal): Promise<{ data: WayView[] }> {
  const now = context.clock.now();
  return { data: (await waysOfUsers(context, context.db.read, [userId])).map((way) => wayView(way, now)) };
}

function wayView(way: Way, now: EpochMs): WayView {
  const { name, channel, confirmed, accepted, failed } = way;
  return {
    ...{ name, channel, state: stateOf(way, now), text: proofText(way, now) },
    confirmedAt: toRfc3339OrNull(confirmed?.at ?? null),
    confirmedMs: confirmed?.afterMs ?? null,
    acceptedAt: toRfc3339OrNull(accepted?.at ?? null),
    acceptedMs: accepted?.afterMs ?? null,
    failedAt: toRfc3339OrNull(failed?.at ?? null),
    error: failed?.error ?? null,
  };
}

/** Who is on call within 7 days on the schedules that the caller may read. @throws PROJECT_NOT_FOUND */
export async function readProofs(context: DrillContext, principal: Principal, { projectId }: ProofsQuery) {
  const { db, clock, drills, projects } = context;
  const now = clock.now();
  const people = await drills.onCallSoon(projects.readable(principal, "events:read", projectId));
  const ids = people.map(({ userId }) => userId);
  const names = await userNames(db.read, ids);
  const ways = ids.length === 0 ? [] : await waysOfUsers(context, db.read, ids);
  const data = [];
  for (const { userId, from, schedule } of people) {
    const own = ways.filter((way) => way.userId === userId);
    const planned = await plannedDrill(context, db.read, userId);
    data.push({
      user: names.get(userId) ?? { id: userId, username: null, name: null },
      onCallFrom: toRfc3339(from),
      schedule,
      isProven: isProven(own, now),
      takesPart: planned?.takesPart ?? false,
      nextDrillAt: toRfc3339OrNull(planned?.nextAt ?? null),
      ways: own.map((way) => wayView(way, now)),
    });
  }
  return { data };
}

export async function readPreferences(context: DrillContext, { userId }: UserPrincipal) {
  const planned = await plannedDrill(context, context.db.read, userId);
  if (!planned) throw new PrismError("USER_NOT_FOUND", "No such user");
  const { slot, timezone, takesPart, nextAt } = planned;
  const day = DAYS[slot.day ?? 0] ?? "sunday";
  const { enabled: isEnabled } = context.settings().drill;
  return { takesPart, day, hour: slot.hour, timezone, isEnabled, nextAt: toRfc3339OrNull(nextAt) };
}

export async function updatePreferences(
  context: DrillContext,
  principal: UserPrincipal,
  { takesPart, day, hour }: UpdateDrillPreferences,
) {
  const { db, audit, drills } = context;
  const { userId } = principal;
  const values = {
    ...(takesPart !== undefined && { takesPart: takesPart ? (1 as const) : (0 as const) }),
    ...(day !== undefined && { day: day === null ? null : DAYS.indexOf(day) }),
    ...(hour !== undefined && { hour }),
    // A drill that is due waits for the new time.
    deferredUntil: null,
  };
  await db.write(async (trx) => {
    await saveChoices(trx, userId, values);
    await audit.record({ action: "drill_preferences.update", resourceType: "user", resourceId: userId }, { trx });
  });
  await drills.plan.changed();
  return readPreferences(context, principal);
}
