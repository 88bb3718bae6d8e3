import { sql } from "kysely";
import { claimable, claimThese } from "../../store/commit/job-table.ts";
import type { ClaimedJob, JobClaim } from "../../store/commit/write-set.ts";
import type { Trx } from "../../store/database.ts";

/** How far a claim looks past attempts whose place is being called: behind so many to one place others wait for it, too. */
const LOOKED_AT = 256;
/** Attempts of one claim: each is decided before the claim is answered. */
const MAX_CLAIMED = 32;

/**
 * Claims attempts by one channel for a worker elsewhere. What goes to one place goes in the order in which it was due, one at a time, whoever makes
 * the calls: an attempt waits while the one before it is under way.
 */
export async function claimAttempts(trx: Trx, claim: JobClaim): Promise<ClaimedJob[]> {
  const seqs = await freeOf(trx, claim.queue, Math.min(claim.limit, MAX_CLAIMED), claim.oldestFirst);
  return seqs.length === 0 ? [] : claimThese(trx, seqs, claim);
}

/** The next attempts to places of which none is being called, one each. */
async function freeOf(trx: Trx, queue: string, limit: number, oldestFirst: boolean): Promise<number[]> {
  const ready = await claimable(trx, { queue, limit: LOOKED_AT, oldestFirst });
  if (ready.length === 0) return [];
  const taken = await calledNow(trx, queue);
  const places = await placesOf(trx, ready);
  const free: number[] = [];
  for (const seq of ready) {
    // Whose delivery is gone has no place: the job only needs to be ended.
    const place = places.get(seq);
    if (place !== undefined && taken.has(place)) continue;
    if (place !== undefined) taken.add(place);
    free.push(seq);
    if (free.length === limit) break;
  }
  return free;
}

/** Literal states: with bound values SQLite could not use the partial index of what runs, which is little. */
async function calledNow(trx: Trx, queue: string): Promise<Set<string>> {
  const { rows } = await sql<{ userId: string; target: string }>`
    select d.userId, d.target from jobs j cross join deliveries d on d.id = j.id
    where j.state = 'running' and j.workerId > '' and j.queue = ${queue}`.execute(trx);
  return new Set(rows.map(placeOf));
}

async function placesOf(trx: Trx, seqs: readonly number[]): Promise<Map<number, string>> {
  const { rows } = await sql<{ seq: number; userId: string; target: string }>`
    select j.seq, d.userId, d.target from json_each(${JSON.stringify(seqs)}) s
    cross join jobs j on j.seq = s.value cross join deliveries d on d.id = j.id`.execute(trx);
  return new Map(rows.map((row) => [row.seq, placeOf(row)]));
}

function placeOf({ userId, target }: { readonly userId: string; readonly target: string }): string {
  return `${userId} ${target}`;
}
