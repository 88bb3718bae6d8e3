import type { PermissionHolder } from "../../../core/caller.ts";
import { isUuid } from "../../../core/ids.ts";
import type { QueueName } from "../../../core/limits/queues.ts";
import { cursorOf, positionOf } from "../../../http/api/shapes.ts";
import { cancelWaiting, deleteJobs, makeReady, type StoredJob } from "../../../store/commit/job-table.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { jobsAdded } from "../../../store/effect.ts";
import type { JobState } from "../../../store/schema.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import { isByIndex, rangeOf, SEARCHED_AT_ONCE, type SeqRange, seenJobs, selected } from "./job-list.ts";
import { requireRoom } from "./job-service.ts";
import { type FoundJob, type OperatorContext, restartFree, SLICE } from "./operator.ts";
import { DEAD_LETTER_QUEUES, firstQueue } from "./runner/job.ts";
import type { JobFilters } from "./schema.ts";

export const BULK_ACTIONS = ["retry", "cancel", "promote", "delete"] as const;
export type BulkAction = (typeof BULK_ACTIONS)[number];

/** The jobs of one request: those that a filter finds, or these. */
export interface BulkRequest {
  readonly filter?: JobFilters | undefined;
  readonly ids?: readonly string[] | undefined;
  readonly dryRun: boolean;
  /** `nextCursor` of the request before. */
  readonly cursor?: string | undefined;
}

export interface BulkResult {
  /** Jobs that the filter finds, in a state that the action accepts. */
  readonly matched: number;
  /** With `dryRun`: those that would change. */
  readonly changed: number;
  readonly skipped: number;
  /** Null: all are done. */
  readonly nextCursor: string | null;
}

const ACCEPTED: Readonly<Record<BulkAction, readonly JobState[]>> = {
  retry: ["dead", "cancelled"],
  cancel: ["scheduled", "ready", "retrying"],
  promote: ["scheduled", "retrying"],
  delete: ["succeeded", "dead", "cancelled"],
};

/** One request changes at most this many jobs, in slices between which other writes run. */
const MOST_CHANGED = 10_000;
/** A request that has searched for this long ends with a cursor. */
const LONGEST_MS = 5000;

type BulkContext = Omit<OperatorContext, "hadBegun">;

/** Changes many jobs, newest first. Each slice is one transaction with its audit rows. */
export async function changeJobs(
  context: BulkContext,
  caller: PermissionHolder,
  action: BulkAction,
  request: BulkRequest,
): Promise<BulkResult> {
  if (request.ids) return changeNamed(context, action, request.ids, request.dryRun);
  const { db } = context;
  const wanted = request.filter?.state ?? ACCEPTED[action];
  const state = ACCEPTED[action].filter((each) => wanted.includes(each));
  const filters = { ...request.filter, state };
  const { first, last: newest } = await rangeOf(db.read, filters);
  let last = request.cursor === undefined ? newest : Math.min(newest, positionOf(request.cursor) - 1);
  if (state.length === 0) last = first - 1;
  const total = { matched: 0, changed: 0 };
  const until = performance.now() + LONGEST_MS;
  while (last >= first && performance.now() < until && (request.dryRun || total.matched < MOST_CHANGED)) {
    const range = { first: isByIndex(filters) ? first : Math.max(first, last + 1 - SEARCHED_AT_ONCE), last };
    if (request.dryRun && filters.q === undefined) {
      const count = await countOf(selected(db.scan, filters, range));
      total.matched += count;
      total.changed += count;
      last = range.first - 1;
      continue;
    }
    const seqs = await sliceOf(context, filters, range, caller);
    total.matched += seqs.length;
    total.changed += request.dryRun ? seqs.length : await changeSlice(context, action, seqs);
    last = seqs.length < SLICE ? range.first - 1 : (seqs.at(-1) ?? range.first) - 1;
  }
  const nextCursor = last >= first ? cursorOf([last + 1]) : null;
  return { ...total, skipped: total.matched - total.changed, nextCursor };
}

/** The newest jobs of a range that the filter finds. */
async function sliceOf(
  { db }: BulkContext,
  { q, ...filters }: JobFilters,
  range: SeqRange,
  caller: PermissionHolder,
): Promise<readonly number[]> {
  if (q === undefined) {
    const rows = await selected(db.scan, filters, range).select("seq").orderBy("seq", "desc").limit(SLICE).execute();
    return rows.map(({ seq }) => seq);
  }
  const seqs: number[] = [];
  for await (const { seq } of seenJobs(db, { ...filters, q }, range, caller)) {
    seqs.push(seq);
    if (seqs.length === SLICE) break;
  }
  return seqs;
}

async function changeNamed(
  context: BulkContext,
  action: BulkAction,
  given: readonly string[],
  dryRun: boolean,
): Promise<BulkResult> {
  const ids = [...new Set(given.filter(isUuid))];
  const found = await context.db.read
    .selectFrom("jobs")
    .select("seq")
    .where("id", "in", ids)
    .where("state", "in", ACCEPTED[action])
    .execute();
  const seqs = found.map(({ seq }) => seq);
  let changed = dryRun ? seqs.length : 0;
  if (!dryRun)
    for (let at = 0; at < seqs.length; at += SLICE)
      changed += await changeSlice(context, action, seqs.slice(at, at + SLICE));
  return { matched: seqs.length, changed, skipped: given.length - changed, nextCursor: null };
}

/** Some may have changed since they were found. @returns how many changed. @throws OVERLOADED */
async function changeSlice(context: BulkContext, action: BulkAction, seqs: readonly number[]): Promise<number> {
  if (seqs.length === 0) return 0;
  const { db, audit } = context;
  return db.write(async (trx) => {
    const jobs = await trx
      .selectFrom("jobs")
      .select(["seq", "id", "kind", "queue", "dedupeKey"])
      .where("seq", "in", seqs)
      .where("state", "in", ACCEPTED[action])
      .execute();
    let total = 0;
    for (const [queue, ofQueue] of byQueue(jobs)) {
      const changed = await CHANGES[action](context, trx, queue, ofQueue);
      if (changed.length === 0) continue;
      total += changed.length;
      const metadata = { action, changed: changed.length, ids: changed.map(({ id }) => id) };
      await audit.record({ action: "job.bulk", resourceType: "queue", resourceId: queue, metadata }, { trx });
    }
    return total;
  });
}

function byQueue(jobs: readonly (FoundJob & Pick<StoredJob, "queue">)[]): Map<QueueName, FoundJob[]> {
  const queues = new Map<QueueName, FoundJob[]>();
  for (const { queue, ...job } of jobs) {
    const name = queue as QueueName;
    const known = queues.get(name);
    if (known) known.push(job);
    else queues.set(name, [job]);
  }
  return queues;
}

type Change = (
  context: BulkContext,
  trx: Trx,
  queue: QueueName,
  jobs: readonly FoundJob[],
) => Promise<readonly Pick<StoredJob, "id">[]>;

/** The actions on jobs of one queue. @returns the changed jobs */
const CHANGES: Readonly<Record<BulkAction, Change>> = {
  async retry(context, trx, queue, jobs) {
    requireRoom(context.runner, firstQueue(queue));
    return restartFree(context, trx, queue, jobs);
  },
  async cancel({ clock, hooks }, trx, queue, jobs) {
    if (DEAD_LETTER_QUEUES.has(queue)) return [];
    const seqs = jobs.map(({ seq }) => seq);
    const cancelled = await cancelWaiting(trx, queue, seqs, clock.now());
    for (const { id, kind } of cancelled) await hooks.notify(trx, kind, { jobId: id, state: "cancelled", error: null });
    addEffect(trx, { type: "jobs-removed", queue, count: cancelled.length });
    return cancelled;
  },
  async promote({ clock }, trx, queue, jobs) {
    const runAt = clock.now();
    const ids = jobs.map(({ id }) => id);
    const ready = await makeReady(trx, ids, ACCEPTED.promote, runAt);
    // They were counted as waiting and are counted again.
    addEffect(trx, { type: "jobs-removed", queue, count: ready.length });
    addEffect(trx, jobsAdded(ready.map(() => ({ queue, state: "ready", runAt }))));
    return jobs;
  },
  async delete(_context, trx, _queue, jobs) {
    await deleteJobs(
      trx,
      jobs.map(({ id }) => id),
    );
    return jobs;
  },
};
