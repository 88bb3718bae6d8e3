import { uuidv7 } from "../../../core/ids.ts";
import type { Level, OwnEventType } from "../../../core/text/vocabulary.ts";
import { wordsFor } from "../../../core/text/words.ts";
import { type EpochMs, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { addEffect, type Database, type Trx, WriteQueue } from "../../../store/database.ts";
import { appendOwnEvents, type OwnEventDraft } from "../../events/index.ts";
import { labelRecord } from "../model/labels.ts";
import type { AlertOutcome, AlertRow, AlertView, JoinIncidents, Transition, TransitionReason } from "../types.ts";
import {
  type AlertBook,
  deleteAlert,
  insertAlerts,
  type Repetition,
  replaceAlerts,
  StoredAlert,
} from "./alert-book.ts";
import type { CheckedInput } from "./normalise.ts";
import { isSameSender } from "./senders.ts";

/** The state of a live alert when an input for it arrives. */
export type Known = Readonly<
  Pick<StoredAlert, "state" | "labelSet" | "severity" | "startsAt" | "endsAt" | "isTimeoutEnd" | "lastAt" | "sender">
>;

/**
 * - `open`, `hold`: a new alert fires, or stays pending first.
 * - `repeat`: a live alert is reported again; with the same labels and severity nothing is stored now. So is each
 *   input without the right to end it for an alert of another sender: other labels would be an end.
 * - `change`: it is reported with other labels or another severity.
 * - `resolve`, `drop`: a firing alert is over; a pending one has never fired.
 * - `ignore`: what is over was not known, or has been reported again since.
 */
export type AlertVerdict = "open" | "hold" | "repeat" | "change" | "resolve" | "drop" | "ignore";

export function verdictOn(known: Known | null, input: CheckedInput): AlertVerdict {
  if (known === null) {
    if (input.resolves) return "ignore";
    return input.holdMs > 0 ? "hold" : "open";
  }
  if (input.resolves && input.reportedAt !== null && input.reportedAt < known.lastAt) return "ignore";
  if (input.resolves) return known.state === "firing" ? "resolve" : "drop";
  return isForeign(known, input) || isSameAlert(known, input) ? "repeat" : "change";
}

/** The alert is another sender's, and the input may not end it: it only makes the alert last longer. */
export function isForeign({ sender }: Pick<Known, "sender">, input: CheckedInput): boolean {
  return !input.mayEnd && !isSameSender(sender, input.sender);
}

function isSameAlert({ labelSet, severity }: Known, input: CheckedInput): boolean {
  if (severity !== input.severity || labelSet.length !== input.labelSet.length) return false;
  return labelSet.every((text, i) => text === input.labelSet[i]);
}

/**
 * The times of an alert after an input, by Alertmanager's rule: when the spans of both overlap, the
 * earliest start is kept, and a later end that its sender stated beats an earlier one. Otherwise
 * the input replaces both. A foreign one only makes the alert last longer, until its sender reports it again.
 */
export function timesAfter(
  known: Known,
  input: CheckedInput,
): Pick<Repetition, "startsAt" | "endsAt" | "isTimeoutEnd"> {
  const { startsAt, endsAt, isTimeoutEnd } = input;
  const knownEnd = known.endsAt ?? Number.POSITIVE_INFINITY;
  const end = endsAt ?? Number.POSITIVE_INFINITY;
  if (isForeign(known, input)) {
    // Its sender's next report sets the end again, as after a time-out.
    if (end > knownEnd) return { startsAt: known.startsAt, endsAt, isTimeoutEnd: true };
    const { endsAt: kept, isTimeoutEnd: wasTimeout } = known;
    return { startsAt: known.startsAt, endsAt: kept, isTimeoutEnd: wasTimeout };
  }
  const overlaps = (end > known.startsAt && end < knownEnd) || (startsAt > known.startsAt && startsAt < knownEnd);
  if (!overlaps) return { startsAt, endsAt, isTimeoutEnd };
  const keepsEnd = !input.resolves && knownEnd > end && !known.isTimeoutEnd;
  return { startsAt: Math.min(known.startsAt, startsAt), endsAt: keepsEnd ? known.endsAt : endsAt, isTimeoutEnd };
}

interface TransactionParts {
  readonly book: AlertBook;
  readonly joinIncidents: JoinIncidents;
  /** A repetition of an alert that this transaction has not changed. */
  repeated(alert: StoredAlert, repetition: Repetition): void;
}

/** An alert that the transaction changes. */
interface Draft {
  /** Its state after the transaction. */
  readonly alert: StoredAlert;
  isInTable: boolean;
  /** A pending alert that has never fired leaves no row. */
  isDropped: boolean;
}

export interface Taken {
  readonly verdict: AlertVerdict;
  readonly alert: AlertView | null;
}

interface Ending {
  readonly reason: TransitionReason;
  readonly isAtOnce: boolean;
}

const SEVERE = wordsFor("openings");

/**
 * Changes of alerts in one transaction. It decides by the book, which is current while the
 * transaction has the writer, and by its own changes; {@link store} writes them with their events
 * and incidents. The book takes them after the commit, from the effect.
 */
export class AlertTransaction {
  readonly #parts: TransactionParts;
  readonly #trx: Trx;
  readonly #now: EpochMs;
  /** By project and key; null once nothing lives under the key. */
  readonly #current = new Map<string, Draft | null>();
  readonly #unstored = new Set<Draft>();
  #transitions: Transition[] = [];
  #events: OwnEventDraft[] = [];

  constructor(parts: TransactionParts, trx: Trx, now: EpochMs) {
    this.#parts = parts;
    this.#trx = trx;
    this.#now = now;
  }

  take(input: CheckedInput, reason: TransitionReason): Taken {
    const known = this.#known(input.projectId, input.key);
    const verdict = verdictOn(known, input);
    if (known === null) return { verdict, alert: verdict === "ignore" ? null : this.#open(input, reason) };
    if (verdict === "ignore") return { verdict, alert: null };
    const repetition = repetitionOf(known, input, this.#now);
    if (verdict === "repeat" && !this.#draftIn(known)) {
      this.#parts.repeated(known, repetition);
      return { verdict, alert: known };
    }
    const before = verdict === "change" ? known.copy() : known;
    const draft = this.#draftOf(known);
    draft.alert.repeat(repetition);
    if (verdict === "change") this.#change(draft, before, input, reason);
    else if (verdict === "resolve") this.#resolve(draft, { reason, isAtOnce: input.isAtOnce });
    else if (verdict === "drop") this.#drop(draft);
    return { verdict, alert: draft.alert };
  }

  /** The holding time of a pending alert is over. */
  fire(known: StoredAlert): void {
    const draft = this.#draftOf(known);
    draft.alert.state = "firing";
    draft.alert.firesAt = null;
    draft.alert.startsAt = this.#now;
    this.#opened(draft.alert, "held");
  }

  /** No input came in time. */
  timeOut(known: StoredAlert): void {
    const draft = this.#draftOf(known);
    draft.alert.timedOut = true;
    if (known.state === "pending") this.#drop(draft);
    else this.#resolve(draft, { reason: "timeout", isAtOnce: false });
  }

  /** @returns the alert, which leaves no row if it has not fired; null if it is over */
  end(id: string, ending: Ending): AlertView | null {
    const live = this.#parts.book.find(id) ?? null;
    const known = live && this.#known(live.projectId, live.key);
    if (known?.id !== id) return null;
    const draft = this.#draftOf(known);
    if (known.state === "pending") this.#drop(draft);
    else this.#resolve(draft, ending);
    return draft.alert;
  }

  /** Writes the rows and events, and routes the transitions into incidents. */
  async store(): Promise<void> {
    const drafts = [...this.#unstored];
    const [transitions, events] = [this.#transitions, this.#events];
    this.#unstored.clear();
    this.#transitions = [];
    this.#events = [];
    await this.#storeRows(drafts);
    await appendOwnEvents(this.#trx, events, { source: "prism:alerts", now: this.#now });
    if (drafts.length > 0) addEffect(this.#trx, { type: "alerts-changed", alerts: drafts.map(rowOf) });
    if (transitions.length > 0) await this.#parts.joinIncidents(this.#trx, transitions, this.#now);
  }

  async #storeRows(drafts: readonly Draft[]): Promise<void> {
    const isNew = ({ isInTable, isDropped }: Draft): boolean => !isInTable && !isDropped;
    const stored = drafts.filter(({ isInTable }) => isInTable);
    for (const { alert } of stored.filter(({ isDropped }) => isDropped)) await deleteAlert(this.#trx, alert.id);
    const replaced = stored.filter(({ isDropped }) => !isDropped);
    await replaceAlerts(this.#trx, replaced.map(rowOf));
    // After the others: one of them may free the key of a new alert.
    insertAlerts(this.#trx, drafts.filter(isNew).map(rowOf));
    for (const draft of drafts) draft.isInTable = true;
  }

  #known(projectId: string, key: string): StoredAlert | null {
    const draft = this.#current.get(indexOf(projectId, key));
    if (draft === undefined) return this.#parts.book.byKey(projectId, key) ?? null;
    return draft?.alert ?? null;
  }

  #draftIn({ projectId, key, id }: StoredAlert): Draft | null {
    const draft = this.#current.get(indexOf(projectId, key));
    return draft?.alert.id === id ? draft : null;
  }

  #draftOf(known: StoredAlert): Draft {
    const draft = this.#draftIn(known) ?? newDraft(known.copy(), true);
    return this.#keep(draft);
  }

  #keep(draft: Draft): Draft {
    this.#current.set(indexOf(draft.alert.projectId, draft.alert.key), draft);
    this.#unstored.add(draft);
    return draft;
  }

  #open(input: CheckedInput, reason: TransitionReason): AlertView {
    const alert = newAlert(input, this.#now);
    this.#keep(newDraft(alert, false));
    if (alert.state === "firing") this.#opened(alert, reason);
    return alert;
  }

  #change({ alert }: Draft, before: AlertView, input: CheckedInput, reason: TransitionReason): void {
    alert.labelSet = input.labelSet;
    alert.fingerprint = input.fingerprint;
    alert.severity = input.severity;
    if (alert.state === "firing") this.#transition("changed", alert, reason, false, before);
  }

  #resolve(draft: Draft, { reason, isAtOnce }: Ending): void {
    const { alert } = draft;
    alert.state = "resolved";
    alert.resolvedAt = this.#now;
    this.#current.set(indexOf(alert.projectId, alert.key), null);
    this.#transition("resolved", alert, reason, isAtOnce);
    this.#event(alert, { id: uuidv7(), type: "alert.resolved", level: "info", reason });
  }

  #drop(draft: Draft): void {
    draft.alert.state = "resolved";
    draft.isDropped = true;
    this.#current.set(indexOf(draft.alert.projectId, draft.alert.key), null);
  }

  #opened(alert: StoredAlert, reason: TransitionReason): void {
    this.#transition("opened", alert, reason, false);
    const level = SEVERE.has(alert.severity?.toLowerCase() ?? "") ? "error" : "warn";
    // An alert has the id of the event that opens it.
    this.#event(alert, { id: alert.id, type: "alert.opened", level, reason });
  }

  #transition(
    kind: Transition["kind"],
    alert: StoredAlert,
    reason: TransitionReason,
    isAtOnce: boolean,
    before?: AlertView,
  ): void {
    // A copy: a later input of the same transaction may change the alert again.
    this.#transitions.push({ kind, alert: alert.copy(), reason, isAtOnce, ...(before && { before }) });
  }

  #event(alert: StoredAlert, event: { id: string; type: OwnEventType; level: Level; reason: TransitionReason }): void {
    const { id, type, level, reason } = event;
    const { projectId, id: correlationId } = alert;
    this.#events.push({ id, projectId, type, level, correlationId, payload: payloadOf(alert, reason) });
  }
}

export function outcomeOf({ verdict, alert }: Taken): AlertOutcome {
  if (alert === null) return { status: "unchanged", alert };
  return { status: STATUS_OF[verdict], alert };
}

const STATUS_OF = {
  open: "opened",
  hold: "pending",
  repeat: "repeated",
  change: "changed",
  resolve: "resolved",
  drop: "resolved",
  ignore: "repeated",
} as const;

function newDraft(alert: StoredAlert, isInTable: boolean): Draft {
  return { alert, isInTable, isDropped: false };
}

function rowOf({ alert }: Draft): AlertRow {
  return alert.toRow();
}

function indexOf(projectId: string, key: string): string {
  return `${projectId}\n${key}`;
}

function newAlert(input: CheckedInput, now: EpochMs): StoredAlert {
  const { holdMs, startsAt } = input;
  const isHeld = holdMs > 0;
  return new StoredAlert({
    id: uuidv7(),
    projectId: input.projectId,
    key: input.key,
    fingerprint: input.fingerprint,
    labels: JSON.stringify(labelRecord(input.labelSet)),
    annotations: input.annotations ?? "{}",
    generatorUrl: input.generatorUrl ?? null,
    severity: input.severity,
    source: input.source,
    sourceId: input.sourceId,
    sender: input.sender,
    state: isHeld ? "pending" : "firing",
    startsAt,
    firesAt: isHeld ? now + holdMs : null,
    endsAt: input.endsAt,
    isTimeoutEnd: input.isTimeoutEnd ? 1 : 0,
    timedOut: 0,
    lastAt: input.reportedAt ?? now,
    count: 1,
    resolvedAt: null,
  });
}

export function repetitionOf(known: StoredAlert, input: CheckedInput, now: EpochMs): Repetition {
  const { annotations, generatorUrl = known.generatorUrl, sender } = input;
  const { startsAt, endsAt, isTimeoutEnd } = timesAfter(known, input);
  if (isForeign(known, input)) {
    const { startsAt: start, annotationsText: texts, generatorUrl: link, lastAt } = known;
    return {
      startsAt: start,
      endsAt,
      isTimeoutEnd,
      sender: known.sender,
      annotations: texts,
      generatorUrl: link,
      lastAt,
    };
  }
  return {
    startsAt,
    endsAt,
    isTimeoutEnd,
    // An alert that ends by other means, such as a person, was still reported by its sender.
    sender: sender ?? known.sender,
    annotations: annotations ?? known.annotationsText,
    generatorUrl,
    lastAt: Math.max(known.lastAt, input.reportedAt ?? now),
  };
}

function payloadOf(alert: StoredAlert, reason: TransitionReason): Record<string, unknown> {
  const { id, key, fingerprint, severity, source, sourceId, generatorUrl, startsAt, resolvedAt, timedOut } = alert;
  return {
    alertId: id,
    key,
    fingerprint,
    labels: alert.labels,
    annotations: alert.annotations,
    severity,
    source,
    sourceId,
    generatorUrl,
    startsAt: toRfc3339(startsAt),
    resolvedAt: toRfc3339OrNull(resolvedAt),
    timedOut,
    reason,
  };
}

/** A transaction of this many holds the writer for some 10 ms. */
const MAX_INPUTS = 200;

type TakeInputs = (trx: Trx, inputs: readonly CheckedInput[]) => Promise<readonly Taken[]>;

/** Inputs that change the state of an alert. */
export class InputQueue {
  readonly #queue: WriteQueue<CheckedInput, Taken>;
  /** Inputs by project and key that wait or are being stored. */
  readonly #keys = new Map<string, number>();

  constructor(db: Database, store: TakeInputs) {
    this.#queue = new WriteQueue({ db, most: MAX_INPUTS, store, ended: (input) => this.#count(input, -1) });
  }

  /** Whether an input for this alert waits: later ones must wait, too, or they would overtake it. */
  has({ projectId, key }: CheckedInput): boolean {
    return this.#keys.has(indexOf(projectId, key));
  }

  /** Resolves after the commit. */
  add(input: CheckedInput): Promise<Taken> {
    this.#count(input, 1);
    return this.#queue.add(input);
  }

  #count({ projectId, key }: CheckedInput, by: number): void {
    const index = indexOf(projectId, key);
    const count = (this.#keys.get(index) ?? 0) + by;
    if (count > 0) this.#keys.set(index, count);
    else this.#keys.delete(index);
  }
}
