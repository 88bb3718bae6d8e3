import { DAY_MS, type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { type UserName, userNames } from "../access/index.ts";
import { appendOwnEvents, type OwnEventDraft } from "../events/index.ts";
import { awayOf } from "./away.ts";
import { reportConflicts } from "./conflicts.ts";
import { AHEAD_MS, type DueSchedule, editorsOf, MAX_LISTED, SOURCE, send } from "./look.ts";
import { type CoverageGap, dutiesOf, finalShifts, gapsOf } from "./model/layers.ts";
import * as queries from "./queries.ts";
import { countsIn, rosterOf, spanOf } from "./roster.ts";
import { KEPT_MS, ON_CALL_CHANGED, type OnCallContext } from "./schedules.ts";
import type { OnCallRow } from "./schema.ts";
import { daysText, listed, localTime, shownUser } from "./texts.ts";

const GAPS_EVERY_MS = DAY_MS;
/** How far back the start of a running shift is searched. */
const BACK_MS = 8 * DAY_MS;

/**
 * Reports what is due on a schedule in one transaction with what it remembers of it: a restart
 * neither loses nor repeats a report.
 */
export async function reportDue(context: OnCallContext, trx: Trx, id: string, at: EpochMs): Promise<void> {
  const schedule = await queries.findSchedule(trx, id);
  if (!schedule) return addEffect(trx, { type: "oncall-due", id, dueAt: null });
  // After the clock was set back nothing is reported a second time.
  const now = Math.max(at, schedule.checkedAt ?? at);
  const roster = await rosterOf(trx, id);
  const counts = countsIn(context.users, schedule.projectId);
  const shifts = finalShifts(roster, now - BACK_MS, now + AHEAD_MS, counts);
  const look = { trx, schedule, roster, counts, shifts, now };
  const users = await reportChange(context, look);
  const nextNoticeAt = await sendNotices(context, look);
  const isSearch = schedule.gapsAt === null || schedule.gapsAt <= now;
  await reportConflicts(context, look, isSearch);
  const gapsAt = isSearch ? await reportGaps(context, look) : (schedule.gapsAt ?? now);
  const changeAt = shifts.flatMap(({ start, end }) => [start, end]).find((border) => border > now);
  const dueAt = Math.min(gapsAt, nextNoticeAt, changeAt ?? gapsAt);
  await queries.updateSchedule(trx, id, { onCall: JSON.stringify(users), checkedAt: now, gapsAt, dueAt });
  addEffect(trx, { type: "oncall-due", id, dueAt });
}

/** `oncall.changed`, and notifications to users whose shift ends. @returns the users on call */
async function reportChange(context: OnCallContext, look: DueSchedule): Promise<readonly string[]> {
  const { trx, schedule, shifts, now } = look;
  const current = shifts.find(({ start, end }) => start <= now && end > now);
  const users = current?.users ?? [];
  const before = JSON.parse(schedule.onCall) as string[];
  if (JSON.stringify([...before].sort()) === JSON.stringify(users)) return users;
  const names = await userNames(trx, [...users, ...before]);
  const event: OwnEventDraft = {
    projectId: schedule.projectId,
    type: "oncall.changed",
    level: "info",
    payload: {
      scheduleId: schedule.id,
      name: schedule.name,
      users: users.map((id) => shownUser(names, id)),
      before: before.map((id) => shownUser(names, id)),
      until: current ? toRfc3339(current.end) : null,
    },
  };
  await appendOwnEvents(trx, [event], { source: SOURCE, now });
  addEffect(trx, { type: "announced", event: ON_CALL_CHANGED, data: { id: schedule.id } });
  if (schedule.notifiesOff === 1) {
    const successors =
      users.length === 0
        ? "Now there is a gap."
        : `Now on call: ${await successorsText(look, names, users, current?.end ?? now)}.`;
    const message = `Your shift on ${schedule.name} is over. ${successors}`;
    for (const user of before.filter((id) => !users.includes(id) && look.counts(id)))
      await send(context, look, [user], {
        title: `Off call: ${schedule.name}`,
        message,
        data: { endedAt: toRfc3339(now) },
      });
  }
  return users;
}

/** Their names, with their days off in this time. */
async function successorsText(
  { trx, now }: DueSchedule,
  names: ReadonlyMap<string, UserName>,
  users: readonly string[],
  end: EpochMs,
) {
  const away = await awayOf(trx, users, now, end);
  const texts = users.map((id) => {
    const days = away.find(({ userId }) => userId === id);
    return days ? `${listed(names, [id])} (away ${daysText(days)}; no swap is taken)` : listed(names, [id]);
  });
  return texts.join(", ");
}

/** Notifies users of their shifts that start within their lead. @returns when the next one is due */
async function sendNotices(context: OnCallContext, look: DueSchedule): Promise<EpochMs> {
  const { trx, schedule, shifts, now } = look;
  const users = [...new Set(shifts.flatMap((shift) => shift.users))];
  const leads = await leadsOf(trx, schedule, users);
  const before = new Set(JSON.parse(schedule.onCall) as string[]);
  const sent = await sentNotices(trx, schedule.id);
  let nextAt = Number.POSITIVE_INFINITY;
  for (const user of users) {
    const lead = leads.get(user);
    if (lead === undefined) continue;
    for (const duty of dutiesOf(shifts, user)) {
      const { start, end } = duty;
      // A running shift is announced only when it was not running before.
      if (end <= now || (start <= now && before.has(user)) || sent.has(`${user} ${start}`)) continue;
      if (start - lead > now) nextAt = Math.min(nextAt, start - lead);
      else await sendNotice(context, look, user, duty);
    }
  }
  await trx
    .deleteFrom("oncall_notices")
    .where("scheduleId", "=", schedule.id)
    .where("startsAt", "<", now - BACK_MS)
    .execute();
  return nextAt;
}

async function sendNotice(
  context: OnCallContext,
  look: DueSchedule,
  user: string,
  { start, end }: CoverageGap,
): Promise<void> {
  const { trx, schedule, now } = look;
  const row = { scheduleId: schedule.id, userId: user, startsAt: start, sentAt: now };
  await trx.insertInto("oncall_notices").values(row).execute();
  const { timezone = schedule.timezone } =
    (await trx.selectFrom("users").select("timezone").where("id", "=", user).executeTakeFirst()) ?? {};
  // What comes after the days that are looked at is not known.
  const until = `${end >= now + AHEAD_MS ? "at least until" : "until"} ${localTime(end, timezone)}`;
  const isRunning = start <= now;
  const title = isRunning ? `On call now: ${schedule.name}` : `On call soon: ${schedule.name}`;
  const message = isRunning
    ? `You are on call for ${schedule.name} ${until}.`
    : `You are on call for ${schedule.name} from ${localTime(start, timezone)} ${until}.`;
  const [away] = await awayOf(trx, [user], Math.max(start, now), end);
  const warning = away
    ? ` You are away ${daysText(away)}: no swap or override is taken, so you stay on call on these days.`
    : "";
  const data = { start: toRfc3339(start), end: toRfc3339(end) };
  const proof = await context.drills.proofOf(trx, user);
  await send(context, look, [user], { title, message: message + warning + (proof ? `\n\n${proof}` : ""), data });
}

/** Reports each gap once, as long as it overlaps one that was reported. @returns the next search */
async function reportGaps(context: OnCallContext, look: DueSchedule): Promise<EpochMs> {
  const { trx, schedule, roster, counts, now } = look;
  await removeOld(look);
  if (schedule.reportsGaps === 1 && roster.layers.length > 0) {
    const known = await trx.selectFrom("oncall_gaps").selectAll().where("scheduleId", "=", schedule.id).execute();
    const fresh: CoverageGap[] = [];
    for (const gap of gapsOf(roster, now, now + AHEAD_MS, counts)) {
      const old = known.find(({ startsAt, endsAt }) => startsAt <= gap.end && endsAt >= gap.start);
      if (!old) fresh.push(gap);
      await putGap(look, old?.startsAt ?? gap.start, gap, old?.reportedAt ?? now);
    }
    if (fresh.length > 0) await announceGaps(context, look, fresh);
  }
  return now + GAPS_EVERY_MS;
}

/** A reported gap that is still open grows with the time that is searched. */
async function putGap(
  { trx, schedule }: DueSchedule,
  startsAt: EpochMs,
  gap: CoverageGap,
  reportedAt: EpochMs,
): Promise<void> {
  await trx
    .insertInto("oncall_gaps")
    .values({ scheduleId: schedule.id, startsAt, endsAt: gap.end, reportedAt })
    .onConflict((conflict) => conflict.columns(["scheduleId", "startsAt"]).doUpdateSet({ endsAt: gap.end }))
    .execute();
}

async function announceGaps(context: OnCallContext, look: DueSchedule, gaps: readonly CoverageGap[]): Promise<void> {
  const { trx, schedule, now } = look;
  const { id: scheduleId, projectId, name } = schedule;
  const payloads = gaps
    .slice(0, MAX_LISTED)
    .map(({ start, end }) => ({ start: toRfc3339(start), end: toRfc3339(end) }));
  const events = payloads.map(
    (gap): OwnEventDraft => ({ projectId, type: "oncall.gap", level: "warn", payload: { scheduleId, name, ...gap } }),
  );
  await appendOwnEvents(trx, events, { source: SOURCE, now });
  const lines = gaps
    .slice(0, MAX_LISTED)
    .map(({ start, end }) => `- ${localTime(start, schedule.timezone)} until ${localTime(end, schedule.timezone)}`);
  const more = gaps.length > MAX_LISTED ? [`and ${gaps.length - MAX_LISTED} more`] : [];
  const message = [`No user is on call on ${name} (${schedule.timezone}):`, ...lines, ...more];
  const editors = await editorsOf(context, trx, schedule);
  const notice = { title: `Gap on call: ${name}`, message: message.join("\n"), data: { gaps: payloads } };
  await send(context, look, editors, notice);
}

/** Removes what is older than schedules keep. */
async function removeOld({ trx, schedule, now }: DueSchedule): Promise<void> {
  const before = now - KEPT_MS;
  await trx
    .deleteFrom("oncall_gaps")
    .where("scheduleId", "=", schedule.id)
    .where("endsAt", "<", now - DAY_MS)
    .execute();
  for (const row of await queries.shiftsOf(trx, schedule.id)) {
    const endsAt = row.validUntil ?? (row.recurrence === null ? spanOf(row).end : Number.POSITIVE_INFINITY);
    if (endsAt < before) await queries.deleteShift(trx, row.id);
  }
}

/** The lead of each user who wants notices. */
async function leadsOf(trx: Trx, schedule: OnCallRow, users: readonly string[]): Promise<Map<string, number>> {
  const rows =
    users.length === 0 ? [] : await trx.selectFrom("oncall_users").selectAll().where("userId", "in", users).execute();
  const own = new Map(rows.map(({ userId, handoverLeadMs }) => [userId, handoverLeadMs]));
  const leads = users.map((user) => [user, own.get(user) ?? schedule.handoverLeadMs] as const);
  return new Map(leads.flatMap(([user, lead]) => (lead === null ? [] : [[user, lead]])));
}

async function sentNotices(trx: Trx, scheduleId: string): Promise<ReadonlySet<string>> {
  const rows = await trx
    .selectFrom("oncall_notices")
    .select(["userId", "startsAt"])
    .where("scheduleId", "=", scheduleId)
    .execute();
  return new Set(rows.map(({ userId, startsAt }) => `${userId} ${startsAt}`));
}
