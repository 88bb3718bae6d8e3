import type { CoreServices } from "../../../module/module-api.ts";
import type { Principals } from "../../access/index.ts";
import type { WorkerChannels } from "../queue-views.ts";
import type { WorkerLeases } from "../worker-leases.ts";

/** What the feature needs besides the services of every module. */
export interface WorkersOwn {
  readonly workerLeases: WorkerLeases;
  readonly senders: WorkerChannels;
  readonly principals: Principals;
}

export type WorkersContext = WorkersOwn & Pick<CoreServices, "events">;
