import type { Selectable } from "kysely";
import type { PageRequest } from "../../http/pagination.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { TransferBucketsTable } from "../../store/schema.ts";
import { countOf, holdsText, newestFirst } from "../../store/sqlite/list-queries.ts";

export type BucketRow = Selectable<TransferBucketsTable>;

export interface BucketFilter {
  readonly currency?: string | undefined;
  readonly state?: BucketRow["state"] | undefined;
  readonly q?: string | undefined;
}

function filtered(db: ReadDb, { currency, state, q }: BucketFilter) {
  let query = db.selectFrom("transfer_buckets");
  if (currency !== undefined) query = query.where("currency", "=", currency);
  if (state !== undefined) query = query.where("state", "=", state);
  if (q !== undefined) query = query.where(holdsText("name", q));
  return query;
}

/** Newest first: ids are in the order of time. */
export function listBuckets(db: ReadDb, filter: BucketFilter, page: PageRequest): Promise<BucketRow[]> {
  return newestFirst(filtered(db, filter).selectAll(), page).execute();
}

export function countBuckets(db: ReadDb, filter: BucketFilter): Promise<number> {
  return countOf(filtered(db, filter));
}

/** A page of all buckets, for the check. */
export function bucketsBehind(db: ReadDb, id: string, limit: number): Promise<BucketRow[]> {
  return db.selectFrom("transfer_buckets").selectAll().where("id", ">", id).orderBy("id").limit(limit).execute();
}

export function findBucket(db: ReadDb | Trx, id: string): Promise<BucketRow | undefined> {
  return db.selectFrom("transfer_buckets").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function hasBuckets(db: ReadDb | Trx): Promise<boolean> {
  return (await db.selectFrom("transfer_buckets").select("id").limit(1).executeTakeFirst()) !== undefined;
}

export async function isNameTaken(trx: Trx, name: string, currency: string): Promise<boolean> {
  const row = await trx
    .selectFrom("transfer_buckets")
    .select("id")
    .where("name", "=", name)
    .where("currency", "=", currency)
    .executeTakeFirst();
  return row !== undefined;
}

export async function insertBucket(trx: Trx, row: BucketRow): Promise<void> {
  await trx.insertInto("transfer_buckets").values(row).execute();
}

/** Writes a bucket as it is now. */
export async function replaceBucket(trx: Trx, { id, ...columns }: BucketRow): Promise<void> {
  await trx.updateTable("transfer_buckets").set(columns).where("id", "=", id).execute();
}

export async function deleteBucket(trx: Trx, id: string): Promise<void> {
  await trx.deleteFrom("transfer_buckets").where("id", "=", id).execute();
}
