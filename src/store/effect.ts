import type { Selectable } from "kysely";
import type { RightsChange } from "../core/caller.ts";
import type { JobRow, NotificationRow, RecipientRow } from "./commit/write-set.ts";
import type { PagesTable } from "./schema/alerts.ts";
import type {
  AlertsTable,
  DeliveryState,
  EventsTable,
  JobState,
  NtfyAccessTable,
  NtfyTopicsTable,
  OutsideChannel,
  Schema,
  StatusPagesTable,
} from "./schema.ts";

/**
 * Changes of a commit for the server's memory: plain data that names what changed. Effects
 * are collected with the transaction, pass through the writer with it, and are applied after the
 * commit, before the write resolves.
 */
export type EffectOf<T extends EffectType> = { [K in T]: { readonly type: K } & EffectData[K] }[T];
export type Effect = EffectOf<EffectType>;
export type EffectType = keyof EffectData;

/** The function that applies each type of effect. */
export type EffectTable = { readonly [K in EffectType]: (effect: EffectOf<K>) => void };

interface EffectData {
  "rights-changed": RightsChange;
  /** Cached answers about a user's rows. */
  "answers-changed": { readonly of: "tasks" | "profile"; readonly userId: string };
  /** Rules that are new, changed or deleted. */
  "rules-changed": { readonly ruleIds: readonly string[] };
  /** Events that a transaction appended to the log, with the receiver that notifies of each when no rule takes it. */
  "events-appended": { readonly events: readonly AppendedEvent[] };
  /** Events that a transaction removed, with the bytes of their payloads. */
  "events-removed": {
    readonly projectId: string;
    readonly events: readonly { readonly seq: number; readonly bytes: number }[];
  };
  /** Projects whose alerts, timelines or logged requests take more or fewer bytes; with alerts or incidents that change it is implied. */
  "texts-changed": { readonly projectIds: readonly string[] };
  /** Alerts that are new, or changed in more than a repetition. */
  "alerts-changed": { readonly alerts?: readonly Selectable<AlertsTable>[] };
  /** Silences that are new or changed, or whose start or end was reported. */
  "silences-changed": { readonly silences: readonly Selectable<Schema["silences"]>[] };
  /** Rules have fired because nothing matched. */
  "absences-fired": {
    readonly keys: readonly { readonly ruleId: string; readonly projectId: string; readonly key: string }[];
    readonly at: number;
  };
  /** Signals of rules that the alerts have taken, as their rows were. */
  "signals-taken": {
    readonly signals: readonly { readonly eventSeq: number; readonly projectId: string; readonly input: string }[];
  };
  "incidents-changed": {
    readonly incidents: readonly ChangedIncident[];
    /** Users notified, by reason. */
    readonly sent: Readonly<Record<string, number>>;
  };
  /** Policies or routing of these projects. */
  "policies-changed": { readonly projectIds: readonly string[] };
  /** Integrations that are new or changed, and ids of deleted ones. */
  "integrations-changed": {
    readonly changed?: readonly Selectable<Schema["integrations"]>[];
    readonly deleted?: readonly string[];
  };
  /** The window for unknown keys, or what is kept of them. */
  "claims-changed": object;
  /** Requests that wait to be passed on, of a receiver or an integration: more, or with negative numbers fewer. */
  "forwards-changed": {
    readonly sourceId: string;
    readonly kind: "receivers" | "integrations";
    readonly projectId: string;
    readonly count: number;
    readonly bytes: number;
  };
  /** Receivers that are new or changed, and ids of deleted ones. */
  "receivers-changed": {
    readonly changed?: readonly Selectable<Schema["receivers"]>[];
    readonly deleted?: readonly string[];
  };
  /** Topics of ntfy that are new or changed, and names of deleted ones. */
  "ntfy-topics-changed": {
    readonly changed?: readonly Selectable<NtfyTopicsTable>[];
    readonly deleted?: readonly string[];
  };
  /** Rights on topics of ntfy of a user in a project: all that there are now. */
  "ntfy-access-changed": {
    readonly projectId: string;
    readonly userId: string;
    readonly rows: readonly Selectable<NtfyAccessTable>[];
  };
  /** When something is due on an on-call schedule, and when its calendar is read; null: never, absent: as before. */
  "oncall-due": { readonly id: string; readonly dueAt?: number | null; readonly calendarAt?: number | null };
  /** What configuration files own from now on, and no longer. */
  "managed-changed": {
    readonly stored: readonly Schema["managed_objects"][];
    readonly removed: readonly Schema["managed_objects"][];
  };
  /** A message of ntfy that waits for its time; null: it was sent or cancelled. */
  "ntfy-scheduled": { readonly id: string; readonly dueAt: number | null };
  /** Status pages that are new or changed, and projects with pages that show something different. */
  "status-pages-changed": {
    readonly rows?: readonly Selectable<StatusPagesTable>[];
    readonly touched?: readonly string[];
  };
  "jobs-added": { readonly jobs: readonly EnqueuedRow[] };
  /** Jobs that no longer wait in the queue. */
  "jobs-removed": { readonly queue: string; readonly count: number };
  "jobs-died": { readonly jobs: readonly DeadJob[] };
  "queue-changed": { readonly queue: string; readonly isPaused: boolean };
  "worker-leased": LeasedWorker;
  "schedules-changed": object;
  entry: LoggedEntry;
  notified: { readonly notified: readonly NotifiedRecipient[] };
  "storm-closed": { readonly ruleId: string; readonly key: string };
  "delivery-outcome": DeliveryOutcome;
  /** Heartbeats with another due time; null: they are not watched. */
  "heartbeats-changed": { readonly heartbeats: readonly WatchedHeartbeat[] };
  /** Pages that are new or changed their times, and ids of pages that are no longer sent. */
  "pages-changed": { readonly open?: readonly OpenPageFacts[]; readonly ended?: readonly string[] };
  /** Settings of a way of pages: of a channel, or what a person has and wants. */
  "ways-changed": { readonly channelId?: string; readonly userId?: string; readonly isDeleted?: boolean };
  /** Heartbeats that are fed by other alerts than before; null: by none. */
  "heartbeats-fed": { readonly heartbeats: readonly FedHeartbeat[] };
  /** A delivery no longer waits for its target. */
  "turn-ended": { readonly target: string; readonly jobId: string };
  /** An event of the bus. */
  announced: { readonly event: string; readonly data: unknown };
}

/** An event of a transaction, as its row was written. */
export type AppendedEvent = EventsTable & { readonly receiverId: string | null };

/** A waiting page, as memory keeps it. */
export type OpenPageFacts = Pick<
  Selectable<PagesTable>,
  | ("id" | "incidentId" | "projectId" | "kind" | "target" | "provider" | "owner" | "channel" | "urgency" | "severity")
  | ("isEnd" | "attempts" | "firstAttemptAt" | "failedAt" | "heldUntil" | "createdAt" | "reason")
  | ("rings" | "lostAnswers" | "lostAt")
>;

export interface ChangedIncident {
  readonly id: string;
  readonly projectId: string;
  readonly state: "open" | "acknowledged" | "snoozed" | "resolved";
  readonly dueAt: number | null;
  /** Whether the last look at it found withheld alerts; absent: not looked at. */
  readonly holds: Readonly<Partial<Record<"flush" | "step" | "repeat", boolean>>>;
}

/** A job as just written. */
export type EnqueuedRow = Pick<JobRow, "queue" | "runAt"> & { readonly state: JobState };

/** A job that has failed permanently. */
export interface DeadJob {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly label: string | null;
  readonly error: string;
}

/** A remote worker, and the expiry of its lease. */
export interface LeasedWorker {
  readonly id: string;
  readonly tokenId: string;
  readonly host: string;
  readonly leaseUntil: number;
}

export interface WatchedHeartbeat {
  readonly id: string;
  readonly dueAt: number | null;
  readonly graceMs: number;
}

export interface FedHeartbeat {
  readonly id: string;
  readonly projectId: string;
  /** Matchers of alerts. */
  readonly fedBy: string | null;
}

/** A row of `stream_log`. */
export interface LoggedEntry {
  /** As in `stream_log`. */
  readonly stream: string;
  readonly offset: number;
  readonly entryType: string;
  /** JSON text; null if the table stores less than followers get: the reader builds the rest. */
  readonly data: string | null;
  readonly at: number;
  readonly correlationId: string;
  /** Id of the publishing connection, which does not receive it live. */
  readonly except?: string;
}

export interface NotifiedRecipient {
  readonly notification: NotificationRow;
  readonly recipient: RecipientRow;
}

export interface DeliveryOutcome {
  readonly channel: OutsideChannel;
  readonly state: Extract<DeliveryState, "delivered" | "failed" | "dead" | "skipped">;
  /** Time from notification to delivery, if it is delivered. */
  readonly latencyMs?: number;
}

/** New rows, as the job runner needs them. */
export function jobsAdded(rows: readonly EnqueuedRow[]): EffectOf<"jobs-added"> {
  return { type: "jobs-added", jobs: rows.map(({ queue, state, runAt }) => ({ queue, state, runAt })) };
}
