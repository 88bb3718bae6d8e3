import * as v from "valibot";
import { toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { type Authenticator, fromSecret, MAX_SECRET_LENGTH } from "../../http/credentials.ts";
import type { RealtimeAccess } from "../connections.ts";
import type { Hub } from "../hub.ts";
import type { LiveSocket } from "../live-socket.ts";
import { type ProjectNames, resolveStreamName, type StreamEntry, type StreamRef, streamName } from "../stream.ts";
import type { From } from "../subscription.ts";

/** A token in a message of a client. */
export const TOKEN = v.pipe(v.string("must be a string"), v.maxLength(MAX_SECRET_LENGTH));

/**
 * Continues a connection with a new token of the same caller.
 * @param announce gets the token's end (RFC 3339; null: never) before the connection closes for
 * what the token does not allow.
 * @throws FORBIDDEN for another caller's token, TOKEN_EXPIRED …
 */
export function renewToken(
  socket: LiveSocket,
  authenticator: Authenticator,
  token: string,
  announce: (expiresAt: string | null) => void,
): void {
  const principal = authenticator.authenticate(fromSecret(token));
  if (principal.key !== socket.caller.key)
    throw new PrismError("FORBIDDEN", "The token belongs to another caller; open a new connection");
  announce(Number.isFinite(principal.expiresAt) ? toRfc3339(principal.expiresAt) : null);
  socket.renew(principal);
}

export interface StreamRequestParts {
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly authenticator: Authenticator;
  readonly projects: ProjectNames;
  /** A recipient's entry has reached a client. */
  markDelivered(userId: string, offset: number): void;
  /** The client says it has handled everything of its own stream up to this offset. */
  markDeliveredUpTo(userId: string, offset: number): Promise<void>;
}

interface Subscribe {
  /** As the client calls it: `user:me` and its like are resolved. */
  readonly stream: string;
  readonly from?: From | undefined;
  readonly accepts?: ((entry: StreamEntry) => boolean) | undefined;
  /** The client says itself what it has got. */
  readonly isAcknowledging?: boolean;
  /**
   * Called once, when all that was missed has been sent. @param replayed how many entries that was.
   */
  readonly onReplayed?: (replayed: number, head: number) => void;
}

const MAX_SUBSCRIPTIONS = 64;

/**
 * What the clients of a protocol with many streams ask for, whatever its words (docs/realtime.md).
 */
export class StreamRequests {
  readonly #socket: LiveSocket;
  readonly #parts: StreamRequestParts;

  constructor(socket: LiveSocket, parts: StreamRequestParts) {
    this.#socket = socket;
    this.#parts = parts;
  }

  /**
   * Follows a stream; a second time, with other options. `announce` is given its resolved name and
   * head, and runs before anything of it is sent.
   * @throws CHANNEL_FORBIDDEN, RATE_LIMITED
   */
  subscribe(asked: Subscribe, announce: (stream: string, offset: number) => void): void {
    const stream = this.#streamOf(asked.stream);
    if (this.#parts.access.check(this.#socket.caller, stream) !== "allowed") throw forbidden();
    if (this.#socket.subscriptionCount >= MAX_SUBSCRIPTIONS && !this.#socket.has(stream)) {
      throw new PrismError("RATE_LIMITED", `A connection may follow ${MAX_SUBSCRIPTIONS} streams`);
    }
    const offset = this.#parts.hub.head(stream);
    let replayed = 0;
    let { onReplayed } = asked;
    const take = this.#takenBy(stream, asked.isAcknowledging === true);
    const options = {
      from: asked.from ?? "latest",
      accepts: asked.accepts,
      onTaken:
        take &&
        ((entry: StreamEntry) => {
          replayed++;
          take(entry);
        }),
      onCaughtUp: () => {
        onReplayed?.(replayed, this.#parts.hub.head(stream));
        onReplayed = undefined;
      },
    };
    this.#socket.subscribe(stream, options, () => announce(streamName(stream), offset));
  }

  /** @returns the resolved name. @throws CHANNEL_FORBIDDEN */
  unsubscribe(name: string): string {
    const stream = this.#streamOf(name);
    this.#socket.unsubscribe(stream);
    return streamName(stream);
  }

  /**
   * Everything of the caller's own stream up to an offset has been handled. @returns the resolved
   * name. @throws CHANNEL_FORBIDDEN
   */
  async acknowledge(name: string, offset: number): Promise<string> {
    const stream = this.#streamOf(name);
    const principal = this.#socket.caller;
    const isOwn = stream.kind === "user" && principal.kind !== "apiKey" && principal.userId === stream.userId;
    // A ticket may be for another stream.
    if (!isOwn || this.#parts.access.check(principal, stream) !== "allowed") {
      throw new PrismError("CHANNEL_FORBIDDEN", "Only your own stream can be acknowledged");
    }
    await this.#parts.markDeliveredUpTo(stream.userId, offset);
    return streamName(stream);
  }

  /** See {@link renewToken}. @throws FORBIDDEN, TOKEN_EXPIRED … */
  renew(token: string, announce: (expiresAt: string | null) => void): void {
    renewToken(this.#socket, this.#parts.authenticator, token, announce);
  }

  /**
   * What a socket has taken counts as delivered, unless its client says so itself. User streams are
   * written to each socket by itself, to know that it was taken.
   */
  #takenBy(stream: StreamRef, isAcknowledging: boolean): ((entry: StreamEntry) => void) | undefined {
    if (stream.kind !== "user") return undefined;
    const { userId } = stream;
    const isLeftOpen = isAcknowledging || this.#socket.isObserver;
    return (entry) => {
      if (isLeftOpen || entry.type !== "notification" || entry.isDelivered) return;
      this.#parts.markDelivered(userId, entry.offset);
    };
  }

  #streamOf(name: string): StreamRef {
    const principal = this.#socket.caller;
    const userId = principal.kind === "apiKey" ? null : principal.userId;
    const stream = resolveStreamName(name, { userId, projects: this.#parts.projects });
    if (!stream) throw forbidden();
    return stream;
  }
}

/** Also said of streams that do not exist: whoever may not follow them learns nothing. */
function forbidden(): PrismError {
  return new PrismError("CHANNEL_FORBIDDEN", "You may not follow this stream, or there is none");
}
