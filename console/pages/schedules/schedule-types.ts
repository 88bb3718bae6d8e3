import type { Schedule } from "../../../src/client/api-types.gen.ts";
import { cronWords } from "../../app/cron-words.ts";
import { formatDuration } from "../../ui/index.ts";

export type NextRun = Schedule["nextRuns"][number];

/** Effect of a clock change on a run. */
export const DST = {
  moved: "The clock skips this time; it runs later.",
  skipped: "The clock skips this time; it does not run.",
  repeated: "The clock shows this time twice; it runs once.",
} as const;

/** In words when a schedule runs. */
export function rhythmOf({ cron, everyMs, timezone }: Schedule): string {
  return cron === null ? `every ${formatDuration(everyMs ?? 0)}` : `${cronWords(cron) ?? cron} in ${timezone}`;
}

const OWN = "prism:";
const OWN_NAMES: Readonly<Record<string, string>> = {
  "prism:retention": "Clean-up of old data",
  "prism:bucket-monitoring": "Check of bucket balances",
  "prism:digest": "Daily digest",
};

/** Whether Prism made the schedule for itself. */
export function isOwn({ name }: Pick<Schedule, "name">): boolean {
  return name.startsWith(OWN);
}

/** The name, in words also for Prism's own ones. @param projectOf names a project by its id */
export function scheduleName({ name }: Pick<Schedule, "name">, projectOf: (id: string) => string | undefined): string {
  const [, digestOf] = /^prism:digest:(.+)$/.exec(name) ?? [];
  if (digestOf !== undefined) return `Digest of ${projectOf(digestOf) ?? "a project"}`;
  return OWN_NAMES[name] ?? name;
}
