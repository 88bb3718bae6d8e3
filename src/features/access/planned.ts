import { currentCaller, type Principal } from "../../core/caller.ts";
import type { Planned } from "../../module/config-kind.ts";
import type { Context } from "../../module/feature.ts";
import { type ProjectRight, Projects } from "./authorize.ts";
import { ofGroups, readSources } from "./group-rights/sources.ts";
import { type FoundAccount, type FoundUser, UserDirectory } from "./users/user-directory.ts";

/* Projects and people as an apply of configuration files leaves them, for the checks that it makes before its commit. */

type AccessContext = Context<"projects" | "users" | "principals" | "defaultProjectId">;

/** @param planned is read at each look-up: it may grow */
export function plannedAccess(context: AccessContext, planned: Planned) {
  return { projects: new PlannedProjects(context, planned), users: new PlannedUsers(context, planned) };
}

/** Also knows new projects, of which the caller is the owner. */
class PlannedProjects extends Projects {
  readonly #planned: Planned;

  constructor({ reader, projects, principals }: AccessContext, planned: Planned) {
    const { defaultId, quotas, storage } = projects;
    const isOpen = () => projects.isDefaultOpen;
    super(reader, defaultId, { quotas, storage, isOpen, refresh: (principal) => principals.refresh(principal) });
    this.#planned = planned;
  }

  override has(principal: Principal, projectId: string, right: ProjectRight): boolean {
    if (principal.kind === "apiKey" || !isAmong(this.#planned.projects, projectId))
      return super.has(principal, projectId, right);
    const memberships = new Map(principal.memberships).set(projectId, "owner");
    return super.has({ ...principal, memberships }, projectId, right);
  }

  protected override resolve(ref: string): string | undefined {
    if (isAmong(this.#planned.projects, ref)) return ref;
    return this.#planned.projects.get(ref) ?? super.resolve(ref);
  }
}

/**
 * Also knows people who are new or were invited, as if they were active, and the members that the files name; those
 * of groups stay.
 */
class PlannedUsers extends UserDirectory {
  readonly #planned: Planned;
  readonly #sourcesOf;

  constructor(context: AccessContext, planned: Planned) {
    super(context);
    this.#planned = planned;
    this.#sourcesOf = context.reader.prepare<[string, string], { sources: string | null }>(
      "select sources from project_members where projectId = ? and userId = ?",
    );
  }

  protected override lookUp(ref: string): FoundUser | undefined {
    const { people } = this.#planned;
    const known = super.lookUp(ref);
    const id = known?.id ?? (isAmong(people, ref) ? ref : people.get(ref.toLowerCase()));
    const isPlanned = id !== undefined && isAmong(people, id) && (known?.status ?? "pending") === "pending";
    return isPlanned ? { id, status: "active" } : known;
  }

  protected override accountOf(id: string): FoundAccount | undefined {
    const [username] = [...this.#planned.people].find(([, each]) => each === id) ?? [];
    if (username === undefined) return super.accountOf(id);
    return { name: username, username, status: "active", deletedAt: null };
  }

  protected override isReachable(userId: string, projectId: string | null): boolean {
    const { members, projects } = this.#planned;
    if (projectId === null || projectId === this.defaultProjectId) return true;
    const roles = members.get(projectId);
    if (roles && !roles.has(userId)) {
      const member = this.#sourcesOf.get(projectId, userId);
      return member !== undefined && Object.keys(ofGroups(readSources(member))).length > 0;
    }
    const { principal } = currentCaller();
    const isOwn = principal !== null && principal.kind !== "apiKey" && principal.userId === userId;
    if (super.isReachable(userId, projectId) || (isOwn && isAmong(projects, projectId))) return true;
    // Only who may read users adds a member: what is refused must not tell which accounts exist.
    const mayAdd = principal === null || (principal.kind !== "apiKey" && principal.permissions.has("users:read"));
    return roles !== undefined && mayAdd;
  }
}

function isAmong(ids: ReadonlyMap<string, string>, id: string): boolean {
  for (const each of ids.values()) if (each === id) return true;
  return false;
}
