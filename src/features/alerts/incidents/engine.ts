import type { Database as Sqlite } from "better-sqlite3";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { DueTimes } from "../../../core/time/due-times.ts";
import { addEffect, type InTransaction, type Trx } from "../../../store/database.ts";
import type { EffectOf } from "../../../store/effect.ts";
import { administrators } from "../../access/index.ts";
import type { PolicyDefinition } from "../policies/policy.ts";
import type { JoinIncidents, Transition } from "../types.ts";
import { handleDeletedProjects } from "../ways/deleted-projects.ts";
import { lookedLater, triedAgain, type UnreachedRow, unreachedNow, unreachedSince } from "../ways/unreached.ts";
import * as acts from "./acts.ts";
import { applyTurn } from "./apply.ts";
import { heldReader } from "./changes/held.ts";
import { Rerouting } from "./changes/rerouting.ts";
import type { Actor, IncidentParts } from "./context.ts";
import { type DirectPage, insertDirect } from "./direct.ts";
import { ENDED_BY_PEOPLE, factsOf, factsOfAll, type IncidentFacts, readIncidents } from "./facts.ts";
import type { Incident, IncidentRow } from "./incident.ts";
import { joinTransitions } from "./joining.ts";
import * as machine from "./machine.ts";
import { handleDelayed } from "./notices.ts";
import { handleNotReached, pageFollower, reached } from "./outcomes.ts";
import { addResponders, type Named, reassign, start } from "./responders.ts";
import { addLog, countEnded, findIncident, incidentsWith, saveIncident, settingsOf } from "./store.ts";
import { turn } from "./turn.ts";
import { noteChanged } from "./view.ts";
import { handleWayNotices } from "./way-notices.ts";
import { adoptWebhookJobs, webhookPages } from "./webhooks.ts";

/** A later step is noted as late, and its notification says so. */
const LATE_MS = 600_000;
/** So many incidents are looked at again without a search for the right ones. */
const FEW_HELD = 50;
/** Incidents per transaction: the writer is not held longer than for a set of events. */
const TURNS_AT_ONCE = 32;
/** Limit of repeated turns within one transaction. */
const MAX_TURNS = 10;
/** After an error, for what was asked of an incident. */
const ASKED_AGAIN_MS = 1000;

type Changed = EffectOf<"incidents-changed">["incidents"][number];

interface Live {
  readonly projectId: string;
  readonly state: Changed["state"];
  /** The actions that wait for silenced, inhibited or muted alerts. */
  readonly holds: ReadonlySet<"flush" | "step" | "repeat">;
}

/** What was asked of an incident besides what is due. */
interface Asked {
  /** Its waiting actions are looked at again. */
  readonly holds: Live["holds"] | undefined;
  /** It asks its targets again. */
  readonly isRetried: boolean;
}

type Decide = (
  incident: Incident,
  facts: machine.Facts,
  settings: ReturnType<typeof settingsOf>,
  now: EpochMs,
) => machine.Turn;

/**
 * Incidents of all projects. Every change is one transaction that reads the rows, lets the machine
 * decide, and stores the rows with notifications, jobs and events. Memory has only the due times and
 * what is withheld; effects of commits keep it current.
 */
export class Incidents {
  readonly join: JoinIncidents = (trx: Trx, transitions: readonly Transition[], now: EpochMs) =>
    joinTransitions(this.#parts, trx, transitions, now);
  readonly #parts: IncidentParts;
  readonly #rerouting: Rerouting;
  readonly due: DueTimes<string>;
  readonly #live = new Map<string, Live>();
  readonly #reconsidered = new Set<string>();
  /** Incidents that have reached no one, and are to ask their targets again. */
  readonly #retried = new Set<string>();
  /** Incidents that have reached no one, fell due to repeat while no server ran, and have pages that leave now. */
  readonly #withPages = new Set<string>();
  #isRunning = false;
  /** Incidents whose turns fail, since the first error: `since` in elapsed time, `at` by the clock. */
  readonly #failing = new Map<string, { readonly since: number; readonly at: EpochMs }>();
  readonly #sent;

  constructor(parts: IncidentParts) {
    const { clock, log, metrics } = parts;
    this.#parts = parts;
    this.#rerouting = new Rerouting(parts, this.join);
    this.due = new DueTimes({
      clock,
      handle: (ids) => this.#handleDue(ids),
      onError: (err, incidents) => log.error({ err, incidents }, "handling due incidents failed; retrying"),
      batch: TURNS_AT_ONCE,
      // The oldest first: what moves from one to another ends before it begins.
      inOrder: true,
    });
    this.#sent = metrics.counter("prism_incident_notifications_total", "Users notified of incidents, by reason");
    metrics.gauge("prism_incidents", "Incidents that are not resolved, by state", () => this.#counts());
    handleDelayed(parts, handleNotReached);
    handleWayNotices(parts);
    handleDeletedProjects(parts, (id, by) => this.resolve(id, by));
    adoptWebhookJobs(parts);
    parts.pages.handle("webhook", webhookPages(parts));
    parts.pages.follow(pageFollower(parts));
  }

  /** Incidents of high urgency that have reached no one for this long, the oldest first. */
  async unreached(afterMs: number): Promise<{ id: string; number: number; since: EpochMs }[]> {
    const now = this.#parts.clock.now();
    const all = await unreachedSince(this.#parts.db.scan, now - afterMs);
    // The other system pages for mirrors.
    const rows = all.filter(({ projectId }) => !this.#parts.projects.isMirror(projectId));
    const known = await factsOfAll(this.#parts, this.#parts.db.scan, rows, now);
    const found = [];
    for (const row of rows) {
      const facts = known(row);
      const isHeld = facts.members.every(({ alertId, isFiring }) => !isFiring || facts.isWithheld(alertId));
      if (facts.members.length === 0 || !isHeld)
        found.push({ id: row.id, number: row.number, since: row.notifiedAt ?? now });
    }
    return found;
  }

  /** How long the turn of an incident has failed; 0 for none. */
  get failingMs(): number {
    const [first] = this.#failing.values();
    return first === undefined ? 0 : this.#parts.clock.elapsed() - first.since;
  }

  /** Whether people can be reached outside of the app at all. */
  get hasWays(): boolean {
    return this.#parts.pages.hasWays;
  }

  /** Builds the memory from the tables, before the server answers. */
  load(reader: Sqlite): void {
    const rows = reader.prepare<[], IncidentRow>("select * from incidents where state <> 'resolved'").all();
    const heldOf = heldReader(reader);
    const waiting = reader.prepare<[], string>("select distinct incidentId from pages where endedAt is null").pluck();
    const withPages = new Set(waiting.all());
    for (const row of rows) {
      const { id, projectId } = row;
      const state = row.state === "open" && row.snoozedUntil !== null ? "snoozed" : row.state;
      this.#live.set(id, { projectId, state, holds: heldOf(row) });
      const now = this.#parts.clock.now();
      this.due.set(id, row.updatedAt > now ? now : machine.dueAt(row));
      const isOverdue = row.reachedAt === null && row.repeatAt !== null && row.repeatAt <= now;
      if (isOverdue && withPages.has(id)) this.#withPages.add(id);
    }
  }

  /** Checks incidents whose silences or routes may have changed while the process was down. */
  start(): void {
    this.#isRunning = true;
    this.#lookAgain([...this.#live].flatMap(([id, { holds }]) => (holds.size > 0 ? [id] : [])));
    // The process may have ended between the change of a routing document and the moves.
    for (const projectId of new Set(Array.from(this.#live.values(), (live) => live.projectId)))
      this.#rerouting.changed(projectId);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#rerouting.stop();
  }

  /** Handles what is due now. */
  check(): Promise<void> {
    return this.due.check();
  }

  /** A commit has changed incidents. */
  changed({ incidents, sent }: EffectOf<"incidents-changed">): void {
    for (const { id, projectId, state, dueAt, holds } of incidents) {
      // What was asked for meanwhile is due at once, whatever the row says.
      const isAsked = dueAt !== null && (this.#reconsidered.has(id) || this.#retried.has(id));
      this.due.set(id, isAsked ? 0 : dueAt);
      // A person has resolved or acknowledged it: the turn that failed is not due any more.
      if (dueAt === null || dueAt > (this.#failing.get(id)?.at ?? dueAt)) this.#failing.delete(id);
      if (state === "resolved") this.#live.delete(id);
      else this.#live.set(id, { projectId, state, holds: merged(this.#live.get(id)?.holds, holds) });
    }
    for (const [reason, users] of Object.entries(sent)) this.#sent({ reason }).add(users);
  }

  /**
   * What withheld alerts of the project may have ended: its incidents are looked at again now.
   * @param alertIds only those with these alerts
   */
  reconsider(projectId: string, alertIds?: readonly string[]): void {
    const held = [...this.#live].filter(([, live]) => live.projectId === projectId && live.holds.size > 0);
    if (held.length === 0) return;
    const ids = held.map(([id]) => id);
    if (alertIds === undefined || held.length <= FEW_HELD) this.#lookAgain(ids);
    else
      void incidentsWith(this.#parts.db.read, alertIds).then(
        (found) => this.#lookAgain(ids.filter((id) => found.has(id))),
        (error: unknown) => this.#parts.log.error({ err: error }, "cannot find the incidents of silenced alerts"),
      );
  }

  /** Policies or routes of the project have changed: alerts with another route move to its incidents. */
  reroute(projectId: string): void {
    if (this.#isRunning && [...this.#live.values()].some((live) => live.projectId === projectId))
      this.#rerouting.changed(projectId);
  }

  /**
   * People or ways may be there by now: incidents that have reached no one ask their targets again.
   * @param userId only those that have notified this user
   */
  tryUnreached(isMeant: (row: UnreachedRow, policy: PolicyDefinition) => boolean, userId?: string): void {
    const { db, clock, policies, log } = this.#parts;
    const search = async (): Promise<void> => {
      for (const row of await unreachedNow(db.scan, userId)) {
        if (!isMeant(row, policies.definitionOf({ id: row.policyId, version: row.policyVersion }))) continue;
        this.#retried.add(row.id);
        this.due.set(row.id, clock.now());
      }
    };
    if (!this.#isRunning || this.#live.size === 0) return;
    search().catch((error: unknown) => log.error({ err: error }, "cannot find incidents without reachable users"));
  }

  #lookAgain(ids: readonly string[]): void {
    for (const id of ids) {
      this.#reconsidered.add(id);
      this.due.set(id, this.#parts.clock.now());
    }
  }

  /** Also acknowledges the notifications of the incident that the person has, so that all pages agree. */
  acknowledge(id: string, actor: Actor, options: InTransaction = {}): Promise<IncidentRow> {
    return this.#parts.db.writeIn(options, async (trx) => {
      const decide: Decide = (row, ...given) => acts.acknowledge(row, actor.id, ...given);
      const row = await this.#act(id, "acknowledge", actor, decide, { trx });
      if (isUuid(actor.id)) await this.#parts.notify.acknowledgeOf(trx, id, actor.id);
      return row;
    });
  }

  /** Acknowledgement by a notification: a resolved incident stays as it is. */
  async acknowledgeByNotification(trx: Trx, id: string, userId: string, via: string): Promise<void> {
    const row = await findIncident(trx, id);
    if (!row || row.state === "resolved" || !(await this.#reaches(trx, row, userId))) return;
    await this.acknowledge(id, { id: userId, via }, { trx });
  }

  /** Whether the project's incidents still reach the person: a removed member keeps old notifications. */
  async #reaches(trx: Trx, { projectId }: IncidentRow, userId: string): Promise<boolean> {
    if (this.#parts.users.reachable([userId], projectId).length > 0) return true;
    return (await administrators(trx)).some(({ id }) => id === userId);
  }

  /** Its recipient has opened a notification: a person is reached. */
  async openedByNotification(trx: Trx, id: string, userId: string): Promise<void> {
    const row = await findIncident(trx, id);
    if (!row || !(await this.#reaches(trx, row, userId))) return;
    if (await reached(this.#parts, trx, id))
      addLog(trx, id, [{ kind: "read", actor: userId }], this.#parts.clock.now());
  }

  /** @param strict @throws INVALID_STATE if no one has acknowledged it */
  unacknowledge(
    id: string,
    actor: Actor,
    { strict = false, ...options }: InTransaction & { readonly strict?: boolean } = {},
  ): Promise<IncidentRow> {
    const decide: Decide = (row, facts, ...given) => {
      if (strict && facts.acks.length === 0)
        throw new PrismError("INVALID_STATE", "No one has acknowledged the incident");
      return acts.unacknowledge(row, facts, ...given);
    };
    return this.#act(id, "unacknowledge", actor, decide, options);
  }

  snooze(id: string, until: EpochMs, actor: Actor, options?: InTransaction): Promise<IncidentRow> {
    return this.#act(id, "snooze", actor, (row, ...given) => acts.snooze(row, until, ...given), options);
  }

  unsnooze(id: string, actor: Actor, options?: InTransaction): Promise<IncidentRow> {
    return this.#act(id, "unsnooze", actor, acts.unsnooze, options);
  }

  resolve(id: string, actor: Actor, options?: InTransaction): Promise<IncidentRow> {
    return this.#act(id, "resolve", actor, (row, ...given) => acts.resolve(row, actor.id, ...given), options);
  }

  /** @throws INVALID_STATE if no step of the policy notifies */
  escalate(id: string, actor: Actor, options?: InTransaction): Promise<IncidentRow> {
    const decide: Decide = (row, facts, settings, now) => {
      if (row.state !== "resolved" && !settings.steps.some(acts.isNotifying))
        throw new PrismError("INVALID_STATE", "No step of the policy notifies; reassign the incident to a person");
      return acts.escalate(row, facts, settings, now);
    };
    return this.#act(id, "escalate", actor, decide, options);
  }

  /** Opens an incident without alerts, and pages the people that it names. */
  page(page: DirectPage, actor: Actor, options: InTransaction = {}): Promise<IncidentRow> {
    const { db, clock } = this.#parts;
    return db.writeIn(options, async (trx) => {
      const now = clock.now();
      const row = await insertDirect(this.#parts, trx, page, now);
      await this.#record(trx, row.id, "page", actor);
      return this.#turn(trx, await this.#apply(trx, row, start, { actor, lateSince: null, now }), now);
    });
  }

  /** Pages these people now, see responders.ts. */
  reassign(id: string, named: Named, actor: Actor, options?: InTransaction): Promise<IncidentRow> {
    return this.#act(id, "reassign", actor, (row, ...given) => reassign(row, named, ...given), options);
  }

  addResponders(id: string, named: Named, actor: Actor, options?: InTransaction): Promise<IncidentRow> {
    return this.#act(id, "responders", actor, (row, ...given) => addResponders(row, named, ...given), options);
  }

  /** Adds a text to the timeline, also of a resolved incident. @throws STORAGE_LIMIT_REACHED */
  note(id: string, text: string, actor: Actor, options: InTransaction = {}): Promise<IncidentRow> {
    const { db, clock } = this.#parts;
    return db.writeIn(options, async (trx) => {
      const row = await requireIncident(trx, id);
      const refusal = this.#parts.projects.storage.alertRefusal(row.projectId);
      if (refusal !== null) throw refusal;
      addEffect(trx, { type: "texts-changed", projectIds: [row.projectId] });
      addLog(trx, id, [{ kind: "note", actor: actor.id, data: { text, via: actor.via } }], clock.now());
      await this.#record(trx, id, "note", actor);
      return row;
    });
  }

  /** @throws INCIDENT_NOT_FOUND; INVALID_STATE for a resolved one */
  #act(id: string, action: string, actor: Actor, decide: Decide, options: InTransaction = {}): Promise<IncidentRow> {
    const { db, clock } = this.#parts;
    return db.writeIn(options, async (trx) => {
      const row = await requireIncident(trx, id);
      if (row.state === "resolved") throw acts.resolvedError(row);
      const now = clock.now();
      const changed = await this.#apply(trx, row, decide, { actor, lateSince: null, now });
      if (changed !== row) await this.#record(trx, id, action, actor);
      return this.#turn(trx, changed, now);
    });
  }

  async #record(trx: Trx, id: string, action: string, { id: by, via }: Actor): Promise<void> {
    const entry = { action: `incident.${action}`, resourceType: "incident", resourceId: id, metadata: { via } };
    await this.#parts.audit.record(isUuid(by) ? { ...entry, byUser: by } : entry, { trx });
  }

  async #handleDue(ids: readonly string[]): Promise<void> {
    const some = new Map(ids.map((id) => [id, this.#takeAsked(id)]));
    try {
      await this.#parts.db.write((trx) => this.#handle(trx, some));
      for (const id of ids) {
        this.#failing.delete(id);
        this.#withPages.delete(id);
      }
    } catch (error) {
      for (const [id, asked] of some) this.#askAgain(id, asked, ids.length === 1);
      throw error;
    }
  }

  /** @param isAlone its own turn has failed */
  #askAgain(id: string, { holds, isRetried }: Asked, isAlone: boolean): void {
    const { clock } = this.#parts;
    if (holds) this.#reconsidered.add(id);
    if (isRetried) this.#retried.add(id);
    if (!isAlone) return;
    if (!this.#failing.has(id)) this.#failing.set(id, { since: clock.elapsed(), at: clock.now() });
    // A commit in between may have set the due time of the row.
    if (holds || isRetried) this.due.set(id, clock.now() + ASKED_AGAIN_MS);
  }

  #takeAsked(id: string): Asked {
    const holds = this.#reconsidered.delete(id) ? this.#live.get(id)?.holds : undefined;
    return { holds, isRetried: this.#retried.delete(id) };
  }

  async #handle(trx: Trx, some: ReadonlyMap<string, Asked>): Promise<void> {
    const now = this.#parts.clock.now();
    const known = await readIncidents(this.#parts, trx, [...some.keys()], now);
    for (const [id, { holds, isRetried }] of some) {
      const { row, facts } = known.get(id) ?? (await readIncidents(this.#parts, trx, [id], now)).get(id) ?? {};
      if (!row) {
        this.due.delete(id);
        continue;
      }
      const own = row.updatedAt > now ? movedBack(trx, row, now) : row;
      const tried = isRetried ? triedAgain(trx, own, settingsOf(this.#parts.policies, own), now) : own;
      const later = this.#withPages.has(id) ? lookedLater(trx, tried, now) : tried;
      const start = holds ? lookedAtAgain(later, holds, now) : later;
      const changed = await this.#turn(trx, start, now, facts);
      // Also if nothing changed, so that the due time in memory is the row's.
      noteChanged(trx, [changed]);
      // The end of alerts may have changed other incidents that they are in.
      if (changed.state === "resolved") known.clear();
    }
  }

  /** Does what is due, and what is then due at once. */
  async #turn(trx: Trx, row: IncidentRow, now: EpochMs, known?: IncidentFacts): Promise<IncidentRow> {
    let current = row;
    let facts = known;
    for (let left = MAX_TURNS; left > 0; left -= 1) {
      const due = machine.dueAt(current);
      if (due === null || due > now) break;
      const lateSince = now - due > LATE_MS ? due : null;
      current = await this.#apply(trx, current, turn, { actor: null, lateSince, now, facts });
      facts = undefined;
    }
    return current;
  }

  async #apply(
    trx: Trx,
    row: IncidentRow,
    decide: Decide,
    options: {
      readonly actor: Actor | null;
      readonly lateSince: EpochMs | null;
      readonly now: EpochMs;
      readonly facts?: IncidentFacts | undefined;
    },
  ): Promise<IncidentRow> {
    const { policies } = this.#parts;
    const { now } = options;
    const facts = options.facts ?? (await factsOf(this.#parts, trx, row, now));
    const decided = decide(row, facts, settingsOf(policies, row), now);
    const changed = await applyTurn(this.#parts, trx, row, decided, { ...options, facts });
    const isClosed = row.state !== "resolved" && changed.state === "resolved" && changed.resolvedBy !== "alerts";
    if (isClosed) await this.#endAlerts(trx, row.id, facts);
    return changed;
  }

  /** Otherwise their repetitions would never open an incident again. */
  async #endAlerts(trx: Trx, id: string, { members }: machine.Facts): Promise<void> {
    const alerts = this.#parts.alerts();
    const ids = members.filter(({ isFiring }) => isFiring).map(({ alertId }) => alertId);
    const ended = ids.filter((each) => ENDED_BY_PEOPLE.has(alerts.find(each)?.source ?? "alertmanager"));
    if (ended.length === 0) return;
    await alerts.resolve(trx, ended);
    await countEnded(trx, id, ended.length);
  }

  #counts(): (readonly [{ state: string }, number])[] {
    const counts = { open: 0, acknowledged: 0, snoozed: 0 };
    for (const { state } of this.#live.values()) if (state !== "resolved") counts[state] += 1;
    return Object.entries(counts).map(([state, count]) => [{ state }, count] as const);
  }
}

/** The clock was set back while the server was down, or before: what is due comes no later by that. */
function movedBack(trx: Trx, row: IncidentRow, now: EpochMs): IncidentRow {
  const back = (at: EpochMs | null): EpochMs | null => (at === null ? null : at - (row.updatedAt - now));
  const { flushAt, stepAt, repeatAt, notifiedAt, steppedAt } = row;
  const due = { flushAt: back(flushAt), stepAt: back(stepAt), repeatAt: back(repeatAt) };
  return saveIncident(trx, row, { ...row, ...due, notifiedAt: back(notifiedAt), steppedAt: back(steppedAt) }, now);
}

/** Sets what waits for withheld alerts due. */
function lookedAtAgain(row: IncidentRow, holds: Live["holds"], now: EpochMs): IncidentRow {
  const at = (name: "flush" | "step" | "repeat", time: EpochMs | null): EpochMs | null =>
    time !== null && holds.has(name) ? Math.min(time, now) : time;
  return {
    ...row,
    flushAt: at("flush", row.flushAt),
    stepAt: at("step", row.stepAt),
    repeatAt: at("repeat", row.repeatAt),
  };
}

function merged(held: Live["holds"] = new Set(), changes: Changed["holds"]): Live["holds"] {
  const result = new Set(held);
  for (const name of ["flush", "step", "repeat"] as const) {
    if (changes[name] === true) result.add(name);
    else if (changes[name] === false) result.delete(name);
  }
  return result;
}

/** @throws INCIDENT_NOT_FOUND */
async function requireIncident(trx: Trx, id: string): Promise<IncidentRow> {
  const row = await findIncident(trx, id);
  if (!row) throw new PrismError("INCIDENT_NOT_FOUND", "No such incident");
  return row;
}
