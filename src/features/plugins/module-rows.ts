import * as v from "valibot";
import type { Method } from "../../http/route.ts";
import type { Database, Trx } from "../../store/database.ts";

export type ModuleState = "loading" | "active" | "failed" | "disabled";

/** A place where a module answers. */
export interface RoutePlace {
  readonly method: Method;
  readonly path: string;
  readonly isPublic: boolean;
}

/** What is kept of a module (table `modules`). */
export interface ModuleRow {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly state: ModuleState;
  readonly error: string | null;
  readonly isEnabled: boolean;
  readonly routes: readonly RoutePlace[];
  readonly updatedAt: number;
}

const Places = v.array(
  v.object({
    method: v.picklist(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    path: v.string(),
    isPublic: v.boolean(),
  }),
);

export async function readModuleRows(db: Pick<Database["read"], "selectFrom">): Promise<ModuleRow[]> {
  const rows = await db.selectFrom("modules").selectAll().execute();
  return rows.map(({ enabled, routes, ...row }) => ({
    ...row,
    isEnabled: enabled === 1,
    routes: v.parse(Places, JSON.parse(routes)),
  }));
}

export async function putModuleRow(trx: Trx, { isEnabled, routes, ...row }: ModuleRow): Promise<void> {
  const values = { ...row, enabled: isEnabled ? (1 as const) : (0 as const), routes: JSON.stringify(routes) };
  const { name: _key, ...changed } = values;
  await trx
    .insertInto("modules")
    .values(values)
    .onConflict((conflict) => conflict.doUpdateSet(changed))
    .execute();
}

export async function deleteModuleRow(trx: Trx, name: string): Promise<void> {
  await trx.deleteFrom("modules").where("name", "=", name).execute();
}
