import { sql } from "kysely";
import type { Principal } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { decimalText, isInRange } from "../../core/text/decimal.ts";
import { IDEMPOTENCY_ERRORS } from "../../http/api/idempotency.ts";
import { versioned } from "../../http/api/route.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import { holderOf } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import type { Trx } from "../../store/database.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";
import { managed, ofServer, type Projects, type WithIssued } from "../access/index.ts";
import { moneyOf } from "./money.ts";
import {
  endChecks,
  judged,
  replaceBucket,
  startChecks,
  startMonitoring,
  type TransferBucketsContext,
} from "./monitor.ts";
import * as s from "./schema.ts";

const PATH = "/api/v1/transfer-buckets";
const tag = "Transfer buckets";
const read = { permission: "buckets:read" } as const;
const write = { permission: "buckets:write" } as const;
const balance = { permission: "buckets:balance" } as const;

const rows = ofServer(s.Bucket, {
  ...{ read: "buckets:read", write: "buckets:balance", missing: "BUCKET_NOT_FOUND", noun: "transfer bucket" },
});

/** Requests change only the threshold. */
type BucketChange = s.ChangeThreshold & Partial<Pick<s.BucketRow, "name" | "renotifyMs">>;

const buckets = managed({
  ...{ path: PATH, names: ["TransferBucket", "TransferBuckets"], tag, params: s.BucketParams },
  access: {
    ...rows,
    visible(projects, caller, id, db) {
      requireReader(projects, caller);
      return rows.visible(projects, caller, id, db);
    },
  },
  callers: { read, write: balance },
  answer: () => s.Bucket.View,
  list: {
    summary: "List transfer buckets, newest first",
    errors: ["INVALID_CURSOR"],
    query: s.ListBuckets,
    answer: () => pageOf(s.Bucket.View),
    page({ db, projects }: TransferBucketsContext, caller, query) {
      requireReader(projects, caller);
      return s.bucketList.page(db, { visible: sql`true`, state: undefined }, query, () => view);
    },
  },
  get: { summary: "Get a transfer bucket" },
  create: {
    summary: "Create a transfer bucket; its balance is watched from now on",
    errors: ["NAME_TAKEN"],
    body: s.CreateBucket,
    storesAnswer: { sharesCommit: true },
    prepare: (_context, _caller, body): s.CreateBucket & { readonly id?: string } => body,
  },
  remove: { summary: "Delete a transfer bucket", errors: ["VERSION_CONFLICT"] },
  view: (_context, _caller, row) => view(row),
  in: {
    async insert(context, trx, _caller, { id = uuidv7(), ...input }): Promise<WithIssued<s.BucketRow>> {
      context.storage.requireSpace();
      await requireFreeName(trx, input);
      const now = context.clock.now();
      const bucket = s.Bucket.newRow(input, { id, createdAt: now, updatedAt: now });
      const row = await judged(context, bucket, trx);
      await trx.insertInto("transfer_buckets").values(row).execute();
      await startChecks(context, { trx });
      await record(context, trx, "bucket.balance", row, { change: "created", old: null, new: row.currentBalance });
      return { row };
    },
    async change(context, trx, old, changes: BucketChange) {
      const { threshold, name = old.name } = changes;
      if (name !== old.name) await requireFreeName(trx, { ...old, name });
      const row = await replace(context, trx, { ...old, ...changes });
      await record(context, trx, "bucket.threshold", row, { old: old.threshold, new: threshold });
      return { row };
    },
    async remove(context, trx, row) {
      await trx.deleteFrom("transfer_buckets").where("id", "=", row.id).execute();
      await endChecks(context, trx);
      await record(context, trx, "bucket.balance", row, { change: "deleted", old: row.currentBalance, new: null });
    },
  },
});

/** @throws VALIDATION_FAILED when the sum cannot be written */
async function changeBalance(
  context: TransferBucketsContext,
  trx: Trx,
  old: s.BucketRow,
  input: s.ChangeBalance,
): Promise<WithIssued<s.BucketRow>> {
  const currentBalance = input.currentBalance ?? sum(old.currentBalance, input.delta ?? "0");
  const row = await replace(context, trx, { ...old, currentBalance });
  await record(context, trx, "bucket.balance", row, { old: old.currentBalance, new: currentBalance });
  return { row };
}

/** Balances that are watched. */
export const transferBucketsFeature = feature("transfer-buckets", {
  needs: ["runner", "jobs", "schedules", "projects", "ingest"],
  register: serve,
  configKinds: async (context) => (await import("./config-kind.ts")).bucketKinds(context, buckets),
});

async function serve(server: FeatureServer, context: TransferBucketsContext): Promise<void> {
  const one = { params: s.BucketParams, response: () => s.Bucket.View, resource: `${PATH}/:id` };
  const errors = ["BUCKET_NOT_FOUND", "VERSION_CONFLICT", ...IDEMPOTENCY_ERRORS] as const;
  /** The id is in the path, the key's scope is the route: another bucket is another request. */
  const change = <B extends object>(
    exchange: Exchange,
    { params: { id }, body }: { readonly params: { readonly id: string }; readonly body: B },
    apply: (context: TransferBucketsContext, trx: Trx, old: s.BucketRow, body: B) => Promise<WithIssued<s.BucketRow>>,
  ) =>
    context.idempotency.run(exchange, holderOf(exchange), { id, ...body }, async (trx) => {
      const old = await rows.writable(context.projects, holderOf(exchange), id, trx);
      requireVersion(exchange.header("if-match"), old.version);
      const { row } = await apply(context, trx, old, body);
      return versioned(row.version, view(row));
    });

  for (const each of buckets.routes(context)) server.route(each);
  server.route({
    ...{ ...one, method: "PUT", path: `${PATH}/:id/threshold`, id: "setBucketThreshold", tag, access: write, errors },
    summary: "Set the threshold; the balance is compared with it at once",
    body: s.ChangeThreshold,
    handle: (exchange, input) => change(exchange, input, (...given) => buckets.change(...given, holderOf(exchange))),
  });
  server.route({
    ...{ ...one, method: "PUT", path: `${PATH}/:id/balance`, id: "setBucketBalance", tag, access: balance, errors },
    summary: "Set or adjust the balance",
    body: s.ChangeBalance,
    handle: (exchange, input) => change(exchange, input, changeBalance),
  });
  await startMonitoring(context);
}

const view = (row: s.BucketRow) => s.Bucket.view(row);

/** Buckets belong to the default project: who does not read it sees no balances. @throws UNAUTHORIZED_ROLE */
function requireReader(projects: Projects, caller: Principal): void {
  projects.require(caller, projects.defaultId, "events:read");
}

/** @throws NAME_TAKEN for a name that another bucket of the currency has */
async function requireFreeName(trx: Trx, { name, currency }: Pick<s.BucketRow, "name" | "currency">): Promise<void> {
  const same = trx.selectFrom("transfer_buckets").where("name", "=", name).where("currency", "=", currency);
  if ((await countOf(same)) > 0) throw new PrismError("NAME_TAKEN", `Another bucket in ${currency} has this name`);
}

/** Stores the next version. */
async function replace(context: TransferBucketsContext, trx: Trx, changed: s.BucketRow): Promise<s.BucketRow> {
  const next = { ...changed, version: changed.version + 1, updatedAt: context.clock.now() };
  const row = await judged(context, next, trx);
  await replaceBucket(trx, row);
  return row;
}

async function record(
  { audit }: TransferBucketsContext,
  trx: Trx,
  action: "bucket.threshold" | "bucket.balance",
  { id }: s.BucketRow,
  metadata: { readonly change?: string; readonly old: string | null; readonly new: string | null },
): Promise<void> {
  await audit.record({ action, resourceType: "bucket", resourceId: id, metadata }, { trx });
}

/** @throws VALIDATION_FAILED */
function sum(balance: string, delta: string): string {
  const units = moneyOf(balance) + moneyOf(delta);
  if (isInRange(units)) return decimalText(units);
  throw invalidField("body", "delta", "would take the balance beyond 999999999999999.9999");
}
