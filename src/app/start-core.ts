import { closedWebPush, enqueueMail, openWebPush, type WebPushSender } from "../features/delivery/index.ts";
import type { JobServices } from "../features/jobs/index.ts";
import { WorkBudget } from "../http/work-budget.ts";
import { type Access, openAccess } from "./open-access.ts";
import { type Live, openLive } from "./open-live.ts";
import { openJobQueues, openPipeline, type Pipeline } from "./open-pipeline.ts";
import type { Base } from "./open-store.ts";

/** The base of every feature. */
export interface Core {
  readonly access: Access;
  /** What requests and replays may cost on the main thread. */
  readonly work: WorkBudget;
  readonly live: Live;
  readonly webPush: WebPushSender;
  readonly jobs: JobServices;
  readonly pipeline: Pipeline;
}

export async function startCore(base: Base): Promise<Core> {
  const access = await openAccess(base, (mail, trx) =>
    enqueueMail({ box: base.box, clock: base.clock, jobs: jobs.jobs }, mail, trx),
  );
  const { clock, metrics, settings } = base;
  const work = new WorkBudget({
    ...{ clock, metrics, limits: () => settings.work },
    ownerOf: (projectId) => access.projects.ownerOf(projectId),
  });
  const live = await openLive(base, access, work);
  const webPush = base.readsOnly ? closedWebPush(base.clock) : await openWebPush(base);
  await base.storage.start();
  const jobs = openJobQueues(base);
  const pipeline = openPipeline(base, access, live, jobs);
  const { storage } = access.projects;
  pipeline.announcer.observe({ events: (events) => storage.stored(events), notifications: () => undefined });
  return { access, work, live, webPush, jobs, pipeline };
}
