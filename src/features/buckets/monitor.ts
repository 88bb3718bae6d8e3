import type { Config } from "../../config/load.ts";
import type { Clock, EpochMs } from "../../core/clock.ts";
import { moneyOf } from "../../core/money.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { Projects } from "../access/index.ts";
import type { IngestService } from "../events/index.ts";
import {
  COMPLETED,
  finishOf,
  type JobRunner,
  type JobService,
  type QueueName,
  type RunningJob,
} from "../jobs/index.ts";
import type { Schedules } from "../schedules/index.ts";
import type { BucketRow } from "./queries.ts";
import * as queries from "./queries.ts";

type BucketEvent = "bucket.below_threshold" | "bucket.recovered";

/** What a bucket is at some instant, and what is to be told of it. */
interface Verdict {
  readonly state: BucketRow["state"];
  readonly lastAlertAt: EpochMs | null;
  readonly event: BucketEvent | null;
}

/** Below its threshold: told when it goes there, and again each `renotifyMs`. Back at it or above: told once (contract 8.3). */
function judge(bucket: BucketRow, now: EpochMs): Verdict {
  const { state, lastAlertAt, renotifyMs } = bucket;
  if (moneyOf(bucket.currentBalance) >= moneyOf(bucket.threshold))
    return { state: "ok", lastAlertAt: null, event: state === "below" ? "bucket.recovered" : null };
  // Also where the clock was set back in between.
  const isTold = state === "below" && lastAlertAt !== null && Math.abs(now - lastAlertAt) < renotifyMs;
  return isTold
    ? { state: "below", lastAlertAt, event: null }
    : { state: "below", lastAlertAt: now, event: "bucket.below_threshold" };
}

/** What the feature needs besides the services of every module. */
export interface TransferBucketsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly schedules: Schedules;
  readonly projects: Projects;
  readonly storage: StorageGuard;
  readonly idempotency: Idempotency;
  readonly ingest: IngestService;
}

export type TransferBucketsContext = TransferBucketsOwn & Pick<CoreServices, "audit">;

const QUEUE: QueueName = "bucket-monitoring";
const CHECK = "bucket.check";
const TELL = "bucket.event";
const SCHEDULE = "prism:bucket-monitoring";
const PAGE = 500;
/** An event that cannot be stored now (the disk is full, say) is not given up within minutes. */
const TELL_ATTEMPTS = 20;

interface TellPayload {
  readonly type: BucketEvent;
  readonly bucket: { readonly bucketId: string; readonly name: string; readonly [amount: string]: string };
}

/**
 * Watches the balances (contract 8.3, bucket-monitoring). What a bucket has become, and the job that makes an event of it, are one transaction; the
 * event has the id of that job and is one commit with its end. So each crossing is one event, whatever crashes.
 */
export class BucketMonitor {
  readonly #context: TransferBucketsContext;

  constructor(context: TransferBucketsContext) {
    this.#context = context;
    context.runner.handle(CHECK, (_job, signal) => this.#check(signal));
    context.runner.handle(TELL, (job) => this.#tell(job));
  }

  /** Takes over the interval of the configuration, where there is something to watch. */
  async start(): Promise<void> {
    const { db } = this.#context;
    if (await queries.hasBuckets(db.read)) await db.write((trx) => this.watch(trx));
  }

  /** Sees to it that the balances are checked. While there are no buckets nothing is, see {@link rest}. */
  async watch(trx: Trx): Promise<void> {
    const { schedules, config } = this.#context;
    const everyMs = config.buckets.checkMs;
    await schedules.put({ name: SCHEDULE, everyMs, queue: QUEUE, kind: CHECK, label: "transfer buckets" }, { trx });
  }

  /** Ends the checks when the last bucket is gone. */
  async rest(trx: Trx): Promise<void> {
    if (!(await queries.hasBuckets(trx))) await this.#context.schedules.remove(SCHEDULE, { trx });
  }

  /** A bucket as it is to be written, judged; what there is to tell follows as a job of the same transaction. */
  async judged(bucket: queries.BucketRow, trx: Trx): Promise<queries.BucketRow> {
    const { jobs, clock } = this.#context;
    const now = clock.now();
    const { event, ...verdict } = judge(bucket, now);
    const row: queries.BucketRow = { ...bucket, ...verdict };
    if (event) {
      const payload: TellPayload = {
        type: event,
        bucket: {
          bucketId: row.id,
          name: row.name,
          balance: row.currentBalance,
          threshold: row.threshold,
          currency: row.currency,
        },
      };
      await jobs.enqueue({ queue: QUEUE, kind: TELL, payload, runAt: now, maxAttempts: TELL_ATTEMPTS }, { trx });
    }
    return row;
  }

  /** Most buckets are as they were: only the others are written, each in a transaction that reads it again. */
  async #check(signal: AbortSignal): Promise<{ checked: number; told: number }> {
    const { db, clock } = this.#context;
    let checked = 0;
    let told = 0;
    for (let after = ""; ; ) {
      signal.throwIfAborted();
      const page = await queries.bucketsBehind(db.scan, after, PAGE);
      for (const seen of page) if (judge(seen, clock.now()).event && (await this.#settle(seen.id))) told++;
      checked += page.length;
      after = page.at(-1)?.id ?? after;
      if (page.length < PAGE) return { checked, told };
    }
  }

  #settle(id: string): Promise<boolean> {
    const { db, clock } = this.#context;
    return db.write(async (trx) => {
      const bucket = await queries.findBucket(trx, id);
      if (!bucket || !judge(bucket, clock.now()).event) return false;
      const row = await this.judged(bucket, trx);
      // Another state is another version; being told again is none.
      const changed = row.state === bucket.state ? {} : { version: row.version + 1, updatedAt: clock.now() };
      await queries.replaceBucket(trx, { ...row, ...changed });
      return true;
    });
  }

  async #tell(job: RunningJob): Promise<typeof COMPLETED> {
    const { ingest, projects, runner, clock } = this.#context;
    const { type, bucket } = job.payload as TellPayload;
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
}
