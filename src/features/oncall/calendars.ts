import { sha256Hex } from "../../core/crypto/tokens.ts";
import { cleanText, startOf } from "../../core/text/clean-text.ts";
import { DAY_MS, type EpochMs, HOUR_MS } from "../../core/time/clock.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { CalendarUnreadable, type EventPeople, type LeftOut, type ReadFile } from "./calendar-read.ts";
import { readInThread } from "./calendar-thread.ts";
import { editorsOf } from "./look.ts";
import type { CalendarRow } from "./queries.ts";
import * as queries from "./queries.ts";
import { type CalendarSpan, pastOf, spansOf } from "./roster.ts";
import { KEPT_MS, noteChange, type OnCallContext } from "./schedules.ts";
import type { OnCallRow } from "./schema.ts";

const EVERY_MS = 600_000;
/** Names in one calendar, and addresses of attendees; each is looked up. */
const MAX_NAMES = 1000;
/** Events of one level at a time that count: each change of who is on call looks at all of them. */
const MAX_AT_A_TIME = 10;
/** Unknown names and events that are left out, in the text of the problem. */
const MAX_LISTED = 20;
/** Characters of the summary of an event that is left out. */
const SHOWN_SUMMARY = 80;
/** Events are stored this far ahead; they are read again each day. */
const AHEAD_MS = 400 * DAY_MS;
/** Largest calendar file. */
export const MAX_CALENDAR_BYTES = 1_048_576;

/** The file of a calendar, or why there is none. */
type Answer =
  | { readonly state: "unchanged" }
  /** `isCostly`: another try would take much time, too. */
  | { readonly state: "failed"; readonly error: string; readonly isCostly?: boolean }
  | {
      readonly state: "read";
      readonly etag: string | null;
      readonly hash: string;
      readonly file: ReadFile;
    };

/** Reads the calendar of a schedule, if it has one, and stores its events. Its stored past shifts are kept. */
export async function importCalendar(context: OnCallContext, scheduleId: string): Promise<void> {
  const { db, clock } = context;
  const schedule = await queries.findSchedule(db.read, scheduleId);
  const row = schedule && (await queries.calendarOf(db.read, scheduleId));
  if (!schedule || !row || row.url === null) return;
  const answer = await fetchCalendar(context, schedule, row);
  await db.write(async (trx) => {
    const current = await queries.calendarOf(trx, scheduleId);
    if (!current || current.url === null) return;
    const now = clock.now();
    // The URL was changed meanwhile: that one is read at once.
    const isOther = current.url !== row.url;
    const dueAt = isOther ? now : now + waitAfter(current, answer);
    addEffect(trx, { type: "oncall-due", id: scheduleId, calendarAt: dueAt });
    if (!isOther) await storeAnswer(context, trx, schedule, current, { answer, now, dueAt });
  });
}

/** A file that takes too long is read again after an hour, then each day. */
function waitAfter(row: CalendarRow, answer: Answer): number {
  if (answer.state !== "failed" || !answer.isCostly) return EVERY_MS;
  return row.error === answer.error ? DAY_MS : HOUR_MS;
}

async function fetchCalendar({ fetch, clock }: OnCallContext, schedule: OnCallRow, row: CalendarRow): Promise<Answer> {
  const now = clock.now();
  const isFresh = row.error === null && row.changedAt !== null && now - row.changedAt < DAY_MS;
  const known = isFresh && row.etag !== null ? { "If-None-Match": row.etag } : {};
  try {
    const headers = { Accept: "text/calendar", ...known };
    const { status, headers: given, body, isWhole } = await fetch.request(row.url ?? "", { method: "GET", headers });
    if (status === 304) return { state: "unchanged" };
    if (status !== 200) return { state: "failed", error: `the server answered ${status}` };
    if (!isWhole)
      return { state: "failed", error: `it is larger than ${MAX_CALENDAR_BYTES} bytes, or did not arrive in time` };
    const hash = sha256Hex(body);
    if (isFresh && hash === row.hash) return { state: "unchanged" };
    const options = { timezone: schedule.timezone, from: now - KEPT_MS, to: now + AHEAD_MS };
    const file = await readInThread({ text: body.toString("utf8"), options });
    if (new Set(file.events.flatMap(({ names }) => names)).size > MAX_NAMES)
      return { state: "failed", error: `it names more than ${MAX_NAMES} users` };
    return { state: "read", etag: typeof given["etag"] === "string" ? given["etag"] : null, hash, file };
  } catch (error) {
    if (error instanceof CalendarUnreadable) return { state: "failed", error: error.message, isCostly: error.isCostly };
    return { state: "failed", error: `it could not be fetched: ${error instanceof Error ? error.message : "unknown"}` };
  }
}

async function storeAnswer(
  context: OnCallContext,
  trx: Trx,
  schedule: OnCallRow,
  row: CalendarRow,
  { answer, now, dueAt }: { readonly answer: Answer; readonly now: EpochMs; readonly dueAt: EpochMs },
): Promise<void> {
  const next = { checkedAt: now, dueAt };
  if (answer.state === "unchanged") {
    await update(trx, schedule.id, next);
    return;
  }
  if (answer.state === "failed") {
    // The events of the last readable file stay in effect.
    await update(trx, schedule.id, { ...next, error: answer.error });
    await reportError(context, trx, schedule, row, answer.error);
    return;
  }
  const { spans, error } = toSpans(context, schedule, answer.file);
  // The first answer also gives the past; later the stored past is kept.
  const past = pastOf(row.hash === null && row.content === null ? spans : spansOf(row), now);
  const content = JSON.stringify([...past.filter(({ end }) => end > now - KEPT_MS), ...futureOf(spans, now)]);
  const { etag, hash } = answer;
  await update(trx, schedule.id, { ...next, etag, hash, content, error, changedAt: now });
  if (content !== row.content) await noteChange(trx, schedule.id, now);
  await reportError(context, trx, schedule, row, error);
}

async function update(trx: Trx, scheduleId: string, values: Partial<CalendarRow>): Promise<void> {
  await trx.updateTable("oncall_calendars").set(values).where("scheduleId", "=", scheduleId).execute();
}

function futureOf(spans: readonly CalendarSpan[], now: EpochMs): CalendarSpan[] {
  return spans.filter(({ end }) => end > now).map((span) => ({ ...span, start: Math.max(span.start, now) }));
}

/** The events with the users that they name, and what is wrong with the others; null: nothing is. */
function toSpans(context: OnCallContext, { projectId }: OnCallRow, { events, leftOut }: ReadFile) {
  const people = new People(context, projectId);
  const unknown = new Set<string>();
  const all = events.flatMap(({ id, start, end, level, ...named }): CalendarSpan[] => {
    const { users, missing } = people.of(named);
    for (const name of missing) unknown.add(name);
    return users.length === 0 ? [] : [{ id, start, end, level, users }];
  });
  const spans = fewAtATime(all);
  // An event that puts no user on call may be anything.
  const missed = leftOut.filter((event) => people.of(event).users.length > 0).map(leftOutText);
  const problems = [
    ...(unknown.size > 0 ? [`it names unknown users: ${[...unknown].slice(0, MAX_LISTED).join(", ")}`] : []),
    ...(people.hasLeftOut ? [`it has more than ${MAX_NAMES} attendees, and the others are not looked up`] : []),
    ...(spans.length < all.length
      ? [`it has more than ${MAX_AT_A_TIME} events of a level at a time, and the later ones do not count`]
      : []),
    ...(missed.length > 0 ? [`events are left out: ${listed(missed)}`] : []),
  ];
  return { spans, error: problems.length === 0 ? null : problems.join("; ") };
}

/** Without those that begin while {@link MAX_AT_A_TIME} of their level go on, by their starts. */
function fewAtATime(spans: readonly CalendarSpan[]): CalendarSpan[] {
  const running = new Map<number, CalendarSpan[]>();
  return spans
    .toSorted((left, right) => left.start - right.start)
    .filter((span) => {
      const others = (running.get(span.level) ?? []).filter(({ end }) => end > span.start);
      const counts = others.length < MAX_AT_A_TIME;
      running.set(span.level, counts ? [...others, span] : others);
      return counts;
    });
}

/** Users by username, external id, verified mail address or a display name that is one's alone, each looked up once. */
class People {
  readonly #users: OnCallContext["users"];
  readonly #names = new Map<string, string | undefined>();
  readonly #attendees = new Map<string, string | undefined>();
  readonly #projectId: string;
  #displayNames: ReadonlyMap<string, string> | undefined;
  hasLeftOut = false;

  constructor({ users }: OnCallContext, projectId: string) {
    this.#users = users;
    this.#projectId = projectId;
  }

  /** @returns `missing`: names of the summary without a user; none if its attendees are users */
  of({ names, attendees }: EventPeople): { users: string[]; missing: readonly string[] } {
    const found = names.map((name) => this.#look(this.#names, name) ?? this.#displayed(name));
    const users = found.filter((id) => id !== undefined);
    if (users.length > 0) return { users, missing: names.filter((_, at) => found[at] === undefined) };
    const present = new Set(attendees.flatMap((address) => this.#attendee(address) ?? []));
    return { users: [...present], missing: present.size > 0 ? [] : names };
  }

  #displayed(name: string): string | undefined {
    this.#displayNames ??= this.#users.byDisplayName(this.#projectId);
    return this.#displayNames.get(name.toLowerCase());
  }

  #attendee(address: string): string | undefined {
    if (this.#attendees.has(address) || this.#attendees.size < MAX_NAMES) return this.#look(this.#attendees, address);
    this.hasLeftOut = true;
    return undefined;
  }

  #look(known: Map<string, string | undefined>, name: string): string | undefined {
    if (!known.has(name)) known.set(name, this.#users.find(name));
    return known.get(name);
  }
}

function leftOutText({ summary, start, reason }: LeftOut): string {
  const name = cleanText(summary);
  const shown = name.length <= SHOWN_SUMMARY ? name : `${startOf(name, SHOWN_SUMMARY)}…`;
  return `"${shown}"${start === "" ? "" : ` from ${start}`} (${reason})`;
}

function listed(texts: readonly string[]): string {
  const more = texts.length - MAX_LISTED;
  return `${texts.slice(0, MAX_LISTED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Notifies those who may change the schedule, once for each new error. */
async function reportError(
  context: OnCallContext,
  trx: Trx,
  schedule: OnCallRow,
  row: CalendarRow,
  error: string | null,
): Promise<void> {
  if (error === null || error === row.error) return;
  const { id, projectId, name } = schedule;
  const recipients = await editorsOf(context, trx, schedule);
  if (recipients.length === 0) return;
  const message = `The calendar of ${name} has a problem: ${error}.`;
  const title = `Calendar of ${name}`;
  await context.notify.send(
    { kind: "oncall", recipients, projectId, title, message, data: { scheduleId: id } },
    { trx },
  );
}
