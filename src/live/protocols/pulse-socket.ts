import type { Principal } from "../../core/caller.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import { toPrismError } from "../../http/api/error-reply.ts";
import { openObject } from "../../http/api/shapes.ts";
import { checkShape, parseQuery } from "../../http/body/input.ts";
import type { Authenticator } from "../../http/server/credentials.ts";
import type { LiveSocket } from "../live-socket.ts";
import type { SocketProtocol } from "../socket-protocol.ts";
import { parseFrom } from "../subscription.ts";
import { type SocketRouteParts, serveSocketRoute } from "./socket-route.ts";
import { renewToken, TOKEN } from "./stream-requests.ts";
import { beforeUpgrade } from "./upgrade.ts";

export interface PulseParts extends SocketRouteParts {
  readonly authenticator: Authenticator;
  /**
   * The id of a project that the caller may follow. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE,
   * SCOPE_MISSING
   */
  projectFor(principal: Principal, idOrSlug: string): string;
}

/** PulseBoard's own framing (docs/realtime.md). */
export const pulseProtocol: SocketProtocol = {
  transport: "pulse",
  entryText: (_stream, entry) => `{"type":"event","offset":${entry.offset},"event":${entry.data}}`,
  gapText: (_stream, gap) => JSON.stringify({ type: "gap", ...gap }),
  expiringText: (expiresAt) => JSON.stringify({ type: "auth_expiring", expiresAt: toRfc3339(expiresAt) }),
};

/**
 * Serves `/realtime/:projectId` (docs/realtime.md): one project per socket, subscribed from the
 * start.
 */
export function servePulseSocket(parts: PulseParts): void {
  serveSocketRoute(parts, {
    paths: ["/realtime/:projectId", "/api/v1/realtime/:projectId"],
    protocol: pulseProtocol,
    authenticate: beforeUpgrade,
    prepare(exchange, { principal }) {
      const query = parseQuery(exchange.queryText);
      const projectId = parts.projectFor(principal, exchange.params["projectId"] ?? "");
      const stream = { kind: "project", projectId } as const;
      return { stream, from: parseFrom(query["from"] ?? query["lastEventId"]) };
    },
    open(socket, { stream, from }) {
      const connected = { type: "connected", projectId: stream.projectId, offset: parts.hub.head(stream) };
      socket.subscribe(stream, { from }, () => socket.send(JSON.stringify(connected)));
      return {
        /** A client may send `{"type":"ping"}` and `{"type":"auth","token":…}`. */
        message(message) {
          const type = "type" in message ? message.type : undefined;
          if (type === "ping") socket.send('{"type":"pong"}');
          else if (type === "auth") renew(socket, parts, message);
          else socket.close("malformed");
        },
      };
    },
  });
}

const Renewal = openObject({ token: TOKEN });

/** A refused token leaves the connection unchanged. */
function renew(socket: LiveSocket, parts: PulseParts, message: object): void {
  const refused = (error: unknown): void => {
    const { code, message: text } = toPrismError(error);
    socket.send(JSON.stringify({ type: "error", code, message: text }));
  };
  try {
    const { token } = checkShape(Renewal, message, "body");
    const renewed = (expiresAt: string | null) => socket.send(JSON.stringify({ type: "authenticated", expiresAt }));
    renewToken(socket, parts, token, { renewed, refused });
  } catch (error) {
    refused(error);
  }
}
