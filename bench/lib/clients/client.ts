/**
 * One live connection of a protocol, as the load generators see it: what it says as it starts, and
 * what it hears.
 */

/**
 * What a connection follows: events of a project, what is the user's own (his notifications, his
 * tasks), or nothing.
 */
export type Follows = "project" | "user" | "nothing";

export interface Target {
  readonly port: number;
  /**
   * Address of this machine that the connection comes from: each has ports of its own, and a server
   * counts by address.
   */
  readonly from: string;
  readonly token: string;
  readonly userId: string;
  readonly projectId: string;
  readonly follows: Follows;
}

export interface Listener {
  /** The server has greeted: the protocol's connection stands. */
  welcomed(): void;
  /** What the target follows is subscribed to; with `nothing`, right after the welcome. */
  following(): void;
  /**
   * A message of what is followed lies in [from, to), during the call: to cut it out would cost
   * more than to count it.
   */
  message(bytes: Buffer, from: number, to: number): void;
  /** The connection could not be made, or has ended. */
  ended(why: string): void;
}

/** Opens one connection. It answers what keeps it alive, until the process ends. */
export type OpenClient = (target: Target, listener: Listener) => void;

/** What a text from the server means, and what to say to it. */
export interface Said {
  readonly isWelcome?: boolean;
  readonly isFollowing?: boolean;
  readonly say?: string | Promise<string> | undefined;
}

/** The answer to a welcome: `subscribe`, unless there is nothing to follow. */
export function greeted({ follows }: Target, subscribe: () => string | Promise<string>): Said {
  return follows === "nothing" ? { isWelcome: true, isFollowing: true } : { isWelcome: true, say: subscribe() };
}
