import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { answered, startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { valuesOf } from "../helpers/values.ts";
import { TestBrowser } from "../helpers/web-push.ts";
import { ACCESS } from "./support/access/index.ts";
import { ANYBODY } from "./support/access/known.ts";
import { makeAccessWorld } from "./support/access/world.ts";
import { closed, inlined, problemsOf } from "./support/json-schema.ts";
import { type Document, documentOf, type Operation, operationAt, operationsOf } from "./support/openapi-document.ts";

test("S2-117: what the document says of bodies and answers is what the server takes and gives, on every route", async (t) => {
  keepsPromise(t, "S2-117");
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false", "auth.bcryptCost": "4" } });
  const world = await makeAccessWorld(prism);
  const document = await documentOf(prism);
  const senders = world.callers.filter(({ name }) =>
    ["Admin, owner", "no role, stranger", "key of the project, events:read", "nobody", "disabled user"].includes(name),
  );
  assert.equal(senders.length, 5);
  for (const mount of prism.parts.core.router.mounts) {
    const { route } = mount;
    if (mount.isAlias || route.undocumented) continue;
    await t.test(`${route.method} ${route.path}`, async () => {
      const operation = operationAt(document, mount);
      for (const row of ACCESS[`${route.method} ${route.path}`] ?? []) {
        for (const caller of senders) {
          // With a key its answer is that of Healthchecks.
          if (operation.operationId === "listChannels" && caller.kind === "key") continue;
          const known = caller.kind === "refused" ? ANYBODY : caller;
          const isServed = caller.kind !== "refused" && row.refusal(caller) === null;
          const { path, body, method = route.method } = await row.request(world, known, isServed);
          if (body !== undefined) checkBody(document, operation, body);
          const reply = await prism.request(method, path, body, { token: null, headers: caller.headers });
          checkAnswer(document, operation, reply, method);
        }
      }
    });
  }
  await t.test("the second success of a route is documented as well", async () => {
    const at = (path: string, method: string) => document.paths[path]?.[method]?.responses ?? {};
    assert.deepEqual(at("/api/v1/realtime/{projectId}/sse", "get")["204"], {
      description: "Nothing now, and nothing to follow",
    });
    assert.equal("202" in at("/api/v1/projects/{id}/events", "delete"), true);
    assert.equal("503" in at("/health", "get"), true);
  });
  await t.test("304 is documented where an ETag is given", async (t) => {
    await checkNotModified(t, prism, document, `/api/v1/rules/${world.rule}`, "/api/v1/rules/{id}");
    await checkNotModified(t, prism, document, `/api/v1/projects/${world.shop}`, "/api/v1/projects/{id}");
    await checkNotModified(t, prism, document, `/api/v1/roles/${world.role}`, "/api/v1/roles/{id}");
    await checkNotModified(t, prism, document, "/api/v1/roles", "/api/v1/roles");
    assert.equal("304" in (document.paths["/api/v1/rules"]?.["get"]?.responses ?? {}), false);
  });
});

test("answers that only some requests get are as the document says", async (t) => {
  const prism = await startPrism(t, {
    settings: { "rateLimit.enabled": "false", "webhooks.allowPrivateCidrs": "127.0.0.0/8" },
  });
  const document = await documentOf(prism);
  const operations = new Map(operationsOf(document).map(({ operation }) => [operation.operationId, operation]));
  const ask = async (id: string, method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const reply = await prism.request<Record<string, unknown>>(method, path, body);
    const operation = operations.get(id);
    assert.ok(operation && reply.status < 300, `${id}: ${reply.text}`);
    checkAnswer(document, operation, reply, method);
    return reply.body;
  };
  await t.test("a receiver with another secret has no new URL", async () => {
    const { id } = await ask("createReceiver", "POST", "/api/v1/receivers", { name: "Shop", preset: "generic" });
    const path = `/api/v1/receivers/${id}/rotate`;
    assert.equal(typeof (await ask("rotateReceiver", "POST", path, {}))["url"], "string");
    assert.equal((await ask("rotateReceiver", "POST", path, { secret: "a secret of the sender" }))["url"], null);
    const { responses } = operations.get("createReceiver") as Operation;
    const created = inlined(responses["201"]?.content?.["application/json"]?.schema ?? {}, document.components.schemas);
    assert.notDeepEqual(problemsOf(created, { url: null }), []);
  });
  await t.test("a time has the name of its zone, in any spelling and at the end of the calendar", async () => {
    for (const zone of ["UTC", "europe/berlin", "Etc/GMT+5", "EST5EDT"]) {
      const now = await ask("getTime", "GET", `/api/v1/time/now?zone=${encodeURIComponent(zone)}`);
      assert.deepEqual([now["timezone"], typeof now["local"]], [zone, "string"]);
      for (const at of ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
        await ask("convertTime", "GET", `/api/v1/time/convert?datetime=${at}&zone=${encodeURIComponent(zone)}`);
    }
    await ask("convertTime", "GET", "/api/v1/time/convert?datetime=2026-01-31T08:00:00Z&userId=me");
  });
  await t.test("browsers are not among the devices with a token", async () => {
    // An IP address needs no name resolution.
    const browser = { endpoint: "https://1.1.1.1/send", keys: new TestBrowser().keys };
    await ask("addPushSubscription", "POST", "/api/v1/users/me/push-subscriptions", browser);
    const { devices } = await ask("setPushTokens", "PUT", "/api/v1/users/me/push-tokens", { fcm: "a token" });
    assert.deepEqual(valuesOf(devices as { kind: string }[], "kind"), ["fcm"]);
  });
  await t.test("a shift that ends some day says when", async () => {
    const made = await ask("createOnCallSchedule", "POST", "/api/v1/oncall/schedules", { name: "A", timezone: "UTC" });
    const { id: admin } = await ask("getMe", "GET", "/api/v1/users/me");
    const path = `/api/v1/oncall/schedules/${made["id"]}/shifts`;
    const until = "2030-01-01T00:00:00Z";
    const times = { start: "2026-11-23T09:00:00", durationMs: 3_600_000, timezone: "UTC" };
    const recurrence = { until, frequency: "weekly", byDay: ["MO"] };
    const shift = await ask("createOnCallShift", "POST", path, { ...times, recurrence, turns: [[admin]] });
    assert.equal((shift["recurrence"] as { until: string }).until, "2030-01-01T00:00:00.000Z");
    await ask("createOnCallShift", "POST", path, { ...times, recurrence: { frequency: "daily" }, turns: [[admin]] });
    await ask("listOnCallShifts", "GET", path);
  });
  await t.test("a channel in a list is the channel", async () => {
    const example = { name: "Phone", preset: "ntfy", fields: { url: "http://127.0.0.1:1", topic: "alarms" } };
    const { warnings: _warnings, ...channel } = await ask("createChannel", "POST", "/api/v1/channels", example);
    const { data } = await ask("listChannels", "GET", "/api/v1/channels");
    assert.deepEqual(data, [channel]);
  });
  await t.test("a notification shows its action and data", async () => {
    const action = { type: "open", url: "https://example.com" };
    const sent = await ask("sendNotification", "POST", "/api/v1/notifications", {
      ...{ userId: "me", title: "t", message: "m", action, data: { a: 1 } },
    });
    assert.deepEqual([sent["action"], sent["data"]], [action, { a: 1 }]);
    await ask("getNotification", "GET", `/api/v1/notifications/${sent["id"]}`);
    await ask("sendNotification", "POST", "/api/v1/notifications", {
      ...{ userId: "me", title: "t", message: "m", delayMs: 60_000 },
    });
  });
});

function checkBody(document: Document, { requestBody }: Operation, body: unknown): void {
  const schema = requestBody?.content["application/json"]?.schema;
  assert.ok(schema, "a body that is not documented");
  assert.deepEqual(problemsOf(inlined(schema, document.components.schemas), body), []);
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
  readonly text: string;
}

function checkAnswer(document: Document, operation: Operation, reply: Answer, method: string): void {
  const documented = operation.responses[String(reply.status)];
  assert.ok(documented, `${reply.status} is not documented: ${reply.text.slice(0, 200)}`);
  const type = (reply.headers.get("content-type") ?? "").split(";")[0] ?? "";
  if (reply.status === 204) assert.deepEqual([documented.content, reply.text], [undefined, ""]);
  else assert.ok(type in (documented.content ?? {}), `${reply.status} is ${type}`);
  if (type !== "application/json" || method === "HEAD") return;
  if (reply.status >= 400) {
    const { code } = (reply.body as { error: { code: string } }).error;
    assert.ok(documented.description.split(", ").includes(code), `${code} is not documented for ${reply.status}`);
    assert.deepEqual(problemsOf(closed(document.components.schemas["Error"] ?? {}), reply.body), []);
    return;
  }
  const { schemas } = document.components;
  const schema = inlined(documented.content?.["application/json"]?.schema ?? {}, schemas);
  // The document names only the members of its own that every OpenAPI document has.
  const isDocument = operation.operationId === "getOpenApiDocument";
  assert.deepEqual(problemsOf(isDocument ? schema : closed(schema), reply.body), []);
}

async function checkNotModified(
  t: TestContext,
  prism: TestPrism,
  document: Document,
  path: string,
  at: string,
): Promise<void> {
  await t.test(path, async () => {
    const first = await prism.get(path);
    await answered(304, prism.get(path, { headers: { "If-None-Match": first.headers.get("etag") ?? "" } }));
    assert.equal("304" in (document.paths[at]?.["get"]?.responses ?? {}), true);
  });
}
