import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { registerFeature } from "../../../src/app/register-features.ts";
import type { Feature } from "../../../src/module/feature.ts";
import type * as api from "../../../src/module/module-api.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { ModuleDir, type ModuleState, moduleText, startWith, stateOf } from "./support/module-dir.ts";
import { S0_MODULE } from "./support/s0-module.ts";

/** As JavaScript. */
const MY_MODULE = S0_MODULE.replace(/^import type .*$/m, "").replace(": AppModule", "");

const LISTENER = moduleText(
  "a-listener",
  `
    services.events.on("my-module:initialized", (payload, meta) => services.kv.set("heard", { payload, event: meta.event }));
    server.get("/heard", () => services.kv.get("heard"));
  `,
);

test("S0-35, S0-36, S0-37, S0-38, S0-39, S0-40: the seed's module, dropped into the folder, is found and does what it says", async (t) => {
  keepsPromise(t, ["S0-35", "S0-36", "S0-38"]);
  const modules = new ModuleDir(t);
  modules.put("my-module", MY_MODULE);
  modules.put("a-listener", LISTENER);
  const prism = await startWith(t, modules);
  assert.deepEqual(await stateOf(prism, "my-module").then((state) => [state?.state, state?.version, state?.routes]), [
    "active",
    "1.0.0",
    ["GET /my-route"],
  ]);
  const { status, body } = await prism.get("/my-route");
  assert.deepEqual([status, body], [200, { hello: "world" }]);
  const heard = await eventually("the other module hears it", async () => {
    const reply = await prism.get<{ event: string; payload: { at: string } }>("/heard");
    return reply.status === 200 ? reply.body : undefined;
  });
  assert.equal(heard.event, "my-module:initialized");
  assert.match(heard.payload.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$/);
  const timers = (): unknown[] =>
    rowsOf(prism, "select label, state, module from jobs where kind = 'timer' and finishedAt is null");
  assert.deepEqual(timers(), [{ label: "daily-digest", state: "scheduled", module: "my-module" }]);
  await prism.restart();
  assert.equal(timers().length, 1, "the label is the timer's key: registering again keeps it");
});

test("S0-09: modules are plugged in, exchanged, switched off and taken out while the server runs", async (t) => {
  keepsPromise(t, "S0-09");
  const modules = new ModuleDir(t);
  modules.put("other", moduleText("other", `server.get("/other", () => "there");`));
  const prism = await startWith(t, modules);
  const hello = async (): Promise<unknown> => (await prism.get("/hello")).status;
  assert.equal(await hello(), 404);
  modules.put("hello", moduleText("hello", `server.get("/hello", () => ({ n: 1 }));`));
  assert.equal((await prism.post("/api/v1/modules/hello/reload")).status, 200);
  assert.deepEqual((await prism.get("/hello")).body, { n: 1 });
  modules.put("hello", moduleText("hello", `server.get("/hello", () => ({ n: 2 }));`));
  assert.equal((await prism.post("/api/v1/modules/hello/reload")).status, 200);
  assert.deepEqual((await prism.get("/hello")).body, { n: 2 });
  await prism.post("/api/v1/modules/hello/disable");
  assert.equal(await hello(), 503);
  await prism.post("/api/v1/modules/hello/enable");
  assert.equal(await hello(), 200);
  assert.equal((await prism.get("/other")).status, 200);
});

test("S0-34, S0-51: built-in features are modules, and listed with the others", async (t) => {
  keepsPromise(t, ["S0-34", "S0-51"]);
  const prism = await startPrism(t);
  const { body } = await prism.get<{ data: ModuleState[] }>("/api/v1/modules");
  for (const name of ["time", "notifications"]) {
    const module = body.data.find((each) => each.name === name);
    assert.deepEqual([module?.state, module?.builtIn, module?.folder], ["active", true, null], name);
  }
  const names = body.data.map(({ name }) => name);
  assert.deepEqual(names, [...names].sort());
});

test("S0-51: Prism's own features are given what every module is: the same services, and the same way to add routes", async (t) => {
  keepsPromise(t, "S0-51");
  const prism = await startPrism(t);
  // As a module sees them: that this compiles is half of the test.
  const given: api.CoreServices = prism.services;
  let server: api.ModuleServer | undefined;
  let own: api.CoreServices | undefined;
  const feature: Feature = {
    name: "probe",
    version: "1.0.0",
    register(features, services) {
      server = features;
      own = services;
      features.get("/probe", { public: true }, () => ({ ok: true }));
      services.scheduler.handle("count", async (job) => services.kv.set("seen", job.payload));
    },
  };
  await registerFeature(feature, prism.parts);
  assert.deepEqual((await prism.get("/probe", { token: null })).body, { ok: true });
  assert.ok(server && own);
  await own.scheduler.add("probe", "count", { n: 1 });
  await eventually("its job has run", async () => (await own?.kv.get("seen")) !== undefined);
  assert.equal(await given.kv.get("seen"), undefined, "what a feature keeps is its own");
  const { id } = await given.notify.send({ userId: "me-too", title: "t", body: "as a module writes it" });
  const { data } = await given.notify.history("me-too");
  assert.deepEqual([data[0]?.id, data[0]?.message], [id, "as a module writes it"]);
  assert.ok((await given.realtime.publish("channel:probe", "x", {})).offset > 0);
  assert.ok((await given.events.ingest({ type: "probe.seen" })).seq > 0);
});

test("S0-22: a module's routes need a bearer token unless they are public", async (t) => {
  keepsPromise(t, "S0-22");
  const modules = new ModuleDir(t);
  modules.put(
    "doors",
    moduleText(
      "doors",
      `
    server.get("/doors/closed", (req) => ({ kind: req.user.kind, name: req.user.name }));
    server.get("/doors/open", { public: true }, (req) => ({ user: req.user }));
    server.post("/doors/held", { permission: "events:write" }, (req) => ({ kind: req.user.kind, projectId: req.user.projectId ?? null }));
    server.get("/doors/staff", { permission: "audit:read" }, () => ({ ok: true }));
  `,
    ),
  );
  const prism = await startWith(t, modules);
  await checkDoors(t, prism);
});

async function checkDoors(t: TestContext, prism: Awaited<ReturnType<typeof startWith>>): Promise<void> {
  const plain = await makeUser(prism, "uma", ["User"]);
  const viewer = await makeUser(prism, "vic", ["Viewer"]);
  const { body: project } = await prism.post<{ id: string; apiKey: string }>("/api/v1/projects", { name: "shop" });
  const rows: readonly [string, string, object, number, string?][] = [
    ["nobody, closed", "GET /doors/closed", { token: null }, 401, "UNAUTHENTICATED"],
    ["a bad token, closed", "GET /doors/closed", { token: "nonsense" }, 401, "TOKEN_INVALID"],
    ["a user, closed", "GET /doors/closed", { token: plain.token }, 200],
    ["a key, closed", "GET /doors/closed", { apiKey: project.apiKey }, 403, "FORBIDDEN"],
    ["nobody, open", "GET /doors/open", { token: null }, 200],
    ["a user, open", "GET /doors/open", { token: plain.token }, 200],
    ["nobody, held", "POST /doors/held", { token: null }, 401, "UNAUTHENTICATED"],
    ["a viewer, held", "POST /doors/held", { token: viewer.token }, 403, "UNAUTHORIZED_ROLE"],
    ["a user, held", "POST /doors/held", { token: plain.token }, 200],
    ["a key, held", "POST /doors/held", { apiKey: project.apiKey }, 200],
    ["a user, staff", "GET /doors/staff", { token: plain.token }, 403, "UNAUTHORIZED_ROLE"],
    ["a key, staff", "GET /doors/staff", { apiKey: project.apiKey }, 403, "FORBIDDEN"],
    ["the administrator, staff", "GET /doors/staff", {}, 200],
  ];
  for (const [name, what, options, status, code] of rows)
    await t.test(name, async () => {
      const [method = "", path = ""] = what.split(" ");
      const body = method === "POST" ? {} : undefined;
      const reply = await prism.request<{ error?: { code: string } }>(method, path, body, options);
      assert.deepEqual([reply.status, reply.body.error?.code], [status, code]);
    });
  const byKey = await prism.post("/doors/held", {}, { apiKey: project.apiKey });
  assert.deepEqual(byKey.body, { kind: "apiKey", projectId: project.id });
  assert.deepEqual((await prism.get("/doors/open")).body, { user: null });
  assert.deepEqual((await prism.get("/doors/closed", { token: plain.token })).body, { kind: "user", name: "uma" });
}
