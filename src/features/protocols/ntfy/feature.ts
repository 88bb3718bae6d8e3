import type { TemplatedApp } from "uWebSockets.js";
import type { Entrance } from "../../../http/server/live-settings.ts";
import { feature } from "../../../module/feature.ts";
import { enqueueMail } from "../../delivery/index.ts";
import { accessRoutes } from "./access-routes.ts";
import { NtfyApi } from "./api.ts";
import { errorBodyOf } from "./errors.ts";
import { tokenImport } from "./import-tokens.ts";
import { attachmentSweep, DELETE_TOPIC_KIND, type DeletedTopic, NTFY_SWEEPS, removeMessages } from "./retention.ts";
import { countVisitor, Ntfy, type NtfyContext, PREFIX, requestOf, subscriberParts } from "./service.ts";
import { type NtfySocketParts, serveSockets } from "./subscribe/sockets.ts";
import { topicRoutes } from "./topic-routes.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    ntfy: Ntfy;
  }
}

/** The API of ntfy (docs/ntfy.md), and the topics in Prism's own. */
export const ntfyFeature = feature("ntfy", {
  needs: ["projects", "principals", "users", "realtime", "passwordOwner", "jobs", "runner", "ingest"],
  open: (context) => ({
    ntfy: new Ntfy({
      ...context,
      requireSpace: () => context.storage.requireSpace(),
      enqueueMail: (mail, trx) => enqueueMail(context, mail, trx),
    }),
  }),
  prepare: ({ ntfy }) => ntfy.prepare(),
  start: ({ ntfy }) => ntfy.start(),
  stop: ({ ntfy }) => ntfy.stop(),
  effects: ({ ntfy }) => ({
    "ntfy-topics-changed": (change) => ntfy.topicsChanged(change),
    "rights-changed": ({ of }) => {
      if (of === "project") ntfy.mirrorsChanged();
    },
    "ntfy-access-changed": (change) => ntfy.accessChanged(change),
    "ntfy-scheduled": ({ id, dueAt }) => ntfy.publisher.due.set(id, dueAt),
  }),
  load: ({ ntfy }) => ntfy.load(),
  dueWork: ({ ntfy }) => [ntfy.publisher.due],
  register(server, context) {
    const { kernel, listener, ntfy, runner, db } = context;
    runner.handle(DELETE_TOPIC_KIND, (job, signal) => removeMessages(db, job.payload as DeletedTopic, signal));
    kernel.addDialect({
      ...{ prefix: `${PREFIX}/`, errorBody: errorBodyOf, challenges: false, allowsHeaders: "*, Authorization" },
    });
    const api = new NtfyApi(context, { ...context, attachments: ntfy.attachments, cacheMs: ntfy.cacheMs });
    for (const each of api.routes()) server.route(each);
    for (const each of topicRoutes(context)) server.route(each);
    for (const each of accessRoutes(context)) server.route(each);
    server.route(tokenImport(context));
    listener.mount(sockets(context));
  },
  configKinds: async (context) => (await import("./config-kind.ts")).ntfyKinds(context),
  sweeps: ({ ntfy }) => [...NTFY_SWEEPS, attachmentSweep(ntfy.attachments)],
});

/** Mounts the WebSockets on an app. */
function sockets(own: NtfyContext): (app: TemplatedApp, entrance: Entrance) => void {
  const { ntfy, kernel, router } = own;
  const parts: NtfySocketParts = {
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
