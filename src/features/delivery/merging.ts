import { sql } from "kysely";
import type { Clock } from "../../core/clock.ts";
import { addEffect, type Database, type Trx } from "../../store/database.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import type { JobService } from "../jobs/index.ts";
import { COMPLETED, type RunningJob } from "../jobs/index.ts";
import type { Notifier } from "../notifications/index.ts";
import { cutText } from "../rules/index.ts";
import { attemptJob, type MergePayload, mergeJob } from "./delivery-jobs.ts";
import type { DeliveryReason } from "./reasons.ts";
import type { Senders } from "./senders.ts";
import type { Settling } from "./settling.ts";

/** Titles that the one message names. */
const NAMED_TITLES = 5;
const TITLE_LENGTH = 100;
/** Deliveries that one message stands for at most. */
const MAX_MERGED = 10_000;
const CROWDED: DeliveryReason = "rate limited";

export interface MergingParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly notify: Notifier;
  readonly clock: Clock;
  readonly settling: Settling;
  readonly senders: Senders;
}

/**
 * Makes one message of the notifications that came to a user faster than they may leave the program (contract 7, Rate limits). They all stand in
 * the list; what is sent says how many. One that waited alone is sent as it is.
 */
export class Merging {
  readonly #parts: MergingParts;

  constructor(parts: MergingParts) {
    this.#parts = parts;
  }

  async merge(job: RunningJob): Promise<typeof COMPLETED> {
    const { userId } = job.payload as MergePayload;
    const { database, jobs, clock } = this.#parts;
    const merged = await database.write(async (trx) => {
      // Read here: this job's key stands for what is planned until it ends, and nobody else would come for that.
      const waiting = await waitingOf(userId, trx);
      const isAlone = waiting.every(({ notificationId }) => notificationId === waiting[0]?.notificationId);
      await jobs.complete(job, trx, { deliveries: waiting.length });
      if (isAlone) await this.#release(waiting, trx);
      else await this.#tellOnce(userId, waiting, trx);
      if (waiting.length === MAX_MERGED) await jobs.enqueue(mergeJob(userId, clock.now()), { trx });
      return isAlone ? [] : waiting;
    });
    await this.#settle(merged);
    return COMPLETED;
  }

  async #release(waiting: readonly Waiting[], trx: Trx): Promise<void> {
    const { jobs, clock, senders } = this.#parts;
    const now = clock.now();
    for (const { id } of waiting) {
      const changes = { reason: null, jobId: id, updatedAt: now };
      await trx.updateTable("deliveries").set(changes).where("id", "=", id).execute();
    }
    await jobs.enqueueNew(
      waiting.map((delivery) => attemptJob(delivery, delivery, now, senders.queueOf(delivery.channel))),
      trx,
    );
  }

  async #tellOnce(userId: string, waiting: readonly Waiting[], trx: Trx): Promise<void> {
    const { notify, clock } = this.#parts;
    const isActive = await trx
      .selectFrom("users")
      .select("id")
      .where("id", "=", userId)
      .where("status", "=", "active")
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    const reason: DeliveryReason = isActive ? "merged" : "recipient not active";
    await trx
      .updateTable("deliveries")
      .set({ state: "skipped", reason, updatedAt: clock.now() })
      .where("userId", "=", userId)
      .where("reason", "=", sql.lit(CROWDED)) // literals, as in the partial index
      .where("state", "=", sql.lit("queued"))
      .where("id", "<=", waiting.at(-1)?.id ?? "")
      .execute();
    for (const { channel } of waiting) addEffect(trx, { type: "delivery-outcome", channel, state: "skipped" });
    if (isActive) await notify.send({ ...contentOf(waiting), recipients: [userId] }, { trx });
  }

  /** Each notification by itself, behind the commit: they may be many, and this is bookkeeping. */
  async #settle(waiting: readonly Waiting[]): Promise<void> {
    const { database, settling } = this.#parts;
    const done = new Map(waiting.map((each) => [`${each.notificationId} ${each.channel}`, each] as const));
    for (const { notificationId, channel } of done.values())
      await database.write((trx) => settling.settle(notificationId, channel, trx));
  }
}

interface Waiting {
  readonly id: string;
  readonly notificationId: string;
  readonly channel: OutsideChannel;
  readonly title: string;
  readonly priority: number;
  readonly correlationId: string;
}

function waitingOf(userId: string, trx: Trx): Promise<Waiting[]> {
  return trx
    .selectFrom("deliveries as d")
    .innerJoin("notifications as n", "n.id", "d.notificationId")
    .select(["d.id", "d.notificationId", "d.channel", "n.title", "n.priority", "n.correlationId"])
    .where("d.userId", "=", userId)
    .where("d.reason", "=", sql.lit(CROWDED)) // literals, as in the partial index
    .where("d.state", "=", sql.lit("queued"))
    .orderBy("d.id")
    .limit(MAX_MERGED)
    .execute();
}

function contentOf(waiting: readonly Waiting[]) {
  const titles = new Map(waiting.map(({ notificationId, title }) => [notificationId, cutText(title, TITLE_LENGTH)]));
  const named = [...titles.values()].slice(0, NAMED_TITLES).map((title) => `- ${title}`);
  const more = titles.size - named.length;
  return {
    kind: "aggregate" as const,
    title: `${titles.size} notifications`,
    message: `They came faster than they may be sent, so this one message stands for them:\n${named.join("\n")}${more > 0 ? `\nand ${more} more.` : ""}`,
    priority: Math.max(...waiting.map(({ priority }) => priority)),
    channels: [...new Set(waiting.map(({ channel }) => channel))],
    data: { merged: titles.size },
  };
}
