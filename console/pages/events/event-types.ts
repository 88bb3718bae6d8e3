import type { Level, PrismEvent } from "../../../src/client/views.ts";

export type OutcomeResult =
  | "fired"
  | "failed"
  | "deduped"
  | "suppressed"
  | "cooled"
  | "counted"
  | "alert-opened"
  | "alert-resolved"
  | "no recipients"
  | "no rule"
  | "pending";

/** What the rules decided about an event. */
export interface Outcome {
  readonly result: OutcomeResult;
  /** Number of rules that matched. */
  readonly rules: number;
  readonly notificationId: string | null;
}

/** An event of a list. Live entries have no outcome yet. */
export interface ListedEvent extends PrismEvent {
  readonly outcome?: Outcome | undefined;
}

/** An event of its own page. */
export interface EventDetail extends PrismEvent {
  readonly notifications: readonly string[];
  readonly failure?: { readonly attempts: number; readonly lastError: string | null };
}

export const LEVELS: readonly Level[] = ["debug", "info", "warn", "error", "fatal"];
export const RESULTS: readonly OutcomeResult[] = [
  "fired",
  "deduped",
  "suppressed",
  "cooled",
  "counted",
  "alert-opened",
  "alert-resolved",
  "no recipients",
  "no rule",
  "pending",
  "failed",
];

/** Members of payloads that say in words what happened, the best first. */
const TEXT_MEMBERS = ["message", "title", "summary", "text", "reason", "error", "description", "msg"];
const SUMMARY_MEMBERS = 3;
const SUMMARY_LENGTH = 200;

/** One line about an event, from its payload. */
export function summaryOf({ payload }: Pick<PrismEvent, "payload">): string {
  for (const member of TEXT_MEMBERS) {
    const value = payload[member];
    if (typeof value === "string" && value.trim() !== "") return value.slice(0, SUMMARY_LENGTH);
  }
  const scalars = Object.entries(payload).filter(([, value]) => typeof value !== "object" || value === null);
  const parts = scalars.slice(0, SUMMARY_MEMBERS).map(([name, value]) => `${name} ${String(value)}`);
  return parts.join(", ").slice(0, SUMMARY_LENGTH);
}
