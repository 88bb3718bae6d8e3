import { countText } from "../../../core/text/clean-text.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import type { Trx } from "../../../store/database.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import { silentKey } from "../book/senders.ts";
import type { RouteMatch, RouteSettings, SilentSource } from "../policies/routing.ts";
import { isWithheld } from "../silences/withholding.ts";
import type { AlertInput, AlertView } from "../types.ts";
import type { IncidentParts } from "./context.ts";
import { membersOf } from "./facts.ts";
import type { IncidentRow } from "./incident.ts";
import { candidatesOf, type Notice, notifyUsers } from "./notices.ts";
import {
  addLog,
  addSameLog,
  changeIncidents,
  incidentsById,
  lastLog,
  lastTimedOut,
  notifiedUsers,
  reportOf,
  type TimedOutAlert,
  timedOutSince,
} from "./store.ts";
import { noteChanged } from "./view.ts";

/*
 * A source that falls silent ends none of its alerts. When several incidents time out and nothing
 * came from their sender since, one incident reports that in their place: it goes to their people,
 * and they end without notifying anyone. All of it is in the transaction of the time-outs.
 */

/** Incidents that time out within this time may have one cause. */
const WINDOW_MS = 120_000;
/** So many of them are a silent source. */
const MIN_INCIDENTS = 3;
const ALERT_NAME = "SourceSilent";
/** A row of the timeline names this many incidents. */
const LISTED = 100;

/** An incident whose last firing alert was not repeated, and the sender of that alert. */
export interface TimedOut {
  readonly row: IncidentRow;
  readonly sender: string;
}

/** Opens an incident with an alert by the given route. */
type Open = (alert: AlertView, match: RouteMatch) => Promise<IncidentRow>;

/** Looks for silent sources among the senders of incidents that time out in this transaction. */
export async function timedOut(
  parts: IncidentParts,
  trx: Trx,
  incidents: readonly TimedOut[],
  now: EpochMs,
  open: Open,
): Promise<void> {
  const groups = new Map<string, TimedOut[]>();
  for (const each of incidents) {
    const key = `${each.row.projectId}\n${each.sender}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  for (const group of groups.values()) {
    const [{ row, sender } = { row: undefined, sender: "" }] = group;
    if (!row) continue;
    const source = new Source(parts, trx, { projectId: row.projectId, sender, now });
    const rows = group.map((each) => each.row);
    await source.timedOut(rows, open);
  }
}

/** One sender in one project, within one transaction. */
class Source {
  readonly #parts: IncidentParts;
  readonly #trx: Trx;
  readonly #projectId: string;
  readonly #sender: string;
  readonly #now: EpochMs;

  constructor(
    parts: IncidentParts,
    trx: Trx,
    { projectId, sender, now }: { readonly projectId: string; readonly sender: string; readonly now: EpochMs },
  ) {
    this.#parts = parts;
    this.#trx = trx;
    this.#projectId = projectId;
    this.#sender = sender;
    this.#now = now;
  }

  async timedOut(rows: readonly IncidentRow[], open: Open): Promise<void> {
    const report = await reportOf(this.#trx, this.#projectId, silentKey(this.#sender));
    if (report) {
      // Not if its sender was heard since: the report is about to end.
      const isOver = (this.#heardAt ?? 0) > (this.#parts.alerts().find(report.alertId)?.lastAt ?? this.#now);
      return isOver ? undefined : this.#handOver(report.row, rows);
    }
    const recent = await timedOutSince(this.#trx, this.#projectId, this.#sender, this.#now - WINDOW_MS);
    if (!this.#isQuiet(recent)) return;
    const ids = [...new Set(recent.map(({ incidentId }) => incidentId))];
    const ended = (await incidentsById(this.#trx, ids)).filter(({ firing }) => firing === 0);
    const missing = MIN_INCIDENTS - ended.length;
    if (missing > 0) return this.#hold(rows, missing);
    const first = await this.#firstOf(ended);
    if (first) await this.#handOver(await this.#report(first, ended, open), ended);
  }

  get #heardAt(): EpochMs | null {
    return this.#parts.alerts().lastHeard(this.#sender);
  }

  /** Nothing came for half the time after which its alerts time out: senders repeat them more often. */
  #isQuiet(recent: readonly TimedOutAlert[]): boolean {
    const { clock } = this.#parts;
    let [timeoutMs, lastAt] = [Number.POSITIVE_INFINITY, this.#heardAt ?? 0];
    for (const each of recent) {
      timeoutMs = Math.min(timeoutMs, clock.fromWall(each.endsAt ?? 0) - each.lastAt);
      lastAt = Math.max(lastAt, each.lastAt);
    }
    return this.#now - lastAt >= Math.max(0, timeoutMs) / 2;
  }

  /**
   * The incident whose policy is followed: one that people were notified of, of the highest urgency.
   * Undefined if all are withheld: then no one waits for their alerts.
   */
  async #firstOf(ended: readonly IncidentRow[]): Promise<IncidentRow | undefined> {
    const sorted = ended.toSorted(
      (a, b) =>
        Number(b.notifiedAt !== null) - Number(a.notifiedAt !== null) ||
        Number(b.urgency === "high") - Number(a.urgency === "high") ||
        b.alerts - a.alerts,
    );
    for (const row of sorted) if (!(await this.#isWithheld(row))) return row;
    return undefined;
  }

  async #isWithheld({ id, projectId, route }: IncidentRow): Promise<boolean> {
    const { alerts, withheldBy } = this.#parts;
    const last = await lastTimedOut(this.#trx, id, this.#sender);
    const [alert] = last === undefined ? [] : await alerts().read([last], this.#trx);
    if (!alert) return true;
    const { muteIntervals, activeIntervals } = JSON.parse(route) as RouteSettings;
    return isWithheld(withheldBy(alert, { projectId, muteIntervals, activeIntervals }, this.#now));
  }

  /** Opens the incident about the source, with an alert of its own. It follows the policy of `first`. */
  async #report(first: IncidentRow, ended: readonly IncidentRow[], open: Open): Promise<IncidentRow> {
    const { policies } = this.#parts;
    const isHigh = ended.some(({ notifiedAt, urgency }) => notifiedAt !== null && urgency === "high");
    const silentSource = { sender: this.#sender, urgency: isHigh ? "high" : "low", incidents: 0, people: [] } as const;
    const route = JSON.parse(first.route) as RouteSettings;
    const policy = [...policies.of(this.#projectId).values()].find(({ id }) => id === first.policyId);
    const own = { groupBy: [], groupWaitMs: 0, labels: {}, path: [], policy: policy?.name ?? route.policy };
    const alert = await this.#state(silentSource.urgency, ended.length);
    return open(alert, {
      settings: { ...route, ...own, silentSource },
      groupKey: `{}:{alertname="${ALERT_NAME}", sender=${JSON.stringify(this.#sender)}}`,
      groupLabels: { ...alert.labels },
    });
  }

  /** Fires the alert about the source, or changes its text. */
  async #state(urgency: Urgency, incidents: number): Promise<AlertView> {
    const { alerts } = this.#parts;
    const { noun, name } = await nameOf(this.#trx, this.#sender);
    const since = this.#heardAt === null ? "" : ` since ${toRfc3339(this.#heardAt)}`;
    const ended = countText(incidents, "incident");
    const input: AlertInput = {
      projectId: this.#projectId,
      source: "prism",
      sourceId: this.#sender,
      key: silentKey(this.#sender),
      labels: { alertname: ALERT_NAME, sender: name },
      annotations: {
        summary: `Source silent: ${name}`,
        description: `Nothing came from the ${noun} ${name}${since}. ${ended} ended because their alerts were not repeated in time; the problems may still exist.`,
      },
      severity: urgency === "high" ? "critical" : "warning",
    };
    const [outcome] = await alerts().submit([input], { trx: this.#trx });
    if (outcome?.alert) return outcome.alert;
    throw outcome?.status === "refused" ? outcome.error : new TypeError("the alert of a silent source was not taken");
  }

  /** The incidents end without people, who have the incident about the source. */
  async #handOver(report: IncidentRow, ended: readonly IncidentRow[]): Promise<void> {
    const live = ended.filter(({ state }) => state !== "resolved");
    const ends = { sourceIncidentId: report.id, flushAt: this.#now };
    const entry = { kind: "handed-over", data: { incidentId: report.id, number: report.number } };
    await addSameLog(this.#trx, live, entry, this.#now);
    noteChanged(this.#trx, await changeIncidents(this.#trx, live, ends, this.#now));

    const route = JSON.parse(report.route) as RouteSettings & { readonly silentSource: SilentSource };
    const { silentSource: before } = route;
    const added = await this.#peopleOf(report, ended, new Set(before.people));
    const incidents = before.incidents + ended.length;
    if (before.incidents > 0) await this.#state(before.urgency, incidents);
    const silentSource = { ...before, incidents, people: [...before.people, ...added].sort() };
    const changes = { route: JSON.stringify({ ...route, silentSource }) };
    const [changed = report] = await changeIncidents(this.#trx, [report], changes, this.#now);
    const listed = ended.slice(0, LISTED).map(({ id, number }) => ({ id, number }));
    const data = { sender: this.#sender, incidents: listed, count: ended.length };
    addLog(this.#trx, report.id, [{ kind: "source-silent", data }], this.#now);
    noteChanged(this.#trx, [added.length > 0 ? await this.#page(changed, added) : changed]);
  }

  /** Who was notified of the incidents, or would have been; without those who are known. */
  async #peopleOf(report: IncidentRow, ended: readonly IncidentRow[], known: ReadonlySet<string>): Promise<string[]> {
    const ids = ended.map(({ id }) => id);
    const found = new Set(await notifiedUsers(this.#trx, ids));
    const policies = new Set([report.policyId]);
    for (const row of ended) {
      if (row.notifiedAt !== null || policies.has(row.policyId) || (await this.#isWithheld(row))) continue;
      policies.add(row.policyId);
      for (const id of await this.#firstTargetsOf(row)) found.add(id);
    }
    return [...found].filter((id) => !known.has(id)).sort();
  }

  /** The users of the first step that notifies users. */
  async #firstTargetsOf({ policyId, policyVersion, projectId }: IncidentRow): Promise<readonly string[]> {
    const { steps } = this.#parts.policies.definitionOf({ id: policyId, version: policyVersion });
    const notify = steps.find((step) => step.type === "notify");
    if (!notify) return [];
    const { users } = await candidatesOf(this.#parts, this.#trx, projectId, notify, this.#now);
    return notify.roundRobin ? users.slice(0, 1) : users;
  }

  /** Notifies people whose incidents ended after the step of the report that would have notified them. */
  async #page(report: IncidentRow, people: readonly string[]): Promise<IncidentRow> {
    const { id, policyId, policyVersion, projectId, state, snoozedUntil, urgency } = report;
    const { steps } = this.#parts.policies.definitionOf({ id: policyId, version: policyVersion });
    const isFuture = steps.some(({ type }) => type === "notify") && !(await lastLog(this.#trx, id, ["notified"]));
    const users = this.#parts.users.reachable(people, projectId);
    if (isFuture || users.length === 0) return report;
    const notice: Notice = {
      reason: "step",
      urgency: state === "open" && snoozedUntil === null ? urgency : "low",
      cause: "The source of an incident that you were notified of is silent",
      alerts: await this.#alertsOf(id),
      lateSince: null,
      resolvedBy: null,
      number: report.notices + 1,
      step: null,
    };
    const sent = await notifyUsers(this.#parts, this.#trx, report, users, notice, this.#now);
    const shown = { users: users.slice(0, LISTED), count: users.length, urgency: notice.urgency };
    addLog(this.#trx, id, [{ kind: "notified", data: { reason: "silent-source", ...shown, ...sent } }], this.#now);
    const [changed = report] = await changeIncidents(this.#trx, [report], { notices: notice.number }, this.#now);
    noteChanged(this.#trx, [changed], { sent: { step: users.length } });
    return changed;
  }

  async #alertsOf(incidentId: string): Promise<AlertView[]> {
    const members = await membersOf(this.#trx, incidentId);
    return this.#parts.alerts().read(
      members.map(({ alertId }) => alertId),
      this.#trx,
    );
  }

  /** While more incidents may follow, people are not yet notified of these ends. */
  async #hold(rows: readonly IncidentRow[], missing: number): Promise<void> {
    const until = this.#now + WINDOW_MS;
    const held = rows.filter(({ notifiedAt, flushAt }) => notifiedAt !== null && (flushAt ?? until) < until);
    if (held.length === 0) return;
    const ending = this.#parts.alerts().countEnding(this.#projectId, this.#sender, until, missing);
    if (ending < missing) return;
    noteChanged(this.#trx, await changeIncidents(this.#trx, held, { flushAt: until }, this.#now));
  }
}

const NOUNS = {
  key: { noun: "API key", table: "api_keys" },
  token: { noun: "service token", table: "service_tokens" },
  user: { noun: "user", table: "users" },
  integration: { noun: "integration", table: "integrations" },
  receiver: { noun: "receiver", table: "receivers" },
} as const;

/** The name of a sender, for people. */
async function nameOf(trx: Trx, sender: string): Promise<{ readonly noun: string; readonly name: string }> {
  const [kind = "", id = ""] = sender.split(":");
  if (!Object.hasOwn(NOUNS, kind)) return { noun: "sender", name: sender };
  const { noun, table } = NOUNS[kind as keyof typeof NOUNS];
  const row = await trx.selectFrom(table).select("name").where("id", "=", id).executeTakeFirst();
  return { noun, name: row?.name ?? id };
}
