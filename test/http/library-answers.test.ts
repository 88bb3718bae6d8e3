import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import * as v from "valibot";
import { route, undescribed } from "../../src/http/api/route.ts";
import { object } from "../../src/http/api/shapes.ts";
import { uWS } from "../../src/http/server/uws.ts";
import { type BareKernel, ping, startBareKernel } from "./support/bare-kernel.ts";
import { errorCodeOf, exchangeRaw, RawConnection, type RawReply, requestText } from "./support/raw-connection.ts";

/**
 * The head of a request is read by uWebSockets before anything of ours is asked. What it answers by
 * itself, what it lets through and what it leaves unanswered is pinned here: the kernel is built
 * upon it (contract 12.5).
 */

const SILENCE_LIMIT_MS = 100_000;

function start(t: TestContext): BareKernel {
  const echo = route({
    method: "POST",
    path: "/echo",
    summary: "",
    tag: "test",
    access: "public",
    body: object({ a: v.optional(v.number()) }),
    response: undescribed,
    handle: (_exchange, { body }) => ({ body }),
  });
  return startBareKernel(t, { routes: [ping, echo] });
}

/** `scripts/adapt-uws.mjs` has replaced the library's pages by these bodies. */
function isFromLibrary(reply: RawReply, code: string): boolean {
  assert.equal(errorCodeOf(reply), code);
  return !reply.headers.has("x-request-id") && /^close/.test(reply.headers.get("connection") ?? "");
}

test("what is not HTTP/1.1 is answered 426 by the library, and the connection closed", async (t) => {
  const { port } = start(t);
  for (const [name, bytes] of [
    ["HTTP/1.0", "GET /ping HTTP/1.0\r\nHost: x\r\n\r\n"],
    ["HTTP/2.0", "GET /ping HTTP/2.0\r\nHost: x\r\n\r\n"],
    ["the start of TLS", Buffer.from("160301020001000001fc0303", "hex")],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["words", "hello world\r\n\r\n"],
    ["bare line feeds", "GET /ping HTTP/1.1\nHost: x\n\n"],
    ["an absolute target", "GET http://localhost/ping HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["an asterisk target", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["an authority target", "CONNECT localhost:443 HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a target without a slash", "GET ping HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a tab in the target", "GET /pi\tng HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a NUL in the target", "GET /pi\0ng HTTP/1.1\r\nHost: x\r\n\r\n"],
  ] as const) {
    await t.test(name, async (t) => {
      const reply = await exchangeRaw(t, port, bytes);
      assert.equal(reply.status, 426);
      assert.equal(reply.headers.get("upgrade"), "HTTP/1.1");
      assert.ok(isFromLibrary(reply, "UPGRADE_REQUIRED"));
      await reply.connection.closed();
    });
  }
});

test("a body whose length cannot be known is answered 400 by the library, and the connection closed", async (t) => {
  const { port } = start(t);
  for (const [name, headers, body] of [
    ["a list of lengths", ["Content-Length: 2, 2"], "{}"],
    ["a plus sign", ["Content-Length: +2"], "{}"],
    ["a negative length", ["Content-Length: -2"], "{}"],
    ["a hexadecimal length", ["Content-Length: 0x2"], "{}"],
    ["a length beyond any", [`Content-Length: ${"9".repeat(30)}`], "{}"],
    [
      "Content-Length with Transfer-Encoding",
      ["Content-Length: 2", "Transfer-Encoding: chunked"],
      "2\r\n{}\r\n0\r\n\r\n",
    ],
  ] as const) {
    await t.test(name, async (t) => {
      const reply = await exchangeRaw(t, port, requestText("POST", "/echo", headers, body));
      assert.equal(reply.status, 400);
      assert.ok(isFromLibrary(reply, "VALIDATION_FAILED"));
      await reply.connection.closed();
    });
  }
});

test("an invalid chunk size ends the connection with the library's 400", async (t) => {
  const { port } = start(t);
  const reply = await exchangeRaw(
    t,
    port,
    requestText(
      "POST",
      "/echo",
      ["Content-Type: application/json", "Transfer-Encoding: chunked"],
      "zz\r\n{}\r\n0\r\n\r\n",
    ),
  );
  assert.deepEqual([reply.status, isFromLibrary(reply, "VALIDATION_FAILED")], [400, true]);
  await reply.connection.closed();
});

test("a head that is not as HTTP wants it is answered 400 by the library, and the connection closed", async (t) => {
  const { port } = start(t);
  for (const [name, bytes] of [
    ["no Host", "GET /ping HTTP/1.1\r\nX-A: a\r\n\r\n"],
    ["two hosts", requestText("GET", "/ping", ["Host: elsewhere"])],
    ["no field at all", "GET /ping HTTP/1.1\r\n\r\n"],
    ["a field without a colon", requestText("GET", "/ping", ["nonsense"])],
    ["a space before the colon", requestText("GET", "/ping", ["X-A : a"])],
    ["a folded field", requestText("GET", "/ping", ["X-A: a\r\n b"])],
    ["a NUL in a value", requestText("GET", "/ping", ["X-A: a\0b"])],
    ["a line feed in a value", requestText("GET", "/ping", ["X-A: a\nX-B: b"])],
  ] as const) {
    await t.test(name, async (t) => {
      const reply = await exchangeRaw(t, port, bytes);
      assert.deepEqual([reply.status, isFromLibrary(reply, "VALIDATION_FAILED")], [400, true]);
      await reply.connection.closed();
    });
  }
});

const JSON_FIELD = "Content-Type: application/json";

/** Heads with two readings. The body is empty by one of them. */
const AMBIGUOUS_HEADS = [
  ["Content-Length twice, equal", ["Content-Length: 0", "Content-Length: 0"]],
  ["Content-Length twice, different", ["Content-Length: 0", "Content-Length: 44"]],
  ["an empty Content-Length", ["Content-Length:"]],
  ["an empty Transfer-Encoding", ["Transfer-Encoding:"]],
] as const;

/** The library takes any coding for `chunked`. */
const FOREIGN_CODINGS = ["gzip", "xchunked", "gzip, chunked", "chunked, chunked", "identity, chunked"];

test("a head that can be read in two ways is answered 400, and the connection closed", async (t) => {
  const { port } = start(t);
  const rows = [
    ...AMBIGUOUS_HEADS.map(([name, headers]) => ({ name, headers: [...headers], body: "" })),
    ...FOREIGN_CODINGS.map((coding) => ({
      name: `Transfer-Encoding: ${coding}`,
      headers: [`Transfer-Encoding: ${coding}`],
      body: "2\r\n{}\r\n0\r\n\r\n",
    })),
    {
      name: "Transfer-Encoding twice",
      headers: ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
      body: "2\r\n{}\r\n0\r\n\r\n",
    },
  ];
  for (const { name, headers, body } of rows) {
    await t.test(name, async (t) => {
      const reply = await exchangeRaw(t, port, requestText("POST", "/echo", [JSON_FIELD, ...headers], body));
      assert.deepEqual([reply.status, errorCodeOf(reply)], [400, "VALIDATION_FAILED"]);
      assert.equal(reply.headers.get("connection"), "close");
      assert.ok(reply.headers.has("x-request-id"));
      await reply.connection.closed();
    });
  }
});

test("what follows such a head on the connection is never taken for a request", async (t) => {
  let served = 0;
  const secret = route({
    method: "GET",
    path: "/secret",
    summary: "",
    tag: "test",
    access: "public",
    response: undescribed,
    handle: () => ({ served: ++served }),
  });
  const { port } = startBareKernel(t, { routes: [secret] });
  const smuggled = requestText("GET", "/secret");
  const rows = [
    ...AMBIGUOUS_HEADS.map(([name, headers]) => ({ name, headers: [...headers], body: smuggled })),
    { name: "Transfer-Encoding: gzip", headers: ["Transfer-Encoding: gzip"], body: `0\r\n\r\n${smuggled}` },
  ];
  for (const { name, headers, body } of rows) {
    await t.test(name, async (t) => {
      const connection = await RawConnection.open(t, port);
      connection.send(requestText("POST", "/secret", headers, body));
      await connection.closed();
      assert.equal(served, 0);
    });
  }
});

test("S2-100: a URL over 8 KiB is answered 414, a head over 16 KiB 431", async (t) => {
  const { port } = start(t);
  const field = (bytes: number): string => `X-Filler: ${"a".repeat(bytes)}`;
  for (const row of [
    { name: "a path of 8 KiB", text: requestText("GET", `/${"a".repeat(8191)}`), status: 404, code: "NOT_FOUND" },
    { name: "one byte more", text: requestText("GET", `/${"a".repeat(8192)}`), status: 414, code: "URI_TOO_LONG" },
    { name: "a long query", text: requestText("GET", `/ping?${"a".repeat(8188)}`), status: 414, code: "URI_TOO_LONG" },
    { name: "fields of 15 KiB", text: requestText("GET", "/ping", [field(15_000)]), status: 200, code: undefined },
    {
      name: "fields of 17 KiB, which the library lets through when they come at once",
      text: requestText("GET", "/ping", [field(17_000)]),
      status: 431,
      code: "HEADERS_TOO_LARGE",
    },
    {
      name: "many small fields of 17 KiB together",
      text: requestText(
        "GET",
        "/ping",
        Array.from({ length: 40 }, () => field(420)),
      ),
      status: 431,
      code: "HEADERS_TOO_LARGE",
    },
  ]) {
    await t.test(row.name, async (t) => {
      const reply = await exchangeRaw(t, port, row.text);
      assert.equal(reply.status, row.status);
      if (row.code) assert.equal(errorCodeOf(reply), row.code);
    });
  }
  await t.test("a head that comes in pieces is measured by the library: 431, closed", async (t) => {
    const connection = await RawConnection.open(t, port);
    await connection.sendAlone(`GET /ping HTTP/1.1\r\nHost: x\r\n${field(9000)}`);
    await connection.sendAlone("a".repeat(9000));
    const reply = await connection.reply();
    assert.deepEqual([reply.status, isFromLibrary(reply, "HEADERS_TOO_LARGE")], [431, true]);
    await connection.closed();
  });
});

test("a head that comes byte by byte is one request", async (t) => {
  const { port } = start(t);
  const connection = await RawConnection.open(t, port);
  for (const byte of requestText("GET", "/ping", ["X-Request-Id: slow"])) await connection.sendAlone(byte);
  assert.equal((await connection.reply()).headers.get("x-request-id"), "slow");
});

test("Expect: 100-continue is answered by the library before the body", async (t) => {
  const { port } = start(t);
  const connection = await RawConnection.open(t, port);
  const headers = ["Content-Type: application/json", "Expect: 100-continue", "Content-Length: 7"];
  await connection.sendAlone(requestText("POST", "/echo", headers));
  assert.equal((await connection.reply()).status, 100);
  connection.send('{"a":1}');
  assert.deepEqual(JSON.parse((await connection.reply()).body), { body: { a: 1 } });
});

test("Connection: close is obeyed after the answer, which says so once", async (t) => {
  const { port } = start(t);
  const large = `{"a":"${"x".repeat(70_000)}"}`;
  const head = ["Connection: close", "Content-Type: application/json"];
  for (const [request, status] of [
    [requestText("GET", "/ping", ["Connection: close"]), 200],
    [requestText("HEAD", "/ping", ["Connection: close"]), 200],
    [requestText("GET", "/none", ["Connection: close"]), 404],
    [requestText("POST", "/echo", [...head, "Transfer-Encoding: chunked"], "2\r\n{}\r\n0\r\n\r\n"), 200],
    [requestText("POST", "/echo", [...head, `Content-Length: ${large.length}`], large), 413],
  ] as const) {
    const reply = await exchangeRaw(t, port, request, request.slice(0, request.indexOf(" ")));
    assert.deepEqual([reply.status, reply.headers.get("connection")], [status, "close"], request.slice(0, 100));
    await reply.connection.closed();
  }
});

test("98 header fields are served, 99 answered 431 by the library", async (t) => {
  const { port } = start(t);
  assert.equal((await exchangeRaw(t, port, requestText("GET", "/ping", numberedFields(98)))).status, 200);
  const reply = await exchangeRaw(t, port, requestText("GET", "/ping", numberedFields(99)));
  assert.deepEqual([reply.status, isFromLibrary(reply, "HEADERS_TOO_LARGE")], [431, true]);
  await reply.connection.closed();
});

// Together, since each takes the library's whole idle time.
test("what the library takes for the start of a head it waits for, and closes without an answer", {
  concurrency: true,
}, async (t) => {
  const { port } = start(t);
  const rows: [string, string][] = [
    ["no version", "GET /ping\r\nHost: x\r\n\r\n"],
    ["an empty line first", "\r\nGET /ping HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a carriage return in a value", requestText("GET", "/ping", ["X-A: a\rb"])],
    ["half a head", "GET /ping HTTP/1.1\r\nHost: x\r\n"],
    ["nothing", ""],
  ];
  const silences = rows.map(([name, bytes]) =>
    t.test(name, async (t) => {
      const connection = await RawConnection.open(t, port);
      connection.send(bytes);
      await connection.closed(SILENCE_LIMIT_MS);
      assert.equal(connection.unread, "");
    }),
  );
  await Promise.all(silences);
});

/** This many fields, including `Host`. */
function numberedFields(count: number): string[] {
  return Array.from({ length: count - 1 }, (_, n) => `X-${n}: a`);
}

test("S2-90: no answer names the library: `_cfg('silent')` holds", async (t) => {
  const { port } = start(t);
  const reply = await exchangeRaw(t, port, requestText("GET", "/ping"));
  for (const name of ["server", "uwebsockets", "x-powered-by"]) assert.equal(reply.headers.has(name), false, name);
  // The option is undocumented: where it has gone, the header is back.
  assert.equal(typeof (uWS as unknown as Record<string, unknown>)["_cfg"], "function");
});

test("a field without a name is answered, but it ends the fields that are seen", async (t) => {
  const { port } = startBareKernel(t, {
    routes: [
      route({
        method: "GET",
        path: "/names",
        summary: "",
        tag: "test",
        access: "public",
        response: undescribed,
        handle: (exchange) => exchange.headerNames(),
      }),
    ],
  });
  const reply = await exchangeRaw(t, port, "GET /names HTTP/1.1\r\nHost: x\r\n: v\r\nX-After: 1\r\n\r\n");
  assert.deepEqual([reply.status, JSON.parse(reply.body)], [200, ["host"]]);
});

test("a header's value keeps bytes from 0x80 on at its ends; white space goes", async (t) => {
  const show = route({
    method: "GET",
    path: "/show",
    summary: "",
    tag: "test",
    access: "public",
    response: undescribed,
    handle: (exchange) => ({ value: exchange.header("x-value") }),
  });
  const { port } = startBareKernel(t, { routes: [show] });
  for (const [sent, shown] of [
    ["Übung", "Übung"],
    [" \t 磁盘已满 \t", "磁盘已满"],
    ["à", "à"],
    ["é x é", "é x é"],
    ["   ", ""],
  ] as const) {
    const { body } = await exchangeRaw(
      t,
      port,
      Buffer.from(`GET /show HTTP/1.1\r\nHost: x\r\nX-Value: ${sent}\r\n\r\n`),
    );
    const { value } = JSON.parse(body) as { value: string };
    // As UTF-8, or each byte as a character.
    assert.ok([value, Buffer.from(value, "latin1").toString()].includes(shown), value);
  }
});
