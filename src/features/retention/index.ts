/** What other features may use of `retention`. */
export { ClockTrust } from "./clock-trust.ts";
export { openRetention } from "./open-retention.ts";
export type { RetentionJob } from "./retention-job.ts";
