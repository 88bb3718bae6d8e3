import type { PageRequest } from "../../../http/pagination.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";

/** A member with what others see of the user. */
export interface MemberRow {
  readonly projectId: string;
  readonly userId: string;
  readonly role: ProjectRole;
  readonly createdAt: number;
  readonly username: string | null;
  readonly name: string;
}

function members(db: ReadDb | Trx, projectId: string) {
  return db
    .selectFrom("project_members as m")
    .innerJoin("users as u", "u.id", "m.userId")
    .where("m.projectId", "=", projectId)
    .where("u.deletedAt", "is", null);
}

const COLUMNS = ["m.projectId", "m.userId", "m.role", "m.createdAt", "u.username", "u.name"] as const;

/** In the order in which the accounts were made. */
export function listMembers(db: ReadDb, projectId: string, page: PageRequest): Promise<MemberRow[]> {
  let query = members(db, projectId).select(COLUMNS);
  if (page.after) query = query.where("m.userId", ">", String(page.after[0]));
  return query
    .orderBy("m.userId")
    .limit(page.limit + 1)
    .offset(page.offset)
    .execute();
}

export function countMembers(db: ReadDb, projectId: string): Promise<number> {
  return countOf(members(db, projectId));
}

export function findMember(trx: Trx, projectId: string, userId: string): Promise<MemberRow | undefined> {
  return members(trx, projectId).select(COLUMNS).where("m.userId", "=", userId).executeTakeFirst();
}

export async function isMember(db: ReadDb, projectId: string, userId: string): Promise<boolean> {
  const row = await members(db, projectId).select("m.userId").where("m.userId", "=", userId).executeTakeFirst();
  return row !== undefined;
}

export async function hasOtherOwner(trx: Trx, projectId: string, userId: string): Promise<boolean> {
  const row = await members(trx, projectId)
    .select("m.userId")
    .where("m.role", "=", "owner")
    .where("m.userId", "!=", userId)
    .where("u.status", "=", "active")
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
