import type { UserPrincipal } from "../../core/caller.ts";
import { createToken, hashToken, secretsEqual } from "../../core/crypto/tokens.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { DAY_MS, type EpochMs } from "../../core/time/clock.ts";
import type { UserName } from "../access/index.ts";
import { awayOf, usersOf } from "./away.ts";
import { awayIn } from "./model/away.ts";
import type { FinalShift } from "./model/layers.ts";
import * as queries from "./queries.ts";
import { peopleOf, plannedShifts, shiftsOfUser } from "./reading.ts";
import type { UpdatePreferences } from "./reading-schema.ts";
import { rosterOf } from "./roster.ts";
import type { OnCallContext } from "./schedules.ts";
import type { OnCallRow } from "./schema.ts";
import { daysText } from "./texts.ts";

const BACK_MS = 15 * DAY_MS;
const AHEAD_MS = 180 * DAY_MS;

/** The calendar of a schedule as text. @throws NOT_FOUND, also for a wrong token */
export async function scheduleCalendar(context: OnCallContext, id: string, token: string): Promise<string> {
  const { db } = context;
  const schedule = isUuid(id) ? await queries.findSchedule(db.read, id) : undefined;
  requireToken(schedule?.tokenHash, token);
  if (!schedule || !isLinkOfReader(context, schedule)) throw noCalendar();
  const shifts = await plannedShifts(context, await rosterOf(db.read, id), schedule.projectId, spanOf(context));
  const people = await peopleOf(db.read, shifts);
  const notes = await awayNotes(context, shifts);
  const events = shifts.map(({ start, end, users }) => ({
    uid: `${id}-${start}@prism`,
    start,
    end,
    summary: people(users).map(nameOf).join(", "),
    description: [schedule.name, ...notes({ start, end, users })].join("\n"),
  }));
  return calendarText({ name: schedule.name, timezone: schedule.timezone, changedAt: schedule.updatedAt, events });
}

/** The shifts of a user on all schedules. @throws NOT_FOUND, also for a wrong token */
export async function userCalendar(context: OnCallContext, userId: string, token: string): Promise<string> {
  const { db } = context;
  const row = isUuid(userId) ? await queries.preferencesOf(db.read, userId) : undefined;
  requireToken(row?.tokenHash, token);
  const user = await db.read
    .selectFrom("users")
    .select(["timezone", "updatedAt", "status", "deletedAt"])
    .where("id", "=", userId)
    .executeTakeFirst();
  if (user?.status !== "active" || user.deletedAt !== null) throw noCalendar();
  const shifts = await shiftsOfUser(context, userId, null, spanOf(context));
  const notes = await awayNotes(
    context,
    shifts.map((shift) => ({ ...shift, users: [userId] })),
  );
  const events = shifts.map(({ schedule, start, end }) => ({
    uid: `${schedule.id}-${userId}-${start}@prism`,
    start,
    end,
    summary: `On call: ${schedule.name}`,
    description: notes({ start, end, users: [userId] }).join("\n"),
  }));
  return calendarText({ name: "On call", timezone: user.timezone, changedAt: user.updatedAt, events });
}

/** Who is away in a shift: its users stay on call, so their names stay in its summary. */
async function awayNotes(context: OnCallContext, shifts: readonly Pick<FinalShift, "users">[]) {
  const { db } = context;
  const { from, to } = spanOf(context);
  const people = await peopleOf(db.read, shifts);
  const away = await awayOf(db.read, usersOf(shifts), from, to);
  return ({ start, end, users }: Pick<FinalShift, "start" | "end" | "users">): string[] =>
    awayIn(away, start, end)
      .filter(({ userId }) => users.includes(userId))
      .flatMap((days) =>
        people([days.userId]).map(
          (user) => `${nameOf(user)} is away ${daysText(days)}; no swap or override covers it.`,
        ),
      );
}

export async function readPreferences({ db }: OnCallContext, { userId }: UserPrincipal) {
  const row = await queries.preferencesOf(db.read, userId);
  return { handoverLeadMs: row?.handoverLeadMs ?? null, hasCalendarLink: (row?.tokenHash ?? null) !== null };
}

export async function updatePreferences(
  context: OnCallContext,
  principal: UserPrincipal,
  { handoverLeadMs }: UpdatePreferences,
) {
  await putPreferences(context, principal.userId, "update", { handoverLeadMs });
  return readPreferences(context, principal);
}

/** Creates the link of the caller's calendar; an earlier one ends. */
export async function createOwnLink(context: OnCallContext, { userId }: UserPrincipal) {
  const { token, hash } = createToken("prc");
  await putPreferences(context, userId, "link", { tokenHash: hash });
  return { token, url: `${context.publicUrl()}/api/v1/oncall/users/${userId}/calendar.ics?token=${token}` };
}

export function revokeOwnLink(context: OnCallContext, { userId }: UserPrincipal): Promise<void> {
  return putPreferences(context, userId, "unlink", { tokenHash: null });
}

async function putPreferences(
  { db, audit, storage }: OnCallContext,
  userId: string,
  verb: "update" | "link" | "unlink",
  values: { readonly handoverLeadMs?: number | null; readonly tokenHash?: string | null },
): Promise<void> {
  storage.requireSpace();
  await db.write(async (trx) => {
    await trx
      .insertInto("oncall_users")
      .values({ userId, handoverLeadMs: null, tokenHash: null, ...values })
      .onConflict((conflict) => conflict.column("userId").doUpdateSet(values))
      .execute();
    await audit.record({ action: `oncall_user.${verb}`, resourceType: "user", resourceId: userId }, { trx });
  });
}

/** Whether the member who made the link still reads the project: former members know the URL. */
function isLinkOfReader({ principals, projects }: OnCallContext, { projectId, tokenBy }: OnCallRow): boolean {
  if (tokenBy === null) return true;
  try {
    return projects.has(principals.ofUser(tokenBy), projectId, "events:read");
  } catch (error) {
    if (error instanceof PrismError) return false;
    throw error;
  }
}

/** Equal for an unknown calendar and a wrong secret. */
function requireToken(stored: string | null | undefined, token: string): void {
  const isRight = secretsEqual(stored ?? "", hashToken(token));
  if (!stored || !isRight) throw noCalendar();
}

function noCalendar(): PrismError {
  return new PrismError("NOT_FOUND", "No such calendar, or its link was revoked");
}

/** The span starts with a day, so that the text is the same for some time. */
function spanOf({ clock }: OnCallContext) {
  const today = Math.floor(clock.now() / DAY_MS) * DAY_MS;
  return { from: today - BACK_MS, to: today + AHEAD_MS };
}

function nameOf({ id, username, name }: UserName): string {
  return username ?? name ?? id;
}

/** An event of a calendar file. */
interface CalendarEvent {
  readonly uid: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
  readonly summary: string;
  readonly description?: string;
}

interface Calendar {
  readonly name: string;
  readonly timezone: string;
  /** When the data last changed. The text has no other time, so that equal data give equal text. */
  readonly changedAt: EpochMs;
  readonly events: readonly CalendarEvent[];
}

/** A calendar file (RFC 5545). All times are in UTC. */
export function calendarText({ name, timezone, changedAt, events }: Calendar): string {
  const lines = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Prism//On-call//EN",
    "CALSCALE:GREGORIAN",
    "METHOD:PUBLISH",
    `X-WR-CALNAME:${escaped(name)}`,
    `X-WR-TIMEZONE:${timezone}`,
    "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
    ...events.flatMap((event) => eventLines(event, changedAt)),
    "END:VCALENDAR",
  ];
  return `${lines.map(folded).join("\r\n")}\r\n`;
}

function eventLines({ uid, start, end, summary, description }: CalendarEvent, changedAt: EpochMs): string[] {
  return [
    "BEGIN:VEVENT",
    `UID:${uid}`,
    `DTSTAMP:${utc(changedAt)}`,
    `DTSTART:${utc(start)}`,
    `DTEND:${utc(end)}`,
    `SUMMARY:${escaped(summary)}`,
    ...(description ? [`DESCRIPTION:${escaped(description)}`] : []),
    "END:VEVENT",
  ];
}

/** Such as `20261123T080000Z`. */
function utc(at: EpochMs): string {
  return `${new Date(at).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

/** RFC 5545 section 3.3.11. Other control characters are not allowed in a text. */
function escaped(text: string): string {
  return text
    .replaceAll(/[\\;,]/g, "\\$&")
    .replaceAll(/\r\n|\n|\r/g, "\\n")
    .replaceAll(/\p{Cc}/gu, "");
}

const MAX_OCTETS = 75;

/** RFC 5545 section 3.1: lines of at most 75 octets, cut between characters. */
function folded(line: string): string {
  if (Buffer.byteLength(line) <= MAX_OCTETS) return line;
  let text = "";
  let octets = 0;
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (octets + size > MAX_OCTETS) {
      text += "\r\n ";
      octets = 1;
    }
    text += character;
    octets += size;
  }
  return text;
}
