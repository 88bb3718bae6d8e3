import type { Notification } from "../../../src/client/api-types.gen.ts";
import { plainText, withLocalTimes } from "../explain/words.ts";

/** From this priority on, quiet hours do not delay a notification. */
export const URGENT = 500;

type Tone = "ok" | "warn" | "info" | "plain";

const KINDS: Readonly<Record<Notification["kind"], string>> = {
  rule: "Rule",
  direct: "Direct",
  timer: "Timer",
  digest: "Digest",
  alert: "Alert",
  incident: "Incident",
  oncall: "On-call shift",
  aggregate: "Summary",
};

/** For a filter. */
export const KIND_OPTIONS = [
  { value: "", label: "Any kind" },
  ...Object.entries(KINDS).map(([value, label]) => ({ value, label })),
];

export function kindName(kind: Notification["kind"]): string {
  return KINDS[kind];
}

/** Actions of the user on it. */
export function stateOf({ read, me }: Pick<Notification, "read" | "me">): {
  readonly text: string;
  readonly tone: Tone;
} {
  if (me.acknowledgedAt !== null) return { text: "acknowledged", tone: "ok" };
  return read ? { text: "read", tone: "plain" } : { text: "unread", tone: "info" };
}

/** The message. Texts of Prism contain times, which are shown in the user's zone. */
export function textOf({ kind, message }: Pick<Notification, "kind" | "message">): string {
  if (kind === "incident") return withLocalTimes(message);
  return kind === "aggregate" ? plainText(message) : message;
}

/** The link of an action, if a browser may open it: http and https only. */
export function safeLink(url: string | null | undefined): string | null {
  if (!url || !URL.canParse(url)) return null;
  const { protocol } = new URL(url);
  return protocol === "https:" || protocol === "http:" ? url : null;
}
