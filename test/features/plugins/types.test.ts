import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { keepsPromise } from "../../helpers/promise.ts";
import { temporaryDir } from "../../helpers/store.ts";

const root = join(import.meta.dirname, "../../..");

/**
 * A separate folder with Prism and the packages of its types installed as by npm, without access to
 * this checkout.
 */
function outside(t: TestContext): string {
  const dir = temporaryDir(t);
  const prism = join(dir, "node_modules/prism");
  mkdirSync(join(prism, "dist"), { recursive: true });
  cpSync(join(root, "package.json"), join(prism, "package.json"));
  const made = spawnSync(process.execPath, [join(root, "scripts/module-types.mjs"), join(prism, "dist/module.d.ts")]);
  assert.equal(made.status, 0, String(made.stderr));
  mkdirSync(join(dir, "node_modules/@types"));
  for (const name of ["kysely", "luxon", "valibot", "@types/luxon", "@types/node"])
    if (existsSync(join(root, "node_modules", name)))
      symlinkSync(join(root, "node_modules", name), join(dir, "node_modules", name));
  writeFileSync(join(dir, "package.json"), '{ "type": "module", "private": true }');
  return dir;
}

/** @returns what the compiler prints about the files, whose texts are given by name */
function compile(dir: string, texts: Readonly<Record<string, string>>, ...more: string[]): string {
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(dir, name), text);
  const { bin } = JSON.parse(readFileSync(join(root, "node_modules/typescript/package.json"), "utf8")) as {
    bin: { tsc: string };
  };
  const tsc = join(root, "node_modules/typescript", bin.tsc);
  const flags = [
    "--strict",
    "--noEmit",
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--lib",
    "es2023",
    "--types",
    "node",
    ...more,
  ];
  const args = [tsc, ...flags, ...Object.keys(texts)];
  const { stdout } = spawnSync(process.execPath, args, { cwd: dir, encoding: "utf8" });
  return stdout;
}

const MODULE = `
import type { AppModule, CoreServices, JobView, ModuleRequest, Principal, StoredEvent, TimerAction } from "prism/module";
import * as v from "valibot";

const digest: TimerAction = { type: "notify", payload: { userId: "me", title: "t", body: "b" } };
const Body = v.object({ name: v.string() });

const module: AppModule = {
  name: "mine",
  version: "1.0.0",
  requires: { prism: ">=0.1", modules: ["time"] },
  async register(server, services: CoreServices) {
    server.get("/mine", async () => ({ hello: "world" }));
    server.post("/mine/:id", { body: Body, permission: "events:write", errors: ["OVERLOADED"], rateLimit: { max: 1, windowMs: 1000 } }, (req: ModuleRequest) => {
      const user: Principal | null = req.user;
      return user?.kind === "apiKey" ? req.reply(201, { project: user.projectId }) : req.params.id;
    });
    services.scheduler.handle("work", async (job, signal) => { const view: JobView = job; if (!signal.aborted) job.progress({ of: view.id }); });
    services.scheduler.handle("count", async () => ({ n: 1 }));
    await services.scheduler.cron("nightly", "0 3 * * *", "work", {}, { timezone: "Europe/Berlin" });
    await services.timer.after("daily", 1000, digest, { onConflict: "replace" });
    server.post("/hook", { public: true, rawBody: true, bodyTypes: ["*"], maxBytes: 2_000_000 }, (req) => ({ bytes: req.rawBody.length }));
    const { data } = { data: await services.kv.list("team:", { limit: 10 }) };
    const own = services.db.read.withTables<{ module_mine_visits: { day: string } }>();
    const days = await own.selectFrom("module_mine_visits").select("day").execute();
    services.log.info({ teams: data.length, day: days[0]?.day }, "read");
    services.events.consume("careful", async () => {}, { maxAttempts: 3 });
    services.events.consume("log", async (batch: StoredEvent[]) => { for (const { type, payload } of batch) services.log.info({ type, n: Object.keys(payload).length }, "seen"); });
    await services.db.write(async (trx) => {
      const user = await trx.selectFrom("users").select(["id", "timezone"]).executeTakeFirst();
      await services.kv.set("last", { id: user?.id ?? null }, { trx });
    });
    const at: string | null = services.time.now("UTC").plus({ days: 1 }).toISO();
    services.events.emit("mine:ready", { at });
  },
  async dispose() {},
};
export default module;
`;

test("S0-50: a module in TypeScript compiles against the types that are published as prism/module", (t) => {
  keepsPromise(t, "S0-50");
  const dir = outside(t);
  assert.equal(compile(dir, { "index.ts": MODULE }), "");
  const mistakes = [
    ["a table that is not there", 'selectFrom("users")', 'selectFrom("nobody")', /TS2345|TS2769/],
    ["a misspelt option", 'permission: "events', 'permision: "events', /TS2561|TS2353|TS2769/],
    ["a permission that there is not", 'permission: "events:write"', 'permission: "not:there"', /TS2322|TS2769/],
    ["no name", 'name: "mine",', "", /TS2741/],
    ["an action of no kind", 'type: "notify"', 'type: "shout"', /TS2322/],
  ] as const;
  const texts = mistakes.map(([, from, to], n) => {
    assert.ok(MODULE.includes(from));
    return [`mistake-${n}.ts`, MODULE.replace(from, to)] as const;
  });
  // One run for all of them; the packages' own types have been checked above.
  const output = compile(dir, Object.fromEntries(texts), "--skipLibCheck").split("\n");
  for (const [n, [name, , , error]] of mistakes.entries())
    assert.match(output.filter((line) => line.startsWith(`mistake-${n}.ts`)).join("\n"), error, name);
});
