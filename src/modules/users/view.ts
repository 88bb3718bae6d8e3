import { toRfc3339 } from "../../base/clock.ts";
import { PERMISSIONS, type Permission } from "../../base/permissions.ts";
import type { findUser } from "./queries.ts";

/** A user as clients see it (contract 4.4): never a hash, a token or lock data. */
export function userView(user: Awaited<ReturnType<typeof findUser>>, permissions: ReadonlySet<Permission>) {
  return {
    id: user.id,
    email: user.email,
    username: user.username,
    phone: user.phone,
    externalId: user.externalId,
    name: user.name,
    roles: user.roles,
    permissions: PERMISSIONS.filter((permission) => permissions.has(permission)),
    status: user.status,
    timezone: user.timezone,
    locale: user.locale,
    createdAt: toRfc3339(user.createdAt),
    updatedAt: toRfc3339(user.updatedAt),
  };
}
