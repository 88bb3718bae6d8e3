import type { QueueName } from "../../core/limits/queues.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import type { Context } from "../../module/feature.ts";
import type { InTransaction, ReadDb, Trx } from "../../store/database.ts";
import { COMPLETED, finishOf, type RunningJob } from "../time/jobs/index.ts";
import { moneyOf } from "./money.ts";
import { Bucket, type BucketRow } from "./schema.ts";

async function hasBuckets(db: ReadDb | Trx): Promise<boolean> {
  return (await db.selectFrom("transfer_buckets").select("id").limit(1).executeTakeFirst()) !== undefined;
}

export async function replaceBucket(trx: Trx, { id, ...columns }: BucketRow): Promise<void> {
  await trx.updateTable("transfer_buckets").set(columns).where("id", "=", id).execute();
}

type BucketEvent = "bucket.below_threshold" | "bucket.recovered";

interface Verdict {
  readonly state: BucketRow["state"];
  readonly lastAlertAt: EpochMs | null;
  readonly event: BucketEvent | null;
}

/**
 * The state of a balance. Below the threshold users are notified at once and again each
 * `renotifyMs`; back above it once.
 */
function judge(bucket: BucketRow, now: EpochMs): Verdict {
  const { state, lastAlertAt, renotifyMs } = bucket;
  if (moneyOf(bucket.currentBalance) >= moneyOf(bucket.threshold))
    return { state: "ok", lastAlertAt: null, event: state === "below" ? "bucket.recovered" : null };
  // Also when the clock was set back in between.
  const isNotified = state === "below" && lastAlertAt !== null && Math.abs(now - lastAlertAt) < renotifyMs;
  return isNotified
    ? { state: "below", lastAlertAt, event: null }
    : { state: "below", lastAlertAt: now, event: "bucket.below_threshold" };
}

export type TransferBucketsContext = Context<"runner" | "jobs" | "schedules" | "projects" | "ingest">;

const QUEUE: QueueName = "bucket-monitoring";
const CHECK = "bucket.check";
const EVENT = "bucket.event";
const SCHEDULE = "prism:bucket-monitoring";
const PAGE = 500;
/** An event that cannot be stored now (a full disk) is retried for longer than minutes. */
const EVENT_ATTEMPTS = 20;

interface EventPayload {
  readonly type: BucketEvent;
  readonly bucket: { readonly bucketId: string; readonly name: string; readonly [amount: string]: string };
}

// A bucket's new state and the job that makes an event of it share a transaction; the event has the
// job's id and shares its commit. So each crossing makes exactly one event.

/** Applies the configured interval, if there are buckets. */
export async function startMonitoring(context: TransferBucketsContext): Promise<void> {
  const { db, runner } = context;
  runner.handle(CHECK, (_job, signal) => checkAll(context, signal));
  runner.handle(EVENT, (job) => notifyCrossing(context, job));
  if (await hasBuckets(db.read)) await startChecks(context, {});
}

/** Ensures that balances are checked. Without buckets they are not, see {@link endChecks}. */
export async function startChecks(context: TransferBucketsContext, options: InTransaction): Promise<void> {
  const { schedules, config } = context;
  const everyMs = config.buckets.checkMs;
  await schedules.put({ name: SCHEDULE, everyMs, queue: QUEUE, kind: CHECK, label: "transfer buckets" }, options);
}

export async function endChecks(context: TransferBucketsContext, trx: Trx): Promise<void> {
  if (!(await hasBuckets(trx))) await context.schedules.remove(SCHEDULE, { trx });
}

/** Judges a bucket before it is written; notifications follow as a job of the same transaction. */
export async function judged(context: TransferBucketsContext, bucket: BucketRow, trx: Trx): Promise<BucketRow> {
  const { jobs, clock } = context;
  const now = clock.now();
  const { event, ...verdict } = judge(bucket, now);
  const row: BucketRow = { ...bucket, ...verdict };
  if (event) {
    const { threshold, currency } = row;
    const payload: EventPayload = {
      type: event,
      bucket: { bucketId: row.id, name: row.name, balance: row.currentBalance, threshold, currency },
    };
    await jobs.enqueue({ queue: QUEUE, kind: EVENT, payload, runAt: now, maxAttempts: EVENT_ATTEMPTS }, { trx });
  }
  return row;
}

/** Most buckets are unchanged: each of the others is written in its own transaction. */
async function checkAll(
  context: TransferBucketsContext,
  signal: AbortSignal,
): Promise<{ checked: number; told: number }> {
  const { db, clock } = context;
  let checked = 0;
  let told = 0;
  for (let after = ""; ; ) {
    signal.throwIfAborted();
    const following = db.scan.selectFrom("transfer_buckets").selectAll().where("id", ">", after);
    const page = await following.orderBy("id").limit(PAGE).execute();
    for (const seen of page) if (judge(seen, clock.now()).event && (await checkOne(context, seen.id))) told++;
    checked += page.length;
    after = page.at(-1)?.id ?? after;
    if (page.length < PAGE) return { checked, told };
  }
}

function checkOne(context: TransferBucketsContext, id: string): Promise<boolean> {
  const { db, clock } = context;
  return db.write(async (trx) => {
    const bucket = await Bucket.find(trx, id);
    if (!bucket || !judge(bucket, clock.now()).event) return false;
    const row = await judged(context, bucket, trx);
    // A new state is a new version; a repeated notification is not.
    const changed = row.state === bucket.state ? {} : { version: row.version + 1, updatedAt: clock.now() };
    await replaceBucket(trx, { ...row, ...changed });
    return true;
  });
}

async function notifyCrossing(context: TransferBucketsContext, job: RunningJob): Promise<typeof COMPLETED> {
  const { ingest, projects, runner, clock } = context;
  const { type, bucket } = job.payload as EventPayload;
  const end = finishOf(job.claimed, runner.workerId, clock.now(), { outcome: "succeeded", result: null });
  await ingest.ingest(
    {
      id: job.id,
      type,
      payload: bucket,
      source: "transfer-buckets",
      level: type === "bucket.recovered" ? "info" : "warn",
      projectId: projects.defaultId,
      correlationId: job.correlationId,
    },
    end,
  );
  return COMPLETED;
}
