import { type Caller, currentCaller, runAs, type Work } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { HOUR_MS } from "../../../core/time/clock.ts";
import type { WorkAccount } from "../../../http/limits/work-budget.ts";
import type { Uses } from "../../../module/feature.ts";
import { MustCommitAlone, rowsOfAll, type Trx, WriteQueue } from "../../../store/database.ts";
import type { RequestResult } from "../../../store/schema.ts";
import type { ProjectStorage, StorageSender } from "../../access/index.ts";
import { type Alerts, type Incidents, unresolvedOfAlert } from "../../alerts/index.ts";
import { appendEvents, type EventDraft } from "../../events/index.ts";
import type { ForwardState, NewForward } from "../forward/index.ts";
import { type AlertPlan, listed, type Plan, sourceOf } from "./prepare.ts";
import type { ReceiverRow } from "./receiver.ts";
import type { Receiver } from "./receivers.ts";
import { loggedRequests, type RequestLogEntry, writeLogEntry } from "./request-log.ts";

export interface AcceptContext extends Uses<"db" | "clock" | "alerts" | "work" | "preparing" | "forwarding"> {
  readonly incidents: Pick<Incidents, "acknowledge">;
  readonly storage: Pick<ProjectStorage, "requireRoom" | "roomForAlert">;
}

/** Stored parts, for the log of requests and for answers. */
export interface Stored {
  readonly result: RequestResult;
  readonly eventIds: readonly string[];
  readonly alerts: readonly { readonly key: string; readonly outcome: string; readonly alertId: string | null }[];
  /** Parts left out besides those that the plan names; null: none. */
  readonly problem: string | null;
}

interface Accepted {
  readonly replayIds: readonly string[];
  readonly entry: RequestLogEntry;
  /** Pays for the alerts. */
  readonly payer: WorkAccount | null;
  /** Storage for the sender: less for one who only knows the URL or the address. */
  readonly sender: StorageSender;
  /** The request itself, for a mirror that passes it on. */
  readonly forward?: NewForward | null;
}

interface Storing {
  readonly context: AcceptContext;
  readonly receiver: Receiver;
  readonly plan: Plan;
  readonly accepted: Accepted;
  /** The project has little storage left. */
  readonly isShort: boolean;
  readonly caller: Caller;
}

/**
 * Stores the ids against replays, the events, the alerts and the entry of the log in one
 * transaction: after a crash the sender's repetition finds all of them or nothing. Requests that wait at
 * the same time are stored in one together.
 * @throws STORAGE_FULL, STORAGE_LIMIT_REACHED, DATABASE_UNAVAILABLE, SHUTTING_DOWN
 */
export async function storeRequest(
  context: AcceptContext,
  receiver: Receiver,
  wanted: Plan,
  accepted: Accepted,
): Promise<Stored> {
  const { db, storage } = context;
  const { projectId } = receiver.row;
  const plan = within(storage, projectId, wanted, accepted.sender);
  const isShort = storage.roomForAlert(projectId, accepted.sender) !== "whole";
  const storing = { context, receiver, plan, accepted, isShort, caller: currentCaller() };
  if (!isJoinable(accepted)) return db.writeSharedIfPossible((trx, shares) => storeAlone(trx, storing, shares));
  return queueOf(context).add(storing);
}

/**
 * Whether a request may be stored with others: one with ids against replays is taken back alone when it
 * fails, and what a person sends again, or a node took without a leader, is stored in its own context.
 */
function isJoinable({ replayIds }: Accepted): boolean {
  const { requireStill, takenAt } = currentCaller();
  return replayIds.length === 0 && requireStill === undefined && takenAt === undefined;
}

/** Requests of one transaction: the first of them waits for all. */
const MOST_TOGETHER = 64;
const MAX_WAITING = 2000;
const queues = new WeakMap<AcceptContext["db"], WriteQueue<Storing, Stored>>();

function queueOf({ db }: AcceptContext): WriteQueue<Storing, Stored> {
  let queue = queues.get(db);
  if (queue === undefined) {
    queue = new WriteQueue<Storing, Stored>({
      ...{ db, most: MOST_TOGETHER, mayWait: MAX_WAITING, options: { sharesCommit: true }, isOfOne },
      // What follows one that must be alone is decided after it: it may be about the same alert.
      async store(trx, all) {
        const stored: Stored[] = [];
        for (const each of all) {
          const one = await runAs(each.caller, () => storeOne(trx, each, true)).catch(unlessAlone);
          if (one === null) break;
          stored.push(one);
        }
        loggedRequests(
          trx,
          all.slice(0, stored.length).map(({ receiver }) => receiver.row),
        );
        return stored;
      },
      storeAlone: (trx, one) => runAs(one.caller, () => storeAlone(trx, one, false)),
    });
    queues.set(db, queue);
  }
  return queue;
}

/** Errors of the database, which each of the requests would meet again. */
const OF_ALL: ReadonlySet<string> = new Set(["STORAGE_FULL", "DATABASE_UNAVAILABLE", "SHUTTING_DOWN", "OVERLOADED"]);

function isOfOne(error: unknown): boolean {
  return !(error instanceof PrismError && OF_ALL.has(error.code));
}

/** It is thrown before anything of the request is written. */
function unlessAlone(error: unknown): null {
  if (error instanceof MustCommitAlone) return null;
  throw error;
}

async function storeAlone(trx: Trx, one: Storing, sharesCommit: boolean): Promise<Stored> {
  const stored = await storeOne(trx, one, sharesCommit);
  loggedRequests(trx, [one.receiver.row]);
  return stored;
}

async function storeOne(
  trx: Trx,
  { context, receiver, plan, accepted, isShort }: Storing,
  sharesCommit: boolean,
): Promise<Stored> {
  const { replayIds, entry, payer, sender, forward = null } = accepted;
  const { id, projectId, forwardHeaders } = receiver.row;
  const now = context.clock.now();
  const isNew = await keepReplayIds(trx, id, replayIds, now);
  const stored: Stored = isNew
    ? await storePlan(context, trx, receiver, { plan, payer, sender, now, sharesCommit })
    : { result: "replayed", eventIds: [], alerts: [], problem: null };
  // A repetition was passed on when it came first.
  const passed =
    forward && isNew
      ? context.forwarding.keep(trx, { kind: "receivers", id, projectId, forwardHeaders }, forward, entry.id)
      : null;
  const outcome = outcomeOf(plan, stored, passed);
  writeLogEntry(trx, { ...entry, result: stored.result, outcome }, isShort);
  return stored;
}

/**
 * The storage that a project has left: alerts always, the events beside them from its reserve.
 * @throws STORAGE_LIMIT_REACHED for a plan without an alert
 */
function within(storage: AcceptContext["storage"], projectId: string, plan: Plan, sender: StorageSender): Plan {
  if (plan.events.length === 0) return plan;
  try {
    storage.requireRoom(projectId, { sender, isAlert: plan.alerts.length > 0 });
    return plan;
  } catch (error) {
    if (!(error instanceof PrismError) || plan.alerts.length === 0) throw error;
    return { ...plan, events: [], problem: listed(plan.problem, error.message) };
  }
}

const MAX_SHOWN = 20;

function outcomeOf(
  plan: Plan,
  { eventIds, alerts, problem: leftOut }: Stored,
  forward: ForwardState | null,
): Record<string, unknown> {
  const { ignored } = plan;
  const problem = leftOut === null ? plan.problem : listed(plan.problem, leftOut);
  return {
    events: eventIds.length,
    eventIds: eventIds.slice(0, MAX_SHOWN),
    alerts: alerts.slice(0, MAX_SHOWN),
    ...(ignored > 0 && { ignored }),
    ...(problem !== null && { problem }),
    ...(forward !== null && { forward }),
  };
}

/** @returns false if one of them is known */
async function keepReplayIds(trx: Trx, receiverId: string, ids: readonly string[], at: number): Promise<boolean> {
  if (ids.length === 0) return true;
  const kept = await rowsOfAll(
    trx,
    ids.map((id) => ({ sql: KEEP_REPLAY_SQL, parameters: [receiverId, id, at] })),
  );
  return kept.every((rows) => rows.length > 0);
}

const KEEP_REPLAY_SQL = `insert into receiver_replays (receiverId, replayId, at) values (?, ?, ?)
  on conflict do nothing returning at`;

async function storePlan(
  context: AcceptContext,
  trx: Trx,
  receiver: Receiver,
  {
    plan,
    payer,
    sender,
    now,
    sharesCommit,
  }: Pick<Accepted, "payer" | "sender"> & {
    readonly plan: Plan;
    readonly now: number;
    readonly sharesCommit: boolean;
  },
): Promise<Stored> {
  const { alerts, work } = context;
  const refused: EventDraft[] = [];
  const lonely: EventDraft[] = [];
  const events = [...plan.events];
  const shown: Stored["alerts"][number][] = [];
  /** Why new alerts were left out. */
  let full: PrismError | null = null;
  const submitted = plan.alerts.filter(({ status }) => status !== "acknowledged");
  const reported = submitted.map(({ status, input }) => (status === "firing" ? withKeptLabels(alerts, input) : input));
  const options = { sender, charge: (done: Work) => work.charge(payer, done) };
  // Alerts are decided by memory, which changes after each commit; their repetitions change none.
  if (sharesCommit && submitted.length < plan.alerts.length) throw new MustCommitAlone();
  const outcomes = sharesCommit ? alerts.repeat(reported, options) : await alerts.submit(reported, { ...options, trx });
  if (outcomes === null) throw new MustCommitAlone();
  const isUnknownEnd = (outcome: { readonly status: string }, i: number): boolean =>
    outcome.status === "unchanged" && submitted[i]?.status === "resolved" && submitted[i]?.isRoutine === false;
  const unknown = submitted.filter((_, i) => outcomes[i] && isUnknownEnd(outcomes[i], i));
  const late = unknown.length === 0 ? new Set<string>() : await endedLately(trx, unknown, now);
  for (const [i, outcome] of outcomes.entries()) {
    const planned = submitted[i];
    const { key, input, eventAt } = planned ?? NOT_PLANNED;
    if (outcome.status === "refused") {
      if (outcome.error.code === "STORAGE_LIMIT_REACHED") full = outcome.error;
      else if (planned) refused.push(withProblem(planned.fallback, outcome.error.message));
    }
    shown.push({ key, outcome: outcome.status, alertId: outcome.alert?.id ?? null });
    const event = eventAt === null ? undefined : events[eventAt];
    if (event && outcome.alert) events[eventAt ?? 0] = { ...event, correlationId: outcome.alert.id };
    if (!isUnknownEnd(outcome, i) || late.has(input?.key ?? "")) continue;
    if (event) events[eventAt ?? 0] = lonelyEnd(event, receiver.row);
    else if (planned) lonely.push(lonelyEnd(planned.fallback, receiver.row));
  }
  /** Events in place of alerts. */
  const inPlace = refused.length;
  for (const each of plan.alerts) {
    if (each.status !== "acknowledged") continue;
    const alertId = await acknowledge(context, trx, receiver.row, each);
    if (alertId === null) refused.push(each.fallback);
    shown.push({ key: each.key, outcome: alertId === null ? "unknown" : "acknowledged", alertId });
  }
  const isNothing = shown.every(({ outcome }) => outcome === "refused") && events.length + refused.length === 0;
  if (full !== null && isNothing) throw full;
  const source = sourceOf(receiver.row);
  const ends = within(context.storage, receiver.row.projectId, { ...plan, events: lonely, problem: null }, sender);
  // Those of the plan are paid when it is made.
  const unpaid = inPlace + ends.events.length;
  if (unpaid > 0) work.charge(payer, { rows: unpaid });
  const eventIds = await appendEvents(trx, [...events, ...refused, ...ends.events], { source, now });
  return { result: plan.result, eventIds, alerts: shown, problem: listed(full?.message ?? null, ends.problem) };
}

/** Another label would move a firing alert to another incident: all but the severity stay. */
function withKeptLabels(alerts: Alerts, input: AlertPlan["input"]): AlertPlan["input"] {
  const live = alerts.byKey(input.projectId, input.key);
  if (!live) return input;
  const { severity } = input.labels;
  const labels = severity === undefined ? live.labels : { ...live.labels, severity };
  return { ...input, labels, startsAt: live.startsAt };
}

const NOT_PLANNED = { key: "", input: undefined, eventAt: null } as const;

/** An end of an alert that is not known here notifies, whatever its level: the sender says that something changed. */
function lonelyEnd(event: EventDraft, { id, notifies }: ReceiverRow): EventDraft {
  return { ...event, level: "info", ...(notifies === 1 && { receiverId: id }) };
}

/** Keys of alerts that have ended within an hour: senders repeat an end, and a second one does not notify. */
async function endedLately(trx: Trx, plans: readonly AlertPlan[], now: number): Promise<ReadonlySet<string>> {
  const rows = await trx
    .selectFrom("alerts")
    .select("key")
    .where("projectId", "=", plans[0]?.input.projectId ?? "")
    .where("state", "=", "resolved")
    .where("resolvedAt", ">=", now - HOUR_MS)
    .where(
      "key",
      "in",
      plans.map(({ input }) => input.key),
    )
    .execute();
  return new Set(rows.map(({ key }) => key));
}

function withProblem(event: EventDraft, problem: string): EventDraft {
  return { ...event, id: uuidv7(), payload: { ...event.payload, problem } };
}

/** @returns the alert's id; null if it does not fire */
async function acknowledge(
  { alerts, incidents }: AcceptContext,
  trx: Trx,
  row: ReceiverRow,
  { input }: AlertPlan,
): Promise<string | null> {
  const live = alerts.byKey(row.projectId, input.key);
  if (!live) return null;
  const actor = { id: `receiver:${row.id}`, via: "receiver" };
  for (const id of await unresolvedOfAlert(trx, live.id)) await incidents.acknowledge(id, actor, { trx });
  return live.id;
}
