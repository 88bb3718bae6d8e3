import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../../helpers/eventually.ts";
import { countOf } from "../../../../helpers/tables.ts";
import { startAlertmanager } from "../../../protocols/alertmanager/support/programs.ts";
import { ReceiverTest } from "../support.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const MESSAGE = {
  text: "Deployment of <https://shop.example|the shop> failed, <!channel> &amp; <@U1|ada>",
  attachments: [
    {
      color: "#d00000",
      title: "Build 18",
      title_link: "https://ci.example/18",
      text: "*2 of 40* tests failed",
      fields: [{ title: "Branch", value: "main", short: true }],
    },
  ],
};

test("a Slack-compatible URL takes JSON and both kinds of forms, and answers ok", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "slack" });
  const json = JSON.stringify(MESSAGE);
  const sent = [
    await it.send(receiver, MESSAGE),
    await it.send(receiver, new URLSearchParams({ payload: json }).toString(), { headers: FORM }),
    await it.send(receiver, json, { headers: FORM }),
  ];
  for (const { status, text, headers } of sent) {
    assert.deepEqual([status, text], [200, "ok"]);
    assert.match(headers.get("content-type") ?? "", /^text\/plain/);
  }
  const events = await it.events("slack.message");
  assert.equal(events.length, sent.length);
  for (const { level, payload } of events) {
    assert.equal(level, "error");
    assert.equal(payload["title"], "Build 18");
    assert.equal(payload["link"], "https://ci.example/18");
    assert.equal(payload["message"], "Deployment of the shop failed, @channel & ada\n2 of 40 tests failed");
    assert.deepEqual(payload["labels"], { Branch: "main" });
  }
});

test("a Slack-compatible URL answers its challenge and its errors in Slack's form", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "slack" });
  const challenge = await it.send(receiver, { type: "url_verification", challenge: "3eZbrw1a", token: "x" });
  assert.deepEqual([challenge.status, challenge.text], [200, "3eZbrw1a"]);
  const broken = await it.send(receiver, `{"text":${"[".repeat(40)}`, {
    headers: { "content-type": "application/json" },
  });
  assert.deepEqual([broken.status, broken.text], [400, "invalid_payload"]);
  assert.deepEqual(await it.events("slack.message"), []);
});

test("a Discord-compatible URL answers 204, or the message for wait, and can be read and changed", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "discord" });
  const message = {
    content: "Backup failed",
    embeds: [{ title: "db-1", description: "No space left", color: 0xe74c3c }],
  };
  const plain = await it.send(receiver, message);
  assert.deepEqual([plain.status, plain.text], [204, ""]);
  const waited = await it.send(receiver, message, { suffix: "?wait=true" });
  const { id, content } = JSON.parse(waited.text) as { id: string; content: string };
  assert.deepEqual([waited.status, content], [200, "Backup failed"]);
  assert.match(id, /^\d{10,}$/);
  const changed = await it.send(receiver, { content: "Backup done" }, { method: "PATCH", suffix: `/messages/${id}` });
  assert.equal(changed.status, 200, changed.text);
  assert.equal((JSON.parse(changed.text) as { id: string }).id, id);
  const read = await it.send(receiver, undefined, { method: "GET" });
  assert.equal((JSON.parse(read.text) as { type: number }).type, 1);
  const events = await it.events("discord.message");
  const rows = events.map(({ level, payload }) => [level, payload["title"], payload["message"]]);
  assert.deepEqual(rows, [
    ["error", "db-1", "Backup failed\nNo space left"],
    ["error", "db-1", "Backup failed\nNo space left"],
  ]);
});

test("a Discord-compatible URL takes files, and the forms of Slack and GitHub", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "discord" });
  const form = new FormData();
  form.set("payload_json", JSON.stringify({ content: "With a picture" }));
  form.set("files[0]", new Blob(["x".repeat(2000)], { type: "image/png" }), "graph.png");
  const reply = await fetch(receiver.url, { method: "POST", body: form });
  assert.equal(reply.status, 204);
  const slack = await it.send(receiver, MESSAGE, { suffix: "/slack" });
  assert.deepEqual([slack.status, slack.text], [200, "ok"]);
  const push = { repository: { full_name: "a/b" }, head_commit: { message: "Fix" }, ref: "refs/heads/main" };
  const github = await it.send(receiver, push, { suffix: "/github", headers: { "x-github-event": "push" } });
  assert.equal(github.status, 200, github.text);
  const events = await it.events();
  const rows = events
    .filter(({ type }) => /^(discord|slack|github)/.test(type))
    .map(({ type, payload }) => [type, payload["title"]]);
  assert.deepEqual(rows, [
    ["discord.message", "With a picture"],
    ["slack.message", "Build 18"],
    ["github.push", "a/b: push: Fix"],
  ]);
});

test("a Discord message of files only says their names", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "discord" });
  for (const content of [null, ""]) {
    const form = new FormData();
    if (content !== null) form.set("payload_json", JSON.stringify({ content, username: "Camera" }));
    form.set("files[0]", new Blob(["x"], { type: "image/png" }), "door.png");
    form.set("files[1]", new Blob(["x"], { type: "text/plain" }), "log.txt");
    assert.equal((await fetch(receiver.url, { method: "POST", body: form })).status, 204);
  }
  assert.deepEqual(
    (await it.events("discord.message")).map(({ payload }) => [payload["title"], payload["message"]]),
    [
      ["door.png", "door.png\nlog.txt"],
      ["door.png", "door.png\nlog.txt"],
    ],
  );
  assert.equal(countOf(it.prism, "receiver_events"), 2, "they are told");
});

test("a Discord-compatible URL that is full says when to come back", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "discord", perSecond: 1, burst: 1 });
  const replies = await Promise.all(Array.from({ length: 20 }, () => it.send(receiver, { content: "Hello" })));
  const limited = replies.find(({ status }) => status === 429);
  assert.ok(limited, replies.map(({ status }) => status).join());
  const body = JSON.parse(limited.text) as { message: string; retry_after: number; global: boolean };
  assert.ok(body.message.length > 0 && body.retry_after > 0 && !body.global, limited.text);
  assert.ok(Number(limited.headers.get("retry-after")) > 0);
});

test("Debian's Alertmanager sends to URLs of Slack's and Discord's form", async (t) => {
  const it = await ReceiverTest.start(t);
  const slack = await it.make({ name: "Slack", preset: "slack" });
  const discord = await it.make({ name: "Discord", preset: "discord" });
  const alertmanager = await startAlertmanager(
    t,
    `
route: { receiver: chat, group_wait: 0s, group_interval: 1s, repeat_interval: 1h }
receivers:
- name: chat
  slack_configs: [ { api_url: "${slack.url}", channel: "#ops", send_resolved: true } ]
  discord_configs: [ { webhook_url: "${discord.url}" } ]
`,
  );
  const alert = { labels: { alertname: "Disk", instance: "db-1" }, annotations: { summary: "Disk is full" } };
  const headers = { "content-type": "application/json" };
  const posted = await fetch(`${alertmanager}/api/v2/alerts`, {
    method: "POST",
    headers,
    body: JSON.stringify([alert]),
  });
  assert.equal(posted.status, 200);
  const titleOf = (type: string) =>
    eventually(`an event ${type}`, async () => {
      const [event] = await it.events(type);
      return event && `${event.level} ${String(event.payload["title"])}`;
    });
  assert.match(await titleOf("slack.message"), /^error \(?Disk/);
  assert.match(await titleOf("discord.message"), /^\w+ \(?Disk/);
});
