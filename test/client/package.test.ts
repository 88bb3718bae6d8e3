import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type * as v from "valibot";
import type { Level, Notification } from "../../src/client/index.ts";
import type { LEVELS } from "../../src/core/text/vocabulary.ts";
import type { NotificationView } from "../../src/features/notifications/schema.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { makeClientPackage } from "./support/client-package.ts";

const root = join(import.meta.dirname, "../..");

/** Lists of the schemas may be written to, those of the client not; JSON has no undefined. */
type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Name in keyof T]: Frozen<Exclude<T[Name], undefined>> }
    : T;
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;

test("the types of what the server sends are the server's own", () => {
  const notification: Same<Notification, Frozen<v.InferOutput<typeof NotificationView>>> = true;
  const level: Same<Level, (typeof LEVELS)[number]> = true;
  assert.ok(notification && level);
});

test("the package is one file without dependencies, its types, and a manifest of this version", (t) => {
  const dir = makeClientPackage(t);
  const manifest = JSON.parse(readFileSync(join(dir, "package.json"), "utf8")) as Record<string, unknown>;
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  assert.deepEqual([manifest["name"], manifest["version"], manifest["type"]], ["prism-client", version, "module"]);
  assert.equal(manifest["dependencies"], undefined);
  assert.match(readFileSync(join(dir, "LICENSE"), "utf8"), /MIT/);
  const script = readFileSync(join(dir, "index.js"), "utf8");
  assert.doesNotMatch(script, /\bimport\b|\brequire\(|process\./);
  assert.ok(script.length < 30_000, `${script.length} bytes`);
});

const USE = `
import { PrismClient, PrismError, type Notification } from "prism-client";
const client = new PrismClient({ url: "https://prism.example", getToken: async () => "t", storage: { get: (key) => null, set() {} } WS });
const inbox = client.subscribe("user:me", { ack: "auto" });
inbox.on("notification", ({ data }) => { const n: Notification = data; console.log(n.title.length); });
inbox.on("unread-count", ({ data }) => console.log(data.count + 1));
inbox.on("notification.read", ({ data }) => console.log("all" in data ? data.upTo : data.id));
inbox.on("gap", ({ from, to }) => console.log(from - to));
client.subscribe("project:1").on("event", ({ data }) => console.log(data.payload, data.level));
client.on("state", (s) => { if (s.state === "waiting") console.log(s.delayMs, s.error.code); });
client.on("error", ({ error, entry }) => { const e: PrismError = error; console.log(e.requestId, entry); });
// @ts-expect-error a user's stream has no such entries
inbox.on("order.failed", () => undefined);
// @ts-expect-error there is no such option
new PrismClient({ url: "", tokn: "" });
void client.api.markRead("x").then(({ read }) => read);
`;

for (const [name, lib, types, given] of [
  ["a browser's, with its own WebSocket", ["--lib", "es2022,dom"], "", ", WebSocket"],
  ["Node's, with that of ws", ["--lib", "es2022"], "node", ", WebSocket: WS"],
] as const) {
  test(`the types serve a program: ${name}`, (t) => {
    const dir = temporaryDir(t);
    installed(t, dir, types === "node" ? ["ws", "@types/ws", "@types/node", "undici-types"] : []);
    const ws = types === "node" ? 'import { WebSocket as WS } from "ws";\n' : "declare const console: Console;\n";
    writeFileSync(join(dir, "index.ts"), `${ws}${USE.replace(" WS ", `${given} `)}`);
    writeFileSync(join(dir, "package.json"), '{ "type": "module", "private": true }');
    const typescript = join(root, "node_modules/typescript");
    const { bin } = JSON.parse(readFileSync(join(typescript, "package.json"), "utf8")) as { bin: { tsc: string } };
    const flags = [
      "--strict",
      "--noEmit",
      "--exactOptionalPropertyTypes",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      ...lib,
    ];
    const args = [
      join(typescript, bin.tsc),
      ...flags,
      ...(types === "" ? ["--types", ""] : ["--types", types]),
      "index.ts",
    ];
    const { stdout } = spawnSync(process.execPath, args, { cwd: dir, encoding: "utf8" });
    assert.equal(stdout, "");
  });
}

/** The package, and others of this checkout. */
function installed(t: TestContext, dir: string, others: readonly string[]): void {
  mkdirSync(join(dir, "node_modules/@types"), { recursive: true });
  symlinkSync(makeClientPackage(t), join(dir, "node_modules/prism-client"));
  for (const name of others) symlinkSync(join(root, "node_modules", name), join(dir, "node_modules", name));
}

test("the server gives the script without credentials, and 304 to a client that has it", async (t) => {
  const prism = await startPrism(t);
  const reply = await prism.get("/prism-client.js", { token: null });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get("content-type"), "text/javascript; charset=utf-8");
  assert.equal(reply.text, readFileSync(join(root, "dist/prism-client/index.js"), "utf8"));
  const tag = reply.headers.get("etag") ?? "";
  assert.match(tag, /^W\/"[\w-]{16}"$/);
  const again = await prism.get("/prism-client.js", { token: null, headers: { "If-None-Match": tag } });
  assert.deepEqual([again.status, again.text, again.headers.get("etag")], [304, "", tag]);
  const other = await prism.get("/prism-client.js", { token: null, headers: { "If-None-Match": '"other"' } });
  assert.equal(other.status, 200);
});
