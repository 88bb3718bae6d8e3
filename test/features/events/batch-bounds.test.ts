import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../../src/core/promises.ts";
import { BatchGate } from "../../../src/features/events/ingest.ts";
import { BodyReader } from "../../../src/http/body/body.ts";
import type { Exchange } from "../../../src/http/server/exchange.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { countOf } from "../../helpers/tables.ts";
import { testUser } from "../../http/support/bare-kernel.ts";

const PATH = "/api/v1/events";
const NDJSON = { headers: { "Content-Type": "application/x-ndjson" } };

interface Refused {
  error?: { code: string; message: string; details?: { path?: string; code?: string }[] };
}

const producer = () => ({ principal: testUser(), signerKey: null }) as unknown as Exchange;
const post = (prism: TestPrism, body: string, options?: object) => prism.post<Refused>(PATH, body, options);
const settled = (prism: TestPrism) =>
  eventually("nothing is held any more", () => prism.parts.core.bodies.bufferedBytes === 0);

test("two batches are read at a time, the others in the order in which they came, and what waits is counted until it is done", async () => {
  const bodies = new BodyReader(200_000);
  const gate = new BatchGate(bodies, { unsealedBytes: 0, onTaken: () => undefined });
  const order: string[] = [];
  const ends = ["a", "b", "c", "d"].map((name) => {
    const end = deferred<void>();
    const passed = gate.pass(producer(), 20_000, async () => {
      order.push(name);
      await end.promise;
    });
    return { ...end, passed };
  });
  const [a, b, c, d] = ends;
  await new Promise(setImmediate);
  assert.deepEqual([order, gate.waiting], [["a", "b"], 2]);
  assert.ok(bodies.bufferedBytes >= 80_000);
  await assert.rejects(
    gate.pass(producer(), 80_000, async () => undefined),
    { code: "OVERLOADED" },
  );
  b?.reject(new Error("the batch is not valid"));
  await assert.rejects(async () => b?.passed);
  await new Promise(setImmediate);
  assert.deepEqual([order, gate.waiting], [["a", "b", "c"], 1]);
  a?.resolve();
  await a?.passed;
  await new Promise(setImmediate);
  assert.deepEqual(order, ["a", "b", "c", "d"]);
  for (const end of [c, d]) end?.resolve();
  await Promise.all([c?.passed, d?.passed]);
  assert.equal(bodies.bufferedBytes, 0);
  assert.equal(await gate.pass(producer(), 1, async () => "free again"), "free again");
});

test("no batch is read while enough events wait for the writer, and the next one when they have gone", async () => {
  let taken = (): void => undefined;
  const ahead = {
    unsealedBytes: 0,
    onTaken: (fn: () => void) => {
      taken = fn;
    },
  };
  const gate = new BatchGate(new BodyReader(200_000), ahead);
  let isRead = false;
  ahead.unsealedBytes = 8 * 1024 * 1024;
  const passed = gate.pass(producer(), 1000, async () => {
    isRead = true;
  });
  await new Promise(setImmediate);
  assert.deepEqual([isRead, gate.waiting], [false, 1]);
  ahead.unsealedBytes = 0;
  taken();
  await passed;
  assert.deepEqual([isRead, gate.waiting], [true, 0]);
});

test("however many large batches are sent at once, they are stored whole or refused with OVERLOADED, and nothing stays held", async (t) => {
  const prism = await startPrism(t, {
    settings: { "ingest.highWaterBytes": "2097152", "ingest.maxBodyBytes": "1048576" },
  });
  const line = `{"type":"a","payload":{"a":[${Array(3000).fill("{}").join(",")}]}}`;
  const lines = 50;
  const body = `${line}\n`.repeat(lines);
  const replies = await Promise.all(Array.from({ length: 16 }, () => post(prism, body, NDJSON)));
  const accepted = replies.filter(({ status }) => status === 202).length;
  for (const { status, body, headers } of replies.filter((reply) => reply.status !== 202)) {
    assert.deepEqual([status, body.error?.code], [503, "OVERLOADED"]);
    assert.ok(headers.get("retry-after"));
  }
  assert.ok(accepted > 0 && accepted < 16, `${accepted} of 16 were accepted`);
  assert.equal(countOf(prism, "events"), accepted * lines);
  await settled(prism);
  assert.equal((await post(prism, body, NDJSON)).status, 202, "and the next is taken");
});

test("a batch that is refused gives back what it held, and its Idempotency-Key", async (t) => {
  const prism = await startPrism(t);
  for (const row of [
    { body: '[{"type":"a"},', status: 400 },
    { body: '[{"type":""}]', status: 422 },
    { body: "[]", status: 400 },
    { body: '[{"type":"a"}]', status: 202 },
  ]) {
    const reply = await post(prism, row.body, { headers: { "Idempotency-Key": "k" } });
    assert.equal(reply.status, row.status, row.body);
    await settled(prism);
  }
});

test("a body of blank lines holds no event", async (t) => {
  const prism = await startPrism(t);
  const reply = await post(prism, "\n".repeat(4_000_000), NDJSON);
  assert.deepEqual([reply.status, reply.body.error?.code], [400, "VALIDATION_FAILED"]);
  assert.equal((await post(prism, `\n\n{"type":"a"}\n  \n`, NDJSON)).status, 202);
});

test("an event whose text is far longer than its payload may be is refused for its size; whitespace and escapes have room", async (t) => {
  const prism = await startPrism(t, { settings: { "ingest.maxEventBytes": "1024" } });
  const members = Array.from({ length: 80_000 }, (_, i) => `"m${i}":1`).join(",");
  const large = `{"type":"a",${members}}`;
  const alone = await post(prism, large);
  assert.deepEqual([alone.status, alone.body.error?.code], [413, "PAYLOAD_TOO_LARGE"]);
  // What is not JSON is not looked at either.
  assert.equal((await post(prism, `{"type":"a","payload":${"[".repeat(30_000)}`)).status, 413);
  const batch = await prism.post<{ results: { status: string; error?: { code: string } }[] }>(
    PATH,
    `[{"type":"a"},${large}]`,
  );
  const shown = batch.body.results.map(({ status, error }) => error?.code ?? status);
  assert.deepEqual(shown, ["accepted", "PAYLOAD_TOO_LARGE"]);
  const payload = Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`m${i}`, i]));
  const indented = JSON.stringify({ type: "a", payload }, null, 10);
  assert.equal((await post(prism, indented)).status, 202);
  const source = "\\ud83d\\ude00".repeat(100);
  assert.equal((await post(prism, `{"type":"a","source":"${source}","dedupeKey":"${source}"}`)).status, 202);
});

test("no more than 1000 unknown members are folded into a payload", async (t) => {
  const prism = await startPrism(t);
  const withMembers = (count: number) =>
    `{"type":"a",${Array.from({ length: count }, (_, i) => `"m${i}":${i}`).join(",")}}`;
  assert.equal((await post(prism, withMembers(1000))).status, 202);
  const refused = await post(prism, withMembers(1008));
  assert.deepEqual([refused.status, refused.body.error?.code], [400, "VALIDATION_FAILED"]);
  const batch = await prism.post<{ accepted: number; rejected: number }>(
    PATH,
    `[${withMembers(2)},${withMembers(100_000)}]`,
  );
  assert.deepEqual([batch.body.accepted, batch.body.rejected], [1, 1]);
});

test("an error names fifty problems at the most, and a name only in part, whatever was sent", async (t) => {
  const prism = await startPrism(t, { settings: { "ingest.lenient": "false" } });
  const many = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`unknown${i}`, i]));
  const long = "x".repeat(100_000);
  for (const row of [
    { path: PATH, body: { type: "a", ...many }, details: 50 },
    { path: PATH, body: Array.from({ length: 60 }, () => ({ type: "" })), details: 50 },
    { path: PATH, body: { type: "a", [long]: 1 }, details: 1 },
    { path: PATH, body: [{ type: "a", [long]: 1 }], details: 1 },
    { path: "/api/v1/rules", body: { name: "r", condition: "true", targetUsers: ["me"], ...many }, details: 50 },
    { path: "/api/v1/projects", body: { name: "p", [long]: 1 }, details: 1 },
  ]) {
    const { body, text } = await prism.post<Refused>(row.path, row.body);
    assert.equal(body.error?.details?.length, row.details, text.slice(0, 200));
    assert.ok(text.length < 20_000, `${text.length} characters`);
  }
});
