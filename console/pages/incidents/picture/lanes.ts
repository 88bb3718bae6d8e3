import type { LogData } from "../../../../src/features/explain/alert-sentences.ts";
import type { IncidentDetail, LogEntry } from "../incident-types.ts";
import { alertLanes } from "./alerts.ts";
import { type Drawn, type Lane, type Mark, type Picture, textOf } from "./model.ts";
import { peopleLanes, roomLane } from "./people.ts";
import { acknowledgedLane, silencedLane, snoozedLane } from "./spans.ts";

const MINUTE_MS = 60_000;
/** The next step is shown when it is at most so much longer than the time before. */
const AHEAD = 0.5;
const BESIDE_MS = 15 * MINUTE_MS;

/** @param now epoch ms @param nameOf names of users */
export function pictureOf(incident: IncidentDetail, now: number, nameOf: Drawn["nameOf"]): Picture {
  const isOver = incident.resolvedAt !== null;
  const end = incident.resolvedAt === null ? now : Date.parse(incident.resolvedAt);
  const drawn = { incident, end, nameOf };
  const lanes = [
    ...alertLanes(drawn),
    ...stepsLane(drawn),
    ...peopleLanes(drawn),
    ...roomLane(drawn),
    ...acknowledgedLane(drawn),
    ...snoozedLane(drawn),
    ...silencedLane(drawn),
  ];
  return { ...axisOf(incident, end, isOver), now: isOver ? null : now, lanes };
}

/** What began long before the incident takes at most half of the axis, or a quarter of an hour. */
function axisOf(
  incident: IncidentDetail,
  end: number,
  isOver: boolean,
): { readonly from: number; readonly to: number } {
  const opened = Date.parse(incident.openedAt);
  const first = Math.min(opened, Date.parse(incident.firingSince));
  const from = Math.max(first, opened - Math.max(BESIDE_MS, end - opened));
  const span = Math.max(MINUTE_MS, end - from);
  const margin = 0.03 * span;
  if (isOver) return { from: from - margin, to: from + span + margin };
  const next = incident.nextStepAt ?? incident.snoozedUntil;
  const wanted = next === null ? 0 : Date.parse(next) - end;
  const ahead = wanted > 0 && wanted <= Math.max(BESIDE_MS, AHEAD * span) ? 1.15 * wanted : 0;
  return { from: from - margin, to: from + span + Math.max(2 * margin, ahead) };
}

/** What else happened to the steps, by a sign in place of their number. */
const STEP_KINDS: Readonly<Record<string, string>> = {
  "no-targets": "!",
  escalated: "↑",
  exhausted: "■",
  fallback: "!",
  "looked-again": "↻",
  unreachable: "!",
  "outside-interval": "–",
  "too-few-alerts": "–",
};
const ASKED = new Set(["page", "reassign", "responder"]);

function labelOf({ kind, data }: LogEntry): string | undefined {
  const { reason = "step", step = 0 } = data as LogData;
  if (kind === "webhook" || kind === "channel") return reason === "step" ? `${step + 1}` : undefined;
  if (kind !== "notified") return STEP_KINDS[kind];
  if (reason === "step") return `${step + 1}`;
  if (reason === "repeat") return "↻";
  return ASKED.has(reason) ? "↑" : undefined;
}

/** The steps that ran, and those that run next if no one acts. */
function stepsLane({ incident, nameOf }: Drawn): Lane[] {
  const done = incident.timeline.flatMap((entry): Mark[] => {
    const label = labelOf(entry);
    if (label === undefined) return [];
    return [{ at: Date.parse(entry.at), sign: "step", label, text: textOf(entry, nameOf) }];
  });
  const marks = [...done, ...plannedMarks(incident)];
  return marks.length === 0 ? [] : [{ key: "steps", name: "Steps", marks }];
}

function plannedMarks({ steps, step, nextStepAt, state, isSnoozed }: IncidentDetail): Mark[] {
  if (nextStepAt === null || isSnoozed || state !== "open") return [];
  const index = steps.findIndex(({ type }, at) => at >= step && type !== "wait");
  if (index < 0) return [];
  let at = Date.parse(nextStepAt);
  for (const each of steps.slice(step, index)) if (each.type === "wait") at += each.ms;
  return [{ at, sign: "planned", label: `${index + 1}`, text: `Step ${index + 1} runs if no one acknowledges it.` }];
}
