import assert from "node:assert/strict";
import { MINUTE } from "./incidents/support.ts";
import { LEVELS, type Level } from "./promise-actions.ts";
import type { PromiseSite } from "./promise-site.ts";

/*
 * A rise of the severity of an alert that is not silenced, inhibited or muted reaches those who were told, within the
 * look: people, rooms and webhooks.
 */

/** Looks are a minute apart, and a history looks once a minute. */
const LOOK_MS = 2 * MINUTE;
export const TO_PEOPLE: ReadonlySet<string> = new Set(["notified", "fallback", "contact-notified"]);

/** Changes of an incident that make earlier notices void. */
export const VOIDS_NOTICES: ReadonlySet<string> = new Set([
  ...["acknowledged", "unacknowledged", "ack-expired", "snoozed", "unsnoozed", "snooze-ended", "steps-restarted"],
]);

export interface LogRow {
  readonly seq: number;
  readonly kind: string;
  readonly data: { readonly users?: readonly string[]; readonly pageId?: string };
}

interface Rise {
  readonly name: string;
  readonly incidentId: string;
  /** The last row of the timeline of each incident before it. */
  readonly seqs: ReadonlyMap<string, number>;
  readonly audience: Set<string>;
  until: number;
}

interface Told {
  readonly incidentId: string;
  readonly seq: number;
  /** Ids of users, and rooms and webhooks. */
  readonly audience: readonly string[];
}

interface LogData {
  readonly users?: readonly string[];
  readonly channelId?: string;
  readonly host?: string;
}

export class Rises {
  readonly #site: PromiseSite;
  #rises: Rise[] = [];

  constructor(site: PromiseSite) {
    this.#site = site;
  }

  /** The alert is about to be reported with this severity. */
  async before(name: string, level: Level): Promise<void> {
    this.forget(name);
    const { world } = this.#site;
    const row = (await world.rows()).find(
      ({ title, state, firing }) => title === name && state !== "resolved" && firing > 0,
    );
    if (!row || row.notifiedAt === null) return;
    const [member] = await world.db.read
      .selectFrom("incident_alerts as m")
      .innerJoin("alerts as a", "a.id", "m.alertId")
      .select("m.severity")
      .where("m.incidentId", "=", row.id)
      .where("m.leftAt", "is", null)
      .where("a.state", "=", "firing")
      .execute();
    const told = member?.severity ?? null;
    if (told === null || LEVELS.indexOf(level) >= LEVELS.indexOf(told)) return;
    const seqs = await this.#seqs();
    const rows = await this.#toldIn([row.id]);
    const audience = new Set(rows.flatMap((each) => each.audience));
    this.#rises.push({ name, incidentId: row.id, seqs, audience, until: world.clock.elapsed() + LOOK_MS });
  }

  /** What was expected of the alert is no longer so. */
  forget(name: string): void {
    this.#rises = this.#rises.filter((each) => each.name !== name);
  }

  forgetPerson(id: string): void {
    for (const { audience } of this.#rises) audience.delete(id);
  }

  /** Nothing can be stored for a time. */
  delay(ms: number): void {
    for (const rise of this.#rises) rise.until += ms;
  }

  async check(after: string): Promise<void> {
    const { world } = this.#site;
    const rows = new Map((await world.rows()).map((row) => [row.id, row]));
    for (const rise of [...this.#rises]) {
      const row = rows.get(rise.incidentId);
      // It is told when that ends, or by its end. What has moved is told where it was, or where it is.
      const isOver = row === undefined || (row.state === "resolved" && row.resolvedBy !== "moved");
      if (isOver || this.#site.isWithheld(row)) this.forget(rise.name);
      else if (world.clock.elapsed() >= rise.until) {
        const own = [...rows.values()].filter(({ title }) => title === rise.name).map(({ id }) => id);
        const told = (await this.#toldIn(own)).filter((each) => each.seq > (rise.seqs.get(each.incidentId) ?? 0));
        const missing = [...rise.audience].filter((id) => !told.some(({ audience }) => audience.includes(id)));
        const names = missing.map((id) => this.#site.nameOf(id) ?? id);
        assert.deepEqual(names, [], `${after}: ${rise.name} got worse, and these were not told`);
        this.forget(rise.name);
      }
    }
  }

  async #seqs(): Promise<Map<string, number>> {
    const { db } = this.#site.world;
    const rows = await db.read
      .selectFrom("incident_log")
      .select((e) => ["incidentId", e.fn.max<number>("seq").as("last")])
      .groupBy("incidentId")
      .execute();
    return new Map(rows.map(({ incidentId, last }) => [incidentId, last]));
  }

  async #toldIn(incidentIds: readonly string[]): Promise<Told[]> {
    const { db } = this.#site.world;
    const rows = await db.read
      .selectFrom("incident_log")
      .select(["incidentId", "seq", "kind", "data"])
      .where("incidentId", "in", incidentIds)
      .execute();
    return rows.map(({ kind, data, ...row }) => ({ ...row, audience: audienceOf(kind, JSON.parse(data) as LogData) }));
  }
}

function audienceOf(kind: string, { users = [], channelId, host }: LogData): readonly string[] {
  if (TO_PEOPLE.has(kind)) return users;
  if (kind === "channel") return [`room ${channelId}`];
  return kind === "webhook" ? [`webhook of ${host}`] : [];
}
