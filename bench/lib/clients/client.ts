/** One live connection of a protocol for the load generators: its handshake and its messages. */

/**
 * Subscription of a connection: events of a project, the user's own stream (notifications, tasks),
 * or nothing.
 */
export type Follows = "project" | "user" | "nothing";

export interface Target {
  readonly port: number;
  /** Local address of the connection: each has separate ports, and a server counts by address. */
  readonly from: string;
  readonly token: string;
  readonly userId: string;
  readonly projectId: string;
  readonly follows: Follows;
}

export interface Listener {
  /** The server has sent the protocol's welcome. */
  welcomed(): void;
  /** The target's subscription is active; with `nothing`, right after the welcome. */
  following(): void;
  /**
   * A message of the subscription is in [from, to), valid during the call: copying it would cost
   * more than counting it.
   */
  message(bytes: Buffer, from: number, to: number): void;
  /** The connection failed or was closed. */
  ended(why: string): void;
}

/** Opens one connection and answers its heartbeats until the process exits. */
export type OpenClient = (target: Target, listener: Listener) => void;

/** The meaning of a text from the server, and the answer to it. */
export interface Said {
  readonly isWelcome?: boolean;
  readonly isFollowing?: boolean;
  readonly say?: string | Promise<string> | undefined;
}

/** The answer to a welcome: `subscribe`, unless there is no subscription. */
export function greeted({ follows }: Target, subscribe: () => string | Promise<string>): Said {
  return follows === "nothing" ? { isWelcome: true, isFollowing: true } : { isWelcome: true, say: subscribe() };
}
