import type { Event } from "../../../src/client/api-types.gen.ts";
import type { Level } from "../../../src/client/views.ts";
import { Badge } from "../../ui/index.ts";
import type { OutcomeResult } from "./event-types.ts";

type Tone = "ok" | "bad" | "warn" | "info" | "plain";

const WORDS: Readonly<Record<OutcomeResult, { readonly text: string; readonly tone: Tone }>> = {
  fired: { text: "fired", tone: "ok" },
  failed: { text: "failed", tone: "bad" },
  deduped: { text: "deduped", tone: "info" },
  suppressed: { text: "suppressed", tone: "warn" },
  cooled: { text: "cooldown", tone: "info" },
  counted: { text: "counted", tone: "info" },
  "alert-opened": { text: "alert opened", tone: "bad" },
  "alert-resolved": { text: "alert resolved", tone: "ok" },
  "no recipients": { text: "no recipients", tone: "warn" },
  "no rule": { text: "no rule", tone: "plain" },
  pending: { text: "waiting", tone: "plain" },
};

export function outcomeText(result: OutcomeResult): string {
  return WORDS[result].text;
}

/** Outcome of the rules for an event; the colour of a notification follows the event's level. */
export function OutcomeBadge({ event }: { readonly event: Pick<Event, "outcome" | "level"> }) {
  const { outcome, level } = event;
  if (!outcome) return <span class="faint">…</span>;
  const { text, tone } = WORDS[outcome.result];
  const count = outcome.rules > 1 ? ` by ${outcome.rules} rules` : "";
  return (
    <Badge tone={outcome.result === "fired" ? levelTone(level) : tone} title={`The rules: ${text}${count}`}>
      {text}
    </Badge>
  );
}

function levelTone(level: Level): Tone {
  return ({ fatal: "bad", error: "bad", warn: "warn" } as const)[level as string] ?? "ok";
}

const LEVEL_CLASS: Readonly<Record<string, string>> = { fatal: "text-bad", error: "text-bad", warn: "text-warn" };

export function LevelText({ level }: { readonly level: string }) {
  return <span class={LEVEL_CLASS[level] ?? "muted"}>{level}</span>;
}
