import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test, { after, before, type TestContext } from "node:test";
import type { Mount } from "../../src/http/server/router.ts";
import { eventually } from "../helpers/eventually.ts";
import { TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { HOOK_PATH } from "./support/access/channels.ts";
import { GOTIFY_PATHS } from "./support/access/gotify.ts";
import { ACCESS } from "./support/access/index.ts";
import { INTEGRATION_PATHS } from "./support/access/integrations.ts";
import type { Known } from "./support/access/known.ts";
import { NTFY_PATHS } from "./support/access/ntfy.ts";
import { DOOR_PATHS } from "./support/access/receivers.ts";
import { STATUS_PATHS } from "./support/access/status-page.ts";
import { type AccessWorld, adminOf, makeAccessWorld } from "./support/access/world.ts";
import { ALERTMANAGER_PATHS } from "./support/alertmanager-paths.ts";
import { errorCodeOf, RawConnection, requestText } from "./support/raw-connection.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** Pings are accepted by each method. */
const PING_PATHS = ["/ping/:target", "/ping/:target/", "/ping/:target/:slug", "/ping/:target/:slug/:action"].flatMap(
  (path) => METHODS.map(() => path),
);

/** The management API of Healthchecks. */
const CHECK_PATHS = [
  "/healthchecks/api/v3/badges",
  "/healthchecks/api/v3/channels",
  ...["", "", "/:code", "/:code", "/:code", "/:code/flips", "/:code/pause", "/:code/pings", "/:code/pings/:n/body"].map(
    (rest) => `/healthchecks/api/v3/checks${rest}`,
  ),
  "/healthchecks/api/v3/checks/:code/resume",
  "/healthchecks/api/v3/status",
  "/projects/:project/metrics/",
  "/projects/:project/metrics/:key",
];

let prism: TestPrism;
let world: AccessWorld;
let admin: Known;
let credential: string;

before(async () => {
  prism = await TestPrism.start({ settings: { "rateLimit.enabled": "false" } });
  world = await makeAccessWorld(prism);
  const caller = adminOf(world);
  admin = caller;
  credential = `Authorization: ${caller.headers["Authorization"]}`;
});

after(async () => {
  await prism.stop();
  rmSync(prism.dir, { recursive: true, force: true });
});

/** What each path of the router serves. */
function methodsByPath(): Map<string, Mount[]> {
  const paths = new Map<string, Mount[]>();
  for (const mount of prism.parts.core.router.mounts) {
    paths.set(mount.path, [...(paths.get(mount.path) ?? []), mount]);
  }
  return paths;
}

function allowOf(mounts: readonly Mount[]): string {
  const methods: string[] = mounts.map(({ route }) => route.method);
  return [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].sort().join(", ");
}

/** A path that exists, with invalid parameters. */
const filled = (path: string): string => path.replace(/:\w+/g, "none");

/**
 * The connection is as good as new: another request on it is answered, and nothing else had come.
 */
async function goesOn(connection: RawConnection): Promise<void> {
  connection.send(requestText("GET", "/health/live"));
  assert.equal((await connection.reply()).status, 200, "the next request on the connection");
  assert.equal(connection.unread, "");
}

test("S2-07, S0-02: canonical paths are under /api/v1, but for those that the contract names absolutely", (t) => {
  keepsPromise(t, ["S0-02", "S2-07"]);
  const absolute = prism.parts.core.router.mounts
    .filter(({ isAlias, path }) => !isAlias && !path.startsWith("/api/v1/"))
    .map(({ path }) => path);
  const listed = [
    "/",
    ...["acknowledge", "acknowledge"].map((page) => `/account/${page}`),
    ...["invite", "project-invitation", "reset-password"].map((page) => `/account/${page}`),
    ...["unsubscribe", "unsubscribe", "verify-email"].map((page) => `/account/${page}`),
    ...Array.from({ length: 5 }, () => "/api/push/:token"),
    "/api/v2/heartbeat/:uuid",
    "/app/:key",
    "/apps/:appId/batch_events",
    "/apps/:appId/channels",
    "/apps/:appId/channels/:name",
    "/apps/:appId/channels/:name/users",
    "/apps/:appId/events",
    "/apps/:appId/users/:id/terminate_connections",
    "/auth/oidc/:name",
    "/auth/oidc/:name/backchannel-logout",
    "/auth/oidc/:name/callback",
    "/b/:states/:file",
    "/badge/:key/:file",
    "/badge/:key/:signature/:file",
    "/dashboard",
    "/dashboard/",
    "/dashboard/:part0",
    "/dashboard/:part0/:part1",
    "/dashboard/:part0/:part1/:part2",
    "/dashboard/:part0/:part1/:part2/:part3",
    "/dashboard/assets/:name",
    "/dev/token",
    "/docs",
    "/docs/:topic",
    "/docs/api",
    "/docs/decisions/:topic",
    "/docs/integrations/:topic",
    "/docs/images/:name",
    "/docs/init.js",
    "/docs/manual.css",
    "/docs/search",
    "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css",
    ...CHECK_PATHS,
    "/health",
    "/health/db",
    "/health/live",
    "/health/ready",
    "/health/redis",
    ...Array.from({ length: 2 }, () => "/integrations/v1/:type/:token"),
    ...Array.from({ length: 2 }, () => "/integrations/v1/:type/:token/heartbeat"),
    "/media/sounds/:id",
    "/metrics",
    ...PING_PATHS,
    "/prism-client.js",
    "/socket.io/",
    "/socket.io/",
    "/socket.io/",
    ...Array.from({ length: 3 }, () => "/v2/heartbeats/:name/ping"),
    "/ws",
    "/ws/updates",
    ...ALERTMANAGER_PATHS,
    ...INTEGRATION_PATHS,
    HOOK_PATH,
    ...DOOR_PATHS,
    ...GOTIFY_PATHS,
    ...STATUS_PATHS,
    ...NTFY_PATHS,
  ];
  assert.deepEqual(absolute.sort(), listed.sort());
});

test("S2-100: every path answers OPTIONS with its methods, without credentials, and keeps the connection", async (t) => {
  keepsPromise(t, "S2-100");
  for (const [path, mounts] of methodsByPath()) {
    await t.test(path, async (t) => {
      const connection = await RawConnection.open(t, prism.app.port);
      for (const fields of [
        [],
        [credential],
        ["Origin: https://elsewhere.example", "Access-Control-Request-Method: GET"],
      ]) {
        connection.send(requestText("OPTIONS", filled(path), fields));
        const { status, headers, body } = await connection.reply("OPTIONS");
        assert.deepEqual([status, headers.get("allow"), body], [204, allowOf(mounts), ""]);
      }
      await goesOn(connection);
    });
  }
});

test("S2-100: every path answers 405 with its methods to any other, before it asks who is calling", async (t) => {
  keepsPromise(t, "S2-100");
  for (const [path, mounts] of methodsByPath()) {
    await t.test(path, async (t) => {
      const connection = await RawConnection.open(t, prism.app.port);
      const served: readonly string[] = mounts.map(({ route }) => route.method);
      for (const method of [...METHODS, "TRACE", "PROPFIND"].filter((each) => !served.includes(each))) {
        connection.send(
          requestText(method, filled(path), ["Content-Type: application/json"], method === "GET" ? undefined : "{}"),
        );
        const reply = await connection.reply(method);
        assert.deepEqual([reply.status, errorCodeOf(reply)], [405, "METHOD_NOT_ALLOWED"], method);
        assert.equal(reply.headers.get("allow"), allowOf(mounts), method);
      }
      if (!served.includes("GET")) {
        connection.send(requestText("HEAD", filled(path)));
        assert.equal((await connection.reply("HEAD")).status, 405);
      }
      await goesOn(connection);
    });
  }
});

test("S2-100: every GET answers HEAD with the same head, served or refused, and keeps the connection", async (t) => {
  keepsPromise(t, "S2-100");
  for (const mount of prism.parts.core.router.mounts) {
    if (mount.route.method !== "GET") continue;
    await t.test(mount.path, async (t) => {
      const [row] = ACCESS[`GET ${mount.route.path}`] ?? [];
      const request = await row?.request(world, admin, true);
      const isStream = request?.method === "HEAD" && /\/(sse|stream)$/.test(mount.path);
      const target = mount.isAlias ? filled(mount.path) : (request?.path ?? "");
      const connection = await RawConnection.open(t, prism.app.port);
      for (const fields of [[credential], [], ["Authorization: Bearer nonsense"], [credential, 'If-None-Match: "1"']]) {
        await compare(connection, target, fields, isStream);
        await goesOn(connection);
      }
    });
  }
});

/** Heads differ in ids, times, and lengths of bodies that hold those. */
const VARYING = ["x-request-id", "x-correlation-id", "date", "content-length"];

async function compare(
  connection: RawConnection,
  target: string,
  fields: readonly string[],
  isStream: boolean,
): Promise<void> {
  connection.send(requestText("HEAD", target, fields));
  const head = await connection.reply("HEAD");
  assert.equal(head.body, "");
  if (isStream && head.status === 200) return;
  connection.send(requestText("GET", target, fields));
  const got = await connection.reply();
  const fixed = ({ headers }: typeof got) => [...headers].filter(([name]) => !VARYING.includes(name)).sort();
  const isChunked = got.headers.has("transfer-encoding");
  assert.equal(head.status, got.status, target);
  assert.deepEqual(
    fixed(head),
    fixed(got).filter(([name]) => name !== "transfer-encoding"),
    target,
  );
  if (!isChunked && got.status < 300)
    assert.equal(head.headers.has("content-length"), got.headers.has("content-length"), target);
}

test("a burst of HEAD and OPTIONS over every route, interrupted at any moment, leaves nothing in memory", async (t: TestContext) => {
  const { kernel } = prism.parts.core;
  for (const mount of prism.parts.core.router.mounts) {
    const connection = await RawConnection.open(t, prism.app.port);
    connection.send(requestText("HEAD", filled(mount.path), [credential]) + requestText("OPTIONS", filled(mount.path)));
    connection.destroy();
  }
  const connection = await RawConnection.open(t, prism.app.port);
  await goesOn(connection);
  await eventually("no request under way", () => kernel.requests.count === 0);
});
