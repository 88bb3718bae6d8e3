import type { Updateable } from "kysely";
import { DAY_MS, type EpochMs, HOUR_MS, instantOf, zoneOffsetMs } from "../../../core/time/clock.ts";
import { DueTimes, SteadyClock } from "../../../core/time/due-times.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { DrillPeopleTable } from "../../../store/schema/alerts.ts";
import { quietUntil } from "../../delivery/index.ts";
import type { OnCallSpan } from "../index.ts";
import { startDrill } from "./drill.ts";
import type { DrillParts } from "./ways.ts";
import { waysOfUsers } from "./ways.ts";

/* The weekly drills: of people who are on call within 7 days, at the hour that each chose. */

export const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const;
/** Who is on call within this time has a drill. */
export const AHEAD_MS = 7 * DAY_MS;
/** A day more than {@link AHEAD_MS}: the plan is looked at once a day. */
const LOOK_AHEAD_MS = AHEAD_MS + DAY_MS;
/** A drill that is later, because no server ran, waits for the chosen hour of the next day. */
const LATE_MS = HOUR_MS;

interface Slot {
  /** 0 is Sunday; null: every day. */
  readonly day: number | null;
  readonly hour: number;
}

/** The first instant after `after` at which clocks of the zone show the hour of the day. */
export function nextSlot({ day, hour }: Slot, timezone: string, after: EpochMs): EpochMs {
  const midnight = Math.floor((after + zoneOffsetMs(timezone, after)) / DAY_MS) * DAY_MS;
  for (let wall = midnight + hour * HOUR_MS; ; wall += DAY_MS) {
    if (day !== null && new Date(wall).getUTCDay() !== day) continue;
    const at = instantOf(wall, timezone);
    if (at > after) return at;
  }
}

export interface PlanParts extends DrillParts {
  /** Who is on call at some time of a span, on the schedules of all projects but mirrors. */
  onCallBetween(db: ReadDb, span: { readonly from: EpochMs; readonly to: EpochMs }): Promise<readonly OnCallSpan[]>;
}

/** When a person has the next weekly drill. */
export interface PlannedDrill {
  readonly slot: Slot;
  readonly timezone: string;
  readonly takesPart: boolean;
  /** Null: not on call within 7 days, does not take part, or weekly drills are off. */
  readonly nextAt: EpochMs | null;
}

/**
 * Plans the weekly drills and starts them. It looks at the schedules when one of them changes, once a
 * day, and when a drill is due; without schedules it does nothing.
 */
export class DrillPlan {
  readonly #parts: PlanParts;
  /** When to look again. */
  readonly due: DueTimes<"look">;
  readonly #clock: SteadyClock;

  constructor(parts: PlanParts) {
    this.#parts = parts;
    this.#clock = new SteadyClock(parts.clock);
    this.due = new DueTimes({
      clock: this.#clock,
      read: () => [["look", this.#clock.now()]],
      handle: async () => this.due.set("look", await this.#look()),
      onError: (err) => parts.log.warn({ err }, "planning weekly drills failed; retrying"),
    });
  }

  /** Schedules, settings or choices of people have changed. */
  async changed(): Promise<void> {
    this.due.set("look", this.#clock.now());
    await this.due.check();
  }

  /** Starts what is due. @returns when to look again; null: nothing is planned */
  async #look(): Promise<EpochMs | null> {
    const { db, settings, pages } = this.#parts;
    const now = this.#clock.now();
    const spans = settings().drill.enabled
      ? await this.#parts.onCallBetween(db.read, { from: now, to: now + LOOK_AHEAD_MS })
      : [];
    await this.#forgetOthers(new Set(spans.map(({ userId }) => userId)));
    if (spans.length === 0) return null;
    let lookAt = now + DAY_MS;
    if (!pages.hasWays) return lookAt;
    for (const span of spans) lookAt = Math.min(lookAt, (await this.#planOf(span, now)) ?? lookAt);
    return lookAt;
  }

  /** Who is no longer on call has no plan. */
  async #forgetOthers(onCall: ReadonlySet<string>): Promise<void> {
    const { db } = this.#parts;
    const planned = await db.read
      .selectFrom("drill_people")
      .select("userId")
      .where("plannedAfter", "is not", null)
      .execute();
    const gone = planned.flatMap(({ userId }) => (onCall.has(userId) ? [] : [userId]));
    if (gone.length === 0) return;
    await db.write((trx) =>
      trx
        .updateTable("drill_people")
        .set({ plannedAfter: null, deferredUntil: null })
        .where("userId", "in", gone)
        .execute(),
    );
  }

  /** @returns when the next drill of the person is due; null: the person takes part in none */
  async #planOf({ userId, from }: OnCallSpan, now: EpochMs): Promise<EpochMs | null> {
    const { db } = this.#parts;
    const person = await personOf(this.#parts, db.read, userId);
    if (!person) return null;
    if (person.plannedAfter === null) {
      await db.write((trx) => saveChoices(trx, userId, { plannedAfter: now, deferredUntil: null }));
      return person.takesPart ? dueOf({ ...person, plannedAfter: now, deferredUntil: null }) : null;
    }
    if (!person.takesPart) return null;
    const dueAt = dueOf(person);
    if (dueAt === null || dueAt > now) return dueAt;
    const next = await db.write((trx) => this.#whenDue(trx, person, dueAt, from - now <= AHEAD_MS, now));
    return dueOf({ ...person, ...next });
  }

  /** Starts a drill, or defers it. */
  async #whenDue(
    trx: Trx,
    person: Person,
    dueAt: EpochMs,
    isOnCallSoon: boolean,
    now: EpochMs,
  ): Promise<Pick<Person, "plannedAfter" | "deferredUntil">> {
    const { userId, slot, timezone } = person;
    const deferred = (deferredUntil: EpochMs) => ({ plannedAfter: person.plannedAfter, deferredUntil });
    const quietEnd = quietEndOf(person, now);
    let next: Pick<Person, "plannedAfter" | "deferredUntil"> = { plannedAfter: now, deferredUntil: null };
    if (isOnCallSoon) {
      if (now - dueAt > LATE_MS) next = deferred(nextSlot({ day: null, hour: slot.hour }, timezone, now));
      else if (quietEnd !== null) next = deferred(quietEnd);
      else if (await hasUrgentIncident(trx, userId)) next = deferred(now + HOUR_MS);
      else if ((await waysOfUsers(this.#parts, trx, [userId])).length > 0)
        await startDrill(this.#parts, trx, userId, null);
    }
    await saveChoices(trx, userId, next);
    return next;
  }
}

interface Person extends Omit<PlannedDrill, "nextAt"> {
  readonly userId: string;
  readonly quietHours: { readonly from: string; readonly to: string } | null;
  readonly plannedAfter: EpochMs | null;
  readonly deferredUntil: EpochMs | null;
}

function dueOf({ slot, timezone, plannedAfter, deferredUntil }: Person): EpochMs | null {
  return plannedAfter === null ? null : (deferredUntil ?? nextSlot(slot, timezone, plannedAfter));
}

/** When a person has weekly drills; undefined for an unknown user. */
export async function plannedDrill(
  parts: Pick<DrillParts, "settings">,
  db: ReadDb | Trx,
  userId: string,
): Promise<PlannedDrill | undefined> {
  const person = await personOf(parts, db, userId);
  if (!person) return undefined;
  const { slot, timezone, takesPart } = person;
  const isOn = takesPart && parts.settings().drill.enabled;
  return { slot, timezone, takesPart, nextAt: isOn ? dueOf(person) : null };
}

/** When quiet hours end that the person has now; null: it has none now. */
export function quietEndOf({ timezone, quietHours }: Pick<Person, "timezone" | "quietHours">, now: EpochMs) {
  return quietHours ? quietUntil(now, timezone, quietHours) : null;
}

export async function personOf(
  { settings }: Pick<DrillParts, "settings">,
  db: ReadDb | Trx,
  userId: string,
): Promise<Person | undefined> {
  const row = await db
    .selectFrom("users as u")
    .leftJoin("drill_people as d", "d.userId", "u.id")
    .select(["u.timezone", "u.prefs", "d.day", "d.hour", "d.takesPart", "d.plannedAfter", "d.deferredUntil"])
    .where("u.id", "=", userId)
    .where("u.deletedAt", "is", null)
    .executeTakeFirst();
  if (!row) return undefined;
  const { drill } = settings();
  const { quietHours = null } = JSON.parse(row.prefs) as Partial<Pick<Person, "quietHours">>;
  const { timezone, plannedAfter, deferredUntil } = row;
  const slot = { day: row.day ?? DAYS.indexOf(drill.day), hour: row.hour ?? drill.hour };
  return { userId, slot, timezone, quietHours, takesPart: row.takesPart !== 0, plannedAfter, deferredUntil };
}

/** Stores some values of a person; those not given stay as they are. */
export async function saveChoices(
  trx: Trx,
  userId: string,
  values: Omit<Updateable<DrillPeopleTable>, "userId">,
): Promise<void> {
  await trx
    .insertInto("drill_people")
    .values({ userId, day: null, hour: null, plannedAfter: null, deferredUntil: null, ...values })
    .onConflict((conflict) => conflict.column("userId").doUpdateSet(values))
    .execute();
}

/** Whether an unresolved incident of high urgency has paged the person. */
export async function hasUrgentIncident(db: ReadDb | Trx, userId: string): Promise<boolean> {
  const row = await db
    .selectFrom("incidents as i")
    .select("i.id")
    .where("i.state", "in", ["open", "acknowledged"])
    .where("i.urgency", "=", "high")
    .where((e) =>
      e.exists(
        e.selectFrom("pages as p").select("p.id").whereRef("p.incidentId", "=", "i.id").where("p.userId", "=", userId),
      ),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
