/** A message of the log. */
export interface LogMessage {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** The one log that all nodes share. One Raft group decides about its order and its end. */
export interface ClusterLog {
  /**
   * Appends the messages of one record, each only directly after the one before, the first one after
   * `after`. In doubt it asks again until it knows. @returns the sequence of the last. @throws Fenced
   * when another node has written there
   */
  append(messages: readonly Uint8Array[], after: number): Promise<number>;
  /** The messages after a sequence, as they come; ends when none comes for some seconds. @throws LogGone, LogBehind */
  follow(after: number): Following;
  /** The message at a sequence; null: the log has none there. */
  get(sequence: number): Promise<LogMessage | null>;
  /** Sequence of the last message; 0 for an empty log. */
  last(): Promise<number>;
  /** Why the message that is being appended was not accepted yet; null: nothing is known. */
  readonly doubt: unknown;
}

export interface LogRoom {
  readonly bytes: number;
  /** Null: the log has no limit of its own. */
  readonly most: number | null;
  /** Nothing can be written to it any more. */
  readonly isSealed: boolean;
}

/** A server that keeps the log. */
export interface LogServer {
  readonly name: string;
  /** It decides about the order. */
  readonly isLeader: boolean;
  readonly isReachable: boolean;
  /** It has all messages. */
  readonly isCurrent: boolean;
}

export interface Following extends AsyncIterable<LogMessage> {
  stop(): void;
}

/** Another node has written to the log: this one leads no longer. */
export class Fenced extends Error {
  override readonly name = "Fenced";
}

/** The servers store nothing more until an operator acts; the message says how. */
export class LogRefuses extends Error {
  override readonly name = "LogRefuses";
}

/** The servers take no message of that size; nothing of the record is in the log. */
export class RecordTooLarge extends Error {
  override readonly name = "RecordTooLarge";
}

/** What helps when the log is lost for good. */
export const RESEED = "if it stays so, stop all nodes and use prism cluster reseed on the one that has applied most";

/** The log is not the one that this node knows. */
export class LogGone extends Error {
  override readonly name = "LogGone";
}

/** The log was shortened, and lacks what this node needs next: it copies the leader's file. */
export class LogBehind extends Error {
  override readonly name = "LogBehind";
}
