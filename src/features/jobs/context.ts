import type { Clock } from "../../core/clock.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Database } from "../../store/database.ts";
import type { JobControl, QueueControl } from "./operator.ts";
import type { WorkerChannels } from "./queue-views.ts";
import type { JobRunner } from "./runner/runner.ts";

/** What the feature needs besides the services of every module. */
export interface JobsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly runner: JobRunner;
  readonly jobControl: JobControl;
  readonly queueControl: QueueControl;
  readonly channels: WorkerChannels;
  readonly settings: LiveSettings;
}
