import type { Permission } from "../base/permissions.ts";
import type { Principal } from "../base/principal.ts";
import type { ProjectRole } from "../store/schema.ts";

/** What can be done inside a project. Those that are also global permissions have the same name. */
export type ProjectRight =
  | "project:read"
  | "project:manage"
  | "keys:read"
  | "events:read"
  | "events:write"
  | "events:delete"
  | "rules:read"
  | "rules:write";

const VIEWER: readonly ProjectRight[] = ["project:read", "events:read"];
const EDITOR: readonly ProjectRight[] = [...VIEWER, "events:write", "rules:read", "keys:read"];
const OWNER: readonly ProjectRight[] = [...EDITOR, "project:manage", "events:delete", "rules:write"];

const BY_ROLE: Readonly<Record<ProjectRole, ReadonlySet<ProjectRight>>> = {
  viewer: new Set(VIEWER),
  editor: new Set(EDITOR),
  owner: new Set(OWNER),
};

const GLOBAL: ReadonlySet<string> = new Set<Permission & ProjectRight>([
  "events:read",
  "events:write",
  "events:delete",
  "rules:read",
  "rules:write",
]);

/**
 * Whether the caller has a right in a project (D27, D56): rights add up. A global permission holds in the default project and in every project
 * the caller is a member of; `projects:all` makes the caller an owner everywhere; every active user is a viewer of the default project. A key
 * has its scopes, in its own project.
 */
export function hasProjectRight(
  principal: Principal,
  right: ProjectRight,
  projectId: string,
  defaultProjectId: string,
): boolean {
  if (principal.kind === "apiKey") {
    if (principal.projectId !== projectId) return false;
    return right === "project:read" || (principal.scopes as ReadonlySet<string>).has(right);
  }
  if (principal.permissions.has("projects:all"))
    return !GLOBAL.has(right) || principal.permissions.has(right as Permission);
  const role = principal.memberships.get(projectId) ?? (projectId === defaultProjectId ? "viewer" : undefined);
  if (role === undefined) return false;
  // A service token carries a part of its user's permissions; what the membership adds must be within that part as well.
  const isRestricted =
    principal.kind === "service" && GLOBAL.has(right) && !principal.permissions.has(right as Permission);
  if (isRestricted) return false;
  return BY_ROLE[role].has(right) || (GLOBAL.has(right) && principal.permissions.has(right as Permission));
}
