import * as v from "valibot";
import type { Route } from "../../http/api/route.ts";
import { pathsMeet, type Router } from "../../http/server/router.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { ImportedModule } from "./import-module.ts";
import { conflict, type ModuleInstance, pathsOf, unavailable } from "./module-instance.ts";
import { type DurableRegistrations, nothingDurable } from "./module-services.ts";
import type { ModuleFolder } from "./modules-directory.ts";

/** Version of a module whose code has not been read. */
export const UNKNOWN_VERSION = "0.0.0";

/** Paths reserved for Prism, even if this version does not use them. */
const RESERVED = ["/socket.io", "/app", "/apps", "/dashboard", "/docs", "/ws", "/realtime"];

export const MODULE_STATES = ["loading", "active", "failed", "disabled"] as const;
type ModuleState = (typeof MODULE_STATES)[number];

const Places = v.array(
  v.object({
    method: v.picklist(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    path: v.string(),
    isPublic: v.boolean(),
  }),
);
/** A path and the methods a module answers. */
type RoutePlace = v.InferOutput<typeof Places>[number];

/** The stored row of a module (table `modules`). */
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

/** One module: its folder, its code, its running instance, and the operators' intent. */
export class ModuleSlot {
  folder: ModuleFolder;
  /** The folder's name until the module's own is known. */
  name: string;
  isNamed = false;
  version = UNKNOWN_VERSION;
  state: ModuleState = "loading";
  /** Why it is not active; for an active one, why its last reload failed. */
  error: string | null = null;
  isEnabled = true;
  updatedAt = 0;
  imported: ImportedModule | null = null;
  instance: ModuleInstance | null = null;
  durable: DurableRegistrations = nothingDurable();
  /** Its routes when it was last active. */
  places: readonly RoutePlace[] = [];

  /** @param rows of earlier starts: the folder's row applies until its code is read. */
  constructor(folder: ModuleFolder, rows: readonly ModuleRow[] = []) {
    this.folder = folder;
    this.name = folder.folder;
    const row = rows.find(({ path }) => path === folder.path);
    if (!row) return;
    const { name, version, routes: places, isEnabled, updatedAt } = row;
    Object.assign(this, { name, version, places, isEnabled, updatedAt });
    if (!isEnabled) this.state = "disabled";
  }

  row(): ModuleRow {
    const { name, version, state, error, isEnabled, places, updatedAt } = this;
    return { name, version, path: this.folder.path, state, error, isEnabled, routes: places, updatedAt };
  }

  setState(state: ModuleState, error: string | null, now: number): void {
    this.state = state;
    this.error = error;
    this.updatedAt = now;
    if (this.instance) this.places = this.instance.routes.flatMap(placesOf);
  }
}

function placesOf({ method, access, ...route }: Route): RoutePlace[] {
  return pathsOf(route).map((path) => ({ method, path, isPublic: access === "public" }));
}

/**
 * @throws ModuleFailure MODULE_ROUTE_CONFLICT when a request to this path could match a route of
 * Prism or of another active module.
 */
export function assertRoutesFree(path: string, slot: ModuleSlot, slots: readonly ModuleSlot[], router: Router): void {
  const reserved = RESERVED.find((each) => path === each || path.startsWith(`${each}/`));
  if (reserved !== undefined) throw conflict(`${path} is below ${reserved}, which is Prism's own`);
  const own = router.meets(path);
  if (own !== undefined) throw conflict(`${path} meets ${own}, which is Prism's own`);
  for (const other of slots) {
    if (other === slot) continue;
    const met = other.instance?.routes.flatMap(pathsOf).find((each) => pathsMeet(each, path));
    if (met !== undefined) throw conflict(`${path} meets ${met} of the module ${other.name}`);
  }
}

/** The routes of all modules, active ones first: an inactive one must not block their paths. */
export function routesOf(slots: readonly ModuleSlot[], router: Router): Route[] {
  const routes = slots.flatMap(({ instance }) => instance?.routes ?? []);
  const taken = routes.flatMap(pathsOf);
  const isTaken = (path: string): boolean =>
    router.meets(path) !== undefined || taken.some((each) => pathsMeet(each, path));
  for (const slot of slots.filter(({ instance }) => !instance)) {
    const free = slot.places.filter(({ path }) => !isTaken(path));
    routes.push(...free.map((place) => placeholder(slot.name, place)));
    taken.push(...free.map(({ path }) => path));
  }
  return routes;
}

function placeholder(name: string, { method, path, isPublic }: RoutePlace): Route {
  return {
    method,
    path,
    summary: `The module ${name}, which is not active`,
    tag: `Module ${name}`,
    access: isPublic ? "public" : {},
    undocumented: true,
    handle: () => {
      throw unavailable(name);
    },
  };
}

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
