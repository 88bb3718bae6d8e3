import type { Job, JobDetail } from "../../../src/client/api-types.gen.ts";

export type JobState = Job["state"];

export type Attempt = JobDetail["history"][number];

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
