import type { Config } from "../../config/load.ts";
import { type Clock, type EpochMs, toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import type { QueueName } from "../../core/queues.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import { requireVersion } from "../../http/negotiation.ts";
import { isFarPage, pageBody, readPage } from "../../http/pagination.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { Projects } from "../access/index.ts";
import type { IngestService } from "../events/index.ts";
import { COMPLETED, finishOf, type JobRunner, type JobService, type RunningJob } from "../jobs/index.ts";
import type { Schedules } from "../schedules/index.ts";
import { isMoney, moneyOf, moneyText } from "./money.ts";
import type { BucketRow } from "./queries.ts";
import * as queries from "./queries.ts";
import type { ChangeBalance, ChangeThreshold, CreateBucket, ListBuckets } from "./schema.ts";

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

// What a bucket has become, and the job that makes an event of it, are one transaction; the event has the id of that job and is one commit with its
// end. So each crossing is one event, whatever crashes.

/** Takes over the interval of the configuration, where there is something to watch. */
export async function startMonitoring(context: TransferBucketsContext): Promise<void> {
  const { db, runner } = context;
  runner.handle(CHECK, (_job, signal) => checkAll(context, signal));
  runner.handle(TELL, (job) => tellCrossing(context, job));
  if (await queries.hasBuckets(db.read)) await db.write((trx) => startChecks(context, trx));
}

/** Sees to it that the balances are checked. While there are no buckets nothing is, see {@link endChecks}. */
async function startChecks(context: TransferBucketsContext, trx: Trx): Promise<void> {
  const { schedules, config } = context;
  const everyMs = config.buckets.checkMs;
  await schedules.put({ name: SCHEDULE, everyMs, queue: QUEUE, kind: CHECK, label: "transfer buckets" }, { trx });
}

/** Ends the checks when the last bucket is gone. */
async function endChecks(context: TransferBucketsContext, trx: Trx): Promise<void> {
  if (!(await queries.hasBuckets(trx))) await context.schedules.remove(SCHEDULE, { trx });
}

/** A bucket as it is to be written, judged at once; what there is to tell follows as a job of the same transaction. */
async function judged(
  context: TransferBucketsContext,
  bucket: queries.BucketRow,
  trx: Trx,
): Promise<queries.BucketRow> {
  const { jobs, clock } = context;
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
async function checkAll(
  context: TransferBucketsContext,
  signal: AbortSignal,
): Promise<{ checked: number; told: number }> {
  const { db, clock } = context;
  let checked = 0;
  let told = 0;
  for (let after = ""; ; ) {
    signal.throwIfAborted();
    const page = await queries.bucketsBehind(db.scan, after, PAGE);
    for (const seen of page) if (judge(seen, clock.now()).event && (await checkOne(context, seen.id))) told++;
    checked += page.length;
    after = page.at(-1)?.id ?? after;
    if (page.length < PAGE) return { checked, told };
  }
}

function checkOne(context: TransferBucketsContext, id: string): Promise<boolean> {
  const { db, clock } = context;
  return db.write(async (trx) => {
    const bucket = await queries.findBucket(trx, id);
    if (!bucket || !judge(bucket, clock.now()).event) return false;
    const row = await judged(context, bucket, trx);
    // Another state is another version; being told again is none.
    const changed = row.state === bucket.state ? {} : { version: row.version + 1, updatedAt: clock.now() };
    await queries.replaceBucket(trx, { ...row, ...changed });
    return true;
  });
}

async function tellCrossing(context: TransferBucketsContext, job: RunningJob): Promise<typeof COMPLETED> {
  const { ingest, projects, runner, clock } = context;
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

const RENOTIFY_MS = 3_600_000;

export async function listBuckets(context: TransferBucketsContext, query: ListBuckets) {
  const { db } = context;
  const request = readPage(query, ["string"]);
  const { currency, state, q } = query;
  const isNear = currency === undefined && state === undefined && q === undefined && !isFarPage(request);
  const rows = await queries.listBuckets(isNear ? db.read : db.scan, { currency, state, q }, request);
  const total = request.wantsTotal ? await queries.countBuckets(db.scan, { currency, state, q }) : undefined;
  return pageBody(request, rows, bucketView, (row) => [row.id], total);
}

/** @throws BUCKET_NOT_FOUND */
export async function getBucket(context: TransferBucketsContext, id: string): Promise<queries.BucketRow> {
  return requireBucket(context.db.read, id);
}

/** @throws NAME_TAKEN for a name that another bucket of the currency has */
export async function createBucket(
  context: TransferBucketsContext,
  input: CreateBucket,
  trx: Trx,
): Promise<queries.BucketRow> {
  const { clock, storage } = context;
  storage.requireSpace();
  if (await queries.isNameTaken(trx, input.name, input.currency))
    throw new PrismError("NAME_TAKEN", `Another bucket in ${input.currency} has this name`);
  const now = clock.now();
  const bucket: queries.BucketRow = {
    id: uuidv7(),
    name: input.name,
    currency: input.currency,
    currentBalance: input.currentBalance,
    threshold: input.threshold,
    state: "ok",
    lastAlertAt: null,
    renotifyMs: input.renotifyMs ?? RENOTIFY_MS,
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
  const row = await judged(context, bucket, trx);
  await queries.insertBucket(trx, row);
  await startChecks(context, trx);
  await recordChange(context, "bucket.balance", row.id, { change: "created", old: null, new: row.currentBalance }, trx);
  return row;
}

/** @throws BUCKET_NOT_FOUND, VERSION_CONFLICT */
export async function setThreshold(
  context: TransferBucketsContext,
  id: string,
  ifMatch: string,
  { threshold }: ChangeThreshold,
  trx: Trx,
): Promise<queries.BucketRow> {
  const old = await requireBucket(trx, id);
  requireVersion(ifMatch, old.version);
  const row = await changeBucket(context, old, { threshold }, trx);
  await recordChange(context, "bucket.threshold", id, { old: old.threshold, new: threshold }, trx);
  return row;
}

/** @throws BUCKET_NOT_FOUND, VERSION_CONFLICT, VALIDATION_FAILED when the sum cannot be written */
export async function setBalance(
  context: TransferBucketsContext,
  id: string,
  ifMatch: string,
  input: ChangeBalance,
  trx: Trx,
): Promise<queries.BucketRow> {
  const old = await requireBucket(trx, id);
  requireVersion(ifMatch, old.version);
  const currentBalance = input.currentBalance ?? sum(old.currentBalance, input.delta ?? "0");
  const row = await changeBucket(context, old, { currentBalance }, trx);
  await recordChange(context, "bucket.balance", id, { old: old.currentBalance, new: currentBalance }, trx);
  return row;
}

/** @throws BUCKET_NOT_FOUND, VERSION_CONFLICT */
export async function deleteBucket(context: TransferBucketsContext, id: string, ifMatch: string): Promise<void> {
  await context.db.write(async (trx) => {
    const old = await requireBucket(trx, id);
    requireVersion(ifMatch, old.version);
    await queries.deleteBucket(trx, id);
    await endChecks(context, trx);
    await recordChange(context, "bucket.balance", id, { change: "deleted", old: old.currentBalance, new: null }, trx);
  });
}

async function changeBucket(
  context: TransferBucketsContext,
  old: queries.BucketRow,
  change: { readonly threshold: string } | { readonly currentBalance: string },
  trx: Trx,
): Promise<queries.BucketRow> {
  const changed = { ...old, ...change, version: old.version + 1, updatedAt: context.clock.now() };
  const row = await judged(context, changed, trx);
  await queries.replaceBucket(trx, row);
  return row;
}

async function recordChange(
  context: TransferBucketsContext,
  action: "bucket.threshold" | "bucket.balance",
  resourceId: string,
  metadata: { readonly change?: string; readonly old: string | null; readonly new: string | null },
  trx: Trx,
): Promise<void> {
  await context.audit.record({ action, resourceType: "bucket", resourceId, metadata }, { trx });
}

export function bucketView(row: queries.BucketRow) {
  return {
    id: row.id,
    name: row.name,
    currentBalance: row.currentBalance,
    threshold: row.threshold,
    currency: row.currency,
    state: row.state,
    renotifyMs: row.renotifyMs,
    updatedAt: toRfc3339(row.updatedAt),
    version: row.version,
  };
}

async function requireBucket(db: Parameters<typeof queries.findBucket>[0], id: string): Promise<queries.BucketRow> {
  const bucket = isUuid(id) ? await queries.findBucket(db, id) : undefined;
  if (!bucket) throw new PrismError("BUCKET_NOT_FOUND", "No such transfer bucket");
  return bucket;
}

/** @throws VALIDATION_FAILED */
function sum(balance: string, delta: string): string {
  const units = moneyOf(balance) + moneyOf(delta);
  if (isMoney(units)) return moneyText(units);
  throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
    details: [{ path: "delta", code: "VALUE", message: "would take the balance beyond 999999999999999.9999" }],
  });
}
