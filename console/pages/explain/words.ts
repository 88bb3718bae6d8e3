import { formatDuration, formatInstant, formatNumber, plural } from "../../ui/index.ts";
import type { ExplainedDelivery, ExplainedRecipient, ExplainedRule, RuleOutcome } from "./types.ts";

type Tone = "ok" | "bad" | "warn" | "info" | "plain";

const CHANNELS: Readonly<Record<string, string>> = {
  email: "Mail",
  webhook: "Webhook",
  fcm: "Push to Android",
  apns: "Push to Apple devices",
  webpush: "Push to the browser",
  pusher: "Pusher",
  service: "Chat and paging services",
};

export function channelName(channel: string): string {
  return CHANNELS[channel] ?? channel;
}

interface OutcomeWords {
  /** Completes `Rule “Host down” …`. */
  readonly title: string;
  /** One or two words for badges. */
  readonly badge: string;
  readonly tone: Tone;
}

export const OUTCOMES: Readonly<Record<RuleOutcome, OutcomeWords>> = {
  fired: { title: "matched and notified", badge: "fired", tone: "ok" },
  suppressed: { title: "matched, suppressed", badge: "suppressed", tone: "warn" },
  deduped: { title: "matched, joined to an earlier notification", badge: "deduped", tone: "info" },
  cooled: { title: "matched, in its cooldown", badge: "cooldown", tone: "info" },
  counted: { title: "matched and was counted", badge: "counted", tone: "info" },
  "alert-opened": { title: "opened an alert", badge: "alert opened", tone: "bad" },
  "alert-resolved": { title: "resolved its alert", badge: "alert resolved", tone: "ok" },
  "no recipients": { title: "matched, without recipients", badge: "no recipients", tone: "warn" },
  "condition false": { title: "did not match", badge: "no match", tone: "plain" },
  error: { title: "could not be evaluated", badge: "error", tone: "bad" },
  inactive: { title: "was inactive", badge: "inactive", tone: "plain" },
  later: { title: "was created later", badge: "later", tone: "plain" },
  undecided: { title: "is not decided yet", badge: "waiting", tone: "plain" },
};

const INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
const UUID = / ?\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi;

/** A text with its times in the user's zone. */
export function withLocalTimes(text: string): string {
  return text.replace(INSTANT, (instant) => formatInstant(instant, "clock"));
}

/** A text of the server for people: times in the user's zone, no ids. */
export function plainText(text: string): string {
  return withLocalTimes(text).replace(UUID, "");
}

/** A sentence: starts with a capital letter, ends with a full stop. */
export function sentence(text: string): string {
  const trimmed = plainText(text).trim();
  if (trimmed === "") return "";
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

const REASONS: Readonly<Record<string, string>> = {
  "quiet hours": "until the quiet hours end",
  connected: "the person is connected and may see it live",
  "rate limited": "over the limit of this person, merged with others",
  "asked to wait": "the service asked to wait",
  "provider paused": "the provider is paused after failures",
  "behind earlier ones": "after earlier calls of the same target",
  "for a worker": "for a remote worker",
  merged: "one message covers it and others",
  "delivered live": "the person has seen it live",
  "same alarm": "another rule or an incident notifies of the same event",
  silenced: "a silence matches the alert of the event",
  "channel off": "switched off by the person",
  "below minimum priority": "below the person's minimum priority",
  expired: "it came too late",
  "deleted by recipient": "deleted by the person",
  "recipient not active": "the account is not active",
  "channel not configured": "the channel is not configured",
  mirror: "the project is a mirror: nothing leaves it",
  cancelled: "cancelled by an operator",
};

interface DeliveryWords {
  readonly tone: Tone;
  readonly state: string;
  readonly why: string | null;
}

const STATES: Readonly<Record<string, Omit<DeliveryWords, "why">>> = {
  delivered: { tone: "ok", state: "delivered" },
  queued: { tone: "warn", state: "waiting" },
  sending: { tone: "info", state: "sending" },
  failed: { tone: "warn", state: "failed, retrying" },
  dead: { tone: "bad", state: "failed" },
  skipped: { tone: "plain", state: "skipped" },
};

export function deliveryWords({
  state,
  reason,
  lastError,
}: Pick<ExplainedDelivery, "state" | "reason" | "lastError">): DeliveryWords {
  const words = STATES[state] ?? { tone: "plain" as const, state };
  if (state === "delivered") return { ...words, why: null };
  return { ...words, why: reason === null ? lastError : (REASONS[reason] ?? reason) };
}

/** Actions of a recipient, most advanced first. */
export function recipientWords(recipient: ExplainedRecipient): { readonly tone: Tone; readonly text: string } {
  const { acknowledgedAt, readAt, deletedAt, delivered, deliveries } = recipient;
  if (acknowledgedAt !== null) return { tone: "ok", text: "acknowledged it" };
  if (readAt !== null) return { tone: "ok", text: "has read it" };
  if (deletedAt !== null) return { tone: "plain", text: "deleted it unread" };
  if (delivered) return { tone: "info", text: "was reached live, has not read it" };
  if (deliveries.some(({ state }) => state === "delivered"))
    return { tone: "info", text: "was reached, has not read it" };
  if (deliveries.some(({ state }) => state === "dead")) return { tone: "bad", text: "was not reached yet" };
  return { tone: "warn", text: "has it in the inbox, was not reached yet" };
}

/** The reason of a rule's outcome, without its condition; null when the title has it. */
export function ruleReason(rule: ExplainedRule): string | null {
  const { outcome, suppression, earlier, trace, reason } = rule;
  if (outcome === "condition false") return null;
  if (outcome === "fired") return targetsText(rule);
  if (outcome === "deduped" && earlier) {
    const of = `“${earlier.title}” of ${formatInstant(earlier.createdAt, "clock")}`;
    return `Counted on ${of}, which covers ${plural(earlier.aggregateCount, "event")} now.`;
  }
  if (outcome === "cooled" && earlier)
    return `It had notified at ${formatInstant(earlier.createdAt, "clock")} with “${earlier.title}”.`;
  if (outcome === "no recipients") return "No active user held its roles or was named in it.";
  if (outcome === "error" && trace?.error !== undefined) return sentence(trace.error);
  if (outcome === "suppressed" && suppression) return suppressedText(suppression);
  return sentence(reason);
}

/** Whom a rule notifies; null without the permission to see it. */
function targetsText({ targets }: ExplainedRule): string | null {
  if (!targets) return null;
  const { roles, users } = targets;
  const parts = [
    roles.length > 0 ? `the ${roles.length === 1 ? "role" : "roles"} ${roles.join(", ")}` : "",
    users > 0 ? plural(users, "named user") : "",
  ].filter(Boolean);
  return parts.length === 0 ? null : `For ${parts.join(" and ")}.`;
}

function suppressedText({ limit, windowMs, key, storm }: NonNullable<ExplainedRule["suppression"]>): string {
  const ofKey = key === "" ? "" : ` of “${key}”`;
  const start = `More than ${plural(limit, "match", "matches")}${ofKey} within ${formatDuration(windowMs)}`;
  if (!storm) return `${start}.`;
  const since = `${formatNumber(storm.heldBack)} suppressed since ${formatInstant(storm.startedAt, "clock")}`;
  return `${start}: ${since}.${storm.noticeId === null ? "" : " A summary notification counts them."}`;
}
