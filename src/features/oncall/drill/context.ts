import type { Config } from "../../../config/load.ts";
import type { Uses } from "../../../module/feature.ts";

/** Needs of drills. */
export interface DrillParts
  extends Uses<"db" | "clock" | "log" | "audit" | "notify" | "users" | "pages" | "pagePeople" | "waysOf"> {
  /** The settings in use. */
  settings(): Pick<Config, "drill" | "publicUrl">;
}
