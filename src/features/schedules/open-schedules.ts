import type { LiveSettings } from "../../http/live-settings.ts";
import { type ScheduleParts, Schedules } from "./schedules.ts";

export interface TimeParts extends Omit<ScheduleParts, "settingsOf" | "maxCatchUp" | "maxPerCreator"> {
  readonly settings: LiveSettings;
}

/** What recurs. */
export function openSchedules({ settings, log, ...parts }: TimeParts): Schedules {
  return new Schedules({
    ...parts,
    log,
    settingsOf: (queue) => settings.queue(queue),
    maxCatchUp: () => settings.schedules.maxCatchUp,
    maxPerCreator: () => settings.limits.schedulesPerUser,
  });
}
