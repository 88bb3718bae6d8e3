import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { scalarOf } from "../helpers/tables.ts";
import { valuesOf } from "../helpers/values.ts";
import { eachCase, jsonLines, RunningCli, runCli, runJson } from "./run-cli.ts";

/** The address of something that takes WebSockets and says what no Prism says. */
async function speaksNonsense(t: TestContext): Promise<string> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket) => socket.send("hello"));
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Line {
  readonly offset: number;
  readonly type: string;
  readonly ts: string;
  readonly payload: { readonly n: number };
  readonly title?: string;
}

test("tail", async (t) => {
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  const ingest = (events: unknown) => prism.post("/events", events);
  await ingest([
    { type: "order.paid", payload: { n: 1 } },
    { type: "order.failed", level: "error", source: "we\nb", payload: { n: 2, text: "\u009b31m\nred" } },
    { type: "login", level: "warn", payload: { n: 3 } },
  ]);

  await t.test("shows what is stored, one event a line, and what comes then", async () => {
    const tail = new RunningCli(t, ["tail", "--from", "earliest", "--limit", "4"], { cwd, env });
    await tail.until(/login/);
    await ingest({ type: "logout", payload: { n: 4 } });
    assert.equal(await tail.ended(), 0);
    const lines = tail.stdout.trimEnd().split("\n");
    assert.equal(lines.length, 4);
    assert.match(
      lines[1] ?? "",
      /^20\d\d-\S+Z {2}#2 {2}[0-9a-f-]{36} {2}error {2}order\.failed {2}we b {2}\{"n":2,"text":"\\u009b31m\\nred"\}$/,
    );
  });

  await t.test("columns are aligned, with a dash for a missing source", async () => {
    const { stdout } = await runCli(["tail", "--from", "earliest", "--limit", "4"], { cwd, env });
    const [first = "", second = "", third = ""] = stdout.split("\n");
    assert.match(first, /^\S+ {2}#1 {2}[0-9a-f-]{36} {2}info {3}order\.paid {2}- {2}\{"n":1\}$/);
    assert.match(third, /^\S+ {2}#3 {2}[0-9a-f-]{36} {2}warn {3}login {9}- {5}\{"n":3\}$/);
    assert.equal(third.indexOf("{"), second.indexOf("{"), "the widest cells so far make the columns");
  });

  await t.test("--all follows every project and names it", async () => {
    const { apiKey } = await makeProject(prism, "depot");
    const tail = new RunningCli(t, ["tail", "--all", "--from", "earliest", "--type", "of.*", "--limit", "2"], {
      cwd,
      env,
    });
    await prism.post("/events", { type: "of.depot" }, { apiKey });
    await tail.until(/of\.depot/);
    await ingest({ type: "of.default" });
    assert.equal(await tail.ended(), 0);
    assert.match(
      tail.stdout,
      /^\S+ {2}#\d+ {2}[0-9a-f-]{36} {2}depot {2}info {3}of\.depot {2}- {2}\{\}\n\S+ {2}#\d+ {2}[0-9a-f-]{36} {2}default {2}info {3}of\.default {2}- {2}\{\}\n$/,
    );
    const both = await runCli(["tail", "--all", "--project", "depot"], { cwd, env });
    assert.equal(both.status, 2);
  });

  await t.test("with --json each line is the event with its offset; --from is exclusive", async () => {
    const { status, stdout } = await runCli(["tail", "--from", "1", "--limit", "2", "--json"], { cwd, env });
    assert.equal(status, 0);
    const lines = jsonLines<Line>(stdout);
    const rows = lines.map(({ offset, type, payload }) => [offset, type, payload.n]);
    assert.deepEqual(rows, [
      [2, "order.failed", 2],
      [3, "login", 3],
    ]);
  });

  await t.test("filters by type, also by its beginning, and by level", async () => {
    const args = ["tail", "--from", "earliest", "--json"];
    const [byType, byLevel] = await Promise.all([
      runCli([...args, "--type", "order.*", "--limit", "2"], { cwd, env }),
      runCli([...args, "--level", "error,warn", "--limit", "2"], { cwd, env }),
    ]);
    assert.deepEqual(valuesOf(jsonLines<Line>(byType.stdout), "type"), ["order.paid", "order.failed"]);
    assert.deepEqual(valuesOf(jsonLines<Line>(byLevel.stdout), "type"), ["order.failed", "login"]);
  });

  await t.test(
    "--notifications is not a device: its user is not present, and nothing counts as delivered",
    async () => {
      const { id, token } = await makeUser(prism, "away");
      await prism.post("/api/v1/notifications", { userId: id, title: "For later", message: "there" });
      const watcher = new RunningCli(t, ["tail", "--notifications", "--from", "earliest"], {
        cwd,
        env: { ...env, PRISM_TOKEN: token },
      });
      await watcher.until(/For later/);
      assert.equal(prism.services.realtime.isLive(id), false);
      watcher.signal("SIGINT");
      await watcher.ended();
      const delivered = () =>
        scalarOf<number>(prism, "select delivered from notification_recipients where userId = ?", id);
      // Marks of live delivery are stored with the next commit.
      await ingest({ type: "order.paid", payload: { n: 0 } });
      assert.equal(delivered(), 0);
      const device = new WebSocket(`${prism.url.replace(/^http/, "ws")}/ws`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      t.after(() => device.terminate());
      device.on("open", () => device.send('{"op":"subscribe","stream":"user:me","from":"earliest"}'));
      await eventually("a device takes it", () => delivered() === 1);
      assert.equal(prism.services.realtime.isLive(id), true);
    },
  );

  await t.test("--notifications follows the caller's own stream", async () => {
    await prism.post("/api/v1/notifications", { userId: "me", title: "Hello\nyou", message: "there" });
    const args = ["tail", "--notifications", "--from", "earliest", "--limit", "1"];
    const [json, human] = await Promise.all([runCli([...args, "--json"], { cwd, env }), runCli(args, { cwd, env })]);
    const [line] = jsonLines<Line>(json.stdout);
    assert.deepEqual([line?.type, line?.title], ["notification", "Hello\nyou"]);
    assert.match(human.stdout, /^20\S+ {2}#\d+ {2}[0-9a-f-]{36} {2}notification {2}Hello you {2}there\n$/);
  });

  await t.test("--stream names what to follow", async () => {
    const args = ["tail", "--stream", "user:me", "--from", "earliest", "--limit", "1"];
    assert.match((await runCli(args, { cwd, env })).stdout, / {2}notification {2}Hello you {2}there\n$/);
  });

  await t.test("an API key follows its own project", async () => {
    const { id, apiKey } = await makeProject(prism, "shop");
    await prism.post("/events", { type: "of.shop" }, { apiKey });
    const own = await runCli(["tail", "--project", "shop", "--from", "earliest", "--limit", "1", "--json"], {
      cwd,
      env: { ...env, PRISM_TOKEN: apiKey },
    });
    assert.equal(own.status, 0, own.stderr);
    assert.equal(jsonLines<Line & { projectId: string }>(own.stdout)[0]?.projectId, id);
    const other = await runCli(["tail"], { cwd, env: { ...env, PRISM_TOKEN: apiKey } });
    assert.deepEqual([other.status, /name its project with --project/.test(other.stderr)], [6, true], other.stderr);
  });

  await t.test("Ctrl-C ends it with 130", async () => {
    const tail = new RunningCli(t, ["tail", "--from", "earliest"], { cwd, env });
    await tail.until(/login/);
    tail.signal("SIGINT");
    assert.equal(await tail.ended(), 130);
    assert.equal(tail.stderr, "");
  });

  const refused = [
    {
      name: "an unknown project ends with 6",
      args: ["tail", "--project", "nix"],
      status: 6,
      says: /PROJECT_NOT_FOUND/,
    },
    { name: "a wrong token ends with 5", args: ["tail", "--token", "prt_nonsense"], status: 5, says: /TOKEN_INVALID/ },
    {
      name: "no server at the start ends with 4",
      args: ["tail", "--url", "http://127.0.0.1:2"],
      status: 4,
      says: /cannot reach/,
    },
    {
      name: "a server that is not Prism exits with 4",
      args: ["tail", "--stream", "user:me", "--url", await speaksNonsense(t)],
      status: 4,
      says: /^prism: http:.* answered 426, but not like a Prism server; check the URL\n$/,
    },
    {
      name: "an invalid position exits with 2",
      args: ["tail", "--from", "yesterday"],
      status: 2,
      says: /Use an offset, earliest or latest\.\n$/,
    },
    {
      name: "another user's stream exits with 5",
      args: ["tail", "--stream", "user:01890000-0000-7000-8000-000000000000"],
      status: 5,
      says: /CHANNEL_FORBIDDEN/,
    },
  ];
  await eachCase(t, "what cannot be followed", refused, async (c) => {
    const { status, stderr } = await runCli(c.args, { cwd, env });
    assert.equal(status, c.status);
    assert.match(stderr, c.says);
  });
});

test("events list and audit list show what is stored; plural names of commands are the same commands", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/events", [
    { type: "order.paid", level: "info", payload: { host: "db-1" } },
    { type: "order.failed", level: "error", payload: { host: "db-2" } },
    { type: "other", payload: {} },
  ]);
  await prism.post("/api/v1/rules", { name: "Orders", condition: "event.type == 'x'", targetUsers: ["me"] });
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const types = async (...flags: string[]) =>
    (await runJson<{ events: { type: string }[] }>(["events", "list", ...flags], options)).events.map(
      ({ type }) => type,
    );
  assert.deepEqual(await types("--type", "order.*"), ["order.failed", "order.paid"]);
  assert.deepEqual(await types("--level", "error"), ["order.failed"]);
  assert.deepEqual(await types("--search", "db-1", "--from", "1h"), ["order.paid"]);
  assert.deepEqual(await types("--limit", "1"), ["other"]);
  const { stdout } = await runCli(["events", "list", "--level", "error"], options);
  const [id = ""] = /[0-9a-f-]{36}/.exec(stdout) ?? [];
  const explained = await runCli(["explain", id], options);
  assert.match(explained.stdout, /order\.failed \(error\)/, explained.stderr);
  assert.match(stdout, /^RECEIVED +ID .* PAYLOAD\n.* error +order\.failed +- +\{"host":"db-2"\}\n$/);
  const audit = await runCli(["audit", "list", "--action", "rule"], options);
  assert.match(audit.stdout, /^TIME +WHO +ACTION +ON\n\S+ \S+ +\S.* rule\.create +rule Orders\n$/, audit.stderr);
  const { username } = (await prism.get<{ username: string }>("/api/v1/users/me")).body;
  const own = await runCli(["audit", "list", "--action", "rule", "--user", username], options);
  assert.equal(own.stdout, audit.stdout, own.stderr);
  assert.equal((await runCli(["audit", "list", "--user", "no-such"], options)).status, 6);
  for (const name of ["users", "tokens", "keys", "queues"]) {
    const help = await runCli([name, "--help"], options);
    assert.match(help.stdout, new RegExp(`^Usage: prism ${name.slice(0, -1)}`), name);
  }
});

test("tail continues across restarts of the server without losing or repeating an event", async (t) => {
  const dir = temporaryDir(t);
  // Given from the first start on: a socket that was bound to port 0 keeps its port from being
  // bound again for a minute.
  const settings = { port: String(await lastingPort()) };
  let prism = await TestPrism.start({ dir, settings });
  t.after(() => prism.stop());
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  let sent = 0;
  const send = async (count: number): Promise<void> => {
    const events = Array.from({ length: count }, () => ({ type: "tick", payload: { n: ++sent } }));
    assert.equal((await prism.post("/events", events)).status, 202);
  };
  const tail = new RunningCli(t, ["tail", "--json"], { cwd: dir, env });
  const heard = (): number[] =>
    jsonLines<Line>(tail.stdout.slice(0, tail.stdout.lastIndexOf("\n") + 1)).map(({ payload }) => payload.n);
  // "From now on" begins when the first of these is heard; the earlier ones may fall before it.
  while (heard().length === 0) await send(1);
  const first = heard()[0] ?? 0;

  for (let restarts = 1; restarts <= 2; restarts++) {
    await send(20);
    await prism.stop();
    await tail.until(new RegExp(`(?:retrying in \\d+ ms from offset \\d+[\\s\\S]*){${restarts}}`));
    // From 250 ms on the pauses double, up to 2 s.
    if (restarts === 1) await tail.until(/in 250 ms.*\n.*in 500 ms.*\n.*in 1000 ms.*\n.*in 2000 ms.*\n.*in 2000 ms/);
    prism = await TestPrism.start({ dir, settings });
    // Stored before tail is back: it has to be read again.
    await send(20);
    await tail.until(new RegExp(`(?:reconnected from offset \\d+[\\s\\S]*){${restarts}}`));
    await send(20);
    await tail.until(new RegExp(`"n":${sent}\\b`));
  }
  assert.deepEqual(
    heard(),
    Array.from({ length: sent - first + 1 }, (_, at) => first + at),
  );
});
