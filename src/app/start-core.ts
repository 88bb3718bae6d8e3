import { closedWebPush, enqueueMail, openWebPush, type WebPushSender } from "../features/delivery/index.ts";
import type { JobServices } from "../features/jobs/index.ts";
import { type Access, openAccess } from "./open-access.ts";
import { type Live, openLive } from "./open-live.ts";
import { openJobQueues, openPipeline, type Pipeline } from "./open-pipeline.ts";
import type { Base } from "./open-store.ts";

/** The base of every feature. */
export interface Core {
  readonly access: Access;
  readonly live: Live;
  readonly webPush: WebPushSender;
  readonly jobs: JobServices;
  readonly pipeline: Pipeline;
}

export async function startCore(base: Base): Promise<Core> {
  const access = await openAccess(base, (mail, trx) =>
    enqueueMail({ box: base.box, clock: base.clock, jobs: jobs.jobs }, mail, trx),
  );
  const live = await openLive(base, access);
  const webPush = base.readsOnly ? closedWebPush(base.clock) : await openWebPush(base);
  await base.storage.start();
  const jobs = openJobQueues(base);
  const pipeline = openPipeline(base, access, live, jobs);
  const { storage } = access.projects;
  pipeline.announcer.observe({ events: (events) => storage.stored(events), notifications: () => undefined });
  return { access, live, webPush, jobs, pipeline };
}
