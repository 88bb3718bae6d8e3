/** The part of `forward` that receivers and integrations use. */

export type { Forwarding, ForwardState, NewForward } from "./forwards.ts";
export * from "./target.ts";
