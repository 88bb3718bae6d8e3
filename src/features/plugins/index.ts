/** What other features may use of `plugins`. */
export type { LoadedModules } from "./loaded-modules.ts";
export { type ModulesServices, openModules } from "./open-modules.ts";
export { registerFeatures } from "./register-features.ts";
