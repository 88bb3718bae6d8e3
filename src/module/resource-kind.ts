import { sql } from "kysely";
import type * as v from "valibot";
import type { ReadDb, Trx } from "../store/database.ts";
import { rowsOf } from "../store/sqlite/list-queries.ts";
import type { Spec } from "./config-kind.ts";

/** What a kind needs of a `resource()` with rows `R`. */
interface Settable<R> {
  readonly table: string;
  readonly forCreate: object;
  readonly defaults: Spec;
  settable(row: R): Spec;
}

/** Members of files are those of requests, besides `without`. */
export function resourceKind<R extends object>(resource: Settable<R>, without: readonly string[] = []) {
  const kept = <T>(members: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(members).filter(([name]) => !without.includes(name)));
  return {
    entries: (): v.ObjectEntries => kept(resource.forCreate as v.ObjectEntries),
    defaults: kept(resource.defaults),
    specOf: (row: R): Spec => kept(resource.settable(row)),
    /** Oldest first. @param projectId null: all of the server */
    rows(db: ReadDb | Trx, projectId: string | null): Promise<R[]> {
      const all = rowsOf(db, resource.table).selectAll().orderBy(sql`id`).$castTo<R>();
      return (projectId === null ? all : all.where(sql<boolean>`projectId = ${projectId}`)).execute();
    },
  };
}
