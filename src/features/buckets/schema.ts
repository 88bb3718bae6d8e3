import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import { integer, named, object, text } from "../../http/shapes.ts";
import { moneyText, parseMoney } from "./money.ts";

const STATES = ["ok", "below"] as const;
const MAX_RENOTIFY_MS = 2_592_000_000;

const MONEY =
  'must be an amount of up to 15 digits and 4 decimals, such as "1250.75"; as a JSON number only where that holds it exactly';

/** An amount; gives its one text. */
const money = v.pipe(
  v.union([v.string(), v.number()], MONEY),
  v.metadata({ description: 'Decimal text such as "1250.75", or a number that is exactly that' }),
  v.transform((value) => {
    const units = parseMoney(value);
    return units === undefined ? undefined : moneyText(units);
  }),
  v.string(MONEY),
);

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

export const CreateBucket = object({
  name: text(255, 1),
  currency,
  currentBalance: money,
  threshold: money,
  renotifyMs: v.optional(
    v.pipe(
      integer(60_000, MAX_RENOTIFY_MS),
      v.description("While the balance stays below, it is told again this often; an hour unless said"),
    ),
  ),
});
export type CreateBucket = v.InferOutput<typeof CreateBucket>;

export const ChangeThreshold = object({ threshold: money });
export type ChangeThreshold = v.InferOutput<typeof ChangeThreshold>;

export const ChangeBalance = v.pipe(
  object({
    currentBalance: v.optional(money),
    delta: v.optional(v.pipe(money, v.description("Added to the balance; negative takes away"))),
  }),
  v.check(
    ({ currentBalance, delta }) => (currentBalance === undefined) !== (delta === undefined),
    "give currentBalance or delta",
  ),
);
export type ChangeBalance = v.InferOutput<typeof ChangeBalance>;

export const ListBuckets = object({
  currency: v.optional(currency),
  state: v.optional(v.picklist(STATES, `must be one of ${STATES.join(", ")}`)),
  q: v.optional(v.pipe(text(100, 1), v.description("Stands in the name"))),
  ...pageEntries(),
});
export type ListBuckets = v.InferOutput<typeof ListBuckets>;

export const BucketParams = object({ id: v.string() });

export const BucketView = named(
  "TransferBucket",
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
