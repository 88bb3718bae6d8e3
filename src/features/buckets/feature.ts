import { sql } from "kysely";
import { IDEMPOTENCY_ERRORS } from "../../http/api/idempotency.ts";
import { versioned } from "../../http/api/route.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { holderOf } from "../../http/server/access.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import * as s from "./schema.ts";
import type { TransferBucketsContext } from "./service.ts";
import * as service from "./service.ts";

const PATH = "/api/v1/transfer-buckets";

/** Balances that are watched. */
export const transferBucketsFeature = feature("transfer-buckets", {
  needs: ["runner", "jobs", "schedules", "projects", "ingest"],
  register: serve,
});

async function serve(server: FeatureServer, context: TransferBucketsContext): Promise<void> {
  const read = { tag: "Transfer buckets", access: { permission: "buckets:read" } } as const;
  const write = { tag: "Transfer buckets", access: { permission: "buckets:write" } } as const;
  const balance = { tag: "Transfer buckets", access: { permission: "buckets:balance" } } as const;
  const one = { path: `${PATH}/:id`, params: s.BucketParams, response: () => s.Bucket.View };

  server.route({
    ...read,
    method: "GET",
    path: PATH,
    id: "listTransferBuckets",
    summary: "List transfer buckets, newest first",
    query: s.ListBuckets,
    response: () => pageOf(s.Bucket.View),
    errors: ["INVALID_CURSOR"],
    handle(exchange, { query }) {
      service.requireReader(context, holderOf(exchange));
      return s.bucketList.page(context.db, { visible: sql`true`, state: undefined }, query, () => view);
    },
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getTransferBucket",
    summary: "Get a transfer bucket",
    errors: ["BUCKET_NOT_FOUND"],
    async handle(exchange, { params }) {
      service.requireReader(context, holderOf(exchange));
      return answer(await service.requireBucket(context.db.read, params.id));
    },
  });
  server.route({
    ...balance,
    method: "POST",
    path: PATH,
    id: "createTransferBucket",
    summary: "Create a transfer bucket; its balance is watched from now on",
    body: s.CreateBucket,
    status: 201,
    response: () => s.Bucket.View,
    errors: ["NAME_TAKEN", ...IDEMPOTENCY_ERRORS],
    handle: (exchange, { body }) =>
      context.idempotency.run(exchange, holderOf(exchange), body, async (trx) =>
        answer(await service.createBucket(context, body, trx), 201),
      ),
  });
  server.route({
    ...write,
    ...one,
    method: "PUT",
    path: `${PATH}/:id/threshold`,
    resource: one.path,
    id: "setBucketThreshold",
    summary: "Set the threshold; the balance is compared with it at once",
    body: s.ChangeThreshold,
    errors: ["BUCKET_NOT_FOUND", "VERSION_CONFLICT", ...IDEMPOTENCY_ERRORS],
    // The id is in the path, the key's scope is the route: another bucket is another request.
    handle(exchange, { params: { id }, body }) {
      const ifMatch = exchange.header("if-match");
      return context.idempotency.run(exchange, holderOf(exchange), { id, ...body }, async (trx) =>
        answer(await service.setThreshold(context, id, ifMatch, body, trx)),
      );
    },
  });
  server.route({
    ...balance,
    ...one,
    method: "PUT",
    path: `${PATH}/:id/balance`,
    resource: one.path,
    id: "setBucketBalance",
    summary: "Set or adjust the balance",
    body: s.ChangeBalance,
    errors: ["BUCKET_NOT_FOUND", "VERSION_CONFLICT", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { params: { id }, body }) {
      const ifMatch = exchange.header("if-match");
      return context.idempotency.run(exchange, holderOf(exchange), { id, ...body }, async (trx) =>
        answer(await service.setBalance(context, id, ifMatch, body, trx)),
      );
    },
  });
  server.route({
    ...balance,
    method: "DELETE",
    path: `${PATH}/:id`,
    params: s.BucketParams,
    id: "deleteTransferBucket",
    summary: "Delete a transfer bucket",
    errors: ["BUCKET_NOT_FOUND", "VERSION_CONFLICT"],
    handle: (exchange, { params }) => service.deleteBucket(context, params.id, exchange.header("if-match")),
  });
  await service.startMonitoring(context);
}

const view = (row: s.BucketRow) => s.Bucket.view(row);

function answer(bucket: s.BucketRow, status = 200) {
  return versioned(bucket.version, view(bucket), { status });
}
