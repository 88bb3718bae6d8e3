import type { TemplatedApp } from "uWebSockets.js";
import { type Principal, runAs } from "../../../core/caller.ts";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { requireAccess } from "../../../http/server/access.ts";
import type { Entrance } from "../../../http/server/live-settings.ts";
import { serveNativeSocket } from "../../../live/protocols/native-socket.ts";
import { servePulseSocket } from "../../../live/protocols/pulse-socket.ts";
import { type PusherParts, servePusherSocket } from "../../../live/protocols/pusher/pusher-session.ts";
import { pollingRoutes } from "../../../live/protocols/socketio/socketio-polling.ts";
import { SocketIoServer } from "../../../live/protocols/socketio/socketio-server.ts";
import { serveTaskSocket } from "../../../live/protocols/task-socket.ts";
import type { StreamRef } from "../../../live/stream.ts";
import type { Uses } from "../../../module/feature.ts";
import { signChannel, signUser } from "../../protocols/pusher/index.ts";
import { requireTicketFor } from "./realtime-access.ts";

export type LiveSocketParts = Uses<
  | "config"
  | "clock"
  | "log"
  | "kernel"
  | "router"
  | "hub"
  | "realtimeAccess"
  | "connections"
  | "principals"
  | "projects"
  | "pusher"
  | "pusherRegistry"
  | "notify"
  | "marks"
  | "allowsOrigin"
>;

/** Registers every WebSocket protocol; call it for each app that listens. */
export function liveSockets(own: LiveSocketParts): (app: TemplatedApp, entrance: Entrance) => void {
  const { config, clock, kernel, router, hub, connections, principals, projects, marks } = own;
  const parts = {
    kernel,
    router,
    clock,
    log: own.log.namespace("realtime"),
    hub,
    access: own.realtimeAccess,
    connections,
    authenticator: principals,
    projects,
    compression: config.realtime.compression,
    allowsOrigin: own.allowsOrigin,
    markDelivered: (userId: string, offset: number) => marks.one(userId, offset),
    markDeliveredUpTo: (userId: string, offset: number) => marks.upTo(userId, offset),
    projectFor(principal: Principal, ref: string): string {
      const projectId = projects.require(principal, ref, "events:read");
      requireTicketFor(principal, { kind: "project", projectId });
      return projectId;
    },
    tasksOf(principal: Principal): StreamRef {
      requireAccess({ permission: "tasks:own" }, principal);
      const stream = { kind: "tasks", userId: accountOf(principal) } as const;
      requireTicketFor(principal, stream);
      return stream;
    },
    async markRead(
      principal: Principal,
      id: string,
      { address, requestId }: { readonly address: string; readonly requestId: string },
    ): Promise<void> {
      requireAccess({}, principal);
      const userId = accountOf(principal);
      requireTicketFor(principal, { kind: "user", userId });
      const caller = { principal, process: "request", ip: address, requestId, correlationId: requestId } as const;
      await runAs(caller, () => own.notify.markRead(id, userId));
    },
  };
  const socketIo = new SocketIoServer({ ...parts, namespaces: config.realtime.socketioNamespaces });
  for (const route of pollingRoutes(socketIo)) router.add(route);
  return (app, entrance) => {
    if (entrance.face) return;
    serveNativeSocket({ ...parts, app, entrance });
    servePulseSocket({ ...parts, app, entrance });
    serveTaskSocket({ ...parts, app, entrance });
    socketIo.mount(app, entrance);
    if (config.pusher.mode === "embedded") servePusherSocket({ ...parts, ...pusherParts(own), app, entrance });
  };
}

/** The user whose own stream a caller means; '' for a caller without an account, who has none. */
function accountOf(principal: Principal): string {
  return principal.kind === "apiKey" ? "" : (principal.userId ?? "");
}

type PusherNames = "registry" | "cacheTtlMs" | "isKey" | "isSigned" | "isUserSigned" | "forLogin" | "markDelivered";

function pusherParts(own: LiveSocketParts): Pick<PusherParts, PusherNames> {
  const { config, pusher: app, pusherRegistry: registry, principals, marks } = own;
  return {
    registry,
    cacheTtlMs: config.pusher.cacheTtlMs,
    isKey: (key) => secretsEqual(key, app.key),
    isSigned: (signature, ...signed) => secretsEqual(signature, signChannel(app, ...signed)),
    isUserSigned: (signature, ...signed) => secretsEqual(signature, signUser(app, ...signed)),
    forLogin: (principal) => principals.forLogin(principal),
    markDelivered: (userId, offset) => marks.oneByPusher(userId, offset),
  };
}
