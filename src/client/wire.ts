import type { PrismErrorDetail } from "./errors.ts";
import type { Level } from "./views.ts";

/** Messages of the server on `/ws`. @internal */
export type ServerMessage =
  | {
      readonly op: "welcome";
      readonly connectionId: string;
      readonly userId: string | null;
      readonly serverTime: string;
      readonly heartbeatMs: number;
    }
  | { readonly op: "subscribed"; readonly id: string; readonly stream: string; readonly offset: number }
  | { readonly op: "unsubscribed"; readonly id: string; readonly stream: string }
  | {
      readonly op: "event";
      readonly stream: string;
      readonly offset: number;
      readonly type: string;
      readonly data: unknown;
      readonly ts: string;
      readonly correlationId: string;
    }
  | { readonly op: "gap"; readonly stream: string; readonly from: number; readonly to: number }
  | { readonly op: "acked"; readonly id: string; readonly stream: string; readonly offset: number }
  | { readonly op: "pong"; readonly id: string; readonly ts: string }
  | { readonly op: "auth_expiring"; readonly expiresAt: string }
  | { readonly op: "authenticated"; readonly id: string; readonly expiresAt: string | null }
  | {
      readonly op: "error";
      readonly id?: string;
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly requestId: string;
        readonly details?: readonly PrismErrorDetail[];
      };
    };

/** Selects events of a stream; others count as handled. */
export interface EventFilter {
  /** A type, or a prefix ending in `.*`. */
  readonly type?: string;
  readonly level?: readonly Level[];
}

/** @internal */
export type ClientMessage =
  | {
      readonly op: "subscribe";
      readonly id: string;
      readonly stream: string;
      readonly from: number | "latest" | "earliest";
      readonly filter?: EventFilter | undefined;
      readonly ack?: boolean | undefined;
    }
  | { readonly op: "unsubscribe"; readonly id: string; readonly stream: string }
  | { readonly op: "ack"; readonly id: string; readonly stream: string; readonly offset: number }
  | { readonly op: "ping"; readonly id: string }
  | { readonly op: "auth"; readonly id: string; readonly token: string };

/** The required part of a WebSocket: browsers', Node's own since 22, and that of `ws` have it. */
export interface WebSocketLike {
  /** 1: open; 2 and 3: closing and closed. */
  readonly readyState?: number;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { readonly code?: number; readonly reason?: string }) => void,
  ): void;
  addEventListener(type: "error", listener: () => void): void;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  /** From `ws`: closes without waiting for the other side. */
  terminate?(): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** Timers and randomness, for tests. */
export interface Environment {
  /** Monotonic milliseconds since an arbitrary instant. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  setTimeout(run: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** @internal */
export const REAL_ENVIRONMENT: Environment = {
  now: () => performance.now(),
  random: () => Math.random(),
  setTimeout: (run, delayMs) => setTimeout(run, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as Parameters<typeof clearTimeout>[0]),
};
