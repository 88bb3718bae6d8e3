/** The part of `ntfy` that other features may use. */

export { attachmentSweep, NTFY_SWEEPS } from "./retention.ts";
