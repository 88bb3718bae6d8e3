import * as v from "valibot";
import { object, pattern, text, uuid } from "../../../http/shapes.ts";
import { costOf, MAX_HASH_COST, MIN_HASH_COST } from "./password-text.ts";

/** Members of accounts, as every route and command takes them. */

export const STATUSES = ["pending", "active", "disabled", "unverified"] as const;

/** A name to log in with; what it must look like says the domain. */
export const loginName = v.pipe(
  v.string("must be a string"),
  v.minLength(1, "must not be empty"),
  v.maxLength(255, "must be at most 255 characters long"),
);

export const roleNames = v.pipe(
  v.array(v.pipe(v.string(), v.maxLength(100))),
  v.maxLength(16, "must be at most 16 roles"),
);

/** Which zones there are says the domain, with a code of its own. */
export const timezone = v.pipe(
  v.string("must be a string"),
  v.maxLength(64, "must be at most 64 characters long"),
  v.description("IANA time zone such as Europe/Berlin"),
);

export const locale = pattern(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/, "must be a language tag such as en or de-AT");

/** Of another program. A cost above the limit would keep a hashing thread for many seconds at each login. */
export const passwordHash = v.pipe(
  v.string("must be a string"),
  v.maxLength(60, "must be a bcrypt hash"),
  v.check(
    (hash) => isCostAllowed(costOf(hash)),
    `must be a bcrypt hash ($2a$, $2b$ or $2y$) of cost ${MIN_HASH_COST} to ${MAX_HASH_COST}`,
  ),
  v.description("bcrypt hash of another program"),
);

function isCostAllowed(cost: number | undefined): boolean {
  return cost !== undefined && cost >= MIN_HASH_COST && cost <= MAX_HASH_COST;
}

/** An account of another program, to be brought in. */
export const ImportedAccount = object({
  id: v.optional(uuid),
  externalId: v.optional(text(128, 1)),
  email: v.optional(loginName),
  username: v.optional(loginName),
  phone: v.optional(loginName),
  name: v.optional(text(255, 1)),
  passwordHash: v.optional(passwordHash),
  roles: v.optional(roleNames),
  status: v.optional(v.picklist(STATUSES, "must be pending, active, disabled or unverified")),
  timezone: v.optional(timezone),
  locale: v.optional(locale),
});
export type ImportedAccount = v.InferOutput<typeof ImportedAccount>;
