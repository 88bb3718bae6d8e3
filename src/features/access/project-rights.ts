import type { Permission } from "../../core/permissions.ts";
import type { Principal, UserPrincipal } from "../../core/principal.ts";
import type { ProjectRole } from "../../store/schema.ts";

/** What can be done inside a project. Those that are also global permissions have the same name. */
export type ProjectRight =
  | "project:read"
  | "project:manage"
  | "keys:read"
  | "events:read"
  | "events:write"
  | "events:delete"
  | "rules:read"
  | "rules:write"
  | "realtime:publish";

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
  "realtime:publish",
]);

/** What a service token must have been made for before it may act as an owner or look at keys: no permission is called like these. */
const MANAGING_SCOPE = "projects:create";

/**
 * Whether the caller has a right in a project (D27, D56): rights add up. A global permission holds in the default project and in every project
 * the caller is a member of; `projects:all` makes the caller an owner everywhere; every active user is a viewer of the default project. A key
 * has its scopes, in its own project; a service token no more than its scopes, however high its user stands in the project.
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
  if (!isInScope(principal, right)) return false;
  const isGlobal = GLOBAL.has(right) && principal.permissions.has(right as Permission);
  if (principal.permissions.has("projects:all") && (isGlobal || !GLOBAL.has(right))) return true;
  const role = principal.memberships.get(projectId) ?? (projectId === defaultProjectId ? "viewer" : undefined);
  return role !== undefined && (isGlobal || BY_ROLE[role].has(right));
}

function isInScope({ tokenScopes }: UserPrincipal, right: ProjectRight): boolean {
  if (tokenScopes === null || right === "project:read") return true;
  return tokenScopes.has(GLOBAL.has(right) ? right : MANAGING_SCOPE);
}
