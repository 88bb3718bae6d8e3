import type { Selectable } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { Schema, UserStatus } from "../../../store/schema.ts";
import type { Principals } from "../authenticate/principals.ts";
import { ApiKey, type StoredKey } from "../projects/keys.ts";
import { findUser, heldNames, userFields } from "../users/queries.ts";
import { ServiceToken } from "../users/service-token.ts";

/** Lists of users, tokens, keys and projects for the operator, without secrets and hashes. */

interface UserSelection {
  readonly email?: string | undefined;
  readonly username?: string | undefined;
  /** Name of a role. */
  readonly role?: string | undefined;
  readonly status?: UserStatus | undefined;
}

/** Users that are not deleted, oldest first, with the names of their roles. */
export async function listUsers(db: ReadDb | Trx, { email, username, role, status }: UserSelection = {}) {
  let query = db.selectFrom("users").selectAll().where("deletedAt", "is", null).orderBy("createdAt").orderBy("id");
  if (email !== undefined) query = query.where("email", "=", email.toLowerCase());
  if (username !== undefined) query = query.where("username", "=", username.toLowerCase());
  if (status !== undefined) query = query.where("status", "=", status);
  const users = await query.execute();
  const roles = await rolesByUser(db);
  const shown = users.map((user) => userView(user, roles.get(user.id) ?? heldNames([])));
  return role === undefined
    ? shown
    : shown.filter((user) => user.roles.some((name) => name.toLowerCase() === role.toLowerCase()));
}

/** One user as {@link listUsers} shows it. */
export async function getUser(db: ReadDb | Trx, id: string) {
  const user = await findUser(db, id);
  return userView(user, user);
}

type HeldNames = ReturnType<typeof heldNames>;

/** The roles of every user who holds one. */
async function rolesByUser(db: ReadDb | Trx): Promise<ReadonlyMap<string, HeldNames>> {
  const rows = await db
    .selectFrom("user_roles")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select(["user_roles.userId", "roles.name", "user_roles.sources"])
    .orderBy("roles.name")
    .execute();
  const byUser = new Map<string, typeof rows>();
  for (const row of rows) byUser.set(row.userId, [...(byUser.get(row.userId) ?? []), row]);
  return new Map([...byUser].map(([userId, held]) => [userId, heldNames(held)]));
}

function userView(user: Selectable<Schema["users"]>, { roles, roleSources }: HeldNames) {
  return { ...userFields({ ...user, roles, roleSources }), lastLoginAt: toRfc3339OrNull(user.lastLoginAt) };
}

/** The user of an id, an external id, a username or a mail address. @throws USER_NOT_FOUND */
export async function findUserRef(db: ReadDb | Trx, ref: string) {
  const users = await db
    .selectFrom("users")
    .select(["id", "email", "username", "externalId", "status"])
    .where("deletedAt", "is", null)
    .where((e) =>
      e.or([
        e("id", "=", ref),
        e("externalId", "=", ref),
        e("username", "=", ref.toLowerCase()),
        e("email", "=", ref.toLowerCase()),
      ]),
    )
    .execute();
  const rank = (user: (typeof users)[number]): number =>
    user.id === ref ? 0 : user.externalId === ref ? 1 : user.username === ref.toLowerCase() ? 2 : 3;
  const [user] = users.sort((left, right) => rank(left) - rank(right));
  if (!user) throw new PrismError("USER_NOT_FOUND", `There is no user ${ref}`);
  return { ...user, label: user.username ?? user.email ?? user.externalId ?? user.id };
}

/** Service tokens, oldest first. @param userId of one user. @param all also those that ended */
export async function listTokens(
  db: ReadDb | Trx,
  { userId, all, now }: ListOptions & { userId?: string | undefined },
) {
  let query = db
    .selectFrom("service_tokens")
    .innerJoin("users", "users.id", "service_tokens.userId")
    .selectAll("service_tokens")
    .select(["users.username", "users.email", "users.externalId"])
    .orderBy("service_tokens.createdAt");
  if (userId !== undefined) query = query.where("service_tokens.userId", "=", userId);
  const rows = await query.execute();
  return rows
    .map((row) => {
      const { id, name, prefix, scopes, createdAt } = ServiceToken.view(row);
      const user = row.username ?? row.email ?? row.externalId;
      return { id, userId: row.userId, user, name, prefix, scopes, ...lifeOf(row, now), createdAt };
    })
    .filter(({ state }) => all || state === "active");
}

/** API keys with the scopes that they have now, oldest first. @param projectId of one project. @param all also those that ended */
export async function listKeys(
  db: ReadDb | Trx,
  principals: Pick<Principals, "scopesOf">,
  { projectId, all, now }: ListOptions & { projectId?: string | undefined },
) {
  let query = db
    .selectFrom("api_keys")
    .innerJoin("projects", "projects.id", "api_keys.projectId")
    .selectAll("api_keys")
    .select("projects.slug")
    .orderBy("api_keys.createdAt");
  if (projectId !== undefined) query = query.where("api_keys.projectId", "=", projectId);
  const rows = await query.execute();
  return rows
    .map((row) => {
      const { id, name, prefix, scopes: given, createdAt } = ApiKey.view(row);
      const scopes = row.revokedAt === null ? principals.scopesOf(row) : given;
      const { projectId, slug: project, rateLimit } = row;
      return { id, projectId, project, name, prefix, scopes, rateLimit, ...lifeOf(row, now), createdAt };
    })
    .filter(({ state }) => all || state === "active");
}

interface ListOptions {
  readonly all: boolean;
  /** Epoch ms. */
  readonly now: number;
}

/** Whether it works, and until when. */
function lifeOf(row: Pick<StoredKey, "expiresAt" | "lastUsedAt" | "revokedAt">, now: number) {
  const { expiresAt, lastUsedAt, revokedAt } = row;
  const isExpired = expiresAt !== null && expiresAt <= now;
  return {
    state: revokedAt !== null ? "revoked" : isExpired ? "expired" : "active",
    expiresAt: toRfc3339OrNull(expiresAt),
    lastUsedAt: toRfc3339OrNull(lastUsedAt),
    revokedAt: toRfc3339OrNull(revokedAt),
  } as const;
}
