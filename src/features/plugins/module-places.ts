import type { Route } from "../../http/route.ts";
import { pathsMeet, type Router } from "../../http/router.ts";
import { conflict } from "./module-run.ts";
import type { ModuleSlot } from "./module-slot.ts";

/** Paths that belong to the program whether or not this version answers there (contract 4.12, 5). */
const RESERVED = ["/socket.io", "/app", "/apps", "/dashboard", "/docs", "/ws", "/realtime"];

/** @throws ModuleFailure MODULE_ROUTE_CONFLICT when some request to this path could be meant for the program, or for another module that is active. */
export function requireFree(path: string, slot: ModuleSlot, slots: readonly ModuleSlot[], router: Router): void {
  const reserved = RESERVED.find((each) => path === each || path.startsWith(`${each}/`));
  if (reserved !== undefined) throw conflict(`${path} is below ${reserved}, which is Prism's own`);
  const own = router.meets(path);
  if (own !== undefined) throw conflict(`${path} meets ${own}, which is Prism's own`);
  for (const other of slots) {
    if (other === slot) continue;
    const met = other.run?.routes.flatMap(pathsOf).find((each) => pathsMeet(each, path));
    if (met !== undefined) throw conflict(`${path} meets ${met} of the module ${other.name}`);
  }
}

/** What the router is to serve for modules. Active ones come first: what is not there keeps no path from one that is. */
export function routesOf(slots: readonly ModuleSlot[], router: Router): Route[] {
  const taken: string[] = [];
  const isTaken = (path: string): boolean =>
    router.meets(path) !== undefined || taken.some((each) => pathsMeet(each, path));
  return [...slots.filter(({ run }) => run), ...slots.filter(({ run }) => !run)].flatMap((slot) => {
    const routes = slot.run ? slot.routes() : slot.routes().filter(({ path }) => !isTaken(path));
    taken.push(...routes.flatMap(pathsOf));
    return routes;
  });
}

function pathsOf({ path, aliases = [] }: Pick<Route, "path" | "aliases">): readonly string[] {
  return [path, ...aliases];
}
