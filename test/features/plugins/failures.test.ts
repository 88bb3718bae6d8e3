import assert from "node:assert/strict";
import test from "node:test";
import { createLogger } from "../../../src/config/logger.ts";
import { ModuleDir, moduleText, startWith, stateOf } from "./support/module-dir.ts";

interface Line {
  readonly msg: string;
  readonly ns: string;
  readonly module?: string;
  readonly reason?: string;
  readonly err?: { readonly type?: string; readonly message?: string; readonly stack?: string; readonly code?: string };
}

/** A logger as in production, and its lines as an operator reads them. */
function readLog() {
  const text: string[] = [];
  const log = createLogger({ level: "info", destination: { write: (line: string) => void text.push(line) } });
  const lines = (): Line[] => text.map((line) => JSON.parse(line) as Line);
  return {
    log,
    find: (msg: string, module: string) => lines().findLast((line) => line.msg === msg && line.module === module),
  };
}

const SYNTAX = `import { join } from "node:path";
export const a = join(import.meta.url, "x");
export default {
  name: "syntax", version: "1.0.0",
  register() { return 1 +; },
};
`;

const HELPER = `
export function broken(o) {
  return o.foo.bar;
}
`;

test("a module that fails says in which file and line, at import, in register and at a reload", async (t) => {
  const modules = new ModuleDir(t);
  const { log, find } = readLog();
  modules.put("syntax", SYNTAX);
  modules.put("cut", {
    "index.mjs": 'import "./lib.mjs";\nexport default 1;',
    "lib.mjs": "export function x() {\n  return 1;\n",
  });
  modules.put("import", { "index.mjs": 'import { broken } from "./lib.mjs";\nbroken({});', "lib.mjs": HELPER });
  const register = (call: string) => moduleText("register", call, { before: 'import { broken } from "./lib.mjs";' });
  modules.put("register", { "index.mjs": register("broken({});"), "lib.mjs": HELPER });
  modules.put("option", moduleText("option", `server.get("/a", { permision: "x" }, () => 1);`));
  modules.put("fine", moduleText("fine", ""));
  const prism = await startWith(t, modules, { log });
  for (const [name, place] of [
    ["syntax", "index.mjs:5:"],
    ["cut", "lib.mjs:2)"],
    ["import", "lib.mjs:3:"],
    ["register", "lib.mjs:3:"],
    ["option", "index.mjs:6:"],
  ] as const)
    await t.test(name, async () => {
      const { error } = (await stateOf(prism, name)) ?? {};
      assert.ok(error?.includes(`(${place}`), `${error}`);
      const line = find("cannot load module", name);
      assert.equal(line?.reason, error);
      assert.ok(line?.err?.stack, "with the stack of its own error");
      if (name === "register" || name === "import") assert.match(line.err.stack, /lib\.mjs:3:\d+[\s\S]*index\.mjs:\d+/);
    });
  modules.put("fine", { "index.mjs": register("broken({});").replace('"register"', '"fine"'), "lib.mjs": HELPER });
  await prism.post("/api/v1/modules/fine/reload");
  assert.match((await stateOf(prism, "fine"))?.error ?? "", /reading 'bar'\) \(lib\.mjs:3:/);
  assert.match(find("cannot reload module", "fine")?.err?.stack ?? "", /TypeError[\s\S]*lib\.mjs:3:/);
});

test("what a handler throws is logged with its module, its own line and the error's text", async (t) => {
  const modules = new ModuleDir(t);
  const { log, find } = readLog();
  modules.put(
    "faulty",
    moduleText(
      "faulty",
      `
    server.get("/table", { public: true }, () => services.db.read.selectFrom("nothing_here").selectAll().execute());
    server.get("/timeout", { public: true }, () => { throw AbortSignal.abort().reason; });
    server.get("/own-ingest", { public: true }, async function own() { return services.events.ingest({ type: "" }); });
    server.get("/said", { public: true, errors: ["VALIDATION_FAILED"] }, () => services.events.ingest({ type: "" }));
    services.events.on("faulty:bus", () => { throw new Error("in a handler of the bus"); });
    services.scheduler.handle("unused", async () => {});`,
    ),
  );
  const prism = await startWith(t, modules, { log });
  assert.equal((await stateOf(prism, "faulty"))?.error, null);
  const failed = async (path: string): Promise<Line["err"]> => {
    const { status, text } = await prism.get(path, { token: null });
    assert.equal(status, 500, text);
    assert.match(text, /"INTERNAL"/);
    return find("request failed", "faulty")?.err;
  };
  const table = await failed("/table");
  assert.deepEqual([table?.code, table?.message], ["SQLITE_ERROR", "no such table: nothing_here"]);
  assert.ok(table?.stack);
  const timeout = await failed("/timeout");
  assert.deepEqual([timeout?.type, timeout?.message], ["AbortError", "This operation was aborted"]);
  const ingest = await failed("/own-ingest");
  assert.match(ingest?.message ?? "", /a service refused what the handler of a route gave it/);
  assert.match(
    ingest?.stack ?? "",
    /at (async )?(Object\.)?own \(file:[^)]*index\.mjs:\d+:\d+\)/,
    "the module's own line",
  );
  assert.equal((await prism.get("/said", { token: null })).status, 400, "a code that the route names is answered");
  prism.parts.base.bus.emit("faulty:bus");
  await prism.parts.base.bus.idle();
  assert.equal(find("event handler failed", "faulty")?.err?.message, "in a handler of the bus");
});
