import type { ReadDb, Trx } from "../../store/database.ts";
import type { Preferences } from "../delivery/index.ts";

/** Somebody whom a project tells what it has to say. */
export interface ProjectPerson {
  readonly id: string;
  readonly wantsDigest: boolean;
}

/** As many as one notification may tell. */
const MAX_PEOPLE = 1000;

/** The active members of a project, its owner among them. The default project may have none: its people are then the administrators. */
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
  const admins = await active(db)
    .innerJoin("user_roles as r", "r.userId", "u.id")
    .innerJoin("roles", "roles.id", "r.roleId")
    .where("roles.name", "=", "Admin")
    .execute();
  return admins.map(personOf);
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
  return { id, wantsDigest: (JSON.parse(prefs) as Preferences).digest !== false };
}
