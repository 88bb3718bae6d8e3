import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import WebSocket from "ws";
import { type Route, route, undescribed } from "../../src/http/api/route.ts";
import type { HttpListener } from "../../src/http/server/listener.ts";
import { PORT, serveFaceSocket } from "../../src/http/server/live-settings.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { type BareKernel, startBareKernel } from "./support/bare-kernel.ts";
import { errorCodeOf, exchangeRaw } from "./support/raw-connection.ts";

const FACES = { "/ntfy": ["ntfy.example.org", "Push.Example.org"], "/gotify": ["gotify.example.org"] };
const ROUTES = ["/things", "/ntfy", "/ntfy/:topic", "/ntfy/:topic/ws", "/gotify/things", "/gotify/stream"].map(named);

function named(path: string): Route {
  const handle: Route["handle"] = (exchange) => ({ route: path, params: { ...exchange.params } });
  return route({ method: "GET", path, summary: path, tag: "test", access: "public", response: undescribed, handle });
}

function requestAt(host: string, path: string, method = "GET", lines: readonly string[] = []): string {
  return `${[`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...lines].join("\r\n")}\r\n\r\n`;
}

function start(t: TestContext): BareKernel {
  const bare = startBareKernel(t, { routes: ROUTES, faces: FACES });
  bare.kernel.addDialect({ prefix: "/ntfy/", allowsHeaders: "*, Authorization", errorBody: () => ({ error: "own" }) });
  return bare;
}

test("a host of a face has its routes at the root, and no other route", async (t) => {
  const { port } = start(t);
  for (const row of [
    { host: "ntfy.example.org", path: "/alerts", route: "/ntfy/:topic" },
    { host: "NTFY.example.org:8443", path: "/alerts", route: "/ntfy/:topic" },
    { host: "push.example.org.", path: "/alerts", route: "/ntfy/:topic" },
    { host: "ntfy.example.org", path: "/", route: "/ntfy" },
    { host: "gotify.example.org", path: "/things", route: "/gotify/things" },
    { host: "ntfy.example.org", path: "/things", route: "/ntfy/:topic" },
    { host: "gotify.example.org", path: "/ntfy/alerts", route: null },
    { host: "ntfy.example.org", path: "/gotify/things", route: null },
    { host: "prism.example.org", path: "/things", route: "/things" },
    { host: "prism.example.org", path: "/ntfy/alerts", route: "/ntfy/:topic" },
    { host: "prism.example.org", path: "/alerts", route: null },
    { host: "ntfy.example.org.evil.example", path: "/things", route: "/things" },
    { host: "", path: "/things", route: "/things" },
  ]) {
    await t.test(`${row.path} at "${row.host}" is ${row.route}`, async (t) => {
      const reply = await exchangeRaw(t, port, requestAt(row.host, row.path));
      if (row.route === null) assert.equal(reply.status, 404);
      else assert.equal((JSON.parse(reply.body) as { route: string }).route, row.route);
    });
  }
});

test("a dialect may answer every OPTIONS with the headers that its pages may send", async (t) => {
  const { port } = start(t);
  const preflight = requestAt("ntfy.example.org", "/no/such/path", "OPTIONS", [
    "Origin: https://any.example",
    "Access-Control-Request-Method: PUT",
  ]);
  const { headers } = await answered(204, exchangeRaw(t, port, preflight, "OPTIONS"));
  assert.equal(headers.get("access-control-allow-origin"), "*");
  assert.equal(headers.get("access-control-allow-headers"), "*, Authorization");
  assert.equal(headers.get("access-control-allow-methods"), "GET, PUT, POST, PATCH, DELETE");
});

interface Opened {
  readonly face: string;
  readonly path: string;
}

function serveSockets(listener: HttpListener, { kernel }: BareKernel): void {
  const serve = (prefix: string, path: string): void =>
    listener.mount((app) =>
      serveFaceSocket<Opened>(
        app,
        (req) => kernel.faceOf(req, PORT),
        { prefix, path },
        {
          upgrade(res, req, context) {
            const exchange = kernel.open(res, req);
            exchange.upgrade({ face: prefix, path: exchange.path }, "", context);
            kernel.leave(exchange);
          },
          open: (ws) => void ws.send(JSON.stringify(ws.getUserData())),
        },
      ),
    );
  serve("/ntfy", "/:topic/ws");
  serve("/gotify", "/stream");
}

test("a host of a face has its WebSockets at the root", async (t) => {
  const bare = start(t);
  serveSockets(bare.listener, bare);
  for (const row of [
    { host: "ntfy.example.org", path: "/alerts/ws", opened: { face: "/ntfy", path: "/ntfy/alerts/ws" } },
    { host: "prism.example.org", path: "/ntfy/alerts/ws", opened: { face: "/ntfy", path: "/ntfy/alerts/ws" } },
    { host: "gotify.example.org", path: "/stream", opened: { face: "/gotify", path: "/gotify/stream" } },
    { host: "gotify.example.org", path: "/alerts/ws", opened: null },
    { host: "prism.example.org", path: "/alerts/ws", opened: null },
    { host: "prism.example.org", path: "/stream", opened: null },
    { host: "ntfy.example.org", path: "/ntfy/alerts/ws", opened: null },
  ]) {
    await t.test(`${row.path} at ${row.host}`, async (t) => {
      const socket = new WebSocket(`ws://127.0.0.1:${bare.port}${row.path}`, { headers: { Host: row.host } });
      t.after(() => socket.terminate());
      if (row.opened) assert.deepEqual(JSON.parse(String((await once(socket, "message"))[0])), row.opened);
      else assert.match(String((await once(socket, "error"))[0]), /404|200/);
    });
  }
});

test("Prism's API, console and sockets cannot be reached at a host of a face", async (t) => {
  const prism = await startPrism(t, { settings: { "ntfy.hosts": "ntfy.example.org" } });
  const headers = { Host: "ntfy.example.org", Authorization: `Bearer ${prism.adminToken}` };
  const authorization = `Authorization: ${headers.Authorization}`;
  for (const path of ["/api/v1/users/me", "/dashboard", "/metrics", "/dev/token", "/ping/x", "/alertmanager/-/ready"]) {
    const reply = await exchangeRaw(t, prism.app.port, requestAt(headers.Host, path, "GET", [authorization]));
    // A path of one segment is a topic.
    if (path !== "/dashboard") assert.notEqual(reply.status, 200, path);
    assert.doesNotMatch(reply.body, /<!doctype/i, path);
    assert.equal(errorCodeOf(reply) === "UNAUTHENTICATED", false, path);
  }
  for (const path of ["/ws", "/pulse", "/socket.io/?EIO=4&transport=websocket"]) {
    const socket = new WebSocket(`ws://127.0.0.1:${prism.app.port}${path}`, { headers });
    t.after(() => socket.terminate());
    assert.match(String((await once(socket, "error"))[0]), /Unexpected server response: (?:200|400|404)/, path);
  }
});

test("a reload of the settings moves a face to another host", async (t) => {
  const prism = await startPrism(t);
  const statusAt = async (host: string): Promise<number> => {
    const text = requestAt(host, "/api/v1/users/me", "GET", [`Authorization: Bearer ${prism.adminToken}`]);
    return (await exchangeRaw(t, prism.app.port, text)).status;
  };
  assert.equal(await statusAt("ntfy.example.org"), 200);
  const { config } = prism.parts.base;
  prism.app.reload({ ...config, ntfy: { ...config.ntfy, hosts: ["ntfy.example.org"] } });
  assert.equal(await statusAt("ntfy.example.org"), 404);
  assert.equal(await statusAt("prism.example.org"), 200);
});
