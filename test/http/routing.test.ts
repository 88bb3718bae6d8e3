import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import { ANSWERS_LATER, Reply, type Route, route, undescribed } from "../../src/http/api/route.ts";
import { object } from "../../src/http/api/shapes.ts";
import { Router } from "../../src/http/server/router.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { valuesOf } from "../helpers/values.ts";
import { startBareKernel } from "./support/bare-kernel.ts";
import { errorCodeOf, exchangeRaw, RawConnection, requestText } from "./support/raw-connection.ts";

/** A route that says who it is and what it was given. */
function named(name: string, method: Route["method"], path: string, aliases: readonly string[] = []): Route {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1] as string);
  return route({
    method,
    path,
    aliases,
    summary: name,
    tag: "test",
    access: "public",
    params: object(Object.fromEntries(names.map((each) => [each, v.string()]))),
    response: undescribed,
    handle: (exchange) => ({ name, params: { ...exchange.params } }),
  });
}

const ROUTES = [
  named("things", "GET", "/things", ["/old/things"]),
  named("make thing", "POST", "/things"),
  named("thing", "GET", "/things/:id"),
  named("change thing", "PATCH", "/things/:id"),
  named("newest thing", "GET", "/things/newest"),
  named("parts", "GET", "/things/:id/parts"),
  named("part", "GET", "/things/:id/parts/:partId"),
  named("newest's secret", "GET", "/things/newest/secret"),
];

interface Found {
  readonly name: string;
  readonly params: Record<string, string>;
}

test("a path leads to its route", async (t) => {
  const { port } = startBareKernel(t, { routes: ROUTES });
  for (const row of [
    { path: "/things", name: "things", params: {} },
    { path: "/old/things", name: "things", params: {} },
    { path: "/things/7", name: "thing", params: { id: "7" } },
    { path: "/things/newest", name: "newest thing", params: {} },
    { path: "/things/newest/parts", name: "parts", params: { id: "newest" } },
    { path: "/things/7/parts/8", name: "part", params: { id: "7", partId: "8" } },
    { path: "/things/newest/secret", name: "newest's secret", params: {} },
    { path: "/things/a%20b%2Fc", name: "thing", params: { id: "a b/c" } },
    { path: "/things/%E2%82%AC", name: "thing", params: { id: "€" } },
    { path: "/things/%00", name: "thing", params: { id: "\0" } },
    { path: "/things/%5F%5Fproto%5F%5F", name: "thing", params: { id: "__proto__" } },
    { path: "/things/..", name: "thing", params: { id: ".." } },
    { path: "/things?", name: "things", params: {} },
    { path: "/things/7?a=b/c", name: "thing", params: { id: "7" } },
  ]) {
    await t.test(`GET ${row.path} is ${row.name}`, async (t) => {
      const reply = await exchangeRaw(t, port, requestText("GET", row.path));
      assert.equal(reply.status, 200);
      assert.deepEqual(JSON.parse(reply.body) as Found, { name: row.name, params: row.params });
    });
  }
});

test("an alias that calls its parameters otherwise gives them by the names of the canonical path", async (t) => {
  const removal = named("take out", "DELETE", "/jobs/things/:thingId", ["/things/:id"]);
  const { port } = startBareKernel(t, { routes: [...ROUTES, removal] });
  for (const path of ["/jobs/things/7", "/things/7"]) {
    const reply = await exchangeRaw(t, port, requestText("DELETE", path));
    assert.deepEqual(JSON.parse(reply.body) as Found, { name: "take out", params: { thingId: "7" } });
  }
  const reply = await exchangeRaw(t, port, requestText("GET", "/things/7"));
  assert.deepEqual(JSON.parse(reply.body) as Found, { name: "thing", params: { id: "7" } });
});

test("nothing is normalised: another spelling of a path is another path, 404 NOT_FOUND", async (t) => {
  const { port } = startBareKernel(t, { routes: ROUTES });
  for (const path of [
    "/",
    "/nothing",
    "/things/",
    "//things",
    "/things//parts",
    "/things/7/",
    "/Things",
    "/THINGS/7",
    "/%74hings",
    "/things/7/parts/8/9",
    "/./things",
    "/x/../things",
    "/things;a=b",
    "/things#fragment",
    "/things\\7",
    "/things/%",
    "/things/%zz",
    "/things/%ff",
    "/things/%c3%28",
    "/old",
    "/old/things/7",
    `/${"/".repeat(8000)}`,
  ]) {
    await t.test(path.slice(0, 40), async (t) => {
      const reply = await exchangeRaw(t, port, requestText("GET", path));
      assert.deepEqual([reply.status, errorCodeOf(reply)], [404, "NOT_FOUND"]);
    });
  }
});

test("a known path with another method answers 405 METHOD_NOT_ALLOWED and the methods that are allowed", async (t) => {
  const { port } = startBareKernel(t, { routes: ROUTES });
  for (const row of [
    { method: "DELETE", path: "/things", allow: "GET, HEAD, OPTIONS, POST" },
    { method: "PUT", path: "/things/7", allow: "GET, HEAD, OPTIONS, PATCH" },
    { method: "PATCH", path: "/things/newest", allow: "GET, HEAD, OPTIONS" },
    { method: "POST", path: "/old/things", allow: "GET, HEAD, OPTIONS" },
    { method: "TRACE", path: "/things", allow: "GET, HEAD, OPTIONS, POST" },
    { method: "CONNECT", path: "/things", allow: "GET, HEAD, OPTIONS, POST" },
    { method: "get", path: "/things", allow: "GET, HEAD, OPTIONS, POST" },
    { method: "FROBNICATE", path: "/things", allow: "GET, HEAD, OPTIONS, POST" },
    { method: "__proto__", path: "/things", allow: "GET, HEAD, OPTIONS, POST" },
  ]) {
    await t.test(`${row.method} ${row.path}`, async (t) => {
      const reply = await exchangeRaw(t, port, requestText(row.method, row.path));
      assert.deepEqual([reply.status, errorCodeOf(reply)], [405, "METHOD_NOT_ALLOWED"]);
      assert.equal(reply.headers.get("allow"), row.allow);
    });
  }
});

test("HEAD answers what GET answers, without its body, and keeps the connection", async (t) => {
  const routes = [
    ...ROUTES,
    route({
      method: "GET",
      path: "/later",
      summary: "",
      tag: "test",
      access: "public",
      response: undescribed,
      handle: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return { text: "später" };
      },
    }),
    route({ method: "GET", path: "/nothing", summary: "", tag: "test", access: "public", handle: () => undefined }),
    route({
      method: "GET",
      path: "/empty",
      summary: "",
      tag: "test",
      access: "public",
      handle: () => new Reply(200, undefined, { "X-Note": "no body" }),
    }),
  ];
  const { port } = startBareKernel(t, { routes });
  for (const path of ["/things", "/things/7", "/later", "/nothing", "/empty", "/unknown"]) {
    await t.test(path, async (t) => {
      const connection = await RawConnection.open(t, port);
      connection.send(requestText("GET", path));
      const got = await connection.reply();
      connection.send(requestText("HEAD", path));
      const head = await connection.reply("HEAD");
      assert.equal(head.status, got.status);
      assert.equal(head.body, "");
      for (const name of ["content-type", "content-length", "x-note"]) {
        if (name === "content-length" && path === "/empty") continue;
        assert.equal(head.headers.get(name), got.headers.get(name), name);
      }
      connection.send(requestText("GET", "/things"));
      assert.equal((await connection.reply()).status, 200, "the next request on the connection");
      assert.equal(connection.unread, "");
    });
  }
});

test("an answer without a body has no length that a client would wait for", async (t) => {
  const routes = [
    route({ method: "DELETE", path: "/thing", summary: "", tag: "test", access: "public", handle: () => undefined }),
    route({
      method: "POST",
      path: "/thing",
      summary: "",
      tag: "test",
      access: "public",
      handle: () => new Reply(202, undefined),
    }),
  ];
  const { port } = startBareKernel(t, { routes });
  const connection = await RawConnection.open(t, port);
  connection.send(requestText("DELETE", "/thing"));
  const deleted = await connection.reply();
  assert.deepEqual([deleted.status, deleted.headers.get("content-length")], [204, undefined]);
  connection.send(requestText("POST", "/thing"));
  const accepted = await connection.reply();
  assert.deepEqual([accepted.status, accepted.headers.get("content-length"), accepted.body], [202, "0", ""]);
});

test("requests that come together are answered in their order", async (t) => {
  const { port } = startBareKernel(t, { routes: ROUTES });
  const connection = await RawConnection.open(t, port);
  connection.send(["/things/1", "/things/2", "/none"].map((path) => requestText("GET", path)).join(""));
  const replies = [await connection.reply(), await connection.reply(), await connection.reply()];
  assert.deepEqual(valuesOf(replies, "status"), [200, 200, 404]);
  assert.deepEqual((JSON.parse(replies[1]?.body ?? "") as Found).params, { id: "2" });
});

test("a request that comes while another one is unanswered ends the connection: there is no pipelining", async (t) => {
  let finish: () => void = () => undefined;
  const slow = route({
    method: "GET",
    path: "/slow",
    summary: "",
    tag: "test",
    access: "public",
    handle: (exchange) => {
      finish = () => exchange.sendJson(200, "{}");
      return ANSWERS_LATER;
    },
  });
  const { port, kernel } = startBareKernel(t, { routes: [slow] });
  const connection = await RawConnection.open(t, port);
  connection.send(requestText("GET", "/slow") + requestText("GET", "/slow"));
  await connection.closed();
  assert.equal(connection.unread, "");
  assert.equal(kernel.requests.count, 0);
  finish();
});

test("a path and method can be mounted once only", () => {
  const router = new Router();
  router.add(named("one", "GET", "/things/:id", ["/old/:id"]));
  for (const again of [named("two", "GET", "/things/:other"), named("three", "GET", "/new", ["/old/:x"])]) {
    assert.throws(() => router.add(again), TypeError);
  }
});

test("S1-05, S2-100: every alias of the contract is bound to the handler of its canonical path", async (t) => {
  keepsPromise(t, "S1-05");
  const prism = await startPrism(t);
  const { mounts } = prism.parts.core.router;
  for (const [method, alias, canonical] of [
    ["GET", "/api/v1/health", "/health"],
    ["GET", "/openapi.json", "/api/v1/openapi.json"],
    ["GET", "/api/profile", "/api/v1/users/me"],
    ["GET", "/api/v1/profile", "/api/v1/users/me"],
    ["GET", "/projects", "/api/v1/projects"],
    ["POST", "/projects", "/api/v1/projects"],
    ["GET", "/projects/:id", "/api/v1/projects/:id"],
    ["DELETE", "/projects/:id", "/api/v1/projects/:id"],
    ["DELETE", "/projects/:id/events", "/api/v1/projects/:id/events"],
    ["POST", "/events", "/api/v1/events"],
    ["POST", "/ingest", "/api/v1/events"],
    ["POST", "/api/ingest", "/api/v1/events"],
    ["POST", "/api/v1/ingest", "/api/v1/events"],
    ["GET", "/events", "/api/v1/events"],
    ["GET", "/notifications/:id", "/api/v1/notifications/user/:userId"],
    ["PATCH", "/notifications/:id/read", "/api/v1/notifications/:id/read"],
    ["POST", "/time/trigger", "/api/v1/time/trigger"],
    ["GET", "/realtime/:projectId/sse", "/api/v1/realtime/:projectId/sse"],
    ["GET", "/realtime/:projectId", "/api/v1/realtime/:projectId"],
  ] as const) {
    await t.test(`${method} ${alias}`, () => {
      const at = (path: string) => mounts.find((mount) => mount.route.method === method && mount.path === path);
      assert.equal(at(alias)?.route, at(canonical)?.route);
      assert.equal(at(alias)?.isAlias, true);
    });
  }
});
