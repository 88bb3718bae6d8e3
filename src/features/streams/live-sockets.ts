import type { TemplatedApp } from "uWebSockets.js";
import type { CoreServices } from "../../app/module.ts";
import { runAs } from "../../core/caller.ts";
import type { Principal } from "../../core/principal.ts";
import { secretsEqual } from "../../core/tokens.ts";
import { requireAccess } from "../../http/access.ts";
import { serveNativeSocket } from "../../live/protocols/native-socket.ts";
import { servePulseSocket } from "../../live/protocols/pulse-socket.ts";
import { type PusherParts, servePusherSocket } from "../../live/protocols/pusher/pusher-socket.ts";
import { pollingRoutes } from "../../live/protocols/socketio/socketio-polling.ts";
import { SocketIoServer } from "../../live/protocols/socketio/socketio-server.ts";
import { serveTaskSocket } from "../../live/protocols/task-socket.ts";
import type { StreamRef } from "../../live/stream.ts";
import type { DeliveryMarks } from "../notifications/index.ts";
import { signChannel, signUser } from "../pusher/index.ts";
import { requireTicketFor } from "./realtime-access.ts";

/** What puts every WebSocket protocol on the server; to be called for each app that listens. */
export function liveSockets(services: CoreServices, marks: DeliveryMarks): (app: TemplatedApp) => void {
  const { system, projects, clock, config } = services;
  const parts = {
    kernel: system.kernel,
    router: system.router,
    clock,
    log: services.log.namespace("realtime"),
    hub: system.hub,
    access: system.realtimeAccess,
    connections: system.connections,
    authenticator: system.principals,
    projects,
    compression: config.realtime.compression,
    allowsOrigin: system.allowsOrigin,
    markDelivered: (userId: string, offset: number) => marks.one(userId, offset),
    markDeliveredUpTo: (userId: string, offset: number) => marks.upTo(userId, offset),
    projectFor(principal: Principal, ref: string): string {
      const projectId = projects.require(principal, ref, "events:read");
      requireTicketFor(principal, { kind: "project", projectId });
      return projectId;
    },
    tasksOf(principal: Principal): StreamRef {
      requireAccess({ permission: "tasks:own" }, principal);
      const stream = { kind: "tasks", userId: principal.kind === "apiKey" ? "" : principal.userId } as const;
      requireTicketFor(principal, stream);
      return stream;
    },
    async markRead(
      principal: Principal,
      id: string,
      { address, requestId }: { readonly address: string; readonly requestId: string },
    ): Promise<void> {
      requireAccess({}, principal);
      const userId = principal.kind === "apiKey" ? "" : principal.userId;
      requireTicketFor(principal, { kind: "user", userId });
      const caller = { principal, process: "request", ip: address, requestId, correlationId: requestId } as const;
      await runAs(caller, () => services.notify.markRead(id, userId));
    },
  };
  const socketIo = new SocketIoServer({ ...parts, namespaces: config.realtime.socketioNamespaces });
  for (const route of pollingRoutes(socketIo)) system.router.add(route);
  return (app) => {
    serveNativeSocket({ ...parts, app });
    servePulseSocket({ ...parts, app });
    serveTaskSocket({ ...parts, app });
    socketIo.mount(app);
    if (config.pusher.mode === "embedded") servePusherSocket({ ...parts, ...pusherParts(services, marks), app });
  };
}

type PusherNames = "registry" | "cacheTtlMs" | "isKey" | "isSigned" | "isUserSigned" | "forLogin" | "markDelivered";

function pusherParts({ system, config }: CoreServices, marks: DeliveryMarks): Pick<PusherParts, PusherNames> {
  const { pusher: app, pusherRegistry: registry, principals } = system;
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
