import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { ServedChannels } from "../../http/shapes.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { Projects, UserDirectory } from "../access/index.ts";
import type { SoundServices } from "../sounds/index.ts";
import type { RuleBook } from "./deciding/rule-book.ts";
import type { RuleEvent } from "./language/language.ts";

/** What the feature needs besides the services of every module. */
export interface RulesOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly rules: RuleBook;
  readonly channels: ServedChannels;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly settings: LiveSettings;
  readonly sounds: SoundServices;
  /** An event as ingest would make it of this object. @throws VALIDATION_FAILED */
  trialEvent(value: Readonly<Record<string, unknown>>, projectId: string, now: number): RuleEvent;
}

export type RulesContext = RulesOwn & Pick<CoreServices, "events" | "audit">;
