import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { findUnsafeParent, unsafeReason } from "../../../src/features/plugins/directory-safety.ts";
import { copyModule } from "../../../src/features/plugins/modules-directory.ts";
import { RunningCli, runJson } from "../../cli/run-cli.ts";
import { ModuleDir, moduleText } from "./support/module-dir.ts";

/** A module's folder, and where its copy goes. */
function folderOf(t: TestContext): { modules: ModuleDir; from: string; to: string } {
  const modules = new ModuleDir(t);
  modules.put("m", { "index.mjs": moduleText("m", ""), "lib/a.mjs": "export const a = 1;" });
  return { modules, from: join(modules.path, "m"), to: join(modules.path, "../copy") };
}

test("a folder that only its owner may write is copied with all its files", async (t) => {
  const { from, to } = folderOf(t);
  await copyModule(from, to, true);
  assert.equal(readFileSync(join(to, "lib/a.mjs"), "utf8"), "export const a = 1;");
});

test("in production nothing is loaded that others could have written", async (t) => {
  for (const [name, path, mode] of [
    ["a file that the group may write", "m/lib/a.mjs", 0o664],
    ["a file that everybody may write", "m/index.mjs", 0o646],
    ["a folder within", "m/lib", 0o775],
    ["the module's folder", "m", 0o777],
    ["the modules directory", ".", 0o777],
    ["the modules directory, with the sticky bit too", ".", 0o1777],
    ["a directory above it", "..", 0o770],
  ] as const)
    await t.test(name, async (t) => {
      const { modules, from, to } = folderOf(t);
      chmodSync(join(modules.path, path), mode);
      await assert.rejects(copyModule(from, to, true), /can be written by others; chmod go-w /);
      await copyModule(from, `${to}-2`, false);
    });
});

test("in production symbolic links stay within the module's folder", async (t) => {
  const { modules, from, to } = folderOf(t);
  symlinkSync("a.mjs", join(from, "lib/inside.mjs"));
  await copyModule(from, to, true);
  assert.equal(readFileSync(join(to, "lib/inside.mjs"), "utf8"), "export const a = 1;");
  writeFileSync(join(modules.path, "outside.mjs"), "export const o = 1;", { mode: 0o644 });
  symlinkSync("../outside.mjs", join(from, "out.mjs"));
  await assert.rejects(
    copyModule(from, `${to}-2`, true),
    /out\.mjs is a symbolic link that leaves the module's folder/,
  );
  await copyModule(from, `${to}-3`, false);
  assert.equal(readFileSync(join(`${to}-3`, "out.mjs"), "utf8"), "export const o = 1;");
});

test("a folder that contains a link to itself is refused, in development too", async (t) => {
  const { from, to } = folderOf(t);
  symlinkSync("..", join(from, "lib/up"));
  await assert.rejects(copyModule(from, to, false), /link to itself/);
});

test("a directory with the sticky bit may be world-writable: only owners can change its entries", (t) => {
  const { modules, from } = folderOf(t);
  const shared = join(modules.path, "shared");
  mkdirSync(join(shared, "own"), { recursive: true, mode: 0o755 });
  chmodSync(shared, 0o1777);
  assert.equal(findUnsafeParent(join(shared, "own")), undefined);
  assert.match(findUnsafeParent(shared) ?? "", /shared can be written by others/);
  assert.equal(findUnsafeParent(from), undefined);
});

test("files of another owner are refused", () => {
  const own = process.getuid?.() ?? 0;
  assert.match(unsafeReason("/m", { uid: own + 4711, mode: 0o755 }) ?? "", /belongs to another user/);
  assert.equal(unsafeReason("/m", { uid: 0, mode: 0o755 }), undefined);
});

test("a server in production loads what is safe, says why it does not load the rest, and so does doctor", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("good", moduleText("good", `server.get("/good", { public: true }, () => 1);`));
  modules.put("loose", moduleText("loose", `server.get("/loose", { public: true }, () => 1);`));
  chmodSync(join(modules.path, "loose/index.mjs"), 0o666);
  const env = {
    NODE_ENV: "production",
    JWT_SECRET: "q3VnZ0Jx1m8yT5sK2pLw9aRd7eHf4cUiNoBvXzGtYjMk6QlS",
    PRISM_ENCRYPTION_KEY: Buffer.from("0123456789abcdefghijklmnopqrstuv").toString("base64"),
    PRISM_MODULES_DIR: modules.path,
  };
  const cwd = join(modules.path, "..");
  const server = new RunningCli(t, ["serve", "--port", "0", "--host", "127.0.0.1"], { cwd, env });
  const [, base = ""] = await server.until(/Prism is ready: (\S+)/);
  assert.equal((await fetch(`${base}/good`)).status, 200);
  assert.equal((await fetch(`${base}/loose`)).status, 404);
  assert.match(server.stdout, /"module":"loose"[^\n]*index\.mjs can be written by others; chmod go-w/);
  server.signal("SIGTERM");
  await server.ended();
  interface Found {
    readonly checks: readonly { readonly name: string; readonly status: string; readonly message: string }[];
  }
  const found = await runJson<Found>(["doctor"], { cwd, env }).catch((error: unknown) => String(error));
  assert.match(String(found), /ended with 8/, "a FAIL is a FAIL");
});
