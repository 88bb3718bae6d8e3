import type { EpochMs } from "../../../core/time/clock.ts";
import { type BoundStatement, type ReadDb, rowsOf, rowsOfAll, type Trx } from "../../../store/database.ts";
import type { AlertSource } from "../../../store/schema.ts";
import type { RouteSettings } from "../policies/routing.ts";
import { isWithheld, type Withheld } from "../silences/withholding.ts";
import type { MovedTo } from "./changes/told.ts";
import type { IncidentParts } from "./context.ts";
import { type AlertSeverity, HAS_FORMER, type IncidentRow, severityNamed } from "./incident.ts";
import type { Ack, Facts, Member } from "./machine.ts";
import { incidentsOf } from "./store.ts";

/* Facts for a decision about an incident, besides its row. */

/** These sources send no end of their own, or not reliably: a resolved incident ends their alerts. */
export const ENDED_BY_PEOPLE: ReadonlySet<AlertSource> = new Set([
  "pagerduty",
  "opsgenie",
  "receiver",
  "api",
  "rule",
  "prism",
]);

/** Sources of facts, besides the rows. */
export interface FactParts extends Pick<IncidentParts, "policies" | "clock" | "withheldBy"> {
  readonly pages: Pick<IncidentParts["pages"], "hasWays">;
  readonly alerts: () => Pick<ReturnType<IncidentParts["alerts"]>, "find">;
  /** Not for forecasts, which look at no other time. */
  readonly unmutedAt?: IncidentParts["unmutedAt"];
}

/** The facts of a decision; labels are read only if something may withhold them. */
export class IncidentFacts implements Facts {
  readonly members: readonly Member[];
  readonly acks: Facts["acks"];
  readonly leftOut: ReadonlySet<string>;
  readonly movedTo: MovedTo | undefined;
  readonly #parts: FactParts;
  readonly #row: Pick<IncidentRow, "projectId" | "route">;
  readonly #now: EpochMs;
  readonly #withheld = new Map<string, Withheld | null>();

  constructor(
    parts: FactParts,
    row: Pick<IncidentRow, "projectId" | "route">,
    facts: Pick<Facts, "members" | "acks" | "leftOut" | "movedTo">,
    now: EpochMs,
  ) {
    this.#parts = parts;
    this.#row = row;
    this.#now = now;
    this.members = facts.members;
    this.acks = facts.acks;
    this.leftOut = facts.leftOut ?? new Set();
    this.movedTo = facts.movedTo;
  }

  get hasWays(): boolean {
    return this.#parts.pages.hasWays;
  }

  isWithheld(alertId: string): boolean {
    return this.withheld(alertId) !== null;
  }

  /** Why an alert is withheld; null if it is not. */
  withheld(alertId: string): Withheld | null {
    const known = this.#withheld.get(alertId);
    if (known !== undefined) return known;
    const alert = this.#parts.alerts().find(alertId);
    const by = alert && this.#parts.withheldBy(alert, this.#route, this.#now);
    const found = by && isWithheld(by) ? by : null;
    this.#withheld.set(alertId, found);
    return found;
  }

  unmutedAt(): EpochMs | null {
    return this.#parts.unmutedAt?.(this.#route, this.#now) ?? null;
  }

  get #route() {
    const { muteIntervals, activeIntervals } = JSON.parse(this.#row.route) as RouteSettings;
    return { projectId: this.#row.projectId, muteIntervals, activeIntervals };
  }

  /** Intervals follow the wall clock. */
  isWithin(interval: string, at: EpochMs): boolean {
    return this.#parts.policies.isWithin(this.#row.projectId, interval, this.#parts.clock.toWall(at));
  }

  opensAt(interval: string, after: EpochMs): EpochMs {
    const { clock, policies } = this.#parts;
    return clock.fromWall(policies.nextChange(this.#row.projectId, interval, clock.toWall(after)));
  }
}

/** The facts of an incident, for one decision. */
export async function factsOf(
  parts: FactParts,
  db: ReadDb | Trx,
  row: IncidentRow,
  now: EpochMs,
): Promise<IncidentFacts> {
  return (await factsOfAll(parts, db, [row], now))(row);
}

/** {@link factsOf} for several incidents: the number of reads does not depend on that of incidents. */
export async function factsOfAll(
  parts: FactParts,
  db: ReadDb | Trx,
  rows: readonly IncidentRow[],
  now: EpochMs,
): Promise<(row: IncidentRow) => IncidentFacts> {
  const known = knownFacts(await rowsOfAll(db, factStatements(rows.map(({ id }) => id))));
  return (row) => new IncidentFacts(parts, row, known(row.id), now);
}

/** Incidents and their facts, read in one message to the writer. */
export async function readIncidents(
  parts: IncidentParts,
  trx: Trx,
  ids: readonly string[],
  now: EpochMs,
): Promise<Map<string, { readonly row: IncidentRow; readonly facts: IncidentFacts }>> {
  const [rows = [], ...facts] = await rowsOfAll(trx, [incidentsOf(ids), ...factStatements(ids)]);
  const known = knownFacts(facts);
  return new Map(
    (rows as IncidentRow[]).map((row) => [row.id, { row, facts: new IncidentFacts(parts, row, known(row.id), now) }]),
  );
}

type KnownFacts = Pick<Facts, "members" | "acks" | "leftOut" | "movedTo">;

function factStatements(ids: readonly string[]): BoundStatement[] {
  const parameters = [JSON.stringify(ids)];
  return [MEMBERS, ACKS, LEFT_OUT, MOVED_TO].map((sql) => ({ sql, parameters }));
}

function knownFacts([memberRows, ackRows, leftOutRows, movedRows]: readonly unknown[][]): (id: string) => KnownFacts {
  const members = grouped(memberRows as MemberRow[]);
  const acks = grouped(ackRows as AckRow[]);
  const leftOut = grouped(leftOutRows as LeftOutRow[]);
  const moved = grouped(movedRows as MovedRow[]);
  return (id) => ({
    members: membersFrom(members.get(id) ?? []),
    acks: acks.get(id) ?? [],
    leftOut: leftOutFrom(leftOut.get(id)),
    movedTo: movedToFrom(moved.get(id)),
  });
}

export async function membersOf(db: ReadDb | Trx, incidentId: string): Promise<readonly Member[]> {
  return membersFrom(await rowsOf<MemberRow>(db, MEMBERS, [JSON.stringify([incidentId])]));
}

export function acksOf(db: ReadDb | Trx, incidentId: string): Promise<AckRow[]> {
  return rowsOf<AckRow>(db, ACKS, [JSON.stringify([incidentId])]);
}

/** Firing alerts that the last webhooks left out. */
export async function leftOutOf(db: ReadDb | Trx, incidentId: string): Promise<ReadonlySet<string>> {
  return leftOutFrom(await rowsOf<LeftOutRow>(db, LEFT_OUT, [JSON.stringify([incidentId])]));
}

interface MemberRow extends Pick<Member, "alertId" | "addedAt" | "firingNotifiedAt" | "resolvedNotifiedAt"> {
  readonly incidentId: string;
  readonly state: string;
  readonly key: string;
  readonly timedOut: number;
  readonly severity: string | null;
  readonly toldSeverity: AlertSeverity | null;
  readonly toldAt: EpochMs | null;
  readonly leftAt: EpochMs | null;
  readonly hasFormer: 0 | 1;
}

const MEMBERS = `select m.incidentId, m.alertId, m.addedAt, m.firingNotifiedAt, m.resolvedNotifiedAt, m.leftAt, a.state, a.key,
  a.timedOut, a.severity, m.severity as toldSeverity, m.severityAt as toldAt, ${HAS_FORMER} as hasFormer
  from json_each(?) i cross join incident_alerts m on m.incidentId = i.value cross join alerts a on a.id = m.alertId
  order by m.alertId`;

function membersFrom(rows: readonly MemberRow[]): Member[] {
  // Ids grow with time: the last of equal keys counts.
  const newest = new Map(rows.map(({ key, alertId }) => [key, alertId]));
  return rows.map(({ alertId, addedAt, firingNotifiedAt, resolvedNotifiedAt, ...row }) => ({
    ...{ alertId, addedAt, firingNotifiedAt, resolvedNotifiedAt, toldSeverity: row.toldSeverity, toldAt: row.toldAt },
    isFiring: row.state === "firing" && row.leftAt === null,
    hasTimedOut: row.timedOut === 1 && newest.get(row.key) === alertId,
    severity: severityNamed(row.severity ?? ""),
    hasLeft: row.state === "firing" && row.leftAt !== null,
    hasFormer: row.hasFormer === 1,
  }));
}

interface MovedRow extends Pick<MovedTo, "id" | "number"> {
  readonly isNew: 0 | 1;
  readonly incidentId: string;
  readonly state: string;
  readonly lastFlushAt: EpochMs | null;
  readonly flushAt: EpochMs | null;
}

const MOVED_TO = `select m.incidentId, i.id, i.number, i.state, i.lastFlushAt, i.flushAt,
  coalesce(i.notifiedAt, m.leftAt) >= m.leftAt as isNew from json_each(?) e
  cross join incident_alerts m on m.incidentId = e.value and m.leftAt is not null
  cross join incident_alerts n on n.alertId = m.alertId and n.leftAt is null
  cross join incidents i on i.id = n.incidentId
  order by i.state = 'resolved', m.resolvedNotifiedAt is not null, i.number desc, isNew`;

/** The newest unresolved incident that one of the alerts moved to; moves that were not reported count first. */
function movedToFrom(rows: readonly MovedRow[] = []): MovedTo | undefined {
  const [found] = rows;
  if (!found) return undefined;
  const { id, number, state, lastFlushAt, flushAt } = found;
  const firstLookAt = state !== "resolved" && lastFlushAt === null ? flushAt : null;
  return { id, number, isNew: found.isNew === 1, firstLookAt };
}

interface AckRow extends Ack {
  readonly incidentId: string;
  readonly via: string;
}

const ACKS = `select a.* from json_each(?) i cross join incident_acks a on a.incidentId = i.value order by a.at`;

interface LeftOutRow {
  readonly incidentId: string;
  readonly data: string;
}

const LEFT_OUT = `select l.incidentId, l.data from json_each(?) i cross join incident_log l on l.incidentId = i.value
  where l.kind = 'left-out' order by l.seq`;

/** The last row counts. */
function leftOutFrom(rows: readonly LeftOutRow[] = []): ReadonlySet<string> {
  const last = rows.at(-1);
  return new Set(last ? (JSON.parse(last.data) as { alertIds: string[] }).alertIds : []);
}

function grouped<T extends { readonly incidentId: string }>(rows: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const row of rows) {
    const own = found.get(row.incidentId);
    if (own) own.push(row);
    else found.set(row.incidentId, [row]);
  }
  return found;
}
