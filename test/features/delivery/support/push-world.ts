import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { SealedBox } from "../../../../src/core/crypto/sealed-box.ts";
import { sha256Hex } from "../../../../src/core/crypto/tokens.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import type { PushContext } from "../../../../src/features/channels/push/devices.ts";
import {
  type Accepted,
  type Attempt,
  callChannel,
  type DeliveryChannel,
  type NotificationFacts,
  TargetGone,
} from "../../../../src/features/delivery/channel.ts";
import type { Effect } from "../../../../src/store/effect.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { openTestStore, TEST_KEY, type TestStore } from "../../../helpers/store.ts";

export interface Device {
  readonly id: string;
  readonly userId: string;
  readonly token: string;
}

interface DeviceRow {
  readonly disabledAt: number | null;
  readonly lastUsedAt: number | null;
  readonly updatedAt: number;
}

export interface SignalledAttempt extends Attempt {
  readonly signal: AbortSignal;
}

/** An attempt that this process makes. */
export function send(channel: DeliveryChannel, { signal, ...attempt }: SignalledAttempt): Promise<Accepted> {
  return callChannel(channel, attempt, signal);
}

/** A database with users and devices, for channels without a server. */
export class PushWorld {
  readonly store: TestStore;
  readonly clock = new FakeClock();
  readonly parts: PushContext;
  readonly #box = new SealedBox([TEST_KEY]);
  readonly effects: Effect[] = [];
  #devices = 0;

  constructor(t: TestContext) {
    this.store = openTestStore(t);
    const { database } = this.store;
    database.whenCommitted((effect) => void this.effects.push(effect));
    this.parts = { db: database, box: this.#box, clock: this.clock, log: this.store.log };
  }

  async user(): Promise<string> {
    const id = uuidv7();
    const now = this.clock.now();
    await this.store.database.write((trx) =>
      trx.insertInto("users").values({ id, status: "active", createdAt: now, updatedAt: now }).execute(),
    );
    return id;
  }

  /** A device of a user of its own, unless one is named. */
  async device(kind: "fcm" | "apns", owner?: string): Promise<Device> {
    const [id, userId, now] = [uuidv7(), owner ?? (await this.user()), this.clock.now()];
    const number = String(++this.#devices);
    const token = kind === "fcm" ? `registration:token-${number}` : number.padStart(64, "a");
    const sealed = this.#box.seal(`push_devices.token.${id}`, Buffer.from(token));
    await this.store.database.write((trx) =>
      trx
        .insertInto("push_devices")
        .values({
          id,
          userId,
          kind,
          device: `device ${number}`,
          token: sealed,
          tokenHash: sha256Hex(token),
          createdAt: now,
          updatedAt: now,
        })
        .execute(),
    );
    return { id, userId, token };
  }

  async row({ id }: Device): Promise<DeviceRow> {
    return this.store.database.read
      .selectFrom("push_devices")
      .select(["disabledAt", "lastUsedAt", "updatedAt"])
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
  }

  async isDisabled(device: Device): Promise<boolean> {
    return (await this.row(device)).disabledAt !== null;
  }

  /** The app has said its token again. */
  async registerAgain({ id }: Device): Promise<void> {
    await this.store.database.write((trx) =>
      trx
        .updateTable("push_devices")
        .set({ disabledAt: null, updatedAt: this.clock.now() })
        .where("id", "=", id)
        .execute(),
    );
  }

  attempt(
    device: Device,
    given: Partial<NotificationFacts> = {},
    signal = new AbortController().signal,
  ): SignalledAttempt {
    const notification = notificationOf(given, this.clock.now());
    const now = this.clock.now();
    return {
      notification,
      offset: 4711,
      signal,
      delivery: {
        id: uuidv7(),
        notificationId: notification.id,
        userId: device.userId,
        channel: "fcm",
        target: device.id,
        state: "sending",
        attempts: 1,
        reason: null,
        providerId: null,
        lastError: null,
        jobId: null,
        deliveredAt: null,
        createdAt: now,
        updatedAt: now,
      },
    };
  }

  /**
   * Sends as the planner of attempts does: the result of an invalid target is recorded in a
   * transaction.
   */
  async sendAndNote(sender: DeliveryChannel, device: Device): Promise<Error | null> {
    const error = await failureOf(send(sender, this.attempt(device)));
    if (error instanceof TargetGone) await this.store.database.write(async (trx) => sender.disable?.(device.id, trx));
    return error;
  }
}

export function notificationOf(given: Partial<NotificationFacts>, now: number): NotificationFacts {
  return {
    id: uuidv7(),
    ruleId: null,
    eventId: null,
    projectId: null,
    kind: "direct",
    title: "Door opened",
    message: "Somebody opened the door",
    sound: null,
    action: null,
    data: null,
    channels: null,
    priority: 0,
    dedupeKey: null,
    aggregateCount: 1,
    scheduledJobId: null,
    delivered: 0,
    pusherEventSent: 0,
    correlationId: "c",
    createdAt: now,
    deliveredAt: null,
    expiresAt: null,
    incidentId: null,
    ...given,
  };
}

/** What a promise fails with; null when it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<Error | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
}
