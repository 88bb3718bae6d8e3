import assert from "node:assert/strict";
import test from "node:test";
import { uuidv7 } from "../../../src/core/ids.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf } from "../../helpers/tables.ts";
import { type BucketView, bucketWorld, create, made, PATH, settled, told } from "./support.ts";

test("S2-57 a bucket is made, shown with its version, changed and deleted; its amounts are texts", async (t) => {
  keepsPromise(t, "S2-57");
  const { prism } = await bucketWorld(t);
  const { body, headers } = await answered(201, create(prism, { currentBalance: 100.5, threshold: "0050.00" }));
  const { id, currentBalance, threshold, currency, state, version } = body;
  assert.deepEqual([currentBalance, threshold, currency, state, version], ["100.5", "50", "EUR", "ok", 1]);
  assert.equal(headers.get("etag"), '"1"');
  const shown = await prism.get<BucketView>(`${PATH}/${id}`);
  assert.deepEqual([shown.body, shown.headers.get("etag")], [body, '"1"']);
  assert.equal(shown.headers.get("cache-control"), "private, no-cache");
  assert.equal((await prism.get(`${PATH}/${id}`, { headers: { "If-None-Match": '"1"' } })).status, 304);

  const taken = await create(prism);
  assert.deepEqual([taken.status, taken.body.error.code], [409, "NAME_TAKEN"]);
  assert.equal((await create(prism, { currency: "USD" })).status, 201);
  assert.equal((await prism.delete(`${PATH}/${id}`, { headers: { "If-Match": '"7"' } })).status, 412);
  assert.equal((await prism.delete(`${PATH}/${id}`)).status, 204);
  for (const gone of [id, uuidv7(), "nonsense"]) {
    const calls = [
      prism.get<BucketView>(`${PATH}/${gone}`),
      prism.put<BucketView>(`${PATH}/${gone}/threshold`, { threshold: "1" }),
      prism.put<BucketView>(`${PATH}/${gone}/balance`, { delta: "1" }),
      prism.delete<BucketView>(`${PATH}/${gone}`),
    ];
    for (const reply of await Promise.all(calls))
      assert.deepEqual([reply.status, reply.body.error.code], [404, "BUCKET_NOT_FOUND"]);
  }
});

test("S2-56 buckets are listed newest first, page by page, and by currency, state and name", async (t) => {
  keepsPromise(t, "S2-56");
  const { prism } = await bucketWorld(t);
  for (const [name, currency, currentBalance] of [
    ["alpha", "EUR", "1"],
    ["beta", "EUR", "100"],
    ["gamma", "USD", "1"],
    ["100%", "USD", "100"],
  ])
    await made(prism, { name, currency, currentBalance });
  const names = async (query: string) =>
    (await prism.get<BucketView>(`${PATH}?${query}`)).body.data.map(({ name }) => name);
  assert.deepEqual(await names(""), ["100%", "gamma", "beta", "alpha"]);
  assert.deepEqual(await names("currency=EUR"), ["beta", "alpha"]);
  assert.deepEqual(await names("state=below"), ["gamma", "alpha"]);
  assert.deepEqual(await names("state=ok&currency=USD"), ["100%"]);
  assert.deepEqual(await names("q=%25"), ["100%"]);
  assert.deepEqual(await names("q=ALPH"), ["alpha"]);
  const first = await prism.get<{ nextCursor: string; total: number }>(`${PATH}?limit=3&page=1`);
  assert.equal(first.body.total, 4);
  assert.deepEqual(await names(`limit=3&cursor=${first.body.nextCursor}`), ["alpha"]);
  assert.equal((await prism.get(`${PATH}?state=low`)).status, 400);
});

test("S2-58 a new threshold is judged at once, and its change is on record with both values", async (t) => {
  keepsPromise(t, "S2-58");
  const { prism } = await bucketWorld(t);
  const id = await made(prism);
  const put = (threshold: unknown, headers = {}) =>
    prism.put<BucketView>(`${PATH}/${id}/threshold`, { threshold }, { headers });
  const raised = await put("100.0001", { "If-Match": '"1"' });
  assert.deepEqual([raised.status, raised.body.state, raised.body.threshold], [200, "below", "100.0001"]);
  assert.equal(raised.headers.get("etag"), '"2"');
  assert.deepEqual([(await put("1", { "If-Match": '"1"' })).status, (await put("1.00001")).status], [412, 400]);
  await settled(prism);
  assert.deepEqual(told(prism), ["below_threshold"]);
  assert.equal((await put("100")).body.state, "ok", "at the threshold is not below it");
  await settled(prism);
  assert.deepEqual(told(prism), ["below_threshold", "recovered"]);

  const rows = rowsOf<{ action: string; resourceId: string; metadata: string }>(
    prism,
    "select action, resourceId, metadata from audit_log where action like 'bucket.%' order by seq",
  );
  assert.deepEqual(
    rows.map(({ action, resourceId, metadata }) => [action, resourceId, JSON.parse(metadata)]),
    [
      ["bucket.balance", id, { change: "created", old: null, new: "100" }],
      ["bucket.threshold", id, { old: "50", new: "100.0001" }],
      ["bucket.threshold", id, { old: "100.0001", new: "100" }],
    ],
  );
});

test("S2-14 balances are exact over the whole range of DECIMAL(19,4), set or moved by a delta", async (t) => {
  keepsPromise(t, "S2-14");
  const { prism } = await bucketWorld(t);
  const id = await made(prism, { currentBalance: "0", threshold: "-999999999999999.9999" });
  const put = (body: object) => prism.put<BucketView>(`${PATH}/${id}/balance`, body);
  const balance = async (body: object) => (await put(body)).body.currentBalance;
  assert.equal(await balance({ delta: "0.1" }), "0.1");
  assert.equal(await balance({ delta: "0.2" }), "0.3");
  assert.equal(await balance({ delta: -0.3 }), "0");
  assert.equal(await balance({ currentBalance: "999999999999999.9998" }), "999999999999999.9998");
  assert.equal(await balance({ delta: "0.0001" }), "999999999999999.9999");
  const over = await put({ delta: "0.0001" });
  assert.deepEqual(
    [over.status, over.body.error.code, over.body.error.details?.[0]?.path],
    [400, "VALIDATION_FAILED", "delta"],
  );
  for (const refused of [
    {},
    { currentBalance: "1", delta: "1" },
    { currentBalance: "1.00001" },
    { currentBalance: "1000000000000000" },
    { currentBalance: 0.12345 },
    { currentBalance: 999999999999999 },
    { currentBalance: null },
    { delta: "1e3" },
  ])
    assert.equal((await put(refused)).status, 400, JSON.stringify(refused));
  assert.equal((await prism.get<BucketView>(`${PATH}/${id}`)).body.currentBalance, "999999999999999.9999");
});

test("a delta that is sent again with its Idempotency-Key counts once, and the key of one bucket is not another's", async (t) => {
  const { prism } = await bucketWorld(t);
  const [one, other] = [await made(prism), await made(prism, { name: "other" })];
  const move = (id: string) =>
    prism.put<BucketView>(`${PATH}/${id}/balance`, { delta: "-10" }, { headers: { "Idempotency-Key": "k" } });
  assert.equal((await move(one)).body.currentBalance, "90");
  const again = await move(one);
  assert.deepEqual([again.body.currentBalance, again.headers.get("idempotency-replayed")], ["90", "true"]);
  assert.equal((await move(other)).body.error.code, "IDEMPOTENCY_KEY_REUSED");
});

test("an invalid bucket is refused and leaves no rows", async (t) => {
  const { prism } = await bucketWorld(t);
  for (const refused of [
    { currency: "ZZZ" },
    { currency: "EURO" },
    { name: "" },
    { currentBalance: undefined },
    { threshold: "abc" },
    { renotifyMs: 1 },
    { state: "ok" },
  ])
    assert.equal((await create(prism, refused)).status, 400, JSON.stringify(refused));
  assert.deepEqual([countOf(prism, "transfer_buckets"), countOf(prism, "schedules")], [0, 0]);
});

test("a currency is a code of ISO 4217, in any case", async (t) => {
  const prism = await startPrism(t);
  const made = await prism.post<{ currency: string }>("/api/v1/transfer-buckets", {
    name: "b",
    currency: "usd",
    currentBalance: "1",
    threshold: "1",
  });
  assert.deepEqual([made.status, made.body.currency], [201, "USD"]);
});
