import { toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import { isMoney, moneyOf, moneyText } from "../../core/money.ts";
import { isFarPage, pageBody, readPage } from "../../http/pagination.ts";
import { requireVersion } from "../../http/versions.ts";
import type { Trx } from "../../store/database.ts";
import type { BucketMonitor, TransferBucketsContext } from "./monitor.ts";
import * as queries from "./queries.ts";
import type { ChangeBalance, ChangeThreshold, CreateBucket, ListBuckets } from "./schema.ts";

const RENOTIFY_MS = 3_600_000;

/** Transfer buckets (contract 4.11): balances that must not run dry. Each change is judged at once, in its own transaction. */
export class BucketService {
  readonly #context: TransferBucketsContext;
  readonly #monitor: BucketMonitor;

  constructor(context: TransferBucketsContext, monitor: BucketMonitor) {
    this.#context = context;
    this.#monitor = monitor;
  }

  async list(query: ListBuckets) {
    const { db } = this.#context;
    const request = readPage(query, ["string"]);
    const { currency, state, q } = query;
    const isNear = currency === undefined && state === undefined && q === undefined && !isFarPage(request);
    const rows = await queries.listBuckets(isNear ? db.read : db.scan, { currency, state, q }, request);
    const total = request.wantsTotal ? await queries.countBuckets(db.scan, { currency, state, q }) : undefined;
    return pageBody(request, rows, bucketView, (row) => [row.id], total);
  }

  /** @throws BUCKET_NOT_FOUND */
  async get(id: string): Promise<queries.BucketRow> {
    return requireBucket(this.#context.db.read, id);
  }

  /** @throws NAME_TAKEN for a name that another bucket of the currency has */
  async create(input: CreateBucket, trx: Trx): Promise<queries.BucketRow> {
    const { clock, storage } = this.#context;
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
    const row = await this.#monitor.judged(bucket, trx);
    await queries.insertBucket(trx, row);
    await this.#monitor.watch(trx);
    await this.#record("bucket.balance", row.id, { change: "created", old: null, new: row.currentBalance }, trx);
    return row;
  }

  /** @throws BUCKET_NOT_FOUND, VERSION_CONFLICT */
  async setThreshold(
    id: string,
    ifMatch: string,
    { threshold }: ChangeThreshold,
    trx: Trx,
  ): Promise<queries.BucketRow> {
    const old = await requireBucket(trx, id);
    requireVersion(ifMatch, old.version);
    const row = await this.#change(old, { threshold }, trx);
    await this.#record("bucket.threshold", id, { old: old.threshold, new: threshold }, trx);
    return row;
  }

  /** @throws BUCKET_NOT_FOUND, VERSION_CONFLICT, VALIDATION_FAILED when the sum cannot be written */
  async setBalance(id: string, ifMatch: string, input: ChangeBalance, trx: Trx): Promise<queries.BucketRow> {
    const old = await requireBucket(trx, id);
    requireVersion(ifMatch, old.version);
    const currentBalance = input.currentBalance ?? sum(old.currentBalance, input.delta ?? "0");
    const row = await this.#change(old, { currentBalance }, trx);
    await this.#record("bucket.balance", id, { old: old.currentBalance, new: currentBalance }, trx);
    return row;
  }

  /** @throws BUCKET_NOT_FOUND, VERSION_CONFLICT */
  async delete(id: string, ifMatch: string): Promise<void> {
    await this.#context.db.write(async (trx) => {
      const old = await requireBucket(trx, id);
      requireVersion(ifMatch, old.version);
      await queries.deleteBucket(trx, id);
      await this.#monitor.rest(trx);
      await this.#record("bucket.balance", id, { change: "deleted", old: old.currentBalance, new: null }, trx);
    });
  }

  async #change(
    old: queries.BucketRow,
    change: { readonly threshold: string } | { readonly currentBalance: string },
    trx: Trx,
  ): Promise<queries.BucketRow> {
    const changed = { ...old, ...change, version: old.version + 1, updatedAt: this.#context.clock.now() };
    const row = await this.#monitor.judged(changed, trx);
    await queries.replaceBucket(trx, row);
    return row;
  }

  async #record(
    action: "bucket.threshold" | "bucket.balance",
    resourceId: string,
    metadata: { readonly change?: string; readonly old: string | null; readonly new: string | null },
    trx: Trx,
  ): Promise<void> {
    await this.#context.audit.record({ action, resourceType: "bucket", resourceId, metadata }, { trx });
  }
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
