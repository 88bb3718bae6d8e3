import { formatDuration } from "../../ui/index.ts";

export interface NextRun {
  readonly at: string;
  /** The wall clock of the schedule's zone. */
  readonly local: string;
  readonly dst?: keyof typeof DST;
}

/** A schedule, as `GET /api/v1/schedules` lists it. */
export interface Schedule {
  readonly id: string;
  readonly name: string;
  readonly cron: string | null;
  readonly everyMs: number | null;
  readonly timezone: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly missed: "skip" | "once" | "all";
  readonly overlap: "skip" | "allow";
  readonly active: boolean;
  readonly module: string | null;
  readonly lastRunAt: string | null;
  readonly nextRunAt: string | null;
  readonly nextRuns: readonly NextRun[];
}

/** What a change of the clock does to a run. */
export const DST = {
  moved: "The clock skips this time; it runs later.",
  skipped: "The clock skips this time; it does not run.",
  repeated: "The clock shows this time twice; it runs once.",
} as const;

/** In words when a schedule runs. */
export function rhythmOf({ cron, everyMs, timezone }: Schedule): string {
  return cron === null ? `every ${formatDuration(everyMs ?? 0)}` : `${cron} in ${timezone}`;
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
