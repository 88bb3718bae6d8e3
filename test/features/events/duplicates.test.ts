import assert from "node:assert/strict";
import test from "node:test";
import type { StoredBatch as Batch } from "../../../src/client/api-types.gen.ts";
import { uuidv7 } from "../../../src/core/ids.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";
import { rowsWith } from "../../helpers/values.ts";

interface Single {
  id: string;
  seq: number;
  status: string;
  error?: { code: string };
}
test("S2-36: an event that is stored already is a duplicate of the first, whose content stays", async (t) => {
  keepsPromise(t, "S2-36");
  const prism = await startPrism(t);
  const id = uuidv7();
  for (const { name, key } of [
    { name: "by id", key: { id } },
    { name: "by dedupe key", key: { dedupeKey: "order-1" } },
  ]) {
    await t.test(name, async () => {
      const first = await prism.post<Single>("/api/v1/events", { type: "a", payload: { n: 1 }, ...key });
      const again = await prism.post<Single>("/api/v1/events", { type: "b", payload: { n: 2 }, ...key });
      assert.deepEqual([first.status, first.body.status], [202, "accepted"]);
      assert.deepEqual(
        [again.status, again.body.status, again.body.id, again.body.seq],
        [202, "duplicate", first.body.id, first.body.seq],
      );
      const stored = rowsOf(prism, "select type, payload from events where id = ?", first.body.id);
      assert.deepEqual(stored, [{ type: "a", payload: '{"n":1}' }]);
    });
  }
});

test("an id in capitals names the same event", async (t) => {
  const prism = await startPrism(t);
  const id = uuidv7();
  await prism.post("/api/v1/events", { type: "a", id });
  const { body } = await prism.post<Single>("/api/v1/events", { type: "a", id: id.toUpperCase() });
  assert.deepEqual([body.status, body.id], ["duplicate", id]);
});

test("an event that is earlier in the same request makes the second a duplicate", async (t) => {
  const prism = await startPrism(t);
  const id = uuidv7();
  const { body } = await prism.post<Batch>("/api/v1/events", [
    { type: "a", id },
    { type: "a", dedupeKey: "k" },
    { type: "a", id },
    { type: "a", dedupeKey: "k" },
    { type: "a", id, dedupeKey: "other" },
  ]);
  assert.deepEqual([body.accepted, body.duplicates], [2, 3]);
  const [first, second, ...repeated] = body.results;
  assert.deepEqual(rowsWith(repeated, "status", "id"), [
    ["duplicate", first?.id],
    ["duplicate", second?.id],
    ["duplicate", first?.id],
  ]);
});

test("an event is a duplicate while the first one is being written", async (t) => {
  const prism = await startPrism(t);
  const id = uuidv7();
  const replies = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      prism.post<Single>("/api/v1/events", { type: "a", payload: { i }, ...(i % 2 ? { id } : { dedupeKey: "k" }) }),
    ),
  );
  for (const part of [0, 1]) {
    const mine = replies.filter((_, i) => i % 2 === part).map(({ body }) => body);
    assert.equal(mine.filter(({ status }) => status === "accepted").length, 1);
    assert.equal(new Set(mine.map((body) => body.seq)).size, 1);
  }
  assert.equal(countOf(prism, "events"), 2);
});

test("if the id names one event and the dedupe key another, the id counts", async (t) => {
  const prism = await startPrism(t);
  const byId = await prism.post<Single>("/api/v1/events", { type: "a", id: uuidv7() });
  const byKey = await prism.post<Single>("/api/v1/events", { type: "a", dedupeKey: "k" });
  const { body } = await prism.post<Single>("/api/v1/events", { type: "a", id: byId.body.id, dedupeKey: "k" });
  assert.deepEqual([body.status, body.id], ["duplicate", byId.body.id]);
  const fresh = await prism.post<Single>("/api/v1/events", { type: "a", id: uuidv7(), dedupeKey: "k" });
  assert.deepEqual([fresh.body.status, fresh.body.id], ["duplicate", byKey.body.id]);
});

test("an id that another project holds is a conflict; its dedupe keys are its own", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const id = uuidv7();
  await prism.post("/api/v1/events", { type: "a", id, dedupeKey: "k" });
  const alone = await prism.post<Single>("/api/v1/events", { type: "a", id }, { apiKey: shop.apiKey });
  assert.deepEqual([alone.status, alone.body.error?.code], [409, "ID_CONFLICT"]);
  const batch = await prism.post<Batch>(
    "/api/v1/events",
    [
      { type: "a", id },
      { type: "a", dedupeKey: "k" },
    ],
    { apiKey: shop.apiKey },
  );
  assert.equal(batch.status, 202);
  const shown = batch.body.results.map(({ status, error }) => error?.code ?? status);
  assert.deepEqual(shown, ["ID_CONFLICT", "accepted"]);
  const only = await prism.post<{ error: { code: string } }>("/api/v1/events", [{ type: "a", id }], {
    apiKey: shop.apiKey,
  });
  assert.deepEqual([only.status, only.body.error.code], [422, "BATCH_REJECTED"]);
});

test("a duplicate meets no rule: an event is decided once", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'a'", targetUsers: ["me"] });
  const event = { type: "a", dedupeKey: "k" };
  await Promise.all(Array.from({ length: 10 }, () => prism.post("/api/v1/events", [event, event])));
  await prism.post("/api/v1/events", event);
  assert.deepEqual([countOf(prism, "decisions"), countOf(prism, "notifications")], [1, 1]);
});

test("what was deleted is forgotten: its id and its dedupe key are free again", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const event = { type: "a", id: uuidv7(), dedupeKey: "k" };
  const first = await prism.post<Single>("/api/v1/events", event, { apiKey: shop.apiKey });
  await prism.delete(`/api/v1/projects/${shop.id}/events`);
  const again = await prism.post<Single>("/api/v1/events", event, { apiKey: shop.apiKey });
  assert.deepEqual([again.body.status, again.body.id], ["accepted", event.id]);
  assert.ok(again.body.seq > first.body.seq, "its number is not used again");
});

test("duplicates are known after a restart, and numbers go on", async (t) => {
  const prism = await startPrism(t);
  const first = await prism.post<Single>("/api/v1/events", { type: "a", dedupeKey: "k" });
  await prism.restart();
  const again = await prism.post<Single>("/api/v1/events", { type: "a", dedupeKey: "k" });
  assert.deepEqual([again.body.status, again.body.seq], ["duplicate", first.body.seq]);
  const next = await prism.post<Single>("/api/v1/events", { type: "a" });
  assert.equal(next.body.seq, first.body.seq + 1);
  assert.equal(scalarOf(prism, "select min(seq) from events"), 1, "the first event is number 1");
});

test("an id that another sender has used is taken; all credentials of a user are one sender", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const second = await answered(
    201,
    prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, { name: "second" }),
  );
  const id = uuidv7();
  const first = await prism.post<Single>("/api/v1/events", { type: "a", id }, { apiKey: shop.apiKey });
  assert.equal(first.body.status, "accepted");
  const again = await prism.post<Single>("/api/v1/events", { type: "a", id }, { apiKey: shop.apiKey });
  assert.deepEqual([again.status, again.body.status], [202, "duplicate"]);
  const other = await prism.post<Single>("/api/v1/events", { type: "b", id }, { apiKey: second.body.key });
  assert.deepEqual([other.status, other.body.error?.code], [409, "ID_TAKEN"]);
  const batch = await prism.post<Batch>("/api/v1/events", [{ type: "b", id }, { type: "b" }], {
    apiKey: second.body.key,
  });
  assert.deepEqual(
    batch.body.results.map(({ status, error }) => error?.code ?? status),
    ["ID_TAKEN", "accepted"],
  );
  const lines = { apiKey: second.body.key, headers: { "Content-Type": "application/x-ndjson" } };
  const ndjson = await prism.post<Batch>("/api/v1/events", `{"type":"b","id":"${id}"}\n{"type":"b"}`, lines);
  assert.deepEqual(
    ndjson.body.results.map(({ status, error }) => error?.code ?? status),
    ["ID_TAKEN", "accepted"],
  );
  // Both in one request, before either is stored.
  const own = uuidv7();
  const both = await Promise.all([
    prism.post<Single>("/api/v1/events", { type: "c", id: own }, { apiKey: shop.apiKey }),
    prism.post<Single>("/api/v1/events", { type: "c", id: own }, { apiKey: second.body.key }),
  ]);
  assert.deepEqual(both.map(({ status }) => status).sort(), [202, 409]);
  const [ann, bob] = [await makeUser(prism, "ann", ["User"]), await makeUser(prism, "bob", ["User"])];
  const mine = { type: "d", id: uuidv7() };
  assert.equal((await prism.post<Single>("/api/v1/events", mine, { token: ann.token })).body.status, "accepted");
  assert.equal((await prism.post<Single>("/api/v1/events", mine, { token: bob.token })).status, 409);
  const scopes = { name: "t", scopes: ["events:write"] };
  const token = await answered(
    201,
    prism.post<{ token: string }>("/api/v1/users/me/tokens", scopes, { token: ann.token }),
  );
  const byToken = await prism.post<Single>("/api/v1/events", mine, { token: token.body.token });
  assert.deepEqual([byToken.status, byToken.body.status], [202, "duplicate"]);
});

test("a CloudEvent with the source and id of another sender is taken, in each mode", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const keys = `/api/v1/projects/${shop.id}/keys`;
  const { body: second } = await answered(201, prism.post<{ key: string }>(keys, { name: "second" }));
  const send = async (apiKey: string, type: string, body: string, headers: Record<string, string> = {}) => {
    const reply = await fetch(`${prism.url}/api/v1/events`, {
      method: "POST",
      headers: { "Content-Type": type, "X-API-Key": apiKey, ...headers },
      body: body.replace("NEW", uuidv7()),
    });
    const said = (await reply.json()) as Single & { results?: Batch["results"] };
    const [first] = said.results ?? [said];
    return first?.error?.code ?? first?.status;
  };
  for (const [name, type, body, headers] of [
    ["structured", "application/cloudevents+json", '{"specversion":"1.0","id":"1","source":"/a","type":"t"}', {}],
    [
      "batched",
      "application/cloudevents-batch+json",
      '[{"specversion":"1.0","id":"1","source":"/b","type":"t"},{"specversion":"1.0","id":"NEW","source":"/b","type":"t"}]',
      {},
    ],
    ["binary", "text/plain", "x", { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/c", "ce-type": "t" }],
  ] as const)
    await t.test(name, async () => {
      assert.equal(await send(shop.apiKey, type, body, headers), "accepted");
      assert.equal(await send(shop.apiKey, type, body, headers), "duplicate");
      assert.equal(await send(second.key, type, body, headers), "ID_TAKEN");
    });
  const keyed = { type: "a", dedupeKey: "order-1" };
  await prism.post("/api/v1/events", keyed, { apiKey: shop.apiKey });
  const shared = await prism.post<Single>("/api/v1/events", keyed, { apiKey: second.key });
  assert.equal(shared.body.status, "duplicate", "a dedupe key is shared");
});
