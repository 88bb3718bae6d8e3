import * as v from "valibot";
import type { BusHandler } from "../../core/bus.ts";
import { currentCaller } from "../../core/caller.ts";
import { uuidv7 } from "../../core/ids.ts";
import { type EpochMs, epochOf, type Moment } from "../../core/time/clock.ts";
import { type Action, type ChannelName, DEFAULT_CHANNELS, text } from "../../http/api/shapes.ts";
import { checkShape } from "../../http/body/input.ts";
import type { Uses } from "../../module/feature.ts";
import type * as api from "../../module/module-api.ts";
import { notificationRow } from "../../store/commit/notification-row.ts";
import type { NotificationRow } from "../../store/commit/write-set.ts";
import { addEffect, type InTransaction, insertLater, type Trx } from "../../store/database.ts";
import type { NotifiedRecipient } from "../../store/effect.ts";
import type { NotificationKind } from "../../store/schema.ts";
import { deliverJob, MAX_DIRECT_RECIPIENTS, recipientsJob } from "../rules/index.ts";
import * as actions from "./actions.ts";
import type { NotificationsContext } from "./inbox.ts";
import * as inbox from "./inbox.ts";

/** The bus event that sends a notification to a user. */
export const NOTIFY_EVENT = "notify";

/** The same shape as a timer's body, so that error paths match the request. */
const BusNotify = v.object({
  action: v.object({
    payload: v.object({
      userId: text(128, 1),
      title: text(255, 1),
      body: v.optional(text(4000)),
      message: v.optional(text(4000)),
    }),
  }),
});

/** Parses the payload of the event `notify`. @throws VALIDATION_FAILED */
export function readBusNotify(payload: unknown) {
  const { userId, title, body, message } = checkShape(BusNotify, { action: { payload } }, "body").action.payload;
  return { recipients: [userId], title, message: message ?? body ?? "" };
}

/** A notification of a user or code, without a rule. Texts are clean, `action` and `data` JSON. */
export interface NotificationInput {
  /** References to users, 1 to 1000. */
  readonly recipients: readonly string[];
  readonly title: string;
  readonly message: string;
  readonly sound?: string | null | undefined;
  readonly action?: v.InferInput<typeof Action> | null | undefined;
  readonly data?: Readonly<Record<string, unknown>> | null | undefined;
  readonly priority?: number | undefined;
  readonly kind?: NotificationKind;
  readonly correlationId?: string;
  /** Restricts recipients to members of this project. */
  readonly projectId?: string | null;
  /** The sender's: while a notification with this key is stored, it is returned instead. */
  readonly dedupeKey?: string | undefined;
  /** Channels besides the live streams; undefined: all channels of this server. */
  readonly channels?: readonly ChannelName[] | undefined;
  /** The job that sends it, if any. */
  readonly scheduledJobId?: string;
}

/** A notification as code of Prism or of a module writes it. */
type GivenNotification = NotificationInput | api.NotifyInput;

/** An instant or a delay; neither: now. */
export interface When {
  readonly at?: Moment | EpochMs | undefined;
  readonly delayMs?: number | undefined;
}

/** The job that sends a notification later. */
export interface ScheduledNotification {
  readonly jobId: string;
  readonly runAt: EpochMs;
  readonly state: string;
}

/** Sends notifications later. */
export interface Scheduling {
  schedule(input: NotificationInput, runAt: EpochMs, options: InTransaction): Promise<ScheduledNotification>;
  /** @returns whether it was waiting */
  cancel(jobId: string, options: InTransaction): Promise<boolean>;
}

type NotifierParts = Uses<"db" | "users" | "announcer" | "audit" | "clock" | "jobs" | "channels" | "realtime"> & {
  later(): NotificationsContext & Uses<"scheduling">;
};

/** Members of a stored notification that may change. */
interface NotificationChange {
  readonly title: string;
  readonly message: string;
  readonly aggregateCount?: number;
}

/**
 * Sends notifications without a rule: from the API, timers, modules. Rows, offsets and audit share
 * a transaction; live entries follow it.
 */
export class Notifier {
  /** Prism's subscriber of the bus event `notify`; timers send without it. */
  readonly onBus: BusHandler = async (payload, { correlationId }) => {
    await this.send({ ...readBusNotify(payload), correlationId });
  };
  readonly #parts: NotifierParts;

  constructor(parts: NotifierParts) {
    this.#parts = parts;
  }

  /** @returns the id of the new notification, or of the key's. @throws RECIPIENT_NOT_FOUND */
  async send(given: GivenNotification, options: InTransaction = {}): Promise<{ id: string }> {
    const { id } = await this.sendNew(given, options);
    return { id };
  }

  /** {@link send}. @returns also the rows of the new notification; none for the key's */
  async sendNew(given: GivenNotification, options: InTransaction = {}) {
    const input = asNotifyInput(given);
    const { db, users } = this.#parts;
    const dedupeKey =
      input.dedupeKey === undefined ? null : `${currentCaller().principal?.key ?? "system"} ${input.dedupeKey}`;
    return db.writeIn(options, async (trx) => {
      const held = dedupeKey === null ? undefined : await heldBy(dedupeKey, trx);
      if (held) return { ...held, notified: [] };
      const recipients = await users.recipients(input.recipients, trx, input.projectId ?? null);
      const row = notificationRow({
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
      });
      const notified = await this.store(row, recipients, trx, { scheduledJobId: input.scheduledJobId ?? null });
      return { id: row.id, notified };
    });
  }

  /** {@link send} later; past instants mean now. @throws RECIPIENT_NOT_FOUND, VALIDATION_FAILED */
  async schedule(
    given: GivenNotification,
    { at, delayMs = 0 }: When,
    options: InTransaction = {},
  ): Promise<ScheduledNotification> {
    const input = asNotifyInput(given);
    const now = this.#parts.clock.now();
    const runAt = epochOf(at ?? now + delayMs);
    return this.#parts.later().scheduling.schedule(input, Math.max(runAt, now), options);
  }

  /** Cancels a scheduled notification, including one of a timer. @returns whether it was waiting */
  cancel(jobId: string, options: InTransaction = {}): Promise<boolean> {
    return this.#parts.later().scheduling.cancel(jobId, options);
  }

  /** Notifications of a user, newest first. @throws USER_NOT_FOUND */
  async history(userRef: string, page: api.PageInput = {}): Promise<api.Page<api.NotificationView>> {
    return inbox.historyAsUser(this.#parts.later(), userRef, page);
  }

  /** @throws NOTIFICATION_NOT_FOUND */
  async markRead(id: string, userRef: string, options: InTransaction = {}): Promise<void> {
    return actions.markReadAsUser(this.#parts.later(), id, userRef, options);
  }

  /** Acknowledges for the user that a signed button or link names. @throws NOTIFICATION_NOT_FOUND */
  async acknowledge(id: string, userId: string, through: actions.AcknowledgedThrough): Promise<void> {
    return actions.acknowledgeAsUser(this.#parts.later(), id, userId, through);
  }

  /** Removes notifications from a user's list, at most a few hundred. @returns how many were in it */
  async remove(userId: string, offsets: readonly number[]): Promise<number> {
    return actions.removeAsUser(this.#parts.later(), userId, offsets);
  }

  /** Marks a person's notifications of an incident as acknowledged, and so as read. */
  async acknowledgeOf(trx: Trx, incidentId: string, userId: string): Promise<void> {
    await actions.acknowledgeOfIncident(this.#parts.later(), trx, incidentId, userId);
  }

  /**
   * Stores a notification and sends it live and through its channels. For a rule with more
   * recipients than one transaction writes, a job writes them.
   * @param targets the rule's, if there is a rule. @returns its recipients, unless a job writes them
   */
  async store(
    row: NotificationRow,
    userIds: readonly string[],
    trx: Trx,
    {
      scheduledJobId = null,
      incidentId = null,
      isPaged = false,
      targets,
    }: {
      scheduledJobId?: string | null;
      incidentId?: string | null;
      /** The caller plans its deliveries in this transaction. */
      isPaged?: boolean;
      targets?: Parameters<typeof recipientsJob>[1];
    },
  ): Promise<readonly NotifiedRecipient[]> {
    const { jobs, channels, audit } = this.#parts;
    let notified: readonly NotifiedRecipient[] = [];
    insertLater(trx, "notifications", { ...row, scheduledJobId, incidentId });
    if (targets && userIds.length > MAX_DIRECT_RECIPIENTS) await jobs.enqueue(recipientsJob(row, targets), { trx });
    else {
      notified = this.#notify(row, userIds, trx);
      if (!isPaged && channels.hasExternalChannel(row.channels)) await jobs.enqueue(deliverJob(row), { trx });
    }
    const metadata = { kind: row.kind, channel: "in_app", recipients: userIds.length };
    await audit.record(
      { action: "notification.sent", resourceType: "notification", resourceId: row.id, metadata },
      { trx },
    );
    return notified;
  }

  /**
   * Changes the text of a notification for all recipients, without a sound. Live streams notify at
   * most as many of them as a rule does directly; the others see it in their list.
   */
  async update(id: string, changes: NotificationChange, trx: Trx): Promise<void> {
    const { realtime } = this.#parts;
    await trx.updateTable("notifications").set(changes).where("id", "=", id).execute();
    const recipients = await trx
      .selectFrom("notification_recipients")
      .select("userId")
      .where("notificationId", "=", id)
      .where("deletedAt", "is", null)
      .limit(MAX_DIRECT_RECIPIENTS)
      .execute();
    for (const { userId } of recipients)
      await realtime.publish({ kind: "user", userId }, "notification.updated", { id, ...changes }, { trx });
  }

  /**
   * Writes recipients and notifies them live, for the job of a rule with many recipients, which
   * continues with {@link deliverJob}.
   */
  async addRecipients(notification: NotificationRow, userIds: readonly string[], trx: Trx): Promise<void> {
    this.#notify(notification, userIds, trx);
  }

  #notify(notification: NotificationRow, userIds: readonly string[], trx: Trx): readonly NotifiedRecipient[] {
    const { db } = this.#parts;
    const notified: NotifiedRecipient[] = userIds.map((userId) => ({
      notification,
      recipient: { notificationId: notification.id, userId, seq: db.nextOffset(trx) },
    }));
    for (const { recipient } of notified) insertLater(trx, "notification_recipients", recipient);
    if (notified.length > 0) addEffect(trx, { type: "notified", notified });
    return notified;
  }
}

/** Maps members with two names in the API to the name used here. */
function asNotifyInput(given: GivenNotification): NotificationInput {
  const { userId, body, ...input } = given as NotificationInput & api.NotifyInput;
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
