import type { TestContext } from "node:test";
import type { Principal } from "../../../src/core/caller.ts";
import { Metrics } from "../../../src/core/metrics.ts";
import { type Route, route, undescribed } from "../../../src/http/api/route.ts";
import { BodyReader, type BodyTimes } from "../../../src/http/body/body.ts";
import { RateLimiter } from "../../../src/http/limits/rate-limiter.ts";
import { WorkBudget, type WorkLimits } from "../../../src/http/limits/work-budget.ts";
import { CorsPolicy } from "../../../src/http/server/access.ts";
import { AccessLog } from "../../../src/http/server/access-log.ts";
import type { Authenticator } from "../../../src/http/server/credentials.ts";
import { clientAddressReader } from "../../../src/http/server/headers.ts";
import { HttpKernel, type RequestLimits } from "../../../src/http/server/kernel.ts";
import { HttpListener } from "../../../src/http/server/listener.ts";
import { type FaceHosts, Faces } from "../../../src/http/server/live-settings.ts";
import { Router } from "../../../src/http/server/router.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { LogLines } from "../../helpers/log-lines.ts";

/** `GET /ping` answers `pong`. */
export const ping = route({
  method: "GET",
  path: "/ping",
  summary: "",
  tag: "test",
  access: "public",
  response: undescribed,
  handle: () => "pong",
});

export interface BareKernelOptions {
  readonly routes: readonly Route[];
  readonly authenticate?: Authenticator["authenticate"];
  readonly limits?: Partial<RequestLimits>;
  readonly trustedProxies?: readonly string[];
  readonly bodyTimes?: BodyTimes;
  readonly maxBufferedBytes?: number;
  readonly corsOrigins?: readonly string[];
  readonly maxBuckets?: number;
  readonly acceptsChunked?: boolean;
  readonly faces?: FaceHosts;
  readonly work?: Partial<WorkLimits>;
}

export interface BareKernel {
  readonly port: number;
  readonly kernel: HttpKernel;
  readonly listener: HttpListener;
  readonly bodies: BodyReader;
  readonly work: WorkBudget;
  readonly log: LogLines;
  readonly clock: FakeClock;
}

/** The HTTP kernel on a real socket, with the test's own routes and no features. */
export function startBareKernel(t: TestContext, options: BareKernelOptions): BareKernel {
  const router = new Router();
  for (const route of options.routes) router.add(route);
  const log = new LogLines();
  const clock = new FakeClock();
  const bodies = new BodyReader(options.maxBufferedBytes ?? 67_108_864, options.bodyTimes);
  const limits = { global: undefined, enabled: true, ip: 600, user: 6000, key: 6_000_000, ...options.limits };
  const cors = new CorsPolicy(options.corsOrigins, true);
  const faces = new Faces(options.faces ?? {});
  const work = new WorkBudget({
    ...{ clock, metrics: new Metrics(), ownerOf: () => null },
    limits: () => ({ projectMsPerSecond: 100, creatorMsPerSecond: 200, allMsPerSecond: 500, ...options.work }),
  });
  const kernel = new HttpKernel({
    work,
    router,
    authenticator: () => ({ authenticate: options.authenticate ?? (() => testUser()) }),
    bodies,
    limiter: new RateLimiter(clock, options.maxBuckets),
    accessLog: new AccessLog(log, new Metrics()),
    idempotency: { runOnce: (exchange, route, input) => route.handle(exchange, input) },
    readAddress: clientAddressReader(options.trustedProxies ?? []),
    ...(options.acceptsChunked === undefined ? {} : { acceptsChunked: options.acceptsChunked }),
    cors: () => cors,
    limits: () => limits,
    faces: () => faces,
  });
  const listener = new HttpListener();
  listener.serve((res, req) => kernel.handle(res, req));
  const port = listener.listen("127.0.0.1", 0);
  t.after(() => listener.close());
  return { port, kernel, listener, bodies, work, log, clock };
}

export function testUser(userId = "someone"): Principal {
  return {
    key: `user:${userId}`,
    kind: "user",
    userId,
    name: userId,
    roleIds: new Set(),
    permissions: new Set(),
    memberships: new Map(),
    tokenId: null,
    sessionId: null,
    tokenScopes: null,
    expiresAt: Number.POSITIVE_INFINITY,
  };
}
