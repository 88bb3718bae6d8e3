/** The part of `retention` that other features may use. */
export { ClockTrust } from "./clock-trust.ts";
export { RetentionJob } from "./retention-job.ts";
