/** What other features may use of `retention`. */
export { ClockTrust } from "./clock-trust.ts";
export { RetentionJob } from "./retention-job.ts";
