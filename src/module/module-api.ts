/**
 * What a module is, and what it is given: the interface of docs/modules.md, for features of
 * Prism itself and for anybody's. Outsiders get these types as `prism/module`; docs/modules.md is
 * the guide.
 */
import type { Kysely, Transaction } from "kysely";
import type { DateTime } from "luxon";
import type { ErrorCode } from "../core/errors.ts";
import type { Json } from "../core/json-text.ts";
import type { Logger } from "../core/log.ts";
import type { KeyScope, Permission } from "../core/permissions.ts";
import type { Level } from "../core/vocabulary.ts";
import type { Schema } from "../store/schema.ts";
import type {
  AnySchema,
  ModuleRequest,
  ModuleServer,
  Principal,
  Reply,
  RouteHandler,
  RouteOptions,
  SchemaIssue,
  SchemaResult,
} from "./module-server-api.ts";

export type {
  AnySchema,
  DateTime,
  ErrorCode,
  Json,
  KeyScope,
  Level,
  Logger,
  ModuleRequest,
  ModuleServer,
  Permission,
  Principal,
  Reply,
  RouteHandler,
  RouteOptions,
  Schema,
  SchemaIssue,
  SchemaResult,
};

/** A feature: what a module's `index.js` exports as its default. */
export interface AppModule {
  /**
   * `^[a-z][a-z0-9-]{1,63}$`, unique. Names its queue, its rows, its schedules and its lines in the
   * log.
   */
  readonly name: string;
  /** semver */
  readonly version: string;
  readonly requires?: ModuleRequirements;
  /**
   * Adds the module's routes and handlers; at most 10 s. A module that throws or rejects here is
   * `failed`, and nothing of it remains.
   */
  register(server: ModuleServer, services: CoreServices): Promise<void> | void;
  /**
   * Gives back what `register` took: intervals, sockets, files. Before a reload, a disable and the
   * end of the server; at most 5 s.
   */
  dispose?(): Promise<void> | void;
}

export interface ModuleRequirements {
  /**
   * Versions of Prism: comparators such as `>=0.1`, `^1.2.0`, `~1.2`, `1.x`, joined by spaces (all)
   * and `||` (any).
   */
  readonly prism?: string;
  /** Names of modules that are active before this one is registered. */
  readonly modules?: readonly string[];
}

/** What every module is given. Everything that it keeps or starts bears the module's name. */
export interface CoreServices {
  readonly time: TimeService;
  readonly notify: NotificationService;
  readonly scheduler: Scheduler;
  readonly timer: TimerService;
  readonly events: EventBus;
  readonly db: Database;
  readonly audit: AuditService;
  readonly realtime: RealtimeService;
  readonly log: Logger;
  /** The settings in force, nested as in prism.config.json, without secrets. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly kv: ModuleStore;
}

/** Last argument of every method that writes: joins your transaction in place of one of its own. */
export interface InTransaction {
  readonly trx?: Transaction<Schema> | undefined;
}

/** Luxon with Prism's clock and the users' zones. */
export interface TimeService {
  now(zone?: string): DateTime;
  convert(at: string | Date | DateTime, zone: string): DateTime;
  /** @param userId an id, an external id or a username. @throws USER_NOT_FOUND */
  forUser(at: string | Date | DateTime, userId: string): Promise<DateTime>;
  isValidZone(zone: string): boolean;
}

export type Channel = "in_app" | "pusher" | "fcm" | "apns" | "email" | "webhook";

export interface NotifyInput {
  /** An id, an external id or a username. One of `userId` and `recipients`. */
  readonly userId?: string | undefined;
  readonly recipients?: readonly string[] | undefined;
  readonly title: string;
  /** The text, which may also be called `message`. */
  readonly body?: string | undefined;
  readonly message?: string | undefined;
  readonly data?: Json | undefined;
  readonly sound?: string | undefined;
  readonly action?: Json | undefined;
  readonly channels?: readonly Channel[] | undefined;
  /** 0 to 1000. */
  readonly priority?: number | undefined;
  /** While a notification that the module sent with it is kept, that one stands for the new one. */
  readonly dedupeKey?: string | undefined;
}

export interface NotificationService {
  /** @throws RECIPIENT_NOT_FOUND, VALIDATION_FAILED */
  send(notification: NotifyInput, options?: InTransaction): Promise<{ id: string }>;
  /** Sends it later, once, whatever happens to the process until then. */
  schedule(
    notification: NotifyInput,
    when: { readonly at?: string | Date; readonly delayMs?: number },
    options?: InTransaction,
  ): Promise<{ jobId: string }>;
  /**
   * @returns whether it was cancelled: false when it has been sent, or was not scheduled by this
   * module.
   */
  cancel(jobId: string, options?: InTransaction): Promise<boolean>;
  /** What a user was told, newest first. @throws USER_NOT_FOUND */
  history(userId: string, page?: PageInput): Promise<Page<NotificationView>>;
  /** @throws NOTIFICATION_NOT_FOUND */
  markRead(id: string, userId: string, options?: InTransaction): Promise<void>;
}

/** `page` or `offset` or `cursor`, as in every list of the API. */
export interface PageInput {
  readonly limit?: number;
  readonly page?: number;
  readonly offset?: number;
  readonly cursor?: string;
}

export interface Page<T> {
  readonly data: readonly T[];
  /** Null in cursor mode. */
  readonly page: number | null;
  readonly limit: number;
  /** With `page` and `offset` only. */
  readonly total?: number;
  /** Null at the end. */
  readonly nextCursor: string | null;
}

/**
 * A notification as its recipient sees it; docs of `GET /api/v1/notifications` have the other
 * members.
 */
export interface NotificationView {
  readonly id: string;
  readonly userId: string;
  readonly title: string;
  readonly message: string;
  readonly body: string;
  readonly kind: string;
  readonly read: boolean;
  readonly delivered: boolean;
  readonly data: unknown;
  readonly action: unknown;
  readonly priority: number;
  readonly createdAt: string;
  readonly offset: number;
  readonly [member: string]: unknown;
}

export interface Scheduler {
  /**
   * Puts a job into the module's own queue, `module:<name>`, which is also what `default` and the
   * module's name stand for. @returns the job, or the unfinished one with the same `dedupeKey`.
   * @throws QUEUE_NOT_FOUND for any other queue, OVERLOADED, PAYLOAD_TOO_LARGE
   */
  add(queue: string, kind: string, payload: Json, options?: JobOptions & InTransaction): Promise<{ jobId: string }>;
  /**
   * Makes or changes the module's schedule of this name. Saying the same again keeps it, its next
   * run included. @throws INVALID_CRON
   */
  cron(
    name: string,
    pattern: string,
    kind: string,
    payload: Json,
    options?: { readonly timezone?: string; readonly missed?: "skip" | "once" | "all" } & InTransaction,
  ): Promise<{ scheduleId: string }>;
  /**
   * Does the module's jobs of this kind, at least once each. What it resolves to is kept as the
   * job's result.
   */
  handle(kind: string, handler: JobHandler): void;
  /**
   * Cancels a job that waits, or ends a schedule.
   * @param id a job's id, a schedule's id, or the name that {@link cron} was given. @returns
   * whether it was there: a running or finished job, and what is another module's, is not
   */
  cancel(id: string, options?: InTransaction): Promise<boolean>;
  /** One of the module's own jobs. */
  get(jobId: string): Promise<JobView | null>;
}

/**
 * An error that it throws fails the attempt, and the job is tried again with growing pauses. With
 * `permanent: true` on the error it is not; with `retryAfterMs` on it the next attempt is not
 * before that.
 */
export type JobHandler = (job: RunningJobView, signal: AbortSignal) => Promise<Json | undefined> | Promise<void>;

export interface JobOptions {
  readonly delayMs?: number;
  /** RFC 3339. */
  readonly runAt?: string | Date;
  /** 0 to 1000; higher first. */
  readonly priority?: number;
  readonly maxAttempts?: number;
  readonly dedupeKey?: string;
}

export interface JobView {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: Json;
  readonly state: "scheduled" | "ready" | "running" | "retrying" | "succeeded" | "cancelled" | "dead";
  /** Counts the running one. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly runAt: string;
  readonly correlationId: string;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  readonly lastError: string | null;
  readonly result: Json | null;
}

export interface RunningJobView extends JobView {
  /** Notes how far the work is, for people who look at the job. */
  progress(value: Json): void;
}

export interface TimerService {
  /**
   * Runs `action` after a delay, once. What becomes of a timer that waits under the same label:
   * {@link TimerOptions.onConflict}.
   */
  after(label: string, delayMs: number, action: TimerAction, options?: TimerOptions): Promise<{ jobId: string }>;
  at(label: string, at: string | Date, action: TimerAction, options?: TimerOptions): Promise<{ jobId: string }>;
  every(
    label: string,
    cron: string,
    action: TimerAction,
    options?: TimerOptions & { readonly timezone?: string },
  ): Promise<{ scheduleId: string }>;
  /**
   * Cancels the module's timer of a job id or schedule id, or all its timers with a label. @returns
   * whether any waited
   */
  cancel(jobIdOrLabel: string, options?: InTransaction): Promise<boolean>;
}

export interface TimerOptions extends InTransaction {
  /**
   * What becomes of a timer of the module that waits under the same label: it stays and no new one
   * is made (`keep`), it is cancelled (`replace`), both wait (`add`), or the call throws NAME_TAKEN
   * (`fail`). Default while `register` runs: `keep`, so that each start may say the same. Default
   * later: `add`; `every` then keeps a timer with the same action, pattern and zone.
   */
  readonly onConflict?: "keep" | "replace" | "add" | "fail";
}

export type TimerAction =
  | { readonly type: "notify"; readonly payload: NotifyInput }
  | {
      readonly type: "event";
      readonly event: string;
      readonly payload: Json;
      /** Also an event of the default project. */
      readonly persist?: boolean;
    }
  | { readonly type: "message"; readonly channel: string; readonly payload: Json };

export interface EventBus {
  /**
   * Tells everybody who listens, after this call has returned. It never throws. Nothing of it
   * outlives the process.
   */
  emit(event: string, payload?: unknown): void;
  /** `a:*` hears every `a:…`. @returns what ends it; the end of the module does so, too. */
  on(
    event: string,
    handler: (
      payload: unknown,
      meta: { readonly event: string; readonly correlationId: string },
    ) => void | Promise<void>,
  ): () => void;
  once(event: string, handler: (payload: unknown) => void | Promise<void>): () => void;
  /**
   * Stores an event; resolves when it is on disk and decided. Not within a transaction. @throws
   * VALIDATION_FAILED, ID_CONFLICT, OVERLOADED
   */
  ingest(event: EventInput): Promise<{ id: string; seq: number }>;
  /**
   * Reads the event log from where this reader has come to; a new one begins with what comes from
   * now on. Batches come one at a time and in order; one whose handler throws comes again, so each
   * event comes at least once. @returns what ends it; its place is kept.
   */
  consume(name: string, handler: (batch: StoredEvent[]) => Promise<void>, options?: ConsumeOptions): () => void;
}

export interface ConsumeOptions {
  /**
   * After so many failures in a row the events of the batch come one at a time, and one that fails
   * by itself is skipped with a line in the log. Default: no event is ever skipped.
   */
  readonly maxAttempts?: number;
}

export interface EventInput {
  readonly type: string;
  readonly payload?: { readonly [name: string]: Json };
  /** Id or slug; the default project when absent. */
  readonly projectId?: string;
  /** A UUID of your own: the same event sent again is the same event. */
  readonly id?: string;
  /** Default: `module:<name>`. */
  readonly source?: string;
  readonly level?: Level;
  /** An event of the project with the same key stands for this one. */
  readonly dedupeKey?: string;
  /** RFC 3339. */
  readonly occurredAt?: string;
  readonly correlationId?: string;
}

/** An event of the log. */
export interface StoredEvent {
  readonly id: string;
  readonly seq: number;
  readonly projectId: string;
  readonly type: string;
  readonly level: Level;
  readonly source: string | null;
  readonly payload: { readonly [name: string]: Json };
  readonly dedupeKey: string | null;
  readonly occurredAt: string;
  readonly receivedAt: string;
  readonly processedAt: string | null;
  readonly correlationId: string;
}

export interface Database {
  /** Sees every commit whose promise is settled. */
  readonly read: Kysely<Schema>;
  /**
   * One transaction, alone with the writer: `fn` awaits its own queries only, and gives `{ trx }`
   * to whatever else it calls. Rolled back when it throws, or after 5 s. Resolves when it is on
   * disk.
   */
  write<T>(fn: (trx: Transaction<Schema>) => Promise<T>): Promise<T>;
}

export interface AuditService {
  /**
   * Actor, address and request id come from the running request or job. Metadata are ids and
   * counts; never text of people, never secrets.
   */
  record(
    entry: {
      readonly action: string;
      readonly resourceType?: string;
      readonly resourceId?: string;
      readonly metadata?: { readonly [name: string]: Json };
    },
    options?: InTransaction,
  ): Promise<void>;
}

export interface RealtimeService {
  /**
   * Appends to a stream such as `channel:<name>` or `user:<id>` (also by external id or username),
   * for those who follow it now or read on later. Data: at most 64 KiB.
   */
  publish(stream: string, type: string, data: Json, options?: InTransaction): Promise<{ offset: number }>;
  /** Whether the user (by id, external id or username) has a live connection of any kind. */
  isLive(userId: string): boolean;
  /**
   * From now on `allows` says which users may subscribe to the channels of the embedded Pusher
   * server whose names begin with `prefix`, such as `presence-room-`; of several the longest
   * decides. It is asked at subscribing and again whenever the user's rights change, answers at
   * once, and lets nobody in when it throws. @returns what ends it; the end of the module does so,
   * too. @throws TypeError for a prefix that is taken, or Prism's own
   */
  authorizeChannel(prefix: string, allows: (principal: Principal, channel: string) => boolean): () => void;
}

/**
 * What a module keeps: JSON by key, its own alone. Keys have up to 256 characters, values up to 256
 * KiB.
 */
export interface ModuleStore {
  get(key: string): Promise<Json | undefined>;
  set(key: string, value: Json, options?: InTransaction): Promise<void>;
  delete(key: string, options?: InTransaction): Promise<void>;
  /**
   * What is kept under keys that begin with `prefix`, in their order.
   * @param page `after`: a key, to go on behind it; `limit`: 1 to 1000, default 100.
   */
  list(
    prefix: string,
    page?: { readonly after?: string; readonly limit?: number },
  ): Promise<{ readonly key: string; readonly value: Json }[]>;
}
