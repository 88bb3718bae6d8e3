import { sql } from "kysely";
import { addEffect, type Trx } from "../../store/database.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import { cutText } from "../rules/index.ts";
import { COMPLETED, type RunningJob } from "../time/jobs/index.ts";
import {
  attemptJob,
  type DeliveryContext,
  type DeliveryReason,
  type MergePayload,
  mergeJob,
  updateDelivery,
} from "./deliveries.ts";
import { recordCompletion } from "./outcome.ts";

/** Number of titles in the merged message. */
const NAMED_TITLES = 5;
const TITLE_LENGTH = 100;
/** Limit of deliveries that one message represents. */
const MAX_MERGED = 10_000;
const RATE_LIMITED: DeliveryReason = "rate limited";

/**
 * Merges a user's notifications that exceed the rate limit into one message with their number. All
 * of them stay in the user's list. A single one is sent unchanged.
 */
export async function mergeDeliveries(context: DeliveryContext, job: RunningJob): Promise<typeof COMPLETED> {
  const { userId } = job.payload as MergePayload;
  const { db, jobs, clock } = context;
  const merged = await db.write(async (trx) => {
    // Read in the transaction: until it ends, this job holds the dedupe key, and no other merge job
    // would be created.
    const all = await waitingOf(userId, trx);
    const isMirrored = ({ projectId }: Waiting): boolean => context.projects.isMirror(projectId);
    const change = { state: "skipped", reason: "mirror", updatedAt: clock.now() } as const;
    for (const { id } of all.filter(isMirrored)) await updateDelivery(trx, id, change);
    const waiting = all.filter((each) => !isMirrored(each));
    const isAlone = waiting.every(({ notificationId }) => notificationId === waiting[0]?.notificationId);
    await jobs.complete(job, trx, { deliveries: all.length });
    if (isAlone) await release(context, waiting, trx);
    else if (waiting.length > 0) await sendOne(context, userId, waiting, trx);
    if (all.length === MAX_MERGED) await jobs.enqueue(mergeJob(userId, clock.now()), { trx });
    return isAlone ? [] : waiting;
  });
  await recordMerged(context, merged);
  return COMPLETED;
}

async function release(
  { jobs, clock, channels }: DeliveryContext,
  waiting: readonly Waiting[],
  trx: Trx,
): Promise<void> {
  const now = clock.now();
  for (const { id } of waiting) await updateDelivery(trx, id, { reason: null, jobId: id, updatedAt: now });
  const attempts = waiting.map((each) => attemptJob(each, each, now, channels.queueOf(each.channel)));
  await jobs.enqueueNew(attempts, trx);
}

async function sendOne(
  { notify, clock }: DeliveryContext,
  userId: string,
  waiting: readonly Waiting[],
  trx: Trx,
): Promise<void> {
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
    .where("reason", "=", sql.lit(RATE_LIMITED)) // Literals, to match the partial index.
    .where("state", "=", sql.lit("queued"))
    .where("id", "<=", waiting.at(-1)?.id ?? "")
    .execute();
  for (const { channel } of waiting) addEffect(trx, { type: "delivery-outcome", channel, state: "skipped" });
  if (isActive) await notify.send({ ...contentOf(waiting), recipients: [userId] }, { trx });
}

/** One transaction per notification, after the commit: they may be many. */
async function recordMerged(context: DeliveryContext, waiting: readonly Waiting[]): Promise<void> {
  const { db } = context;
  const done = new Map(waiting.map((each) => [`${each.notificationId} ${each.channel}`, each] as const));
  for (const { notificationId, channel } of done.values())
    await db.write((trx) => recordCompletion(context, notificationId, channel, trx));
}

interface Waiting {
  readonly id: string;
  readonly notificationId: string;
  readonly channel: OutsideChannel;
  readonly title: string;
  readonly priority: number;
  readonly correlationId: string;
  readonly projectId: string | null;
}

function waitingOf(userId: string, trx: Trx): Promise<Waiting[]> {
  return trx
    .selectFrom("deliveries as d")
    .innerJoin("notifications as n", "n.id", "d.notificationId")
    .select(["d.id", "d.notificationId", "d.channel", "n.title", "n.priority", "n.correlationId", "n.projectId"])
    .where("d.userId", "=", userId)
    .where("d.reason", "=", sql.lit(RATE_LIMITED)) // Literals, to match the partial index.
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
    message: [
      "They exceed the rate limit, so this message replaces them:",
      ...named,
      ...(more > 0 ? [`and ${more} more.`] : []),
    ].join("\n"),
    priority: Math.max(...waiting.map(({ priority }) => priority)),
    channels: [...new Set(waiting.map(({ channel }) => channel))],
    data: { merged: titles.size },
  };
}
