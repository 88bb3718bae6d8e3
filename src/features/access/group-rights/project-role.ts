import type { ReadDb, Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { strongest } from "./sources.ts";

interface ProjectRoleOf {
  /** Of the project. */
  readonly id: string;
  readonly role: ProjectRole;
}

/** @param text `<slug, or a name that one project has>:<owner, editor or viewer>` @returns undefined: there is no such one */
export async function readProjectRole(text: string, db: ReadDb | Trx): Promise<ProjectRoleOf | undefined> {
  const at = text.lastIndexOf(":");
  const role = strongest([text.slice(at + 1)]);
  const named = text.slice(0, Math.max(at, 0));
  const found = await db
    .selectFrom("projects")
    .select(["id", "slug"])
    .where("deletedAt", "is", null)
    .where((e) => e.or([e("slug", "=", named), e("name", "=", named)]))
    .execute();
  const { id } = found.find(({ slug }) => slug === named) ?? (found.length === 1 ? found[0] : undefined) ?? {};
  return id === undefined || role === undefined ? undefined : { id, role };
}
