/** What other features may use of `plugins`. */
export type { LoadedModules } from "./loaded-modules.ts";
export { moduleServer } from "./module-routes.ts";
export { type ModulesServices, openModules } from "./open-modules.ts";
