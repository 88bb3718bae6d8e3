import { type LogData, type Part, tell } from "../../../../src/features/explain/alert-sentences.ts";
import { formatInstant } from "../../../ui/clock.ts";
import type { IncidentDetail, LogEntry } from "../incident-types.ts";

/* An incident as lanes along one axis of time: what the picture shows, without how it is drawn. */

/** The signs of a lane, from the least to the most important: of several in one place the last is drawn. */
export const SIGNS = [
  "planned",
  "sent",
  "step",
  "ended",
  "withheld",
  "arrived",
  "seen",
  "acknowledged",
  "failed",
] as const;
export type Sign = (typeof SIGNS)[number];

/** Something that happened at one time. */
export interface Mark {
  readonly at: number;
  readonly sign: Sign;
  readonly text: string;
  /** In place of the sign: the number of a step. */
  readonly label?: string;
}

/** Something that lasted. */
export interface LaneBar {
  readonly from: number;
  readonly to: number;
  /** Name of its colour. */
  readonly tone: string;
  readonly text: string;
  /** Within the bar, where there is room. */
  readonly word?: string;
  /** A line without a moment of its own, such as the way of a page. */
  readonly isThin?: boolean;
}

/** How many alerts fire from a time on. */
export interface Level {
  readonly at: number;
  readonly count: number;
}

export interface Lane {
  readonly key: string;
  readonly name: string;
  readonly bars?: readonly LaneBar[];
  readonly marks?: readonly Mark[];
  readonly levels?: readonly Level[];
  readonly tone?: string;
}

export interface Picture {
  readonly from: number;
  readonly to: number;
  /** Null: the incident is over. */
  readonly now: number | null;
  readonly lanes: readonly Lane[];
}

/** What the lanes are made from. */
export interface Drawn {
  readonly incident: IncidentDetail;
  /** The end of what has happened: that of the incident, or now. */
  readonly end: number;
  readonly nameOf: (userId: string) => string;
}

/** An entry of the timeline in plain words. */
export function textOf({ kind, actor, data }: LogEntry, nameOf: Drawn["nameOf"]): string {
  const words = (part: Part): string => {
    if (typeof part === "string") return part;
    switch (part.ref) {
      case "user":
        return nameOf(part.id);
      case "time":
        return formatInstant(part.id, "full");
      case "incident":
        return part.more ?? "an incident";
      case "said":
        return part.id;
      case "inhibitor":
        return "another alert";
      default:
        return `a ${part.ref}`;
    }
  };
  const parts = tell({ kind, actor, data: data as LogData }).map(words);
  return capital(parts.join(""));
}

/** For the start of a sentence: "you" is "You"; names stay as they are. */
export function capital(text: string): string {
  return /^(you|an?|someone)\b/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
