import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { BodyReader } from "../../src/http/body/body.ts";
import type { Exchange } from "../../src/http/server/exchange.ts";
import { startPrism } from "../helpers/prism.ts";
import { testUser } from "./support/bare-kernel.ts";
import { errorCodeOf, RawConnection } from "./support/raw-connection.ts";

const LIMIT = 1_048_576;
const FIRST_64_KIB = 65_536;

/** An event of about that many bytes that does not compress. */
function event(bytes: number): string {
  return JSON.stringify({ type: "noise", payload: { text: randomBytes(Math.ceil(bytes / 2)).toString("hex") } });
}

/** NDJSON of this many equal, well compressible lines. */
function lines(count: number): string {
  return `${JSON.stringify({ type: "same", payload: { text: "a".repeat(100) } })}\n`.repeat(count);
}

test("ingest takes one layer of gzip within its limits", async (t) => {
  const prism = await startPrism(t, { settings: { "ingest.maxBodyBytes": String(LIMIT) } });
  const { reader } = prism.parts.base.store;
  const stored = () => reader.prepare<[], number>("select count(*) from events").pluck().get() as number;
  const NDJSON = "application/x-ndjson";
  for (const row of [
    { name: "an event", body: gzipSync('{"type":"a"}'), status: 202 },
    { name: "an event at another level of compression", body: gzipSync('{"type":"a"}', { level: 1 }), status: 202 },
    { name: "lines", body: gzipSync(lines(10)), type: NDJSON, status: 202 },
    { name: "a large event that does not compress", body: gzipSync(event(200_000)), status: 202 },
    {
      name: "a ratio over 100:1 within the first 64 KiB",
      body: gzipSync(`{"type":"a","payload":{"text":"${" ".repeat(FIRST_64_KIB - 100)}"}}`),
      status: 202,
    },
    {
      name: "a ratio over 100:1 after them",
      body: gzipSync(`{"type":"a","payload":{"text":"${" ".repeat(FIRST_64_KIB * 3)}"}}`),
      status: 413,
      code: "PAYLOAD_TOO_LARGE",
    },
    {
      name: "more than the limit, at a modest ratio",
      body: gzipSync(
        `[${event(200_000)},${event(200_000)},${event(200_000)},${event(200_000)},${event(200_000)},${event(200_000)}]`,
      ),
      status: 413,
      code: "PAYLOAD_TOO_LARGE",
    },
    { name: "a bomb of a gigabyte", body: gzipBomb(), status: 413, code: "PAYLOAD_TOO_LARGE" },
    { name: "cut short", body: gzipSync('{"type":"a"}').subarray(0, -6), status: 400, code: "MALFORMED_JSON" },
    { name: "a header alone", body: gzipSync("").subarray(0, 10), status: 400, code: "MALFORMED_JSON" },
    { name: "a wrong checksum", body: withWrongChecksum('{"type":"a"}'), status: 400, code: "MALFORMED_JSON" },
    { name: "not gzip", body: Buffer.from('{"type":"a"}'), status: 400, code: "MALFORMED_JSON" },
    { name: "zlib", body: deflateSync('{"type":"a"}'), status: 400, code: "MALFORMED_JSON" },
    {
      name: "gzip and then something else",
      body: Buffer.concat([gzipSync('{"type":"a"}'), Buffer.from("more")]),
      status: 400,
      code: "MALFORMED_JSON",
    },
    {
      name: "two layers under one name",
      body: gzipSync(gzipSync('{"type":"a"}')),
      status: 400,
      code: "MALFORMED_JSON",
    },
    { name: "nothing inside", body: gzipSync(""), status: 400, code: "VALIDATION_FAILED" },
    {
      name: "no JSON in any encoding inside",
      body: gzipSync(Buffer.from([0x7b, 0xff, 0x7d])),
      status: 400,
      code: "MALFORMED_JSON",
    },
  ]) {
    await t.test(row.name, async () => {
      const before = stored();
      const headers = { "Content-Encoding": "gzip", "Content-Type": row.type ?? "application/json" };
      const reply = await prism.post<{ error?: { code: string } }>("/events", row.body, { headers });
      assert.deepEqual([reply.status, reply.body.error?.code], [row.status, row.code]);
      assert.equal(stored() > before, row.status === 202, "a refused body stores nothing");
    });
  }
});

test("another content encoding, two layers, or one where none is taken, is answered 415 with Accept-Encoding: gzip", async (t) => {
  const prism = await startPrism(t);
  for (const [name, path, encoding] of [
    ["two layers", "/events", "gzip, gzip"],
    ["deflate", "/events", "deflate"],
    ["br", "/events", "br"],
    ["identity", "/events", "identity"],
    ["on a route that is not ingest", "/api/v1/rules", "gzip"],
  ] as const) {
    await t.test(name, async () => {
      const headers = { "Content-Encoding": encoding };
      const reply = await prism.post<{ error: { code: string } }>(path, gzipSync('{"type":"a"}'), { headers });
      assert.deepEqual([reply.status, reply.body.error.code], [415, "UNSUPPORTED_MEDIA_TYPE"]);
      assert.equal(reply.headers.get("accept-encoding"), "gzip");
    });
  }
  await t.test("two layers in two fields", async (t) => {
    const body = gzipSync(gzipSync('{"type":"a"}'));
    const connection = await RawConnection.open(t, prism.app.port);
    const head = [
      "POST /events HTTP/1.1",
      "Host: localhost",
      `Authorization: Bearer ${prism.adminToken}`,
      "Content-Type: application/json",
      "Content-Encoding: gzip",
      "Content-Encoding: gzip",
      `Content-Length: ${body.length}`,
    ].join("\r\n");
    connection.send(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body]));
    const reply = await connection.reply();
    assert.deepEqual([reply.status, errorCodeOf(reply)], [415, "UNSUPPORTED_MEDIA_TYPE"]);
  });
});

test("what inflates counts among the bytes of all bodies, and is let go when it is done", async () => {
  const bodies = new BodyReader(200_000);
  const exchange = { principal: testUser(), signerKey: null } as unknown as Exchange;
  const text = randomBytes(60_000);
  const inflate = () => bodies.inflate(exchange, gzipSync(text), LIMIT);
  const release = bodies.hold(exchange, text.length);
  await assert.rejects(inflate(), { code: "OVERLOADED" });
  assert.equal(bodies.bufferedBytes, text.length);
  release();
  assert.deepEqual(await inflate(), text, "alone there is room for it");
  assert.equal(bodies.bufferedBytes, 0);
});

function withWrongChecksum(text: string): Buffer {
  const bytes = gzipSync(text);
  const at = bytes.length - 8;
  bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
}

/** A gigabyte of spaces; the members of a gzip file follow one another. */
function gzipBomb(): Buffer {
  const member = gzipSync(Buffer.alloc(16 * 1_048_576, " "));
  return Buffer.concat(Array.from({ length: 64 }, () => member));
}
