import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import { doc, example, integer, named, object, text } from "../../http/shapes.ts";
import { moneyText, parseMoney } from "./money.ts";

const STATES = ["ok", "below"] as const;
const MAX_RENOTIFY_MS = 2_592_000_000;

const MONEY =
  'must be an amount of up to 15 digits and 4 decimals, such as "1250.75"; ' +
  "as a JSON number only where that holds it exactly";

/** An amount; gives its one text. */
const money = v.pipe(
  v.union([v.string(), v.number()], MONEY),
  v.metadata({ description: 'Decimal text such as "1250.75", or a number that equals it exactly' }),
  v.transform((value) => {
    const units = parseMoney(value);
    return units === undefined ? undefined : moneyText(units);
  }),
  v.string(MONEY),
);

const currency = doc(
  v.pipe(
    v.string("must be a string"),
    v.metadata({ minLength: 3, maxLength: 3 }),
    v.transform((code) => code.toUpperCase()),
    v.check((code) => knownCurrencies().has(code), "must be a currency code of ISO 4217, such as EUR"),
  ),
  "Currency code of ISO 4217",
);

let currencies: ReadonlySet<string> | null = null;

function knownCurrencies(): ReadonlySet<string> {
  currencies ??= new Set(Intl.supportedValuesOf("currency"));
  return currencies;
}

export const CreateBucket = example(
  object({
    name: doc(text(255, 1), "Name"),
    currency,
    currentBalance: money,
    threshold: money,
    renotifyMs: v.optional(
      doc(
        integer(60_000, MAX_RENOTIFY_MS),
        "Interval of repeated alerts while the balance is below the threshold; default one hour",
      ),
    ),
  }),
  { name: "Refunds", currency: "EUR", currentBalance: "1250.75", threshold: "500" },
);
export type CreateBucket = v.InferOutput<typeof CreateBucket>;

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

export const ListBuckets = object({
  currency: v.optional(currency),
  state: v.optional(doc(v.picklist(STATES, `must be one of ${STATES.join(", ")}`), "`below`: under the threshold")),
  q: v.optional(doc(text(100, 1), "Part of the name")),
  ...pageEntries(),
});
export type ListBuckets = v.InferOutput<typeof ListBuckets>;

export const BucketParams = object({ id: doc(v.string(), "Id of the transfer bucket") });

export const BucketView = named(
  "TransferBucket",
  "A transfer bucket",
  v.object({
    id: v.string(),
    name: v.string(),
    currentBalance: v.string(),
    threshold: v.string(),
    currency: v.string(),
    state: v.picklist(STATES),
    renotifyMs: v.number(),
    updatedAt: v.string(),
    version: v.number(),
  }),
);
export type BucketView = v.InferOutput<typeof BucketView>;
