import { sql } from "kysely";
import type * as v from "valibot";
import type { ReadDb, Trx } from "../store/database.ts";
import { rowsOf, valuesOf } from "../store/sqlite/list-queries.ts";
import type { ObjectVersion, Spec } from "./config-kind.ts";

/** What a kind needs of a `resource()` with rows `R`. */
interface Settable<R> {
  readonly table: string;
  readonly forCreate: object;
  readonly defaults: Spec;
  settable(row: R): Spec;
}

/** Members of files are those of requests, besides `without`. */
export function resourceKind<R extends { readonly id: string }>(
  resource: Settable<R>,
  without: readonly string[] = [],
) {
  const kept = <T>(members: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(members).filter(([name]) => !without.includes(name)));
  return {
    entries: (): v.ObjectEntries => kept(resource.forCreate as v.ObjectEntries),
    defaults: kept(resource.defaults),
    specOf: (row: R): Spec => kept(resource.settable(row)),
    /** Oldest first. @param projectId null: all of the server @param ids only these */
    rows(db: ReadDb | Trx, projectId: string | null, ids?: readonly string[]): Promise<R[]> {
      const all = rowsOf(db, resource.table).where(ofOwner(projectId)).selectAll().orderBy(sql`id`).$castTo<R>();
      return (ids ? all.where(sql<boolean>`id in ${valuesOf(ids)}`) : all).execute();
    },
    versions(db: ReadDb | Trx, projectId: string | null): Promise<ObjectVersion[]> {
      const all = rowsOf(db, resource.table).where(ofOwner(projectId));
      return all.select([sql<string>`id`.as("id"), sql<number>`version`.as("version")]).execute();
    },
    async rowsById(trx: Trx, ids: readonly string[]): Promise<ReadonlyMap<string, R>> {
      const found = rowsOf(trx, resource.table).where(sql<boolean>`id in ${valuesOf(ids)}`);
      return byId(await found.selectAll().$castTo<R>().execute());
    },
  };
}

function ofOwner(projectId: string | null) {
  return projectId === null ? sql<boolean>`true` : sql<boolean>`projectId = ${projectId}`;
}

export function byId<R extends { readonly id: string }>(rows: readonly R[]): ReadonlyMap<string, R> {
  return new Map(rows.map((row) => [row.id, row]));
}
