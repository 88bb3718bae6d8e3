import type { LoadedModules } from "./loaded-modules.ts";

/** What the feature needs besides the services of every module. */
export interface ModulesOwn {
  readonly loaded: LoadedModules;
}

export type ModulesContext = ModulesOwn;
