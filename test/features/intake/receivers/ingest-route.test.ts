import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { rowsWith } from "../../../helpers/values.ts";
import { SECRET, signerOf } from "./presets/support/sign.ts";
import { ReceiverTest } from "./support.ts";

const JSON_TYPE = { "Content-Type": "application/json" };

test("a request becomes an event and an alert, and the next one resolves the alert", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ name: "Backups", labels: { team: "ops" } });
  const problem = { title: "Disk almost full", message: "/var is 91 % full", level: "warning", key: "disk/var" };
  const fired = await it.send(receiver, { ...problem, status: "firing", link: "https://mon.example/1" });
  assert.deepEqual([fired.status, fired.text], [200, '{"ok":true}']);
  const [alert] = await it.alerts();
  assert.deepEqual(alert?.labels, {
    alertname: "Disk almost full",
    receiver: "Backups",
    severity: "warning",
    team: "ops",
  });
  assert.deepEqual(alert?.annotations, { summary: "Disk almost full", description: "/var is 91 % full" });
  assert.deepEqual([alert?.source, alert?.generatorUrl], ["receiver", "https://mon.example/1"]);
  await it.send(receiver, { ...problem, title: "Disk is at 95 %", status: "firing" });
  const [kept] = await it.alerts();
  assert.equal(kept?.labels["alertname"], "Disk almost full", "labels stay while it fires");
  assert.equal(kept?.annotations["summary"], "Disk is at 95 %");
  await it.send(receiver, { ...problem, status: "ok" });
  assert.deepEqual(await it.alerts(), []);
  assert.equal((await it.alerts("resolved")).length, 1);
  const [event] = await it.events("message");
  assert.deepEqual([event?.level, event?.source], ["warn", "Backups"]);
  assert.equal(event?.payload["title"], "Disk almost full");
  assert.deepEqual(event?.payload["body"], { ...problem, status: "firing", link: "https://mon.example/1" });
  assert.deepEqual(rowsWith(await it.requests(receiver), "result", "status"), [
    ["accepted", 200],
    ["accepted", 200],
    ["accepted", 200],
  ]);
});

test("every form of a body is read", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const form = new FormData();
  form.set("title", "Multipart");
  form.set("file", new Blob(["x".repeat(100)], { type: "image/png" }), "a.png");
  const inForm = new FormData();
  inForm.set("payload_json", JSON.stringify({ title: "JSON in a part" }));
  const cases: [string | FormData | Uint8Array | null, Record<string, string>, string, string][] = [
    ['{"title":"JSON"}', JSON_TYPE, "", "JSON"],
    ['{"title":"JSON by curl"}', { "Content-Type": "application/x-www-form-urlencoded" }, "", "JSON by curl"],
    ["title=A+form&level=error", { "Content-Type": "application/x-www-form-urlencoded" }, "", "A form"],
    [
      `payload=${encodeURIComponent('{"title":"In payload"}')}`,
      { "Content-Type": "application/x-www-form-urlencoded" },
      "",
      "In payload",
    ],
    ["Backup failed", { "Content-Type": "application/x-www-form-urlencoded" }, "", "Backup failed"],
    ["Shop & web + db: 91 %", { "Content-Type": "application/x-www-form-urlencoded" }, "", "Shop & web + db: 91 %"],
    ["Backup%20failed", { "Content-Type": "application/x-www-form-urlencoded" }, "", "Backup failed"],
    [form, {}, "", "Multipart"],
    [inForm, {}, "", "JSON in a part"],
    ["Backup failed\nno space", { "Content-Type": "text/plain" }, "", "Backup failed"],
    [new Uint8Array([0x4a, 0xf6, 0x72, 0x67]), { "Content-Type": "text/plain; charset=iso-8859-1" }, "", "Jörg"],
    ["<alert><name>1</name></alert>", { "Content-Type": "application/xml" }, "", "<alert><name>1</name></alert>"],
    [new Uint8Array(gzipSync('{"title":"gzip"}')), { ...JSON_TYPE, "Content-Encoding": "gzip" }, "", "gzip"],
    ['\ufeff{"title":"A byte order mark"}', JSON_TYPE, "", "A byte order mark"],
    [null, {}, "?title=A+query&key=k", "A query"],
  ];
  for (const [body, headers, query, title] of cases) {
    const reply = await fetch(`${receiver.url}${query}`, { method: "POST", headers, body });
    assert.equal(reply.status, 200, `${title}: ${await reply.text()}`);
    const events = await it.events();
    assert.equal(events.at(-1)?.payload["title"], title);
  }
  const reply = await fetch(`${receiver.url}?title=By+GET`);
  assert.equal(reply.status, 200);
  assert.equal((await it.events()).length, cases.length + 1);
  const head = await fetch(receiver.url, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal((await it.events()).length, cases.length + 1, "HEAD stores nothing");
});

test("a body of a JSON type that is not JSON is text, and the log says so", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  // The bytes of shoutrrr's generic:// without template=json, which Watchtower uses.
  const bodies = ["Watchtower: 1 updated", '{"title":', '{"a":1}}', '{"note" "x","password":"hunter22"}'];
  for (const body of bodies) assert.equal((await it.send(receiver, body, { headers: JSON_TYPE })).status, 200, body);
  const shown = (await it.events()).map(({ payload }) => payload["message"]);
  assert.deepEqual(shown, [...bodies.slice(0, 3), '{"note" "x","password":"•••"}']);
  for (const { outcome, body } of await it.requests(receiver)) {
    assert.match(String(outcome["problem"]), /^the body is not JSON, as its Content-Type says: it was read as text/);
    assert.doesNotMatch(body, /hunter22/);
  }
});

test("the nodes of a cluster on the way are not in the log of requests", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  await it.send(receiver, { title: "x" }, { headers: { ...JSON_TYPE, "Prism-Hop": "b", "X-Other": "1" } });
  const [logged] = await it.requests(receiver);
  assert.deepEqual([logged?.headers["x-other"], logged?.headers["prism-hop"]], ["1", undefined]);
});

test("a body that is not JSON is refused where its proof is over JSON, and one that is too deep", async (t) => {
  const it = await ReceiverTest.start(t);
  const signed = await it.make({ preset: "github", secret: SECRET });
  const { sign } = signerOf("github");
  const at = { seconds: Math.floor(Date.now() / 1000), id: "1" };
  const headers = { ...JSON_TYPE, ...sign('{"title":', at) };
  assert.equal((await it.send(signed, '{"title":', { headers })).status, 400);
  const [last] = await it.requests(signed);
  assert.deepEqual([last?.result, last?.status, last?.outcome["code"]], ["refused", 400, "MALFORMED_JSON"]);
  const deep = "[".repeat(100);
  assert.equal((await it.send(await it.make({ name: "Open" }), deep, { headers: JSON_TYPE })).status, 400);
  assert.deepEqual(await it.events(), []);
});

test("what maps to nothing is stored as receiver.unmapped and answered like a success", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ mapping: { title: "= body.headline", message: null, key: null } });
  const reply = await it.send(receiver, { other: { thing: 1 }, password: "hunter22" });
  assert.equal(reply.status, 200);
  const [event] = await it.events();
  assert.equal(event?.type, "receiver.unmapped");
  assert.deepEqual(event?.payload["body"], { other: { thing: 1 }, password: "•••" });
  assert.deepEqual([event?.payload["title"], event?.payload["message"]], ["Test", null]);
  const telling = { id: "4fe31f36-1b2c", at: "2026-01-31T08:00:05Z", part: { reason: "Disk full\nsoon", kind: "x y" } };
  assert.equal((await it.send(receiver, telling)).status, 200);
  const { payload } = (await it.events()).at(-1) ?? {};
  assert.deepEqual([payload?.["title"], payload?.["message"]], ["Test: Disk full", "Disk full"]);
  const [second, first] = await it.requests(receiver);
  assert.deepEqual([first?.result, second?.result], ["unmapped", "unmapped"]);
  const nothing = "title, message, key and payload have no value";
  assert.equal(first?.outcome["problem"], `${nothing}; members of the body: other, password`);
  assert.equal(second?.outcome["problem"], `${nothing}; members of the body: id, at, part`);
});

test("a link's preview, a prefetch and HEAD are answered and store nothing; a program's GET is a message", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const agent = (name: string) => ({ headers: { "user-agent": name } });
  for (const [method, { headers }] of [
    ["HEAD", agent("curl/8.5")],
    ["GET", agent("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)")],
    ["GET", agent("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)")],
    ["GET", agent("TelegramBot (like TwitterBot)")],
    ["GET", agent("WhatsApp/2.23.20.0")],
    ["GET", agent("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com")],
    ["GET", agent("facebookexternalhit/1.1")],
    ["GET", agent("Synapse (bot; +https://github.com/matrix-org/synapse)")],
    ["GET", { headers: { "sec-purpose": "prefetch;prerender" } }],
    ["GET", { headers: { purpose: "prefetch" } }],
    ["GET", { headers: { "x-moz": "prefetch" } }],
  ] as const) {
    const { status } = await it.send(receiver, undefined, { method, headers });
    assert.equal(status, 200, JSON.stringify(headers));
  }
  assert.deepEqual([await it.events(), await it.requests(receiver)], [[], []]);
  await it.send(receiver, undefined, { method: "GET", suffix: "?title=Door", ...agent("Wget/1.21") });
  await it.send(receiver, { title: "Chat" }, agent("Slackbot 1.0 (+https://api.slack.com/robots)"));
  assert.deepEqual(
    (await it.events()).map(({ payload }) => payload["title"]),
    ["Door", "Chat"],
  );
});

test("an unknown, replaced or paused URL is refused, and a replaced one works in its grace period", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const path = `/api/v1/receivers/${receiver.id}`;
  assert.equal((await it.send({ url: `${it.prism.url}/in/${"a".repeat(32)}` }, {})).status, 404);
  assert.equal((await it.send({ url: `${it.prism.url}/in/x` }, {})).status, 404);
  assert.equal((await it.prism.post(`${path}/pause`, {})).body["active"], false);
  assert.equal((await it.send(receiver, { title: "x" })).status, 403);
  assert.equal((await it.prism.post(`${path}/resume`, {})).body["active"], true);
  assert.equal((await it.send(receiver, { title: "x" })).status, 200);
  const kept = await it.prism.post<{ url: string }>(`${path}/rotate`, { graceMs: 60_000 });
  const second = { url: `${it.prism.url}${new URL(kept.body.url).pathname}` };
  assert.equal((await it.send(receiver, { title: "x" })).status, 200);
  assert.equal((await it.send(second, { title: "x" })).status, 200);
  const last = await it.prism.post<{ url: string }>(`${path}/rotate`, {});
  assert.equal((await it.send(receiver, { title: "x" })).status, 404);
  assert.equal((await it.send(second, { title: "x" })).status, 404);
  const third = { url: `${it.prism.url}${new URL(last.body.url).pathname}` };
  assert.equal((await it.send(third, { title: "x" })).status, 200);
  await it.prism.delete(path);
  assert.equal((await it.send(third, { title: "x" })).status, 404);
});

test("size and rate have limits of the receiver's own", async (t) => {
  const it = await ReceiverTest.start(t);
  const small = await it.make({ name: "Small", maxBodyBytes: 1024 });
  const large = JSON.stringify({ title: "x".repeat(2000) });
  assert.equal((await it.send(small, large)).status, 413);
  const zipped = new Uint8Array(gzipSync(large));
  assert.ok(zipped.length < 1024);
  assert.equal((await it.send(small, zipped, { headers: { "Content-Encoding": "gzip" } })).status, 413);
  const big = await it.make({ name: "Big", maxBodyBytes: 26_214_400 });
  const stored = await it.send(big, { title: "Large", filler: "x".repeat(3_000_000) });
  assert.equal(stored.status, 200);
  const [event] = await it.events();
  assert.deepEqual([event?.payload["title"], event?.payload["bodyOmitted"]], ["Large", true]);
  const [logged] = await it.requests(big);
  assert.deepEqual([logged?.isCut, logged?.body.length], [true, 65_536]);
  const slow = await it.make({ name: "Slow", perSecond: 1, burst: 3 });
  const answers = await Promise.all(Array.from({ length: 10 }, () => it.send(slow, { title: "x" })));
  const limited = answers.filter(({ status }) => status === 429);
  assert.ok(limited.length >= 5, String(limited.length));
  assert.match(limited[0]?.headers.get("retry-after") ?? "", /^\d+$/);
});

test("a list of a request becomes an alert each; a thousand in one transaction", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({
    mapping: {
      split: "body.alerts",
      title: "= item.name",
      key: "= item.name",
      status: "= item.status",
      output: "alerts",
    },
  });
  const alerts = Array.from({ length: 1000 }, (_, i) => ({ name: `A${i}`, status: i % 2 ? "firing" : "resolved" }));
  assert.equal((await it.send(receiver, { alerts })).status, 200);
  assert.equal(
    (await it.prism.get<{ total: number }>("/api/v1/alerts?state=firing&limit=1&total=true")).body.total ?? 500,
    500,
  );
  assert.equal((await it.send(receiver, { alerts: [...alerts, alerts[0]] })).status, 413);
});

test("an acknowledgement reaches the alert's incidents", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  await it.prism.post("/api/v1/policies", { name: "P", steps: [{ type: "notify", users: ["admin"] }] });
  await it.prism.put("/api/v1/routes", { route: { policy: "P", groupWaitMs: 0 } });
  const item = { title: "T", key: "k" };
  await it.send(receiver, { ...item, status: "firing" });
  await it.send(receiver, { ...item, status: "acknowledged" });
  const { body } = await it.prism.get<{ data: { state: string }[] }>("/api/v1/incidents?state=acknowledged");
  assert.equal(body.data.length, 1);
});

test("a mapping reads the text as it was sent; one with masked members is made again", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ mapping: { title: "= text" } });
  const form = { "Content-Type": "application/x-www-form-urlencoded" };
  await it.send(receiver, "a=1&b=two+words", { headers: form });
  await it.send(receiver, '{ "a" : 1 }', { headers: JSON_TYPE });
  await it.send(receiver, '{ "a" : 1, "password" : "hunter2" }', { headers: JSON_TYPE });
  const titles = (await it.events()).map(({ payload }) => payload["title"]);
  assert.deepEqual(titles.slice(0, 2), ["a=1&b=two+words", '{ "a" : 1 }']);
  assert.match(String(titles[2]), /^\{"a":1,"password":"[^h]+"\}$/);
});
