/** The part of `plugins` that other features may use. */
export type { LoadedModules } from "./loaded-modules.ts";
export { moduleServer } from "./module-routes.ts";
export { type ModulesServices, openModules } from "./open-modules.ts";
