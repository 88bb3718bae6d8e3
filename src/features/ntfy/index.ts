/** The part of `ntfy` that other features may use. */

export type { NtfyOwn } from "./context.ts";
export { attachmentSweep, NTFY_SWEEPS } from "./retention.ts";
export { ntfySockets } from "./routes.ts";
export { Ntfy } from "./service.ts";
