import { isUuid } from "../base/ids.ts";

/** The name of a stream and what it says (contract 5.1). */
export type StreamRef =
  | { readonly kind: "user"; readonly userId: string }
  | { readonly kind: "project"; readonly projectId: string };

/** One entry as every protocol sends it. `data` is JSON text, made once however many listen. */
export interface StreamEntry {
  readonly offset: number;
  readonly type: string;
  readonly data: string;
  readonly at: number;
  readonly correlationId: string;
}

/** Nothing of the stream can be read again in (from, to]. */
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
  /** Ranges that were removed or jumped over, ascending, which end after `after`. */
  gaps(stream: StreamRef, after: number): StreamGap[];
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
