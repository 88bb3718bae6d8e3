import { sql } from "kysely";
import { type ErrorCode, PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import type { Principal } from "../../core/principal.ts";
import { missingPermission } from "../../http/access.ts";
import type { Table } from "../../http/resource.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { rowsOf } from "../../store/sqlite/list-queries.ts";
import type { ProjectRight, Projects } from "./authorize.ts";

interface OwnedRow {
  readonly id: string;
  readonly projectId: string;
}

/** Rights in the project of a row, and the error for a row that the caller may not see. */
interface OwnedRights {
  /** Who lacks it does not see that the row exists; default: `read`. */
  readonly see?: ProjectRight;
  readonly read: ProjectRight;
  readonly write: ProjectRight;
  readonly missing: ErrorCode;
  /** What the row is, for the error's message. */
  readonly noun: string;
}

/** Finds the rows of a table that belong to projects, for callers with a right in theirs. */
export class Owned<R extends OwnedRow> {
  readonly #resource: Table;
  readonly #rights: OwnedRights;

  constructor(resource: Table, rights: OwnedRights) {
    this.#resource = resource;
    this.#rights = rights;
  }

  /**
   * @throws {@link OwnedRights.missing}, also for a row of a project that the caller may not see;
   * UNAUTHORIZED_ROLE or SCOPE_MISSING for one that the caller sees and may not read
   */
  async visible(projects: Projects, principal: Principal, id: string, db: ReadDb | Trx): Promise<R> {
    const { table, columnSchemas } = this.#resource;
    let found = rowsOf(db, table).where(sql<boolean>`id = ${id}`);
    if (columnSchemas.has("deletedAt")) found = found.where(sql<boolean>`deletedAt is null`);
    const [row] = isUuid(id) ? await found.selectAll().$castTo<R>().execute() : [];
    const { read, see = read, missing, noun } = this.#rights;
    if (!row || !projects.exists(row.projectId) || !projects.has(principal, row.projectId, see))
      throw new PrismError(missing, `No such ${noun}`);
    if (see !== read) projects.require(principal, row.projectId, read);
    return row;
  }

  /** As {@link visible}. @throws UNAUTHORIZED_ROLE also, if the caller may read but not change it */
  async writable(projects: Projects, principal: Principal, id: string, db: ReadDb | Trx): Promise<R> {
    const row = await this.visible(projects, principal, id, db);
    if (!projects.has(principal, row.projectId, this.#rights.write)) throw missingPermission(this.#rights.write);
    return row;
  }
}

/** @param resource of which rows have an id and a project */
export function owned<R extends OwnedRow>(
  resource: Table & { view(row: R, computed: never): object },
  rights: OwnedRights,
): Owned<R> {
  return new Owned(resource, rights);
}
