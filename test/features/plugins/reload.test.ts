import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { deferred } from "../../../src/core/promises.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { ModuleDir, type ModuleState, moduleText, startWith, stateOf } from "./support/module-dir.ts";

const RELOADS = 20;
const CLIENTS = 8;

/** What modules of a test leave for it to see. */
const world = globalThis as Record<string, unknown>;

async function reload(prism: TestPrism, name: string): Promise<ModuleState> {
  const { status, body } = await prism.post<ModuleState & Record<string, unknown>>(`/api/v1/modules/${name}/reload`);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

/**
 * A reply while the module is being replaced: the client may send the request again a second later.
 */
function assertReplaced({ body, headers }: Awaited<ReturnType<TestPrism["get"]>>): void {
  const { error } = body as { error?: { code: string } };
  assert.deepEqual([error?.code, headers.get("retry-after")], ["MODULE_UNAVAILABLE", "1"]);
}

test("requests in parallel during 20 reloads: each is answered by one whole instance, or 503 with Retry-After while none runs", async (t) => {
  const modules = new ModuleDir(t);
  const text = (n: number): Record<string, string> => ({
    "index.mjs": moduleText(
      "busy",
      `
    server.get("/busy", async () => { await new Promise((r) => setTimeout(r, 2)); return { index: ${n}, sibling }; });
    server.post("/busy/echo", (req) => ({ index: ${n}, echo: req.body.n }));
  `,
      { before: `import { n as sibling } from "./sibling.mjs";`, version: `1.0.${n}` },
    ),
    "sibling.mjs": `export const n = ${n};`,
  });
  modules.put("busy", text(0));
  const prism = await startWith(t, modules, { settings: { "rateLimit.enabled": "false" } });
  let isOver = false;
  let answered = 0;
  const seen = new Set<number>();
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let n = 0; !isOver; n++) {
      const isPost = (n + client) % 2 === 0;
      const reply = isPost ? await prism.post("/busy/echo", { n }) : await prism.get("/busy");
      if (reply.status === 503) {
        assertReplaced(reply);
        continue;
      }
      assert.equal(reply.status, 200, reply.text);
      const { index, sibling, echo } = reply.body as { index: number; sibling?: number; echo?: number };
      if (isPost) assert.equal(echo, n);
      else assert.equal(sibling, index, "files of two versions never meet");
      seen.add(index);
      answered++;
    }
  });
  for (let n = 1; n <= RELOADS; n++) {
    modules.put("busy", text(n));
    assert.deepEqual([(await reload(prism, "busy")).version], [`1.0.${n}`]);
    const before = answered;
    await eventually("requests go on", () => answered > before + CLIENTS);
  }
  isOver = true;
  await Promise.all(clients);
  assert.ok(seen.has(RELOADS) && seen.size > RELOADS / 2, `${seen.size} versions answered`);
  const copies = readdirSync(join(prism.dir, ".modules"));
  assert.equal(copies.length, 1, `old copies are removed: ${copies.join(", ")}`);
});

test("requests in flight finish on the old instance, those that come meanwhile are answered 503 with Retry-After: 1", async (t) => {
  const modules = new ModuleDir(t);
  const text = (n: number) =>
    moduleText(
      "slow",
      `
    globalThis.slowSteps.push("register ${n}");
    server.get("/slow", async () => { globalThis.slowEntered.resolve(); await globalThis.slowGate.promise; return { n: ${n} }; });
    server.get("/slow/quick", () => ({ n: ${n} }));
  `,
      { extra: `dispose() { globalThis.slowSteps.push("dispose ${n}"); },` },
    );
  const entered = deferred<void>();
  const gate = deferred<void>();
  const steps: string[] = [];
  Object.assign(world, { slowEntered: entered, slowGate: gate, slowSteps: steps });
  modules.put("slow", text(1));
  const prism = await startWith(t, modules);
  const inFlight = prism.get("/slow");
  await entered.promise;
  modules.put("slow", text(2));
  const reloading = reload(prism, "slow");
  const refused = await eventually("requests are refused", async () => {
    const reply = await prism.get("/slow/quick");
    return reply.status === 503 ? reply : null;
  });
  assertReplaced(refused);
  gate.resolve();
  assert.deepEqual((await inFlight).body, { n: 1 });
  await reloading;
  assert.deepEqual((await prism.get("/slow/quick")).body, { n: 2 });
  assert.deepEqual(steps, ["register 1", "dispose 1", "register 2"]);
});

test("a reload ends subscriptions, handlers and consumers of the old instance", async (t) => {
  const modules = new ModuleDir(t);
  const heard: string[] = [];
  world["reloadHeard"] = heard;
  const text = (n: number) =>
    moduleText(
      "ears",
      `
    services.events.on("poke", () => { globalThis.reloadHeard.push("bus ${n}"); });
    services.scheduler.handle("work", async () => { globalThis.reloadHeard.push("job ${n}"); });
    services.events.consume("log", async (batch) => { for (const e of batch) globalThis.reloadHeard.push("event ${n} " + e.type); });
    server.post("/ears/work", async () => services.scheduler.add("default", "work", {}));
  `,
    );
  modules.put("ears", text(1));
  const prism = await startWith(t, modules);
  const round = async (n: number): Promise<void> => {
    heard.length = 0;
    prism.services.events.emit("poke");
    await prism.post("/ears/work", {});
    await prism.post("/api/v1/events", { type: `t${n}` });
    await eventually("all three", () => heard.length >= 3);
    await prism.get("/health");
    assert.deepEqual([...heard].sort(), [`bus ${n}`, `event ${n} t${n}`, `job ${n}`]);
  };
  await round(1);
  modules.put("ears", text(2));
  await reload(prism, "ears");
  await round(2);
});

test("timers and schedules that the new registration does not make again are gone; others stay", async (t) => {
  const modules = new ModuleDir(t);
  const event = `{ type: "event", event: "x", payload: {} }`;
  modules.put(
    "timed",
    moduleText(
      "timed",
      `
    await services.timer.after("kept", 86_400_000, ${event});
    await services.timer.after("dropped", 86_400_000, ${event});
    await services.timer.every("dropped-too", "0 8 * * *", ${event});
    await services.scheduler.cron("nightly", "0 3 * * *", "work", {});
    await services.scheduler.cron("hourly", "0 * * * *", "work", {});
    server.post("/timed/remind", () => services.timer.after("reminder", 86_400_000, ${event}));
  `,
    ),
  );
  const prism = await startWith(t, modules);
  assert.equal((await prism.post("/timed/remind", {})).status, 200);
  const labels = () =>
    rowsOf<{ label: string }>(
      prism,
      "select label from jobs where kind = 'timer' and state = 'scheduled' order by label",
    ).map(({ label }) => label);
  const schedules = () =>
    rowsOf<{ label: string | null; name: string }>(prism, "select label, name from schedules where module = 'timed'")
      .map(({ label, name }) => label ?? name)
      .sort();
  assert.deepEqual(labels(), ["dropped", "kept", "reminder"]);
  assert.deepEqual(schedules(), ["dropped-too", "timed:hourly", "timed:nightly"]);
  modules.put(
    "timed",
    moduleText(
      "timed",
      `
    await services.timer.after("kept", 86_400_000, ${event});
    await services.scheduler.cron("nightly", "0 3 * * *", "work", {});
  `,
    ),
  );
  await reload(prism, "timed");
  assert.deepEqual(labels(), ["kept", "reminder"], "what a request asked for is not the registration's");
  assert.deepEqual(schedules(), ["timed:nightly"]);
});

test("timers of one label that requests ask for all run, for each of their recipients", async (t) => {
  const modules = new ModuleDir(t);
  const notify = "{ userId: req.params.userId, title: 'Reminder for ' + req.params.userId, body: 'b' }";
  modules.put(
    "reminders",
    moduleText(
      "reminders",
      `server.post("/remind/:userId", (req) => services.timer.after("reminder", 20, { type: "notify", payload: ${notify} }));`,
    ),
  );
  const prism = await startWith(t, modules);
  const ids = new Set<unknown>();
  for (const user of ["ann", "bob", "eve"]) ids.add((await prism.post(`/remind/${user}`, {})).body["jobId"]);
  assert.equal(ids.size, 3);
  await eventually("all three are reminded", () => {
    const titles = rowsOf<{ title: string }>(prism, "select title from notifications order by title");
    return titles.map(({ title }) => title).join() === "Reminder for ann,Reminder for bob,Reminder for eve";
  });
});

test("a register that makes two timers with one label gets an error, and one that repeats an earlier start's does not", async (t) => {
  const modules = new ModuleDir(t);
  const timer = (label: string, payload: string): string =>
    `await services.timer.after("${label}", 86_400_000, { type: "event", event: "x", payload: ${payload} });`;
  modules.put("twice", moduleText("twice", timer("a", "1") + timer("a", "2") + timer("b", "Date.now()")));
  const log = new LogLines();
  const prism = await startWith(t, modules, { log });
  const told = () => log.lines.filter(({ message }) => message.startsWith("register() creates two timers"));
  const rows = told().map(({ level, fields }) => [level, fields["module"], fields["label"]]);
  assert.deepEqual(rows, [["warn", "twice", "a"]]);
  await prism.restart();
  assert.equal(told().length, 2);
});

test("a reload that fails leaves the former instance as it was", async (t) => {
  const modules = new ModuleDir(t);
  const good = moduleText(
    "sturdy",
    `
    server.get("/sturdy", () => ({ ok: true }));
    services.events.on("poke", () => services.kv.set("poked", true));
    services.scheduler.handle("work", async () => { await services.kv.set("worked", true); });
    server.post("/sturdy/work", () => services.scheduler.add("default", "work", {}));
  `,
  );
  modules.put("sturdy", good);
  const prism = await startWith(t, modules);
  for (const [name, text, error] of [
    ["a syntax error", "export default {", /Unexpected/],
    [
      "an error in register",
      moduleText("sturdy", `server.get("/sturdy", () => 1); throw new Error("half way");`),
      /^half way \(index\.mjs:\d+:\d+\)$/,
    ],
    ["a taken route", moduleText("sturdy", `server.get("/health", () => 1);`), /^MODULE_ROUTE_CONFLICT/],
    ["another name", moduleText("stout", ""), /is called stout now/],
    [
      "what it requires is not there",
      moduleText("sturdy", "", { extra: `requires: { modules: ["nobody"] }` }),
      /requires the module nobody/,
    ],
  ] as const)
    await t.test(name, async () => {
      modules.put("sturdy", text);
      const state = await reload(prism, "sturdy");
      assert.equal(state.state, "active");
      assert.match(state.error ?? "", error);
      assert.deepEqual((await prism.get("/sturdy")).body, { ok: true });
      await prism.services.db.write((trx) => trx.deleteFrom("module_kv").execute());
      prism.services.events.emit("poke");
      await prism.post("/sturdy/work", {});
      await eventually("bus and jobs reach it", () => rowsOf(prism, "select key from module_kv").length === 2);
      assert.equal(readdirSync(join(prism.dir, ".modules")).length, 1, "the copy that failed is gone");
    });
  modules.put("sturdy", good);
  assert.equal((await reload(prism, "sturdy")).error, null);
});

test("the former instance that cannot go on is failed, and says both reasons", async (t) => {
  const modules = new ModuleDir(t);
  modules.put(
    "once",
    moduleText(
      "once",
      `if (globalThis.onceRegistered) throw new Error("only once"); globalThis.onceRegistered = true; server.get("/once", () => 1);`,
    ),
  );
  const prism = await startWith(t, modules);
  modules.put("once", moduleText("once", `throw new Error("worse");`));
  const { state, error } = await reload(prism, "once");
  assert.deepEqual(
    [state, error],
    ["failed", "worse (index.mjs:6:7); the former instance could not continue either: only once (index.mjs:6:38)"],
  );
  assert.equal((await prism.get("/once")).status, 503);
  modules.put("once", moduleText("once", `server.get("/once", () => 2);`));
  assert.equal((await reload(prism, "once")).state, "active");
  assert.equal((await prism.get("/once")).body, 2);
});

test("while a module is developed a change of its folder is enough: new, changed, and gone", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("first", moduleText("first", `server.get("/first", () => 1);`));
  const prism = await startWith(t, modules, { settings: { "modules.hotReload": "true" } });
  modules.put("second", {
    "index.mjs": moduleText("second", `server.get("/second", () => n);`, { before: `import { n } from "./n.mjs";` }),
    "n.mjs": "export const n = 1;",
  });
  await eventually("the new one answers", async () => (await prism.get("/second")).status === 200);
  modules.put("second", { "n.mjs": "export const n = 2;" });
  await eventually("the changed one answers", async () => (await prism.get("/second")).text === "2");
  modules.remove("second");
  await eventually("it is gone", async () => (await prism.get("/second")).status === 404);
  await eventually("it is not listed", async () => (await stateOf(prism, "second")) === undefined);
  assert.equal((await prism.get("/first")).status, 200);
  await eventually("its row, too", () => rowsOf(prism, "select name from modules").length === 1);
});

test("in a fresh data directory the first module is loaded as soon as its folder is there", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log, settings: { env: "development" } });
  const put = (file: string, text: string): void => {
    mkdirSync(join(prism.dir, "modules/hello"), { recursive: true });
    writeFileSync(join(prism.dir, "modules/hello", file), text);
  };
  put("index.ts", "export default 1;");
  await eventually("the log says what to do with TypeScript", () =>
    log.lines.some(
      ({ fields, message }) => fields["folder"] === "hello" && /npx esbuild index\.ts --bundle/.test(message),
    ),
  );
  put("index.mjs", moduleText("hello", `server.get("/hello", { public: true }, () => 1);`));
  await eventually("it answers", async () => (await prism.get("/hello")).status === 200);
});

test("in production a change of the folder alone changes nothing", async (t) => {
  const modules = new ModuleDir(t);
  const prism = await startWith(t, modules);
  assert.ok(existsSync(modules.path));
  modules.put("late", moduleText("late", `server.get("/late", () => 1);`));
  await prism.get("/health");
  assert.equal((await prism.get("/late")).status, 404);
  await prism.post("/api/v1/modules/late/reload");
  assert.equal((await prism.get("/late")).status, 200);
  modules.put("typed", { "index.ts": "export default 1;" });
  const refused = await prism.post("/api/v1/modules/typed/reload");
  assert.equal(refused.status, 404);
  assert.match(
    refused.text,
    /No such module: no module: the folder has TypeScript only; compile it: npx esbuild index\.ts/,
  );
});
