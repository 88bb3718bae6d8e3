import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { findJob } from "../../store/commit/job-table.ts";
import type { ClaimedJob } from "../../store/commit/write-set.ts";
import type { Trx } from "../../store/database.ts";

/** An attempt that a worker elsewhere speaks of. */
export interface HeldAttempt {
  readonly jobId: string;
  readonly fence: number;
  /** The service token by which the worker speaks. */
  readonly tokenId: string;
}

/** Whose fault it is that an attempt has failed, where it is not about this one alone. */
export type Fault = "target" | "provider";

export interface FailedAttempt extends HeldAttempt {
  readonly error: string;
  readonly isPermanent: boolean;
  readonly retryAfterMs: number;
  readonly fault?: Fault | undefined;
  /** Epoch ms at which the other side knew that the target is gone. */
  readonly since?: number | undefined;
}

export type HeldJob = ClaimedJob & { readonly workerId: string };

/**
 * The running job of an attempt. @throws JOB_NOT_FOUND, INVALID_STATE when the attempt is over or was never a worker's, FORBIDDEN when the worker
 * is another token's
 */
export async function requireHeld(trx: Trx, { jobId, fence, tokenId }: HeldAttempt): Promise<HeldJob> {
  const row = isUuid(jobId) ? await findJob(trx, jobId) : undefined;
  if (!row) throw new PrismError("JOB_NOT_FOUND", "No such job");
  const { state, workerId, startedAt } = row;
  const worker =
    workerId === null
      ? undefined
      : await trx.selectFrom("workers").select("tokenId").where("id", "=", workerId).executeTakeFirst();
  if (state !== "running" || row.fence !== fence || workerId === null || startedAt === null || !worker)
    throw new PrismError("INVALID_STATE", "The job is not this worker's any more; leave it");
  if (worker.tokenId !== tokenId) throw notYours();
  return { ...row, workerId, startedAt };
}

export function notYours(): PrismError {
  return new PrismError("FORBIDDEN", "The worker was registered with another token");
}
