import { parseQuery } from "../../../http/input.ts";
import { type Session, serveSocketRoute } from "../socket-route.ts";
import { insideProtocol } from "../upgrade.ts";
import { closing, PUSHER_CODE, pusherProtocol } from "./pusher-message.ts";
import { PusherSession, type PusherSessionParts } from "./pusher-session.ts";

export interface PusherParts extends PusherSessionParts {
  /** Whether it is the app's key, in a time that does not depend on how much of it is right. */
  isKey(key: string): boolean;
}

const MIN_PROTOCOL = 5;
const MAX_PROTOCOL = 7;

/** What is wrong with a connection as a whole: a code of Pusher and what to say, or nothing. */
type Refusal = readonly [code: number, message: string] | null;

/** Puts the WebSocket side of the embedded Pusher server on the server: `/app/:key`, protocols 5 to 7 (contract 5.5). */
export function servePusherSocket(parts: PusherParts): void {
  serveSocketRoute(parts, {
    paths: ["/app/:key"],
    protocol: pusherProtocol,
    authenticate: insideProtocol,
    prepare: (exchange, { requestId }) => ({
      requestId,
      refusal: refusalOf(parts, exchange.params["key"] ?? "", parseQuery(exchange.queryText)["protocol"]),
    }),
    open(socket, { requestId, refusal }): Session {
      if (!refusal) return new PusherSession(socket, requestId, parts);
      // As Pusher has it: clients understand a code, and not the status of a refused upgrade.
      socket.closeWith(closing(...refusal));
      return { message() {} };
    },
  });
}

function refusalOf(parts: PusherParts, key: string, protocol: string | undefined): Refusal {
  if (!protocol) return [PUSHER_CODE.noProtocol, "No protocol version was given"];
  const isServed = /^\d$/.test(protocol) && Number(protocol) >= MIN_PROTOCOL && Number(protocol) <= MAX_PROTOCOL;
  if (!isServed)
    return [PUSHER_CODE.unsupportedProtocol, `The protocol versions are ${MIN_PROTOCOL} to ${MAX_PROTOCOL}`];
  return parts.isKey(key) ? null : [PUSHER_CODE.unknownKey, "There is no app with this key"];
}
