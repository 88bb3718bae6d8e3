import assert from "node:assert/strict";
import { request } from "node:http";
import test from "node:test";
import * as v from "valibot";
import { type Route, route, undescribed } from "../../src/http/api/route.ts";
import { startPrism } from "../helpers/prism.ts";
import { countOf } from "../helpers/tables.ts";
import { startBareKernel } from "./support/bare-kernel.ts";
import { errorCodeOf, exchangeRaw, RawConnection, requestText } from "./support/raw-connection.ts";

const CHUNKED = ["Content-Type: application/json", "Transfer-Encoding: chunked"];
const shared = { summary: "", tag: "test", access: "public" } as const;

function routes(seen: string[]): Route[] {
  return [
    route({
      ...shared,
      method: "POST",
      path: "/echo",
      body: v.any(),
      handle(_exchange, { body }) {
        seen.push("/echo");
        return body;
      },
    }),
    route({
      ...shared,
      method: "GET",
      path: "/hidden",
      response: undescribed,
      handle() {
        seen.push("/hidden");
        return "hidden";
      },
    }),
  ];
}

test("nothing that follows a chunked body on its connection becomes a request", async (t) => {
  const smuggled = requestText("GET", "/hidden", ["X-Request-Id: smuggled"]);
  // By RFC 9112 a last chunk with an extension, and a second request with the body `smuggled`. The
  // library reads a chunk of 186 bytes.
  const second = requestText("POST", "/echo", ["X-Pad: "], undefined);
  const fill = "x".repeat(Math.max(0, 186 - second.length));
  for (const [name, bytes] of [
    ["a request in the same packet", `${requestText("POST", "/echo", CHUNKED, "2\r\n{}\r\n0\r\n\r\n")}${smuggled}`],
    [
      "a last chunk with an extension",
      `${requestText("POST", "/echo", CHUNKED, "0;a\r\n\r\n")}${second}${fill}\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      "a chunk whose size has an extension",
      requestText("POST", "/echo", CHUNKED, `2;\r\n{}${"x".repeat(41)}\r\n0\r\n\r\n${smuggled}`),
    ],
    ["line ends of one byte", `${requestText("POST", "/echo", CHUNKED, "2\n{}\n0\n\n")}${smuggled}`],
  ] as const) {
    await t.test(name, async (t) => {
      const seen: string[] = [];
      const { port } = startBareKernel(t, { routes: routes(seen) });
      const connection = await RawConnection.open(t, port);
      connection.send(bytes);
      connection.endWriting();
      await connection.closed();
      assert.ok(!seen.includes("/hidden"), `handled ${seen.join(", ")}`);
      assert.ok(!connection.unread.includes("smuggled"));
    });
  }
});

test("nothing that comes after the answer to a chunked request is answered", async (t) => {
  const seen: string[] = [];
  const { port } = startBareKernel(t, { routes: routes(seen) });
  const connection = await RawConnection.open(t, port);
  connection.send(requestText("POST", "/echo", CHUNKED, "2\r\n{}\r\n0\r\n\r\n"));
  const reply = await connection.reply();
  assert.deepEqual([reply.status, reply.body, reply.headers.get("connection")], [200, "{}", "close"]);
  connection.send(requestText("GET", "/hidden"));
  await connection.closed();
  assert.deepEqual(seen, ["/echo"]);
});

test("clients that stream their body are served, one connection for each request", async (t) => {
  const prism = await startPrism(t);
  const headers = { Authorization: `Bearer ${prism.adminToken}`, "Content-Type": "application/x-ndjson" };
  const url = `${prism.url}/api/v1/events`;
  for (let i = 0; i < 3; i++) {
    const body = new Blob([`{"type":"a"}\n`, `{"type":"b"}\n`]).stream();
    const reply = await fetch(url, { method: "POST", headers, body, duplex: "half" } as RequestInit);
    assert.deepEqual([reply.status, ((await reply.json()) as { accepted: number }).accepted], [202, 2]);
  }
  const status = await new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers }, (reply) => resolve(reply.resume().statusCode));
    sent.on("error", reject);
    sent.write(`{"type":"a"}\n`);
    sent.end(`{"type":"b"}\n`);
  });
  assert.equal(status, 202);
});

test("a chunked body that announces trailers is answered 411, and stores nothing", async (t) => {
  const prism = await startPrism(t);
  const head = [`Authorization: Bearer ${prism.adminToken}`, "Content-Type: application/json"];
  const body = 'c\r\n{"type":"a"}\r\n0\r\nX-Checksum: 1\r\n\r\n';
  for (const fields of [
    ["Transfer-Encoding: chunked", "Trailer: X-Checksum"],
    ["trailer: X-Checksum", "transfer-encoding: chunked"],
  ]) {
    const reply = await exchangeRaw(t, prism.app.port, requestText("POST", "/events", [...head, ...fields], body));
    assert.deepEqual([reply.status, errorCodeOf(reply)], [411, "LENGTH_REQUIRED"]);
    await reply.connection.closed();
  }
  assert.equal(countOf(prism, "events where type = 'a'"), 0);
});

test("chunked bodies are answered 411 where the settings refuse them, and of methods without a body", async (t) => {
  const seen: string[] = [];
  for (const [acceptsChunked, method, path] of [
    [false, "POST", "/echo"],
    [true, "GET", "/hidden"],
  ] as const) {
    const { port } = startBareKernel(t, { routes: routes(seen), acceptsChunked });
    const reply = await exchangeRaw(t, port, requestText(method, path, CHUNKED, "2\r\n{}\r\n0\r\n\r\n"));
    assert.deepEqual([reply.status, errorCodeOf(reply)], [411, "LENGTH_REQUIRED"]);
    await reply.connection.closed();
  }
  assert.deepEqual(seen, []);
});
