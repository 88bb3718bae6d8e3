import type { Principal } from "../../core/caller.ts";
import { type ErrorCode, PrismError } from "../../core/errors.ts";
import type { Permission } from "../../core/permissions.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { ProjectRight, Projects } from "./authorize.ts";

interface OwnedRow {
  readonly id: string;
  readonly projectId: string | null;
}

interface Found<R> {
  find(db: ReadDb | Trx, id: string): Promise<R | undefined>;
}

/** Rights in the project of a row, and the error for a row that the caller may not see. */
interface OwnedRights<R, P> {
  /** Who lacks it does not see that the row exists; default: `read`. */
  readonly see?: ProjectRight;
  readonly read: ProjectRight;
  readonly write: ProjectRight;
  readonly missing: ErrorCode;
  /** Name of the resource, for the error's message. */
  readonly noun: string;
  /** Whether the caller has a right for a row without a project; default: no caller has. */
  readonly ofNone?: (principal: P, row: R, right: ProjectRight) => boolean;
}

/** Finds the rows of a table that belong to projects, for callers with a right in theirs. */
export class Owned<R extends OwnedRow, P extends Principal = Principal> {
  readonly #resource: Found<R>;
  readonly rights: OwnedRights<R, P>;

  constructor(resource: Found<R>, rights: OwnedRights<R, P>) {
    this.#resource = resource;
    this.rights = rights;
  }

  /**
   * @throws {@link OwnedRights.missing}, also for a row of a project that the caller may not see;
   * UNAUTHORIZED_ROLE or SCOPE_MISSING for one that the caller sees and may not read
   */
  async visible(projects: Projects, principal: P, id: string, db: ReadDb | Trx): Promise<R> {
    return this.#requireVisible(projects, principal, await this.#resource.find(db, id));
  }

  #requireVisible(projects: Projects, principal: P, row: R | undefined): R {
    const { read, see = read, missing, noun } = this.rights;
    if (!row || !this.has(projects, principal, row, see)) throw new PrismError(missing, `No such ${noun}`);
    if (see !== read && row.projectId !== null) projects.require(principal, row.projectId, read);
    return row;
  }

  /** Whether the caller may read the row. */
  has(projects: Projects, principal: P, row: R, right: ProjectRight = this.rights.read): boolean {
    if (row.projectId === null) return this.rights.ofNone?.(principal, row, right) ?? false;
    return projects.exists(row.projectId) && projects.has(principal, row.projectId, right);
  }

  /** As {@link visible}. @throws UNAUTHORIZED_ROLE also, if the caller may read but not change it */
  async writable(projects: Projects, principal: P, id: string, db: ReadDb | Trx): Promise<R> {
    return this.requireWritable(projects, principal, await this.#resource.find(db, id));
  }

  /** {@link writable} of a row that was read. @throws TOKEN_INVALID also */
  requireWritable(projects: Projects, caller: P, found: R | undefined): R {
    const principal = projects.current(caller);
    const row = this.#requireVisible(projects, principal, found);
    const { write } = this.rights;
    if (!this.has(projects, principal, row, write)) throw missingPermission(write);
    return row;
  }
}

/** @param resource its rows have an id and a project */
export function owned<R extends OwnedRow, P extends Principal = Principal>(
  resource: Found<R>,
  rights: OwnedRights<R, P>,
): Owned<R, P> {
  return new Owned(resource, rights);
}

/** Finds the rows of a table that belong to no project: who may call a route may act on each of them. */
export function ofServer<R>(
  resource: Found<R>,
  rights: { readonly read: Permission; readonly write: Permission; readonly missing: ErrorCode; readonly noun: string },
) {
  const find = async (_projects: Projects, _caller: Principal, id: string, db: ReadDb | Trx): Promise<R> => {
    const row = await resource.find(db, id);
    if (!row) throw new PrismError(rights.missing, `No such ${rights.noun}`);
    return row;
  };
  return { rights, visible: find, writable: find };
}
