import type { PageRequest } from "../../../http/pagination.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { countOf, holdsText, newestFirst } from "../../../store/sqlite/list-queries.ts";

export interface ProjectFilter {
  /** Only projects this user is a member of, and the default one; null for all. */
  readonly memberId: string | null;
  readonly defaultId: string;
  readonly q: string | undefined;
}

function filtered(db: ReadDb, { memberId, defaultId, q }: ProjectFilter) {
  let query = db.selectFrom("projects").where("deletedAt", "is", null);
  if (memberId !== null) {
    query = query.where((e) =>
      e.or([
        e("id", "=", defaultId),
        e("id", "in", e.selectFrom("project_members").select("projectId").where("userId", "=", memberId)),
      ]),
    );
  }
  if (q !== undefined) query = query.where((e) => e.or([holdsText("name", q), holdsText("slug", q)]));
  return query;
}

/** Newest first. */
export function listProjects(db: ReadDb, filter: ProjectFilter, page: PageRequest) {
  return newestFirst(filtered(db, filter).selectAll(), page).execute();
}

export function countProjects(db: ReadDb, filter: ProjectFilter): Promise<number> {
  return countOf(filtered(db, filter));
}

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

export function countProjectEvents(db: ReadDb, projectId: string): Promise<number> {
  return countOf(db.selectFrom("events").where("projectId", "=", projectId));
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

/** @returns the keys that ended by it. */
export function revokeKeys(trx: Trx, projectId: string, now: number) {
  return trx
    .updateTable("api_keys")
    .set({ revokedAt: now })
    .where("projectId", "=", projectId)
    .where("revokedAt", "is", null)
    .returning("id")
    .execute();
}

/** @returns the webhooks that ended by it. */
export function deleteWebhooks(trx: Trx, projectId: string) {
  return trx.deleteFrom("webhooks").where("projectId", "=", projectId).returning(["id", "version"]).execute();
}

/** @returns the rules that ended by it. */
export function deleteRules(trx: Trx, projectId: string, now: number) {
  return trx
    .updateTable("rules")
    .set({ deletedAt: now, active: 0, updatedAt: now })
    .where("projectId", "=", projectId)
    .where("deletedAt", "is", null)
    .returning(["id", "version"])
    .execute();
}
