import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { valuesOf } from "../helpers/values.ts";
import { runCli, runJson } from "./run-cli.ts";

const UUID = /^[0-9a-f-]{36}/;

async function setUp(t: Parameters<typeof startPrism>[0], settings: Readonly<Record<string, string>> = {}) {
  const prism = await startPrism(t, { settings });
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const run = (...args: string[]) => runCli(args, options);
  const json = <T>(...args: string[]) => runJson<T>(args, options);
  return { prism, options, run, json };
}

test("timers: what trigger has planned is listed and can be cancelled, by its label too", async (t) => {
  const { prism, run, json } = await setUp(t);
  assert.equal((await run("timers", "list")).stdout, "no timers\n");
  const notify = ["--notify", "me", "--title", "Stand-up", "--body", "b"];
  const made = await json<{ jobId: string }>("trigger", "stand-up", "--cron", "0 9 * * *", ...notify);
  await run("trigger", "tea", "--delay", "1h", "--event", "tea.ready", "--no-persist");
  await run("trigger", "lunch", "--delay", "2h", "--channel", "kitchen");

  const { stdout } = await run("timers", "list");
  assert.match(stdout, /^ID +NEXT RUN +CRON +ZONE +STATE +LABEL +ACTION\n/);
  assert.match(stdout, /scheduled +lunch +message to channel kitchen\n/);
  assert.match(stdout, /scheduled +tea +event tea\.ready \(not stored\)\n/);
  assert.match(stdout, new RegExp(`\n${made.jobId} .* 0 9 \\* \\* \\* .*stand-up +notify: Stand-up\n`));
  const { timers } = await json<{ timers: { jobId: string; id?: string }[] }>("timers", "list");
  assert.deepEqual([timers.length, timers[0]?.id], [3, undefined]);

  for (const args of [["cancel"], ["list"]]) {
    const { status, stderr } = await run("queue", ...args, "--id", made.jobId);
    assert.equal(status, 6);
    assert.ok(stderr.includes(`prism timers cancel ${made.jobId} cancels it`), stderr);
  }
  const unknown = await run("queue", "cancel", "--id", crypto.randomUUID());
  assert.deepEqual([unknown.status, /timers/.test(unknown.stderr)], [6, false]);

  const cancelled = await run("timers", "cancel", "stand-up");
  assert.deepEqual([cancelled.status, cancelled.stdout], [0, `${made.jobId}  stand-up  cancelled\n`]);
  const { body } = await prism.get<{ data: { label: string }[] }>("/api/v1/timers");
  assert.deepEqual(body.data.map(({ label }) => label).sort(), ["lunch", "tea"]);
  assert.equal((await run("timers", "cancel", "stand-up")).status, 6);
  await run("trigger", "tea", "--delay", "1h", "--channel", "kitchen");
  assert.match((await run("timers", "cancel", "tea")).stderr, /tea matches 2 timers; give the id of one:\n/);
});

test("schedules: listed, run, paused, resumed and cancelled by name", async (t) => {
  const { prism, run, json } = await setUp(t);
  const payload = { action: { type: "message", channel: "c" } };
  const schedule = { name: "nightly-report", everyMs: 3_600_000, queue: "timers", kind: "timer", payload };
  const { body } = await prism.post<{ id: string }>("/api/v1/schedules", schedule);
  const { stdout } = await run("schedules", "list");
  assert.match(stdout, /^ID +STATE +NEXT RUN +LAST RUN +REPEATS +ZONE +QUEUE +NAME\n/);
  assert.match(stdout, /active .* every 60 min +\S+ +timers +nightly-report\n/);

  assert.match((await run("schedules", "pause", "nightly")).stdout, /\S+ +paused /);
  const { schedules } = await json<{ schedules: { name: string }[] }>("schedules", "list", "--active");
  assert.ok(!schedules.some(({ name }) => name === "nightly-report"));
  assert.match((await run("schedules", "resume", body.id)).stdout, /\S+ +active /);
  const ran = await json<{ scheduleId: string; jobId: string }>("schedules", "run", "nightly-report");
  assert.deepEqual([ran.scheduleId, UUID.test(ran.jobId)], [body.id, true]);

  assert.match((await run("schedules", "cancel", "nightly-report")).stderr, /nothing was deleted; --yes/);
  const cancelled = await run("schedules", "cancel", "nightly-report", "--yes");
  assert.deepEqual([cancelled.status, cancelled.stdout], [0, `${body.id}  nightly-report  cancelled\n`]);
  assert.equal((await prism.get(`/api/v1/schedules/${body.id}`)).status, 404);
});

test("notifications: one's own and those of another user, acknowledged and read", async (t) => {
  const { prism, options, run, json } = await setUp(t);
  const ann = await makeUser(prism, "ann");
  const send = async (title: string, recipients: readonly string[]) =>
    (await prism.post<{ id: string }>("/api/v1/notifications", { recipients, title, message: "m" })).body.id;
  assert.equal((await run("notifications", "list")).stdout, "no notifications\n");
  const mine = await send("Mine", ["me"]);
  const first = await send("First", ["ann"]);
  await send("Second", ["ann"]);

  assert.match(
    (await run("notifications", "list")).stdout,
    /^ID +CREATED +STATE +PRIORITY +TITLE +MESSAGE\n.* unread +0 +Mine +m\n$/,
  );
  const listed = await json<{ notifications: { title: string }[] }>(
    "notifications",
    "list",
    "--user",
    "ann",
    "--limit",
    "1",
  );
  assert.deepEqual(valuesOf(listed.notifications, "title"), ["Second"]);
  assert.equal((await run("notifications", "read", mine)).stdout, `${mine}  read  Mine\n`);
  const acked = await run("notifications", "ack", first, "--user", "ann", "--note", "on it");
  assert.equal(acked.stdout, `${first}  acknowledged  First\n`, acked.stderr);
  const { body } = await prism.get<{ data: { userId: string; metadata: object }[] }>(
    "/api/v1/audit?action=notification.acknowledged",
  );
  assert.deepEqual(body.data[0]?.metadata, { onBehalfOf: ann.id, noteLength: 5 });
  assert.notEqual(body.data[0]?.userId, ann.id);
  assert.equal((await run("notifications", "read", "--all", "--user", "ann")).stdout, "1 marked read\n");
  assert.equal(
    (await run("notifications", "list", "--user", "ann", "--status", "unread")).stdout,
    "no notifications\n",
  );

  const asAnn = { ...options, env: { ...options.env, PRISM_TOKEN: ann.token } };
  const own = await runCli(["notifications", "ack", first.slice(0, 13)], asAnn);
  assert.ok(own.status === 0 || own.status === 7, own.stderr);
  for (const args of [
    ["read", "--all"],
    ["ack", mine],
    ["read", mine],
  ]) {
    const { status, stderr } = await runCli(["notifications", ...args, "--user", "dev"], asAnn);
    assert.deepEqual([status, /users:manage/.test(stderr)], [5, true], stderr);
  }
  assert.equal((await run("notifications", "read")).status, 2);
  assert.equal((await run("notifications", "ack", mine, "--user", "nix")).status, 6);
});

test("projects: made, renamed and deleted, with their members", async (t) => {
  const { prism, run, json } = await setUp(t);
  await makeUser(prism, "ann");
  const made = await run("projects", "create", "Operations", "--slug", "ops");
  assert.match(made.stdout, /^prk_\S+\n$/);
  assert.match(made.stderr, /^Project \S+ has the slug ops; its API key is not shown again\.\n$/);
  assert.equal((await run("projects", "create", "Again", "--slug", "ops")).status, 7);
  assert.match((await run("projects", "rename", "ops", "Night watch")).stdout, /ops +\S+ +owner +Night watch\n$/);
  assert.match((await run("projects", "list")).stdout, /^ID +SLUG +CREATED +YOUR ROLE +NAME\n/);

  const storage = await json<{ limit: number | null }>("projects", "storage", "ops", "--limit", "1048576");
  assert.equal(storage.limit, 1_048_576);
  assert.match((await run("projects", "storage", "ops")).stdout, /^ops stores 0 B of 1\.0 MiB, a limit of its own\n$/);
  assert.match(
    (await run("projects", "storage", "ops", "--limit", "default")).stdout,
    /^ops stores 0 B without a limit\n$/,
  );
  assert.equal((await run("projects", "storage", "ops", "--limit", "1GB")).status, 2);
  assert.match((await run("projects", "add-member", "ops", "ann", "--role", "editor")).stdout, / ann +editor /);
  const { members } = await json<{ members: { username: string; role: string }[] }>("projects", "members", "ops");
  assert.ok(members.some(({ username, role }) => username === "ann" && role === "editor"));
  assert.equal((await run("projects", "remove-member", "ops", "ann")).status, 0);
  assert.equal((await run("projects", "remove-member", "ops", "ann")).status, 6);

  const { id: projectId } = await json<{ id: string }>("projects", "rename", "ops", "Night watch");
  const boss = await makeUser(prism, "boss", ["User"]);
  assert.match((await run("projects", "add-member", "ops", "boss", "--role", "owner")).stdout, / boss +owner /);
  const key = await prism.post(`/api/v1/projects/${projectId}/keys`, { name: "shop" }, { token: boss.token });
  assert.equal(key.status, 201, key.text);
  const demoted = await run("projects", "add-member", "ops", "boss", "--role", "viewer");
  assert.match(demoted.stdout, /only events:read +API key +\S+ +shop\n$/);
  const removed = await run("projects", "remove-member", "ops", "boss");
  assert.match(
    removed.stdout,
    /^boss is no longer a member of ops\nSTATE +KIND +ID +NAME\nrevoked +API key +\S+ +shop\n$/,
  );
  await makeUser(prism, "bob", ["User"]);
  assert.equal((await run("projects", "add-member", "ops", "bob")).status, 0);
  assert.equal((await run("projects", "remove-member", "ops", "bob", "--keep-keys")).status, 0);

  assert.equal((await run("projects", "delete", "ops")).status, 2);
  assert.equal((await run("projects", "delete", "ops", "--yes")).status, 0);
  assert.equal((await run("projects", "members", "ops")).status, 6);
});

test("ntfy access: rights on topics are listed, set by ntfy's words and removed", async (t) => {
  const { prism, run, json } = await setUp(t);
  await makeUser(prism, "ann", ["User"]);
  const rows = async (...words: string[]) => {
    const { access } = await json<{ access: { username: string | null; topic: string; permission: string }[] }>(
      ...["ntfy", "access", ...words],
    );
    return access.map(({ username, topic, permission }) => `${username ?? "everyone"} ${topic} ${permission}`);
  };
  assert.equal((await run("ntfy", "access")).stdout, "no rights on topics: those in the project decide\n");
  assert.match((await run("ntfy", "access", "ann", "backup-*", "ro")).stdout, / ann +backup-\* +read\n$/);
  assert.deepEqual(await rows("*", "*", "deny"), ["everyone * none"]);
  assert.deepEqual(await rows("ann", "news", "rw"), ["ann backup-* read", "ann news read-write"]);
  assert.equal((await run("ntfy", "access", "ann", "news")).status, 2);
  assert.equal((await run("ntfy", "access", "ann", "news", "all")).status, 2);
  assert.equal((await run("ntfy", "access", "nobody", "news", "rw")).status, 6);
  assert.deepEqual(await rows("--reset", "ann", "news"), ["ann backup-* read"]);
  assert.equal((await run("ntfy", "access", "--reset", "ann", "news")).status, 6);
  assert.equal((await run("ntfy", "access", "--reset")).status, 2);
  assert.deepEqual(await rows("--reset", "--yes"), []);
  assert.deepEqual(await rows(), []);
});

test("webhooks: of users and projects, tested, switched and deleted", async (t) => {
  const { prism, run, json } = await setUp(t, { "webhooks.allowPrivateCidrs": "127.0.0.1/32" });
  const url = `${prism.url}/nix`;
  assert.equal((await run("webhooks", "list")).stdout, "no webhooks\n");
  const made = await run("webhooks", "create", url, "--project", "default", "--types", "backup.*, order.paid");
  assert.match(made.stdout, /^whsec_\S+\n$/, made.stderr);
  assert.match(
    (await run("webhooks", "list")).stdout,
    / default +yes +0 +backup\.\*,order\.paid +http:\/\/\S+\/nix\n$/,
  );
  const tested = await run("webhooks", "test", url);
  assert.equal(tested.status, 8);
  assert.match(tested.stdout, /^\S+ {2}not delivered {2}404\n$/);
  assert.match((await run("webhooks", "disable", url)).stdout, /disabled\n$/);
  const off = await json<{ webhooks: { active: boolean }[] }>("webhooks", "list", "--project", "default");
  assert.deepEqual(valuesOf(off.webhooks, "active"), [false]);
  assert.match((await run("webhooks", "enable", url)).stdout, /enabled\n$/);
  assert.equal((await run("webhooks", "delete", url)).status, 2);
  assert.equal((await run("webhooks", "delete", url, "--yes")).status, 0);
  assert.equal((await run("webhooks", "test", url)).status, 6);
});

test("status shows how the server is, and fails when it is degraded", async (t) => {
  const { prism, run, json, options } = await setUp(t);
  const { status, stdout } = await run("status");
  assert.equal(status, 0);
  assert.match(
    stdout,
    /^STATUS +ok\nversion +\d+\.\d+\.\d+\nuptime +\d+ s\ndatabase +[\d.]+ [KM]iB, [\d.]+ ([KM]iB|B) in its write-ahead log\n/,
  );
  assert.match(stdout, /\nlast backup +-\nconnections +0\nrules +0 active\n/);
  await prism.post("/api/v1/queues/digest/pause", {});
  const paused = await run("status");
  assert.match(paused.stdout, /^STATUS +attention\n[\s\S]*\npaused queues +digest\n/);
  assert.equal(paused.status, 0);
  const circuit = prism.parts.offers.circuits.ofHost("webhook", "pager.example");
  t.mock.getter(circuit, "state", () => "open");
  const strict = await run("status", "--strict");
  assert.equal(strict.status, 8);
  assert.match(strict.stderr, /needs attention: queue digest paused, webhook host pager\.example paused\n/);
  assert.match(strict.stdout, /\npaused channels +webhook host pager\.example\n/);
  const shown = await json<{ status: string; checks: object; lastBackupAt: null }>("status");
  assert.deepEqual([shown.status, shown.lastBackupAt, Object.keys(shown.checks)[0]], ["ok", null, "database"]);

  t.mock.getter(prism.parts.base.storage, "problem", () => "disk");
  const degraded = await run("status");
  assert.deepEqual([degraded.status, degraded.stderr], [8, "prism: the server is degraded\n"]);
  assert.match(degraded.stdout, /^STATUS +degraded\n[\s\S]*\ncheck storage: full\n/);
  t.mock.restoreAll();
  const away = { ...options, env: { PRISM_URL: "http://127.0.0.1:2", PRISM_TOKEN: "x" } };
  assert.equal((await runCli(["status"], away)).status, 4);
});

test("version and -v say which version this is", async (t) => {
  const { run, json } = await setUp(t);
  const { stdout } = await run("-v");
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal((await run("version")).stdout, `${stdout.trim()}  (Node.js ${process.versions.node})\n`);
  assert.equal((await json<{ version: string }>("version")).version, stdout.trim());
});

test("on the machine itself the commands need no token: the operator names users", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "ann");
  const options = { cwd: prism.dir, env: { PRISM_DATA_DIR: prism.dir } };
  const run = (...args: string[]) => runCli(args, options);
  const sent = await runJson<{ id: string }>(["send", "--to", "ann", "Wake up"], options);
  assert.equal((await run("notifications", "ack", sent.id, "--user", "ann")).status, 0);
  const { status, stderr } = await run("notifications", "list");
  assert.deepEqual([status, /The operator has no account/.test(stderr)], [5, true], stderr);
  const followed = await run("tail", "--notifications", "--limit", "1");
  assert.deepEqual([followed.status, followed.stdout], [5, ""], followed.stderr);
  assert.match(followed.stderr, /The operator has no account, so no user:me; give that user's token/);
  for (const args of [
    ["status"],
    ["timers", "list"],
    ["schedules", "list"],
    ["projects", "list"],
    ["webhooks", "list"],
    ["send", "hello"],
  ]) {
    const result = await run(...args);
    assert.deepEqual([result.status, result.stderr], [0, ""], args.join(" "));
  }
  assert.match((await run("send", "hello")).stdout, /\nno rule matched\n$/);
  assert.equal((await run("projects", "create", "Ops", "--slug", "ops")).status, 0);
  assert.match((await run("projects", "add-member", "ops", "ann")).stdout, / ann +viewer /);

  await prism.stop();
  const stored = await run("send", "--project", "ops", "without a server");
  assert.equal(stored.status, 0, stored.stderr);
  const away = await runCli(["status"], { ...options, env: { ...options.env, PORT: "1" } });
  assert.equal(away.status, 4, "the status of a server that does not run is not that of a core in the command");
});
