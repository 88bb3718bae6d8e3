import type { Context } from "../../module/feature.ts";

/** What Alertmanager's API shows and changes. */
export type AlertmanagerOwn = Context<"steadyClock" | "projects" | "alerts" | "silences" | "policies" | "withholding">;
