import * as v from "valibot";
import type { PermissionHolder } from "../../core/caller.ts";
import { invalidField } from "../../core/errors.ts";
import { doc } from "../../http/api/shapes.ts";
import { missingPermission } from "../../http/server/access.ts";
import { configKind } from "../../module/config-kind.ts";
import { resourceKind } from "../../module/resource-kind.ts";
import type { ChangesIn } from "../access/index.ts";
import type { TransferBucketsContext } from "./monitor.ts";
import { Bucket, type BucketRow, type ChangeThreshold, type CreateBucket } from "./schema.ts";

type BucketSpec = Omit<CreateBucket, "currency" | "currentBalance"> & { readonly currentBalance?: string };
/** What routes and files do. */
type Bodies = ChangesIn<
  TransferBucketsContext,
  BucketRow,
  CreateBucket & { readonly id?: string },
  ChangeThreshold & Partial<Pick<BucketRow, "name" | "renotifyMs">>
>;

const of = resourceKind<BucketRow>(Bucket, ["name", "currency", "currentBalance"]);

const NAME = /^.{1,255} [A-Z]{3}$/u;

export function bucketKinds(context: TransferBucketsContext, buckets: Bodies) {
  const { currency: currencyOf, currentBalance: balance } = Bucket.forCreate;
  const name = v.pipe(
    v.string("must be a string"),
    v.check((text) => NAME.test(text), "must end with a currency, such as Refunds EUR"),
    v.metadata({ pattern: NAME.source }),
    v.check((text) => v.is(currencyOf, partsOf(text).currency), "must end with a currency code of ISO 4217"),
  );
  const found = (...[db, id]: Parameters<typeof Bucket.find>) => Bucket.require(db, id, "BUCKET_NOT_FOUND", "bucket");
  const bucket = configKind<BucketSpec>({
    ...{ kind: "buckets", noun: "transfer bucket", resourceType: "bucket", scope: "server", after: [] },
    rights: { read: "buckets:read", write: "buckets:write" },
    atCreation: ["currentBalance"],
    entries: () => ({
      name: doc(name, "Name and currency, such as `Refunds EUR`"),
      ...of.entries(),
      currentBalance: v.optional(doc(balance, "Of a new one; default 0")),
    }),
    defaults: of.defaults,
    async list(db) {
      return (await of.rows(db, null)).map((row) => {
        const name = `${row.name} ${row.currency}`;
        return { id: row.id, name, version: row.version, spec: { name, ...of.specOf(row) } };
      });
    },
    async create(trx, { caller }, id, { currentBalance = "0", ...spec }) {
      requireBalance(caller);
      await buckets.insert(context, trx, caller, { ...spec, ...partsOf(spec.name), id, currentBalance });
      return undefined;
    },
    async update(trx, { caller }, { id }, spec) {
      const row = await found(trx, id);
      const { name, currency } = partsOf(spec.name);
      if (currency !== row.currency) throw invalidField("bucket", "name", "must keep its currency");
      const { threshold, renotifyMs = row.renotifyMs } = spec;
      await buckets.change(context, trx, row, { threshold, renotifyMs, name }, caller);
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      requireBalance(caller);
      await buckets.remove(context, trx, await found(trx, id), caller, undefined);
    },
  });
  return [bucket];
}

/** Buckets of two currencies may have the same name. */
function partsOf(text: string): Pick<CreateBucket, "name" | "currency"> {
  return { name: text.slice(0, -4), currency: text.slice(-3) };
}

/** As for routes: a balance begins and ends with its bucket. @throws UNAUTHORIZED_ROLE */
function requireBalance({ permissions }: PermissionHolder): void {
  if (!permissions.has("buckets:balance")) throw missingPermission("buckets:balance");
}
