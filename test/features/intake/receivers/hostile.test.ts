import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { connect } from "node:net";
import test, { type TestContext } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { chanceOf, type Random } from "../../../helpers/chance.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { type Made, ReceiverTest } from "./support.ts";

const SECRET = "the secret of the sender";

interface Attack {
  readonly kind: string;
  readonly method?: string;
  readonly suffix?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
}

const TYPES = [
  ...["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"],
  ...[
    "application/xml",
    "application/octet-stream",
    "",
    ";;;",
    "application/json; charset=utf-16",
    "text/plain; charset=x",
  ],
  ...["multipart/form-data", `multipart/form-data; boundary="${"b".repeat(70)}"`, "application/cloudevents+json"],
];
const NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "",
  "a.b",
  "a[0]",
  "\u0000",
  "💥",
];
const TEXTS = [
  ...[
    "{{ body.title }}",
    "{{ body }}",
    "= body.x",
    "{{",
    "}}",
    "$(id)",
    "<script>alert(1)</script>",
    "'; drop table x;--",
  ],
  ...[
    "../../etc/passwd",
    "http://169.254.169.254/",
    "\r\nSet-Cookie: a=b",
    "\u202eevil",
    "\ud800",
    "\u0000",
    "%00",
    "%ff",
  ],
];

function value(random: Random, depth: number): unknown {
  const kind = random.integer(0, depth > 4 ? 4 : 7);
  if (kind === 0) return TEXTS[random.integer(0, TEXTS.length - 1)];
  if (kind === 1) return random.integer(-1e9, 1e9);
  if (kind === 2) return [null, true, false, 1e308, -0, 1e-320][random.integer(0, 5)];
  if (kind === 3) return "x".repeat(random.integer(0, 5000));
  if (kind === 4) return "";
  const length = random.integer(0, 6);
  if (kind === 5) return Array.from({ length }, () => value(random, depth + 1));
  const entries = Array.from({ length }, () => [name(random), value(random, depth + 1)] as const);
  return Object.fromEntries(entries);
}

function name(random: Random): string {
  const usual = ["title", "message", "key", "status", "level", "link", "time", "labels", "alerts", "severity"];
  const all = [...usual, ...usual, ...NAMES];
  return all[random.integer(0, all.length - 1)] ?? "title";
}

function bytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.integer(0, 255));
}

/** One of the kinds of requests that no sender makes. */
function attack(random: Random, i: number): Attack {
  const type = { "Content-Type": TYPES[random.integer(0, TYPES.length - 1)] ?? "" };
  const json = { "Content-Type": "application/json" };
  const body = JSON.stringify(value(random, 0)) ?? "null";
  switch (i % 14) {
    case 0:
      return { kind: "values", headers: json, body };
    case 1:
      return { kind: "types", headers: type, body };
    case 2:
      return { kind: "bytes", headers: type, body: bytes(random, random.integer(0, 400)) };
    case 3:
      return { kind: "depth", headers: json, body: '[{"a":'.repeat(random.integer(10, 4000)) };
    case 4:
      return { kind: "cut JSON", headers: json, body: body.slice(0, random.integer(0, body.length)) };
    case 5:
      return { kind: "size", headers: json, body: `{"title":"${"x".repeat(random.integer(900_000, 1_200_000))}"}` };
    case 6: {
      const bomb = gzipSync(Buffer.alloc(random.integer(100_000, 3_000_000), 0x20));
      return { kind: "gzip bomb", headers: { ...json, "Content-Encoding": "gzip" }, body: new Uint8Array(bomb) };
    }
    case 7: {
      const encoding = ["deflate", "br", "gzip, gzip", "identity", "gzip"][random.integer(0, 4)] ?? "gzip";
      const packed = new Uint8Array(deflateSync(body));
      return { kind: "encodings", headers: { ...json, "Content-Encoding": encoding }, body: packed };
    }
    case 8:
      return {
        kind: "names",
        headers: json,
        body: `{"__proto__":{"title":"p"},"constructor":{"prototype":{"x":1}},"title":${body}}`,
      };
    case 9: {
      const parts = Array.from(
        { length: random.integer(0, 120) },
        (_, n) => `--b\r\nContent-Disposition: form-data; name="${n}"\r\n\r\n${n}\r\n`,
      );
      const end = ["--b--\r\n", "--b", "", "--c--\r\n"][random.integer(0, 3)] ?? "";
      return {
        kind: "multipart",
        headers: { "Content-Type": "multipart/form-data; boundary=b" },
        body: parts.join("") + end,
      };
    }
    case 10: {
      const fields = Array.from(
        { length: random.integer(0, 1500) },
        (_, n) => `${encodeURIComponent(name(random))}${n}=%zz&=&&`,
      );
      return { kind: "forms", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: fields.join("") };
    }
    case 11: {
      const text = (TEXTS[random.integer(0, TEXTS.length - 1)] ?? "").replace(/\p{Cs}/gu, "?");
      const broken = ["", "&a=%ff", "&%", "&__proto__=x"][random.integer(0, 3)] ?? "";
      const query = new URLSearchParams({ title: text, token: text });
      return {
        kind: "queries",
        method: random.integer(0, 1) === 0 ? "GET" : "POST",
        suffix: `?${query}${broken}`,
      };
    }
    case 12:
      return {
        kind: "paths",
        suffix: ["/slack", "/github", "/x", "/messages/1", "//", "/..", "/%2e%2e"][random.integer(0, 6)] ?? "",
        body,
      };
    default:
      return { kind: "methods", method: ["PATCH", "DELETE", "OPTIONS", "PUT", "HEAD"][random.integer(0, 4)] ?? "PUT" };
  }
}

const COUNT = 1400;

test(`${COUNT} hostile requests: none is answered by 5xx, nothing valid is lost, the server goes on`, async (t) => {
  const random = chanceOf(t);
  const lines = new LogLines();
  const settings = { "rateLimit.enabled": "false", "work.projectMsPerSecond": "10000" };
  const it = await ReceiverTest.start(t, { log: lines, settings });
  const receiver = await it.make({
    mapping: { title: "{{ body.title }}", key: "= body.key", labels: { "*": "= body.labels" }, output: "both" },
    labels: { team: "ops" },
  });
  const answers = new Map<string, Map<number, number>>();
  let valid = 0;
  for (let i = 0; i < COUNT; i++) {
    const { kind, method = "POST", suffix = "", headers = {}, body } = attack(random, i);
    const mayHaveBody = method !== "GET" && method !== "HEAD" && body !== undefined;
    const reply = await fetch(`${receiver.url}${suffix}`, { method, headers, ...(mayHaveBody && { body }) });
    await reply.arrayBuffer();
    assert.ok(reply.status < 500, `${kind}: ${reply.status}`);
    const counts = answers.get(kind) ?? new Map<number, number>();
    answers.set(kind, counts.set(reply.status, (counts.get(reply.status) ?? 0) + 1));
    if (i % 50 !== 0) continue;
    valid++;
    assert.equal((await it.send(receiver, { title: `valid ${i}`, key: `valid ${i}`, status: "firing" })).status, 200);
  }
  for (const [kind, counts] of answers)
    t.diagnostic(`${kind}: ${[...counts].map(([status, n]) => `${status} × ${n}`).join(", ")}`);
  const firing = (await it.alerts()).filter(({ key }) => key.includes(":valid "));
  assert.equal(firing.length, valid);
  assert.equal(({} as { title?: string }).title, undefined, "no prototype was changed");
  const found = lines.lines.filter(({ level }) => level === "error");
  assert.deepEqual(found, []);
  const { body } = await it.prism.get<{ ok: boolean }>("/api/v1/audit/verify");
  assert.equal(body.ok, true);
});

const SIGNED = 600;

test(`${SIGNED} forged and replayed signatures: each right one is stored once, no other`, async (t) => {
  const random = chanceOf(t);
  const it = await ReceiverTest.start(t, { settings: { "rateLimit.enabled": "false" } });
  const verify = {
    ...{ scheme: "hmac", header: "x-sig", algorithm: "sha256", prefix: "sha256=", encoding: "hex", keyForm: "text" },
    ...{ signed: ["{ts}", ".", "{body}"], timestampHeader: "x-time" },
  };
  const receiver = await it.make({ secret: SECRET, verify: [verify] });
  const sign = (ts: string, body: string, key = SECRET) =>
    `sha256=${createHmac("sha256", key).update(`${ts}.${body}`).digest("hex")}`;
  const stored = new Map<string, { body: string; ts: string; signature: string }>();
  const now = Math.floor(Date.now() / 1000);
  for (let i = 0; i < SIGNED; i++) {
    const body = JSON.stringify({ title: `t${i}`, key: `k${i}` });
    const ts = String(now);
    const right = sign(ts, body);
    const send = (sent: string, time: string, signature: string) =>
      it.send(receiver, sent, { headers: { "Content-Type": "application/json", "X-Time": time, "X-Sig": signature } });
    const known = [...stored.values()][random.integer(0, Math.max(0, stored.size - 1))];
    switch (i % 6) {
      case 0:
        assert.equal((await send(body, ts, right)).status, 200);
        stored.set(body, { body, ts, signature: right });
        break;
      case 1:
        if (known) assert.equal((await send(known.body, known.ts, known.signature)).status, 200, "a replay");
        break;
      case 2:
        assert.equal((await send(`${body} `, ts, right)).status, 401);
        break;
      case 3:
        assert.equal((await send(body, ts, `${right.slice(0, -1)}${right.endsWith("0") ? "1" : "0"}`)).status, 401);
        break;
      case 4:
        assert.equal(
          (await send(body, ts, ["", "sha256=", "sha1=00", "x".repeat(4000)][random.integer(0, 3)] ?? "")).status,
          401,
        );
        break;
      default:
        assert.equal((await send(body, String(now - 4000), sign(String(now - 4000), body))).status, 401);
    }
  }
  const total = await it.prism.get<{ data: unknown[]; total: number }>("/api/v1/events?type=message&page=1&limit=1");
  assert.equal(total.body.total, stored.size);
});

test("requests that are sent half, slowly or with wrong lengths store nothing, and the next one is served", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const { hostname, port, pathname } = new URL(receiver.url);
  const heads = [
    'Content-Length: 100\r\n\r\n{"title":"half',
    "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "Content-Length: 99999999999999999999\r\n\r\n",
    "Transfer-Encoding: gzip\r\n\r\nx",
  ];
  for (const head of heads)
    await half(t, { hostname, port: Number(port) }, `POST ${pathname} HTTP/1.1\r\nHost: x\r\n${head}`);
  assert.equal((await send(it, receiver)).status, 200);
  assert.equal((await it.events()).length, 1);
});

const send = (it: ReceiverTest, receiver: Made) => it.send(receiver, { title: "whole" });

/** Sends a part of a request and closes the connection. */
function half(t: TestContext, { hostname, port }: { hostname: string; port: number }, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, hostname, () => socket.write(text, () => socket.end()));
    t.after(() => socket.destroy());
    socket.on("data", () => socket.destroy());
    socket.on("close", () => resolve());
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNRESET" ? resolve() : reject(error)));
  });
}
