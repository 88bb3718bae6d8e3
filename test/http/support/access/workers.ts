import { uuidv7 } from "../../../../src/core/ids.ts";
import { makeJob } from "./makers.ts";
import { may, NO_KEYS } from "./refusals.ts";
import { NO_ID, type Row, type Rule, type Table } from "./row.ts";

/** Holders by a service token: logins and keys cannot work. */
const work: Rule = (who) => may("jobs:work")(who) ?? (who.kind === "user" && who.scopes === null ? NO_KEYS : null);

const onJob =
  (action: string, body: object): Row["request"] =>
  async ({ prism }, _who, isServed) => ({
    path: `/api/v1/jobs/${isServed ? await makeJob(prism, "scheduled") : NO_ID}/${action}`,
    body,
  });

/** Contract 4.12. */
export const WORKERS: Table = {
  "POST /api/v1/workers/claim": {
    refusal: work,
    request: () => ({
      path: "/api/v1/workers/claim",
      body: { workerId: uuidv7(), host: "h", queues: ["module:none"], max: 1 },
    }),
  },
  "POST /api/v1/workers/renew": {
    refusal: work,
    request: () => ({ path: "/api/v1/workers/renew", body: { workerId: uuidv7() } }),
    served: [409, "INVALID_STATE"],
  },
  "POST /api/v1/jobs/:id/complete": {
    refusal: work,
    request: onJob("complete", { fence: 1 }),
    served: [409, "INVALID_STATE"],
  },
  "POST /api/v1/jobs/:id/fail": {
    refusal: work,
    request: onJob("fail", { fence: 1, error: "e" }),
    served: [409, "INVALID_STATE"],
  },
};
