import type { LiveSettings } from "../../http/live-settings.ts";
import type { Database } from "../../store/database.ts";
import type { Projects, UserDirectory } from "../access/index.ts";

/** What the feature needs besides the services of every module. */
export interface ExplainOwn {
  readonly db: Database;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly settings: LiveSettings;
}

export type ExplainContext = ExplainOwn;
