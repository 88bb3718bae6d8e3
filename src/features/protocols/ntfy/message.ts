import type { EpochMs } from "../../../core/time/clock.ts";
import { type ActionButton, newId } from "./parameters.ts";

/** Limit of a message in bytes of UTF-8, and of its title. */
export const MAX_MESSAGE_BYTES = 4096;

export interface Attachment {
  readonly name: string;
  readonly url: string;
  readonly type?: string;
  readonly size?: number;
  /** Unix seconds. */
  readonly expires?: number;
}

export type EventName = "open" | "keepalive" | "message" | "message_clear" | "message_delete" | "poll_request";

/** A message with the members that clients expect; those that are not set are absent. */
export interface Message {
  readonly id: string;
  readonly sequence_id?: string;
  /** Unix seconds. */
  readonly time: number;
  readonly expires?: number;
  readonly event: EventName;
  readonly topic: string;
  readonly title?: string;
  readonly message?: string;
  readonly priority?: number;
  readonly tags?: readonly string[];
  readonly click?: string;
  readonly icon?: string;
  readonly actions?: readonly ActionButton[];
  readonly attachment?: Attachment;
  readonly poll_id?: string;
  readonly content_type?: "text/markdown";
  readonly encoding?: "base64";
}

export function secondsOf(at: EpochMs): number {
  return Math.floor(at / 1000);
}

/** The first line of a stream, and the line that keeps it open. */
export function controlText(event: "open" | "keepalive", topics: string, now: EpochMs): string {
  return JSON.stringify({ id: newId(), time: secondsOf(now), event, topic: topics });
}

/** Only messages that are stored have the member `expires`. */
export function isStored(text: string): boolean {
  return /^\{"id":"\w+",(?:"sequence_id":"[-\w]+",)?"time":\d+,"expires":/.test(text);
}
