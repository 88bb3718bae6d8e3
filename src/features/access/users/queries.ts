import { type Selectable, sql, type Updateable } from "kysely";
import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { PERMISSIONS, type Permission } from "../../../core/permissions.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { named, type PageRequest, selfChanging } from "../../../http/api/shapes.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { Schema, UserStatus } from "../../../store/schema.ts";
import { countOf, holdsText, newestFirst } from "../../../store/sqlite/list-queries.ts";
import { readSources, shownSource } from "../group-rights/sources.ts";
import { NO_SECOND_FACTOR, type SecondFactorState, secondFactorsOf } from "../sessions/second-factor.ts";

/** A user as clients see it, without hash, tokens and lock data. */
export const UserView = named(
  "User",
  "A user account",
  v.object({
    id: v.string(),
    email: v.nullable(v.string()),
    emailVerified: v.optional(
      selfChanging(v.pipe(v.boolean(), v.description("Whether the mail address is known to be the user's"))),
    ),
    username: v.nullable(v.string()),
    phone: v.nullable(v.string()),
    externalId: v.nullable(v.string()),
    name: v.string(),
    roles: v.array(v.string()),
    roleSources: v.pipe(
      v.record(v.string(), v.string()),
      v.description("Of roles that no person gave, who did: `file`, or a provider's groups such as `oidc:company`"),
    ),
    permissions: v.array(v.picklist(PERMISSIONS)),
    status: v.picklist(["pending", "active", "disabled", "unverified"]),
    timezone: v.pipe(
      v.nullable(v.string()),
      v.description("The zone that the user chose; null: that of the browser in use"),
    ),
    effectiveTimezone: v.optional(
      selfChanging(
        v.pipe(v.string(), v.description("The zone of mails and quiet hours: chosen, or of the last browser")),
      ),
    ),
    locale: v.string(),
    createdAt: v.string(),
    updatedAt: v.string(),
    hasPassword: v.optional(
      selfChanging(v.pipe(v.boolean(), v.description("Whether the account has a password of Prism"))),
    ),
    lastLoginAt: v.optional(selfChanging(v.nullable(v.string()))),
    pushTokens: v.optional(selfChanging(v.object({ fcm: v.boolean(), apns: v.boolean() }))),
    pusherChannels: v.optional(selfChanging(v.array(v.string()))),
    secondFactor: v.optional(
      selfChanging(
        v.object({
          enabled: v.boolean(),
          since: v.nullable(v.string()),
          recoveryCodesLeft: v.number(),
          app: v.pipe(v.boolean(), v.description("Whether there is an authenticator app")),
          passkeys: v.pipe(v.number(), v.description("Number of passkeys, each of which is a second factor")),
        }),
      ),
    ),
  }),
);

/** The account with this id or name; the caller selects the columns. */
export function usersWith(
  db: ReadDb | Trx,
  column: "id" | "email" | "username" | "phone" | "externalId",
  value: string,
) {
  return db.selectFrom("users").where(column, "=", value).where("deletedAt", "is", null);
}

export async function writeUser(trx: Trx, id: string, values: Updateable<Schema["users"]>): Promise<void> {
  await trx.updateTable("users").set(values).where("id", "=", id).execute();
}

/** A user's row with roles and permissions. @throws USER_NOT_FOUND */
export async function findUser(db: ReadDb, id: string) {
  const user = await usersWith(db, "id", id).selectAll().executeTakeFirst();
  if (!user) throw new PrismError("USER_NOT_FOUND", "No such user");
  return { ...user, ...(await rolesOfUsers(db, [id]))(id) };
}

/** Fields visible to the user and to managers of users. */
interface OwnDetails {
  readonly pushTokens: { readonly fcm: boolean; readonly apns: boolean };
  readonly pusherChannels: readonly string[];
  readonly secondFactor: SecondFactorState;
}

export function userView(user: Awaited<ReturnType<typeof findUser>>, own?: OwnDetails) {
  const details = own && {
    hasPassword: user.passwordHash !== null,
    lastLoginAt: toRfc3339OrNull(user.lastLoginAt),
    ...own,
  };
  return { ...userFields(user), permissions: user.permissions, ...details };
}

/** The fields that the API and the command line show. */
export function userFields(user: Selectable<Schema["users"]> & ReturnType<typeof heldNames>) {
  return {
    id: user.id,
    email: user.email,
    emailVerified: user.isEmailVerified === 1,
    username: user.username,
    phone: user.phone,
    externalId: user.externalId,
    name: user.name,
    roles: user.roles,
    roleSources: user.roleSources,
    status: user.status,
    timezone: user.hasChosenTimezone === 1 ? user.timezone : null,
    effectiveTimezone: user.timezone,
    locale: user.locale,
    createdAt: toRfc3339(user.createdAt),
    updatedAt: toRfc3339(user.updatedAt),
  };
}

interface LiveChannels {
  channelsOf(userId: string): readonly string[];
}

export async function detailsOfUsers(
  db: ReadDb,
  channels: LiveChannels,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, OwnDetails>> {
  const devices = await db
    .selectFrom("push_devices")
    .select(["userId", "kind"])
    .distinct()
    .where("userId", "in", userIds)
    .where("disabledAt", "is", null)
    .execute();
  const factors = await secondFactorsOf(userIds, db);
  const has = (id: string, wanted: string): boolean =>
    devices.some(({ userId, kind }) => userId === id && kind === wanted);
  return new Map(
    userIds.map((id) => [
      id,
      {
        pushTokens: { fcm: has(id, "fcm"), apns: has(id, "apns") },
        pusherChannels: channels.channelsOf(id),
        secondFactor: factors.get(id) ?? NO_SECOND_FACTOR,
      },
    ]),
  );
}

export async function ownDetails(db: ReadDb, channels: LiveChannels, userId: string): Promise<OwnDetails> {
  const details = (await detailsOfUsers(db, channels, [userId])).get(userId);
  if (!details) throw new TypeError("there are details of each user");
  return details;
}

export interface UserFilter {
  readonly q?: string | undefined;
  readonly status?: UserStatus | undefined;
  readonly role?: string | undefined;
}

/** Newest first: ids are UUIDv7, so their order is that of creation. */
export function listUsers(db: ReadDb, filter: UserFilter, page: PageRequest) {
  return newestFirst(matching(db, filter).selectAll(), page).execute();
}

export function countUsers(db: ReadDb, filter: UserFilter): Promise<number> {
  return countOf(matching(db, filter));
}

/** Active users and roles with the text in their name; of users nothing but names is matched. */
export async function findTargets(
  db: ReadDb,
  { q = "", limit = 20 }: { readonly q?: string | undefined; readonly limit?: number | undefined },
) {
  const users = await db
    .selectFrom("users")
    .select(["id", "name", "username"])
    .where("status", "=", "active")
    .where("deletedAt", "is", null)
    .where((e) => e.or([holdsText("name", q), holdsText("username", q), e("id", "=", q), e("externalId", "=", q)]))
    .orderBy("createdAt", "desc")
    .limit(limit)
    .execute();
  const roles = await db
    .selectFrom("roles")
    .select(["id", "name"])
    .where(holdsText("name", q))
    .orderBy("name")
    .limit(limit)
    .execute();
  return { users: users.map((user) => ({ ...user, name: user.name || (user.username ?? "") })), roles };
}

function matching(db: ReadDb, { q, status, role }: UserFilter) {
  let query = db.selectFrom("users").where("users.deletedAt", "is", null);
  if (status !== undefined) query = query.where("users.status", "=", status);
  if (role !== undefined) {
    query = query.where(({ exists, selectFrom }) =>
      exists(
        selectFrom("user_roles")
          .innerJoin("roles", "roles.id", "user_roles.roleId")
          .select("user_roles.userId")
          .whereRef("user_roles.userId", "=", "users.id")
          .where("roles.name", "=", role),
      ),
    );
  }
  if (q !== undefined) {
    const like = `%${q.toLowerCase().replaceAll(/[\\%_]/g, "\\$&")}%`;
    query = query.where(
      sql<boolean>`(lower(users.name) like ${like} escape '\\' or users.email like ${like} escape '\\'
        or users.username like ${like} escape '\\' or users.phone like ${like} escape '\\'
        or users.externalId like ${like} escape '\\')`,
    );
  }
  return query;
}

/** Roles and permissions of several users. */
export async function rolesOfUsers(db: ReadDb, userIds: readonly string[]) {
  const rows = await db
    .selectFrom("user_roles")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select(["user_roles.userId", "roles.name", "roles.permissions", "user_roles.sources"])
    .where("user_roles.userId", "in", userIds)
    .orderBy("roles.name")
    .execute();
  return (id: string) => {
    const held = rows.filter(({ userId }) => userId === id);
    const allowed = new Set(held.flatMap(({ permissions }) => JSON.parse(permissions) as Permission[]));
    return { ...heldNames(held), permissions: PERMISSIONS.filter((each) => allowed.has(each)) };
  };
}

/** Names of roles, and who gives those that no person gave. */
export function heldNames(held: readonly { readonly name: string; readonly sources: string | null }[]) {
  const sources = held.flatMap((role) => {
    const source = shownSource(readSources(role));
    return source === null ? [] : [[role.name, source] as const];
  });
  return { roles: held.map(({ name }) => name), roleSources: Object.fromEntries(sources) };
}

export interface UserName {
  readonly id: string;
  readonly username: string | null;
  readonly name: string | null;
}

/** The names of users by id, also of disabled and deleted ones. */
export async function userNames(db: ReadDb | Trx, ids: readonly string[]): Promise<ReadonlyMap<string, UserName>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom("users").select(["id", "username", "name"]).where("id", "in", ids).execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** What names them in configuration files, which hold no mail addresses. */
export async function namesInFiles(db: ReadDb, ids: readonly string[]) {
  if (ids.length === 0) return [];
  return db.selectFrom("users").select(["id", "username", "externalId"]).where("id", "in", ids).execute();
}

/** More are not counted. */
const MAX_COUNTED = 1000;

/** Accounts that wait for approval, up to a limit. */
export async function pendingUsers(db: ReadDb): Promise<{ readonly count: number; readonly since: number | null }> {
  const { rows } = await sql<{ count: number; since: number | null }>`
    select count(*) as count, min(createdAt) as since from (
      select createdAt from users where status = 'pending' and deletedAt is null limit ${MAX_COUNTED}
    )`.execute(db);
  return rows[0] ?? { count: 0, since: null };
}
