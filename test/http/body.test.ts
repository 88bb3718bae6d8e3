import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { PrismError } from "../../src/core/errors.ts";
import { type Route, route, undescribed } from "../../src/http/api/route.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { type BareKernel, ping, startBareKernel } from "./support/bare-kernel.ts";
import { errorCodeOf, exchangeRaw, RawConnection, requestText } from "./support/raw-connection.ts";

const JSON_FIELD = "Content-Type: application/json";
const CHUNKED = [JSON_FIELD, "Transfer-Encoding: chunked"];
const LIMIT = 1000;

/** Says how many bytes came. */
function measure(access: Route["access"] = "public"): Route {
  return route({
    method: "POST",
    path: "/measure",
    summary: "",
    tag: "test",
    access,
    body: v.any(),
    raw: { types: ["application/json"], gzip: false },
    maxBodyBytes: LIMIT,
    response: undescribed,
    handle: (_exchange, { body }) => ({
      bytes: (body as Buffer).length,
      text: (body as Buffer).toString().slice(0, 20),
    }),
  });
}

function chunked(...parts: readonly string[]): string {
  return [...parts, ""].map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join("");
}

async function nothingHeld({ bodies, kernel }: BareKernel): Promise<void> {
  await eventually("bodies and requests let go", () => bodies.bufferedBytes === 0 && kernel.requests.count === 0);
}

test("a body may be as large as its limit, however it arrives", async (t) => {
  const bare = startBareKernel(t, { routes: [measure()] });
  const full = "a".repeat(LIMIT);
  for (const row of [
    { name: "at once", pieces: [requestText("POST", "/measure", [JSON_FIELD], full)], bytes: LIMIT },
    {
      name: "after its head",
      pieces: [requestText("POST", "/measure", [JSON_FIELD, `Content-Length: ${LIMIT}`]), full],
      bytes: LIMIT,
    },
    {
      name: "in a hundred pieces",
      pieces: [
        requestText("POST", "/measure", [JSON_FIELD, `Content-Length: ${LIMIT}`]),
        ...Array.from({ length: 100 }, () => "a".repeat(LIMIT / 100)),
      ],
      bytes: LIMIT,
    },
    { name: "as one chunk", pieces: [requestText("POST", "/measure", CHUNKED, chunked(full))], bytes: LIMIT },
    {
      name: "in chunks of one byte",
      pieces: [requestText("POST", "/measure", CHUNKED, chunked(...Array.from({ length: LIMIT }, () => "a")))],
      bytes: LIMIT,
    },
    {
      name: "in chunks that are themselves cut",
      pieces: [
        requestText("POST", "/measure", CHUNKED, ""),
        "1",
        "0\r",
        "\na",
        "a".repeat(15),
        "\r\n",
        "0\r\n",
        "\r\n",
      ],
      bytes: 16,
    },
    { name: "as no chunk at all", pieces: [requestText("POST", "/measure", CHUNKED, chunked())], bytes: 2 },
    { name: "with a length of 00", pieces: [requestText("POST", "/measure", ["Content-Length: 00"])], bytes: 2 },
    { name: "not at all, which counts as {}", pieces: [requestText("POST", "/measure")], bytes: 2 },
  ]) {
    await t.test(row.name, async (t) => {
      const connection = await RawConnection.open(t, bare.port);
      for (const piece of row.pieces) await connection.sendAlone(piece);
      const reply = await connection.reply();
      assert.equal(reply.status, 200);
      assert.equal((JSON.parse(reply.body) as { bytes: number }).bytes, row.bytes);
      await nothingHeld(bare);
    });
  }
});

test("a body over its limit is answered 413 PAYLOAD_TOO_LARGE, and the connection closed", async (t) => {
  const bare = startBareKernel(t, { routes: [measure()] });
  const over = "a".repeat(LIMIT + 1);
  for (const row of [
    {
      name: "by a Content-Length of a terabyte",
      bytes: requestText("POST", "/measure", ["Content-Length: 1099511627776"]),
    },
    {
      name: "by a Content-Length over 32 MiB",
      bytes: requestText("POST", "/measure", [JSON_FIELD, `Content-Length: ${33_554_432 + 1}`]),
    },
    { name: "by its bytes, in one chunk", bytes: requestText("POST", "/measure", CHUNKED, chunked(over)) },
    {
      name: "by its bytes, in many chunks",
      bytes: requestText("POST", "/measure", CHUNKED, chunked(...Array.from({ length: 11 }, () => "a".repeat(100)))),
    },
    {
      name: "by its bytes, before the last chunk",
      bytes: requestText("POST", "/measure", CHUNKED, `${(LIMIT + 1).toString(16)}\r\n${over}\r\n`),
    },
  ]) {
    await t.test(row.name, async (t) => {
      const reply = await exchangeRaw(t, bare.port, row.bytes);
      assert.deepEqual([reply.status, errorCodeOf(reply)], [413, "PAYLOAD_TOO_LARGE"]);
      assert.equal(reply.headers.get("connection"), "close");
      await reply.connection.closed();
      await nothingHeld(bare);
    });
  }
});

test("F9: a 413 for a known length of up to 32 MiB leaves the connection open: the rest is read and dropped", async (t) => {
  const bare = startBareKernel(t, { routes: [measure()] });
  const connection = await RawConnection.open(t, bare.port);
  for (const bytes of [LIMIT + 1, 9_000_000]) {
    await connection.sendAlone(requestText("POST", "/measure", [JSON_FIELD, `Content-Length: ${bytes}`]));
    const reply = await connection.reply();
    assert.deepEqual([reply.status, errorCodeOf(reply)], [413, "PAYLOAD_TOO_LARGE"]);
    assert.equal(reply.headers.has("connection"), false);
    connection.send("a".repeat(bytes));
    connection.send(requestText("POST", "/measure", [JSON_FIELD], "{}"));
    assert.equal((await connection.reply()).status, 200);
    await nothingHeld(bare);
  }
});

test("a body in chunks of one byte costs about its bytes, not an object for each", async (t) => {
  const large = route({ ...measure(), maxBodyBytes: 1_000_000 });
  const bare = startBareKernel(t, { routes: [large] });
  const connection = await RawConnection.open(t, bare.port);
  await connection.sendAlone(requestText("POST", "/measure", CHUNKED, ""));
  const bytes = 100_000;
  await connection.sendAlone("1\r\na\r\n".repeat(bytes));
  await eventually("the bytes have arrived", () => bare.bodies.bufferedBytes >= bytes);
  assert.ok(bare.bodies.bufferedBytes <= 2 * bytes, `${bare.bodies.bufferedBytes} bytes are held`);
  connection.send("0\r\n\r\n");
  assert.equal((JSON.parse((await connection.reply()).body) as { bytes: number }).bytes, bytes);
  await nothingHeld(bare);
});

test("a body that stalls is answered 408 REQUEST_TIMEOUT, and the connection closed", async (t) => {
  const bare = startBareKernel(t, { routes: [measure()], bodyTimes: { stallMs: 50, tickMs: 5 } });
  for (const [name, pieces] of [
    ["before its first byte", [requestText("POST", "/measure", [JSON_FIELD, "Content-Length: 10"])]],
    ["in the middle", [requestText("POST", "/measure", [JSON_FIELD, "Content-Length: 10"]), "aaa"]],
    ["within a chunk", [requestText("POST", "/measure", CHUNKED, "a\r\naaa")]],
    ["behind a chunk", [requestText("POST", "/measure", CHUNKED, "3\r\naaa\r\n")]],
    [
      "in a chunk extension, which the library does not read",
      [requestText("POST", "/measure", CHUNKED, "3;a=b\r\naaa\r\n")],
    ],
  ] as const) {
    await t.test(name, async (t) => {
      const connection = await RawConnection.open(t, bare.port);
      for (const piece of pieces) await connection.sendAlone(piece);
      const reply = await connection.reply();
      assert.deepEqual([reply.status, errorCodeOf(reply)], [408, "REQUEST_TIMEOUT"]);
      assert.equal(reply.headers.get("connection"), "close");
      await connection.closed();
      await nothingHeld(bare);
    });
  }
});

test("a body that keeps coming does not stall", async (t) => {
  const large = route({ ...measure(), maxBodyBytes: 1_000_000 });
  const bare = startBareKernel(t, { routes: [large], bodyTimes: { stallMs: 200, tickMs: 5 } });
  let now = performance.now();
  t.mock.method(performance, "now", () => now);
  const connection = await RawConnection.open(t, bare.port);
  const bytes = 1_000_000;
  await connection.sendAlone(requestText("POST", "/measure", [JSON_FIELD, `Content-Length: ${bytes}`]));
  // Each piece is larger than all before it, so that the bytes held show that it has arrived.
  for (let sent = 0, size = 5000; sent < bytes; size *= 2) {
    now += 150;
    await setTimeout(20); // Some ticks.
    const held = bare.bodies.bufferedBytes;
    const piece = Math.min(size, bytes - sent);
    connection.send("a".repeat(piece));
    sent += piece;
    if (sent < bytes) await eventually(`${sent} bytes have come`, () => bare.bodies.bufferedBytes > held);
  }
  assert.equal((await connection.reply()).status, 200);
});

test("a client that disconnects during its body leaves nothing in memory", async (t) => {
  const bare = startBareKernel(t, { routes: [measure()] });
  const connection = await RawConnection.open(t, bare.port);
  await connection.sendAlone(requestText("POST", "/measure", [JSON_FIELD, "Content-Length: 500"], "a".repeat(300)));
  await eventually("the first bytes are held", () => bare.bodies.bufferedBytes > 0);
  connection.destroy();
  await nothingHeld(bare);
  assert.equal(bare.log.lines.at(-1)?.fields["status"], 0, "the log has status 0: the client was gone");
});

test("when all bodies together would be too many bytes the next is answered 503 OVERLOADED, until there is room", async (t) => {
  const bare = startBareKernel(t, { routes: [measure()], maxBufferedBytes: 1000 });
  const half = requestText("POST", "/measure", [JSON_FIELD, "Content-Length: 900"], "a".repeat(600));
  const first = await RawConnection.open(t, bare.port);
  await first.sendAlone(half);
  await eventually("the first is held", () => bare.bodies.bufferedBytes > 0);
  const second = await exchangeRaw(t, bare.port, half);
  assert.deepEqual([second.status, errorCodeOf(second)], [503, "OVERLOADED"]);
  assert.equal(second.headers.get("retry-after"), "1");
  first.send("a".repeat(300));
  assert.equal((await first.reply()).status, 200);
  assert.equal((await exchangeRaw(t, bare.port, requestText("POST", "/measure", [JSON_FIELD], "{}"))).status, 200);
  await nothingHeld(bare);
});

test("what arrives of a body after a refusal is not taken for a request", async (t) => {
  const bare = startBareKernel(t, {
    routes: [measure({}), ping],
    authenticate() {
      throw new PrismError("TOKEN_INVALID", "no");
    },
  });
  const request = requestText("POST", "/measure", [JSON_FIELD, "Authorization: Bearer x", "Content-Length: 900"]);
  const connection = await RawConnection.open(t, bare.port);
  connection.send(request + "a".repeat(600));
  assert.equal((await connection.reply()).status, 401);
  await nothingHeld(bare);
  connection.send("a".repeat(300) + requestText("GET", "/ping"));
  assert.equal((await connection.reply()).status, 200);
});

test("an unexpected body is dropped, and the next request on the connection is served", async (t) => {
  const bare = startBareKernel(t, { routes: [ping] });
  for (const [name, text] of [
    ["with GET", requestText("GET", "/ping", [], "a".repeat(100))],
    ["with an unknown path", requestText("POST", "/nothing", [JSON_FIELD], "a".repeat(100))],
    ["with OPTIONS", requestText("OPTIONS", "/ping", [], "a".repeat(100))],
  ] as const) {
    await t.test(name, async (t) => {
      const connection = await RawConnection.open(t, bare.port);
      connection.send(text);
      await connection.reply();
      connection.send(requestText("GET", "/ping"));
      assert.equal((await connection.reply()).status, 200);
      assert.equal(connection.unread, "");
    });
  }
});

test("of an event that was cut short nothing is stored", async (t) => {
  const prism = await startPrism(t);
  const { reader } = prism.parts.base.store;
  const count = () => reader.prepare<[], number>("select count(*) from events").pluck().get();
  const credential = `Authorization: Bearer ${prism.adminToken}`;
  const connection = await RawConnection.open(t, prism.app.port);
  await connection.sendAlone(
    requestText("POST", "/events", [JSON_FIELD, credential, "Content-Length: 30"], '{"type":"a"}'),
  );
  connection.destroy();
  await eventually("the request has ended", () => prism.parts.core.kernel.requests.count === 0);
  assert.equal(count(), 0);
  assert.equal((await prism.post("/events", { type: "a" })).status, 202);
  assert.equal(count(), 1);
});
