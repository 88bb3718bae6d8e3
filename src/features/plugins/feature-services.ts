import type { CoreServices } from "../../module/module-api.ts";
import { type JobOwner, type ModuleJobParts, ModuleScheduler, queueOf } from "./module-jobs.ts";
import { ModuleRows } from "./module-store.ts";

/** The services that are each feature's own, built in or not: its jobs and schedules, and what it keeps. */
export type FeatureServices = Pick<CoreServices, "scheduler" | "kv">;

/** Those of a feature of the program, whose life is the program's: it runs as whoever is calling, and its queue is served once it handles jobs. */
export function featureServices(name: string, parts: ModuleJobParts): FeatureServices {
  const owner: JobOwner = {
    name,
    requireLife: () => undefined,
    added: (undo) => () => void undo(),
    within: async (work) => work(),
    call: (code) => code(),
    handles: () => parts.runner.serve(queueOf(name)),
  };
  return {
    scheduler: new ModuleScheduler(owner, parts, () => undefined),
    kv: new ModuleRows(name, parts.database, parts.clock),
  };
}
