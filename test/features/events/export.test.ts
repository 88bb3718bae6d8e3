import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { eventually } from "../../helpers/eventually.ts";
import { makeProject } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/events/export";

test("an export holds every event that passes the filters, oldest first, one per line", async (t) => {
  const prism = await startPrism(t);
  const events = Array.from({ length: 2300 }, (_, i) => ({ type: i % 2 ? "a.odd" : "a.even", payload: { i } }));
  await prism.post("/api/v1/events", events);
  const { headers, text } = await prism.get(PATH);
  assert.equal(headers.get("content-type"), "application/x-ndjson");
  assert.equal(headers.get("content-disposition"), 'attachment; filename="events.ndjson"');
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { seq: number; payload: { i: number } });
  assert.deepEqual(
    lines.map(({ payload }) => payload.i),
    events.map((_, i) => i),
  );
  const odd = await prism.get(`${PATH}?type=a.odd&afterSeq=100`);
  assert.equal(odd.text.trimEnd().split("\n").length, 1100);
  const one = await prism.get<{ data: unknown[] }>("/api/v1/events?limit=1");
  assert.deepEqual(lines.at(-1), one.body.data[0], "a line is the event as the list shows it");
});

test("an export in CSV has a header row, quotes what needs it, and disarms formulas", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/events", {
    type: "a",
    source: '=cmd|"x", y',
    dedupeKey: "-1",
    payload: { text: 'a "quoted", text', n: 1.5 },
    occurredAt: "2026-01-02T03:04:05Z",
  });
  const { headers, text } = await prism.get(`${PATH}?format=csv`);
  assert.equal(headers.get("content-type"), "text/csv; charset=utf-8");
  assert.equal(headers.get("content-disposition"), 'attachment; filename="events.csv"');
  const [head, row, rest] = text.split("\r\n");
  assert.equal(
    head,
    "seq,id,projectId,type,level,source,dedupeKey,occurredAt,receivedAt,processedAt,correlationId,payload",
  );
  assert.match(row ?? "", /,a,info,"'=cmd\|""x"", y",'-1,2026-01-02T03:04:05\.000Z,/);
  assert.ok(row?.endsWith('"{""text"":""a \\""quoted\\"", text"",""n"":1.5}"'));
  assert.equal(rest, "");
});

test("an export of nothing is an empty file; in CSV it still has its header", async (t) => {
  const prism = await startPrism(t);
  assert.equal((await prism.get(PATH)).text, "");
  assert.equal((await prism.get(`${PATH}?format=csv`)).text.split("\r\n").length, 2);
});

test("an export is sent in gzip to who accepts it", async (t) => {
  const prism = await startPrism(t);
  await prism.post(
    "/api/v1/events",
    Array.from({ length: 1500 }, (_, i) => ({ type: "a", payload: { i } })),
  );
  const socket = connect(prism.app.port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.write(
    `GET ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${prism.adminToken}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n`,
  );
  const whole = await eventually("the answer has come", () => {
    const answer = Buffer.concat(chunks);
    return answer.subarray(-5).toString() === "0\r\n\r\n" ? answer : undefined;
  });
  socket.destroy();
  const split = whole.indexOf("\r\n\r\n");
  assert.match(whole.subarray(0, split).toString().toLowerCase(), /content-encoding: gzip/);
  const lines = gunzipSync(dechunk(whole.subarray(split + 4)))
    .toString()
    .trimEnd()
    .split("\n");
  assert.equal(lines.length, 1500);
});

test("a client that disconnects during an export ends it; the server keeps running", async (t) => {
  const prism = await startPrism(t);
  const text = "x".repeat(5000);
  for (let n = 0; n < 4; n++)
    await prism.post(
      "/api/v1/events",
      Array.from({ length: 1000 }, () => ({ type: "a", payload: { text } })),
    );
  for (const encoding of ["identity", "gzip"]) {
    const socket = connect(prism.app.port, "127.0.0.1");
    socket.write(
      `GET ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${prism.adminToken}\r\nAccept-Encoding: ${encoding}\r\n\r\n`,
    );
    await once(socket, "data");
    socket.destroy();
    await eventually("the export has ended", () => prism.parts.core.kernel.requests.count === 0);
  }
  assert.equal((await prism.get("/api/v1/events?limit=1")).status, 200);
});

test("an export needs events:read in the project, and refuses a page", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const writer = await prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, { scopes: ["events:write"] });
  for (const { query, caller, status } of [
    { query: "", caller: { token: null }, status: 401 },
    { query: "", caller: { apiKey: writer.body.key }, status: 403 },
    { query: "?projectId=default", caller: { apiKey: shop.apiKey }, status: 404 },
    { query: "", caller: { apiKey: shop.apiKey }, status: 200 },
    { query: "?format=xml", caller: {}, status: 400 },
    { query: "?limit=10", caller: {}, status: 400 },
  ])
    assert.equal((await prism.get(PATH + query, caller)).status, status, `${query} ${JSON.stringify(caller)}`);
});

function dechunk(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.subarray(at, end).toString(), 16);
    if (size === 0) return Buffer.concat(parts);
    parts.push(body.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
