import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { PrismBinary } from "./prism-binary.ts";

const examples = join(import.meta.dirname, "../../examples");

interface ModuleState {
  readonly name: string;
  readonly state: string;
  readonly error: string | null;
}

/**
 * What outsiders write: ECMAScript and CommonJS, with files beside them, and one that cannot be
 * loaded.
 */
const FILES: Readonly<Record<string, string>> = {
  "esm/index.mjs": `import { greeting } from "./lib/greeting.mjs";
import { hostname } from "node:os";
export default { name: "esm", version: "1.0.0", register(server) { server.get("/esm", { public: true }, () => ({ greeting, isHost: hostname() !== "" })); } };`,
  "esm/lib/greeting.mjs": `export const greeting = "hello";`,
  "script/index.js": `const { greeting } = require("./greeting.js");
module.exports = { name: "script", version: "1.0.0", register(server) { server.get("/script", { public: true }, () => ({ greeting })); } };`,
  "script/greeting.js": `exports.greeting = "good day";`,
  "script/package.json": `{ "type": "commonjs" }`,
  "broken/index.mjs": "throw new Error('not today');",
  "own-modules/index.mjs": `import { n } from "counted";
export default { name: "own-modules", version: "1.0.0", register(server) { server.get("/own-modules", { public: true }, () => n); } };`,
  "own-modules/node_modules/counted/package.json": `{ "name": "counted", "type": "module", "exports": "./index.js" }`,
  "own-modules/node_modules/counted/index.js": "export const n = 42;",
};

function put(modulesDir: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(modulesDir, name, ".."), { recursive: true });
    writeFileSync(join(modulesDir, name), text);
  }
}

test("S0-40, S0-09: the executable loads modules from its folder, and reloads them", async (t) => {
  keepsPromise(t, "S0-40");
  const prism = new PrismBinary(t);
  const modulesDir = join(prism.dir, "data/modules");
  put(modulesDir, FILES);
  cpSync(join(examples, "hello"), join(modulesDir, "hello"), { recursive: true });
  cpSync(join(examples, "alertmanager"), join(modulesDir, "alertmanager"), { recursive: true });
  await prism.start();

  const { body } = await prism.call<{ data: ModuleState[] }>("GET", "/api/v1/modules");
  const states = Object.fromEntries(body.data.map(({ name, state, error }) => [name, error ?? state]));
  for (const name of ["esm", "script", "own-modules", "hello", "alertmanager"])
    assert.equal(states[name], "active", name);
  assert.equal(states["broken"], "not today (index.mjs:1:7)");
  assert.deepEqual((await prism.call("GET", "/esm")).body, { greeting: "hello", isHost: true });
  assert.deepEqual((await prism.call("GET", "/script")).body, { greeting: "good day" });
  assert.equal((await prism.call("GET", "/own-modules")).body, 42);
  assert.equal((await prism.call("GET", "/hello")).status, 200);
  const alerts = JSON.parse(readFileSync(join(examples, "alertmanager/payloads/alertmanager.json"), "utf8")) as object;
  const stored = await prism.call<{ events: unknown[] }>("POST", "/hooks/alertmanager", alerts);
  assert.deepEqual([stored.status, stored.body.events.length], [200, 2]);

  put(modulesDir, { "esm/lib/greeting.mjs": `export const greeting = "hello again";` });
  await eventually("development takes the change over", async () => {
    const reply = await prism.call<{ greeting: string }>("GET", "/esm");
    // 503 with Retry-After while the module is being replaced.
    return reply.status !== 503 && reply.body.greeting === "hello again";
  });
  assert.equal(await prism.stop(), 0);

  await prism.start();
  assert.deepEqual((await prism.call("GET", "/script")).body, { greeting: "good day" });
  const doctor = prism.run(["doctor", "--json"]);
  const { checks } = JSON.parse(doctor.stdout) as { checks: { name: string; status: string; message: string }[] };
  const found = checks.filter(({ name }) => name === "modules");
  assert.ok(
    found.some(
      ({ status, message }) => status === "WARN" && message.includes("broken") && message.includes("not today"),
    ),
  );
});
