/** The part of `integrations` that the wiring may use. */

export { Integrations } from "./integrations.ts";
