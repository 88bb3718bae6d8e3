import { pageOf } from "../../http/replies.ts";
import { Reply, route } from "../../http/route.ts";
import type { Feature, FeatureServer } from "../../module/feature.ts";
import { userOf } from "../access/index.ts";
import type { JobsOwn } from "./context.ts";
import { JobList } from "./job-list.ts";
import { serveQueues } from "./queue-routes.ts";
import { JobDetail, JobParams, JobQuery, JobView, NoBody } from "./schema.ts";

const PATH = "/api/v1/jobs";
const reads = { tag: "Jobs", access: { permission: "jobs:read" } } as const;
const acts = { tag: "Jobs", access: { permission: "jobs:manage" }, params: JobParams } as const;

/** Queues and jobs for those who operate the server (contract 4.12). */
export function jobsFeature(own: JobsOwn): Feature {
  return { name: "jobs", version: "1.0.0", register: (server) => serve(server, own) };
}

function serve(server: FeatureServer, context: JobsOwn): void {
  serveQueues(server, context);
  const list = new JobList(context);
  const { jobControl } = context;
  server.route(
    route({
      ...reads,
      method: "GET",
      path: PATH,
      summary:
        "Jobs, newest first; with filters a page may hold fewer than the limit, or none, and still have a next one",
      query: JobQuery,
      response: pageOf(JobView),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => list.list(userOf(exchange), query),
    }),
  );
  server.route(
    route({
      ...reads,
      method: "GET",
      path: `${PATH}/:id`,
      summary: "One job with its attempts",
      params: JobParams,
      response: JobDetail,
      errors: ["JOB_NOT_FOUND"],
      handle: (exchange, { params }) => list.get(userOf(exchange), params.id),
    }),
  );
  server.route(
    route({
      ...acts,
      method: "POST",
      path: `${PATH}/:id/retry`,
      summary: "Try a dead or cancelled job anew, with all attempts of its queue",
      body: NoBody,
      response: JobDetail,
      errors: ["JOB_NOT_FOUND", "INVALID_STATE", "OVERLOADED"],
      async handle(exchange, { params }) {
        await jobControl.retry(params.id);
        return list.get(userOf(exchange), params.id);
      },
    }),
  );
  server.route(
    route({
      ...acts,
      method: "POST",
      path: `${PATH}/:id/cancel`,
      summary: "Cancel a job that waits",
      body: NoBody,
      response: JobDetail,
      errors: ["JOB_NOT_FOUND", "INVALID_STATE", "JOB_NOT_CANCELLABLE"],
      async handle(exchange, { params }) {
        await jobControl.cancel(params.id);
        return list.get(userOf(exchange), params.id);
      },
    }),
  );
  server.route(
    route({
      ...acts,
      method: "POST",
      path: `${PATH}/:id/promote`,
      summary: "Run a job now that waits for its time, or for its next attempt",
      body: NoBody,
      response: JobDetail,
      errors: ["JOB_NOT_FOUND", "INVALID_STATE"],
      async handle(exchange, { params }) {
        await jobControl.promote(params.id);
        return list.get(userOf(exchange), params.id);
      },
    }),
  );
  server.route(
    route({
      ...acts,
      method: "DELETE",
      path: `${PATH}/:id`,
      summary: "Remove a job that has ended, with its attempts",
      status: 204,
      errors: ["JOB_NOT_FOUND", "INVALID_STATE"],
      async handle(_exchange, { params }) {
        await jobControl.delete(params.id);
        return new Reply(204);
      },
    }),
  );
}
