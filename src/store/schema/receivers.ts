/** Receivers, the log of their requests, the ids that refuse replays, and integrations. */
import type { Generated } from "kysely";
import type { Flag } from "./system.ts";

/** The events of receivers that notify, until the events are removed. */
export interface ReceiverEventsTable {
  eventSeq: Generated<number>;
  receiverId: string;
}

/**
 * accepted: stored; replayed: known before, so not stored; unmapped: stored as an event without
 * meaning; ignored: the mapping leaves it out; handshake: a check of the URL; refused: not stored.
 */
export type RequestResult = "accepted" | "replayed" | "unmapped" | "ignored" | "handshake" | "refused";

export interface ReceiverRequestsTable {
  id: string;
  receiverId: string;
  at: number;
  result: RequestResult;
  /** HTTP status of the answer. */
  status: number;
  method: string;
  query: string;
  /** JSON, without secrets. */
  headers: string;
  /** Length of the whole body. */
  bytes: number;
  body: Uint8Array | null;
  isCut: Flag;
  /** JSON: what was stored, or the error. */
  outcome: string;
}

export interface ReceiverReplaysTable {
  receiverId: string;
  replayId: string;
  at: number;
}

export type IntegrationKind = "pagerduty" | "opsgenie";
