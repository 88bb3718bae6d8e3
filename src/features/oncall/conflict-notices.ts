import { type EpochMs, toRfc3339 } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import { type UserName, userNames } from "../access/index.ts";
import { appendOwnEvents, type OwnEventDraft } from "../events/index.ts";
import { awayOf, usersOf } from "./away.ts";
import { AHEAD_MS, editorsOf, type Look, MAX_LISTED, SOURCE, send } from "./look.ts";
import { type Away, type Conflict, conflictsOf } from "./model/away.ts";
import { finalShifts } from "./model/layers.ts";
import type { OnCallContext } from "./schedules.ts";
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
export async function reportConflicts(context: OnCallContext, look: Look, isSearch: boolean): Promise<void> {
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

function reportedOf({ trx, schedule }: Look): Promise<Reported[]> {
  const columns = ["userId", "startsAt", "endsAt", "noticeId"] as const;
  return trx.selectFrom("oncall_conflicts").select(columns).where("scheduleId", "=", schedule.id).execute();
}

/**
 * Of days off with a shift within 14 days, and of those with a reported one, all conflicts to their
 * end: a long absence gets one notice, not one each day.
 */
async function findConflicts({ trx, roster, counts, shifts, now }: Look, known: readonly Reported[]) {
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
  { trx, schedule, now }: Look,
  known: readonly Reported[],
  current: readonly Current[],
  names: ReadonlyMap<string, UserName>,
): Promise<void> {
  const facts = (spans: readonly (readonly [EpochMs, EpochMs])[]): string =>
    JSON.stringify(spans.map(([start, end]) => [Math.max(start, now), end]).sort(([a = 0], [b = 0]) => a - b));
  for (const noticeId of new Set(known.map((each) => each.noticeId))) {
    // Those that are over need no cover.
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
  look: Look,
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
async function store({ trx, schedule }: Look, known: readonly Reported[], current: readonly Current[]): Promise<void> {
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
