import { useComputed } from "@preact/signals";
import type { Incident } from "../../../src/client/api-types.gen.ts";
import { Badge, displayZone, formatInstant, formatRelative, now, type Tone } from "../../ui/index.ts";

export type Severity = "critical" | "error" | "warning" | "info";

/** Words that senders use, with the severity that they mean; the server translates in the same way. */
const MEANS: Readonly<Record<string, Severity>> = {
  ...{ critical: "critical", fatal: "critical", emergency: "critical", page: "critical", disaster: "critical" },
  ...{ error: "error", high: "error", warning: "warning", warn: "warning", average: "warning", medium: "warning" },
  ...{ info: "info", information: "info", low: "info", none: "info" },
};

const TONES: Readonly<Record<Severity, Tone>> = { critical: "bad", error: "bad", warning: "warn", info: "info" };

/** Options of a filter. */
export const SEVERITY_OPTIONS = [
  { value: "", label: "Any severity" },
  { value: "critical", label: "Critical" },
  { value: "error", label: "Error" },
  { value: "warning", label: "Warning" },
  { value: "info", label: "Info" },
];

/** Severity of a sender's word; undefined: an unknown word. */
export function severityOf(word: string | null): Severity | undefined {
  return word === null ? undefined : MEANS[word.toLowerCase()];
}

/** The words of senders that mean a severity, for a filter of alerts. */
export function wordsOf(severity: string): string {
  const words = Object.keys(MEANS).filter((word) => MEANS[word] === severity);
  return words.join(",");
}

/** The colour of a severity. Without one an incident is as urgent as its policy says. */
export function severityTone(word: string | null, urgency?: Incident["urgency"]): Tone {
  const severity = severityOf(word);
  if (severity !== undefined) return TONES[severity];
  return urgency === "high" ? "bad" : "plain";
}

/** The severity in the sender's word, by its colour; the highest one is filled. */
export function SeverityBadge({
  word,
  urgency,
}: {
  readonly word: string | null;
  readonly urgency?: Incident["urgency"];
}) {
  const text = word || (urgency === undefined ? "not set" : `${urgency} urgency`);
  return (
    <Badge tone={severityTone(word, urgency)} strong={severityOf(word) === "critical"}>
      {text}
    </Badge>
  );
}

/** How long it has lasted: "for 51 min"; after a week since which day. */
export function Age({ at }: { readonly at: string }) {
  const text = useComputed(() => {
    const relative = formatRelative(at, now.value);
    if (relative.endsWith(" ago")) return `for ${relative.slice(0, -4)}`;
    return /^(just|in) /.test(relative) ? relative : `since ${relative}`;
  });
  return (
    <time class="time" dateTime={at} data-tip={formatInstant(at, "full", displayZone.value)}>
      {text}
    </time>
  );
}
