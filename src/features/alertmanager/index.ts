/** The part of `alertmanager` that the wiring may use. */

export type { AlertmanagerOwn } from "./context.ts";
