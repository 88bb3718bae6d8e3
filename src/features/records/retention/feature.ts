import { feature } from "../../../module/feature.ts";
import { idempotencyKeys, RetentionJob } from "./retention-job.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly retention: RetentionJob;
  }
}

/** Removes old rows of all features. */
export const retentionFeature = feature("retention", {
  needs: ["sweeps", "clockTrust", "runner", "schedules"],
  open: (context) => ({ retention: new RetentionJob(context) }),
  findings: { stored: () => import("./doctor.ts") },
  start: ({ retention }) => retention.start(),
  stop: ({ retention }) => retention.stop(),
  sweeps: () => [idempotencyKeys],
});
