import { uuidv7 } from "../../../core/ids.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { insertLater, type Trx, updateLater } from "../../../store/database.ts";
import { appendOwnEvents, type OwnEventDraft } from "../../events/index.ts";
import { cutText } from "../../rules/index.ts";
import type { PolicyRef } from "../policies/policies.ts";
import type { PolicyDefinition, StepSettings } from "../policies/policy.ts";
import type { RouteMatch } from "../policies/routing.ts";
import type { AlertView, Transition } from "../types.ts";
import { Changes, type Membership, membershipsOf } from "./changes/memberships.ts";
import type { IncidentParts } from "./context.ts";
import {
  decidedColumns,
  highestSeverity,
  type IncidentRow,
  isHigher,
  isMoreUrgent,
  namedSeverity,
} from "./incident.ts";
import { joined, memberResolved, opened, worsened } from "./machine.ts";
import { type TimedOut, timedOut } from "./silent-source.ts";
import {
  addLog,
  addMembers,
  type EndedMember,
  endedMembers,
  type GroupOfIncident,
  type LogEntry,
  markNotified,
  type NewMember,
  nextNumber,
  settingsOf,
  unresolvedIn,
  unresolvedOf,
  unresolvedWith,
} from "./store.ts";
import { incidentEvent, noteChanged } from "./view.ts";

/* From transitions of alerts to incidents, in the transaction of the alerts. */

const TITLE_LENGTH = 255;

interface Draft {
  row: IncidentRow;
  readonly isNew: boolean;
  /** Alerts that ended, and those of them that were not repeated. */
  ended: number;
  timedOut: number;
  /** The sender whose time-out ended its last alert. */
  silentSender: string | null;
  readonly members: NewMember[];
  /** Of alerts that are in it already. */
  readonly changes: Changes;
  /** Alerts of the incident that fire again; read when the first one asks. */
  unreported?: Map<string, EndedMember>;
  readonly continued: string[];
}

/** Transitions of one kind in a row share their incidents' rows. */
class Joining {
  readonly #parts: IncidentParts;
  readonly #trx: Trx;
  readonly #now: EpochMs;
  /** By id of the incident. */
  readonly #drafts = new Map<string, Draft>();
  readonly #groups = new Map<string, string>();
  readonly #numbers = new Map<string, number>();
  /** Unresolved incidents that were read at once; null: the group has none. */
  readonly #found = new Map<string, IncidentRow | null>();

  constructor(parts: IncidentParts, trx: Trx, now: EpochMs) {
    this.#parts = parts;
    this.#trx = trx;
    this.#now = now;
  }

  /** Firing alerts join the incidents of the routes that take them, or open them. */
  async openAll(transitions: readonly Transition[]): Promise<void> {
    const { policies } = this.#parts;
    const routed = transitions.map(({ alert, before }) => ({
      ...{ alert, before },
      matches: policies.routingOf(alert.projectId).match(alert.labels),
    }));
    const groups = routed.flatMap(({ alert: { projectId }, matches }) =>
      matches.map(({ settings, groupKey }) => ({
        ...{ projectId, policyId: policies.named(projectId, settings.policy).id, groupKey },
      })),
    );
    for (const group of groups) this.#found.set(nameOf(group), null);
    for (const row of await unresolvedIn(this.#trx, groups)) this.#found.set(nameOf(row), row);
    const changed = transitions.flatMap(({ kind, alert }) => (kind === "changed" ? alert.id : []));
    const known = changed.length === 0 ? new Map() : await membershipsOf(this.#trx, changed);
    for (const { alert, before, matches } of routed) {
      const own = known.get(alert.id) ?? [];
      const kept = await this.open(alert, matches, { before, known: own });
      // Reports of Prism itself have routes of their own.
      if (alert.source !== "prism")
        for (const each of own) if (!kept.has(each.row.id)) this.#leave(each, alert, before ?? alert);
    }
  }

  /**
   * A firing alert joins the incident of each of these routes, or opens it.
   * @param changed where a changed alert is already, and what it was. @returns the ids of these incidents
   */
  async open(
    alert: AlertView,
    matches: readonly RouteMatch[],
    changed?: { readonly before: AlertView | undefined; readonly known: readonly Membership[] },
  ): Promise<ReadonlySet<string>> {
    const kept = new Set<string>();
    const { policies } = this.#parts;
    for (const match of matches) {
      const policy = policies.named(alert.projectId, match.settings.policy);
      // That of a silent source has people of other incidents.
      if (!policies.definitionOf(policy).opensIncidents && alert.source !== "prism") continue;
      const draft = await this.#groupOf(alert, match, policy);
      const { severity: highest, state, snoozedUntil } = draft.row;
      draft.row = { ...draft.row, ...ratingOf(draft.row, alert) };
      kept.add(draft.row.id);
      const membership = changed?.known.find(({ row }) => row.id === draft.row.id);
      if (membership) this.#stay(draft, membership, alert, changed?.before ?? alert);
      if (membership || draft.members.some(({ alertId }) => alertId === alert.id)) continue;
      const settings = settingsOf(this.#parts.policies, draft.row);
      const isFirst = draft.isNew && draft.members.length === 0;
      const machine = isFirst ? draft.row : joined(draft.row, settings, this.#now);
      const counts = { alerts: draft.row.alerts + 1, firing: draft.row.firing + 1 };
      const continues = await this.#continued(draft, alert);
      const isWorse = continues?.severity && isHigher(namedSeverity(alert), continues.severity);
      const isMoreUrgentNow = isWorse && isMoreUrgent(namedSeverity(alert), continues.severity);
      // A person has put the incident aside, as it was (`urgentNew` in machine.ts).
      const endsPause =
        (state === "acknowledged" || snoozedUntil !== null) && isMoreUrgent(namedSeverity(alert), highest);
      const due = isMoreUrgentNow || endsPause ? worsened(machine, true, settings, this.#now) : machine;
      draft.row = { ...draft.row, ...decidedColumns(due), ...counts };
      draft.members.push({ alertId: alert.id, continues });
    }
    return kept;
  }

  /** An alert that changed is in the incident already, or is back. */
  #stay(draft: Draft, membership: Membership, alert: AlertView, before: AlertView): void {
    const settings = settingsOf(this.#parts.policies, draft.row);
    const isBack = membership.leftAt !== null;
    const firing = draft.row.firing + (isBack ? 1 : 0);
    const stays = draft.changes.stays(draft.row, { membership, alert, before }, settings, this.#now);
    const machine = isBack ? joined(stays, settings, this.#now) : stays;
    draft.row = { ...draft.row, ...decidedColumns(machine), firing };
  }

  /** No route of the alert leads to the incident any more. */
  #leave(membership: Membership, alert: AlertView, before: AlertView): void {
    if (membership.leftAt !== null) return;
    const draft = this.#drafts.get(membership.row.id) ?? newDraft(membership.row, false);
    this.#drafts.set(draft.row.id, draft);
    const settings = settingsOf(this.#parts.policies, draft.row);
    const firing = Math.max(0, draft.row.firing - 1);
    const others = [...this.#drafts.values()].filter(({ members }) =>
      members.some(({ alertId }) => alertId === before.id),
    );
    const firstLookAt = Math.min(...others.map(({ row }) => row.flushAt ?? Number.POSITIVE_INFINITY));
    const left = draft.changes.leaves(draft.row, { membership, alert, before, firstLookAt }, settings, this.#now);
    draft.row = {
      ...draft.row,
      ...decidedColumns(memberResolved(left, { firing, atOnce: false }, settings, this.#now)),
      firing,
    };
  }

  async resolve(transitions: readonly Transition[]): Promise<void> {
    const incidents = await unresolvedWith(
      this.#trx,
      transitions.map(({ alert }) => alert.id),
    );
    const settings = new Map<string, StepSettings>();
    for (const { alert, reason, isAtOnce: atOnce } of transitions)
      for (const found of incidents.get(alert.id) ?? []) {
        const of = settings.get(found.id) ?? settingsOf(this.#parts.policies, found);
        settings.set(found.id, of);
        const draft = this.#drafts.get(found.id) ?? newDraft(found, false);
        this.#drafts.set(found.id, draft);
        const firing = Math.max(0, draft.row.firing - 1);
        const machine = memberResolved(draft.row, { firing, atOnce }, of, this.#now);
        draft.row = { ...draft.row, ...decidedColumns(machine), firing };
        draft.ended += 1;
        if (reason === "timeout") draft.timedOut += 1;
        draft.silentSender = firing === 0 && reason === "timeout" ? alert.sender : null;
      }
  }

  get rows(): IncidentRow[] {
    return [...this.#drafts.values()].map(({ row }) => row);
  }

  /** Incidents without a firing alert: their senders did not repeat the last ones. */
  get timedOut(): TimedOut[] {
    return [...this.#drafts.values()].flatMap(({ row, silentSender: sender }) =>
      sender === null ? [] : { row, sender },
    );
  }

  async store(): Promise<void> {
    const events: OwnEventDraft[] = [];
    for (const draft of this.#drafts.values()) {
      const { row, isNew, members, continued } = draft;
      const { id, alerts, firing, severity, firingSince } = row;
      if (isNew) insertLater(this.#trx, "incidents", row);
      else {
        const counted = { alerts, firing, severity, firingSince };
        const changes = { ...decidedColumns(row), ...counted, version: row.version + 1, updatedAt: this.#now };
        updateLater(this.#trx, "incidents", id, changes);
      }
      addMembers(this.#trx, id, members, this.#now);
      draft.changes.store(this.#trx, id);
      markNotified(this.#trx, id, "resolvedNotifiedAt", continued, this.#now);
      this.#log(draft);
      if (isNew) events.push(incidentEvent(row, "incident.opened", "warn", {}));
    }
    await appendOwnEvents(this.#trx, events, { source: "prism:alerts", now: this.#now });
    noteChanged(this.#trx, this.rows);
  }

  #log({ row, isNew, members, changes, ended, timedOut }: Draft): void {
    const { policyId, policyVersion, groupKey, firing } = row;
    const added = members.length + changes.returned;
    const entries: LogEntry[] = changes.entries(firing);
    if (isNew) entries.push({ kind: "opened", data: { policyId, policyVersion, groupKey, alerts: added } });
    else if (added > 0) entries.push({ kind: "alerts-joined", data: { added, firing } });
    else if (ended > 0) entries.push({ kind: "alerts-resolved", data: { added, firing, ended, timedOut } });
    addLog(this.#trx, row.id, entries, this.#now);
  }

  /** The unresolved incident of a group; a new one if there is none. */
  async #groupOf(alert: AlertView, match: RouteMatch, policy: PolicyRef): Promise<Draft> {
    const key = { projectId: alert.projectId, policyId: policy.id, groupKey: match.groupKey };
    const group = nameOf(key);
    const known = this.#drafts.get(this.#groups.get(group) ?? "");
    if (known) return known;
    const read = this.#found.get(group);
    const found = read === undefined ? await unresolvedOf(this.#trx, key) : read;
    const row = found ?? (await this.#newRow(alert, match, policy));
    const draft = this.#drafts.get(row.id) ?? newDraft(row, !found);
    this.#drafts.set(row.id, draft);
    this.#groups.set(group, row.id);
    return draft;
  }

  async #newRow(
    alert: AlertView,
    { settings: route, groupKey, groupLabels }: RouteMatch,
    policy: PolicyRef,
  ): Promise<IncidentRow> {
    const { projectId } = alert;
    const definition = this.#parts.policies.definitionOf(policy);
    const settings: StepSettings = { ...definition, ...route };
    const number = this.#numbers.get(projectId) ?? (await nextNumber(this.#trx, projectId));
    this.#numbers.set(projectId, number + 1);
    return {
      id: uuidv7(),
      number,
      projectId,
      policyId: policy.id,
      policyVersion: policy.version,
      groupKey,
      groupLabels: JSON.stringify(groupLabels),
      route: JSON.stringify(route),
      title: titleOf(alert, groupLabels),
      notices: 0,
      alerts: 0,
      firing: 0,
      severity: null,
      firingSince: alert.startsAt,
      forPeople: notifiesPeople(definition) ? 1 : 0,
      version: 1,
      updatedAt: this.#now,
      ...opened(alert.startsAt, settings, this.#now),
    };
  }

  /**
   * An alert that fires again before its end was notified continues the earlier one, whose end is none.
   * @returns the earlier one
   */
  async #continued(draft: Draft, { key }: AlertView): Promise<EndedMember | null> {
    const { id, notifiedAt, alerts, firing } = draft.row;
    if (notifiedAt === null || alerts === firing) return null;
    draft.unreported ??= await endedMembers(this.#trx, id);
    const earlier = draft.unreported.get(key);
    if (earlier === undefined) return null;
    draft.unreported.delete(key);
    draft.continued.push(earlier.alertId);
    return earlier;
  }
}

/** The highest severity of its alerts so far, and the start of the earliest one. */
function ratingOf({ severity, firingSince }: IncidentRow, alert: AlertView) {
  return {
    severity: highestSeverity([severity, namedSeverity(alert)]),
    firingSince: Math.min(firingSince, alert.startsAt),
  };
}

function nameOf({ projectId, policyId, groupKey }: GroupOfIncident): string {
  return `${projectId}\n${policyId}\n${groupKey}`;
}

function newDraft(row: IncidentRow, isNew: boolean): Draft {
  const changes = new Changes();
  return { row, isNew, ended: 0, timedOut: 0, silentSender: null, members: [], changes, continued: [] };
}

/** Routes transitions into incidents. */
export async function joinTransitions(
  parts: IncidentParts,
  trx: Trx,
  transitions: readonly Transition[],
  now: EpochMs,
): Promise<void> {
  for (let at = 0; at < transitions.length; ) {
    const run = firstRun(transitions.slice(at));
    const isResolving = run[0]?.kind === "resolved";
    at += run.length;
    // Stored before the next run: the search for resolved alerts reads the rows of those that joined.
    const joining = new Joining(parts, trx, now);
    if (isResolving) await joining.resolve(run);
    // Alerts of the server itself are opened with their incident.
    else await joining.openAll(run.filter(({ alert }) => alert.source !== "prism"));
    await joining.store();
    await timedOut(parts, trx, joining.timedOut, now, (alert, match) => openWith(parts, trx, { alert, match, now }));
  }
}

/** Transitions of one kind, each of another alert: a later one of an alert reads what the earlier one has stored. */
function firstRun(transitions: readonly Transition[]): readonly Transition[] {
  const isResolving = transitions[0]?.kind === "resolved";
  const alerts = new Set<string>();
  const end = transitions.findIndex(({ kind, alert }) => {
    if ((kind === "resolved") !== isResolving || alerts.has(alert.id)) return true;
    alerts.add(alert.id);
    return false;
  });
  return end === -1 ? transitions : transitions.slice(0, end);
}

/** Opens an incident, or joins one, by another route than that of the alert's labels. */
async function openWith(
  parts: IncidentParts,
  trx: Trx,
  { alert, match, now }: { readonly alert: AlertView; readonly match: RouteMatch; readonly now: EpochMs },
): Promise<IncidentRow> {
  const joining = new Joining(parts, trx, now);
  await joining.open(alert, [match]);
  await joining.store();
  const [row] = joining.rows;
  if (!row) throw new TypeError("an alert opened no incident");
  return row;
}

/** Such as "HighLatency (cluster=a, env=prod)"; alerts of the server itself have their own title. */
function titleOf(alert: AlertView, group: Readonly<Record<string, string>>): string {
  if (alert.source === "prism") return alert.annotations["summary"] ?? alert.key;
  const { alertname, ...others } = group;
  const subject = alertname ?? (alert.label("alertname") || alert.annotations["summary"] || alert.key);
  const pairs = Object.entries(others).map(([name, value]) => `${name}=${value}`);
  return cutText(pairs.length === 0 ? subject : `${subject} (${pairs.join(", ")})`, TITLE_LENGTH);
}

/** Whether a step reaches people. The incidents of other policies wait for no one: they call webhooks only. */
function notifiesPeople({ steps }: Pick<PolicyDefinition, "steps">): boolean {
  return (
    !steps.some(({ type }) => type === "webhook") || steps.some(({ type }) => type === "notify" || type === "channel")
  );
}
