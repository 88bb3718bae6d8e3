import assert from "node:assert/strict";
import test from "node:test";
import PostalMime from "postal-mime";
import { checkHeaders } from "../../../../src/cli/commands/doctor/checks.ts";
import { parametersOf } from "../../../../src/features/protocols/ntfy/parameters.ts";
import type { Exchange } from "../../../../src/http/server/exchange.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { mailPeer } from "../../delivery/support/mail-peer.ts";
import { type Received, startNtfy } from "./support/api.ts";

/** The members that a publish decides. */
function chosen({ id: _id, time: _time, expires: _expires, event: _event, topic: _topic, ...rest }: Received) {
  return rest;
}

test("a message may be published in every form", async (t) => {
  const ntfy = await startNtfy(t);
  const json = (body: object) => ["POST", "/", { body: JSON.stringify({ topic: "t", ...body }) }] as const;
  const rows: readonly (readonly [
    string,
    readonly [string, string, { headers?: Record<string, string>; body?: string | Buffer }],
    object,
  ])[] = [
    ["a body", ["POST", "/t", { body: " Backup done \n" }], { message: "Backup done" }],
    [
      "a form of curl -d",
      ["POST", "/t", { body: "a=b", headers: { "Content-Type": "application/x-www-form-urlencoded" } }],
      { message: "a=b" },
    ],
    ["no body", ["PUT", "/t", {}], { message: "triggered" }],
    ["message by query", ["PUT", "/t?message=a%5Cnb", {}], { message: "a\nb" }],
    ["a body beats the query", ["PUT", "/t?message=no", { body: "yes" }], { message: "yes" }],
    [
      "headers",
      [
        "POST",
        "/t",
        {
          body: "m",
          headers: {
            "X-Title": "T",
            Priority: "urgent",
            Tags: "warning, skull,,",
            Click: "myapp://x",
            Icon: "https://h/i.png",
            "X-Markdown": "yes",
          },
        },
      ],
      {
        title: "T",
        message: "m",
        priority: 5,
        tags: ["warning", "skull"],
        click: "myapp://x",
        icon: "https://h/i.png",
        content_type: "text/markdown",
      },
    ],
    [
      "short names",
      ["POST", "/t", { body: "m", headers: { t: "T", p: "2", ta: "x" } }],
      { title: "T", message: "m", priority: 2, tags: ["x"] },
    ],
    [
      "the query",
      ["POST", "/t?title=T&priority=high&tags=a,b&md=1", { body: "m" }],
      { title: "T", message: "m", priority: 4, tags: ["a", "b"], content_type: "text/markdown" },
    ],
    [
      "a header beats the query",
      ["POST", "/t?title=no", { body: "m", headers: { Title: "yes" } }],
      { title: "yes", message: "m" },
    ],
    [
      "UTF-8 in a header",
      ["POST", "/t", { body: "m", headers: { Title: Buffer.from("Grüße 🚨 an alle").toString("latin1") } }],
      { title: "Grüße 🚨 an alle", message: "m" },
    ],
    [
      "RFC 2047, base64",
      ["POST", "/t", { body: "m", headers: { Title: "=?UTF-8?B?R3LDvMOfZQ==?= =?utf-8?B?IPCfmqg=?=" } }],
      { title: "Grüße 🚨", message: "m" },
    ],
    [
      "RFC 2047, quoted",
      ["POST", "/t", { body: "m", headers: { Title: "=?iso-8859-1?Q?Gr=FC=DFe_an?= alle" } }],
      { title: "Grüße an alle", message: "m" },
    ],
    [
      "a broken word",
      ["POST", "/t", { body: "m", headers: { Title: "=?utf-8?B?=====?=" } }],
      { title: "=?utf-8?B?=====?=", message: "m" },
    ],
    ["RFC 9218 priority", ["POST", "/t", { body: "m", headers: { Priority: "u=3, i" } }], { message: "m" }],
    [
      "text/markdown",
      ["POST", "/t", { body: "**m**", headers: { "Content-Type": "text/markdown" } }],
      { message: "**m**", content_type: "text/markdown" },
    ],
    ["GET publish", ["GET", "/t/publish?message=m&priority=1", {}], { message: "m", priority: 1 }],
    ["GET send", ["GET", "/t/send?m=m", {}], { message: "m" }],
    ["GET trigger", ["GET", "/t/trigger", {}], { message: "triggered" }],
    [
      "JSON",
      json({
        message: "m",
        title: "T",
        priority: 4,
        tags: ["a", "b,c"],
        click: "https://h/",
        markdown: true,
        unknown: 1,
      }),
      {
        message: "m",
        title: "T",
        priority: 4,
        tags: ["a", "b", "c"],
        click: "https://h/",
        content_type: "text/markdown",
      },
    ],
    ["JSON without a message", json({}), { message: "triggered" }],
    ["JSON at a topic is text", ["POST", "/t", { body: '{"message":"m"}' }], { message: '{"message":"m"}' }],
    [
      "an external attachment",
      ["POST", "/t", { headers: { Attach: "https://h/a/flower.jpg" } }],
      { message: "You received a file: flower.jpg", attachment: { name: "flower.jpg", url: "https://h/a/flower.jpg" } },
    ],
    [
      "one with a name",
      ["POST", "/t?f=x.jpg", { body: "m", headers: { a: "https://h/" } }],
      { message: "m", attachment: { name: "x.jpg", url: "https://h/" } },
    ],
    ["UnifiedPush", ["POST", "/t?up=1", { body: " as is " }], { message: " as is " }],
    [
      "binary UnifiedPush",
      ["POST", "/t?up=1", { body: Buffer.from([0xff, 0, 1]) }],
      { message: "/wAB", encoding: "base64" },
    ],
    [
      "Web Push of UnifiedPush",
      ["POST", "/t", { body: Buffer.from([0xff]), headers: { "Content-Encoding": "aes128gcm" } }],
      { message: "/w==", encoding: "base64" },
    ],
    ["a sequence in the path", ["POST", "/t/backup", { body: "m" }], { message: "m", sequence_id: "backup" }],
    [
      "a sequence in a header",
      ["PUT", "/t", { body: "m", headers: { "X-Sequence-ID": "s-1" } }],
      { message: "m", sequence_id: "s-1" },
    ],
    ["a sequence in JSON", json({ message: "m", sequence_id: "s2" }), { message: "m", sequence_id: "s2" }],
  ];
  for (const [name, [method, path, options], expected] of rows) {
    await t.test(name, async () => {
      const { status, body } = await ntfy.send(method, path, options);
      assert.equal(status, 200, JSON.stringify(body));
      assert.match(body.id, /^[A-Za-z0-9]{12}$/);
      assert.deepEqual([body.event, body.topic, (body.expires ?? 0) - body.time], ["message", "t", 43_200]);
      assert.deepEqual(chosen(body), expected);
      assert.deepEqual((await ntfy.poll("t", `&id=${body.id}`)).map(chosen), [expected], "stored");
    });
  }
});

test("headers keep every character of every language, and encoded words with spaces are read", async (t) => {
  const ntfy = await startNtfy(t);
  const texts = [
    "Привет мир",
    "磁盘已满",
    "備份 NAS 完成",
    "Übung",
    "Fire 🔥",
    "voilà",
    "übergröße",
    "نفد القرص",
    " à ",
  ];
  for (const text of texts) {
    // The bytes of UTF-8, as curl sends them.
    const bytes = Buffer.from(text).toString("latin1");
    const { body } = await ntfy.publish("t", undefined, { Title: bytes, Tags: bytes, Message: bytes });
    assert.deepEqual([body.title, body.tags, body.message], [text.trim(), [text.trim()], text.trim()]);
    const file = await ntfy.publish("t", "x", { Filename: Buffer.from(`${text.trim()}.txt`).toString("latin1") });
    assert.equal(file.body.attachment?.name, `${text.trim()}.txt`);
  }
  const word = await ntfy.publish("t", "m", { Title: "=?UTF-8?Q?Disk f=C3=BCr alle?= =?utf-8?b?4pyT?=" });
  assert.equal(word.body.title, "Disk für alle✓");
});

test("where headers lose characters, one that arrives empty is refused", () => {
  const exchange = { queryText: "", header: () => "", headerNames: () => ["title"] } as unknown as Exchange;
  assert.equal(parametersOf(exchange, true)("title"), "");
  assert.throws(() => parametersOf(exchange, false)("title"), /the header title arrived empty/);
  assert.equal(parametersOf(exchange, false)("message"), "");
  assert.equal(parametersOf(exchange, false)("priority"), "");
  assert.deepEqual(checkHeaders(true), []);
  assert.equal(checkHeaders(false)[0]?.severity, "warning");
});

test("headers of a publish as JSON count where the JSON has nothing, also a template", async (t) => {
  const ntfy = await startNtfy(t);
  const body = JSON.stringify({ topic: "t", message: '{"foo":"bar","nested":{"title":"here"}}' });
  const headers = { Template: "1", Message: "{{.foo}}", Title: "{{.nested.title}}" };
  const made = await ntfy.send("POST", "/", { body, headers });
  assert.deepEqual([made.body.title, made.body.message], ["here", "bar"]);
  const own = await ntfy.send("POST", "/", {
    body: JSON.stringify({ topic: "t", message: "m", title: "mine" }),
    headers: { Title: "header" },
  });
  assert.equal(own.body.title, "mine");
});

test("Email sends the message to the publisher's own address, and says when it does not", async (t) => {
  const peer = await mailPeer(t);
  const ntfy = await startNtfy(t, { settings: peer.settings });
  const ann = await makeUser(ntfy.prism, "ann", ["admin"]);
  const auth = `Bearer ${ann.token}`;
  const publish = (email: string, options: object = { auth }) =>
    ntfy.publish("t", "Disk full", { Email: email, Title: "NAS" }, options);
  const warningOf = async (email: string, options?: object): Promise<string | undefined> => {
    const { status, body } = await publish(email, options);
    assert.equal(status, 200, JSON.stringify(body));
    return (body as { warning?: string }).warning;
  };
  assert.equal(await warningOf("yes"), "No mail is sent: the account has no confirmed mail address");
  await ntfy.prism.services.db.write((trx) =>
    trx.updateTable("users").set({ email: "ann@example.com", isEmailVerified: 1 }).where("id", "=", ann.id).execute(),
  );
  assert.equal(await warningOf("Ann@Example.com"), undefined);
  await eventually("the mail arrives", () => peer.accepted.length === 1);
  const [raw = ""] = peer.accepted;
  const mail = await PostalMime.parse(raw);
  assert.deepEqual([mail.to?.[0]?.address, mail.subject], ["ann@example.com", "NAS"]);
  assert.match(mail.text ?? "", /^Disk full\n\nPublished to the topic t\./);
  assert.equal(
    await warningOf("phil@example.com"),
    "No mail is sent: only the address of the publisher's own account gets mails",
  );
  for (let i = 1; i < 16; i++) assert.equal(await warningOf("yes"), undefined);
  assert.equal(await warningOf("yes"), "No mail is sent: more than 16 within an hour");
  assert.equal((await ntfy.poll("t")).length, 19, "each message is published");
  assert.ok((await ntfy.poll("t")).every((message) => !("warning" in message)));
});

test("a refused publish has ntfy's code, status and text, and stores nothing", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "ntfy.attachments.fileBytes": "8000" } });
  const at = (headers: Record<string, string>, body = "m") => ["POST", "/t", { headers, body }] as const;
  const json = (body: string) => ["POST", "/", { body }] as const;
  const rows: readonly (readonly [
    number,
    readonly [string, string, { headers?: Record<string, string>; body?: string | Buffer }],
    RegExp?,
  ])[] = [
    [40007, at({ Priority: "6" })],
    [40007, json('{"topic":"t","priority":9}')],
    [40021, at({ Icon: "ftp://h/i" })],
    [40013, at({ Attach: "file:///etc/passwd" })],
    [40003, at({ Email: "a@example.org", In: "1h" })],
    [40037, at({ Call: "yes", In: "1h" })],
    [40002, at({ Cache: "no", In: "1h" })],
    [40004, at({ In: "soonish" })],
    [40005, at({ In: "5s" })],
    [40006, at({ In: "4 days" })],
    [40018, at({ Actions: "dance, now" })],
    [40018, json('{"topic":"t","actions":[1]}')],
    [40049, at({ "X-Sequence-ID": "a b" })],
    [40049, ["POST", "/t/a%20b", { body: "m" }]],
    [40009, ["POST", "/a.b", { body: "m" }]],
    [40009, ["POST", `/${"x".repeat(65)}`, { body: "m" }]],
    [40010, ["POST", "/settings", { body: "m" }]],
    [40009, json('{"topic":"a b","message":"m"}')],
    [40009, json("{}")],
    [40024, json("{")],
    [40024, json("[]")],
    [40024, json('{"topic":"t","message":5}')],
    [41301, json(JSON.stringify({ topic: "t", message: "x".repeat(9000) }))],
    [41301, ["POST", "/t", { body: Buffer.alloc(8001, 1) }]],
    [40041, ["POST", "/t?template=1&message={{.a}}", { body: JSON.stringify({ a: "x".repeat(5000) }) }]],
    [40042, ["POST", "/t?template=1&message=m", { body: "no JSON" }]],
    [40043, ["POST", `/t?template=1&message=${encodeURIComponent("{{if .a}}")}`, { body: "{}" }]],
    [40043, ["POST", `/t?template=1&message=${encodeURIComponent("{{nothing .a}}")}`, { body: "{}" }]],
    [40044, ["POST", `/t?template=1&message=${encodeURIComponent('{{define "x"}}{{end}}')}`, { body: "{}" }]],
    [40045, ["POST", `/t?template=1&message=${encodeURIComponent("{{.a.b}}")}`, { body: '{"a":1}' }]],
    [40047, ["POST", "/t?template=nothing", { body: "{}" }]],
    [40401, ["GET", "/t/nothing", {}]],
    [40401, ["GET", "/t/a/b/c", {}]],
  ];
  for (const [code, [method, path, options]] of rows) {
    await t.test(`${code} for ${method} ${path.slice(0, 40)} ${JSON.stringify(options).slice(0, 60)}`, async () => {
      const { status, body, headers } = await ntfy.send(method, path, options);
      assert.deepEqual([body.code, body.http, status], [code, status, Math.floor(code / 100)], JSON.stringify(body));
      assert.equal(typeof body.error, "string");
      assert.match(String(headers["content-type"]), /^application\/json/);
    });
  }
  assert.deepEqual(await ntfy.poll("t"), []);
});

test("a message is an event of the project, too, in the same commit", async (t) => {
  const ntfy = await startNtfy(t);
  await ntfy.publish("door", "The door is open", { Title: "Door", Priority: "5", Tags: "warning" });
  const { body } = await ntfy.prism.get<{ data: { type: string; level: string; source: string; payload: Received }[] }>(
    "/api/v1/events?type=ntfy.message",
  );
  const [event] = body.data;
  assert.deepEqual([event?.type, event?.level, event?.source], ["ntfy.message", "error", "ntfy"]);
  assert.deepEqual(
    { ...event?.payload, id: "" },
    { id: "", topic: "door", title: "Door", message: "The door is open", priority: 5, tags: ["warning"] },
  );
});

test("a message that is not cached reaches those who listen, and no poll", async (t) => {
  const ntfy = await startNtfy(t);
  const socket = await ntfy.socket(t, "/t/ws").opened();
  const { body } = await ntfy.publish("t", "now", { Cache: "no" });
  assert.equal(body.expires, undefined);
  await ntfy.publish("t", "kept");
  assert.deepEqual(valuesOf(await ntfy.poll("t"), "message"), ["kept"]);
  const late = await ntfy.socket(t, "/t/ws?since=all").opened();
  const { eventually } = await import("../../../helpers/eventually.ts");
  await eventually("both sockets have the last message", () =>
    [socket, late].every(({ messages }) => messages.includes("kept")),
  );
  assert.deepEqual([socket.messages, late.messages], [["now", "kept"], ["kept"]]);
});

test("a message that also asks for a call is published with a warning, as one that asks for a mail", async (t) => {
  const ntfy = await startNtfy(t);
  const called = (await ntfy.send("POST", "/t", { headers: { "X-Call": "+49170" }, body: "m" })) as {
    status: number;
    body: { message?: string; warning?: string };
  };
  assert.deepEqual([called.status, called.body.message], [200, "m"]);
  assert.match(called.body.warning ?? "", /No one is called/);
});

test("routes of ntfy that manage accounts say that accounts are managed here, and are no topics", async (t) => {
  const ntfy = await startNtfy(t);
  for (const [method, path] of [
    ["POST", "/v1/users"],
    ["PUT", "/v1/users"],
    ["DELETE", "/v1/users"],
    ["GET", "/v1/users"],
    ["PUT", "/v1/users/access"],
    ["POST", "/v1/account/password"],
    ["PATCH", "/v1/account/settings"],
    ["DELETE", "/v1/account"],
  ] as const) {
    const { status, body } = (await ntfy.send(method, path, method === "GET" ? {} : { body: "{}" })) as {
      status: number;
      body: { code?: number; error?: string };
    };
    assert.deepEqual([status, body.code], [404, 40401], `${method} ${path}`);
    assert.match(body.error ?? "", /managed in Prism/);
  }
});
