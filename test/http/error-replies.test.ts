import assert from "node:assert/strict";
import test from "node:test";
import { PrismError } from "../../src/core/errors.ts";
import { streamReply } from "../../src/http/api/replies.ts";
import { ANSWERS_LATER, type Route, route, undescribed } from "../../src/http/api/route.ts";
import { eventually } from "../helpers/eventually.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { startBareKernel } from "./support/bare-kernel.ts";
import { errorCodeOf, exchangeRaw, RawConnection, requestText } from "./support/raw-connection.ts";

const SECRET_WORDS = "SQLITE_ERROR: no such column in /var/lib/prism/prism.db";

function answering(path: string, handle: Route["handle"]): Route {
  return route({ method: "GET", path, summary: "", tag: "test", access: "public", response: undescribed, handle });
}

test("S2-98, S3-08: a handler that fails is answered 500 INTERNAL without its words; the log has them with the request id", async (t) => {
  keepsPromise(t, ["S2-98", "S3-08"]);
  const { port, log } = startBareKernel(t, {
    routes: [
      answering("/throws", () => {
        throw new Error(SECRET_WORDS);
      }),
      answering("/rejects", async () => {
        throw new Error(SECRET_WORDS);
      }),
      answering("/rejects-later", async () => {
        await new Promise((resolve) => setImmediate(resolve));
        throw new TypeError(SECRET_WORDS);
      }),
      answering("/throws-a-string", () => {
        throw SECRET_WORDS;
      }),
      answering("/unforeseen", () => {
        throw new PrismError("INTERNAL", SECRET_WORDS);
      }),
      answering("/unwritable", () => ({ big: 1n })),
    ],
  });
  for (const path of ["/throws", "/rejects", "/rejects-later", "/throws-a-string", "/unforeseen", "/unwritable"]) {
    await t.test(path, async (t) => {
      log.lines.length = 0;
      const reply = await exchangeRaw(
        t,
        port,
        requestText("GET", path, [`X-Request-Id: req-of${path}`.replace("/", "-")]),
      );
      const requestId = `req-of${path}`.replace("/", "-");
      assert.equal(reply.status, 500);
      assert.deepEqual(JSON.parse(reply.body), { error: { code: "INTERNAL", message: "Internal error", requestId } });
      const failure = log.lines.find(({ level }) => level === "error");
      assert.deepEqual([failure?.fields["requestId"], failure?.fields["route"]], [requestId, path]);
      if (path !== "/unwritable") assert.match(String(failure?.fields["err"]), /SQLITE_ERROR/);
    });
  }
});

test("S2-101: an expected failure is answered with its code, message, request id and details", async (t) => {
  const details = [{ path: "name", code: "TOO_ODD", message: "is too odd" }];
  const { port, log } = startBareKernel(t, {
    routes: [
      answering("/refuses", () => {
        throw new PrismError("NAME_TAKEN", "The name is taken", { details, cause: new Error(SECRET_WORDS) });
      }),
    ],
  });
  const reply = await exchangeRaw(t, port, requestText("GET", "/refuses", ["X-Request-Id: r1"]));
  assert.equal(reply.status, 409);
  assert.equal(reply.headers.get("content-type"), "application/json; charset=utf-8");
  assert.deepEqual(JSON.parse(reply.body), {
    error: { code: "NAME_TAKEN", message: "The name is taken", requestId: "r1", details },
  });
  assert.equal(
    log.lines.some(({ level }) => level === "error"),
    false,
    "a client's mistake is no failure of ours",
  );
});

test("a failure of all requests is logged with its cause, at most ten times a second", async (t) => {
  const { port, log } = startBareKernel(t, {
    routes: [
      answering("/full", () => {
        throw new PrismError("STORAGE_FULL", "The disk is full", { cause: new Error("SQLITE_FULL") });
      }),
    ],
    limits: { enabled: false },
  });
  const connection = await RawConnection.open(t, port);
  const startedAt = Date.now();
  for (let i = 0; i < 100; i++) {
    connection.send(requestText("GET", "/full"));
    assert.equal((await connection.reply()).status, 507);
  }
  const seconds = Math.floor(Date.now() / 1000) - Math.floor(startedAt / 1000) + 1;
  const written = log.lines.filter(({ level }) => level === "error").length;
  assert.ok(written >= 10 && written <= 10 * seconds, `${written} lines in ${seconds} s`);
});

test("a plain request on a WebSocket path is answered 426 with Upgrade", async (t) => {
  const { port } = startBareKernel(t, {
    routes: [
      answering("/ws", () => {
        throw new PrismError("UPGRADE_REQUIRED", "This path accepts WebSocket connections only");
      }),
    ],
  });
  const reply = await exchangeRaw(t, port, requestText("GET", "/ws"));
  assert.deepEqual(
    [reply.status, errorCodeOf(reply), reply.headers.get("upgrade")],
    [426, "UPGRADE_REQUIRED", "websocket"],
  );
});

test("a stopping server finishes what is under way and answers 503 SHUTTING_DOWN to the rest", async (t) => {
  let finish: () => void = () => undefined;
  const { port, kernel } = startBareKernel(t, {
    routes: [
      answering("/slow", (exchange) => {
        finish = () => exchange.sendJson(200, '"done"');
        return ANSWERS_LATER;
      }),
      answering("/quick", () => "quick"),
      { ...answering("/health", () => "well"), unlimited: true },
    ],
  });
  const slow = await RawConnection.open(t, port);
  slow.send(requestText("GET", "/slow"));
  await eventually("the slow one has begun", () => kernel.requests.count === 1);
  const drained = kernel.requests.drain();
  const refused = await exchangeRaw(t, port, requestText("GET", "/quick"));
  assert.deepEqual([refused.status, errorCodeOf(refused)], [503, "SHUTTING_DOWN"]);
  assert.deepEqual([refused.headers.get("retry-after"), refused.headers.get("connection")], ["1", "close"]);
  await refused.connection.closed();
  assert.equal((await exchangeRaw(t, port, requestText("GET", "/health"))).status, 200, "a probe is still answered");
  finish();
  assert.equal((await slow.reply()).body, '"done"');
  await drained;
});

test("an answer that breaks in the middle cuts the connection: half a body never looks whole", async (t) => {
  const { port, log } = startBareKernel(t, {
    routes: [
      answering("/stream", (exchange) =>
        streamReply(
          exchange,
          { contentType: "text/plain" },
          (async function* () {
            yield "a".repeat(100_000);
            throw new Error(SECRET_WORDS);
          })(),
        ),
      ),
    ],
  });
  for (const headers of [[], ["Accept-Encoding: gzip"]]) {
    await t.test(headers[0] ?? "plain", async (t) => {
      log.lines.length = 0;
      const connection = await RawConnection.open(t, port);
      connection.send(requestText("GET", "/stream", headers));
      await connection.closed();
      assert.match(connection.unread, /^(HTTP\/1\.1 200 |$)/);
      assert.ok(!connection.unread.endsWith("0\r\n\r\n"), "no end of the chunks");
      assert.ok(!connection.unread.includes("SQLITE"));
      assert.match(String(log.lines.find(({ level }) => level === "error")?.fields["err"]), /SQLITE_ERROR/);
    });
  }
});

test("the source of a stream is ended when its reader goes away", async (t) => {
  for (const headers of [[], ["Accept-Encoding: gzip"]]) {
    await t.test(headers[0] ?? "plain", async (t) => {
      let isEnded = false;
      const { port, kernel } = startBareKernel(t, {
        routes: [
          answering("/stream", (exchange) =>
            streamReply(
              exchange,
              { contentType: "text/plain" },
              (async function* () {
                try {
                  for (let i = 0; ; i++) yield `${i} ${Math.random()}`.repeat(1000);
                } finally {
                  isEnded = true;
                }
              })(),
            ),
          ),
        ],
      });
      const connection = await RawConnection.open(t, port);
      connection.send(requestText("GET", "/stream", headers));
      await eventually("the first bytes", () => connection.unread.length > 100_000);
      connection.destroy();
      await eventually("the source has ended", () => isEnded && kernel.requests.count === 0);
    });
  }
});

test("HEAD of a stream answers its head alone, and its source is never asked", async (t) => {
  let asked = 0;
  const { port } = startBareKernel(t, {
    routes: [
      answering("/stream", (exchange) =>
        streamReply(
          exchange,
          { contentType: "text/plain", filename: "a.txt" },
          (async function* () {
            asked++;
            yield "text";
          })(),
        ),
      ),
    ],
  });
  const connection = await RawConnection.open(t, port);
  connection.send(requestText("HEAD", "/stream"));
  const head = await connection.reply("HEAD");
  assert.deepEqual([head.status, head.headers.get("content-type")], [200, "text/plain"]);
  connection.send(requestText("GET", "/stream"));
  const got = await connection.reply();
  assert.deepEqual([got.body, got.headers.get("content-disposition")], ["text", 'attachment; filename="a.txt"']);
  assert.equal(asked, 1);
});
