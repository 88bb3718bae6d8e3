import type { TestContext } from "node:test";
import { SealedBox } from "../../../../src/core/crypto/sealed-box.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { webhookChannel } from "../../../../src/features/channels/webhook/channel.ts";
import { WebhookClient } from "../../../../src/features/channels/webhook/client.ts";
import { newSecret } from "../../../../src/features/channels/webhook/message.ts";
import {
  OutsideHosts,
  type Resolver,
  SafeFetch,
  type SafeFetchOptions,
} from "../../../../src/features/channels/webhook/safe-fetch.ts";
import type { Attempt, DeliveryChannel } from "../../../../src/features/delivery/channel.ts";
import { Webhook, type WebhookRow } from "../../../../src/features/delivery/webhooks/webhook.ts";
import { AuditLog } from "../../../../src/features/records/audit/audit-log.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { openTestStore, TEST_KEY, type TestStore } from "../../../helpers/store.ts";
import type { SignalledAttempt } from "./push-world.ts";

export interface WebhookWorldOptions {
  readonly fetch?: SafeFetchOptions;
  readonly resolve?: Resolver;
}

/** A sender of webhooks over a real database, which may call this machine. */
export class WebhookWorld {
  readonly store: TestStore;
  readonly clock = new FakeClock();
  readonly box = new SealedBox([TEST_KEY]);
  /** Events for the bus. */
  readonly heard: unknown[] = [];
  readonly sender: DeliveryChannel;

  constructor(t: TestContext, { fetch = {}, resolve }: WebhookWorldOptions = {}) {
    this.store = openTestStore(t);
    const { database, log } = this.store;
    database.whenCommitted((effect) => {
      if (effect.type === "announced") this.heard.push({ event: effect.event, data: effect.data });
    });
    const rules = { allowsHttp: false, allowPorts: [], allowPrivateCidrs: ["127.0.0.0/8"] };
    const context = {
      db: database,
      audit: new AuditLog(database, this.clock),
      clock: this.clock,
      log,
      box: this.box,
      sounds: { urlOf: () => null },
    };
    const http = new SafeFetch(new OutsideHosts(rules, resolve), fetch);
    this.sender = webhookChannel(context, new WebhookClient(http, this.clock));
  }

  async user(id: string): Promise<string> {
    const row = { id, status: "active", createdAt: 0, updatedAt: 0 } as const;
    await this.store.database.write((trx) => trx.insertInto("users").values(row).execute());
    return id;
  }

  async project(id: string): Promise<string> {
    const row = { id, slug: id, name: id, settings: "{}", version: 1, createdAt: 0, updatedAt: 0 };
    await this.store.database.write((trx) => trx.insertInto("projects").values(row).execute());
    return id;
  }

  /** @returns its id and the key that its secret is */
  async webhook(url: string, values: Partial<WebhookRow> = {}): Promise<{ id: string; key: Buffer }> {
    const id = uuidv7();
    const { text, sealed } = newSecret(this.box, id);
    const at = this.clock.now();
    const own = { id, url, secret: sealed, createdBy: null, createdAt: at, updatedAt: at };
    const row = { ...Webhook.initial, ...own, ...values };
    await this.store.database.write((trx) => trx.insertInto("webhooks").values(row).execute());
    return { id, key: Buffer.from(text.slice("whsec_".length), "base64") };
  }

  async row(id: string): Promise<WebhookRow> {
    const { read } = this.store.database;
    return read.selectFrom("webhooks").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  }

  /**
   * A notification to these users, in their order. @param event the type of the event that has made
   * it
   */
  async notification({
    users,
    projectId = null,
    event,
  }: {
    users: readonly string[];
    projectId?: string | null;
    event?: string;
  }): Promise<Attempt["notification"]> {
    const id = uuidv7();
    const at = this.clock.now();
    const { database } = this.store;
    return database.write(async (trx) => {
      const eventId = event === undefined ? null : uuidv7();
      if (eventId !== null && event !== undefined) {
        const values = { id: eventId, projectId: projectId ?? "none", type: event, level: "info" } as const;
        const times = { occurredAt: at, receivedAt: at };
        await trx
          .insertInto("events")
          .values({ ...values, ...times, seq: database.nextOffset(trx), payload: "{}" })
          .execute();
      }
      await trx
        .insertInto("notifications")
        .values({
          id,
          eventId,
          projectId,
          kind: "rule",
          title: "Fire",
          message: "now",
          correlationId: id,
          createdAt: at,
        })
        .execute();
      for (const userId of users)
        await trx
          .insertInto("notification_recipients")
          .values({ notificationId: id, userId, seq: database.nextOffset(trx) })
          .execute();
      return trx.selectFrom("notifications").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
    });
  }

  /** One attempt, as the core makes them. */
  attempt(
    notification: Attempt["notification"],
    { userId, target }: { userId: string; target: string },
    signal = new AbortController().signal,
  ): SignalledAttempt {
    const at = this.clock.now();
    const delivery: Attempt["delivery"] = {
      id: uuidv7(),
      notificationId: notification.id,
      userId,
      channel: "webhook",
      target,
      state: "sending",
      attempts: 1,
      reason: null,
      providerId: null,
      lastError: null,
      jobId: null,
      deliveredAt: null,
      createdAt: at,
      updatedAt: at,
    };
    return { delivery, notification, offset: 0, signal };
  }
}
