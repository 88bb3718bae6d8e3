import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeProject } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { countOf, scalarOf } from "../../helpers/tables.ts";
import { allDecided } from "./pipeline/support/all-decided.ts";

type Refusal = { error?: { code: string } };

test("while the disk has less room than is to be kept free, events, notifications and timers get 507, and reads, changes and deletes go on", async (t) => {
  const prism = await startPrism(t, { settings: { minFreeBytes: "900000000000000" } });
  for (const [path, body] of [
    ["/events", { type: "a" }],
    ["/events", [{ type: "a" }, { type: "b" }]],
    ["/notifications", { recipients: ["me"], title: "t", message: "m" }],
    ["/time/trigger", { label: "l", delayMs: 0, action: { type: "event", event: "x" } }],
  ] as const) {
    const reply = await prism.post<Refusal>(`/api/v1${path}`, body);
    assert.deepEqual([reply.status, reply.body.error?.code], [507, "STORAGE_FULL"], path);
  }
  for (const table of ["events", "notifications", "jobs"]) assert.equal(countOf(prism, table), 0, table);
  assert.equal((await prism.get("/api/v1/events")).status, 200);
  const shop = await makeProject(prism, "shop");
  assert.equal((await prism.delete(`/api/v1/projects/${shop.id}/events`)).status, 200);
});

test("a full database answers 507, and takes events in again by itself when there is room", async (t) => {
  const prism = await startPrism(t, { settings: { maxDbBytes: "1700000" } });
  const shop = await makeProject(prism, "shop");
  const send = (n: number) =>
    prism.post<Refusal & { id?: string }>(
      "/api/v1/events",
      { type: "a", dedupeKey: `k${n}`, payload: { text: "x".repeat(20_000) } },
      { apiKey: shop.apiKey },
    );
  let sent = 0;
  let reply = await send(sent);
  while (reply.status === 202 && sent < 200) reply = await send(++sent);
  assert.deepEqual([reply.status, reply.body.error?.code], [507, "STORAGE_FULL"]);
  assert.equal(countOf(prism, "events"), sent, "every event that was answered 202 is there, and no other");

  assert.equal((await prism.delete(`/api/v1/projects/${shop.id}/events`)).status, 200);
  const again = await send(sent);
  assert.equal(again.status, 202);
  assert.equal(scalarOf(prism, "select id from events where dedupeKey = ?", `k${sent}`), again.body.id);
});

test("STORAGE_FULL in the middle of load: every answer is true, and what memory knows agrees with the tables", async (t) => {
  const prism = await startPrism(t, { settings: { maxDbBytes: "2500000" } });
  const shop = await makeProject(prism, "shop");
  await prism.post("/api/v1/rules", {
    name: "every tenth",
    condition: "event.n % 10 == 0",
    projectId: shop.id,
    targetUsers: ["me"],
  });
  const event = (n: number) => ({ type: "a", dedupeKey: `k${n}`, payload: { n, text: "x".repeat(15_000) } });
  const send = (n: number) => prism.post("/api/v1/events", event(n), { apiKey: shop.apiKey });
  const replies = await Promise.all(Array.from({ length: 300 }, (_, n) => send(n)));
  const outcomes = new Set(replies.map(({ status }) => status));
  assert.deepEqual([...outcomes].sort(), [202, 507]);
  const accepted = replies.flatMap(({ status }, n) => (status === 202 ? [`k${n}`] : []));
  const stored = storedKeys(prism);
  assert.deepEqual(stored, [...accepted].sort());
  assertDecided(prism);

  await prism.delete(`/api/v1/projects/${shop.id}/events`);
  const refused = replies.flatMap(({ status }, n) => (status === 507 ? [n] : [])).slice(0, 20);
  const retried = await Promise.all(
    refused.map((n) => prism.post<{ status: string }>("/api/v1/events", event(n), { apiKey: shop.apiKey })),
  );
  assert.deepEqual(new Set(retried.map(({ status, body }) => `${status} ${body.status}`)), new Set(["202 accepted"]));
  await allDecided(prism);
  assertDecided(prism);
});

test("while too much waits for the writer, events get 503 with Retry-After and none is stored", async (t) => {
  const prism = await startPrism(t, {
    settings: {
      "ingest.highWaterBytes": "5242880",
      "ingest.maxBodyBytes": "2621440",
      "ingest.maxEventBytes": "2621440",
    },
  });
  const { pipeline } = prism.parts.offers;
  const big = { type: "a", payload: { text: "x".repeat(2_000_000) } };
  let letGo: () => void = () => undefined;
  const writer = prism.services.db.write(
    () =>
      new Promise<void>((resolve) => {
        letGo = resolve;
      }),
  );
  const waiting = [prism.post("/api/v1/events", big)];
  await eventually("the first waits for the writer", () => pipeline.pendingBytes > 2_000_000);
  waiting.push(prism.post("/api/v1/events", big));
  await eventually("the second waits for the writer", () => pipeline.pendingBytes > 4_000_000);
  for (const body of [big, [big, { type: "b" }]]) {
    const refused = await prism.post<Refusal>("/api/v1/events", body);
    assert.deepEqual([refused.status, refused.body.error?.code], [503, "OVERLOADED"]);
    assert.ok(Number(refused.headers.get("retry-after")) >= 1);
  }
  // Not read: what is wrong with it is not known.
  const unread = await prism.post<Refusal>("/api/v1/events", `[${"x".repeat(2_000_000)}`);
  assert.deepEqual([unread.status, unread.body.error?.code], [503, "OVERLOADED"]);
  letGo();
  await writer;
  for (const each of waiting) assert.equal((await each).status, 202);
  assert.deepEqual([countOf(prism, "events"), pipeline.pendingBytes], [2, 0]);
  assert.equal((await prism.post("/api/v1/events", big)).status, 202, "afterwards there is room again");
});

test("a key's own limit counts events, not requests, and says when to come back", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const { body } = await prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, { rateLimit: 100 });
  const many = Array.from({ length: 60 }, () => ({ type: "a" }));
  assert.equal((await prism.post("/api/v1/events", many, { apiKey: body.key })).status, 202);
  const over = await prism.post<Refusal>("/api/v1/events", many, { apiKey: body.key });
  assert.deepEqual([over.status, over.body.error?.code], [429, "RATE_LIMITED"]);
  assert.ok(Number(over.headers.get("retry-after")) >= 1);
  assert.equal(countOf(prism, "events"), 60);
  assert.equal(
    (await prism.post("/api/v1/events", many, { apiKey: shop.apiKey })).status,
    202,
    "other keys are not concerned",
  );
});

function storedKeys(prism: TestPrism): string[] {
  const { reader } = prism.parts.base.store;
  return reader.prepare<[], string>("select dedupeKey from events").pluck().all().sort();
}

/**
 * What the rule made of the events that are decided, by plain counting. On a busy machine some
 * wait, and on a full disk they go on waiting.
 */
function assertDecided(prism: TestPrism): void {
  const due = scalarOf<number>(prism, "select count(*) from events where processedAt > 0 and payload ->> 'n' % 10 = 0");
  assert.equal(countOf(prism, "decisions"), due);
  const notifications = scalarOf(prism, "select count(*) from notifications n join events e on e.id = n.eventId");
  assert.equal(notifications, due);
  const total = scalarOf<number>(prism, "select fired from rule_stats");
  assert.equal(total, countOf(prism, "notifications"));
}
