import type { Event } from "../../../src/client/api-types.gen.ts";
import type { Level, PrismEvent } from "../../../src/client/views.ts";

export type OutcomeResult = Outcome["result"];

/** Decision of the rules about an event. */
export type Outcome = NonNullable<Event["outcome"]>;

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

/** Words for Prism's own events. */
const OWN_WORDS: Readonly<Record<string, string>> = {
  "alert.opened": "is firing",
  "alert.resolved": "is resolved",
  "incident.opened": "is open",
  "incident.acknowledged": "is acknowledged",
  "incident.unacknowledged": "is no longer acknowledged",
  "incident.snoozed": "is snoozed",
  "incident.reassigned": "is reassigned",
  "incident.escalated": "is escalated to the next step",
  "incident.exhausted": "was acknowledged by no one; its policy has no further step",
  "incident.resolved": "is resolved",
  "silence.started": "is silenced",
  "silence.expiring": "is silenced for a short time only",
  "silence.ended": "is no longer silenced",
  "heartbeat.down": "is down",
  "heartbeat.up": "is up again",
  "oncall.changed": "has other people on call",
  "oncall.gap": "has no one on call for a time",
  "oncall.conflict": "has someone on call who is away",
};

/** A sentence about an event of Prism itself; null for others. */
function ownSummaryOf({ type, source, payload }: Summarised): string | null {
  const words = OWN_WORDS[type];
  if (words === undefined || !source?.startsWith("prism:")) return null;
  const { summary } = Object(payload["annotations"]) as { summary?: unknown };
  const { alertname } = Object(payload["labels"]) as { alertname?: unknown };
  const { title, name, matchers, number } = payload;
  const subject = [summary, alertname, title, name, matchers].find((each) => typeof each === "string" && each !== "");
  const incident = typeof number === "number" ? `Incident ${number}: ` : "";
  return `${incident}${String(subject ?? "It")} ${words}`.slice(0, SUMMARY_LENGTH);
}

type Summarised = Pick<PrismEvent, "type" | "source" | "payload">;

/** One line about an event, from its payload. */
export function summaryOf(event: Summarised): string {
  const own = ownSummaryOf(event);
  if (own !== null) return own;
  const { payload } = event;
  for (const member of TEXT_MEMBERS) {
    const value = payload[member];
    if (typeof value === "string" && value.trim() !== "") return value.slice(0, SUMMARY_LENGTH);
  }
  const scalars = Object.entries(payload).filter(([, value]) => typeof value !== "object" || value === null);
  const parts = scalars.slice(0, SUMMARY_MEMBERS).map(([name, value]) => `${name} ${String(value)}`);
  return parts.join(", ").slice(0, SUMMARY_LENGTH);
}
