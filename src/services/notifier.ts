import { currentCaller } from "../base/caller.ts";
import type { Clock } from "../base/clock.ts";
import { uuidv7 } from "../base/ids.ts";
import type { Announcer, Told } from "../pipeline/announcer.ts";
import type { Database, InTransaction, Trx } from "../store/database.ts";
import type { NotificationKind } from "../store/schema.ts";
import type { NotificationRow } from "../store/write-set.ts";
import type { AuditService } from "./audit.ts";
import type { UserDirectory } from "./user-directory.ts";

/** A notification somebody sends, in place of a rule. Text is clean already; `action` and `data` are plain JSON. */
export interface NotifyInput {
  /** References (D18), 1 to 1000. */
  readonly recipients: readonly string[];
  readonly title: string;
  readonly message: string;
  readonly sound?: string | null;
  readonly action?: unknown;
  readonly data?: unknown;
  readonly priority?: number;
  readonly kind?: NotificationKind;
  readonly correlationId?: string;
  /** Set when only the members of this project may be reached. */
  readonly projectId?: string | null;
  /** The sender's own: while a notification that was sent with it is kept, that one stands for the new one. */
  readonly dedupeKey?: string | undefined;
}

export interface NotifierParts {
  readonly database: Database;
  readonly directory: UserDirectory;
  readonly announcer: Announcer;
  readonly audit: AuditService;
  readonly clock: Clock;
}

/** Sends notifications that no rule decided: from the API, timers, modules. Rows, offsets and audit are one transaction; live entries follow it. */
export class Notifier {
  readonly #parts: NotifierParts;

  constructor(parts: NotifierParts) {
    this.#parts = parts;
  }

  /** @returns the id of the new notification, or of the one that holds the dedupe key. @throws RECIPIENT_NOT_FOUND */
  async send(input: NotifyInput, options: InTransaction = {}): Promise<{ id: string }> {
    const { database, directory } = this.#parts;
    const dedupeKey =
      input.dedupeKey === undefined ? null : `${currentCaller().principal?.key ?? "system"} ${input.dedupeKey}`;
    return database.writeIn(options, async (trx) => {
      const held = dedupeKey === null ? undefined : await heldBy(dedupeKey, trx);
      if (held) return held;
      const recipients = await directory.recipients(input.recipients, trx, input.projectId ?? null);
      const row = this.#row(input);
      await trx
        .insertInto("notifications")
        .values({ ...row, dedupeKey })
        .execute();
      await this.addRecipients(row, recipients, trx);
      await this.#recordSent(row, recipients.length, trx);
      return { id: row.id };
    });
  }

  /** Writes the recipients of a notification that exists, and tells them: for rules that reach many. */
  async addRecipients(notification: NotificationRow, userIds: readonly string[], trx: Trx): Promise<void> {
    const { database, announcer } = this.#parts;
    const told: Told[] = userIds.map((userId) => ({
      notification,
      recipient: { notificationId: notification.id, userId, seq: database.nextOffset(trx) },
    }));
    if (told.length === 0) return;
    await trx
      .insertInto("notification_recipients")
      .values(told.map(({ recipient }) => recipient))
      .execute();
    database.afterCommit(trx, () => announcer.notifications(told));
  }

  async #recordSent({ id, kind }: NotificationRow, recipients: number, trx: Trx): Promise<void> {
    const metadata = { kind, channel: "in_app", recipients };
    await this.#parts.audit.record(
      { action: "notification.sent", resourceType: "notification", resourceId: id, metadata },
      { trx },
    );
  }

  #row(input: NotifyInput): NotificationRow {
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
      correlationId: input.correlationId ?? currentCaller().correlationId ?? uuidv7(),
      createdAt: this.#parts.clock.now(),
    };
  }
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
