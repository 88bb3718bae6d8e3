import assert from "node:assert/strict";
import test from "node:test";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { rowCounts } from "./support/row-counts.ts";

interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly requestId: string;
    readonly details?: readonly { path?: string; code?: string; message: string; position?: number }[];
  };
}

const RULE = { name: "rule", condition: "event.type == 'x'", targetUsers: ["me"] };

function nested(levels: number, open = "[", close = "]"): string {
  return open.repeat(levels) + close.repeat(levels);
}

async function post(prism: TestPrism, path: string, body: string | Uint8Array, type = "application/json") {
  return prism.post<ErrorBody>(path, body, { headers: { "Content-Type": type } });
}

test("S2-94, S1-07: a body that is not JSON is answered 400 MALFORMED_JSON and stores nothing", async (t) => {
  keepsPromise(t, ["S1-07", "S2-94"]);
  const prism = await startPrism(t);
  const before = rowCounts(prism);
  for (const [name, body] of [
    ["words", "hello"],
    ["half an object", '{"name":'],
    ["two values", "{} {}"],
    ["a trailing comma", '{"name":"x",}'],
    ["single quotes", "{'name':'x'}"],
    ["a comment", '{"name":"x"} // that is it'],
    ["NaN", '{"priority":NaN}'],
    ["a bare newline in a string", '{"name":"a\nb"}'],
    ["white space alone", "  \n "],
    ["a byte order mark", "\ufeff{}"],
    ["a NUL", '{"name":"x"}\0'],
    ["bytes that are not UTF-8 and no JSON in windows-1252", Buffer.from([0x7b, 0xff, 0x7d])],
    ["UTF-16", Buffer.from('{"name":"x"}', "utf16le")],
    ["more than 32 levels of arrays", nested(34)],
    ["33 levels of objects", `${'{"a":'.repeat(32)}{}${"}".repeat(32)}`],
    ["a million open brackets", "[".repeat(1_000_000)],
    ["33 levels inside a payload", `{"type":"a","payload":{"a":${nested(31)}}}`],
  ] as const) {
    for (const path of ["/api/v1/rules", "/events"]) {
      await t.test(`${name}, to ${path}`, async () => {
        const { status, body: reply } = await post(prism, path, body);
        assert.deepEqual([status, reply.error.code], [400, "MALFORMED_JSON"]);
        assert.notDeepEqual(reply.error.details, [], "no empty list of details");
      });
    }
  }
  assert.deepEqual(rowCounts(prism), before);
});

test("MALFORMED_JSON names the position where the engine names one", async (t) => {
  const prism = await startPrism(t);
  const { body } = await post(prism, "/api/v1/rules", '{"name":"x", oops}');
  assert.equal(body.error.details?.[0]?.position, 13);
  assert.ok(!body.error.message.includes("oops"), "what was sent is not sent back");
});

test("32 levels of nesting are read", async (t) => {
  const prism = await startPrism(t);
  const { status } = await post(prism, "/events", `{"type":"a","payload":{"a":${nested(30)}}}`);
  assert.equal(status, 202);
  const brackets = JSON.stringify({ type: "a", payload: { text: "[".repeat(100) } });
  assert.equal((await post(prism, "/events", brackets)).status, 202, "brackets in a string nest nothing");
});

test("of a repeated member the last counts", async (t) => {
  const prism = await startPrism(t);
  const rule = await prism.post<{ name: string }>(
    "/api/v1/rules",
    `{"name":"first","condition":"event.type == 'x'","targetUsers":["me"],"name":"last"}`,
  );
  assert.deepEqual([rule.status, rule.body.name], [201, "last"]);
});

test("12.15: members named like the prototype's are data or unknown members, never more", async (t) => {
  const prism = await startPrism(t);
  for (const name of ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "__defineGetter__"]) {
    await t.test(`${name} is an unknown member of a rule`, async () => {
      const body = JSON.stringify(RULE).replace("{", `{"${name}":{"priority":999},`);
      const reply = await prism.post<ErrorBody>("/api/v1/rules", body);
      assert.deepEqual([reply.status, reply.body.error.code], [400, "VALIDATION_FAILED"]);
      assert.deepEqual(reply.body.error.details?.[0], {
        path: name,
        code: "UNKNOWN_MEMBER",
        message: "is not a member of this object",
      });
    });
    await t.test(`${name} in a payload is kept as data`, async () => {
      const text = `{"type":"a","payload":{"${name}":{"polluted":true}}}`;
      const { body } = await prism.post<{ id: string }>("/events", text);
      const stored = await prism.get(`/api/v1/events/${body.id}`);
      assert.ok(stored.text.includes(`"payload":{"${name}":{"polluted":true}}`), stored.text);
      assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
    });
    await t.test(`${name} in a notification's data is kept as data`, async () => {
      const text = `{"userId":"me","title":"t","message":"m","data":{"${name}":{"polluted":true}}}`;
      const { status, text: answer } = await prism.post("/api/v1/notifications", text);
      assert.equal(status, 201);
      assert.ok(answer.includes(`"data":{"${name}":{"polluted":true}}`), answer);
      assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
    });
  }
});

test("S2-96: named texts are cleaned before their length is looked at; what looks like HTML stays", async (t) => {
  keepsPromise(t, "S2-96");
  const prism = await startPrism(t);
  for (const row of [
    { name: "HTML stays", sent: "<b>a & b</b> < c", kept: "<b>a & b</b> < c" },
    { name: "NFC", sent: "Cafe\u0301", kept: "Café" },
    { name: "control characters go, line feed and tab stay", sent: "a\u0000\u0007\u009fb\n\tc", kept: "ab\n\tc" },
    { name: "bidirectional overrides go", sent: "a\u202egnp.exe\u2066b", kept: "agnp.exeb" },
    { name: "a lone surrogate goes", sent: "a\ud800b", kept: "ab" },
    { name: "an emoji is one code point", sent: "😀".repeat(255), kept: "😀".repeat(255) },
    { name: "255 and some that go", sent: `${"a".repeat(255)}\u0000\u202e`, kept: "a".repeat(255) },
  ]) {
    await t.test(row.name, async () => {
      const { status, body } = await prism.post<{ name: string }>("/api/v1/rules", { ...RULE, name: row.sent });
      assert.deepEqual([status, body.name], [201, row.kept]);
    });
  }
  for (const [name, sent] of [
    ["256 code points", "a".repeat(256)],
    ["nothing but what goes", "\u0000\u202e"],
    ["nothing", ""],
  ]) {
    await t.test(`refused: ${name}`, async () => {
      const { status, body } = await prism.post<ErrorBody>("/api/v1/rules", { ...RULE, name: sent });
      assert.deepEqual([status, body.error.code, body.error.details?.[0]?.path], [400, "VALIDATION_FAILED", "name"]);
    });
  }
});

test("a lone surrogate in a payload becomes U+FFFD", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ id: string }>(
    "/events",
    '{"type":"a","payload":{"text":"a\\ud800b\\udc00\\ud83d\\ude00"}}',
  );
  const stored = await prism.get<{ payload: { text: string } }>(`/api/v1/events/${body.id}`);
  assert.equal(stored.body.payload.text, "a\ufffdb\ufffd😀");
});

test("no body counts as {}, and needs no Content-Type", async (t) => {
  const prism = await startPrism(t);
  const readAll = await fetch(`${prism.url}/api/v1/notifications/read-all`, {
    method: "POST",
    headers: { Authorization: `Bearer ${prism.adminToken}` },
  });
  assert.deepEqual([readAll.status, await readAll.json()], [200, { updated: 0 }]);
  const event = await prism.post<ErrorBody>("/events");
  assert.equal(event.status, 400);
  assert.deepEqual(event.body.error.details, [{ path: "type", code: "REQUIRED", message: "is required" }]);
});

test("a missing member is required, whatever kind of object it belongs to", async (t) => {
  const prism = await startPrism(t);
  const auth = await prism.post<ErrorBody>("/api/v1/users/me/pusher-auth", { channel_name: "x" });
  assert.deepEqual(auth.body.error.details, [{ path: "socket_id", code: "REQUIRED", message: "is required" }]);
});

test("a body in another type or charset is answered 415 UNSUPPORTED_MEDIA_TYPE", async (t) => {
  const prism = await startPrism(t);
  const body = JSON.stringify(RULE);
  for (const [type, status] of [
    ["application/json", 201],
    ["application/json; charset=utf-8", 201],
    ["Application/JSON;Charset=UTF-8", 201],
    ['application/json; charset="utf-8"', 201],
    ["application/json; charset=utf8", 201],
    ["application/json;profile=x", 201],
    ["application/json; charset=iso-8859-1", 201],
    ["application/json; charset=utf-16", 201],
    ["application/json; charset=x-none", 415],
    ["text/json", 415],
    ["text/plain", 415],
    ["application/x-ndjson", 415],
    ["application/x-www-form-urlencoded", 415],
    ["multipart/form-data; boundary=x", 415],
    ["application/vnd.api+json", 415],
    ["application/jsonp", 415],
    ["json", 415],
  ] as const) {
    await t.test(`${type}: ${status}`, async () => {
      const reply = await post(prism, "/api/v1/rules", JSON.stringify({ ...RULE, name: type }), type);
      assert.equal(reply.status, status);
      if (status === 415) assert.equal(reply.body.error.code, "UNSUPPORTED_MEDIA_TYPE");
    });
  }
  await t.test("none at all: 415", async () => {
    const reply = await fetch(`${prism.url}/api/v1/rules`, {
      method: "POST",
      headers: { Authorization: `Bearer ${prism.adminToken}` },
      body: Buffer.from(body),
    });
    assert.equal(reply.status, 415);
  });
});

test("S2-94: a write with an unknown member is refused, and the member named", async (t) => {
  keepsPromise(t, "S2-94");
  const prism = await startPrism(t);
  const before = rowCounts(prism);
  for (const row of [
    { path: "/api/v1/rules", body: { ...RULE, colour: "red" }, at: ["colour"] },
    { path: "/api/v1/projects", body: { name: "p", owner: "me" }, at: ["owner"] },
    { path: "/api/v1/notifications", body: { userId: "me", title: "t", message: "m", Title: "T" }, at: ["Title"] },
    { path: "/api/v1/notifications/read-all", body: { until: "x" }, at: ["until"] },
    {
      path: "/api/v1/time/trigger",
      body: { label: "l", delayMs: 1, action: { type: "event", event: "e" }, when: 1 },
      at: ["when"],
    },
    { path: "/api/v1/projects/default/keys", body: { name: "k", admin: true }, at: ["admin"] },
    {
      path: "/api/v1/rules/test",
      body: { condition: "true", event: {}, templates: { subject: "x" } },
      at: ["templates.subject"],
    },
  ]) {
    await t.test(row.path, async () => {
      const { status, body } = await prism.post<ErrorBody>(row.path, row.body);
      assert.deepEqual([status, body.error.code], [400, "VALIDATION_FAILED"]);
      const unknown = body.error.details?.filter(({ code }) => code === "UNKNOWN_MEMBER").map(({ path }) => path);
      assert.deepEqual(unknown?.sort(), row.at);
    });
  }
  assert.deepEqual(rowCounts(prism), before);
});

test("a body that is JSON but no object is answered 400 VALIDATION_FAILED", async (t) => {
  const prism = await startPrism(t);
  for (const body of ["[]", '"text"', "1", "null", "true", "[{}]"]) {
    await t.test(body, async () => {
      const reply = await post(prism, "/api/v1/rules", body);
      assert.deepEqual([reply.status, reply.body.error.code], [400, "VALIDATION_FAILED"]);
    });
  }
});
