import type { EpochMs } from "../base/clock.ts";
import { isUuid } from "../base/ids.ts";

/** The name of a stream and what it says (contract 5.1). */
export type StreamRef =
  | { readonly kind: "user"; readonly userId: string }
  | { readonly kind: "project"; readonly projectId: string };

/** Streams whose entries are rows of `stream_log`, for anybody to append to. */
export type LoggedStream = Extract<StreamRef, { kind: "user" }>;

/** Streams of one kind share a counter: an offset says where an entry stands among all of them. */
export type StreamKind = StreamRef["kind"];

/** One entry as every protocol sends it. `data` is JSON text, made once however many listen. */
export interface StreamEntry {
  readonly offset: number;
  readonly type: string;
  readonly data: string;
  readonly at: EpochMs;
  readonly correlationId: string;
  /** A notification that its recipient is known to have got; absent: not known. */
  readonly isDelivered?: boolean;
}

/** Nothing of the stream can be read again in (from, to]; it goes on behind `to`. A `to` below `from` leads back to the oldest kept. */
export interface StreamGap {
  readonly from: number;
  readonly to: number;
}

/** A part of a stream's history; `isEnd` when nothing follows it up to where was asked. */
export interface StreamPage {
  readonly entries: StreamEntry[];
  readonly isEnd: boolean;
}

/** The stream's history, which is its table. */
export interface StreamHistory {
  /** Entries with `after < offset <= upTo`, ascending; a page is bounded in rows and bytes. */
  read(stream: StreamRef, after: number, upTo: number): StreamPage;
  /** Ranges that were removed or jumped over and reach into (after, upTo], ascending. */
  gaps(stream: StreamRef, after: number, upTo: number): StreamGap[];
}

export function streamName(stream: StreamRef): string {
  return stream.kind === "user" ? `user:${stream.userId}` : `project:${stream.projectId}`;
}

/** @returns undefined for a text that names no stream of this program. `user:me` is resolved by the caller. */
export function parseStreamName(name: string): StreamRef | undefined {
  const colon = name.indexOf(":");
  const id = name.slice(colon + 1);
  if (colon < 0 || !isUuid(id)) return undefined;
  switch (name.slice(0, colon)) {
    case "user":
      return { kind: "user", userId: id };
    case "project":
      return { kind: "project", projectId: id };
    default:
      return undefined;
  }
}
