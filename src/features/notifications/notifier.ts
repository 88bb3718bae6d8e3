import { currentCaller } from "../../core/caller.ts";
import type { Clock, EpochMs } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import { type Channel, DEFAULT_CHANNELS } from "../../http/message-shapes.ts";
import type * as api from "../../module/module-api.ts";
import type { NotificationRow } from "../../store/commit/write-set.ts";
import { addEffect, type Database, type InTransaction, type Trx } from "../../store/database.ts";
import type { Told } from "../../store/effect.ts";
import type { NotificationKind } from "../../store/schema.ts";
import type { Principals, UserDirectory } from "../access/index.ts";
import type { AuditService } from "../audit/index.ts";
import type { Channels } from "../delivery/index.ts";
import type { JobRunner, JobService } from "../jobs/index.ts";
import { deliverJob } from "../rules/index.ts";
import type { PendingTimers, TimerSettings } from "../timers/index.ts";
import {
  epochOf,
  handleScheduledNotifications,
  type Moment,
  type ScheduledNotification,
  scheduleNotification,
} from "../timers/index.ts";
import type { Announcer } from "./announcer.ts";
import { busNotifier } from "./bus-notify.ts";
import { InboxPort } from "./inbox-port.ts";

/** A notification somebody sends, in place of a rule. Text is clean already; `action` and `data` are plain JSON. */
export interface NotifyInput {
  /** References (D18), 1 to 1000. */
  readonly recipients: readonly string[];
  readonly title: string;
  readonly message: string;
  readonly sound?: string | null | undefined;
  readonly action?: unknown;
  readonly data?: unknown;
  readonly priority?: number | undefined;
  readonly kind?: NotificationKind;
  readonly correlationId?: string;
  /** Set when only the members of this project may be reached. */
  readonly projectId?: string | null;
  /** The sender's own: while a notification that was sent with it is kept, that one stands for the new one. */
  readonly dedupeKey?: string | undefined;
  /** By which it may go out besides the live streams; absent: all that this server has. */
  readonly channels?: readonly Channel[] | undefined;
  /** The job that sends it, where one does. */
  readonly scheduledJobId?: string;
}

/** A notification as code writes it, the program's or a module's. */
type GivenNotification = NotifyInput | api.NotifyInput;

/** When something is to happen: at an instant, or so much later. Neither: now. */
export interface When {
  readonly at?: Moment | EpochMs | undefined;
  readonly delayMs?: number | undefined;
}

export interface NotifierParts {
  readonly database: Database;
  readonly directory: UserDirectory;
  readonly announcer: Announcer;
  readonly audit: AuditService;
  readonly clock: Clock;
  readonly jobs: JobService;
  readonly pending: PendingTimers;
  readonly runner: JobRunner;
  readonly principals: Principals;
  readonly channels: Channels;
  limits(): TimerSettings;
}

/** Sends notifications that no rule decided: from the API, timers, modules. Rows, offsets and audit are one transaction; live entries follow it. */
export class Notifier {
  /** What has arrived, which the feature `notifications` knows about. */
  readonly inbox = new InboxPort();
  /** Subscribes to the bus event `notify`. */
  readonly onBus = busNotifier((input) => this.send(input));
  readonly #parts: NotifierParts;

  constructor(parts: NotifierParts) {
    this.#parts = parts;
    handleScheduledNotifications({ ...parts, send: (input, options) => this.send(input, options) });
  }

  /** @returns the id of the new notification, or of the one that holds the dedupe key. @throws RECIPIENT_NOT_FOUND */
  async send(given: GivenNotification, options: InTransaction = {}): Promise<{ id: string }> {
    const input = asNotifyInput(given);
    const { database, directory } = this.#parts;
    const dedupeKey =
      input.dedupeKey === undefined ? null : `${currentCaller().principal?.key ?? "system"} ${input.dedupeKey}`;
    return database.writeIn(options, async (trx) => {
      const held = dedupeKey === null ? undefined : await heldBy(dedupeKey, trx);
      if (held) return held;
      const recipients = await directory.recipients(input.recipients, trx, input.projectId ?? null);
      const row = this.#row(input, dedupeKey);
      await trx
        .insertInto("notifications")
        .values({ ...row, scheduledJobId: input.scheduledJobId ?? null })
        .execute();
      await this.tell(row, recipients, trx);
      await this.#recordSent(row, recipients.length, trx);
      return { id: row.id };
    });
  }

  /** {@link send}, later; a time that is past is now. @throws RECIPIENT_NOT_FOUND, VALIDATION_FAILED */
  async schedule(
    given: GivenNotification,
    { at, delayMs = 0 }: When,
    options: InTransaction = {},
  ): Promise<ScheduledNotification> {
    const input = asNotifyInput(given);
    const now = this.#parts.clock.now();
    const runAt = at === undefined ? now + delayMs : epochOf(at);
    return scheduleNotification(this.#parts, input, Math.max(runAt, now), options);
  }

  /** Calls off what would notify somebody later, timers that do so among it. @returns whether it waited */
  cancel(jobId: string, options: InTransaction = {}): Promise<boolean> {
    return this.#parts.pending.cancelIfWaiting("notifications", jobId, () => true, options);
  }

  /** What a user was told, newest first. @throws USER_NOT_FOUND */
  history(userRef: string, page: api.PageInput = {}): Promise<api.Page<api.NotificationView>> {
    return this.inbox.history(userRef, page);
  }

  /** @throws NOTIFICATION_NOT_FOUND */
  markRead(id: string, userRef: string, options: InTransaction = {}): Promise<void> {
    return this.inbox.markRead(id, userRef, options);
  }

  /** Writes all recipients of a notification that exists, tells them, and has it go out by the channels that lead out of the program. */
  async tell(notification: NotificationRow, userIds: readonly string[], trx: Trx): Promise<void> {
    const { jobs, channels } = this.#parts;
    await this.addRecipients(notification, userIds, trx);
    if (channels.hasExternalChannel(notification.channels)) await jobs.enqueue(deliverJob(notification), { trx });
  }

  /** Writes some of the recipients, and tells them: for rules that reach many, whose job goes on with {@link deliverJob}. */
  async addRecipients(notification: NotificationRow, userIds: readonly string[], trx: Trx): Promise<void> {
    const { database } = this.#parts;
    const told: Told[] = userIds.map((userId) => ({
      notification,
      recipient: { notificationId: notification.id, userId, seq: database.nextOffset(trx) },
    }));
    if (told.length === 0) return;
    await trx
      .insertInto("notification_recipients")
      .values(told.map(({ recipient }) => recipient))
      .execute();
    addEffect(trx, { type: "notified", told });
  }

  async #recordSent({ id, kind }: NotificationRow, recipients: number, trx: Trx): Promise<void> {
    const metadata = { kind, channel: "in_app", recipients };
    await this.#parts.audit.record(
      { action: "notification.sent", resourceType: "notification", resourceId: id, metadata },
      { trx },
    );
  }

  #row(input: NotifyInput, dedupeKey: string | null): NotificationRow {
    return {
      id: uuidv7(),
      ruleId: null,
      eventId: null,
      projectId: input.projectId ?? null,
      kind: input.kind ?? "direct",
      title: input.title,
      message: input.message,
      sound: input.sound ?? null,
      action: jsonOrNull(input.action),
      data: jsonOrNull(input.data),
      priority: input.priority ?? 0,
      dedupeKey,
      correlationId: input.correlationId ?? currentCaller().correlationId ?? uuidv7(),
      createdAt: this.#parts.clock.now(),
      channels: JSON.stringify(input.channels ?? DEFAULT_CHANNELS),
    };
  }
}

/** The members of the contract's form that have two names, by those of the program. */
function asNotifyInput(given: GivenNotification): NotifyInput {
  const { userId, body, ...input } = given as NotifyInput & api.NotifyInput;
  return {
    ...input,
    recipients: input.recipients ?? (userId === undefined ? [] : [userId]),
    message: input.message ?? body ?? "",
  };
}

function heldBy(dedupeKey: string, trx: Trx): Promise<{ id: string } | undefined> {
  return trx
    .selectFrom("notifications")
    .select("id")
    .where("ruleId", "is", null)
    .where("dedupeKey", "=", dedupeKey)
    .executeTakeFirst();
}

function jsonOrNull(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}
