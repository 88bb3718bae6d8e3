import assert from "node:assert/strict";
import test from "node:test";
import { CloudEvent, HTTP } from "cloudevents";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/events";

interface Stored {
  readonly type: string;
  readonly level: string;
  readonly source: string;
  readonly occurredAt: string;
  readonly payload: Record<string, unknown> & { readonly cloudevent: Record<string, unknown> };
}

async function lastEvent(prism: TestPrism): Promise<Stored> {
  const { body } = await prism.get<{ data: Stored[] }>(`${PATH}?limit=1`);
  const [event] = body.data;
  assert.ok(event);
  return event;
}

async function send(prism: TestPrism, headers: Record<string, string>, body: string | undefined, query = "") {
  const init = { method: "POST", headers: { Authorization: `Bearer ${prism.adminToken}`, ...headers } };
  const reply = await fetch(`${prism.url}${PATH}${query}`, { ...init, ...(body !== undefined && { body }) });
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
}

const textOf = (body: unknown): string => (typeof body === "string" ? body : JSON.stringify(body));

test("the cloudevents package sends in binary, structured and batched mode", async (t) => {
  const prism = await startPrism(t);
  const event = (id: string) =>
    new CloudEvent({
      ...{ id, type: "org.example.order.failed", source: "/shop", subject: "A-1007", time: "2026-01-31T08:15:00Z" },
      ...{ data: { amount: 1500, tags: ["eu"] }, severity: "critical", traceparent: "00-x" },
    });
  for (const [mode, message] of [
    ["binary", HTTP.binary(event("1"))],
    ["structured", HTTP.structured(event("2"))],
  ] as const) {
    const reply = await send(prism, message.headers as Record<string, string>, textOf(message.body));
    assert.equal(reply.status, 202, `${mode}: ${JSON.stringify(reply.body)}`);
    const stored = await lastEvent(prism);
    assert.deepEqual(
      [stored.type, stored.level, stored.occurredAt, stored.payload["amount"], stored.payload["tags"]],
      ["org.example.order.failed", "fatal", "2026-01-31T08:15:00.000Z", 1500, ["eu"]],
    );
    const { id, source, subject, severity, traceparent } = stored.payload.cloudevent;
    assert.deepEqual([source, subject, severity, traceparent], ["/shop", "A-1007", "critical", "00-x"]);
    const again = await send(prism, message.headers as Record<string, string>, textOf(message.body));
    assert.equal(again.body["status"], "duplicate", `${mode}: ${String(id)}`);
  }
  const batch = [event("2"), event("3"), event("4")].map((each) => each.toJSON());
  const batched = await send(
    prism,
    { "Content-Type": "application/cloudevents-batch+json; charset=utf-8" },
    JSON.stringify(batch),
  );
  assert.deepEqual([batched.status, batched.body["accepted"], batched.body["duplicates"]], [202, 2, 1]);
  const empty = await send(prism, { "Content-Type": "application/cloudevents-batch+json" }, "[]");
  assert.deepEqual([empty.status, empty.body["accepted"]], [202, 0]);
});

test("a severity is the level by the words of CloudEvents, any other one says nothing", async (t) => {
  const prism = await startPrism(t);
  const words = ["Warning", "HIGH", "critical", "crit", "page", "constructor", "__proto__"];
  const levels: string[] = [];
  for (const [at, severity] of words.entries()) {
    const event = { specversion: "1.0", id: `s${at}`, source: "/shop", type: "order.failed", severity };
    const { status } = await send(prism, { "Content-Type": "application/cloudevents+json" }, textOf(event));
    assert.equal(status, 202, severity);
    levels.push((await lastEvent(prism)).level);
  }
  assert.deepEqual(levels, ["warn", "error", "fatal", "info", "info", "info", "info"]);
});

test("binary mode: escapes of header values, other types of data, and none", async (t) => {
  const prism = await startPrism(t);
  const base = { "ce-specversion": "1.0", "ce-source": "/s", "ce-type": "t" };
  const euro = await send(prism, { ...base, "ce-id": "1", "ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80" }, undefined);
  assert.equal(euro.status, 202, JSON.stringify(euro.body));
  assert.equal((await lastEvent(prism)).payload.cloudevent["subject"], "Euro € 😀");
  await send(prism, { ...base, "ce-id": "2", "ce-subject": '"a \\"b\\" 100%"', "Content-Type": "text/plain" }, "hello");
  const text = await lastEvent(prism);
  assert.deepEqual([text.payload["data"], text.payload.cloudevent["subject"]], ["hello", 'a "b" 100%']);
  await send(prism, { ...base, "ce-id": "3", "Content-Type": "application/octet-stream" }, "\u0001\u0002");
  assert.equal((await lastEvent(prism)).payload["data_base64"], "AQI=");
  await send(prism, { ...base, "ce-id": "4", "Content-Type": "application/json" }, "[1,2]");
  assert.deepEqual((await lastEvent(prism)).payload["data"], [1, 2]);
  assert.equal((await send(prism, { ...base, "ce-id": "5", "ce-subject": "%ff%fe" }, undefined)).status, 400);
});

test("what is no CloudEvent is refused with its path", async (t) => {
  const prism = await startPrism(t);
  const type = { "Content-Type": "application/cloudevents+json" };
  const event = { specversion: "1.0", id: "1", source: "/s", type: "t" };
  const cases: [Record<string, string>, unknown, number, string?][] = [
    [type, { ...event, id: "" }, 400, "id"],
    [type, { ...event, source: undefined }, 400, "source"],
    [type, { ...event, type: 5 }, 400, "type"],
    [type, { ...event, specversion: "0.3" }, 415],
    [type, { ...event, data: 1, data_base64: "AA==" }, 400, "data"],
    [type, { ...event, time: "yesterday" }, 400, "occurredAt"],
    [type, [event], 400, ""],
    [{ "Content-Type": "application/cloudevents+avro" }, event, 415],
    [{ "Content-Type": "application/cloudevents-batch+json" }, event, 400, ""],
    [{ "Content-Type": "application/cloudevents-batch+json" }, [event, { ...event, type: "" }], 400, "1.type"],
    [{ "Content-Type": "application/xml" }, "<a/>", 415],
    [{ "Content-Type": "application/json; charset=x-none" }, event, 415],
  ];
  for (const [headers, body, status, path] of cases) {
    const reply = await send(prism, headers, textOf(body));
    assert.equal(reply.status, status, JSON.stringify([body, reply.body]));
    const { details } = reply.body["error"] as { details?: { path: string }[] };
    if (path !== undefined) assert.equal(details?.[0]?.path, path);
  }
});

test("a text is the message of an event, with its type and level in the query", async (t) => {
  const prism = await startPrism(t);
  const type = { "Content-Type": "text/plain" };
  assert.equal((await send(prism, type, "Backup failed\nno space")).status, 202);
  const plain = await lastEvent(prism);
  assert.deepEqual(
    [plain.type, plain.payload],
    ["message", { title: "Backup failed", message: "Backup failed\nno space" }],
  );
  await send(prism, type, "x", "?type=backup.failed&level=error&source=nas");
  const named = await lastEvent(prism);
  assert.deepEqual([named.type, named.level, named.source], ["backup.failed", "error", "nas"]);
});

test("OPTIONS grants CloudEvents' senders with a credential, and ?access_token= is one", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ key: string }>("/api/v1/projects/default/keys", { name: "k" });
  const ask = (query: string, headers: Record<string, string>) =>
    fetch(`${prism.url}${PATH}${query}`, { method: "OPTIONS", headers });
  const origin = { "WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120" };
  const granted = await ask(`?access_token=${body.key}`, origin);
  assert.equal(granted.status, 200);
  const shown = ["webhook-allowed-origin", "webhook-allowed-rate", "allow"].map((name) => granted.headers.get(name));
  assert.deepEqual(shown, ["eventemitter.example.com", "120", "POST"]);
  const refused = await ask("", origin);
  assert.deepEqual([refused.status, refused.headers.get("webhook-allowed-origin")], [401, null]);
  const preflight = await ask("", { Origin: "https://a.example", "Access-Control-Request-Method": "POST" });
  assert.equal(preflight.headers.get("webhook-allowed-origin"), null);
  const headers = { "Content-Type": "application/cloudevents+json" };
  const event = JSON.stringify({ specversion: "1.0", id: "1", source: "/s", type: "t" });
  const sent = await fetch(`${prism.url}${PATH}?access_token=${body.key}`, { method: "POST", headers, body: event });
  assert.equal(sent.status, 202);
  const made = await prism.post<{ url: string }>("/api/v1/receivers", { name: "r", preset: "generic" });
  const atReceiver = await fetch(`${prism.url}${new URL(made.body.url).pathname}`, {
    method: "OPTIONS",
    headers: origin,
  });
  assert.deepEqual([atReceiver.status, atReceiver.headers.get("webhook-allowed-rate")], [200, "120"]);
});
