import type { TemplatedApp } from "uWebSockets.js";
import type { Principal } from "../../base/principal.ts";
import { requireAccess } from "../../http/access.ts";
import { serveNativeSocket } from "../../realtime/native-socket.ts";
import { servePulseSocket } from "../../realtime/pulse-socket.ts";
import type { StreamRef } from "../../realtime/stream.ts";
import { serveTaskSocket } from "../../realtime/task-socket.ts";
import type { CoreServices } from "../module.ts";
import type { DeliveryMarks } from "../notifications/delivery-marks.ts";
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
    defaultProjectId: projects.defaultId,
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
  };
  return (app) => {
    serveNativeSocket({ ...parts, app });
    servePulseSocket({ ...parts, app });
    serveTaskSocket({ ...parts, app });
  };
}
