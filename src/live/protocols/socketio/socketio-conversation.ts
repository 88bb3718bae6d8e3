import type { Socket } from "socket.io";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { errorBody, toPrismError } from "../../../http/error-reply.ts";
import { checkShape } from "../../../http/input.ts";
import type { Shape } from "../../../http/route.ts";
import type { LiveSocket } from "../../live-socket.ts";
import { StreamRequests } from "../stream-requests.ts";
import type { SessionChannel } from "./session-channel.ts";
import { CLIENT_EVENTS, type ClientEvent, eventText, Handshake, type Said } from "./socketio-message.ts";
import type { SessionParts } from "./socketio-session.ts";
import type { Visitor } from "./visitor.ts";

/** What a conversation goes over. */
export interface Line {
  readonly channel: SessionChannel;
  readonly live: LiveSocket;
}

export interface ConversationParts extends SessionParts {
  readonly visitor: Visitor;
  /** Calls when everything sent so far is on its way to the client. */
  whenTaken(told: () => void): void;
}

type Answer = Readonly<Record<string, unknown>>;
type Reply = (answer: Answer) => void;

/** What a client says and is told in one namespace: its requests, its subscriptions, and who it is there. */
export class SocketIoConversation {
  readonly live: LiveSocket;
  readonly channel: SessionChannel;
  readonly #parts: ConversationParts;
  readonly #streams: StreamRequests;
  #handshake: ReturnType<typeof handshakeOf> | null = null;

  constructor({ channel, live }: Line, parts: ConversationParts) {
    this.channel = channel;
    this.live = live;
    this.#parts = parts;
    this.#streams = new StreamRequests(live, {
      ...parts,
      // Nobody has got what waits for a poll.
      markDelivered: (userId, offset) => parts.whenTaken(() => parts.markDelivered(userId, offset)),
    });
  }

  /** The client has been let in. */
  open(socket: Socket, handshake: ReturnType<typeof handshakeOf>): void {
    this.#handshake = handshake;
    this.channel.join(socket.nsp.name);
    socket.onAny((event: unknown, ...args: unknown[]) => this.#said(String(event), args));
    const principal = this.live.caller;
    const userId = principal.kind === "apiKey" ? null : principal.userId;
    const ready = { connectionId: uuidv7(), userId };
    const own = userId === null ? null : ({ kind: "user", userId } as const);
    if (!own || this.#parts.access.check(principal, own) !== "allowed") this.#tell("ready", ready);
    else this.#followOwn(ready);
  }

  /** The client has left the namespace. */
  leave(): void {
    this.live.unsubscribeAll();
    this.channel.leave();
  }

  /** The session is gone. */
  closed(): void {
    this.channel.closed();
    this.live.closed();
  }

  /** When the client has everything that it missed it is told so, and how much that was. */
  #followOwn(ready: Answer): void {
    this.#streams.subscribe(
      {
        stream: "user:me",
        from: this.#handshake?.offset ?? "latest",
        isAcknowledging: this.#handshake?.ack === true,
        onReplayed: (replayed, offset) => this.#tell("ready", { ...ready, offset, replayed }),
      },
      () => undefined,
    );
  }

  #said(event: string, args: unknown[]): void {
    const last = args.at(-1);
    const reply: Reply | null = typeof last === "function" ? (answer) => last(answer) : null;
    const answer: Reply = (given) => reply?.({ ok: true, ...given });
    try {
      if (!isClientEvent(event)) throw new PrismError("VALIDATION_FAILED", `There is no event of this name: ${KNOWN}`);
      if (Buffer.isBuffer(args[0])) throw new PrismError("VALIDATION_FAILED", "The argument is binary; send an object");
      const said = checkShape(CLIENT_EVENTS[event] as Shape<Said<ClientEvent>>, args[0], "body");
      this.#perform(event, said, answer)?.then(answer, (error: unknown) => this.#refuse(event, error, reply));
    } catch (error) {
      this.#refuse(event, error, reply);
    }
  }

  /** @returns what is answered once it is done; undefined when it has been. */
  #perform(event: ClientEvent, said: Said<ClientEvent>, answer: Reply): Promise<Answer> | undefined {
    switch (event) {
      case "subscribe":
        this.#streams.subscribe(said as Said<"subscribe">, (stream, offset) => answer({ stream, offset }));
        return undefined;
      case "unsubscribe":
        answer({ stream: this.#streams.unsubscribe((said as Said<"unsubscribe">).stream) });
        return undefined;
      case "ack": {
        const { offset } = said as Said<"ack">;
        return this.#streams.acknowledge("user:me", offset).then(() => ({ offset }));
      }
      case "notification:read": {
        const { id } = said as Said<"notification:read">;
        return this.#parts.markRead(this.live.caller, id, this.#parts.visitor).then(() => ({}));
      }
      case "auth":
        this.#streams.renew((said as Said<"auth">).token, (expiresAt) => answer({ expiresAt }));
        return undefined;
    }
  }

  /** The connection stays. A request without callback is answered by an event. */
  #refuse(event: string, thrown: unknown, reply: Reply | null): void {
    const { error } = errorBodyOf(thrown, this.#parts);
    if (reply) reply({ ok: false, error });
    else this.#tell("exception", { event: event.slice(0, MAX_EVENT_LENGTH), ...error });
  }

  #tell(event: string, payload: Answer): void {
    this.live.send(eventText(event, JSON.stringify(payload)));
  }
}

const KNOWN = Object.keys(CLIENT_EVENTS).join(", ");
const MAX_EVENT_LENGTH = 64;

function isClientEvent(event: string): event is ClientEvent {
  return Object.hasOwn(CLIENT_EVENTS, event);
}

/** `auth` of the packet that joins a namespace. @throws VALIDATION_FAILED */
export function handshakeOf(auth: unknown) {
  return checkShape(Handshake, auth, "body");
}

/** The request id is the handshake's: it is what the log knows this connection by. */
export function errorBodyOf(
  thrown: unknown,
  { visitor: { requestId }, log }: Pick<ConversationParts, "visitor" | "log">,
): ReturnType<typeof errorBody> {
  const error = toPrismError(thrown);
  if (error.code === "INTERNAL") log.error({ requestId, err: error.cause }, "a client's message failed");
  return errorBody(error, requestId);
}
