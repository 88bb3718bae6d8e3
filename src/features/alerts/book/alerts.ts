import { AsyncResource } from "node:async_hooks";
import { type Caller, currentCaller } from "../../../core/caller.ts";
import { limitReached, PrismError } from "../../../core/errors.ts";
import { type EpochMs, Seldom } from "../../../core/time/clock.ts";
import { DueTimes } from "../../../core/time/due-times.ts";
import type { Awaitable } from "../../../http/api/route.ts";
import type { InTransaction, ReadDb, Trx } from "../../../store/database.ts";
import type { AlertSource } from "../../../store/schema.ts";
import type { StorageSender } from "../../access/index.ts";
import type { AlertInput, AlertOutcome, AlertRow, AlertView, TransitionReason } from "../types.ts";
import { AlertBook, alertsById, liveAlerts, type Repetition, StoredAlert } from "./alert-book.ts";
import { AlertTransaction, InputQueue, outcomeOf, repetitionOf, type Taken, verdictOn } from "./alert-transaction.ts";
import type { AlertsParts } from "./alerts-parts.ts";
import { alertMetrics, type CountInput } from "./metrics.ts";
import { attemptCheck, type CheckedInput, checkInput } from "./normalise.ts";
import { Repetitions } from "./repetitions.ts";
import { Senders } from "./senders.ts";
import { SignalReader } from "./signals.ts";

type Checked = CheckedInput | PrismError;

interface SubmitOptions extends InTransaction {
  readonly charge?: Caller["charge"];
  readonly sender?: StorageSender;
}

/** Inputs that are checked in one turn of the loop: 4 ms at most. */
const SLICE = 200;
/** Checking one, in work of members: labels are sorted and hashed. */
const MEMBERS_PER_INPUT = 5;
/** The alert and its event. */
const ROWS_PER_CHANGE = 2;
/** Reading one in memory: half a microsecond. */
const STEPS_PER_EXAMINED = 40;
const IS_STORED: ReadonlySet<AlertOutcome["status"]> = new Set(["opened", "pending", "changed", "resolved"]);

/** Sources within the server: a heartbeat has one alert at a time, and a sender that is silent, too. */
const OWN_SOURCES: ReadonlySet<AlertSource> = new Set(["heartbeat", "prism"]);

/** Selects alerts of {@link Alerts.list}. */
export type AlertFilter = (alert: AlertView) => boolean;

/** After a start or a jump of the clock, senders have at least this long to repeat their alerts. */
const GRACE_MS = 300_000;
/** Alerts of a deleted project or rule that one transaction ends. */
const ENDED_AT_ONCE = 200;

/**
 * The alerts of all projects: firing and pending ones in memory, every change of state in the
 * tables and the event log. Memory is built from the tables at the start, and kept current by the
 * effects of commits. Repetitions alone change memory first.
 */
export class Alerts {
  readonly #parts: AlertsParts;
  readonly #book = new AlertBook();
  readonly #countInput: CountInput;
  readonly #repetitions: Repetitions;
  readonly #senders = new Senders();
  readonly #warnings: Seldom;
  /** When alerts fire or time out. */
  readonly due: DueTimes<StoredAlert>;
  readonly #queue: InputQueue;
  readonly #signals: SignalReader;
  /** Their time-outs are being stored: inputs for them wait for that. */
  readonly #ending = new Set<StoredAlert>();
  readonly #transactions = new WeakMap<Trx, AlertTransaction>();
  /** A commit that deletes the project or rule calls it from inside its transaction. */
  readonly #endOutside = AsyncResource.bind((next: () => string[]) => this.#endAll(next));
  /** Called with each firing alert that its source repeats. */
  #whenRepeated: ((alert: AlertView) => void) | null = null;
  /** Rules that commits have changed in this turn of the loop: one search finds their alerts. */
  #changedRules = new Set<string>();

  constructor(parts: AlertsParts) {
    const { db, clock, wall, log } = parts;
    this.#parts = parts;
    this.#warnings = new Seldom(parts.clock);
    this.#countInput = alertMetrics(parts.metrics, () => this.counts());
    this.#repetitions = new Repetitions(db, log);
    this.due = new DueTimes({
      clock,
      handle: (alerts) => this.#handleDue(alerts),
      onError: (error) => log.error({ err: error }, "cannot store due alerts; retrying"),
    });
    this.#queue = new InputQueue(db, (trx, inputs) => this.#take(trx, inputs, "input"));
    this.#signals = new SignalReader({ db, log, wall, take: (trx, inputs) => this.#takeSignals(trx, inputs) });
    clock.onJump(() => this.#grantGrace());
  }

  /** Builds the memory from the tables. Call it before the server answers. */
  load(): void {
    for (const row of liveAlerts(this.#parts.reader)) this.#put(row);
    for (const alert of this.#book.all()) this.#senders.loaded(alert);
    this.#grantGrace();
  }

  /** Takes the signals of rules from now on. */
  start(): void {
    for (const projectId of this.#book.projects()) this.projectChanged(projectId);
    this.rulesChanged(Array.from(this.#book.all()).flatMap((alert) => ruleOf(alert) ?? []));
    void this.#signals.read();
    this.#endReports(this.#senders.outdated());
  }

  async stop(): Promise<void> {
    await this.#signals.stop();
    await this.#repetitions.stop();
  }

  /**
   * Takes what a source reports. A repetition changes memory only. Resolves after the commit if any
   * input changes a state. Invalid inputs are `refused`; the others of the call are stored.
   * @param options trx: a transaction without `sharesCommit`, which decides and stores everything;
   * charge: charges the account that pays, by default that of the current request
   * @throws STORAGE_FULL, DATABASE_UNAVAILABLE, SHUTTING_DOWN
   */
  async submit(inputs: readonly AlertInput[], options: SubmitOptions = {}): Promise<AlertOutcome[]> {
    return this.submitNow(inputs, options);
  }

  /** {@link submit}, with the outcomes themselves if nothing is stored: promises take more time than a repetition. */
  submitNow(inputs: readonly AlertInput[], options: SubmitOptions = {}): Awaitable<AlertOutcome[]> {
    if (!options.trx) this.#parts.db.requireOutside();
    this.#heard(inputs);
    if (options.trx || inputs.length <= SLICE) return this.#submitSlice(inputs, options);
    return this.#submitSlices(inputs, options);
  }

  async #submitSlices(inputs: readonly AlertInput[], options: SubmitOptions): Promise<AlertOutcome[]> {
    const outcomes: AlertOutcome[] = [];
    for (let at = 0; at < inputs.length; at += SLICE) {
      const slice = inputs.slice(at, at + SLICE);
      const submitted = this.#parts.turns.run(slice[0]?.projectId ?? "", () => this.#submitSlice(slice, options));
      outcomes.push(...(await submitted));
    }
    return outcomes;
  }

  #submitSlice(
    inputs: readonly AlertInput[],
    { trx, charge = currentCaller().charge, sender = "known" }: SubmitOptions,
  ): Awaitable<AlertOutcome[]> {
    charge?.({ members: MEMBERS_PER_INPUT * inputs.length });
    const checked = this.#checked(inputs, sender);
    const outcomes = trx ? this.#submitIn(trx, checked, sender) : this.#submitAll(checked);
    const counted = (all: AlertOutcome[]): AlertOutcome[] => {
      for (const [i, { status }] of all.entries()) this.#countInput(inputs[i]?.source ?? "api", status);
      charge?.({ rows: ROWS_PER_CHANGE * all.filter(({ status }) => IS_STORED.has(status)).length });
      return all;
    };
    return outcomes instanceof Promise ? outcomes.then(counted) : counted(outcomes);
  }

  /**
   * {@link submit} of repetitions alone, for a transaction that shares its commit: what changes an alert
   * does not, so the book equals the tables. @returns null, and takes none, if one is no repetition
   */
  repeat(inputs: readonly AlertInput[], { charge, sender = "known" }: SubmitOptions = {}): AlertOutcome[] | null {
    const repeated: [StoredAlert, CheckedInput][] = [];
    for (const input of this.#checked(inputs, sender)) {
      const known = input instanceof PrismError ? undefined : this.#book.byKey(input.projectId, input.key);
      if (!known || input instanceof PrismError || verdictOn(known, input) !== "repeat") return null;
      repeated.push([known, input]);
    }
    this.#heard(inputs);
    charge?.({ members: MEMBERS_PER_INPUT * inputs.length });
    const now = this.#parts.clock.now();
    return repeated.map(([alert, input]) => {
      this.#repeated(alert, repetitionOf(alert, input, now));
      this.#countInput(input.source, "repeated");
      return { status: "repeated", alert };
    });
  }

  /** Resolves firing alerts in the transaction of a person's action. Other ids are ignored. */
  async resolve(trx: Trx, ids: readonly string[]): Promise<AlertView[]> {
    const transaction = this.#transactionOf(trx);
    const ended = ids.map((id) => transaction.end(id, { reason: "person", isAtOnce: true }));
    await transaction.store();
    return ended.filter((alert) => alert !== null);
  }

  /** Firing alerts of a project, from memory, in no order. */
  list(projectId: string, filter: AlertFilter = () => true): readonly AlertView[] {
    return this.#inState("firing", projectId, filter);
  }

  pending(projectId: string, filter: AlertFilter = () => true): readonly AlertView[] {
    return this.#inState("pending", projectId, filter);
  }

  /** A firing or pending alert, from memory. */
  find(id: string): AlertView | null {
    return this.#book.find(id) ?? null;
  }

  byKey(projectId: string, key: string): AlertView | null {
    return this.#book.byKey(projectId, key) ?? null;
  }

  /** Alerts by id, from memory or the table; missing ones are left out. */
  async read(ids: readonly string[], db: ReadDb | Trx = this.#parts.db.read): Promise<AlertView[]> {
    const live = ids.flatMap((id) => this.#book.find(id) ?? []);
    const others = ids.filter((id) => !this.#book.find(id));
    const rows = await alertsById(db, others);
    return [...live, ...rows.map((row) => new StoredAlert(row))];
  }

  /** When the sender last reported an alert, by the clock of alerts; null: unknown. */
  lastHeard(sender: string): EpochMs | null {
    return this.#senders.lastAt(sender);
  }

  /** Senders that an incident reports as silent. */
  silentSources(): ReturnType<Senders["silent"]> {
    return this.#senders.silent();
  }

  /** Up to `max` live alerts of the sender that time out by then, unless it repeats them. */
  countEnding(projectId: string, sender: string, until: EpochMs, max: number): number {
    let count = 0;
    for (const alert of this.#book.ofProject(projectId))
      if (alert.sender === sender && alert.endsAt !== null && (this.due.at(alert) ?? 0) <= until && ++count >= max)
        break;
    return count;
  }

  /** Number of firing and pending alerts, of one project or of all. */
  counts(projectId?: string): { readonly firing: number; readonly pending: number } {
    return this.#book.counts(projectId);
  }

  /** A commit has changed these alerts. */
  changed(rows: readonly AlertRow[]): void {
    for (const row of rows) this.#put(row);
    if (rows.some(({ source }) => source === "prism")) this.#endReports(this.#senders.outdated());
  }

  /** From now on `fn` is called with each firing alert that its source repeats. At most one listens. */
  whenRepeated(fn: ((alert: AlertView) => void) | null): void {
    this.#whenRepeated = fn;
  }

  /** A commit has added rows to `alert_signals`. Resolves when they are alerts. */
  signalled(): Promise<void> {
    return this.#signals.read();
  }

  /** The alerts of a deleted project are over. */
  projectChanged(projectId: string): void {
    if (!this.#parts.projectExists(projectId)) void this.#endOutside(() => this.#firstOf(projectId));
  }

  /** The alerts of a rule that is deleted, disabled or no longer opens alerts are over. */
  rulesChanged(ruleIds: readonly string[]): void {
    if (ruleIds.length === 0) return;
    if (this.#changedRules.size === 0) setImmediate(() => this.#searchOrphans());
    for (const id of ruleIds) this.#changedRules.add(id);
  }

  /** Handles what is due now, and stores what only memory has. */
  async flush(): Promise<void> {
    await this.due.check();
    await this.#repetitions.flush();
  }

  #heard(inputs: readonly AlertInput[]): void {
    const now = this.#parts.clock.now();
    let last: string | null = null;
    for (const { sender = null } of inputs) {
      if (sender === null || sender === last) continue;
      last = sender;
      this.#endReports(this.#senders.heard(sender, now));
    }
  }

  /** Resolves the alerts that report a silence which is over. */
  #endReports(reports: Iterable<StoredAlert>): void {
    const endsAt = this.#parts.wall.now();
    for (const { projectId, sourceId, key } of reports) {
      const end = { projectId, source: "prism", sourceId, key, labels: {}, endsAt, resolvesAtOnce: true } as const;
      const input = checkInput(end, endsAt);
      if (this.#queue.has(input)) continue;
      const { log } = this.#parts;
      this.#queue.add(input).catch((err: unknown) => {
        log.warn({ err, sender: sourceId }, "cannot store that a silent source sends again; retrying");
      });
    }
  }

  /** Waits only if an input does. */
  #submitAll(checked: readonly Checked[]): Awaitable<AlertOutcome[]> {
    let waits = false;
    const outcomes = checked.map((each): AlertOutcome | Promise<AlertOutcome> => {
      if (each instanceof PrismError) return { status: "refused", alert: null, error: each };
      const outcome = this.#atOnce(each);
      waits ||= outcome === null;
      return outcome ?? this.#queue.add(each).then(outcomeOf);
    });
    return waits ? Promise.all(outcomes) : (outcomes as AlertOutcome[]);
  }

  /** @returns null if the input changes a state, or must wait for another one */
  #atOnce(input: CheckedInput): AlertOutcome | null {
    const known = this.#book.byKey(input.projectId, input.key) ?? null;
    if (this.#queue.has(input) || (known && this.#ending.has(known))) return null;
    const verdict = verdictOn(known, input);
    if (verdict === "ignore") return { status: "unchanged", alert: null };
    if (known === null) return this.#refusalOf(input);
    if (verdict !== "repeat") return null;
    this.#repeated(known, repetitionOf(known, input, this.#parts.clock.now()));
    return { status: "repeated", alert: known };
  }

  /** Requires room for a new alert. Alerts of the server itself are bounded by its resources. */
  #refusalOf({ projectId, source }: CheckedInput, sender: StorageSender = "known"): AlertOutcome | null {
    if (OWN_SOURCES.has(source)) return null;
    const { firing, pending } = this.#book.counts(projectId);
    const max = this.#parts.maxAlerts();
    if (firing + pending >= max) {
      const error = limitReached(`A project has ${max} live alerts`, "limits.alertsPerProject", max);
      return { status: "refused", alert: null, error };
    }
    const error = this.#parts.storage.alertRefusal(projectId, sender);
    return error && { status: "refused", alert: null, error };
  }

  #checked(inputs: readonly AlertInput[], sender: StorageSender): Checked[] {
    const wall = this.#parts.wall.now();
    const { takenAt } = currentCaller();
    return inputs.map((input) => this.#fitted(attemptCheck(input, wall, takenAt), sender));
  }

  /** Without its long texts, in a project that stores more than it may. */
  #fitted<T extends Checked>(input: T, sender: StorageSender = "known"): T {
    if (input instanceof PrismError || OWN_SOURCES.has(input.source)) return input;
    if (this.#parts.storage.roomForAlert(input.projectId, sender) === "whole") return input;
    return { ...input, annotations: null, generatorUrl: undefined };
  }

  async #endAll(next: () => string[]): Promise<void> {
    const { db, log } = this.#parts;
    try {
      for (let ids = next(); ids.length > 0; ids = next()) await db.write((trx) => this.resolve(trx, ids));
    } catch (error) {
      log.warn({ err: error }, "cannot end the alerts of a deleted project or rule; the next start ends them");
    }
  }

  #searchOrphans(): void {
    const ruleIds = this.#changedRules;
    this.#changedRules = new Set();
    const isOfRule = (alert: StoredAlert): boolean => ruleIds.has(ruleOf(alert) ?? "") && this.#isOrphan(alert);
    const orphans = Array.from(this.#book.all()).filter(isOfRule);
    if (orphans.length === 0) return;
    // A rule that was enabled again meanwhile keeps its alerts.
    const next = (): string[] =>
      orphans.splice(0, ENDED_AT_ONCE).flatMap((alert) => (this.#isOrphan(alert) ? alert.id : []));
    void this.#endOutside(next);
  }

  /** No rule can resolve it. */
  #isOrphan(alert: Pick<AlertView, "source" | "sourceId" | "projectId">): boolean {
    const ruleId = ruleOf(alert);
    return ruleId !== null && !this.#parts.ruleOpensAlerts(ruleId, alert.projectId);
  }

  #firstOf(projectId: string): string[] {
    return Array.from(this.#book.ofProject(projectId), ({ id }) => id).slice(0, ENDED_AT_ONCE);
  }

  async #submitIn(trx: Trx, checked: readonly Checked[], sender: StorageSender): Promise<AlertOutcome[]> {
    const transaction = this.#transactionOf(trx);
    const outcomes = checked.map((each): AlertOutcome => {
      if (each instanceof PrismError) return { status: "refused", alert: null, error: each };
      const isNew = !each.resolves && !this.#book.byKey(each.projectId, each.key);
      const refusal = isNew ? this.#refusalOf(each, sender) : null;
      return refusal ?? outcomeOf(this.#takeOne(transaction, each, "input"));
    });
    await transaction.store();
    return outcomes;
  }

  async #take(trx: Trx, inputs: readonly CheckedInput[], reason: TransitionReason): Promise<readonly Taken[]> {
    const transaction = this.#transactionOf(trx);
    const taken = inputs.map((input) => this.#takeOne(transaction, input, reason));
    await transaction.store();
    return taken;
  }

  /** A rule may have decided before it was deleted or disabled. */
  #takeOne(transaction: AlertTransaction, input: CheckedInput, reason: TransitionReason): Taken {
    if (!input.resolves && this.#isOrphan(input)) return { verdict: "ignore", alert: null };
    return transaction.take(input, reason);
  }

  #takeSignals(trx: Trx, inputs: readonly CheckedInput[]): Promise<readonly Taken[]> {
    const { log } = this.#parts;
    const permitted = inputs.filter((input) => {
      const { projectId, sourceId, key, resolves } = input;
      const refusal = resolves || this.#book.byKey(projectId, key) ? null : this.#refusalOf(input);
      if (refusal?.status !== "refused") return true;
      if (this.#warnings.passes(`${sourceId} ${projectId}`))
        log.warn({ projectId, key, reason: refusal.error.message }, "skipped the alert of a rule");
      return false;
    });
    const fitted = permitted.map((input) => this.#fitted(input));
    return this.#take(trx, fitted, "signal");
  }

  async #handleDue(alerts: readonly StoredAlert[]): Promise<void> {
    for (const alert of alerts) this.#ending.add(alert);
    try {
      await this.#parts.db.write(async (trx) => {
        const transaction = this.#transactionOf(trx);
        const now = this.#parts.clock.now();
        for (const alert of alerts) {
          if (this.#book.find(alert.id) !== alert || (this.due.at(alert) ?? now) > now) continue;
          if (alert.firesAt !== null && alert.firesAt <= now) transaction.fire(alert);
          else transaction.timeOut(alert);
        }
        await transaction.store();
      });
    } finally {
      for (const alert of alerts) this.#ending.delete(alert);
    }
  }

  #transactionOf(trx: Trx): AlertTransaction {
    const open = this.#transactions.get(trx);
    if (open) return open;
    const { clock, joinIncidents } = this.#parts;
    const repeated = (alert: StoredAlert, repetition: Repetition): void => this.#repeated(alert, repetition);
    const transaction = new AlertTransaction({ book: this.#book, joinIncidents, repeated }, trx, clock.now());
    this.#transactions.set(trx, transaction);
    return transaction;
  }

  #repeated(alert: StoredAlert, repetition: Repetition): void {
    alert.repeat(repetition);
    this.#repetitions.add(alert);
    this.due.set(alert, this.#dueOf(alert));
    if (this.#whenRepeated !== null && alert.state === "firing") this.#whenRepeated(alert);
  }

  #put(row: AlertRow): void {
    const before = this.#book.find(row.id);
    const alert = this.#book.put(row);
    if (before) this.#repetitions.delete(before);
    if (alert) {
      this.due.set(alert, this.#dueOf(alert));
      this.#senders.opened(alert);
    } else if (before) {
      this.due.delete(before);
      this.#senders.ended(before);
    }
  }

  /** When it fires or times out; null: when its source reports something. */
  #dueOf({ endsAt, firesAt }: StoredAlert): EpochMs | null {
    const end = endsAt === null ? null : this.#parts.clock.fromWall(endsAt);
    return firesAt !== null && (end === null || firesAt <= end) ? firesAt : end;
  }

  /** While the server was down, or the clock was behind, repetitions could not move time-outs. */
  #grantGrace(): void {
    const now = this.#parts.clock.now();
    for (const alert of this.#book.all()) {
      if (alert.endsAt === null || alert.state === "pending") continue;
      const earliest = now + Math.max(alert.endsAt - alert.lastAt, GRACE_MS);
      this.due.set(alert, Math.max(this.#dueOf(alert) ?? 0, earliest));
    }
  }

  #inState(state: AlertView["state"], projectId: string, filter: AlertFilter): readonly AlertView[] {
    const found: AlertView[] = [];
    let examined = 0;
    for (const alert of this.#book.ofProject(projectId)) {
      examined++;
      if (alert.state === state && filter(alert)) found.push(alert);
    }
    currentCaller().charge?.({ steps: STEPS_PER_EXAMINED * examined });
    return found;
  }
}

function ruleOf({ source, sourceId }: Pick<AlertView, "source" | "sourceId">): string | null {
  return source === "rule" ? sourceId : null;
}
