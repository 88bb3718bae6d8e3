import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { Projects, UserDirectory } from "../access/index.ts";
import type { Channels } from "../delivery/index.ts";
import type { SoundServices } from "../sounds/index.ts";
import type { RuleBook } from "./deciding/rule-book.ts";

/** What the feature needs besides the services of every module. */
export interface RulesOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly rules: RuleBook;
  readonly senders: Channels;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly settings: LiveSettings;
  readonly sounds: SoundServices;
}

export type RulesContext = RulesOwn & Pick<CoreServices, "events" | "audit">;
