import * as v from "valibot";
import { PrismError } from "../../base/errors.ts";
import { secretsEqual } from "../../base/tokens.ts";
import { requireAccess } from "../../http/access.ts";
import type { Exchange } from "../../http/exchange.ts";
import { openApiDocument } from "../../http/openapi.ts";
import { ANSWERS_LATER, Reply, route } from "../../http/route.ts";
import { DevGate } from "../../services/dev-gate.ts";
import type { AppModule, CoreServices } from "../../services/module.ts";
import { DOCS_PAGES, sendCompressed, sendPage } from "./docs.ts";
import { Health } from "./health.ts";
import { systemStatus } from "./status.ts";

const tag = "Operations";
const STATUS_ACCESS = { permission: "system:status" } as const;

/** Health, status, metrics and the API's own description (contract 4.12, 13). */
const operations: AppModule = {
  name: "operations",
  version: "1.0.0",
  register(server, services) {
    const { system, config } = services;
    const health = new Health(services);
    const gate = new DevGate(config, system.settings);

    server.route(
      route({
        method: "GET",
        path: "/health",
        aliases: ["/api/v1/health"],
        summary: "Whether the server can do its work",
        tag,
        access: "public",
        unlimited: true,
        quiet: true,
        response: v.object({
          status: v.picklist(["ok", "degraded", "unavailable"]),
          version: v.string(),
          uptimeMs: v.number(),
          db: v.picklist(["ok", "failed"]),
          redis: v.literal("ok"),
          checks: v.record(v.string(), v.unknown()),
        }),
        async handle() {
          const { httpStatus, body } = await health.summary();
          return new Reply(httpStatus, body);
        },
      }),
    );
    server.route(
      route({
        method: "GET",
        path: "/health/live",
        summary: "200 while the event loop runs",
        tag,
        access: "public",
        unlimited: true,
        quiet: true,
        response: v.object({ status: v.literal("ok") }),
        handle: () => ({ status: "ok" }),
      }),
    );
    server.route(
      route({
        method: "GET",
        path: "/health/ready",
        summary: "503 while starting, stopping, or when the database cannot be written",
        tag,
        access: "public",
        unlimited: true,
        quiet: true,
        response: v.object({ status: v.picklist(["ok", "unavailable"]) }),
        async handle() {
          const isReady = !system.kernel.isDraining && (await health.database()).ok;
          return new Reply(isReady ? 200 : 503, { status: isReady ? "ok" : "unavailable" });
        },
      }),
    );
    server.route(
      route({
        method: "GET",
        path: "/health/db",
        summary: "The database, asked at most once a second",
        tag,
        access: "public",
        unlimited: true,
        quiet: true,
        response: v.object({ status: v.picklist(["ok", "failed"]), latencyMs: v.number() }),
        async handle() {
          const { ok, latencyMs } = await health.database();
          return new Reply(ok ? 200 : 503, { status: ok ? "ok" : "failed", latencyMs });
        },
      }),
    );
    server.route(
      route({
        method: "GET",
        path: "/health/redis",
        summary: "The embedded broker, for probes that ask for Redis",
        tag,
        access: "public",
        unlimited: true,
        quiet: true,
        response: v.object({ status: v.literal("ok"), mode: v.literal("embedded"), latencyMs: v.number() }),
        handle: () => ({ status: "ok", mode: "embedded", latencyMs: 0 }),
      }),
    );
    server.route(
      route({
        method: "GET",
        path: "/api/v1/status",
        summary: "Database, queues, live connections, consumers",
        tag,
        access: STATUS_ACCESS,
        response: v.record(v.string(), v.unknown()),
        handle: () => systemStatus(services),
      }),
    );
    server.route(
      route({
        method: "GET",
        path: "/metrics",
        summary:
          "Prometheus metrics: for system:status or the configured token; in development for callers on this machine",
        tag,
        access: "public",
        response: { contentType: "text/plain", description: "Prometheus text format 0.0.4" },
        errors: ["UNAUTHENTICATED", "UNAUTHORIZED_ROLE"],
        async handle(exchange) {
          await requireMetricsAccess(exchange, services, gate);
          exchange.send(200, system.metrics.render(), { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
          return ANSWERS_LATER;
        },
      }),
    );

    let document: Buffer | null = null;
    const docsAccess = config.docsPublic ? ("public" as const) : {};
    server.route(
      route({
        method: "GET",
        path: "/api/v1/openapi.json",
        aliases: ["/openapi.json"],
        summary: "This document",
        tag,
        access: docsAccess,
        response: { contentType: "application/json", description: "OpenAPI 3.1" },
        handle(exchange) {
          document ??= Buffer.from(JSON.stringify(openApiDocument(system.router.mounts, system.version)));
          sendCompressed(exchange, "openapi", "application/json; charset=utf-8", () => document ?? Buffer.alloc(0));
          return ANSWERS_LATER;
        },
      }),
    );
    for (const path of Object.keys(DOCS_PAGES)) {
      server.route(
        route({
          method: "GET",
          path,
          summary: "The API's documentation as a page",
          tag,
          access: docsAccess,
          undocumented: path !== "/docs",
          response: { contentType: "text/html", description: "Swagger UI, served from the program itself" },
          handle: (exchange) => sendPage(exchange, path),
        }),
      );
    }
  },
};

/** @throws UNAUTHENTICATED, UNAUTHORIZED_ROLE */
async function requireMetricsAccess(
  exchange: Exchange,
  { config, system }: CoreServices,
  gate: DevGate,
): Promise<void> {
  const authorization = exchange.header("authorization");
  if (authorization === "" && exchange.header("x-api-key") === "" && gate.allows(exchange)) return;
  const token = config.metricsToken;
  if (token !== undefined && secretsEqual(authorization, `Bearer ${token}`)) return;
  const principal = await system.kernel.authenticate(exchange);
  if (principal.kind === "apiKey") throw new PrismError("FORBIDDEN", "API keys cannot be used here");
  requireAccess(STATUS_ACCESS, principal);
}

export default operations;
