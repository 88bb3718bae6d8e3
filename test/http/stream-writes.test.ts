import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import assert from "node:assert/strict";
import { connect } from "node:net";
import test from "node:test";
import fc from "fast-check";
import { streamReply } from "../../src/http/api/replies.ts";
import { route, undescribed } from "../../src/http/api/route.ts";
import { Exchange } from "../../src/http/server/exchange.ts";
import { eventually } from "../helpers/eventually.ts";
import { startBareKernel } from "./support/bare-kernel.ts";

/** What uWebSockets collects between two calls into the kernel. */
const CORK_BUFFER_BYTES = 16_384;
/** CRLF, the length in hexadecimal digits, CRLF. */
const CHUNK_HEAD_BYTES = 2 + 8 + 2;

const request = {
  getCaseSensitiveMethod: () => "GET",
  getUrl: () => "/",
  getQuery: () => "",
  forEach: () => undefined,
} as unknown as HttpRequest;

/** Takes writes as uWebSockets does, and keeps what each cork held. */
function recorder(isTaken: (write: number) => boolean = () => true): { res: HttpResponse; corks: Buffer[][] } {
  const corks: Buffer[][] = [];
  let writes = 0;
  const res = {
    cork(fill: () => void) {
      corks.push([]);
      fill();
    },
    write(part: string | Uint8Array) {
      corks.at(-1)?.push(Buffer.from(part as Uint8Array));
      return isTaken(++writes);
    },
  } as unknown as HttpResponse;
  return { res, corks };
}

function exchangeOf(res: HttpResponse): Exchange {
  return Exchange.read(
    res,
    request,
    () => "127.0.0.1",
    () => undefined,
  );
}

test("each chunk of a streamed body fits the cork buffer of uWebSockets, which loses what does not while the socket is full", () => {
  const texts = fc.tuple(fc.integer({ min: 1, max: 70_000 }), fc.constantFrom("x", "é", "道", "🜂"));
  fc.assert(
    fc.property(texts, fc.boolean(), ([length, letter], isText) => {
      const text = letter.repeat(Math.ceil(length / letter.length));
      const { res, corks } = recorder();
      exchangeOf(res).write(isText ? text : Buffer.from(text));
      for (const cork of corks) {
        assert.equal(cork.length, 1);
        assert.ok(Buffer.concat(cork).length + CHUNK_HEAD_BYTES <= CORK_BUFFER_BYTES);
      }
      assert.equal(Buffer.concat(corks.flat()).toString(), text);
    }),
    { numRuns: 50 },
  );
});

test("what goes out in parts is taken when the last one is: the library writes what it holds before anything new", () => {
  const text = "x".repeat(40_000);
  assert.equal(exchangeOf(recorder((write) => write < 3).res).write(text), false);
  assert.equal(exchangeOf(recorder((write) => write !== 2).res).write(text), true);
});

test("a handler that is done at once may answer with a large body, and the connection stays usable", async (t) => {
  const body = { text: "x".repeat(200_000) };
  const large = route({
    method: "GET",
    path: "/large",
    summary: "s",
    tag: "t",
    access: "public",
    response: undescribed,
    handle: () => body,
  });
  const { port, kernel } = startBareKernel(t, { routes: [large] });
  for (let i = 0; i < 3; i++)
    assert.deepEqual(await (await fetch(`http://127.0.0.1:${port}/large`)).json(), body, String(i));
  await kernel.requests.drain();
});

test("a stream of parts that are all there goes on each time that its slow reader has read", async (t) => {
  const parts = 6;
  async function* source() {
    for (let i = 0; i < parts; i++) yield "x".repeat(4_000_000);
  }
  const access = "public" as const;
  const stream = route({
    ...{ method: "GET", path: "/stream", summary: "s", tag: "t", access },
    handle: (exchange) => streamReply(exchange, { contentType: "text/plain" }, source()),
  });
  const { port } = startBareKernel(t, { routes: [stream] });
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  let received = 0;
  let end = "";
  socket.on("data", (data: Buffer) => {
    received += data.length;
    end = (end + data.toString("latin1")).slice(-5);
    // The server's socket fills up again and again.
    socket.pause();
    setImmediate(() => socket.resume());
  });
  socket.write("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  await eventually("the last chunk arrives", () => end === "0\r\n\r\n");
  assert.ok(received > parts * 4_000_000);
});
