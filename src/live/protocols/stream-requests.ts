import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import { type Authenticator, fromSecret, MAX_SECRET_LENGTH } from "../../http/server/credentials.ts";
import type { HttpKernel } from "../../http/server/kernel.ts";
import type { RealtimeAccess } from "../connections.ts";
import type { Hub } from "../hub.ts";
import type { LiveSocket, SubscribeOptions } from "../live-socket.ts";
import { type ProjectNames, resolveStreamName, type StreamEntry, type StreamRef, streamName } from "../stream.ts";
import type { From } from "../subscription.ts";

/** A token in a client's message. */
export const TOKEN = v.pipe(v.string("must be a string"), v.maxLength(MAX_SECRET_LENGTH));

/** How a connection's new token is answered. */
export interface Renewal {
  /** The expiry (RFC 3339; null: never), before the connection closes if the token does not allow its streams. */
  renewed(expiresAt: string | null): void;
  /** FORBIDDEN for another caller's token, TOKEN_EXPIRED … */
  refused(error: unknown): void;
}

interface RenewalParts {
  readonly authenticator: Authenticator;
  readonly kernel: HttpKernel;
}

/** Continues a connection with a new token of the same caller. */
export function renewToken(
  socket: LiveSocket,
  { authenticator, kernel }: RenewalParts,
  token: string,
  answer: Renewal,
): void {
  const renew = (): void => {
    try {
      useToken(socket, authenticator, token, answer);
    } catch (error) {
      answer.refused(error);
    }
  };
  const sender = { isControl: socket.address === "", clientAddress: socket.address };
  try {
    const check = kernel.checkOf(sender, fromSecret(token));
    if (check) void check.then(renew);
    else renew();
  } catch (error) {
    answer.refused(error);
  }
}

function useToken(socket: LiveSocket, authenticator: Authenticator, token: string, { renewed }: Renewal): void {
  const principal = authenticator.authenticate(fromSecret(token));
  if (principal.key !== socket.caller.key)
    throw new PrismError("FORBIDDEN", "The token belongs to another caller; open a new connection");
  renewed(Number.isFinite(principal.expiresAt) ? toRfc3339(principal.expiresAt) : null);
  socket.renew(principal);
}

export interface StreamRequestParts extends RenewalParts {
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly projects: ProjectNames;
  /** Records that an entry has reached a client of its recipient. */
  markDelivered(userId: string, offset: number): void;
  /** Records that the client has handled its own stream up to this offset. */
  markDeliveredUpTo(userId: string, offset: number): Promise<void>;
}

interface SubscribeRequest {
  /** The name that the client sent: `user:me` and similar names are resolved. */
  readonly stream: string;
  readonly from?: From | undefined;
  readonly accepts?: ((entry: StreamEntry) => boolean) | undefined;
  /** The client acknowledges entries itself. */
  readonly isAcknowledging?: boolean;
  /** Called once, when all missed entries have been sent. @param replayed how many they were */
  readonly onReplayed?: (replayed: number, head: number) => void;
}

const MAX_SUBSCRIPTIONS = 64;

/** Requests of clients, for the protocols with several streams (docs/realtime.md). */
export class StreamRequests {
  readonly #parts: StreamRequestParts;

  constructor(parts: StreamRequestParts) {
    this.#parts = parts;
  }

  /**
   * Follows a stream; again to change the options. `announce` receives the resolved name and head
   * before any entry is sent.
   * @throws CHANNEL_FORBIDDEN, RATE_LIMITED
   */
  subscribe(socket: LiveSocket, request: SubscribeRequest, announce: (stream: string, offset: number) => void): void {
    const stream = this.#streamOf(socket, request.stream);
    if (this.#parts.access.check(socket.caller, stream) !== "allowed") throw forbidden();
    if (socket.subscriptionCount >= MAX_SUBSCRIPTIONS && !socket.has(stream)) {
      throw new PrismError("RATE_LIMITED", `A connection may follow at most ${MAX_SUBSCRIPTIONS} streams`);
    }
    const offset = this.#parts.hub.head(stream);
    const onAccepted = stream.kind === "user" ? this.#noteFor(socket, request.isAcknowledging === true) : undefined;
    const { from = "latest", accepts, onReplayed } = request;
    const options = { from, accepts, onAccepted, ...(onReplayed && this.#counting(stream, onAccepted, onReplayed)) };
    socket.subscribe(stream, options, () => announce(streamName(stream), offset));
  }

  /** Counts the entries that are sent before those that come live. */
  #counting(
    stream: StreamRef,
    onAccepted: SubscribeOptions["onAccepted"],
    onReplayed: (replayed: number, head: number) => void,
  ): Pick<SubscribeOptions, "onAccepted" | "onCaughtUp"> {
    let replayed = 0;
    let isOver = false;
    const count: SubscribeOptions["onAccepted"] = (entry) => {
      replayed++;
      onAccepted?.(entry, stream);
    };
    const onCaughtUp = (): void => {
      if (!isOver) onReplayed(replayed, this.#parts.hub.head(stream));
      isOver = true;
    };
    return { onAccepted: onAccepted && count, onCaughtUp };
  }

  /** @returns the resolved name. @throws CHANNEL_FORBIDDEN, FORBIDDEN for `…:me` of the operator */
  unsubscribe(socket: LiveSocket, name: string): string {
    const stream = this.#streamOf(socket, name);
    socket.unsubscribe(stream);
    return streamName(stream);
  }

  /**
   * Acknowledges the caller's own stream up to an offset. @returns the resolved name. @throws
   * CHANNEL_FORBIDDEN
   */
  async acknowledge(socket: LiveSocket, name: string, offset: number): Promise<string> {
    const stream = this.#streamOf(socket, name);
    const principal = socket.caller;
    const isOwn = stream.kind === "user" && principal.kind !== "apiKey" && principal.userId === stream.userId;
    // A ticket may be for another stream.
    if (!isOwn || this.#parts.access.check(principal, stream) !== "allowed") {
      throw new PrismError("CHANNEL_FORBIDDEN", "Only your own stream can be acknowledged");
    }
    await this.#parts.markDeliveredUpTo(stream.userId, offset);
    return streamName(stream);
  }

  /** See {@link renewToken}. */
  renew(socket: LiveSocket, token: string, answer: Renewal): void {
    renewToken(socket, this.#parts, token, answer);
  }

  /**
   * An entry that a socket accepted counts as delivered, unless its client acknowledges entries.
   * Entries of users are written to each socket separately, so that acceptance is known.
   */
  #noteFor(socket: LiveSocket, isAcknowledging: boolean): NonNullable<SubscribeOptions["onAccepted"]> {
    return isAcknowledging || socket.isObserver ? leaveOpen : this.#markDelivered;
  }

  /** One for all sockets. */
  readonly #markDelivered = (entry: StreamEntry, stream: StreamRef): void => {
    if (stream.kind !== "user" || entry.type !== "notification" || entry.isDelivered) return;
    this.#parts.markDelivered(stream.userId, entry.offset);
  };

  #streamOf(socket: LiveSocket, name: string): StreamRef {
    const principal = socket.caller;
    const userId = principal.kind === "apiKey" ? null : principal.userId;
    const stream = resolveStreamName(name, { userId, projects: this.#parts.projects });
    if (stream) return stream;
    if (principal.kind === "operator" && name.endsWith(":me")) {
      throw new PrismError("FORBIDDEN", `The operator has no account, so no ${name}; give that user's token`);
    }
    throw forbidden();
  }
}

function leaveOpen(): void {}

/**
 * The same for streams that do not exist, so that a client without rights cannot distinguish them.
 */
function forbidden(): PrismError {
  return new PrismError("CHANNEL_FORBIDDEN", "No such stream, or you may not follow it");
}
