import type { Database as Sqlite } from "better-sqlite3";
import { PrismError } from "../../core/errors.ts";
import type { Principal } from "../../core/principal.ts";
import { missingPermission } from "../../http/access.ts";
import { hasProjectRight, type ProjectRight } from "./project-rights.ts";

const MAX_REFS = 10_000;

/** Finds projects by id or slug and says what a caller may do in them. */
export class Projects {
  readonly defaultId: string;
  readonly #find;
  readonly #wasMember;
  /** Project id by id or slug. */
  readonly #ids = new Map<string, string>();

  constructor(reader: Sqlite, defaultId: string) {
    this.defaultId = defaultId;
    this.#find = reader.prepare<{ ref: string }, { id: string }>(
      "select id from projects where deletedAt is null and (id = @ref or slug = @ref) order by id = @ref desc limit 1",
    );
    this.#wasMember = reader.prepare<{ id: string; userId: string; seesAll: 0 | 1 }, { id: string }>(
      `select id from projects where id = @id and deletedAt is not null and
       (@seesAll or exists (select 1 from project_members where projectId = @id and userId = @userId))`,
    );
  }

  /** @returns the project's id. @throws PROJECT_NOT_FOUND, also for one that the caller may not see; UNAUTHORIZED_ROLE, SCOPE_MISSING */
  require(principal: Principal, ref: string, right: ProjectRight): string {
    const id = this.#resolve(ref);
    if (id === undefined || !this.has(principal, id, "project:read"))
      throw new PrismError("PROJECT_NOT_FOUND", "No such project");
    if (!this.has(principal, id, right)) {
      if (principal.kind === "apiKey") throw new PrismError("SCOPE_MISSING", `The API key lacks the scope ${right}`);
      throw missingPermission(right);
    }
    return id;
  }

  has(principal: Principal, projectId: string, right: ProjectRight): boolean {
    return hasProjectRight(principal, right, projectId, this.defaultId);
  }

  /** @returns the id of the project of this id or slug. */
  find(ref: string): string | undefined {
    return this.#resolve(ref);
  }

  /** Whether this is the id of a project that has not been deleted. */
  exists(id: string): boolean {
    return this.#resolve(id) === id;
  }

  /** Whether the reference is the id of a project that the caller could see until it was deleted. */
  isGoneFor(principal: Principal, ref: string): boolean {
    if (principal.kind === "apiKey") return false;
    const seesAll = principal.permissions.has("projects:all") ? 1 : 0;
    return this.#wasMember.get({ id: ref, userId: principal.userId, seesAll }) !== undefined;
  }

  /** Whether the caller has the right in some project at least. */
  hasAnywhere(principal: Principal, right: ProjectRight): boolean {
    if (principal.kind === "apiKey") return this.has(principal, principal.projectId, right);
    return [this.defaultId, ...principal.memberships.keys()].some((id) => this.has(principal, id, right));
  }

  /** The project a key belongs to, or the one a user names; a user who names none means the default one. */
  refOf(principal: Principal, given: string | undefined): string {
    return given ?? (principal.kind === "apiKey" ? principal.projectId : this.defaultId);
  }

  forget(projectId: string): void {
    for (const [ref, id] of this.#ids) if (id === projectId) this.#ids.delete(ref);
  }

  forgetAll(): void {
    this.#ids.clear();
  }

  #resolve(ref: string): string | undefined {
    const known = this.#ids.get(ref);
    if (known !== undefined) return known;
    const id = this.#find.get({ ref })?.id;
    if (id === undefined) return undefined;
    if (this.#ids.size >= MAX_REFS) this.#ids.clear();
    this.#ids.set(ref, id);
    return id;
  }
}
