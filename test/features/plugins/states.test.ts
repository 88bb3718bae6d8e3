import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { ModuleDir, type ModuleState, moduleText, startWith, stateOf } from "./support/module-dir.ts";

interface AuditRow {
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string;
}

const audited = "select action, resourceType, resourceId from audit_log where action like 'module.%' order by seq";

test("a disabled module answers 503 MODULE_UNAVAILABLE on all its paths, also after a restart, until it is enabled", async (t) => {
  const modules = new ModuleDir(t);
  modules.put(
    "shop",
    moduleText(
      "shop",
      `
    globalThis.shopRegistered = (globalThis.shopRegistered ?? 0) + 1;
    server.get("/shop/:id", { aliases: ["/boutique/:id"] }, (req) => ({ id: req.params.id }));
    server.post("/shop", { public: true }, () => ({ ok: true }));
  `,
    ),
  );
  const prism = await startWith(t, modules);
  const disabled = await prism.post<ModuleState & Record<string, unknown>>("/api/v1/modules/shop/disable");
  assert.deepEqual([disabled.status, disabled.body.state, disabled.body.enabled], [200, "disabled", false]);
  const closed = async (): Promise<void> => {
    for (const [method, path] of [
      ["GET", "/shop/1"],
      ["GET", "/boutique/1"],
      ["POST", "/shop"],
    ] as const) {
      const reply = await prism.request<{ error: { code: string } }>(method, path, method === "POST" ? {} : undefined);
      assert.deepEqual([reply.status, reply.body.error.code], [503, "MODULE_UNAVAILABLE"], `${method} ${path}`);
      assert.ok(Number(reply.headers.get("retry-after")) > 0);
    }
    assert.equal((await prism.get("/shop/1", { token: null })).status, 401, "who is calling is asked first");
    assert.equal((await prism.post("/shop", {}, { token: null })).status, 503);
  };
  await closed();
  await prism.restart();
  await closed();
  assert.equal((globalThis as { shopRegistered?: number }).shopRegistered, 1, "its code does not run");
  assert.equal((await stateOf(prism, "shop"))?.state, "disabled");
  const enabled = await prism.post<ModuleState & Record<string, unknown>>("/api/v1/modules/shop/enable");
  assert.deepEqual([enabled.status, enabled.body.state, enabled.body.error], [200, "active", null]);
  assert.deepEqual((await prism.get("/boutique/7")).body, { id: "7" });
  await prism.restart();
  assert.equal((await prism.get("/shop/1")).status, 200);
});

test("what operators do to modules is audited once each; repeating it changes nothing", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("shop", moduleText("shop", ""));
  const prism = await startWith(t, modules);
  for (const verb of ["disable", "disable", "enable", "enable", "reload"])
    assert.equal((await prism.post(`/api/v1/modules/shop/${verb}`)).status, 200, verb);
  assert.deepEqual(
    rowsOf<AuditRow>(prism, audited),
    ["module.disable", "module.enable", "module.reload"].map((action) => ({
      action,
      resourceType: "module",
      resourceId: "shop",
    })),
  );
});

test("where the audit row cannot be written, nothing happens to the module", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("shop", moduleText("shop", `server.get("/shop", () => 1);`));
  const prism = await startWith(t, modules);
  const { audit } = prism.services;
  const record = audit.record.bind(audit);
  audit.record = () => Promise.reject(new Error("no trail"));
  for (const verb of ["disable", "reload"])
    assert.equal((await prism.post(`/api/v1/modules/shop/${verb}`)).status, 500, verb);
  audit.record = record;
  assert.equal((await prism.get("/shop")).status, 200);
  assert.deepEqual(rowsOf(prism, "select state, enabled from modules"), [{ state: "active", enabled: 1 }]);
});

test("refusals: Prism's own features, modules that are not there, disabled and required ones", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("base", moduleText("base", ""));
  modules.put("above", moduleText("above", "", { extra: `requires: { modules: ["base"] }` }));
  const prism = await startWith(t, modules);
  const user = await makeUser(prism, "olga", ["Operator"]);
  const refused = async (path: string, status: number, code: string, token?: string): Promise<void> => {
    const reply = await prism.post<{ error: { code: string } }>(
      `/api/v1/modules/${path}`,
      undefined,
      token ? { token } : {},
    );
    assert.deepEqual([reply.status, reply.body.error.code], [status, code], path);
  };
  for (const verb of ["enable", "disable", "reload"]) {
    await refused(`time/${verb}`, 409, "INVALID_STATE");
    await refused(`nobody/${verb}`, 404, "MODULE_NOT_FOUND");
    await refused(`base/${verb}`, 403, "UNAUTHORIZED_ROLE", user.token);
  }
  modules.put("../outside", moduleText("outside", ""));
  for (const name of ["..%2foutside", "%2e%2e%2Foutside", "base%2f..%2f..%2foutside"])
    await refused(`${name}/reload`, 404, "MODULE_NOT_FOUND");
  await refused("base/disable", 409, "INVALID_STATE");
  await prism.post("/api/v1/modules/above/disable");
  assert.equal((await prism.post("/api/v1/modules/base/disable")).status, 200);
  await refused("base/reload", 409, "INVALID_STATE");
  await prism.post("/api/v1/modules/above/enable");
  assert.match((await stateOf(prism, "above"))?.error ?? "", /requires the module base, which is not active/);
  assert.equal((await prism.get("/api/v1/modules", { token: user.token })).status, 200);
});

test("jobs of a disabled module wait, and run when it is back; its kept values stay", async (t) => {
  const modules = new ModuleDir(t);
  modules.put(
    "worker",
    moduleText(
      "worker",
      `
    services.scheduler.handle("count", async (job) => {
      await services.kv.set("count", ((await services.kv.get("count")) ?? 0) + job.payload.by);
    });
    server.get("/worker", async () => ({ count: await services.kv.get("count") ?? 0 }));
  `,
    ),
  );
  const prism = await startWith(t, modules);
  await prism.post("/api/v1/modules/worker/disable");
  const job = { queue: "module:worker", kind: "worker:count", payload: { by: 2 }, runAt: 0 } as const;
  const { jobId } = await prism.parts.offers.jobs.enqueue(job);
  const state = () => rowsOf<{ state: string }>(prism, "select state from jobs where id = ?", jobId)[0]?.state;
  await prism.restart();
  assert.equal(state(), "ready");
  await prism.post("/api/v1/modules/worker/enable");
  await eventually("the job has run", () => state() === "succeeded");
  assert.deepEqual((await prism.get("/worker")).body, { count: 2 });
});

test("what a registration made that lasts goes when the module is disabled", async (t) => {
  const modules = new ModuleDir(t);
  modules.put(
    "timed",
    moduleText(
      "timed",
      `
    await services.timer.every("again", "0 8 * * *", { type: "event", event: "x", payload: {} });
    await services.scheduler.cron("nightly", "0 3 * * *", "work", {});
  `,
    ),
  );
  const prism = await startWith(t, modules);
  const count = (): number => rowsOf(prism, "select id from schedules where module = 'timed'").length;
  assert.equal(count(), 2);
  await prism.post("/api/v1/modules/timed/disable");
  assert.equal(count(), 0);
  await prism.post("/api/v1/modules/timed/enable");
  assert.equal(count(), 2);
});

test("without a modules directory nothing is loaded, and an empty one is made", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("a", "");
  modules.remove("a");
  const prism = await startWith(t, modules, { settings: { modulesDir: `${modules.path}/not-there` } });
  const { body } = await prism.get<{ data: ModuleState[] }>("/api/v1/modules");
  assert.ok(body.data.every(({ builtIn }) => builtIn));
  assert.deepEqual(rowsOf(prism, "select name from modules"), []);
  assert.deepEqual(readdirSync(`${modules.path}/not-there`), []);
});

test("modules show in /status and in the metrics, their consumers with their lag", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("reader", moduleText("reader", `services.events.consume("log", async () => undefined);`));
  modules.put("broken", "export default 1;");
  const prism = await startWith(t, modules);
  interface Status {
    readonly modules: readonly { name: string; state: string; error: string | null }[];
    readonly consumers: readonly { name: string; lag: number }[];
    readonly [other: string]: unknown;
  }
  const { body } = await prism.get<Status>("/api/v1/status");
  const found = body.modules.filter(({ name }) => ["reader", "broken", "time"].includes(name));
  assert.deepEqual(found, [
    { name: "broken", version: null, state: "failed", error: "the default export is not a module" },
    { name: "reader", version: "1.0.0", state: "active", error: null },
    { name: "time", version: "1.0.0", state: "active", error: null },
  ]);
  assert.deepEqual(body.consumers, [
    { name: "rule-engine", lag: 0 },
    { name: "reader:log", lag: 0 },
  ]);
  const { text } = await prism.get("/metrics");
  assert.match(text, /prism_consumer_lag\{consumer="reader:log"\} 0/);
});
