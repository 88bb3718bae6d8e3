import type { Config } from "../../../config/load.ts";
import type { Clock } from "../../../core/clock.ts";
import type { LiveSettings } from "../../../http/live-settings.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import type { Database } from "../../../store/database.ts";
import type { JobRunner, JobService } from "../../jobs/index.ts";
import type { AccountMail } from "../accounts/account-mail.ts";
import type { ProjectInvitations } from "../accounts/project-invitations.ts";
import type { Principals } from "../principals.ts";
import type { Projects } from "../projects.ts";
import type { UserDirectory } from "../user-directory.ts";

/** What the feature needs besides the services of every module. */
export interface ProjectsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly principals: Principals;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly settings: LiveSettings;
  readonly accountMail: AccountMail;
  readonly projectInvitations: ProjectInvitations;
}

export type ProjectsContext = ProjectsOwn & Pick<CoreServices, "events" | "audit">;
