import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { jsonLines, RunningCli } from "../../cli/run-cli.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import type { TestPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { ModuleDir, moduleText, startWith, stateOf } from "./support/module-dir.ts";

const LATE = /^an ended instance of a module still calls services/;

/** What the module's own code saw of its calls: how often each was refused, and with which code. */
interface Seen {
  /** By version, then by call. */
  readonly refused: Record<string, Record<string, number>>;
  readonly codes: Set<unknown>;
  readonly timers: NodeJS.Timeout[];
  answered: number;
}

const KEY = "prismEndedInstanceTest";

function watchCalls(t: TestContext): Seen {
  const seen: Seen = { refused: {}, codes: new Set(), timers: [], answered: 0 };
  Object.assign(globalThis, { [KEY]: seen });
  t.after(() => {
    for (const timer of seen.timers) clearInterval(timer);
  });
  return seen;
}

/** An interval without dispose, which calls every service that does something. */
const INTERVAL = `
    const seen = globalThis.${KEY};
    const refused = seen.refused[this.version] = {};
    const { read } = services.db;
    const query = services.db.read.selectFrom("module_kv").selectAll();
    const calls = {
      "events.ingest": () => services.events.ingest({ type: "leak.tick" }),
      "events.emit": () => services.events.emit("leak:tick"),
      "events.on": () => services.events.on("leak:never", () => {}),
      "kv.get": () => services.kv.get("n"),
      "kv.set": () => services.kv.set("n", 1),
      "kv.delete": () => services.kv.delete("other"),
      "scheduler.add": () => services.scheduler.add("default", "work", {}),
      "scheduler.cron": () => services.scheduler.cron("c", "0 0 1 1 *", "work", {}),
      "timer.after": () => services.timer.after("t", 3_600_000, { type: "event", event: "leak:timer", payload: {} }),
      "timer.cancel": () => services.timer.cancel("t"),
      "notify.send": () => services.notify.send({ userId: "leak-user", title: "t", body: "b" }),
      "realtime.publish": () => services.realtime.publish("channel:leak", "tick", {}),
      "realtime.isLive": () => services.realtime.isLive("leak-user"),
      "audit.record": () => services.audit.record({ action: "leak.tick" }),
      "db.read": () => read.selectFrom("module_kv").selectAll().execute(),
      "db.read, built before": () => query.execute(),
      "db.write": () => services.db.write((trx) => trx.selectFrom("module_kv").selectAll().execute()),
    };
    services.scheduler.handle("work", async () => {});
    let isBusy = false;
    seen.timers.push(setInterval(async () => {
      if (isBusy) return;
      isBusy = true;
      for (const [name, call] of Object.entries(calls)) {
        try { await call(); seen.answered++; }
        catch (error) { refused[name] = (refused[name] ?? 0) + 1; seen.codes.add(error.code ?? error); }
      }
      isBusy = false;
    }, 5));`;

async function rows(prism: TestPrism): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ["events", "jobs", "schedules", "notifications", "stream_log", "audit_log"] as const) {
    const row = await prism.services.db.read
      .selectFrom(table)
      .select((e) => e.fn.countAll<number>().as("n"))
      .executeTakeFirstOrThrow();
    counts[table] = row.n;
  }
  return counts;
}

/** Every call of this version has been refused, and twice more since. */
async function requireRefused(seen: Seen, version: string): Promise<void> {
  const own = seen.refused[version] ?? {};
  const isRefused = (): boolean => Object.keys(own).length === 17 && Object.values(own).every((times) => times >= 3);
  await eventually(`version ${version} is refused every call`, isRefused);
}

test("an ended instance of a module writes nothing: after a reload, when disabled, and when its folder is gone", async (t) => {
  const seen = watchCalls(t);
  const modules = new ModuleDir(t);
  const put = (version: string): void => modules.put("leak", moduleText("leak", INTERVAL, { version }));
  put("1.0.0");
  const log = new LogLines();
  const prism = await startWith(t, modules, { log });
  await eventually("the running instance is answered", () => seen.answered > 17);

  for (let n = 1; n < 18; n++) {
    put(`1.0.${n}`);
    assert.equal((await prism.post("/api/v1/modules/leak/reload")).status, 200);
  }
  await requireRefused(seen, "1.0.0");
  await requireRefused(seen, "1.0.16");
  const answered = seen.answered;
  await eventually("the newest instance is answered", () => seen.answered > answered);

  assert.equal((await prism.post("/api/v1/modules/leak/disable")).status, 200);
  await requireRefused(seen, "1.0.17");
  const before = await rows(prism);
  seen.refused["1.0.17"] = Object.assign(seen.refused["1.0.17"] ?? {}, { "kv.set": 0 });
  await requireRefused(seen, "1.0.17");
  assert.deepEqual(await rows(prism), before);

  assert.equal((await prism.post("/api/v1/modules/leak/enable")).status, 200);
  modules.remove("leak");
  await prism.parts.offers.loaded.folderChanged("leak");
  assert.equal(await stateOf(prism, "leak"), undefined);
  await requireRefused(seen, "1.0.17");

  assert.deepEqual([...seen.codes], ["MODULE_UNAVAILABLE"]);
  const late = log.lines.filter(({ message }) => LATE.test(message));
  assert.equal(late.length, 19, "one line for each instance");
  assert.ok(late.every(({ fields }) => fields["module"] === "leak" && String(fields["call"]).includes(".")));
});

test("dispose and work that an end waits for still have their services", async (t) => {
  const modules = new ModuleDir(t);
  const text = (version: string): string =>
    moduleText(
      "saver",
      `this.kv = services.kv; server.get("/saved", { public: true }, async () => ({ saved: await services.kv.get("saved") }));`,
      { version, extra: `async dispose() { await this.kv.set("saved", this.version); },` },
    );
  modules.put("saver", text("1.0.0"));
  const prism = await startWith(t, modules);
  modules.put("saver", text("2.0.0"));
  await prism.post("/api/v1/modules/saver/reload");
  assert.deepEqual((await prism.get("/saved")).body, { saved: "1.0.0" });
});

test("what an ended instance does not catch neither ends the server nor fills the log", async (t) => {
  const cwd = temporaryDir(t);
  mkdirSync(join(cwd, "mods/leak"), { recursive: true });
  const register = `
    setInterval(() => services.events.emit("leak:emit"), 2);
    setInterval(() => services.kv.set("a", 1), 2);
    server.get("/ticks", { public: true }, () => 1);`;
  writeFileSync(join(cwd, "mods/leak/index.mjs"), moduleText("leak", register));
  const server = new RunningCli(t, ["serve", "--port", "0", "--modules-dir", "mods"], { cwd });
  const [, base = ""] = await server.until(/Prism is ready: (\S+)/);
  const { token } = (await (await fetch(`${base}/dev/token`)).json()) as { token: string };
  const headers = { Authorization: `Bearer ${token}` };
  const disabled = await fetch(`${base}/api/v1/modules/leak/disable`, { method: "POST", headers });
  assert.equal(disabled.status, 200);
  await server.until(/an ended instance of a module still calls services/);
  for (let n = 0; n < 20; n++) assert.equal((await fetch(`${base}/health/live`)).status, 200);
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
  const lines = jsonLines<{ msg: string; module?: string }>(server.stdout);
  assert.equal(lines.filter(({ msg }) => LATE.test(msg)).length, 1);
  const found = lines.filter(({ msg }) => msg === "uncaught error in a module");
  assert.deepEqual(found, []);
});
