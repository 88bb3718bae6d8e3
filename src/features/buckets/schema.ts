import * as v from "valibot";
import { decimalText } from "../../core/text/decimal.ts";
import { equals, listing, within } from "../../http/api/listing.ts";
import { column, given, type RowOf, resource, stored, time } from "../../http/api/resource.ts";
import { doc, example, integer, object, pageEntries, text } from "../../http/api/shapes.ts";
import { parseMoney } from "./money.ts";

declare module "../../store/schema.ts" {
  interface Schema {
    transfer_buckets: BucketRow;
  }
}

const STATES = ["ok", "below"] as const;
const MAX_RENOTIFY_MS = 2_592_000_000;

const MONEY =
  'must be an amount of up to 15 digits and 4 decimals, such as "1250.75"; ' +
  "as a JSON number only where that holds it exactly";

/** An amount; gives its one text. */
const amount = v.pipe(
  v.union([v.string(), v.number()], MONEY),
  v.transform((value) => {
    const units = parseMoney(value);
    return units === undefined ? undefined : decimalText(units);
  }),
  v.string(MONEY),
);
const MONEY_TEXT = 'Decimal text such as "1250.75", or a number that equals it exactly';
const money = doc(amount, MONEY_TEXT);

const CURRENCY = "Currency code of ISO 4217";
const currency = v.pipe(
  v.string("must be a string"),
  v.metadata({ minLength: 3, maxLength: 3 }),
  v.transform((code) => code.toUpperCase()),
  v.check((code) => knownCurrencies().has(code), "must be a currency code of ISO 4217, such as EUR"),
);

let currencies: ReadonlySet<string> | null = null;

function knownCurrencies(): ReadonlySet<string> {
  currencies ??= new Set(Intl.supportedValuesOf("currency"));
  return currencies;
}

export const Bucket = resource("TransferBucket", "A transfer bucket", "transfer_buckets", () => ({
  id: stored(v.string()),
  name: given(text(255, 1), "Name"),
  currentBalance: given(amount, MONEY_TEXT).shown(v.string()),
  threshold: given(amount, MONEY_TEXT).shown(v.string()),
  currency: given(currency, CURRENCY),
  state: stored(v.picklist(STATES)).or("ok"),
  renotifyMs: given(
    integer(60_000, MAX_RENOTIFY_MS),
    "Interval of repeated alerts while the balance is below the threshold; default one hour",
  ).or(3_600_000),
  updatedAt: stored(v.string(), time),
  version: stored(v.number()).or(1),
  lastAlertAt: column(v.nullable(v.number())).or(null),
  createdAt: column(v.number()),
}));
export type BucketRow = RowOf<typeof Bucket>;

export const CreateBucket = () => {
  const { name, currency, ...amounts } = Bucket.forCreate;
  return example(object({ name, currency, ...amounts }), {
    name: "Refunds",
    currency: "EUR",
    currentBalance: "1250.75",
    threshold: "500",
  });
};
export type CreateBucket = v.InferOutput<ReturnType<typeof CreateBucket>>;

export const ChangeThreshold = example(object({ threshold: money }), { threshold: "750" });
export type ChangeThreshold = v.InferOutput<typeof ChangeThreshold>;

export const ChangeBalance = example(
  v.pipe(
    object({
      currentBalance: v.optional(money),
      delta: v.optional(doc(money, "Added to the balance; may be negative")),
    }),
    v.check(
      ({ currentBalance, delta }) => (currentBalance === undefined) !== (delta === undefined),
      "give currentBalance or delta",
    ),
  ),
  { delta: "-100.50" },
);
export type ChangeBalance = v.InferOutput<typeof ChangeBalance>;

export const bucketList = listing(
  Bucket,
  () => ({
    currency: equals(currency, CURRENCY),
    state: equals(v.picklist(STATES, `must be one of ${STATES.join(", ")}`), "`below`: under the threshold"),
    q: within(["name"], text(100, 1), "Part of the name"),
  }),
  { searches: true },
);
export const ListBuckets = () => object({ ...bucketList.entries, ...pageEntries() });

export const BucketParams = object({ id: doc(v.string(), "Id of the transfer bucket") });
