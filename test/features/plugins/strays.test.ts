import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { jsonLines, RunningCli } from "../../cli/run-cli.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { moduleText } from "./support/module-dir.ts";

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly module?: string;
  readonly err?: { readonly message?: string };
}

interface Served {
  readonly server: RunningCli;
  readonly base: string;
  get(path: string): Promise<Response>;
}

async function serve(t: TestContext, register: string, env: Readonly<Record<string, string>> = {}): Promise<Served> {
  const cwd = temporaryDir(t);
  mkdirSync(join(cwd, "mods/stray"), { recursive: true });
  writeFileSync(join(cwd, "mods/stray/index.mjs"), moduleText("stray", register));
  const server = new RunningCli(t, ["serve", "--port", "0", "--modules-dir", "mods"], { cwd, env });
  const [, base = ""] = await server.until(/Prism is ready: (\S+)/);
  return { server, base, get: (path) => fetch(`${base}${path}`) };
}

const FAULTS: readonly { readonly name: string; readonly code: string; readonly said: RegExp }[] = [
  {
    name: "a rejected promise without a handler",
    code: `void Promise.reject(new Error("lost one"));`,
    said: /lost one/,
  },
  { name: "a rejection that is not an error", code: `void Promise.reject("just text");`, said: /just text/ },
  { name: "an error in a timer", code: `setTimeout(() => { throw new Error("in a timer"); }, 1);`, said: /in a timer/ },
  {
    name: "a text thrown in a timer",
    code: `setTimeout(() => { throw "text in a timer"; }, 1);`,
    said: /text in a timer/,
  },
  {
    name: "an error of Node's that has no line of the module",
    code: `void fetch("http://127.0.0.1:1/");`,
    said: /fetch failed/,
  },
  {
    name: "a service that refuses, and is not waited for",
    code: `void services.notify.send({ userId: "x", title: "" });`,
    said: /not valid/,
  },
  {
    name: "an error after a service's response",
    code: `void services.kv.set("a", 1).then(() => { throw new Error("behind it"); });`,
    said: /behind it/,
  },
  {
    name: "an emitter's error without a listener",
    code: `process.nextTick(() => { throw new Error("next tick"); });`,
    said: /next tick/,
  },
];

test("what a module leaves uncaught is logged with its name, and the server keeps running", async (t) => {
  const routes = FAULTS.map(
    ({ code }, n) => `server.get("/stray/${n}", { public: true }, () => { ${code} return 1; });`,
  );
  const { server, get } = await serve(t, `${routes.join("\n")}\nvoid Promise.reject(new Error("at registration"));`);
  const told = (said: RegExp): Promise<unknown> =>
    server.until(
      new RegExp(
        `"module":"stray"[^\n]*${said.source}[^\n]*uncaught error in a module|uncaught error in a module[^\n]*${said.source}`,
      ),
    );
  await told(/at registration/);
  for (const [n, { name, said }] of FAULTS.entries())
    await t.test(name, async () => {
      assert.equal((await get(`/stray/${n}`)).status, 200);
      await told(said);
      assert.equal((await get("/health/live")).status, 200);
    });
  const lines = jsonLines<Line>(server.stdout).filter(({ msg }) => msg === "uncaught error in a module");
  assert.ok(lines.every(({ level, module }) => level === "error" && module === "stray"));
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
});

test("an endless loop in a module is logged while it lasts", async (t) => {
  const { server, get } = await serve(t, `server.get("/stray/loop", { public: true }, () => { for (;;); });`, {
    LOG_LEVEL: "debug",
  });
  await server.until(/"msg":"watchdog of the event loop started"/);
  const loop = get("/stray/loop").catch(() => undefined);
  await server.until(/"module":"stray","blockedMs":\d+,"msg":"a module blocks the event loop; nothing is answered"/);
  server.signal("SIGKILL");
  await loop;
});
