import { sql } from "kysely";
import type { Trx } from "../../store/database.ts";
import type { JobAttemptsTable } from "../../store/schema.ts";

/**
 * Adds an attempt to a job's history. It is numbered behind those that are there: an operator's retry counts attempts from 1 again, and what
 * went before is kept.
 */
export async function noteAttempt(trx: Trx, row: JobAttemptsTable): Promise<void> {
  const behind = sql<number>`(select coalesce(max(attempt), 0) + 1 from job_attempts where jobId = ${row.jobId})`;
  await trx
    .insertInto("job_attempts")
    .values({ ...row, attempt: sql<number>`max(${row.attempt}, ${behind})` })
    .execute();
}
