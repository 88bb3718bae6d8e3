import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { linesOf, makePasswordUser, startNtfy } from "./support/api.ts";

test("the Android app: subscribe, log in, poll, stream all topics, send, reconnect", async (t) => {
  const ntfy = await startNtfy(t);
  const user = await makePasswordUser(ntfy.prism, "phil");
  const auth = user.basic;
  // Subscribing: without a user first, then with the login form's.
  assert.equal((await ntfy.send("GET", "/alerts/auth", { auth: null })).status, 403);
  assert.equal((await ntfy.send("GET", "/alerts/auth", { auth })).body.success, true);
  assert.deepEqual(await ntfy.poll("alerts", "&since=all", { auth }), []);
  const stream = await ntfy.stream(t, "/alerts,backups/json?since=none", {
    auth,
    headers: { "User-Agent": "ntfy/1.25.0 (fdroid; Android 14; SDK 34)" },
  });
  await eventually("open", () => stream.events.length === 1);
  assert.deepEqual([stream.status, stream.events[0]?.topic], [200, "alerts,backups"]);
  // Sending, with a file too.
  const query = "priority=4&tags=warning%2Cskull&title=Hello+W%C3%B6rld&click=https%3A%2F%2Fexample.org&markdown=true";
  const sent = await ntfy.send("PUT", `/alerts?${query}`, { auth, body: "**Hi** there" });
  assert.deepEqual(
    [sent.status, sent.body.title, sent.body.priority, sent.body.content_type],
    [200, "Hello Wörld", 4, "text/markdown"],
  );
  const file = await ntfy.send("PUT", "/alerts?filename=notes.txt&message=see%5Cnfile", { auth, body: "the file" });
  assert.deepEqual(
    [file.body.message, file.body.attachment?.name, file.body.attachment?.size],
    ["see\nfile", "notes.txt", 8],
  );
  const path = new URL(file.body.attachment?.url ?? "").pathname;
  assert.equal((await ntfy.send("GET", path, { auth: null })).text, "the file");
  await eventually("both on the stream", () => stream.messages.length === 2);
  // The connection breaks; the app continues from its last message, for all topics.
  const last = stream.events.at(-1)?.id;
  stream.response.destroy();
  await ntfy.send("POST", "/backups", { auth, body: "done" });
  const again = await ntfy.stream(t, `/alerts,backups/json?since=${last}`, { auth });
  await eventually("the missed one", () => again.messages.length === 1);
  assert.deepEqual([again.messages, (await ntfy.poll("backups", `&since=${last}`, { auth })).length], [["done"], 1]);
  const socket = await ntfy.socket(t, `/alerts,backups/ws?since=${last}`, { auth }).opened();
  await eventually("by WebSocket, too", () => socket.messages.includes("done"));
});

test("the Android app as a UnifiedPush distributor, and a Matrix server", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "ntfy.anonymous": "read-write" } });
  const topic = "upAbCdEf123456";
  const discovery = await ntfy.send("GET", `/${topic}?up=1`, { auth: null });
  assert.equal(discovery.text, '{"unifiedpush":{"version":1}}');
  const app = await ntfy.stream(t, `/${topic}/json`, { auth: null });
  const pushed = await ntfy.send("POST", `/${topic}?up=1`, {
    auth: null,
    body: Buffer.alloc(5000, 0xfe),
    headers: { "Content-Encoding": "aes128gcm", TTL: "60" },
  });
  assert.deepEqual([pushed.status, Buffer.from(pushed.body.message ?? "", "base64").length], [200, 4096]);
  assert.equal(
    (await ntfy.send("GET", "/_matrix/push/v1/notify", { auth: null })).text,
    '{"unifiedpush":{"gateway":"matrix"}}',
  );
  const matrix = (pushkey: string) =>
    JSON.stringify({ notification: { devices: [{ pushkey }], counts: { unread: 1 } } });
  const notify = (body: string) => ntfy.send("POST", "/_matrix/push/v1/notify", { auth: null, body });
  const key = `http://ntfy.example.org/${topic}?up=1`;
  assert.equal((await notify(matrix(key))).text, '{"rejected":[]}');
  await eventually("both pushes", () => app.events.length === 3);
  assert.equal(app.messages[1], matrix(key));
  for (const foreign of [
    "https://elsewhere.example/up1?up=1",
    "http://ntfy.example.org/a/b",
    `http://ntfy.example.org/settings?up=1`,
  ])
    assert.deepEqual(JSON.parse((await notify(matrix(foreign))).text), { rejected: [foreign] });
  assert.equal((await notify("{}")).body.code, 40019);
  assert.equal((await notify(matrix(`http://ntfy.example.org/${topic}?${"x".repeat(5000)}`))).body.code, 41302);
});

test("the iOS app: the check of a topic, a poll of one message, publish", async (t) => {
  const ntfy = await startNtfy(t);
  assert.deepEqual((await ntfy.send("GET", "/t/auth")).text, '{"success":true}');
  const { body } = await ntfy.send("POST", "/t", { body: "m", headers: { Title: "T", Priority: "5", Tags: "a,b" } });
  const lines = (await ntfy.send("GET", `/t/json?poll=1&id=${body.id}`)).text;
  assert.deepEqual([lines.split("\n").length, linesOf(lines)[0]?.id], [2, body.id], "one line");
});

test("the CLI: publish by headers, subscribe by json", async (t) => {
  const ntfy = await startNtfy(t);
  const headers = {
    "User-Agent": "ntfy/2.13.0",
    "X-Title": "Disk",
    "X-Priority": "high",
    "X-Tags": "disk,warning",
    "X-Delay": "",
  };
  const { status, body } = await ntfy.send("POST", "/disk", { body: "full", headers });
  assert.deepEqual([status, body.title, body.priority], [200, "Disk", 4]);
  const stream = await ntfy.stream(t, "/disk/json?since=all");
  await eventually("open and the message", () => stream.events.length === 2);
  assert.deepEqual(valuesOf(stream.events, "event"), ["open", "message"]);
});

test("the web app: any origin, preflights, one socket a topic, JSON publish, file by headers, config.js", async (t) => {
  const ntfy = await startNtfy(t);
  const origin = { Origin: "https://ntfy.sh" };
  const preflight = await ntfy.send("OPTIONS", "/t", {
    auth: null,
    headers: {
      ...origin,
      "Access-Control-Request-Method": "PUT",
      "Access-Control-Request-Headers": "authorization,x-title",
    },
  });
  assert.ok([200, 204].includes(preflight.status));
  assert.deepEqual(
    [preflight.headers["access-control-allow-origin"], preflight.headers["access-control-allow-headers"]],
    ["*", "*, Authorization"],
  );
  const config = await ntfy.send("GET", "/config.js", { auth: null });
  assert.match(String(config.headers["content-type"]), /^text\/javascript/);
  const [, json = ""] = /^\/\/[^\n]*\nvar config = (\{[\s\S]*\});\n$/.exec(config.text) ?? [];
  assert.equal((JSON.parse(json) as { base_url: string }).base_url, "http://ntfy.example.org");
  const auth = Buffer.from(`Bearer ${ntfy.prism.adminToken}`).toString("base64url");
  const socket = await ntfy.socket(t, `/t/ws?since=all&auth=${auth}`, { auth: null, headers: origin }).opened();
  const published = await ntfy.send("PUT", "/", {
    body: '{"topic":"t","message":"hi","title":"","priority":3,"tags":[]}',
    headers: origin,
  });
  assert.deepEqual([published.status, published.headers["access-control-allow-origin"]], [200, "*"]);
  const file = await ntfy.send("PUT", "/t", {
    body: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0xff]),
    headers: { ...origin, "X-Filename": "=?utf-8?B?YsO2LnBuZw==?=" },
  });
  assert.deepEqual([file.body.attachment?.name, file.body.attachment?.type], ["bö.png", "image/png"]);
  await eventually("both", () => socket.messages.length === 2);
  const refused = await ntfy.send("GET", "/t/auth", { auth: "Bearer x", headers: origin });
  assert.deepEqual([refused.status, refused.headers["access-control-allow-origin"]], [401, "*"]);
});

test("Home Assistant: account, token, socket, JSON, stats, version, clear and delete", async (t) => {
  const ntfy = await startNtfy(t);
  const user = await makePasswordUser(ntfy.prism, "hass");
  const account = JSON.parse((await ntfy.send("GET", "/v1/account", { auth: user.basic })).text) as {
    username: string;
    stats: Record<string, number>;
  };
  assert.equal(typeof account.username, "string");
  assert.notEqual(account.username, "*");
  assert.deepEqual(Object.keys(account.stats), [
    "messages",
    "messages_remaining",
    "emails",
    "emails_remaining",
    "calls",
    "calls_remaining",
    "reservations",
    "reservations_remaining",
    "attachment_total_size",
    "attachment_total_size_remaining",
  ]);
  const anonymous = JSON.parse((await ntfy.send("GET", "/v1/account", { auth: null })).text) as {
    username: string;
    role: string;
  };
  assert.deepEqual([anonymous.username, anonymous.role], ["*", "anonymous"]);
  const made = JSON.parse(
    (await ntfy.send("POST", "/v1/account/token", { auth: user.basic, body: '{"label":"Home Assistant"}' })).text,
  ) as { token: string };
  const auth = `Bearer ${made.token}`;
  const socket = await ntfy.socket(t, "/home,garden/ws", { auth }).opened();
  await ntfy.send("POST", "/", { auth, body: '{"topic":"home","message":"open","sequence_id":"door"}' });
  const cleared = await ntfy.send("PUT", "/home/door/clear", { auth });
  const deleted = await ntfy.send("DELETE", "/home/door", { auth });
  assert.deepEqual(
    [cleared.body.event, cleared.body.sequence_id, deleted.body.event],
    ["message_clear", "door", "message_delete"],
  );
  await eventually("all three", () => socket.events.length === 4);
  assert.deepEqual(rowsWith(socket.events, "event", "sequence_id"), [
    ["open", undefined],
    ["message", "door"],
    ["message_clear", "door"],
    ["message_delete", "door"],
  ]);
  const stats = JSON.parse((await ntfy.send("GET", "/v1/stats", { auth })).text) as {
    messages: number;
    messages_rate: number;
  };
  assert.deepEqual([stats.messages, typeof stats.messages_rate], [3, "number"]);
  assert.match((await ntfy.send("GET", "/v1/version", { auth })).text, /^\{"version":"\d+\.\d+\.\d+","commit":"prism-/);
  assert.equal((await ntfy.send("GET", "/v1/health", { auth: null })).text, '{"healthy":true}');
});
