import type { Database as Sqlite } from "better-sqlite3";
import {
  OPERATOR,
  type PermissionHolder,
  type Principal,
  type RightsChange,
  type UserPrincipal,
} from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import {
  isCustomPermission,
  type KeyScope,
  type Permission,
  PROJECT_PERMISSIONS,
  type ProjectPermission,
} from "../../core/permissions.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { Database, ReadDb, Trx } from "../../store/database.ts";
import type { ProjectRole } from "../../store/schema.ts";
import * as queries from "./projects/queries.ts";
import type { Quotas } from "./projects/quotas.ts";
import type { ProjectStorage } from "./projects/storage.ts";

/** Rights inside a project. Those that are also global permissions have the same name. */
export type ProjectRight = ProjectPermission | "project:read" | "project:manage" | "keys:read";

const VIEWER: readonly ProjectRight[] = ["project:read", "events:read"];
const EDITOR: readonly ProjectRight[] = [
  ...VIEWER,
  "events:write",
  "rules:read",
  "keys:read",
  "incidents:act",
  "silences:write",
  "heartbeats:write",
  "receivers:write",
  "channels:write",
];
const OWNER: readonly ProjectRight[] = [
  ...EDITOR,
  "project:manage",
  "events:delete",
  "rules:write",
  "silences:broad",
  "policies:write",
  "oncall:write",
];

const BY_ROLE: Readonly<Record<ProjectRole, ReadonlySet<ProjectRight>>> = {
  viewer: new Set(VIEWER),
  editor: new Set(EDITOR),
  owner: new Set(OWNER),
};

/** Whether a role in a project has a right, without permissions of server roles. */
export function roleHas(role: ProjectRole, right: ProjectRight): boolean {
  return BY_ROLE[role].has(right);
}

const GLOBAL: ReadonlySet<string> = new Set(PROJECT_PERMISSIONS);

/** The scope a service token needs to act as an owner or to see keys; no permission has it. */
const MANAGING_SCOPE = "projects:create";

/** The project that needs no membership, and whether every active user is a viewer of it. */
export interface DefaultProject {
  readonly defaultId: string;
  readonly isDefaultOpen: boolean;
}

/**
 * Whether the caller has a right in a project. A user has the rights of the role of a member, and
 * with `projects:all` an owner's in every project. In the default project the permissions of server
 * roles count too, without membership; elsewhere they count only for `realtime:publish`, which needs
 * the permission and the role editor. A key has those scopes in its own project that its maker may use. A service token has no
 * more than its scopes, whatever its user's role.
 */
export function hasProjectRight(
  principal: Principal,
  right: ProjectRight,
  projectId: string,
  { defaultId, isDefaultOpen }: DefaultProject,
): boolean {
  if (principal.kind === "apiKey") {
    if (principal.projectId !== projectId) return false;
    return right === "project:read" || (principal.scopes as ReadonlySet<string>).has(right);
  }
  if (!isInScope(principal, right)) return false;
  const isHeld = isPermitted(principal, right);
  if (principal.permissions.has("projects:all") && (isHeld || !GLOBAL.has(right))) return true;
  const member = principal.memberships.get(projectId);
  if (projectId !== defaultId)
    return member !== undefined && (BY_ROLE[member].has(right) || isPublisher(member, isHeld, right));
  const role = member ?? (isDefaultOpen ? "viewer" : undefined);
  const isRead = right === "project:read" && principal.permissions.has("events:read");
  return isHeld || isRead || (role !== undefined && BY_ROLE[role].has(right));
}

/** A user's rights, as far as they decide what the user's API keys may do. */
export type KeyMaker = Pick<UserPrincipal, "permissions" | "memberships">;

/** Whether a key with this scope may use it: the user who made the key may do the same in its project. */
export function mayUseScope(
  { permissions, memberships }: KeyMaker,
  scope: KeyScope,
  projectId: string,
  of: DefaultProject,
): boolean {
  const has = (right: ProjectRight) => hasProjectRight({ ...OPERATOR, permissions, memberships }, right, projectId, of);
  if (scope === "notifications:send") return permissions.has(scope) && has("project:read");
  if (scope === "mirror:observe") return has("incidents:act");
  return has(scope === "realtime:subscribe" ? "events:read" : scope);
}

function isPermitted({ permissions }: PermissionHolder, right: ProjectRight): boolean {
  return GLOBAL.has(right) && permissions.has(right as Permission);
}

/** No role of a member publishes to channels by itself. */
function isPublisher(member: ProjectRole, isHeld: boolean, right: ProjectRight): boolean {
  return right === "realtime:publish" && isHeld && member !== "viewer";
}

function isInScope({ tokenScopes }: PermissionHolder, right: ProjectRight): boolean {
  if (tokenScopes === null || right === "project:read") return true;
  return tokenScopes.has(GLOBAL.has(right) ? right : MANAGING_SCOPE);
}

const MAX_REFS = 10_000;

/** Finds projects by id or slug and checks the caller's rights in them. */
export class Projects implements DefaultProject {
  readonly defaultId: string;
  readonly quotas: Quotas;
  readonly storage: ProjectStorage;
  readonly #isOpen: () => boolean;
  readonly #refresh: (principal: Principal) => Principal | null;
  readonly #find;
  readonly #wasMember;
  readonly #findOwner;
  /** Project id by id or slug. */
  readonly #ids = new Map<string, string>();
  readonly #owners = new Map<string, string | null>();
  readonly #findMirrors;
  /** Slugs by id of the projects that nothing leaves; null: to be read. */
  #mirrors: ReadonlyMap<string, string> | null = null;

  /** @param isOpen whether every active user is a viewer of the default project */
  constructor(
    reader: Sqlite,
    defaultId: string,
    {
      quotas,
      storage,
      isOpen,
      refresh,
    }: {
      readonly quotas: Quotas;
      readonly storage: ProjectStorage;
      readonly isOpen: () => boolean;
      readonly refresh: (principal: Principal) => Principal | null;
    },
  ) {
    this.defaultId = defaultId;
    this.quotas = quotas;
    this.storage = storage;
    this.#isOpen = isOpen;
    this.#refresh = refresh;
    this.#find = reader.prepare<{ ref: string }, { id: string }>(
      "select id from projects where deletedAt is null and (id = @ref or slug = @ref) order by id = @ref desc limit 1",
    );
    this.#findOwner = reader.prepare<[string], { ownerId: string | null }>("select ownerId from projects where id = ?");
    this.#findMirrors = reader
      .prepare<[], [id: string, slug: string]>(
        "select id, slug from projects where deletedAt is null and settings ->> '$.mirror' is not null",
      )
      .raw();
    this.#wasMember = reader.prepare<{ id: string; userId: string; seesAll: 0 | 1 }, { id: string }>(
      `select id from projects where id = @id and deletedAt is not null and
       (@seesAll or exists (select 1 from project_members where projectId = @id and userId = @userId))`,
    );
  }

  /**
   * The caller with the rights of now, for a decision in a transaction: it may have waited for the writer.
   * @throws TOKEN_INVALID when its credential or account has ended
   */
  current<P extends Principal>(principal: P): P {
    const now = this.#refresh(principal);
    if (!now) throw new PrismError("TOKEN_INVALID", "The credential is no longer valid");
    // Of the same credential, so of the same kind.
    return now as P;
  }

  /**
   * @returns the project's id. @throws PROJECT_NOT_FOUND, also for one that the caller may not see;
   * UNAUTHORIZED_ROLE, SCOPE_MISSING
   */
  require(principal: Principal, ref: string, right: ProjectRight): string {
    const id = this.resolve(ref);
    if (id === undefined || !this.#isKnownTo(principal, id))
      throw new PrismError("PROJECT_NOT_FOUND", "No such project");
    if (!this.has(principal, id, right)) {
      if (principal.kind === "apiKey") throw new PrismError("SCOPE_MISSING", `The API key lacks the scope ${right}`);
      throw missingPermission(right);
    }
    return id;
  }

  /** As {@link require}, of the project of {@link refOf}. */
  requireOrDefault(principal: Principal, ref: string | undefined, right: ProjectRight): string {
    return this.require(principal, this.refOf(principal, ref), right);
  }

  /**
   * @param ref the only project, if given. @returns the projects where the caller has the right; null
   * for all of them. @throws as {@link require}; SCOPE_MISSING for a key that lacks it in its own
   */
  readable(principal: Principal, right: ProjectRight, ref?: string): readonly string[] | null {
    if (ref !== undefined) return [this.require(principal, ref, right)];
    if (principal.kind === "apiKey") return [this.require(principal, principal.projectId, right)];
    const isEverywhere = !GLOBAL.has(right) || isPermitted(principal, right);
    if (principal.permissions.has("projects:all") && isEverywhere && isInScope(principal, right)) return null;
    const ids = new Set([this.defaultId, ...principal.memberships.keys()]);
    return [...ids].filter((id) => this.has(principal, id, right));
  }

  /** {@link readable}, and the default project, whose rules reach every user: for what concerns the caller. */
  reaching(principal: Principal, right: ProjectRight): readonly string[] | null {
    const ids = this.readable(principal, right);
    if (ids === null || ids.includes(this.defaultId)) return ids;
    return this.mayBeGiven(principal, this.defaultId, right) ? [...ids, this.defaultId] : ids;
  }

  has(principal: Principal, projectId: string, right: ProjectRight): boolean {
    return hasProjectRight(principal, right, projectId, this);
  }

  get isDefaultOpen(): boolean {
    return this.#isOpen();
  }

  /** Every user knows that there is a default project. */
  #isKnownTo(principal: Principal, id: string): boolean {
    return (principal.kind !== "apiKey" && id === this.defaultId) || this.has(principal, id, "project:read");
  }

  /**
   * A project of a user in which the caller has a right: with it the caller may change what the user
   * has in all of them, such as days off. @param isOf whether the user is reachable in a project
   */
  sharedWith(principal: PermissionHolder, right: ProjectRight, isOf: (projectId: string) => boolean) {
    const projectIds = this.readable(principal, right);
    // Every user is reachable in the default project.
    return projectIds === null ? this.defaultId : projectIds.find(isOf);
  }

  /**
   * Whether the caller may use a right that no role gives, such as that of a paged person: a user whom
   * the project's rules reach (every user in the default project), and a service token only with the scope.
   */
  mayBeGiven(principal: Principal, projectId: string, right: ProjectRight): boolean {
    if (principal.kind === "apiKey" || principal.userId === null) return false;
    return this.#isKnownTo(principal, projectId) && isInScope(principal, right);
  }

  find(ref: string): string | undefined {
    return this.resolve(ref);
  }

  exists(id: string): boolean {
    return this.resolve(id) === id;
  }

  /** Whether the reference is the id of a deleted project that the caller could see. */
  isGoneFor(principal: Principal, ref: string): boolean {
    if (principal.kind === "apiKey") return false;
    const seesAll = principal.permissions.has("projects:all") ? 1 : 0;
    return this.#wasMember.get({ id: ref, userId: principal.userId ?? "", seesAll }) !== undefined;
  }

  hasAnywhere(principal: Principal, right: ProjectRight): boolean {
    if (principal.kind === "apiKey") return this.has(principal, principal.projectId, right);
    return [this.defaultId, ...principal.memberships.keys()].some((id) => this.has(principal, id, right));
  }

  /** The project of a key, or the one a user names; the default project if a user names none. */
  refOf(principal: Principal, given: string | undefined): string {
    return given ?? (principal.kind === "apiKey" ? principal.projectId : this.defaultId);
  }

  /** The user who owns a project; null for none. */
  ownerOf(id: string): string | null {
    const known = this.#owners.get(id);
    if (known !== undefined) return known;
    const ownerId = this.#findOwner.get(id)?.ownerId ?? null;
    if (this.#owners.size >= MAX_REFS) this.#owners.clear();
    this.#owners.set(id, ownerId);
    return ownerId;
  }

  /** Whether the project runs beside another system: nothing leaves it. Ask right before something does. */
  isMirror(id: string | null): boolean {
    return id !== null && this.mirrors.has(id);
  }

  get hasMirrors(): boolean {
    return this.mirrors.size > 0;
  }

  /** The slugs of mirrors by their ids. */
  get mirrors(): ReadonlyMap<string, string> {
    this.#mirrors ??= new Map(this.#findMirrors.all());
    return this.#mirrors;
  }

  /** @throws INVALID_STATE for a mirror: also a test by hand would leave it */
  requireLeaves(id: string | null): void {
    if (this.isMirror(id))
      throw new PrismError("INVALID_STATE", "The project is a mirror (settings.mirror): nothing is sent for it");
  }

  forget(change: RightsChange): void {
    this.storage.forget(change);
    if (change.of === "all" || change.of === "project") this.#mirrors = null;
    if (change.of === "all") {
      this.#owners.clear();
      this.#ids.clear();
    } else if (change.of === "project") {
      this.#owners.delete(change.projectId);
      for (const [ref, id] of this.#ids) if (id === change.projectId) this.#ids.delete(ref);
    }
  }

  protected resolve(ref: string): string | undefined {
    const known = this.#ids.get(ref);
    if (known !== undefined) return known;
    const id = this.#find.get({ ref })?.id;
    if (id === undefined) return undefined;
    if (this.#ids.size >= MAX_REFS) this.#ids.clear();
    this.#ids.set(ref, id);
    return id;
  }
}

/** A caller that grants rights: only those that it holds; the operator holds all. */
export interface Granter {
  readonly userId: string | null;
  readonly permissions: ReadonlySet<string>;
}

export interface RoleRow {
  readonly id: string;
  readonly name: string;
  readonly permissions: string;
}

/** @throws ROLE_NOT_FOUND with the name of the missing role */
export async function rolesByName(names: readonly string[], trx: Trx): Promise<RoleRow[]> {
  const roles = new Map<string, RoleRow>();
  for (const [at, name] of names.entries()) {
    const role = await trx
      .selectFrom("roles")
      .select(["id", "name", "permissions"])
      .where("name", "=", name)
      .executeTakeFirst();
    if (!role) {
      throw new PrismError("ROLE_NOT_FOUND", "No such role", {
        details: [{ path: `roles.${at}`, code: "ROLE_NOT_FOUND", message: "is no role" }],
      });
    }
    roles.set(role.id, role);
  }
  return [...roles.values()];
}

/** @throws PRIVILEGE_ESCALATION for a permission that the granter lacks */
export function requireHeld(permissions: readonly string[], granter: Granter, path: string): void {
  const lacking = permissions.filter((each) => !granter.permissions.has(each) && !isCustomPermission(each));
  if (lacking.length === 0) return;
  throw new PrismError("PRIVILEGE_ESCALATION", "You cannot grant a permission that you do not hold", {
    details: lacking.map((permission) => ({ path, code: "PRIVILEGE_ESCALATION", message: `you lack ${permission}` })),
  });
}

export interface HeldRole extends RoleRow {
  /** Who gives it (group-rights/sources.ts). */
  readonly sources: string | null;
}

export async function heldRoles(userId: string, db: ReadDb): Promise<HeldRole[]> {
  return db
    .selectFrom("user_roles")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select(["roles.id", "roles.name", "roles.permissions", "user_roles.sources"])
    .where("user_roles.userId", "=", userId)
    .execute();
}

/**
 * A manager of users must not control users with more rights: taking over their accounts would be
 * an escalation. This includes the own account through a service token with fewer rights.
 * @throws PRIVILEGE_ESCALATION when the user holds a permission that the granter lacks
 */
export async function requireMayManage(userId: string, granter: Granter, trx: Trx): Promise<void> {
  requireHeld(permissionsOf(await heldRoles(userId, trx)), granter, "id");
}

export function permissionsOf(roles: readonly RoleRow[]): Permission[] {
  return [...new Set(roles.flatMap(({ permissions }) => JSON.parse(permissions) as Permission[]))];
}

interface Reauthorizing {
  readonly projects: Projects;
  readonly principals: { refresh(principal: Principal): Principal | null };
}

/**
 * Checks a right again in the transaction of the change: while the caller waited for the writer the
 * project may have been deleted, the member removed, the account or token revoked.
 * @returns the current project. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, TOKEN_INVALID
 */
export async function reauthorize(
  { projects, principals }: Reauthorizing,
  principal: PermissionHolder,
  projectId: string,
  right: ProjectRight,
  trx: Trx,
) {
  const row = await queries.findProject(trx, projectId);
  if (!row) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
  const current = principals.refresh(principal);
  if (!current || current.kind === "apiKey") throw new PrismError("TOKEN_INVALID", "The credential is no longer valid");
  const role = current.userId === null ? undefined : await queries.roleOf(trx, projectId, current.userId);
  projects.require({ ...current, memberships: new Map(role ? [[projectId, role]] : []) }, projectId, right);
  return row;
}

/**
 * Changes a project, named by id or slug, in a transaction that checks the right again.
 * @throws as {@link Projects.require} and {@link reauthorize}
 */
export async function changeProject<T>(
  ctx: Reauthorizing & { readonly db: Database },
  principal: PermissionHolder,
  ref: string,
  right: ProjectRight,
  change: (trx: Trx, project: Awaited<ReturnType<typeof reauthorize>>) => Promise<T>,
): Promise<T> {
  const id = ctx.projects.require(principal, ref, right);
  return ctx.db.write(async (trx) => change(trx, await reauthorize(ctx, principal, id, right, trx)));
}
