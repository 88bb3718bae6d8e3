import { sql } from "kysely";
import { countText } from "../../../core/clean-text.ts";
import { DAY_MS, type EpochMs } from "../../../core/clock.ts";
import type { Principal } from "../../../core/principal.ts";
import { missingPermission } from "../../../http/access.ts";
import type { Trx } from "../../../store/database.ts";
import type { Projects } from "../../access/index.ts";
import type { Matcher } from "../model/matchers.ts";
import type { AlertView } from "../types.ts";
import type { SilenceDraft } from "./live-silence.ts";

/*
 * Silences of a person without `silences:write` who was notified of an incident: for at most a day, by
 * equality with labels of an alert of it that fires, and of no alert of which the person was not notified.
 */

const MAX_MS = DAY_MS;

interface PagedContext {
  readonly projects: Projects;
  /** The firing alerts that the matchers match. */
  readonly hits: readonly AlertView[];
}

/** @throws UNAUTHORIZED_ROLE unless the silence is one that a page allows */
export async function requirePagedSilence(
  { projects, hits }: PagedContext,
  principal: Principal,
  draft: SilenceDraft,
  now: EpochMs,
  trx: Trx,
): Promise<void> {
  const { projectId, matchers } = draft;
  if (principal.kind === "apiKey" || principal.userId === null) throw missingPermission("silences:write");
  if (!projects.mayBeGiven(principal, projectId, "silences:write")) throw missingPermission("silences:write");
  const { userId } = principal;
  const own = await ownAlert(trx, userId, projectId, matchers);
  if (!own) throw refused("no alert with it fires in an open incident that you were notified of");
  if (!isPlain(draft, now)) throw refused("of an incident that you were notified of, silence labels for a day at most");
  if (own.isNamed === 0) throw refused("add the matcher of alertname, or of each label of an alert without it");
  const others = await othersOf(trx, userId, hits);
  if (others > 0)
    throw refused(`${countText(others, "other alert matches", "other alerts match")}; add labels of the alert`);
}

function refused(hint: string) {
  return missingPermission("silences:write", hint);
}

/** Starts now, ends within a day, and has equality matchers only. */
function isPlain({ matchers, startsAt, endsAt, recurrence }: SilenceDraft, now: EpochMs): boolean {
  const isNow = startsAt === null || startsAt <= now;
  const isEqual = matchers.every(({ operator, value }) => operator === "=" && value !== "");
  return recurrence === null && isNow && isEqual && endsAt <= now + MAX_MS;
}

/**
 * A firing alert with these labels, of an open incident of which the user was notified. It is named if
 * its alertname is among them, or all labels of an alert without that: what fires later is matched too.
 */
async function ownAlert(trx: Trx, userId: string, projectId: string, matchers: readonly Matcher[]) {
  const wanted = JSON.stringify(matchers.map(({ name, value }) => [name, value]));
  const { rows } = await sql<{ isNamed: 0 | 1 }>`select not exists (select 1 from json_each(a.labels) l
      where (l.key = 'alertname' or json_type(a.labels, '$.alertname') is null)
      and not exists (select 1 from json_each(${wanted}) w where l.key = w.value ->> 0)) as isNamed
    from incidents i join incident_alerts m on m.incidentId = i.id join alerts a on a.id = m.alertId
    where i.projectId = ${projectId} and i.state <> 'resolved' and a.state = 'firing' and ${wasNotified(userId)}
    and not exists (select 1 from json_each(${wanted}) w where not exists (
      select 1 from json_each(a.labels) l where l.key = w.value ->> 0 and l.value = w.value ->> 1))
    order by isNamed desc limit 1`.execute(trx);
  return rows[0];
}

/** How many of the alerts are in no open incident of which the user was notified. */
async function othersOf(trx: Trx, userId: string, alerts: readonly AlertView[]): Promise<number> {
  const ids = JSON.stringify(alerts.map(({ id }) => id));
  const { rows } = await sql<{ others: number }>`select count(*) as others from json_each(${ids}) e where not exists (
    select 1 from incident_alerts m join incidents i on i.id = m.incidentId
    where m.alertId = e.value and i.state <> 'resolved' and ${wasNotified(userId)})`.execute(trx);
  return rows[0]?.others ?? 0;
}

function wasNotified(userId: string) {
  return sql<boolean>`exists (select 1 from notifications n join notification_recipients r on r.notificationId = n.id
    where n.incidentId = i.id and r.userId = ${userId})`;
}
