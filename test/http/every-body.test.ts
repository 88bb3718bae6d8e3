import assert from "node:assert/strict";
import test from "node:test";
import type { Mount } from "../../src/http/server/router.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { rowsOf } from "../helpers/tables.ts";
import { ACCESS } from "./support/access/index.ts";
import type { Caller } from "./support/access/known.ts";
import { type AccessWorld, adminOf, makeAccessWorld } from "./support/access/world.ts";
import { errorCodeOf, exchangeRaw, requestText } from "./support/raw-connection.ts";
import { rowCounts } from "./support/row-counts.ts";

const JSON_TYPE = "Content-Type: application/json";

/** What no route takes for a body, whatever its members are. */
const REFUSED = [
  ["an empty array", "[]", 400, "VALIDATION_FAILED"],
  ["an array", '[{"name":"n"}]', 400, "VALIDATION_FAILED"],
  ["null", "null", 400, "VALIDATION_FAILED"],
  ["a text", '"x"', 400, "VALIDATION_FAILED"],
  ["a number", "1", 400, "VALIDATION_FAILED"],
  ["an unknown member", '{"unknownMember":1}', 400, "VALIDATION_FAILED"],
  ["__proto__", '{"__proto__":{}}', 400, "VALIDATION_FAILED"],
  ["constructor", '{"constructor":{}}', 400, "VALIDATION_FAILED"],
  ["half an object", '{"a":', 400, "MALFORMED_JSON"],
  ["33 levels", `${'{"a":'.repeat(32)}{}${"}".repeat(32)}`, 400, "MALFORMED_JSON"],
] as const;

const BY_HEAD = [
  ["another type", ["Content-Type: text/plain"], "{}", 415, "UNSUPPORTED_MEDIA_TYPE"],
  ["no type", [], "{}", 415, "UNSUPPORTED_MEDIA_TYPE"],
  ["gzip", [JSON_TYPE, "Content-Encoding: gzip"], "{}", 415, "UNSUPPORTED_MEDIA_TYPE"],
] as const;
const MAX_BODY_BYTES = 1_048_576;

interface Sent {
  readonly mount: Mount;
  readonly path: string;
}

test("S2-94, S3-07, S1-41: every route with a body refuses anything but a JSON object of its own members, and does nothing", async (t) => {
  keepsPromise(t, ["S1-41", "S2-107", "S2-94", "S3-07"]);
  // Nothing happens by itself meanwhile, such as the next step of an incident.
  const prism = await startPrism(t, { clock: new FakeClock() });
  const world = await makeAccessWorld(prism);
  const admin = adminOf(world);
  const credential = `Authorization: ${admin.headers["Authorization"]}`;
  const routes = await routesWithBody(prism, world, admin);
  assert.ok(routes.length >= 30, "accounts, roles, rules, projects, members, keys, notifications, timers");
  for (const { mount, path } of routes) {
    const { method } = mount.route;
    await t.test(`${method} ${mount.path}`, async (t) => {
      // What the server does by itself meanwhile, such as giving up a delivery, is recorded too.
      const counts = () => [rowCounts(prism, ["audit_log"]), auditRowsOf(prism, admin.id)];
      const before = counts();
      for (const [name, body, status, code] of REFUSED) {
        const reply = await exchangeRaw(t, prism.app.port, requestText(method, path, [credential, JSON_TYPE], body));
        assert.deepEqual([reply.status, errorCodeOf(reply)], [status, code], name);
      }
      const length = `Content-Length: ${(mount.route.maxBodyBytes ?? MAX_BODY_BYTES) + 1}`;
      const tooLong = ["a byte more than its limit", [JSON_TYPE, length], "", 413, "PAYLOAD_TOO_LARGE"] as const;
      for (const [name, fields, body, status, code] of [...BY_HEAD, tooLong]) {
        const reply = await exchangeRaw(t, prism.app.port, requestText(method, path, [credential, ...fields], body));
        assert.deepEqual([reply.status, errorCodeOf(reply)], [status, code], name);
        reply.connection.destroy();
      }
      assert.deepEqual(counts(), before);
    });
  }
});

function auditRowsOf(prism: TestPrism, userId: string): number {
  return rowsOf(prism, "select seq from audit_log where userId = ?", userId).length;
}

/** They take arrays, lines and unknown members, by keys: ingest and observations have tests of their own. */
const OWN_TESTS: ReadonlySet<string> = new Set(["/api/v1/mirror/observed"]);

async function routesWithBody(prism: TestPrism, world: AccessWorld, admin: Caller & { kind: "user" }): Promise<Sent[]> {
  const routes: Sent[] = [];
  for (const mount of prism.parts.core.router.mounts) {
    const { route, isAlias } = mount;
    const isByPort = route.access === "public" || !route.access.operatorOnly;
    if (isAlias || !route.body || route.raw || !isByPort || OWN_TESTS.has(route.path)) continue;
    const [row] = ACCESS[`${route.method} ${route.path}`] ?? [];
    assert.ok(row, `${route.method} ${route.path} is in no table`);
    routes.push({ mount, path: (await row.request(world, admin, true)).path });
  }
  return routes;
}

test("a member that is an object is not an array, an empty one included", async (t) => {
  const prism = await startPrism(t);
  const rule = { name: "r", condition: "true", targetRoles: ["Admin"] };
  const note = { userId: "me", title: "t", message: "m" };
  for (const [path, body] of [
    ["/api/v1/projects", { name: "p", settings: [] }],
    ["/api/v1/projects", { name: "p", settings: [1] }],
    ["/api/v1/rules", { ...rule, action: [] }],
    ["/api/v1/notifications", { ...note, action: [] }],
    ["/api/v1/notifications", { ...note, data: [] }],
    ["/api/v1/time/trigger", { label: "l", delayMs: 1, action: [] }],
    ["/api/v1/time/trigger", { label: "l", delayMs: 1, action: { type: "event", event: "e", payload: [] } }],
  ] as const) {
    const { status, body: answer } = await prism.post<{ error: { code: string; details: { code: string }[] } }>(
      path,
      body,
    );
    assert.deepEqual([status, answer.error.code], [400, "VALIDATION_FAILED"], JSON.stringify(body));
  }
});

test("12.15: in settings and actions, members named like the prototype's are kept as data", async (t) => {
  const prism = await startPrism(t);
  const own = '"__proto__":{"isAdmin":true},"constructor":{"prototype":1},"prototype":[2],"toString":"x"';
  const kept = { constructor: { prototype: 1 }, prototype: [2], toString: "x" };
  const assertKept = (value: unknown): void => {
    const { ["__proto__"]: proto, ...others } = JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
    assert.deepEqual(
      Object.getOwnPropertyDescriptor(value as object, "__proto__")?.value,
      { isAdmin: true },
      String(proto),
    );
    assert.deepEqual(others, kept);
    assert.equal((value as { isAdmin?: boolean }).isAdmin, undefined);
  };
  const project = await prism.post<{ id: string; settings: unknown }>(
    "/api/v1/projects",
    `{"name":"p","settings":{${own}}}`,
  );
  assertKept(project.body.settings);
  const again = await prism.get<{ settings: unknown }>(`/api/v1/projects/${project.body.id}`);
  assertKept(again.body.settings);
  const note = await prism.post<{ action: { type: string } }>(
    "/api/v1/notifications",
    `{"userId":"me","title":"t","message":"m","action":{"type":"open",${own}}}`,
  );
  const { type, ...rest } = note.body.action;
  assert.equal(type, "open");
  assertKept(rest);
});
