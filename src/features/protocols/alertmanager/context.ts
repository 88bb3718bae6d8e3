import type { Context } from "../../../module/feature.ts";

/** Needs of Alertmanager's API. */
export type AlertmanagerOwn = Context<"steadyClock" | "projects" | "alerts" | "silences" | "policies" | "withholding">;
