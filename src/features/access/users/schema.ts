import * as v from "valibot";
import { DAY_MS } from "../../../core/clock.ts";
import { TOKEN_SCOPES } from "../../../core/permissions.ts";
import { pageEntries } from "../../../http/pagination.ts";
import { integer, named, object, pattern, text, uuid } from "../../../http/shapes.ts";
import { costOf, MAX_HASH_COST, MIN_HASH_COST } from "../passwords/password-text.ts";
import { password } from "../sessions/schema.ts";

/** Members of accounts, as every route and command takes them. */

const STATUSES = ["pending", "active", "disabled", "unverified"] as const;

/** A name to log in with; what it must look like says the domain. */
const loginName = v.pipe(
  v.string("must be a string"),
  v.minLength(1, "must not be empty"),
  v.maxLength(255, "must be at most 255 characters long"),
);

const loginNames = {
  email: v.optional(loginName),
  username: v.optional(loginName),
  phone: v.optional(loginName),
};

const roleNames = v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.maxLength(16, "must be at most 16 roles"));

/** Which zones there are says the domain, with a code of its own. */
const timezone = v.pipe(
  v.string("must be a string"),
  v.maxLength(64, "must be at most 64 characters long"),
  v.description("IANA time zone such as Europe/Berlin"),
);

const locale = pattern(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/, "must be a language tag such as en or de-AT");

/**
 * Of another program. A cost above the limit would keep a hashing thread for many seconds at each
 * login.
 */
const passwordHash = v.pipe(
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
  ...loginNames,
  name: v.optional(text(255, 1)),
  passwordHash: v.optional(passwordHash),
  roles: v.optional(roleNames),
  status: v.optional(v.picklist(STATUSES, "must be pending, active, disabled or unverified")),
  timezone: v.optional(timezone),
  locale: v.optional(locale),
});
export type ImportedAccount = v.InferOutput<typeof ImportedAccount>;

export const ListQuery = object({
  ...pageEntries(),
  q: v.optional(text(100, 1)),
  status: v.optional(v.picklist(STATUSES, "must be pending, active, disabled or unverified")),
  role: v.optional(v.pipe(v.string(), v.maxLength(100), v.description("Name of a role"))),
});

export const PendingQuery = object(pageEntries());

export const CreateBody = object({
  id: v.optional(uuid),
  ...loginNames,
  externalId: v.optional(text(128, 1)),
  password: v.optional(password),
  passwordHash: v.optional(passwordHash),
  name: v.optional(text(255)),
  timezone: v.optional(timezone),
  roles: v.optional(roleNames),
  status: v.optional(v.picklist(STATUSES)),
});

export const PatchBody = object({
  name: v.optional(text(255, 1)),
  email: v.optional(loginName),
  username: v.optional(loginName),
  phone: v.optional(v.nullable(loginName)),
  status: v.optional(v.picklist(["active", "disabled"], "must be active or disabled")),
  roles: v.optional(roleNames),
  timezone: v.optional(timezone),
  externalId: v.optional(v.nullable(text(128, 1))),
});

export const ApproveBody = object({
  roles: v.optional(v.pipe(roleNames, v.minLength(1, "must be at least one role"))),
});
export const RejectBody = object({ reason: v.optional(text(500)) });

export const OwnBody = object({
  name: v.optional(text(255, 1)),
  email: v.optional(loginName),
  phone: v.optional(v.nullable(loginName)),
  timezone: v.optional(timezone),
  locale: v.optional(locale),
  currentPassword: v.optional(password),
});

export const PasswordBody = object({
  currentPassword: password,
  password,
});

export const TokenBody = object({
  name: text(100, 1),
  scopes: v.pipe(
    v.array(v.picklist(TOKEN_SCOPES, "must be a permission, account:own or notifications:own")),
    v.minLength(1),
    v.maxLength(64),
  ),
  expiresInMs: v.optional(integer(1000, 3650 * DAY_MS)),
});

export const TokenView = named(
  "ServiceToken",
  v.object({
    id: v.string(),
    name: v.string(),
    prefix: v.string(),
    scopes: v.array(v.string()),
    expiresAt: v.nullable(v.string()),
    lastUsedAt: v.nullable(v.string()),
    createdAt: v.string(),
  }),
);
