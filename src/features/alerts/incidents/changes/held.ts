import type { Database as Sqlite } from "better-sqlite3";
import { type ReadDb, rowsOf, type Trx } from "../../../../store/database.ts";
import { type AlertSeverity, type IncidentRow, isHigher, severityNamed } from "../incident.ts";

/* What waits for silenced, inhibited or muted alerts, as the timeline has it. */

type Hold = "flush" | "step" | "repeat";

/** After these rows steps and repetitions do not wait any more. */
const SENT = "('notified', 'webhook', 'channel')";

const LAST_WITHHELD = `select kind, data from incident_log where incidentId = ? and (kind = 'withheld' and data ->> 'holds' = ?
  or ? <> 'flush' and kind in ${SENT}) order by seq desc limit 1`;

/**
 * The data of the row about what an action waits for; undefined: it does not wait. Each kind of action has rows of its
 * own, which alternate. Alerts of a look wait until they are reported, whatever is sent of others meanwhile.
 */
export async function lastWithheld(db: ReadDb | Trx, incidentId: string, holds: Hold): Promise<string | undefined> {
  const [row] = await rowsOf<{ kind: string; data: string }>(db, LAST_WITHHELD, [incidentId, holds, holds]);
  return row?.kind === "withheld" ? row.data : undefined;
}

const UNNOTIFIED = `select 1 from incident_alerts m join alerts a on a.id = m.alertId where m.incidentId = @id
  and m.firingNotifiedAt is null and m.leftAt is null and a.state = 'firing' and exists (
    select 1 from incident_log l where l.incidentId = @id and l.kind = 'withheld' and l.at >= m.addedAt) limit 1`;
/** Firing alerts whose severity was told before a look withheld some. */
const TOLD = `select a.severity, m.severity as told from incident_alerts m join alerts a on a.id = m.alertId
  where m.incidentId = @id and m.severity is not null and m.firingNotifiedAt is not null and a.state = 'firing'
  and (m.leftAt is null or m.resolvedNotifiedAt is null) and exists (
    select 1 from incident_log l where l.incidentId = @id and l.kind = 'withheld' and l.data ->> 'holds' = 'flush'
    and l.at >= m.severityAt)`;
const HELD = `select distinct data ->> 'holds' as holds from incident_log where incidentId = @id and kind = 'withheld'
  and seq > (select coalesce(max(seq), 0) from incident_log where incidentId = @id and kind in ${SENT})`;

/** Actions that waited for silenced alerts when the process stopped, from members and timeline. */
export function heldReader(reader: Sqlite): (row: IncidentRow) => ReadonlySet<Hold> {
  const unnotified = reader.prepare(UNNOTIFIED);
  const told = reader.prepare<{ id: string }, { severity: string | null; told: AlertSeverity }>(TOLD);
  const isWorse = (id: string): boolean =>
    told.all({ id }).some((each) => isHigher(severityNamed(each.severity ?? ""), each.told));
  const held = reader.prepare<{ id: string }, { holds: Hold }>(HELD);
  return ({ id, lastFlushAt, flushAt }) => {
    if (lastFlushAt === null) return new Set();
    const logged = held.all({ id }).map(({ holds }) => holds);
    const isFlushHeld = flushAt !== null && (unnotified.get({ id }) !== undefined || isWorse(id));
    return new Set([...(isFlushHeld ? (["flush"] as const) : []), ...logged]);
  };
}
