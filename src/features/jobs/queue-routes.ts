import * as v from "valibot";
import { route } from "../../http/route.ts";
import type { FeatureServer } from "../../module/feature.ts";
import type { JobsOwn } from "./context.ts";
import { queueView, queueViews } from "./queue-views.ts";
import type { QueueName } from "./runner/job.ts";
import { NoBody, QueueParams, QueueView } from "./schema.ts";

const PATH = "/api/v1/queues";
const reads = { tag: "Jobs", access: { permission: "jobs:read" } } as const;
const acts = {
  tag: "Jobs",
  access: { permission: "jobs:manage" },
  method: "POST",
  params: QueueParams,
  body: NoBody,
  errors: ["QUEUE_NOT_FOUND"],
} as const;

/** Looking at queues, and stopping, starting and emptying them. */
export function serveQueues(server: FeatureServer, context: JobsOwn): void {
  const { queueControl } = context;
  /** @throws QUEUE_NOT_FOUND */
  const nameOf = async (ref: string): Promise<QueueName> => (await queueView(context, ref)).name;
  server.route(
    route({
      ...reads,
      method: "GET",
      path: PATH,
      summary: "All queues with what waits, runs and is dead in them",
      response: v.object({ queues: v.array(QueueView) }),
      handle: async () => ({ queues: await queueViews(context) }),
    }),
  );
  server.route(
    route({
      ...reads,
      method: "GET",
      path: `${PATH}/:name`,
      summary: "One queue",
      params: QueueParams,
      response: QueueView,
      errors: ["QUEUE_NOT_FOUND"],
      handle: (_exchange, { params }) => queueView(context, params.name),
    }),
  );
  server.route(
    route({
      ...acts,
      path: `${PATH}/:name/pause`,
      summary: "Begin none of the queue's jobs, also after a restart, until it is resumed; what runs goes on",
      response: QueueView,
      async handle(_exchange, { params }) {
        await queueControl.pause(await nameOf(params.name));
        return queueView(context, params.name);
      },
    }),
  );
  server.route(
    route({
      ...acts,
      path: `${PATH}/:name/resume`,
      summary: "Run the jobs of a paused queue",
      response: QueueView,
      async handle(_exchange, { params }) {
        await queueControl.resume(await nameOf(params.name));
        return queueView(context, params.name);
      },
    }),
  );
  server.route(
    route({
      ...acts,
      path: `${PATH}/:name/requeue-dead`,
      summary: "Try all dead jobs of the queue anew; those whose dedupe key another job holds stay dead",
      response: v.object({ requeued: v.number() }),
      errors: ["QUEUE_NOT_FOUND", "OVERLOADED"],
      handle: async (_exchange, { params }) => ({
        requeued: await queueControl.requeueDead(await nameOf(params.name)),
      }),
    }),
  );
  server.route(
    route({
      ...acts,
      path: `${PATH}/:name/drain`,
      summary: "Cancel all that waits in the queue: scheduled, ready and retrying jobs; what runs goes on",
      response: v.object({ cancelled: v.number() }),
      handle: async (_exchange, { params }) => ({ cancelled: await queueControl.drain(await nameOf(params.name)) }),
    }),
  );
}
