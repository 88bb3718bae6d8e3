import type { Principal } from "../../core/caller.ts";
import { uuidv7 } from "../../core/ids.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { type UserName, userNames } from "../access/index.ts";
import { appendOwnEvents, type OwnEventDraft } from "../events/index.ts";
import { awayOf, conflictView, openSwaps, usersOf } from "./away.ts";
import type { ConflictsQuery } from "./days-off-schema.ts";
import { AHEAD_MS, type DueSchedule, editorsOf, MAX_LISTED, SOURCE, send } from "./look.ts";
import { type Away, type Conflict, conflictsOf } from "./model/away.ts";
import { finalShifts } from "./model/layers.ts";
import * as queries from "./queries.ts";
import { MAX_SCHEDULES, peopleOf, requireUser, schedulesOf, shown, spanOf } from "./reading.ts";
import { countsIn, rosterOf, turnsOf } from "./roster.ts";
import type { OnCallContext } from "./schedules.ts";
import type { OnCallRow, ShiftParams } from "./schema.ts";
import { daysText, localTime, nameIn, shownUser } from "./texts.ts";

/** A stored conflict. */
interface Reported {
  readonly userId: string;
  readonly startsAt: EpochMs;
  readonly endsAt: EpochMs;
  readonly noticeId: string;
}

/** A conflict with its notice; null: it has none yet. */
interface Current extends Conflict {
  readonly noticeId: string | null;
}

/**
 * Reports once, to the user and to those who may change the schedule, that the user is on call on
 * days off of the next 14 days. The notice changes when a swap or an override covers them.
 * @param isSearch whether new ones are reported now: when gaps are searched, too
 */
export async function reportConflicts(context: OnCallContext, look: DueSchedule, isSearch: boolean): Promise<void> {
  const known = await reportedOf(look);
  if (!isSearch && known.length === 0) return;
  const current = (await findConflicts(look, known)).map((conflict) => ({
    ...conflict,
    noticeId: known.find((each) => isSame(each, conflict))?.noticeId ?? null,
  }));
  const names = await userNames(look.trx, [...new Set([...known, ...current.map(({ away }) => away)].map(userOf))]);
  await updateNotices(context, look, known, current, names);
  const announced = isSearch ? await announce(context, look, current, names) : current;
  await store(look, known, announced);
}

const userOf = ({ userId }: { readonly userId: string }): string => userId;

function isSame({ userId, startsAt, endsAt }: Reported, { start, end, away }: Conflict): boolean {
  return userId === away.userId && startsAt < end && endsAt > start;
}

function reportedOf({ trx, schedule }: DueSchedule): Promise<Reported[]> {
  const columns = ["userId", "startsAt", "endsAt", "noticeId"] as const;
  return trx.selectFrom("oncall_conflicts").select(columns).where("scheduleId", "=", schedule.id).execute();
}

/**
 * Of days off with a shift within 14 days, and of those with a reported one, all conflicts to their
 * end: a long absence gets one notice, not one each day.
 */
async function findConflicts({ trx, roster, counts, shifts, now }: DueSchedule, known: readonly Reported[]) {
  const onCall = [...usersOf(shifts), ...known.map(userOf)];
  const away = await awayOf(
    trx,
    [...new Set(onCall)],
    now,
    Math.max(now + AHEAD_MS, ...known.map((each) => each.endsAt)),
  );
  const near = new Set(conflictsOf(shifts, away).flatMap((each) => (each.end > now ? [each.away] : [])));
  const isReported = (days: Away): boolean => known.some((each) => isSame(each, { ...days, away: days }));
  const watched = away.filter((days) => near.has(days) || isReported(days));
  if (watched.length === 0) return [];
  const to = Math.max(...watched.map(({ end }) => end));
  return conflictsOf(finalShifts(roster, now, to, counts), watched);
}

/** The text of a notice follows what is left of its conflicts. */
async function updateNotices(
  { notify }: OnCallContext,
  { trx, schedule, now }: DueSchedule,
  known: readonly Reported[],
  current: readonly Current[],
  names: ReadonlyMap<string, UserName>,
): Promise<void> {
  const facts = (spans: readonly (readonly [EpochMs, EpochMs])[]): string =>
    JSON.stringify(spans.map(([start, end]) => [Math.max(start, now), end]).sort(([a = 0], [b = 0]) => a - b));
  for (const noticeId of new Set(known.map((each) => each.noticeId))) {
    // Past conflicts need no cover.
    const before = known.filter((each) => each.noticeId === noticeId && each.endsAt > now);
    const left = current.filter((each) => each.noticeId === noticeId);
    const isEqual =
      facts(before.map((each) => [each.startsAt, each.endsAt])) === facts(left.map((each) => [each.start, each.end]));
    const [first] = before;
    if (!first || isEqual) continue;
    const name = nameIn(names, first.userId);
    const text = left.length > 0 ? noticeText(schedule.name, name, left) : settledText(schedule.name, name);
    await notify.update(noticeId, text, trx);
  }
}

/** Sends a notice and an event for each days off with new conflicts. @returns all, with their notice */
async function announce(
  context: OnCallContext,
  look: DueSchedule,
  current: readonly Current[],
  names: ReadonlyMap<string, UserName>,
): Promise<readonly Current[]> {
  const fresh = current.filter(({ noticeId }) => noticeId === null);
  if (fresh.length === 0) return current;
  const { trx, schedule, now } = look;
  const editors = await editorsOf(context, trx, schedule);
  const sent = new Map<string, string>();
  for (const away of new Set(fresh.map((each) => each.away))) {
    const own = fresh.filter((each) => each.away === away);
    const { userId, id: daysOffId, firstDay, lastDay } = away;
    const spans = own.map(({ start, end }) => ({ start: toRfc3339(start), end: toRfc3339(end) }));
    const days = { userId, daysOffId, firstDay, lastDay };
    const text = noticeText(schedule.name, nameIn(names, userId), own);
    const recipients = [...new Set([userId, ...editors])];
    const notice = { ...text, data: { ...days, conflicts: spans.slice(0, MAX_LISTED) } };
    sent.set(daysOffId, (await send(context, look, recipients, notice)) ?? uuidv7());
    const events = spans.slice(0, MAX_LISTED).map((span): OwnEventDraft => {
      const { id: scheduleId, projectId, name } = schedule;
      const payload = { scheduleId, name, user: shownUser(names, userId), daysOffId, firstDay, lastDay, ...span };
      return { projectId, type: "oncall.conflict", level: "warn", payload };
    });
    await appendOwnEvents(trx, events, { source: SOURCE, now });
  }
  return current.map((each) => ({ ...each, noticeId: each.noticeId ?? sent.get(each.away.id) ?? null }));
}

/** Replaces what is stored by the current conflicts that have a notice. */
async function store(
  { trx, schedule }: DueSchedule,
  known: readonly Reported[],
  current: readonly Current[],
): Promise<void> {
  if (known.length > 0) await trx.deleteFrom("oncall_conflicts").where("scheduleId", "=", schedule.id).execute();
  for (const { start, end, away, noticeId } of current) {
    if (noticeId === null) continue;
    const row = { scheduleId: schedule.id, userId: away.userId, startsAt: start, endsAt: end, noticeId };
    await trx.insertInto("oncall_conflicts").values(row).execute();
  }
}

function noticeText(schedule: string, name: string, conflicts: readonly Conflict[]) {
  const lines = conflicts
    .slice(0, MAX_LISTED)
    .map(({ start, end, away: { timezone } }) => `- ${localTime(start, timezone)} until ${localTime(end, timezone)}`);
  const more = conflicts.length > MAX_LISTED ? [`and ${conflicts.length - MAX_LISTED} more`] : [];
  const days = conflicts[0] ? daysText(conflicts[0].away) : "";
  const intro = `${name} is away ${days} and on call for ${schedule}:`;
  const outro = `No swap or override covers it. ${name} stays on call until one is taken.`;
  return { title: `On call while away: ${schedule}`, message: [intro, ...lines, ...more, outro].join("\n") };
}

function settledText(schedule: string, name: string) {
  const message = `A swap, an override or another change has settled it: ${name} is not on call for ${schedule} on these days off.`;
  return { title: `No longer on call while away: ${schedule}`, message };
}

/** How far ahead a changed shift is compared with days off. */
const COMPARED_MS = 92 * DAY_MS;
/** Warnings in one answer. */
const MAX_WARNINGS = 20;

type Db = ReadDb | Trx;
type ConflictView = ReturnType<typeof conflictView>;

/**
 * When users are on call on their days off; of the caller also in the default project. @throws PROJECT_NOT_FOUND, SCHEDULE_NOT_FOUND, USER_NOT_FOUND
 */
export async function readConflicts(context: OnCallContext, principal: Principal, query: ConflictsQuery) {
  const { db, projects } = context;
  const span = spanOf(context, query);
  const userIds = query.userId === undefined ? undefined : [requireUser(context, query.userId)];
  const isOwn =
    principal.kind !== "apiKey" && userIds?.[0] === principal.userId && !(query.projectId ?? query.scheduleId);
  const schedules = isOwn
    ? await queries.allSchedules(db.read, projects.reaching(principal, "events:read"), MAX_SCHEDULES)
    : await schedulesOf(context, principal, query);
  const away = await awayOf(db.read, userIds, span.from, span.to);
  const data = await conflictsOn(context, db.read, schedules, away, span);
  return { ...shown(span), data };
}

/** The conflicts of these days off with the schedules, in order. */
export async function conflictsOn(
  { users }: Pick<OnCallContext, "users">,
  db: Db,
  schedules: readonly OnCallRow[],
  away: readonly Away[],
  { from, to }: { readonly from: EpochMs; readonly to: EpochMs },
): Promise<ConflictView[]> {
  if (away.length === 0) return [];
  const first = Math.max(from, Math.min(...away.map(({ start }) => start)));
  const last = Math.min(to, Math.max(...away.map(({ end }) => end)));
  const found: ConflictView[] = [];
  for (const schedule of schedules) {
    const shifts = finalShifts(await rosterOf(db, schedule.id), first, last, countsIn(users, schedule.projectId));
    const onCall = new Set(usersOf(shifts));
    const conflicts = conflictsOf(
      shifts,
      away.filter(({ userId }) => onCall.has(userId)),
    );
    found.push(...(await viewsOf(db, schedule, conflicts)));
  }
  return found.sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
}

async function viewsOf(db: Db, schedule: OnCallRow, conflicts: readonly Conflict[]): Promise<ConflictView[]> {
  if (conflicts.length === 0) return [];
  const swaps = await openSwaps(db, schedule.id);
  const people = await peopleOf(
    db,
    conflicts.map(({ away }) => ({ users: [away.userId] })),
  );
  return conflicts.flatMap((conflict) =>
    people([conflict.away.userId]).map((user) => conflictView(schedule, swaps, user, conflict)),
  );
}

/** The conflicts that a shift, override or taken swap causes for users whom it names. */
export async function warningsOf(
  { users, clock }: OnCallContext,
  db: Db,
  { id, shiftId }: ShiftParams,
): Promise<ConflictView[]> {
  const [schedule, row] = [await queries.findSchedule(db, id), await queries.findShift(db, id, shiftId)];
  if (!schedule || !row) return [];
  const from = clock.now();
  const away = await awayOf(db, [...new Set(turnsOf(row).flat())], from, from + COMPARED_MS);
  if (away.length === 0) return [];
  const planned = finalShifts(await rosterOf(db, id), from, from + COMPARED_MS, countsIn(users, schedule.projectId));
  const caused = planned.filter(({ shiftIds }) => shiftIds.includes(shiftId));
  return viewsOf(db, schedule, conflictsOf(caused, away).slice(0, MAX_WARNINGS));
}
