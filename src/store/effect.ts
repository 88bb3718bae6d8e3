import type { RightsChange } from "../core/principal.ts";
import type { JobRow, NotificationRow, RecipientRow } from "./commit/write-set.ts";
import type { DeliveryState, JobState, OutsideChannel } from "./schema.ts";

/**
 * What the memory of the server must learn from a commit. An effect is plain data that names what
 * changed: it is collected with the transaction, goes through the writer with it, and is applied
 * after the commit, before the write resolves.
 */
export type EffectOf<T extends EffectType> = { [K in T]: { readonly type: K } & EffectData[K] }[T];
export type Effect = EffectOf<EffectType>;
export type EffectType = keyof EffectData;

/** What each type of effect does in memory. */
export type EffectTable = { readonly [K in EffectType]: (effect: EffectOf<K>) => void };

interface EffectData {
  "rights-changed": RightsChange;
  /** Answers that are kept of a user's rows. */
  "answers-changed": { readonly of: "tasks" | "profile"; readonly userId: string };
  /** Rules that are new, changed or deleted. */
  "rules-changed": { readonly ruleIds: readonly string[] };
  "jobs-added": { readonly jobs: readonly EnqueuedRow[] };
  /** Jobs that waited in the queue and do not any more. */
  "jobs-removed": { readonly queue: string; readonly count: number };
  "jobs-died": { readonly jobs: readonly DeadJob[] };
  "queue-changed": { readonly queue: string; readonly isPaused: boolean };
  "worker-leased": LeasedWorker;
  "schedules-changed": object;
  entry: LoggedEntry;
  notified: { readonly told: readonly Told[] };
  "storm-closed": { readonly ruleId: string; readonly key: string };
  "delivery-outcome": DeliveryOutcome;
  /** A delivery waits no more for its turn at its target. */
  "turn-ended": { readonly target: string; readonly jobId: string };
  /** An event of the bus. */
  announced: { readonly event: string; readonly data: unknown };
}

/** A job as it has just been written. */
export type EnqueuedRow = Pick<JobRow, "queue" | "runAt"> & { readonly state: JobState };

/** A job that has failed for good. */
export interface DeadJob {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly label: string | null;
  readonly error: string;
}

/** A worker elsewhere, and how long it may keep what it claims. */
export interface LeasedWorker {
  readonly id: string;
  readonly tokenId: string;
  readonly host: string;
  readonly leaseUntil: number;
}

/** A row of `stream_log`. */
export interface LoggedEntry {
  /** As in `stream_log`. */
  readonly stream: string;
  readonly offset: number;
  readonly entryType: string;
  /** JSON text; null: the table keeps less than followers get, and the reader makes the rest. */
  readonly data: string | null;
  readonly at: number;
  readonly correlationId: string;
  /** Id of the connection that it came from, which does not get it live. */
  readonly except?: string;
}

/** One user who gets one notification. */
export interface Told {
  readonly notification: NotificationRow;
  readonly recipient: RecipientRow;
}

export interface DeliveryOutcome {
  readonly channel: OutsideChannel;
  readonly state: Extract<DeliveryState, "delivered" | "failed" | "dead" | "skipped">;
  /** From the notification to its delivery; of one that is delivered. */
  readonly latencyMs?: number;
}

/** What the job runner needs to know of new rows. */
export function jobsAdded(rows: readonly EnqueuedRow[]): EffectOf<"jobs-added"> {
  return { type: "jobs-added", jobs: rows.map(({ queue, state, runAt }) => ({ queue, state, runAt })) };
}

export function applyEffect<T extends EffectType>(table: EffectTable, effect: EffectOf<T>): void {
  // The mapped types say that the function takes this effect.
  table[effect.type](effect);
}
