import type { LogData } from "../../../../src/features/explain/alert-sentences.ts";
import { formatInstant } from "../../../ui/index.ts";
import type { LogEntry } from "../incident-types.ts";
import { type Drawn, type Lane, type LaneBar, type Mark, textOf } from "./model.ts";

/** After these the incident is open again. */
const REOPENED = new Set(["escalated", "reassigned", "unsnoozed", "snooze-ended", "steps-restarted"]);

const isQuorum = ({ kind, data }: LogEntry): boolean => {
  const { given = 1, quorum = 1 } = data as LogData;
  return kind === "acknowledged" && given >= quorum;
};

/** Who had it, and from when to when. */
export function acknowledgedLane({ incident, end, nameOf }: Drawn): Lane[] {
  const bars: LaneBar[] = [];
  let current = null as { readonly from: number; readonly who: readonly string[] } | null;
  const close = (to: number) => {
    if (current === null) return;
    const { from, who } = current;
    bars.push({ from, to, tone: "held", text: `acknowledged by ${who.join(", ")}`, word: who.join(", ") });
    current = null;
  };
  for (const entry of incident.timeline) {
    const at = Date.parse(entry.at);
    const isRestart = entry.kind !== "steps-restarted" || (entry.data as LogData).paused !== undefined;
    if (isQuorum(entry)) {
      const who: string = nameOf(entry.actor ?? "");
      current = { from: current?.from ?? at, who: [...new Set([...(current?.who ?? []), who])] };
    } else if (["unacknowledged", "ack-expired"].includes(entry.kind) || (REOPENED.has(entry.kind) && isRestart))
      close(at);
  }
  close(end);
  return bars.length === 0 ? [] : [{ key: "acknowledged", name: "Acknowledged", bars }];
}

/** When no step ran because a person said so. */
export function snoozedLane({ incident, end, nameOf }: Drawn): Lane[] {
  const bars: LaneBar[] = [];
  let current = null as { readonly from: number; readonly until: number; readonly text: string } | null;
  const close = (at: number) => {
    if (current === null) return;
    const { from, until, text } = current;
    const word = `until ${formatInstant(until, "clock").slice(0, 5)}`;
    bars.push({ from, to: Math.min(at, until), tone: "snoozed", text, word });
    current = null;
  };
  for (const entry of incident.timeline) {
    const at = Date.parse(entry.at);
    if (entry.kind === "snoozed") {
      close(at);
      current = { from: at, until: (entry.data as LogData).until ?? at, text: textOf(entry, nameOf) };
    } else if (REOPENED.has(entry.kind) || isQuorum(entry)) close(at);
  }
  // A snooze that goes on is drawn to its end.
  close(incident.isSnoozed ? Number.POSITIVE_INFINITY : end);
  return bars.length === 0 ? [] : [{ key: "snoozed", name: "Snoozed", bars }];
}

/** When silences were active, and when something kept alerts from notifying. */
export function silencedLane({ incident, end, nameOf }: Drawn): Lane[] {
  const isOver = incident.resolvedAt !== null;
  const bars = incident.silences.flatMap(({ spans }) =>
    spans.map(({ startsAt, endsAt }): LaneBar => {
      const until = Date.parse(endsAt);
      const text = `silenced from ${formatInstant(startsAt, "full")} to ${formatInstant(endsAt, "full")}`;
      return {
        from: Date.parse(startsAt),
        to: isOver ? Math.min(end, until) : until,
        tone: "silenced",
        text,
        word: "silenced",
      };
    }),
  );
  const marks = incident.timeline
    .filter(({ kind }) => kind === "withheld")
    .map((entry): Mark => ({ at: Date.parse(entry.at), sign: "withheld", text: textOf(entry, nameOf) }));
  return bars.length + marks.length === 0 ? [] : [{ key: "silenced", name: "Silenced", bars, marks }];
}
