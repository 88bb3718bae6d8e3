import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import test from "node:test";
import { ReceiverTest } from "./support.ts";

test("empty elements of a list never store the whole body once more each", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "alertmanager" });
  const pad = randomBytes(60_000).toString("base64");
  const alerts = Array.from({ length: 1000 }, () => null);
  assert.ok((await it.send(receiver, { alerts, groupKey: "g", pad })).status < 300);
  for (const { payload } of await it.events())
    assert.ok(
      !JSON.stringify(payload).includes(pad) || payload["method"] === "POST",
      "only the unmapped request has it",
    );
  const { reader } = it.prism.parts.base;
  const stored = reader.prepare("select sum(length(payload)) as n from events").get() as { n: number };
  assert.ok(stored.n < 4_500_000, `${stored.n} characters`);
});

test("a mapping that repeats the body in each element is stopped, and the request is kept", async (t) => {
  const it = await ReceiverTest.start(t);
  const names = ["title", "message", "key", "type", "source", "link", "time", "level"];
  const fields = Object.fromEntries(names.map((name) => [name, "= body"]));
  const labels = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`l${i}`, "= body"]));
  const mappings = [
    { fields, size: 700_000 },
    { fields: { title: "t", labels }, size: 10_000 },
    { fields: { title: "t", payload: "= body" }, size: 100_000 },
    { fields: { title: "t", message: "{{ body.p }}" }, size: 100_000 },
  ];
  for (const [i, { fields: own, size }] of mappings.entries()) {
    const receiver = await it.make({ name: `r${i}`, mapping: { split: "body.a", ...own } });
    const sent = await it.send(receiver, { a: Array.from({ length: 1000 }, () => 1), p: "é".repeat(size / 2) });
    assert.equal(sent.status, 200, sent.text);
    const { body } = await it.prism.get<{ data: { result: string; outcome: { problem?: string } }[] }>(
      `/api/v1/receivers/${receiver.id}/requests`,
    );
    assert.equal(body.data[0]?.result, "unmapped", `mapping ${i}`);
    assert.match(body.data[0]?.outcome.problem ?? "", /too long|more than \d+ characters/);
  }
  assert.equal((await it.events("receiver.unmapped")).length, mappings.length);
});

test("a large list of usual alerts is within the limits", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "alertmanager" });
  const alerts = Array.from({ length: 500 }, (_, i) => ({
    status: "firing",
    fingerprint: `f${i}`,
    labels: { alertname: "Disk", instance: `db-${i}`, severity: "critical" },
    annotations: { summary: "s".repeat(100), description: "d".repeat(1000) },
    startsAt: "2026-01-01T00:00:00Z",
  }));
  const sent = await it.send(receiver, {
    status: "firing",
    groupKey: "g",
    alerts,
    commonLabels: { alertname: "Disk" },
  });
  assert.ok(sent.status < 300, sent.text);
  const { body } = await it.prism.get<{ data: { result: string }[] }>(`/api/v1/receivers/${receiver.id}/requests`);
  assert.equal(body.data[0]?.result, "accepted");
});

test("the other forms at a Discord URL need the receiver's secret too", async (t) => {
  const it = await ReceiverTest.start(t);
  const secret = "the-own-credential";
  const receiver = await it.make({ preset: "discord", secret, verify: [{ scheme: "credential" }] });
  for (const suffix of ["", "/slack", "/github"]) {
    const body = { text: "hello", content: "hello", zen: "hello" };
    const github = { "X-GitHub-Event": "ping" };
    assert.equal((await it.send(receiver, body, { suffix, headers: github })).status, 401, suffix);
    const known = { Authorization: `Bearer ${secret}`, ...github };
    assert.ok((await it.send(receiver, body, { suffix, headers: known })).status < 300, suffix);
  }
});

test("a Discord message of any length is answered with its start", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "discord", maxBodyBytes: 26_214_400 });
  const sent = await it.send(receiver, { content: "a".repeat(16_000_000) }, { suffix: "?wait=true" });
  assert.equal(sent.status, 200, sent.text.slice(0, 200));
  assert.equal((JSON.parse(sent.text) as { content: string }).content, "a".repeat(4000));
  assert.equal((await it.events()).length, 1);
});

test("a signing secret that is no key is refused, and a long id is not cut", async (t) => {
  const it = await ReceiverTest.start(t);
  for (const secret of ["whsec_", "whsec_!!!!", `whsec_${Buffer.alloc(8, 1).toString("base64")}`])
    for (const preset of ["standardwebhooks", "gitlab"]) {
      const refused = await it.prism.post("/api/v1/receivers", { name: "Empty", preset, secret });
      assert.equal(refused.status, 400, `${preset} ${secret}: ${refused.text}`);
    }
  const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const receiver = await it.make({ preset: "standardwebhooks", secret });
  const rotated = await it.prism.post(`/api/v1/receivers/${receiver.id}/rotate`, { secret: "whsec_!!!!" });
  assert.equal(rotated.status, 400, rotated.text);
  const ts = String(Math.floor(it.prism.parts.base.clock.now() / 1000));
  for (const id of [`${"L".repeat(300)}1`, `${"L".repeat(300)}2`]) {
    const body = JSON.stringify({ type: "t", data: { title: id.slice(-1) } });
    const key = Buffer.alloc(32, 7);
    const signature = `v1,${createHmac("sha256", key).update(`${id}.${ts}.${body}`).digest("base64")}`;
    const headers = { "Webhook-Id": id, "Webhook-Timestamp": ts, "Webhook-Signature": signature };
    const sent = await it.send(receiver, body, { headers: { "Content-Type": "application/json", ...headers } });
    assert.ok(sent.status < 300, sent.text);
  }
  assert.equal((await it.events()).length, 2);
});

test("secrets by name are masked in every form of a body, in the log and in events", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const SHOWN = "hunter2-hunter2";
  const value = {
    ...{ title: "t", dbPassword: SHOWN, smtp: { auth: { pass: SHOWN } }, tokens: [SHOWN], secret: [SHOWN] },
    ...{ passphrase: SHOWN, usage: { tokens: 120 } },
  };
  const json = JSON.stringify(value);
  const wide = (text: string) => new Uint8Array(Buffer.from(text, "utf16le"));
  const bodies: readonly (readonly [string | Uint8Array, string])[] = [
    [json, "application/json"],
    [new URLSearchParams({ payload: json }).toString(), "application/x-www-form-urlencoded"],
    [new URLSearchParams({ title: "t", password: SHOWN }).toString(), "application/x-www-form-urlencoded"],
    [wide(json), "application/json; charset=utf-16"],
    [
      `--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n${SHOWN}\r\n--b--\r\n`,
      "multipart/form-data; boundary=b",
    ],
  ];
  for (const [body, type] of bodies) {
    const sent = await it.send(receiver, body, { headers: { "Content-Type": type } });
    assert.equal(sent.status, 200, `${type}: ${sent.text}`);
  }
  const log = await it.prism.get(`/api/v1/receivers/${receiver.id}/requests?limit=100`);
  assert.ok(!log.text.includes(SHOWN) && !log.text.replaceAll("\\u0000", "").includes(SHOWN), log.text);
  const events = await it.events();
  assert.equal(events.length, bodies.length);
  assert.ok(!JSON.stringify(events).includes(SHOWN), JSON.stringify(events));
  assert.ok(JSON.stringify(events).includes('"tokens":120'));
});

test("the data of a push of Pub/Sub has the limits and the masks of a body", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ secret: "the-secret-of-all" });
  const push = (data: string) => ({
    message: { data: Buffer.from(data).toString("base64"), messageId: "1" },
    subscription: "projects/shop/subscriptions/alerts",
  });
  const headers = { authorization: "Bearer the-secret-of-all" };
  const SECRETS = /hunter22|the-secret-of-all/;
  for (const data of [
    JSON.stringify({ title: "Disk full", password: "hunter22", url: "https://x.example/the-secret-of-all" }),
    '{"title":"Disk\nfull","password":"hunter22",}',
    "Disk full, see the-secret-of-all",
    `Disk full ${"x".repeat(70_000)} the-secret-of-all`,
    "the-secret-of-all: disk full",
  ]) {
    const sent = await it.send(receiver, push(data), { headers });
    assert.equal(sent.status, 200, sent.text);
    const [event] = (await it.events()).reverse();
    assert.equal(event?.type, "google-pubsub.message");
    const { body, ...shown } = event.payload as unknown as { readonly body: ReturnType<typeof push> };
    assert.match(JSON.stringify(shown), /disk/i);
    assert.doesNotMatch(JSON.stringify(shown), SECRETS);
    const stored = Buffer.from(body.message.data, "base64").toString();
    assert.match(stored, /•••/);
    assert.doesNotMatch(stored, SECRETS);
    const [logged] = await it.requests(receiver, 1);
    const kept = /"data":"([^"]*)/.exec(logged?.body ?? "")?.[1] ?? "";
    assert.doesNotMatch(Buffer.from(kept, "base64").toString(), SECRETS);
  }
  const plain = push('{ "title": "Disk full" }');
  await it.send(receiver, plain, { headers });
  assert.deepEqual((await it.events()).at(-1)?.payload["body"], plain, "without a secret it stays as it was sent");
  const nested = await it.send(receiver, push("[".repeat(40) + "]".repeat(40)), { headers });
  assert.equal(nested.status, 400, nested.text);
  const wide = await it.send(receiver, push(JSON.stringify(Array.from({ length: 300_001 }, () => 0))), { headers });
  assert.equal(wide.status, 413, wide.text);
});
