import { makeJob } from "./makers.ts";
import { may } from "./refusals.ts";
import { at, NO_ID, type Row, type Table } from "./row.ts";

const read = may("jobs:read");
const manage = may("jobs:manage");

/** On a job of the caller's own, where the caller may. */
const onJob =
  (state: "scheduled" | "cancelled", action: string): Row["request"] =>
  async ({ prism }, _who, isServed) => ({
    path: `/api/v1/jobs/${isServed ? await makeJob(prism, state) : NO_ID}${action}`,
  });

/** Contract 4.12. */
export const JOBS: Table = {
  "GET /api/v1/queues": { refusal: read, request: at("/api/v1/queues") },
  "GET /api/v1/queues/:name": { refusal: read, request: at("/api/v1/queues/digest") },
  "POST /api/v1/queues/:name/pause": { refusal: manage, request: at("/api/v1/queues/digest/pause") },
  "POST /api/v1/queues/:name/resume": { refusal: manage, request: at("/api/v1/queues/digest/resume") },
  "POST /api/v1/queues/:name/requeue-dead": { refusal: manage, request: at("/api/v1/queues/digest/requeue-dead") },
  "POST /api/v1/queues/:name/drain": { refusal: manage, request: at("/api/v1/queues/digest/drain") },
  "GET /api/v1/jobs": { refusal: read, request: at("/api/v1/jobs") },
  "GET /api/v1/jobs/counts": { refusal: read, request: at("/api/v1/jobs/counts?state=dead") },
  ...Object.fromEntries(
    ["retry", "cancel", "promote", "delete"].map((action) => [
      `POST /api/v1/jobs/${action}`,
      [{ refusal: manage, request: at(`/api/v1/jobs/${action}`, { filter: { label: "none" } }) }],
    ]),
  ),
  "GET /api/v1/jobs/:id": { refusal: read, request: onJob("scheduled", "") },
  "POST /api/v1/jobs/:id/retry": { refusal: manage, request: onJob("cancelled", "/retry") },
  "POST /api/v1/jobs/:id/cancel": { refusal: manage, request: onJob("scheduled", "/cancel") },
  "POST /api/v1/jobs/:id/promote": { refusal: manage, request: onJob("scheduled", "/promote") },
  "DELETE /api/v1/jobs/:id": { refusal: manage, request: onJob("cancelled", "") },
};
