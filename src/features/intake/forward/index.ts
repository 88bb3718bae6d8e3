/** The part of `forward` that receivers and integrations use. */

export type { ForwardState, NewForward } from "./forwards.ts";
export * from "./target.ts";
