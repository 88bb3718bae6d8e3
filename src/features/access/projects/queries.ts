import type { PageRequest } from "../../../http/api/shapes.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { ProjectRole, UserStatus } from "../../../store/schema.ts";
import { countOf, holdsText } from "../../../store/sqlite/list-queries.ts";

export function findProject(db: ReadDb | Trx, id: string) {
  return db.selectFrom("projects").selectAll().where("id", "=", id).where("deletedAt", "is", null).executeTakeFirst();
}

export async function roleOf(trx: Trx, projectId: string, userId: string): Promise<ProjectRole | undefined> {
  const row = await trx
    .selectFrom("project_members")
    .select("role")
    .where("projectId", "=", projectId)
    .where("userId", "=", userId)
    .executeTakeFirst();
  return row?.role;
}

export function lastEvent(db: ReadDb, projectId: string) {
  return db
    .selectFrom("events")
    .select(["seq", "receivedAt"])
    .where("projectId", "=", projectId)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
}

export function countEventsUpTo(db: ReadDb, projectId: string, seq: number): Promise<number> {
  return countOf(db.selectFrom("events").where("projectId", "=", projectId).where("seq", "<=", seq));
}

export function listKeys(db: ReadDb, projectId: string) {
  return db
    .selectFrom("api_keys")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("revokedAt", "is", null)
    .orderBy("createdAt")
    .execute();
}

export async function isSlugTaken(trx: Trx, slug: string): Promise<boolean> {
  const row = await trx
    .selectFrom("projects")
    .select("id")
    .where("slug", "=", slug)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  return row !== undefined;
}

export function revokeKeys(trx: Trx, projectId: string, now: number) {
  return trx
    .updateTable("api_keys")
    .set({ revokedAt: now })
    .where("projectId", "=", projectId)
    .where("revokedAt", "is", null)
    .returning("id")
    .execute();
}

/** Deletes the pages of deleted accounts: their errors may hold addresses. */
export async function forgetPages(trx: Trx, userId: string): Promise<void> {
  for (const channel of ["email", "webhook", "service", "fcm", "apns", "webpush", "pusher"]) {
    const [from, before] = [`${channel} ${userId} `, `${channel} ${userId}!`];
    await trx.deleteFrom("pages").where("target", ">=", from).where("target", "<", before).execute();
  }
}

/** A member with the user's public fields. */
export interface MemberRow {
  readonly projectId: string;
  readonly userId: string;
  readonly role: ProjectRole;
  readonly createdAt: number;
  readonly sources: string | null;
  readonly username: string | null;
  readonly name: string;
}

interface MemberFilters {
  readonly q?: string | undefined;
  readonly status?: UserStatus | undefined;
}

function allMembers(db: ReadDb | Trx) {
  return db
    .selectFrom("project_members as m")
    .innerJoin("users as u", "u.id", "m.userId")
    .where("u.deletedAt", "is", null);
}

function members(db: ReadDb | Trx, projectId: string, { q, status }: MemberFilters = {}) {
  let query = allMembers(db).where("m.projectId", "=", projectId);
  if (status !== undefined) query = query.where("u.status", "=", status);
  if (q !== undefined) query = query.where((e) => e.or([holdsText("u.name", q), holdsText("u.username", q)]));
  return query;
}

const COLUMNS = ["m.projectId", "m.userId", "m.role", "m.createdAt", "m.sources", "u.username", "u.name"] as const;

/** In the order in which the accounts were created. */
export function listMembers(
  db: ReadDb,
  projectId: string,
  filters: MemberFilters,
  page: PageRequest,
): Promise<MemberRow[]> {
  let query = members(db, projectId, filters).select(COLUMNS);
  if (page.after) query = query.where("m.userId", ">", String(page.after[0]));
  return query
    .orderBy("m.userId")
    .limit(page.limit + 1)
    .offset(page.offset)
    .execute();
}

/** All of a project, deleted accounts aside. */
export function everyMember(db: ReadDb | Trx, projectId: string): Promise<MemberRow[]> {
  return members(db, projectId).select(COLUMNS).orderBy("u.username").execute();
}

/** Of a user, in projects that are not deleted. */
export function membershipsOf(db: ReadDb | Trx, userId: string): Promise<MemberRow[]> {
  return allMembers(db)
    .innerJoin("projects as p", "p.id", "m.projectId")
    .select(COLUMNS)
    .where("m.userId", "=", userId)
    .where("p.deletedAt", "is", null)
    .execute();
}

export function countMembers(db: ReadDb, projectId: string, filters: MemberFilters): Promise<number> {
  return countOf(members(db, projectId, filters));
}

export function findMember(db: ReadDb | Trx, projectId: string, userId: string): Promise<MemberRow | undefined> {
  return members(db, projectId).select(COLUMNS).where("m.userId", "=", userId).executeTakeFirst();
}

export async function hasOtherOwner(
  trx: Trx,
  { projectId, userId }: Pick<MemberRow, "projectId" | "userId">,
  statuses: readonly UserStatus[] = ["active"],
): Promise<boolean> {
  const row = await members(trx, projectId)
    .select("m.userId")
    .where("m.role", "=", "owner")
    .where("m.userId", "!=", userId)
    .where("u.status", "in", statuses)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** A recipient of a project's messages. */
export interface ProjectPerson {
  readonly id: string;
  readonly wantsDigest: boolean;
}

/** Limit of recipients of one notification. */
const MAX_PEOPLE = 1000;

/**
 * The active members of a project, including its owner. The default project may have none: its
 * recipients are then the administrators.
 */
export async function projectPeople(
  db: ReadDb | Trx,
  projectId: string,
  defaultProjectId: string,
): Promise<ProjectPerson[]> {
  const members = await active(db)
    .innerJoin("project_members as m", "m.userId", "u.id")
    .where("m.projectId", "=", projectId)
    .execute();
  if (members.length > 0 || projectId !== defaultProjectId) return members.map(personOf);
  return (await administrators(db)).map(personOf);
}

/** Ids of the active owners of a project. */
export async function ownersOf(db: ReadDb | Trx, projectId: string): Promise<string[]> {
  const owners = await active(db)
    .innerJoin("project_members as m", "m.userId", "u.id")
    .where("m.projectId", "=", projectId)
    .where("m.role", "=", "owner")
    .execute();
  return owners.map(({ id }) => id);
}

/** Active users with the role Admin of the server. */
export function administrators(db: ReadDb | Trx): Promise<{ id: string; prefs: string }[]> {
  return activeAdministrators(db).execute();
}

export function activeAdministrators(db: ReadDb | Trx) {
  return active(db)
    .innerJoin("user_roles as r", "r.userId", "u.id")
    .innerJoin("roles", "roles.id", "r.roleId")
    .where("roles.name", "=", "Admin");
}

function active(db: ReadDb | Trx) {
  return db
    .selectFrom("users as u")
    .select(["u.id", "u.prefs"])
    .where("u.status", "=", "active")
    .where("u.deletedAt", "is", null)
    .orderBy("u.id")
    .limit(MAX_PEOPLE);
}

function personOf({ id, prefs }: { id: string; prefs: string }): ProjectPerson {
  return { id, wantsDigest: (JSON.parse(prefs) as { readonly digest?: boolean }).digest !== false };
}

/** Incidents that are not over: the end of a mirror lets them page people, at least of their end. */
export function incidentsNotOver(db: ReadDb | Trx, projectId: string, limit: number) {
  return db
    .selectFrom("incidents")
    .select(["id", "number", "title"])
    .where("projectId", "=", projectId)
    .where("state", "in", ["open", "acknowledged"])
    .orderBy("openedAt")
    .limit(limit)
    .execute();
}
