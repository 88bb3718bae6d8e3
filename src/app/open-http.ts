import { tlsFilesOf } from "../config/public-url.ts";
import { AccessLog } from "../http/access-log.ts";
import { BodyReader } from "../http/body.ts";
import { clientAddressReader, UntrustedForwards } from "../http/client-address.ts";
import { tracedAuthenticator } from "../http/credentials.ts";
import { HttpKernel } from "../http/kernel.ts";
import { HttpListener } from "../http/listener.ts";
import { RateLimiter } from "../http/rate-limiter.ts";
import { Router } from "../http/router.ts";
import { HSTS_LINE } from "../http/tls.ts";
import type { WorkBudget } from "../http/work-budget.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** Answers requests; nothing listens yet. */
export interface Http {
  readonly listener: HttpListener;
  readonly router: Router;
  /** Counts the bytes of all bodies in memory. */
  readonly bodies: BodyReader;
  readonly kernel: HttpKernel;
  /** What requests may cost on the main thread. */
  readonly work: WorkBudget;
  readonly forwards: UntrustedForwards;
}

export function openHttp({ config, settings, clock, log, metrics }: Base, { access, work }: Core): Http {
  const listener = new HttpListener(tlsFilesOf(config));
  const router = new Router();
  const bodies = new BodyReader(config.ingest.highWaterBytes);
  const httpLog = log.namespace("http");
  const forwards = new UntrustedForwards(httpLog);
  const kernel = new HttpKernel({
    ...{ router, bodies, work },
    authenticator: tracedAuthenticator(access.principals, log.namespace("auth")),
    limiter: new RateLimiter(clock),
    accessLog: new AccessLog(httpLog, metrics),
    readAddress: clientAddressReader(config.trustedProxies, (peer) => forwards.add(peer)),
    acceptsChunked: config.chunkedBodies,
    ...(listener.isTls ? { transportHeaders: HSTS_LINE } : {}),
    cors: () => settings.cors,
    limits: () => settings.rateLimit,
    faces: () => settings.faces,
  });
  return { listener, router, bodies, kernel, work, forwards };
}
