import * as v from "valibot";
import { DAY_MS } from "../../../core/clock.ts";
import { TOKEN_SCOPES } from "../../../core/permissions.ts";
import { named } from "../../../http/named-schemas.ts";
import { pageEntries } from "../../../http/pagination.ts";
import { integer, object, pattern, text, uuid } from "../../../http/shapes.ts";
import { locale, loginName as name, passwordHash, roleNames, STATUSES, timezone } from "../accounts/account-shape.ts";

/** Kept as it was typed. */
const password = v.pipe(
  v.string("must be a string"),
  v.minLength(1, "must not be empty"),
  v.maxLength(1024, "must be at most 1024 characters long"),
);
export const ListQuery = object({
  ...pageEntries(),
  q: v.optional(text(100, 1)),
  status: v.optional(v.picklist(STATUSES, "must be pending, active, disabled or unverified")),
  role: v.optional(v.pipe(v.string(), v.maxLength(100), v.description("Name of a role"))),
});

export const PendingQuery = object(pageEntries());

export const CreateBody = object({
  id: v.optional(uuid),
  email: v.optional(name),
  username: v.optional(name),
  phone: v.optional(name),
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
  email: v.optional(name),
  username: v.optional(name),
  phone: v.optional(v.nullable(name)),
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
  email: v.optional(name),
  phone: v.optional(v.nullable(name)),
  timezone: v.optional(timezone),
  locale: v.optional(locale),
  currentPassword: v.optional(password),
});

export const PasswordBody = object({
  currentPassword: password,
  password,
});

const fcmToken = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const apnsToken = pattern(/^[0-9a-fA-F]{64,200}$/, "must be 64 to 200 hexadecimal digits");
const device = v.pipe(text(64, 1));

export const PushBody = v.union(
  [
    object({ fcm: v.optional(v.nullable(fcmToken)), apns: v.optional(v.nullable(apnsToken)) }),
    object({
      devices: v.pipe(
        v.array(
          v.variant("kind", [
            object({ kind: v.literal("fcm"), device, token: fcmToken }),
            object({ kind: v.literal("apns"), device, token: apnsToken }),
          ]),
        ),
        v.maxLength(20, "must be at most 20 devices"),
      ),
    }),
  ],
  "must be {fcm, apns} or {devices: [{kind, device, token}]} and nothing else",
);

export const DeviceView = named(
  "PushDevice",
  v.object({ kind: v.picklist(["fcm", "apns"]), device: v.string(), createdAt: v.string() }),
);

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
