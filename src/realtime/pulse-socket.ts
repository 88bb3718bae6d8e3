import type { Principal } from "../base/principal.ts";
import { parseQuery } from "../http/input.ts";
import type { SocketProtocol } from "./live-socket.ts";
import { parseFrom } from "./parse-from.ts";
import { type SocketRouteParts, serveSocketRoute } from "./socket-route.ts";
import { beforeUpgrade } from "./upgrade.ts";

export interface PulseParts extends SocketRouteParts {
  /** The project by id or slug, if this caller may follow it. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, SCOPE_MISSING */
  projectFor(principal: Principal, idOrSlug: string): string;
}

/** PulseBoard's own framing (contract 5.3). */
export const pulseProtocol: SocketProtocol = {
  transport: "pulse",
  entryText: (_stream, entry) => `{"type":"event","offset":${entry.offset},"event":${entry.data}}`,
  gapText: (_stream, gap) => JSON.stringify({ type: "gap", ...gap }),
};

/** Puts `/realtime/:projectId` (S1) on the server: one socket, one project, subscribed from the start. */
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
        /** The only thing a client may say is `{"type":"ping"}`. */
        message(message) {
          if ("type" in message && message.type === "ping") socket.send('{"type":"pong"}');
          else socket.close("malformed");
        },
      };
    },
  });
}
