/**
 * The interface of modules, for built-in features and for others. Module authors get these types as
 * `prism/module`; docs/modules.md is the guide.
 */
import type { Kysely, Transaction } from "kysely";
import type { DateTime } from "luxon";
import type { ErrorCode } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { KeyScope, Permission } from "../core/permissions.ts";
import type { Json } from "../core/text/json-text.ts";
import type { Level } from "../core/text/vocabulary.ts";
import type { Schema } from "../store/schema.ts";
import type { ConsumeOptions, EventBus, EventInput, StoredEvent } from "./module-events-api.ts";
import type {
  AnySchema,
  ModuleChannel,
  ModuleChannelField,
  ModuleChannelMessage,
  ModulePrincipal,
  ModuleReply,
  ModuleRequest,
  ModuleSendOptions,
  ModuleServer,
  RouteHandler,
  RouteOptions,
  SchemaIssue,
  SchemaResult,
} from "./module-server-api.ts";

export type {
  AnySchema,
  ConsumeOptions,
  DateTime,
  ErrorCode,
  EventBus,
  EventInput,
  Json,
  KeyScope,
  Level,
  Logger,
  ModuleChannel,
  ModuleChannelField,
  ModuleChannelMessage,
  ModuleDatabase as Database,
  ModulePage as Page,
  ModulePrincipal as Principal,
  ModuleReply as Reply,
  ModuleRequest,
  ModuleSendOptions,
  ModuleServer,
  ModuleTransaction as InTransaction,
  Permission,
  RouteHandler,
  RouteOptions,
  Schema,
  SchemaIssue,
  SchemaResult,
  StoredEvent,
};

/** A feature: the default export of a module's `index.js`. */
export interface AppModule {
  /** `^[a-z][a-z0-9-]{1,63}$`, unique. Names its queue, rows, schedules and log lines. */
  readonly name: string;
  /** semver */
  readonly version: string;
  readonly requires?: ModuleRequirements;
  /**
   * Adds the module's routes and handlers; at most 10 s. A module that throws or rejects here is
   * `failed`, and its additions are undone.
   */
  register(server: ModuleServer, services: CoreServices): Promise<void> | void;
  /**
   * Releases what `register` acquired: intervals, sockets, files. Called before a reload, a disable
   * and the end of the server; at most 5 s.
   */
  dispose?(): Promise<void> | void;
}

export interface ModuleRequirements {
  /** Versions of Prism: comparators such as `>=0.1`, `^1.2.0`, `1.x`; space: all, `||`: any. */
  readonly prism?: string;
  /** Names of modules that must be active first. */
  readonly modules?: readonly string[];
}

/** The services of every module. Whatever they store or start carries the module's name. */
export interface CoreServices {
  readonly time: TimeService;
  readonly notify: NotificationService;
  readonly scheduler: Scheduler;
  readonly timer: TimerService;
  readonly events: EventBus;
  readonly db: ModuleDatabase;
  readonly audit: AuditService;
  readonly realtime: RealtimeService;
  readonly log: Logger;
  /** The current settings, nested as in prism.config.json, without secrets. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly kv: ModuleStore;
}

/** Last argument of every method that writes: joins your transaction. */
interface ModuleTransaction {
  readonly trx?: Transaction<Schema> | undefined;
}

/** Luxon with Prism's clock and the users' time zones. */
export interface TimeService {
  now(zone?: string): DateTime;
  convert(at: string | Date | DateTime, zone: string): DateTime;
  /** @param userId an id, an external id or a username. @throws USER_NOT_FOUND */
  forUser(at: string | Date | DateTime, userId: string): Promise<DateTime>;
  isValidZone(zone: string): boolean;
}

export type Channel = "in_app" | "pusher" | "fcm" | "apns" | "webpush" | "email" | "webhook" | "service";

export interface NotifyInput {
  /** An id, an external id or a username. Either `userId` or `recipients`. */
  readonly userId?: string | undefined;
  readonly recipients?: readonly string[] | undefined;
  readonly title: string;
  /** The text; `message` is accepted too. */
  readonly body?: string | undefined;
  readonly message?: string | undefined;
  readonly data?: Json | undefined;
  readonly sound?: string | undefined;
  readonly action?: Json | undefined;
  readonly channels?: readonly Channel[] | undefined;
  /** 0 to 1000. */
  readonly priority?: number | undefined;
  /** While the module has a notification with this key, it is returned instead of a new one. */
  readonly dedupeKey?: string | undefined;
}

export interface NotificationService {
  /** @throws RECIPIENT_NOT_FOUND, VALIDATION_FAILED */
  send(notification: NotifyInput, options?: ModuleTransaction): Promise<{ id: string }>;
  /** Sends it later, exactly once, across restarts. */
  schedule(
    notification: NotifyInput,
    when: { readonly at?: string | Date; readonly delayMs?: number },
    options?: ModuleTransaction,
  ): Promise<{ jobId: string }>;
  /** @returns whether it was cancelled: false if it was sent, or is not this module's. */
  cancel(jobId: string, options?: ModuleTransaction): Promise<boolean>;
  /** A user's notifications, newest first. @throws USER_NOT_FOUND */
  history(userId: string, page?: PageInput): Promise<ModulePage<NotificationView>>;
  /** @throws NOTIFICATION_NOT_FOUND */
  markRead(id: string, userId: string, options?: ModuleTransaction): Promise<void>;
}

/** `page` or `offset` or `cursor`, as in every list of the API. */
export interface PageInput {
  readonly limit?: number;
  readonly page?: number;
  readonly offset?: number;
  readonly cursor?: string;
}

interface ModulePage<T> {
  readonly data: readonly T[];
  /** Null in cursor mode. */
  readonly page: number | null;
  readonly limit: number;
  /** With `page` and `offset` only. */
  readonly total?: number;
  /** Null at the end. */
  readonly nextCursor: string | null;
}

/** A notification as its recipient sees it; `GET /api/v1/notifications` has more members. */
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
   * Adds a job to the module's own queue, `module:<name>`, which `default` and the module's name
   * also mean. @returns the job, or the unfinished one with the same `dedupeKey`.
   * @throws QUEUE_NOT_FOUND for any other queue, OVERLOADED, PAYLOAD_TOO_LARGE
   */
  add(queue: string, kind: string, payload: Json, options?: JobOptions & ModuleTransaction): Promise<{ jobId: string }>;
  /** Creates or changes a schedule; an unchanged one keeps its next run. @throws INVALID_CRON */
  cron(
    name: string,
    pattern: string,
    kind: string,
    payload: Json,
    options?: { readonly timezone?: string; readonly missed?: "skip" | "once" | "all" } & ModuleTransaction,
  ): Promise<{ scheduleId: string }>;
  /** Runs jobs of this kind, each at least once. The resolved value is stored as the result. */
  handle(kind: string, handler: JobHandler): void;
  /**
   * Cancels a pending job, or deletes a schedule.
   * @param id a job's id, a schedule's id, or the name given to {@link cron}. @returns whether it
   * existed: false for running and finished jobs, and for those of other modules
   */
  cancel(id: string, options?: ModuleTransaction): Promise<boolean>;
  /** One of the module's own jobs. */
  get(jobId: string): Promise<JobView | null>;
}

/**
 * An error fails the attempt, and the job is retried with backoff. `permanent: true` on the error
 * prevents that; `retryAfterMs` delays the next attempt.
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
  /** Including the current one. */
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
  /** Records progress, for people who look at the job. */
  progress(value: Json): void;
}

export interface TimerService {
  /** Runs `action` once after a delay. For the label see {@link TimerOptions.onConflict}. */
  after(label: string, delayMs: number, action: TimerAction, options?: TimerOptions): Promise<{ jobId: string }>;
  at(label: string, at: string | Date, action: TimerAction, options?: TimerOptions): Promise<{ jobId: string }>;
  every(
    label: string,
    cron: string,
    action: TimerAction,
    options?: TimerOptions & { readonly timezone?: string },
  ): Promise<{ scheduleId: string }>;
  /**
   * Cancels the module's timer by job id or schedule id, or all its timers with a label. @returns
   * whether any was pending
   */
  cancel(jobIdOrLabel: string, options?: ModuleTransaction): Promise<boolean>;
}

export interface TimerOptions extends ModuleTransaction {
  /**
   * Handling of a pending timer of the module with the same label: keep it and create none
   * (`keep`), cancel it (`replace`), keep both (`add`), or throw NAME_TAKEN (`fail`). Default while
   * `register` runs: `keep`, so that each start may repeat it. Default later: `add`; `every` then
   * keeps a timer with the same action, pattern and zone.
   */
  readonly onConflict?: "keep" | "replace" | "add" | "fail";
}

export type TimerAction =
  | { readonly type: "notify"; readonly payload: NotifyInput }
  | {
      readonly type: "event";
      readonly event: string;
      readonly payload: Json;
      /** Also stores an event in the default project. */
      readonly persist?: boolean;
    }
  | { readonly type: "message"; readonly channel: string; readonly payload: Json };

interface ModuleDatabase {
  /** Sees every commit whose promise has settled. */
  readonly read: Kysely<Schema>;
  /**
   * One transaction with exclusive use of the writer: `fn` awaits its own queries only and passes
   * `{ trx }` to other calls. Rolled back when it throws, or after 5 s. Resolves when it is on
   * disk.
   */
  write<T>(fn: (trx: Transaction<Schema>) => Promise<T>): Promise<T>;
}

export interface AuditService {
  /**
   * Actor, address and request id come from the current request or job. Metadata are ids and
   * counts; never texts of people, never secrets.
   */
  record(
    entry: {
      readonly action: string;
      readonly resourceType?: string;
      readonly resourceId?: string;
      readonly metadata?: { readonly [name: string]: Json };
    },
    options?: ModuleTransaction,
  ): Promise<void>;
}

export interface RealtimeService {
  /**
   * Appends to a stream such as `channel:<name>` or `user:<id>` (also by external id, username or mail address),
   * for current and later followers. Data: at most 64 KiB.
   */
  publish(stream: string, type: string, data: Json, options?: ModuleTransaction): Promise<{ offset: number }>;
  /** Whether the user (by id, external id, username or mail address) has a live connection. */
  isLive(userId: string): boolean;
  /**
   * Lets `allows` decide which users may subscribe to channels of the embedded Pusher server with
   * this prefix, such as `presence-room-`; the longest matching prefix decides. It is called at
   * each subscription and after changes of the user's rights, must answer synchronously, and denies
   * access when it throws. @returns a function that ends it; so does the end of the module. @throws
   * TypeError for a prefix that is taken or Prism's own
   */
  authorizeChannel(prefix: string, allows: (principal: ModulePrincipal, channel: string) => boolean): () => void;
}

/** The module's own storage: JSON by key. Keys have up to 256 characters, values up to 256 KiB. */
export interface ModuleStore {
  get(key: string): Promise<Json | undefined>;
  set(key: string, value: Json, options?: ModuleTransaction): Promise<void>;
  delete(key: string, options?: ModuleTransaction): Promise<void>;
  /**
   * Entries whose keys start with `prefix`, sorted.
   * @param page `after`: a key to continue after; `limit`: 1 to 1000, default 100.
   */
  list(
    prefix: string,
    page?: { readonly after?: string; readonly limit?: number },
  ): Promise<{ readonly key: string; readonly value: Json }[]>;
}
