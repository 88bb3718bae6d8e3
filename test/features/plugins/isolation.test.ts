import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { LogLines } from "../../helpers/log-lines.ts";
import type { TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { ModuleDir, moduleText, startWith, stateOf } from "./support/module-dir.ts";

const GOOD = moduleText("good", `server.get("/good", () => "good");`);

/** Whatever the other modules do: this one, and the program, do their work. */
async function unharmed(prism: TestPrism): Promise<void> {
  assert.equal((await prism.get("/good")).status, 200);
  assert.equal((await stateOf(prism, "good"))?.state, "active");
  assert.equal((await prism.get("/health")).status, 200);
  assert.equal((await prism.post("/api/v1/events", { type: "a" })).status, 202);
}

/** Names of the folder, what it holds, and why that is not active. */
const BAD: readonly { name: string; folder: string; text: string; error: RegExp; state?: string }[] = [
  { name: "a file that is not JavaScript", folder: "syntax", text: "export default {", error: /Unexpected/ },
  { name: "an error at import", folder: "throws-at-import", text: "throw new Error('no wheels');", error: /no wheels/ },
  { name: "an import that is not there", folder: "no-import", text: "import './gone.mjs';", error: /gone\.mjs/ },
  { name: "no default export", folder: "no-default", text: "export const a = 1;", error: /default export/ },
  { name: "an invalid name", folder: "bad-name", text: moduleText("Bad Name", ""), error: /name must be/ },
  {
    name: "an invalid version",
    folder: "bad-version",
    text: moduleText("bad-version", "", { version: "one" }),
    error: /version of bad-version/,
  },
  {
    name: "no register",
    folder: "no-register",
    text: `export default { name: "no-register", version: "1.0.0" };`,
    error: /no register/,
  },
  {
    name: "an error in register",
    folder: "throws",
    text: moduleText("throws", "throw new Error('boom');"),
    error: /^boom \(index\.mjs:\d+:\d+\)$/,
  },
  {
    name: "an error in a register that is not asynchronous",
    folder: "throws-at-once",
    text: `export default { name: "throws-at-once", version: "1.0.0", register() { throw new Error("at once"); } };`,
    error: /^at once \(index\.mjs:\d+:\d+\)$/,
  },
  {
    name: "something else than an error that is thrown",
    folder: "throws-text",
    text: moduleText("throws-text", "throw 'just text';"),
    error: /^just text$/,
  },
  {
    name: "a route of the program",
    folder: "takes-health",
    text: moduleText("takes-health", `server.get("/health", () => 1);`),
    error: /^MODULE_ROUTE_CONFLICT: \/health meets \/health, which is Prism's own/,
  },
  {
    name: "a path that the program's route with a parameter answers",
    folder: "takes-rule",
    text: moduleText("takes-rule", `server.post("/api/v1/rules/mine", () => 1);`),
    error: /^MODULE_ROUTE_CONFLICT: .*\/api\/v1\/rules\/:/,
  },
  {
    name: "a parameter where the program has a name",
    folder: "takes-all",
    text: moduleText("takes-all", `server.get("/:anything", () => 1);`),
    error: /^MODULE_ROUTE_CONFLICT/,
  },
  {
    name: "a path that is kept for the program",
    folder: "takes-dashboard",
    text: moduleText("takes-dashboard", `server.get("/dashboard/mine", () => 1);`),
    error: /^MODULE_ROUTE_CONFLICT/,
  },
  {
    name: "a path of another module",
    folder: "takes-good",
    text: moduleText("takes-good", `server.get("/other", () => 1); server.delete("/good", () => 1);`),
    error: /^MODULE_ROUTE_CONFLICT: \/good meets \/good of the module good/,
  },
  {
    name: "an alias of another module's path",
    folder: "takes-alias",
    text: moduleText("takes-alias", `server.get("/free", { aliases: ["/good"] }, () => 1);`),
    error: /^MODULE_ROUTE_CONFLICT/,
  },
  {
    name: "the same route twice",
    folder: "twice",
    text: moduleText("twice", `server.get("/twice", () => 1); server.get("/twice", () => 2);`),
    error: /^MODULE_ROUTE_CONFLICT: GET \/twice is added twice/,
  },
  {
    name: "an option that routes do not have",
    folder: "typo",
    text: moduleText("typo", `server.get("/typo", { permision: "audit:read" }, () => 1);`),
    error: /no option permision/,
  },
  {
    name: "a permission that cannot be granted",
    folder: "permission",
    text: moduleText("permission", `server.get("/permission", { permission: "all:things" }, () => 1);`),
    error: /permission of a route/,
  },
  {
    name: "an invalid path",
    folder: "path",
    text: moduleText("path", `server.get("no-slash", () => 1);`),
    error: /is not a path/,
  },
  {
    name: "the name of a part of the program",
    folder: "time",
    text: moduleText("time", ""),
    error: /the name time is one of Prism's own/,
    state: "folder:time",
  },
  {
    name: "another module's name",
    folder: "zz-good",
    text: moduleText("good", ""),
    error: /the name good is that of the folder good/,
    state: "folder:zz-good",
  },
  {
    name: "a module that is not there",
    folder: "needs",
    text: moduleText("needs", "", { extra: `requires: { modules: ["nowhere"] }` }),
    error: /requires the module nowhere, which does not exist/,
  },
  {
    name: "a newer Prism",
    folder: "future",
    text: moduleText("future", "", { extra: `requires: { prism: ">=99" }` }),
    error: /requires Prism >=99, and this is/,
  },
];

test("a module that cannot be active is failed and says why; nothing else is harmed", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("good", GOOD);
  for (const { folder, text } of BAD) modules.put(folder, text);
  const log = new LogLines();
  const prism = await startWith(t, modules, { log });
  for (const { name, folder, error, state = folder } of BAD)
    await t.test(name, async () => {
      const found = await stateOf(prism, state);
      assert.equal(found?.state, "failed");
      assert.match(found?.error ?? "", error);
      assert.ok(
        log.lines.some(({ level, fields }) => level === "error" && fields["folder"] === folder),
        "an operator is told",
      );
      assert.deepEqual(found?.routes, []);
      const [row] = rowsOf<{ state: string; error: string }>(
        prism,
        "select state, error from modules where name = ?",
        state,
      );
      assert.equal(row?.state, "failed");
    });
  for (const path of ["/other", "/free", "/twice", "/typo"]) assert.equal((await prism.get(path)).status, 404, path);
  await unharmed(prism);
});

test("modules that require each other fail; one that requires a good one comes after it", async (t) => {
  const modules = new ModuleDir(t);
  const requires = (...names: string[]) => ({ extra: `requires: { modules: ${JSON.stringify(names)} }` });
  modules.put(
    "a-last",
    moduleText("a-last", `services.events.emit("said", await services.kv.get("x") ?? "a");`, requires("good", "time")),
  );
  modules.put("good", GOOD);
  modules.put("one", moduleText("one", "", requires("two")));
  modules.put("two", moduleText("two", "", requires("one")));
  modules.put("three", moduleText("three", "", requires("two")));
  const log = new LogLines();
  const prism = await startWith(t, modules, { log });
  for (const name of ["one", "two", "three"]) assert.equal((await stateOf(prism, name))?.state, "failed", name);
  assert.match((await stateOf(prism, "two"))?.error ?? "", /one -> two -> one|two -> one -> two/);
  const loaded = log.lines.filter(({ message }) => message === "module loaded").map(({ fields }) => fields["module"]);
  assert.deepEqual(loaded, ["good", "a-last"]);
  await unharmed(prism);
});

test("what a failed registration had added is gone", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("good", GOOD);
  modules.put(
    "half",
    moduleText(
      "half",
      `
    server.get("/half", () => 1);
    services.events.on("poke", () => services.kv.set("poked", true));
    services.scheduler.handle("work", async () => { await services.kv.set("worked", true); });
    await services.scheduler.add("default", "work", {});
    services.events.consume("reader", async () => { await services.kv.set("read", true); });
    globalThis.halfServices = services;
    throw new Error("in the middle");
  `,
    ),
  );
  const prism = await startWith(t, modules);
  assert.equal((await stateOf(prism, "half"))?.state, "failed");
  assert.equal((await prism.get("/half")).status, 404);
  prism.services.events.emit("poke");
  await unharmed(prism);
  assert.deepEqual(rowsOf(prism, "select key from module_kv"), []);
  assert.deepEqual(
    rowsOf(prism, "select state from jobs where queue = 'module:half'"),
    [{ state: "ready" }],
    "its job waits",
  );
  const { halfServices } = globalThis as { halfServices?: { events: { on(name: string, fn: () => void): void } } };
  assert.throws(() => halfServices?.events.on("later", () => undefined), /has ended/);
});

test("an error in a handler is 500 INTERNAL with the request's id, and its words stay inside", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("good", GOOD);
  modules.put(
    "fails",
    moduleText(
      "fails",
      `
    server.get("/fails/async", async () => { throw new Error("secret words"); });
    server.get("/fails/sync", () => { throw new Error("secret words"); });
    server.get("/fails/text", () => { throw "secret words"; });
    server.get("/fails/circle", () => { const a = {}; a.a = a; return a; });
    server.get("/fails/function", () => () => 1);
    server.get("/fails/reply", (req) => req.reply(99));
    server.get("/fails/header", (req) => req.reply(200, {}, { "bad name": "1" }));
  `,
    ),
  );
  const log = new LogLines();
  const prism = await startWith(t, modules, { log });
  for (const path of ["async", "sync", "text", "circle", "function", "reply", "header"])
    await t.test(path, async () => {
      const reply = await prism.get<{ error: { code: string; requestId: string } }>(`/fails/${path}`, {
        headers: { "X-Request-Id": `r-${path}` },
      });
      assert.deepEqual(
        [reply.status, reply.body.error.code, reply.body.error.requestId],
        [500, "INTERNAL", `r-${path}`],
      );
      assert.ok(!reply.text.includes("secret words"));
      assert.ok(log.lines.some(({ level, fields }) => level === "error" && fields["requestId"] === `r-${path}`));
    });
  await unharmed(prism);
});

test("a register that never returns is given up; its routes and handlers are gone, also those it adds later", async (t: TestContext) => {
  const modules = new ModuleDir(t);
  modules.put("good", GOOD);
  modules.put(
    "hangs",
    moduleText(
      "hangs",
      `
    server.get("/hangs", () => 1);
    services.events.on("poke", () => services.kv.set("poked", true));
    await new Promise((resolve) => { globalThis.letGo = resolve; });
    try { server.get("/hangs/later", () => 1); } catch (error) { globalThis.refused = error.message; }
  `,
    ),
  );
  const prism = await startWith(t, modules);
  const { state, error } = (await stateOf(prism, "hangs")) ?? {};
  assert.deepEqual([state, error], ["failed", "register has not ended within 10 s"]);
  assert.equal((await prism.get("/hangs")).status, 404);
  const world = globalThis as { letGo?: () => void; refused?: string };
  world.letGo?.();
  await unharmed(prism);
  assert.match(world.refused ?? "", /while register runs/);
  prism.services.events.emit("poke");
  await unharmed(prism);
  assert.deepEqual(rowsOf(prism, "select key from module_kv"), []);
});
