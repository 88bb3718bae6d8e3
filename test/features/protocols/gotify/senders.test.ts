// needs: curl
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import test from "node:test";
import { promisify } from "node:util";
import { basic, type GotifyMessage, GotifyTest, key } from "./support.ts";

const run = promisify(execFile);
const FORM = "application/x-www-form-urlencoded";

test("every sender's own form of request", async (t) => {
  const it = await GotifyTest.start(t);
  const app = await it.application("Servers", { defaultPriority: 2 });
  const { token } = app;
  const inQuery = `/message?token=${token}`;
  const display = { "client::display": { contentType: "text/markdown" } };
  for (const row of [
    {
      name: "the CLI",
      headers: { ...key(token), "Content-Type": "application/json" },
      body: { message: "hi", title: "CLI", priority: 0, extras: {} },
      sent: ["CLI", "hi", 0],
    },
    {
      name: "shoutrrr",
      path: inQuery,
      body: { message: "Found new image", title: "Watchtower updates", priority: 0 },
      sent: ["Watchtower updates", "Found new image", 0],
    },
    {
      name: "Uptime Kuma",
      path: inQuery,
      body: { message: "[API] [🔴 Down] timeout", priority: 8, title: "Uptime-Kuma" },
      sent: ["Uptime-Kuma", "[API] [🔴 Down] timeout", 8],
    },
    {
      name: "Sonarr",
      path: inQuery,
      headers: { "Content-Type": FORM },
      body: "title=Sonarr+-+Grabbed&message=S01E01+%5B1080p%5D&priority=5",
      sent: ["Sonarr - Grabbed", "S01E01 [1080p]", 5],
    },
    {
      name: "Proxmox",
      headers: { ...key(token), Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: { title: "vzdump", message: "```\nok\n```", priority: 5, extras: display },
      sent: ["vzdump", "```\nok\n```", 5],
    },
    {
      name: "Healthchecks",
      path: inQuery,
      body: { title: "Backup is DOWN", message: "[Backup](https://x)", priority: 8, extras: display },
      sent: ["Backup is DOWN", "[Backup](https://x)", 8],
    },
    {
      name: "Home Assistant",
      headers: { ...key(token), "Content-Type": "application/json" },
      body: { message: "The door is open", title: "Home" },
      sent: ["Home", "The door is open", 2],
    },
    {
      name: "curl -d with a bearer in another case, and parameters in the query",
      path: "/message?title=Query&priority=7",
      headers: { Authorization: `bearer ${token}`, "Content-Type": FORM },
      body: "message=m",
      sent: ["Query", "m", 7],
    },
    {
      name: "no content type, all in the query",
      path: `${inQuery}&message=only+query`,
      headers: { "Content-Type": "" },
      body: "",
      sent: ["Servers", "only query", 2],
    },
    {
      name: "a user's password with the id of the application",
      headers: { ...basic("uma"), "Content-Type": "application/json" },
      body: { message: "as a user", appid: app.id, priority: -1 },
      sent: ["Servers", "as a user", -1],
    },
    {
      name: "a huge priority, and names in another case",
      path: inQuery,
      body: { Message: "m", TITLE: " ", Priority: 1_000_000 },
      sent: ["Servers", "m", 1_000_000],
    },
  ]) {
    await t.test(row.name, async () => {
      const { title, message, priority, appid } = await it.ok<GotifyMessage>(
        "POST",
        row.path ?? "/message",
        row.headers,
        row.body,
      );
      assert.deepEqual([title, message, priority, appid], [...row.sent, app.id]);
    });
  }
});

test("curl with a form of parts", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.application();
  const fields = ["title=my title", "message=line 1\nline 2 ü", "priority=5"].flatMap((field) => ["-F", field]);
  const { stdout } = await run("curl", ["-s", ...fields, `${it.base}/message?token=${token}`]);
  const { title, message, priority } = JSON.parse(stdout) as GotifyMessage;
  assert.deepEqual([title, message, priority], ["my title", "line 1\nline 2 ü", 5]);
  // Without -H the type is that of a form, as with Gotify.
  const json = await run("curl", ["-s", "-d", '{"message":"x"}', `${it.base}/message?token=${token}`]);
  assert.deepEqual(JSON.parse(json.stdout), {
    error: "Bad Request",
    errorCode: 400,
    errorDescription: "Field 'message' is required",
  });
});

test("Apprise sends its JSON with the token in X-Gotify-Key, and markdown as extras", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.application();
  const client = await it.client();
  // apprise/plugins/gotify.py: gotify://host/<token>/?priority=high&format=markdown
  const headers = { "User-Agent": "Apprise", "Content-Type": "application/json", ...key(token) };
  const extras = { "client::display": { contentType: "text/markdown" } };
  const body = { title: "From Apprise", message: "**body**", priority: 8, extras };
  await it.ok("POST", "/message", headers, body);
  const [sent] = (await it.list(client.token)).messages;
  assert.deepEqual([sent?.title, sent?.message, sent?.priority], ["From Apprise", "**body**", 8]);
  assert.deepEqual(sent?.extras, extras);
});

test("a message is a notification of the application's owner, for every other channel and list", async (t) => {
  const it = await GotifyTest.start(t);
  const { token, id } = await it.application();
  const extras = { "client::notification": { click: { url: "https://grafana.example/d/1" } } };
  const long = "x".repeat(5000);
  const sent = await it.send(token, { title: "t".repeat(300), message: `${long}\u0000`, priority: 7, extras });
  assert.deepEqual([sent.title.length, sent.message.length], [300, 5001]);
  interface Listed {
    readonly data: readonly Record<string, unknown>[];
  }
  const { body } = await it.prism.get<Listed>(`/api/v1/notifications/user/${it.userId}`);
  const [notification] = body.data;
  assert.deepEqual(
    { kind: notification?.["kind"], priority: notification?.["priority"], offset: notification?.["offset"] },
    { kind: "direct", priority: 700, offset: sent.id },
  );
  assert.deepEqual(notification?.["action"], { type: "open", url: "https://grafana.example/d/1" });
  assert.deepEqual(notification?.["data"], {
    gotify: { applicationId: id, application: "Backups", priority: 7, extras },
  });
  assert.equal(String(notification?.["message"]).length, 4000);
  assert.equal(String(notification?.["title"]).length, 255);
  const explained = await it.prism.get(`/api/v1/explain/notification/${String(notification?.["id"])}`);
  assert.equal(explained.status, 200, explained.text);
});

test("messages at the same time: each has a number, its own sender and its own entry of the audit trail", async (t) => {
  const it = await GotifyTest.start(t);
  const apps = [await it.application("Backups"), await it.application("Servers")];
  const sent = await Promise.all(
    Array.from({ length: 24 }, async (_, n) => {
      const app = apps[n % 2];
      const body = { message: `m ${n}`, ...(n % 3 === 0 ? { title: "t".repeat(300) } : {}) };
      const message = await it.ok<GotifyMessage>("POST", "/message", key(app?.token ?? ""), body);
      assert.deepEqual([message.appid, message.message], [app?.id, `m ${n}`]);
      assert.equal(message.title, n % 3 === 0 ? "t".repeat(300) : app?.name);
      return message;
    }),
  );
  assert.equal(new Set(sent.map(({ id }) => id)).size, 24);
  const { reader } = it.prism.parts.core;
  const audited = reader
    .prepare("select count(distinct requestId) from audit_log where action = 'notification.sent' and userId = ?")
    .pluck();
  assert.equal(audited.get(it.userId), 24);
});
