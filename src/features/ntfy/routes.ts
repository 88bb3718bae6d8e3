import type { TemplatedApp } from "uWebSockets.js";
import type { Entrance } from "../../http/faces.ts";
import type { Feature } from "../../module/feature.ts";
import { accessRoutes } from "./access-routes.ts";
import { NtfyApi } from "./api.ts";
import { countVisitor, type NtfyOwn, PREFIX, requestOf, subscriberParts } from "./context.ts";
import { errorBodyOf } from "./errors.ts";
import { type SocketParts, serveSockets } from "./subscribe/sockets.ts";
import { topicRoutes } from "./topic-routes.ts";
/** The API of ntfy (docs/ntfy.md), and the topics in Prism's own. */
export function ntfyFeature(own: NtfyOwn): Feature {
  return {
    name: "ntfy",
    version: "1.0.0",
    register(server, { audit }) {
      own.kernel.addDialect({
        ...{ prefix: `${PREFIX}/`, errorBody: errorBodyOf, challenges: false, allowsHeaders: "*, Authorization" },
      });
      const api = new NtfyApi(own, { ...own, audit, attachments: own.ntfy.attachments, cacheMs: own.ntfy.cacheMs });
      for (const each of api.routes()) server.route(each);
      for (const each of topicRoutes({ ...own, audit })) server.route(each);
      for (const each of accessRoutes({ ...own, audit })) server.route(each);
    },
  };
}

/** Mounts the WebSockets on an app. */
export function ntfySockets(own: NtfyOwn): (app: TemplatedApp, entrance: Entrance) => void {
  const { ntfy, kernel, router } = own;
  const parts: SocketParts = {
    ...subscriberParts(own),
    kernel,
    router,
    compression: own.config.realtime.compression,
    visitor: (exchange) => ntfy.auth.visitor(exchange),
    requestOf(exchange, visitor, address) {
      countVisitor(own, exchange, visitor);
      return requestOf(own, exchange, visitor, address);
    },
  };
  return (app, entrance) => serveSockets(parts, app, entrance);
}
