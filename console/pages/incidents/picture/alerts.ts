import type { LogData } from "../../../../src/features/explain/alert-sentences.ts";
import { plural } from "../../../ui/index.ts";
import type { AlertOfIncident } from "../incident-types.ts";
import { severityOf } from "../severity.tsx";
import type { Drawn, Lane, LaneBar, Level, Mark } from "./model.ts";

/** More of them are one lane with their number. */
const OWN_LANES = 4;

/** The life of each alert; of many how many fired when. */
export function alertLanes(drawn: Drawn): Lane[] {
  const { alertList, alerts, severity } = drawn.incident;
  if (alertList.length === 0) return [];
  const isWhole = alerts <= alertList.length;
  const lives = livesOf(alertList);
  if (isWhole && lives.length <= OWN_LANES) return lives.map((life) => lifeLane(life, lives, drawn));
  const levels = isWhole ? levelsOfAlerts(alertList, drawn.end) : levelsOfTimeline(drawn);
  return [{ key: "alerts", name: plural(alerts, "alert"), levels, tone: toneOf(severity) }];
}

/** The alerts of each set of labels, the earliest first: one that fires again is another one with the same labels. */
function livesOf(alertList: readonly AlertOfIncident[]): readonly (readonly AlertOfIncident[])[] {
  const byLabels = new Map<string, AlertOfIncident[]>();
  for (const alert of alertList.toSorted((a, b) => startOf(a) - startOf(b)))
    byLabels.set(alert.fingerprint, [...(byLabels.get(alert.fingerprint) ?? []), alert]);
  return [...byLabels.values()];
}

const startOf = ({ startsAt }: AlertOfIncident): number => Date.parse(startsAt);

function endOf({ resolvedAt, leftAt }: AlertOfIncident, end: number): number {
  const over = resolvedAt ?? leftAt;
  return over === null ? end : Math.min(end, Date.parse(over));
}

const toneOf = (word: string | null): string => `sev-${severityOf(word) ?? "none"}`;

function lifeLane(
  life: readonly AlertOfIncident[],
  all: readonly (readonly AlertOfIncident[])[],
  { end }: Drawn,
): Lane {
  const [first] = life;
  const name = first === undefined ? "Alert" : nameOf(first, all);
  const bars = life.map((alert, at): LaneBar => {
    const isOver = alert.resolvedAt !== null || alert.leftAt !== null;
    const verb = isOver ? "fired" : "is firing";
    const word = alert.severity ?? "";
    const text = `${name} ${verb}${at > 0 ? " again" : ""}${word === "" ? "" : `, ${word}`}`;
    return { from: startOf(alert), to: endOf(alert, end), tone: toneOf(alert.severity), text, word };
  });
  const marks = life.flatMap((alert): Mark[] => {
    const { resolvedAt, leftAt, timedOut } = alert;
    if (resolvedAt === null && leftAt === null) return [];
    const how =
      resolvedAt === null ? "moved to another incident" : timedOut ? "was not repeated in time" : "was resolved";
    return [{ at: endOf(alert, end), sign: "ended", text: `${name} ${how}` }];
  });
  return { key: `alert ${first?.id}`, name, bars, marks };
}

/** The values of the labels that differ, besides the severity, which its bar has; the name of an alert that is alone. */
function nameOf(alert: AlertOfIncident, all: readonly (readonly AlertOfIncident[])[]): string {
  const others = all.flatMap(([each]) => each ?? []);
  const differing = Object.entries(alert.labels)
    .filter(([label, value]) => label !== "severity" && others.some((other) => other.labels[label] !== value))
    .map(([, value]) => value);
  return differing.join(" ") || alert.labels["alertname"] || "Alert";
}

function levelsOfAlerts(alertList: readonly AlertOfIncident[], end: number): Level[] {
  const changes = alertList
    .flatMap((alert) => [
      { at: startOf(alert), by: 1 },
      { at: endOf(alert, Number.POSITIVE_INFINITY), by: -1 },
    ])
    .filter(({ at }) => at <= end)
    .sort((a, b) => a.at - b.at);
  let count = 0;
  const levels = changes.map(({ at, by }) => {
    count += by;
    return { at, count };
  });
  return levels.filter(({ at }, index) => levels[index + 1]?.at !== at);
}

/** As the timeline says it, which has the changes together. */
function levelsOfTimeline({ incident, end }: Drawn): Level[] {
  const levels = incident.timeline.flatMap(({ at, kind, data }): Level[] => {
    const { alerts, firing } = data as LogData;
    const count = kind === "opened" ? alerts : kind.startsWith("alerts-") ? firing : undefined;
    return count === undefined ? [] : [{ at: Date.parse(at), count }];
  });
  return [...levels, { at: end, count: incident.resolvedAt === null ? incident.firing : 0 }];
}
