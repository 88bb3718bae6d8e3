import * as v from "valibot";
import { TOKEN_SCOPES } from "../../../core/permissions.ts";
import { DAY_MS } from "../../../core/time/clock.ts";
import {
  doc,
  example,
  integer,
  named,
  namesOf,
  object,
  pageEntries,
  pattern,
  queryInteger,
  text,
  uuid,
} from "../../../http/api/shapes.ts";
import { costOf, djangoHash, MAX_HASH_COST, MIN_HASH_COST } from "../passwords/password-text.ts";
import { password } from "../sessions/schema.ts";

/** Members of accounts, as every route and command takes them. */

const STATUSES = ["pending", "active", "disabled", "unverified"] as const;

/** A name to log in with; what it must look like says the domain. */
const loginName = v.pipe(
  v.string("must be a string"),
  v.minLength(1, "must not be empty"),
  v.maxLength(255, "must be at most 255 characters long"),
);

const email = doc(loginName, "Email address");
const username = doc(loginName, "Name to log in with");
const phone = doc(loginName, "Phone number in E.164 form");
const loginNames = { email: v.optional(email), username: v.optional(username), phone: v.optional(phone) };
const userId = doc(uuid, "UUID of the account; default: a new one");
const externalId = doc(text(128, 1), "Id in another system; not me");
const accountStatus = doc(
  v.picklist(STATUSES, "must be pending, active, disabled or unverified"),
  "Default: active with a password, otherwise pending",
);

const roleNames = doc(
  v.pipe(v.array(namesOf("roles", v.pipe(v.string(), v.maxLength(100)))), v.maxLength(16, "must be at most 16 roles")),
  "Names of roles",
);

/** The domain checks that the zone exists, with an error code of its own. */
const timezone = doc(
  v.pipe(v.string("must be a string"), v.maxLength(64, "must be at most 64 characters long")),
  "IANA time zone such as Europe/Berlin",
);

const chosenTimezone = doc(
  v.nullable(timezone),
  "IANA time zone such as Europe/Berlin; null: that of the browser in use",
);

const locale = doc(
  pattern(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/, "must be a language tag such as en or de-AT"),
  "Language tag such as en or de-AT",
);

/** A hash of another program. A cost above the limit would keep a hashing thread busy for seconds. */
const passwordHash = doc(
  v.pipe(
    v.string("must be a string"),
    v.maxLength(160, "must be a bcrypt hash, or one of Django"),
    v.check(
      (hash) => isCostAllowed(costOf(hash)) || djangoHash(hash) !== undefined,
      `must be a bcrypt hash ($2a$, $2b$ or $2y$) of cost ${MIN_HASH_COST} to ${MAX_HASH_COST}, or pbkdf2_sha256$… of 100 000 iterations or more`,
    ),
  ),
  "bcrypt hash of another program, or one of Django (`pbkdf2_sha256$…`)",
);

function isCostAllowed(cost: number | undefined): boolean {
  return cost !== undefined && cost >= MIN_HASH_COST && cost <= MAX_HASH_COST;
}

/** An account of another program, to be brought in. */
export const ImportedAccount = object({
  id: v.optional(userId),
  externalId: v.optional(externalId),
  ...loginNames,
  name: v.optional(doc(text(255, 1), "Display name")),
  passwordHash: v.optional(passwordHash),
  roles: v.optional(roleNames),
  status: v.optional(accountStatus),
  timezone: v.optional(chosenTimezone),
  locale: v.optional(locale),
});
export type ImportedAccount = v.InferOutput<typeof ImportedAccount>;

export const ListQuery = object({
  ...pageEntries(),
  q: v.optional(doc(text(100, 1), "Part of a name or email address")),
  status: v.optional(doc(v.picklist(STATUSES, "must be pending, active, disabled or unverified"), "Only this status")),
  role: v.optional(doc(v.pipe(v.string(), v.maxLength(100)), "Name of a role")),
});

export const SearchQuery = object({
  q: v.optional(doc(text(100, 1), "Part of a name; default: the newest")),
  limit: v.optional(doc(queryInteger(1, 50), "Users and roles at most; default 20")),
});
export type SearchQuery = v.InferOutput<typeof SearchQuery>;

export const Targets = named(
  "Targets",
  "Users and roles that can be notified",
  v.object({
    users: v.array(v.object({ id: v.string(), name: v.string(), username: v.nullable(v.string()) })),
    roles: v.array(v.object({ id: v.string(), name: v.string() })),
  }),
);

export const PendingQuery = object(pageEntries());

export const CreateBody = example(
  object({
    id: v.optional(userId),
    ...loginNames,
    externalId: v.optional(externalId),
    password: v.optional(doc(password, "Password; without one the owner is invited to choose it")),
    passwordHash: v.optional(passwordHash),
    name: v.optional(doc(text(255), "Display name")),
    timezone: v.optional(chosenTimezone),
    roles: v.optional(roleNames),
    status: v.optional(accountStatus),
  }),
  { username: "grace", email: "grace@example.com", name: "Grace Hopper", roles: ["Operator"] },
);

export const PatchBody = example(
  object({
    name: v.optional(doc(text(255, 1), "Display name")),
    email: v.optional(email),
    username: v.optional(username),
    phone: v.optional(v.nullable(phone)),
    status: v.optional(doc(v.picklist(["active", "disabled"], "must be active or disabled"), "Status")),
    roles: v.optional(roleNames),
    timezone: v.optional(chosenTimezone),
    externalId: v.optional(v.nullable(externalId)),
  }),
  { name: "Grace Hopper", timezone: "America/New_York" },
);

export const ApproveBody = example(
  object({
    roles: v.optional(
      doc(v.pipe(roleNames, v.minLength(1, "must be at least one role")), "Names of roles; default `User`"),
    ),
  }),
  { roles: ["User"] },
);
export const RejectBody = example(object({ reason: v.optional(doc(text(500), "Reason; not stored")) }), {
  reason: "Unknown applicant",
});

const currentPassword = doc(password, "Current password");
export const OwnBody = example(
  object({
    name: v.optional(doc(text(255, 1), "Display name")),
    email: v.optional(doc(loginName, "Email address; needs `currentPassword`")),
    phone: v.optional(v.nullable(phone)),
    timezone: v.optional(chosenTimezone),
    browserTimezone: v.optional(
      doc(
        timezone,
        "Time zone of the caller's browser, for mails and quiet hours while none is chosen; at most one change a minute is taken",
      ),
    ),
    locale: v.optional(locale),
    currentPassword: v.optional(currentPassword),
  }),
  { name: "Ada Admin", timezone: "Europe/Berlin", locale: "en" },
);

export const PasswordBody = example(object({ currentPassword, password: doc(password, "New password") }), {
  currentPassword: "correct horse battery staple",
  password: "a longer horse battery staple",
});

export const TokenBody = example(
  object({
    name: doc(text(100, 1), "Name"),
    scopes: doc(
      v.pipe(
        v.array(v.picklist(TOKEN_SCOPES, "must be a permission, account:own or notifications:own")),
        v.minLength(1),
        v.maxLength(64),
      ),
      "Permissions of the caller that the token carries",
    ),
    expiresInMs: v.optional(doc(integer(1000, 3650 * DAY_MS), "Time until it expires; default: never")),
  }),
  { name: "deploy script", scopes: ["events:write", "notifications:send"], expiresInMs: 2_592_000_000 },
);
