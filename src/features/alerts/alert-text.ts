import { cleanText } from "../../core/clean-text.ts";
import { type EpochMs, toRfc3339 } from "../../core/clock.ts";
import { cutText } from "../rules/index.ts";

const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const SAMPLE_LENGTH = 200;

export interface AlertFacts {
  readonly project: string;
  readonly count: number;
  readonly windowMs: number;
  readonly firstAt: EpochMs;
  readonly lastAt: EpochMs;
  readonly samples: readonly Sample[];
}

interface Sample {
  readonly id: string;
  readonly type: string;
  readonly level: string;
  readonly receivedAt: EpochMs;
  /** JSON text. */
  readonly payload: string;
}

/** What is told of an alert, in the app and by mail. */
export function alertText({ project, count, windowMs, firstAt, lastAt, samples }: AlertFacts) {
  const errors = count === 1 ? "1 error" : `${count} errors`;
  const lines = samples.map((sample) => `- ${sampleText(sample)}`);
  const message = [
    `${errors} in the project ${project} within ${spelledDuration(windowMs)}.`,
    `First: ${toRfc3339(firstAt)}\nLast: ${toRfc3339(lastAt)}`,
    ...(lines.length > 0 ? [`Among them:\n${lines.join("\n")}`] : []),
  ].join("\n\n");
  return {
    title: cutText(`${project}: ${errors} within ${spelledDuration(windowMs)}`, TITLE_LENGTH),
    message: cutText(message, MESSAGE_LENGTH),
  };
}

/** What an event says of itself, where its payload has a message. */
function sampleText({ id, type, level, receivedAt, payload }: Sample): string {
  const { message } = JSON.parse(payload) as { message?: unknown };
  const said = typeof message === "string" && message !== "" ? `: ${cleanText(message).replaceAll(/\s+/g, " ")}` : "";
  return cutText(`${toRfc3339(receivedAt)} ${level} ${type} (${id})${said}`, SAMPLE_LENGTH);
}

const UNITS = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
] as const;

/** In the largest unit that gives a whole number. */
export function spelledDuration(ms: number): string {
  const [size, unit] = UNITS.find(([unitMs]) => ms % unitMs === 0) ?? [1, "millisecond"];
  const count = ms / size;
  return count === 1 ? `1 ${unit}` : `${count} ${unit}s`;
}
