import * as v from "valibot";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { VERSION } from "../../../core/runtime.ts";
import { documentName, storedDocument } from "../../../http/api/openapi/stored.ts";
import { pageHandler } from "../../../http/api/replies.ts";
import { ANSWERS_LATER, route } from "../../../http/api/route.ts";
import { doc } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { mayKnowServer } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { type Context, type FeatureCore, type FeatureServer, feature } from "../../../module/feature.ts";
import { DevGate } from "../../access/index.ts";
import type { JobCount } from "../../time/jobs/index.ts";
import { API_PAGES, CLIENT_SCRIPT, imageHandler, jsonPage, MANUAL_STYLE, manualHandler, searchReply } from "./docs.ts";
import { serverFindings } from "./findings.ts";
import { INDEX } from "./manual.ts";
import { Health, probeReply, type StatusParts, systemStatus } from "./status.ts";
import { registerSystemMetrics } from "./system-metrics.ts";
import { SystemNotices } from "./system-notices.ts";

const tag = "Operations";
const PROBE = { method: "GET", tag, access: "public", unlimited: true, quiet: true } as const;

/** Health, status, metrics and the API's own description. */
export const operationsFeature = feature("operations", {
  needs: [
    "cluster",
    "projects",
    "runner",
    "channels",
    "circuits",
    "pages",
    "pusher",
    "loaded",
    "consumers",
    "rules",
    "pipeline",
    "watch",
    "backlog",
    "ownWarnings",
    "realtime",
    "principals",
    "reads",
    "findings",
    "countJobs",
  ],
  findings: serverFindings,
  open: (context) => {
    registerSystemMetrics(context);
    return {};
  },
  register(server, context) {
    const probes = new Health(context);
    serveHealth(server, context, probes);
    serveStatus(server, probes, context);
    serveMetrics(server, context);
    serveDocs(server, context);
    serveClient(server);
    new SystemNotices(context);
  },
});

function serveHealth(server: FeatureServer, { kernel }: FeatureCore, health: Health): void {
  server.route({
    ...PROBE,
    path: "/health",
    aliases: ["/api/v1/health"],
    id: "getHealth",
    summary: "Check whether the server can work; 503 when it cannot",
    returns: "State of the server and its parts",
    otherStatuses: [503],
    response: v.object({
      status: v.picklist(["ok", "degraded", "unavailable"]),
      version: doc(v.optional(v.string()), "Only for signed-in callers and programs on this machine"),
      uptimeMs: v.number(),
      db: v.picklist(["ok", "failed"]),
      redis: v.literal("ok"),
      checks: v.record(v.string(), v.unknown()),
    }),
    handle: async (exchange) => health.summary(await mayKnowServer(kernel, exchange)),
  });
  server.route({
    ...PROBE,
    path: "/health/live",
    id: "getLiveness",
    summary: "Answer 200 while the event loop runs",
    returns: "The server runs",
    response: v.object({ status: v.literal("ok") }),
    handle: () => ({ status: "ok" }) as const,
  });
  server.route({
    ...PROBE,
    path: "/health/ready",
    id: "getReadiness",
    summary: "Answer 503 while the server starts or stops, or cannot write the database",
    returns: "Whether requests are accepted",
    otherStatuses: [503],
    response: v.object({ status: v.picklist(["ok", "unavailable"]) }),
    async handle() {
      const isReady = !kernel.requests.isDraining && (await health.database()).ok;
      return probeReply(isReady, { status: isReady ? "ok" : "unavailable" } as const);
    },
  });
  server.route({
    ...PROBE,
    path: "/health/db",
    id: "getDatabaseHealth",
    summary: "Check the database, at most once a second; 503 when it cannot be written",
    returns: "State of the database",
    otherStatuses: [503],
    response: v.object({ status: v.picklist(["ok", "failed"]), latencyMs: v.number() }),
    async handle() {
      const { ok, latencyMs } = await health.database();
      return probeReply(ok, { status: ok ? "ok" : "failed", latencyMs } as const);
    },
  });
  server.route({
    ...PROBE,
    path: "/health/redis",
    id: "getBrokerHealth",
    summary: "Check the embedded broker, for probes that expect Redis",
    returns: "State of the broker",
    response: v.object({ status: v.literal("ok"), mode: v.literal("embedded"), latencyMs: v.number() }),
    handle: () => ({ status: "ok", mode: "embedded", latencyMs: 0 }) as const,
  });
}

function serveStatus(server: FeatureServer, probes: Health, parts: StatusParts): void {
  server.route({
    method: "GET",
    path: "/api/v1/status",
    id: "getStatus",
    summary: "Get the state of database, queues, live connections and consumers",
    returns: "State of the parts of the server",
    tag,
    access: { permission: "system:status" },
    response: v.record(v.string(), v.unknown()),
    handle: (exchange) => systemStatus(probes, parts, holderOf(exchange)),
  });
}

function serveMetrics(
  server: FeatureServer,
  { settings, metrics, runner, countJobs, log }: Context<"runner" | "countJobs">,
): void {
  let jobs: readonly JobCount[] = [];
  metrics.gauge("prism_jobs", "Unfinished and dead jobs by queue and state", () =>
    jobs.map(({ queue, state, n }) => [{ queue, state }, n] as const),
  );
  metrics.gauge("prism_queue_paused", "1 while an operator has paused the queue", () =>
    runner.queueNames.map((queue) => [{ queue }, Number(runner.isPaused(queue))] as const),
  );
  const { metricsToken } = settings.current;
  const gate = new DevGate(settings);
  const hasToken = (authorization: string): boolean =>
    metricsToken !== undefined && secretsEqual(authorization, `Bearer ${metricsToken}`);
  const admits = (exchange: Exchange): boolean => {
    const authorization = exchange.header("authorization");
    const isBare = authorization === "" && exchange.header("x-api-key") === "";
    return isBare ? gate.allows(exchange) : hasToken(authorization);
  };
  server.route({
    method: "GET",
    path: "/metrics",
    id: "getMetrics",
    summary: "Get metrics in the Prometheus format",
    details: "Also with the metrics token, and without credentials on the machine of a server in development.",
    tag,
    access: { permission: "system:status", admits },
    response: { contentType: "text/plain", description: "Prometheus text format 0.0.4" },
    async handle(exchange) {
      // The other figures are worth having while the table cannot be read.
      jobs = await countJobs().catch((error: unknown) => {
        log.warn({ err: error }, "cannot count the jobs");
        return [];
      });
      exchange.send(200, metrics.render(), { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
      return ANSWERS_LATER;
    },
  });
}

function serveDocs(server: FeatureServer, { config, router, settings }: FeatureCore): void {
  const access = config.docsPublic ? ("public" as const) : { anyToken: true as const };
  const document = jsonPage(
    async () => {
      const parts = [router.mounts, VERSION, settings.rateLimit] as const;
      const stored = storedDocument(documentName(...parts));
      if (stored) return stored;
      // Loaded late: it converts all schemas, and most servers have the stored one.
      const { openApiDocument } = await import("../../../http/api/openapi/document.ts");
      return Buffer.from(JSON.stringify(openApiDocument(...parts)));
    },
    () => router.loadedState,
  );
  server.route({
    method: "GET",
    path: "/api/v1/openapi.json",
    aliases: ["/openapi.json"],
    id: "getOpenApiDocument",
    summary: "Get this document",
    returns: "The OpenAPI document",
    tag,
    access,
    response: v.looseObject({ openapi: v.string(), info: v.looseObject({}), paths: v.looseObject({}) }),
    handle: pageHandler(document),
  });
  for (const [path, page] of [...API_PAGES, ["/docs/manual.css", MANUAL_STYLE] as const]) {
    server.route(
      route({
        method: "GET",
        path,
        id: "getApiPage",
        summary: "Get the API reference as a page",
        tag,
        access,
        undocumented: path !== "/docs/api",
        response: { contentType: "text/html", description: "The API reference, served by the program itself" },
        handle: pageHandler(page),
      }),
    );
  }
  server.route({
    method: "GET",
    path: "/docs/search",
    summary: "Search the documentation",
    tag,
    access,
    undocumented: true,
    response: { contentType: "text/html", description: "The sections that were found" },
    handle: searchReply,
  });
  serveManual(server, access);
  serveImages(server, access);
}

/** The pages of docs/, which `prism docs` prints, as HTML. */
function serveManual(server: FeatureServer, access: "public" | { readonly anyToken: true }): void {
  const handle = manualHandler();
  for (const [path, prefix] of [
    ["/docs", INDEX],
    ["/docs/:topic", ""],
    ["/docs/decisions/:topic", "decisions/"],
    ["/docs/integrations/:topic", "integrations/"],
  ] as const) {
    server.route(
      route({
        method: "GET",
        path,
        id: "getDocumentation",
        summary: "Get the index of the documentation as a page",
        tag,
        access,
        undocumented: path !== "/docs",
        errors: path === "/docs" ? [] : ["NOT_FOUND"],
        response: { contentType: "text/html", description: "A page of the documentation" },
        handle: (exchange) => handle(exchange, prefix === INDEX ? INDEX : prefix + exchange.params["topic"]),
      }),
    );
  }
}

function serveImages(server: FeatureServer, access: "public" | { readonly anyToken: true }): void {
  const handle = imageHandler();
  server.route({
    method: "GET",
    path: "/docs/images/:name",
    summary: "Get a screenshot of the documentation",
    tag,
    access,
    undocumented: true,
    errors: ["NOT_FOUND"],
    response: { contentType: "image/png", description: "A screenshot" },
    handle: (exchange) => handle(exchange, exchange.params["name"] ?? ""),
  });
}

function serveClient(server: FeatureServer): void {
  server.route({
    method: "GET",
    path: "/prism-client.js",
    id: "getClientLibrary",
    summary: "Get the client library for browsers as an ES module",
    tag,
    access: "public",
    response: { contentType: "text/javascript", description: "The library prism-client of this version" },
    handle: pageHandler(CLIENT_SCRIPT),
  });
}
