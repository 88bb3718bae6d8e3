/** One message to one token, as its provider is to be told it. */
export interface PushMessage {
  readonly token: string;
  /** What the message adds to the request's head. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body: string;
}

/** What a provider said about one message to one token. */
export type PushAnswer =
  | { readonly kind: "accepted"; readonly providerId?: string }
  /** The token is no good. @property since epoch ms at which the provider knew, where it says so */
  | { readonly kind: "bad-token"; readonly reason: string; readonly since?: number };

/** One push provider. It knows tokens and messages, but no devices and no notifications. */
export interface PushClient {
  /** @throws RetryLater, PermanentError, ProviderDown, or anything else to be tried again with backoff */
  send(message: PushMessage, signal: AbortSignal): Promise<PushAnswer>;
  /** Whether the provider takes our credentials. Nobody is told anything. @throws what is wrong */
  check(): Promise<void>;
  close(): void;
}

/** How long an attempt waits for the provider; its own attempts to reach a device go on without us. */
export const PUSH_TIMEOUT_MS = 30_000;
/** Answers are a few hundred bytes; what is longer is of no provider. */
export const MAX_ANSWER_BYTES = 65_536;
