import type { Config } from "../../../config/load.ts";
import type { Uses } from "../../../module/feature.ts";
import type { PagePeople, WaysOfPeople } from "../../delivery/index.ts";

/** Needs of drills. */
export interface DrillParts extends Uses<"db" | "clock" | "log" | "audit" | "notify" | "users" | "pages"> {
  readonly pagePeople: PagePeople;
  readonly waysOf: WaysOfPeople;
  /** The settings in use. */
  settings(): Pick<Config, "drill" | "publicUrl">;
}
