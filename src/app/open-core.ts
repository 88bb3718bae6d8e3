import { existsSync } from "node:fs";
import { join } from "node:path";
import { serverWarnings } from "../config/checks.ts";
import { ownOrigins, publicUrlOf, tlsFilesOf } from "../config/public-url.ts";
import { SPOOL_DIR } from "../core/data-dir.ts";
import { once } from "../core/once.ts";
import { Idempotency } from "../http/api/idempotency.ts";
import { BodyReader } from "../http/body/body.ts";
import { RateLimiter } from "../http/limits/rate-limiter.ts";
import { WorkBudget } from "../http/limits/work-budget.ts";
import { AccessLog } from "../http/server/access-log.ts";
import { tracedAuthenticator } from "../http/server/credentials.ts";
import { clientAddressReader, UntrustedForwards } from "../http/server/headers.ts";
import { HttpKernel } from "../http/server/kernel.ts";
import { DescriptorWatch, HttpListener } from "../http/server/listener.ts";
import { Router } from "../http/server/router.ts";
import { HSTS_LINE } from "../http/server/tls.ts";
import { Connections } from "../live/connections.ts";
import { Hub } from "../live/hub.ts";
import { Presence } from "../live/presence.ts";
import type { StreamHistory } from "../live/stream.ts";
import type { FeatureCore, Offers } from "../module/feature.ts";
import type { Base } from "./open-store.ts";

/** Offers that requests and live connections need; the features open later. */
type Asked = () => Pick<Offers, "principals" | "projects" | "realtimeAccess" | "streamHistory">;

/** Services that every feature may use: the base, HTTP and live connections. Nothing listens yet. */
export function openCore(base: Base, isForCommand: boolean, asked: Asked): FeatureCore {
  const { config, settings, clock, log, metrics, reader, store, committer, listening } = base;
  const { sequences } = committer;
  const listener = new HttpListener(tlsFilesOf(config));
  const router = new Router();
  const bodies = new BodyReader(config.ingest.highWaterBytes);
  const httpLog = log.namespace("http");
  const authLog = log.namespace("auth");
  const forwards = new UntrustedForwards(httpLog);
  const work = new WorkBudget({
    ...{ clock, metrics, limits: () => settings.work },
    ownerOf: (projectId) => asked().projects.ownerOf(projectId),
  });
  const idempotency = new Idempotency(base.database, reader, clock, store.auditKey);
  const kernel = new HttpKernel({
    ...{ router, bodies, work },
    authenticator: once(() => tracedAuthenticator(asked().principals, authLog)),
    limiter: new RateLimiter(clock),
    accessLog: new AccessLog(httpLog, metrics),
    readAddress: clientAddressReader(config.trustedProxies, (peer) => forwards.add(peer)),
    acceptsChunked: config.chunkedBodies,
    takesSpooled: base.cluster !== null || existsSync(join(config.dataDir, SPOOL_DIR)),
    ...(listener.isTls ? { transportHeaders: HSTS_LINE } : {}),
    cors: () => settings.cors,
    limits: () => settings.rateLimit,
    faces: () => settings.faces,
    idempotency,
  });
  const presence = new Presence();
  const connections = new Connections({
    ...{ limits: config.realtime, presence, clock, log: log.namespace("realtime") },
    access: { refresh: (principal) => asked().realtimeAccess.refresh(principal) },
  });
  const heads = { events: sequences.events.last, log: sequences.streams.last };
  const history: StreamHistory = {
    read: (...range) => asked().streamHistory.read(...range),
    gaps: (...range) => asked().streamHistory.gaps(...range),
    last: (...stream) => asked().streamHistory.last(...stream),
  };
  return {
    ...{ reader, committer, store, clock, log, metrics, config, settings, isForCommand },
    ...{ presence, connections, kernel, router, listener, bodies, work, forwards },
    descriptors: new DescriptorWatch(listener, httpLog),
    ...{
      startedAt: base.startedAt,
      audit: base.audit,
      storage: base.storage,
      box: base.box,
      readsOnly: base.readsOnly,
      isReplicated: base.isReplicated,
      sharedFiles: base.cluster?.files ?? null,
    },
    db: base.database,
    events: base.bus,
    hub: new Hub(history, heads, work.replays, (counter) =>
      counter === "events" ? sequences.events.last : sequences.streams.last,
    ),
    idempotency,
    auditKey: store.auditKey,
    publicUrl: () => publicUrlOf(settings.current, listening.port),
    allowsOrigin: (origin) =>
      settings.cors.allows(origin) || ownOrigins(settings.current, listening.port).includes(origin),
  };
}

/** Problems of settings, files and proxies. */
export function warningsOf(
  { warnings, settings, store, clockTrust, cluster }: Base,
  { forwards }: FeatureCore,
): string[] {
  const found = [...warnings, ...serverWarnings(settings.current), ...store.warnings];
  const ofCluster = cluster?.conditions().flatMap(({ text, isDue }) => (isDue ? [text] : [])) ?? [];
  return [...found, ...ofCluster, clockTrust.warning, forwards.warning].filter((text) => text !== null);
}
