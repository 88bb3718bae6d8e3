/** The part of `retention` that other features may use. */
export { ClockTrust } from "./clock-trust.ts";
