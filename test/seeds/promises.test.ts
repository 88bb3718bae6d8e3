import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { RunningCli } from "../cli/run-cli.ts";
import { GOOD_SECRETS } from "../config/support/load.ts";
import { MailServer } from "../features/access/sessions/support/mail-server.ts";
import { ModuleDir, moduleText, startWith } from "../features/plugins/support/module-dir.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { rowsOf } from "../helpers/tables.ts";
import { SocketIoClient } from "../live/support/socketio-client.ts";

/** Promises of docs/promises.md that no test of a single part shows as a whole. */
const root = join(import.meta.dirname, "../..");

async function accepted(prism: TestPrism, path: string, body: unknown): Promise<Record<string, unknown>> {
  const reply = await prism.post<Record<string, unknown>>(path, body);
  assert.ok(reply.status >= 200 && reply.status < 300, reply.text);
  return reply.body;
}

test("S0-41: a timer's action `notify` stores the notification and sends it over Socket.IO", async (t) => {
  keepsPromise(t, "S0-41");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const client = await SocketIoClient.ready(t, prism.url, "websocket", { token: uma.token });
  const payload = { userId: uma.id, title: "Hello!", body: "Timer fired." };
  await accepted(prism, "/time/trigger", { label: "l", delayMs: 1, action: { type: "notify", payload } });
  const came = await client.expect("notification", { title: "Hello!" });
  assert.equal(came["message"], "Timer fired.");
  const stored = rowsOf(prism, "select id from notifications where id = ? and title = 'Hello!'", String(came["id"]));
  assert.equal(stored.length, 1);
});

test("S0-10: the event of a timer reaches a module and a rule", async (t) => {
  keepsPromise(t, "S0-10");
  const modules = new ModuleDir(t);
  modules.put(
    "listener",
    moduleText(
      "listener",
      `services.events.on("shop.closed", (p) => services.kv.set("heard", p));
        server.get("/heard", async () => (await services.kv.get("heard")) ?? null);`,
    ),
  );
  const prism = await startWith(t, modules);
  const uma = await makeUser(prism, "uma");
  const rule = {
    name: "closed",
    condition: 'event.type == "shop.closed"',
    targetUsers: [uma.id],
    titleTemplate: "closed",
  };
  await accepted(prism, "/api/v1/rules", rule);
  const action = { type: "event", event: "shop.closed", payload: { n: 7 }, persist: true };
  await accepted(prism, "/time/trigger", { label: "l", delayMs: 1, action });
  await eventually("the module has it", async () => (await prism.get<{ n?: number } | null>("/heard")).body?.n === 7);
  await eventually(
    "the rule has notified",
    () => rowsOf(prism, "select id from notifications where title = 'closed'").length === 1,
  );
});

test("S2-01: accounts, rules, notifications, events, users, roles, audit and transfer buckets answer, each a feature", async (t) => {
  keepsPromise(t, "S2-01");
  const prism = await startPrism(t);
  const { body } = await prism.get<{ data: { name: string; builtIn: boolean; state: string }[] }>("/api/v1/modules");
  const own = new Set(body.data.filter(({ builtIn, state }) => builtIn && state === "active").map(({ name }) => name));
  for (const name of ["users", "roles", "rules", "notifications", "events", "audit", "transfer-buckets"])
    assert.ok(own.has(name), name);
  for (const path of [
    "/api/v1/auth/sessions",
    "/api/v1/rules",
    "/api/v1/notifications",
    "/api/v1/events",
    "/api/v1/users",
    "/api/v1/roles",
    "/api/v1/audit",
    "/api/v1/transfer-buckets",
  ])
    assert.equal((await prism.get(path)).status, 200, path);
});

test("S2-130: one commit stores an event, its mark as processed and the notification of its rule", async (t) => {
  keepsPromise(t, "S2-130");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  await accepted(prism, "/api/v1/rules", { name: "r", condition: 'event.type == "one"', targetUsers: [uma.id] });
  // A reader's snapshot is one commit: none may show the event without its effects.
  const { reader } = prism.parts.base.store;
  const look = reader.prepare<[], { open: number; silent: number }>(
    `select count(*) filter (where processedAt is null) as open, count(*) filter (where not exists (
         select 1 from notifications n where n.eventId = e.id)) as silent from events e where type = 'one'`,
  );
  const seen: string[] = [];
  let isDone = false;
  const watch = (): void => {
    seen.push(JSON.stringify(look.get()));
    if (!isDone) setImmediate(watch);
  };
  watch();
  for (let n = 0; n < 20; n++) await accepted(prism, "/api/v1/events", { type: "one", payload: { n } });
  isDone = true;
  assert.deepEqual([...new Set(seen)], ['{"open":0,"silent":0}']);
  assert.equal(rowsOf(prism, "select id from notifications").length, 20);
});

test("S2-77, S2-80: a delivery runs in notification-delivery, the summary of a storm in alert-suppression", async (t) => {
  keepsPromise(t, ["S2-77", "S2-80"]);
  const mail = await MailServer.start(t);
  const prism = await startPrism(t, { settings: mail.settings });
  const uma = await makeUser(prism, "uma");
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ email: "uma@example.com", isEmailVerified: 1 }).where("id", "=", uma.id).execute(),
  );
  const sent = { recipients: [uma.id], title: "t", message: "m", channels: ["email"] };
  await accepted(prism, "/api/v1/notifications", sent);
  await eventually("the mail has come", () => mail.mails.length === 1);
  const suppression = { count: 1, windowMs: 60_000, mode: "batch" };
  await accepted(prism, "/api/v1/rules", { name: "s", condition: "true", targetUsers: [uma.id], suppression });
  for (let n = 0; n < 3; n++) await accepted(prism, "/api/v1/events", { type: "storm", payload: { n } });
  const queued = (alias: string) =>
    prism.get<{ data: { kind: string; queue: string }[] }>(`/api/v1/jobs?queue=${alias}`).then(({ body }) => body.data);
  const deliveries = await queued("notification-delivery-queue");
  assert.ok(deliveries.length > 0 && deliveries.every(({ queue }) => queue === "notification-delivery"));
  await eventually("the summary is a job", async () =>
    (await queued("alert-suppression-queue")).some(({ kind }) => kind === "suppression.storm"),
  );
});

test("S1-41, S3-07: a body that its schema refuses costs no transaction, and one that is not JSON is not parsed further", async (t) => {
  keepsPromise(t, ["S1-41", "S3-07"]);
  const prism = await startPrism(t);
  const { record } = prism.parts.base.store.committer;
  const cost = async (): Promise<number> => {
    const before = record.commits;
    for (const [path, body] of [
      ["/api/v1/events", { type: 1 }],
      ["/api/v1/notifications", { title: 5 }],
      ["/api/v1/rules", { name: 7 }],
      ["/api/tasks", { title: 1 }],
      ["/messages", { content: 9 }],
    ] as const) {
      const { status, body: answer } = await prism.post<{ error: { code: string } }>(path, body);
      assert.deepEqual([status, answer.error.code], [400, "VALIDATION_FAILED"], path);
    }
    return record.commits - before;
  };
  // Every two seconds the store tries a commit of its own.
  assert.equal(Math.min(await cost(), await cost()), 0);
});

test("S4-06: the test runner runs a test, and the linter accepts a source and refuses a mistake", (t) => {
  keepsPromise(t, "S4-06");
  const { NODE_TEST_CONTEXT: _, TEST_COMPILED: __, TEST_PROMISES: ___, ...env } = process.env;
  const run = (args: readonly string[]) => spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  const tests = run(["scripts/test.mjs", "test/core/ids.test.ts"]);
  assert.equal(tests.status, 0, tests.stdout + tests.stderr);
  assert.match(tests.stdout, /pass [1-9]/);
  const lint = (file: string) =>
    spawnSync(join(root, "node_modules/.bin/biome"), ["lint", file], { cwd: root, encoding: "utf8" });
  assert.equal(lint("src/core/ids.ts").status, 0);
  const bad = join(temporaryDir(t), "bad.ts");
  writeFileSync(bad, "export const a = (b: any) => { debugger; return b == 1 };\n");
  assert.notEqual(lint(bad).status, 0);
});

function opens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    endSoon(socket);
  });
}

/** An address that drops packets counts as closed. */
function endSoon(socket: ReturnType<typeof connect>): void {
  socket.setTimeout(5000, () => socket.destroy());
  socket.once("connect", () => socket.end());
}

test("S4-40: a development server, and one with the configuration of prism service install, listen on this machine only", async (t) => {
  keepsPromise(t, "S4-40");
  const installed = { env: "production", host: "127.0.0.1" };
  for (const [config, env] of [
    [{}, {}],
    [installed, GOOD_SECRETS],
  ] as const) {
    const cwd = temporaryDir(t);
    writeFileSync(join(cwd, "prism.config.json"), JSON.stringify(config));
    const server = new RunningCli(t, ["serve", "--port", "0", "--config", "prism.config.json"], {
      cwd,
      env: { ...env },
    });
    const [, base = ""] = await server.until(/Prism is ready: (\S+)/);
    const port = Number(new URL(base).port);
    assert.equal(await opens("127.0.0.1", port), true);
    const others = Object.values(networkInterfaces())
      .flat()
      .flatMap((each) => (each && !each.internal && each.family === "IPv4" ? [each.address] : []));
    for (const address of ["127.0.0.2", ...others]) assert.equal(await opens(address, port), false, address);
  }
});
