export type JobState = keyof typeof STATES;

/** A job, as `GET /api/v1/jobs` lists it. */
export interface Job {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly state: JobState;
  readonly label: string | null;
  readonly payload: unknown;
  readonly priority: number;
  readonly runAt: string;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lastError: string | null;
  readonly progress: unknown;
  readonly result: unknown;
  readonly createdBy: string | null;
  readonly scheduleId: string | null;
  readonly correlationId: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly createdAt: string;
}

export interface Attempt {
  readonly attempt: number;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly outcome: "running" | "succeeded" | "retrying" | "dead" | "lost";
  readonly error: string | null;
  readonly worker: string;
}

export interface Queue {
  readonly name: string;
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly retrying: number;
  readonly dead: number;
  readonly paused: boolean;
  readonly oldestReadyAgeMs: number | null;
}

/** Counts of the jobs that a filter matches; not complete for many finished jobs. */
export interface Counts {
  readonly total: number;
  readonly states: Readonly<Record<JobState, number>>;
  readonly complete: boolean;
}

export const STATES = {
  dead: { tone: "bad", text: "dead" },
  retrying: { tone: "warn", text: "retrying" },
  running: { tone: "info", text: "running" },
  ready: { tone: "info", text: "ready" },
  scheduled: { tone: "plain", text: "scheduled" },
  succeeded: { tone: "ok", text: "succeeded" },
  cancelled: { tone: "plain", text: "cancelled" },
} as const;

/** The filter of a list of jobs, as the bulk requests take it. */
export interface JobFilter {
  readonly queue?: string;
  readonly state?: readonly string[];
  readonly q?: string;
  readonly from?: string;
  readonly to?: string;
}

export interface BulkAction {
  readonly name: "retry" | "cancel" | "promote" | "delete";
  /** On a button. */
  readonly label: string;
  /** The states that it applies to. */
  readonly states: readonly JobState[];
  readonly text: string;
  readonly isDangerous?: boolean;
}

export const ACTIONS: readonly BulkAction[] = [
  { name: "retry", label: "Retry", states: ["dead", "cancelled"], text: "They run again, with all attempts." },
  {
    name: "promote",
    label: "Run now",
    states: ["scheduled", "retrying"],
    text: "They run now instead of at their time.",
  },
  {
    name: "cancel",
    label: "Cancel",
    states: ["scheduled", "ready", "retrying"],
    text: "They do not run. Cancelled jobs can be retried.",
    isDangerous: true,
  },
  {
    name: "delete",
    label: "Delete",
    states: ["succeeded", "dead", "cancelled"],
    text: "They and their attempts are removed for good.",
    isDangerous: true,
  },
];
