import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Config } from "../config/load.ts";
import { AccessLog } from "../http/access-log.ts";
import { clientAddressReader } from "../http/client-address.ts";
import { HttpKernel, type KernelParts } from "../http/kernel.ts";
import { RateLimiter } from "../http/rate-limiter.ts";
import { HSTS_LINE } from "../http/tls.ts";
import { tracedAuthenticator } from "../http/traced-authenticator.ts";
import type { Principals } from "./access/principals.ts";
import type { LiveSettings } from "./live-settings.ts";

interface OpenKernelParts extends Pick<KernelParts, "router" | "bodies"> {
  readonly config: Config;
  readonly settings: LiveSettings;
  readonly principals: Principals;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly isTls: boolean;
}

/** The way of requests, as the configuration wants it. */
export function openKernel(parts: OpenKernelParts): HttpKernel {
  const { router, bodies, config, settings, principals, clock, log, metrics, isTls } = parts;
  const httpLog = log.namespace("http");
  return new HttpKernel({
    router,
    bodies,
    authenticator: tracedAuthenticator(principals, log.namespace("auth")),
    limiter: new RateLimiter(clock),
    accessLog: new AccessLog(httpLog, metrics),
    readAddress: clientAddressReader(config.trustedProxies, (peer) =>
      httpLog.warn(
        { peer },
        "X-Forwarded-For from a peer that is not in trustedProxies; its clients count as one address",
      ),
    ),
    acceptsChunked: config.chunkedBodies,
    ...(isTls ? { transportHeaders: HSTS_LINE } : {}),
    cors: () => settings.cors,
    limits: () => settings.rateLimit,
  });
}
