import type { Transport } from "../../../src/live/connections.ts";

/** One thing that came over a stream, whatever the protocol. */
export type Item =
  | { readonly kind: "entry"; readonly offset: number; readonly event: EventView }
  | { readonly kind: "gap"; readonly from: number; readonly to: number };

/** An event as clients see it, as far as these tests look. */
export interface EventView {
  readonly id: string;
  readonly seq: number;
  readonly type: string;
  readonly payload: { readonly n?: number } & Readonly<Record<string, unknown>>;
}

export interface ConnectOptions {
  /** Absent: the protocol's default, which is from now on. */
  readonly from?: number | "earliest" | "latest";
  /** Access token, service token or API key; by default the one the target has. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Where to connect, and the default caller. */
export interface Target {
  readonly url: string;
  readonly projectId: string;
  readonly token: string;
}

/** A client of one of the protocols, following one stream. */
export interface LiveClient {
  /** What came, in its order. */
  readonly items: readonly Item[];
  /**
   * The offset that the server named on letting the client in; null where the protocol names none.
   */
  readonly head: number | null;
  /** How it ended, in the protocol's words, see {@link Ends}; pending while it has not. */
  readonly end: Promise<string>;
  /** Reads nothing more until {@link resume}, as a client that hangs. */
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

/** How a protocol reports the reason of a close. */
export interface Ends {
  readonly unauthenticated: string;
  /** The end of a token by its own time. */
  readonly expired: string;
  readonly forbidden: string;
  readonly notFound: string;
  readonly tooSlow: string;
  readonly restart: string;
}

/** What the contract suite asks of each protocol. */
export interface LiveProtocol {
  readonly name: string;
  readonly transport: Transport;
  /**
   * The events of the project, or the client's own tasks or notifications. A notification's number
   * is its title, as a task's is.
   */
  readonly follows: "project" | "tasks" | "user";
  /**
   * False for a protocol with clients that cannot send an offset; they read `/notifications/missed`
   * instead.
   */
  readonly resumes?: false;
  /**
   * Said of a protocol that a login lets in: a client stays as long as that, whatever becomes of
   * the access token, and keys are of no use.
   */
  readonly letsIn?: "logins";
  readonly ends: Ends;
  /** @throws Refused */
  connect(target: Target, options?: ConnectOptions): Promise<LiveClient>;
}

/** The server answered with an HTTP status and no stream. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;

  constructor(status: number, body: string, headers: Refused["headers"]) {
    super(`refused with ${status}: ${body}`);
    this.status = status;
    this.headers = headers;
    try {
      this.code = (JSON.parse(body) as { error?: { code?: string } }).error?.code;
    } catch {
      this.code = undefined;
    }
  }
}

/** The numbers that a {@link Feed} gave its events, in the order in which they came. */
export function numbersOf(client: LiveClient): number[] {
  return client.items.flatMap((item) => (item.kind === "entry" ? [item.event.payload.n ?? -1] : []));
}

export function offsetsOf(client: LiveClient): number[] {
  return client.items.flatMap((item) => (item.kind === "entry" ? [item.offset] : []));
}

export function gapsOf(client: LiveClient): { from: number; to: number }[] {
  return client.items.flatMap((item) => (item.kind === "gap" ? [{ from: item.from, to: item.to }] : []));
}
