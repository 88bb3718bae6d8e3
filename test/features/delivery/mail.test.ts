import assert from "node:assert/strict";
import { createServer } from "node:net";
import test, { type TestContext } from "node:test";
import { MailClient, mailFailure, smtpOptionsOf } from "../../../src/features/channels/mail/client.ts";
import { mailOf } from "../../../src/features/channels/mail/message.ts";
import { Deferred, NoAnswer, ProviderDown, TargetGone } from "../../../src/features/delivery/channel.ts";
import { PermanentError } from "../../../src/features/time/jobs/runner/job.ts";
import { listening } from "../../helpers/listening.ts";
import { DeliveryWorld } from "./support/delivery-world.ts";
import { mailPeer } from "./support/mail-peer.ts";

const DIRECT = { id: "n1", kind: "direct", priority: 100, data: null } as const;
const UTC = { timezone: "UTC" } as const;

test("every value of a mail is escaped in its HTML, and unchanged in its text", () => {
  const action = JSON.stringify({ url: `https://x.example/?a=1&b="2"`, label: "<i>Look</i>" });
  const {
    subject,
    text = "",
    html = "",
  } = mailOf({ ...DIRECT, title: "<script>&'\"", message: "a < b\nc\n\nd", action }, "id", UTC);
  assert.equal(subject, "<script>&'\"");
  assert.equal(text, `a < b\nc\n\nd\n\n<i>Look</i>: https://x.example/?a=1&b="2"\n`);
  assert.match(html, /<h1 [^>]*>&lt;script&gt;&amp;&#39;&quot;<\/h1>/);
  assert.match(html, /<p [^>]*>a &lt; b<br>\nc<\/p>\n<p [^>]*>d<\/p>/);
  assert.match(html, /<a href="https:\/\/x\.example\/\?a=1&amp;b=&quot;2&quot;" [^>]*>&lt;i&gt;Look&lt;\/i&gt;<\/a>/);
  assert.ok(!/<script|<i>/.test(html));
});

test("a mail without an action has no link", () => {
  const { text, html = "" } = mailOf({ ...DIRECT, title: "t", message: "m", action: null }, "id", UTC);
  assert.equal(text, "m\n");
  assert.ok(!html.includes("<a "));
});

test("times of alerts and digests are those of the reader's zone; texts of people stay as they are", () => {
  const message = "First: 2026-07-01T10:00:00.000Z";
  const berlin = { timezone: "Europe/Berlin", publicUrl: "https://prism.example/base/" };
  const alert = mailOf({ ...DIRECT, title: "t", message, action: null, kind: "alert", priority: 600 }, "id", berlin);
  const link = "https://prism.example/base/dashboard/inbox/n1";
  assert.equal(alert.text, `First: 2026-07-01 12:00:00 Europe/Berlin\n\nOpen in Prism: ${link}\n`);
  assert.ok((alert.html ?? "").includes(`<a href="${link}"`));
  const digest = mailOf({ ...DIRECT, title: "t", message, action: null, kind: "digest" }, "id", berlin);
  assert.match(digest.text ?? "", /\nOpen in Prism: https:\/\/prism\.example\/base\/dashboard\n$/);
  assert.deepEqual(alert.headers, { Importance: "high", "X-Priority": "1" });
  const direct = mailOf({ ...DIRECT, title: "t", message, action: null }, "id", { timezone: "Europe/Berlin" });
  assert.deepEqual([direct.text, direct.headers], [`${message}\n`, undefined]);
  assert.match(direct.html ?? "", /overflow-wrap: anywhere/);
});

test("URLs in a text are links to themselves; punctuation after them and HTML in them are not part of it", () => {
  const message = 'See (https://a.example/x?y=1&z=2). And https://b.example/"onclick=alert(1) javascript:alert(1)';
  const { html = "" } = mailOf({ ...DIRECT, title: "t", message, action: null }, "id", UTC);
  const rows = [...html.matchAll(/<a href="([^"]*)">([^<]*)<\/a>/g)].map(([, to, shown]) => [to, shown]);
  assert.deepEqual(rows, [
    ["https://a.example/x?y=1&amp;z=2", "https://a.example/x?y=1&amp;z=2"],
    ["https://b.example/", "https://b.example/"],
  ]);
});

async function open(t: TestContext) {
  const peer = await mailPeer(t);
  return { peer, world: await DeliveryWorld.open(t, { settings: peer.settings }) };
}

test("S1-08 a notification comes as a mail with text and HTML, from the configured sender, and nothing of it becomes a header", async (t) => {
  const { world, peer } = await open(t);
  const ann = await world.person("ann");
  const title = "Door\r\nBcc: eve@example.com\r\n\r\nopen";
  const id = await world.notify([ann.id], ["email"], { title, message: "Ünter <b>" });
  await world.until(id, "delivered");
  const [raw = ""] = peer.accepted;
  const [head = ""] = raw.split("\r\n\r\n");
  assert.match(head, /^From: Prism <prism@example.com>$/m);
  assert.match(head, /^To: ann@example.com$/m);
  assert.match(head, /^Subject: Door Bcc: eve@example.com open$/m);
  assert.ok(!/^bcc:/im.test(head));
  assert.match(head, /^Auto-Submitted: auto-generated$/m);
  assert.match(head, /^X-Auto-Response-Suppress: All$/m);
  assert.match(head, /^Content-Type: multipart\/alternative/m);
  assert.doesNotMatch(head, /List-Unsubscribe/i, "the server does not know its public address");
  assert.match(raw, /^Content-Type: text\/plain; charset=utf-8/m);
  assert.match(raw, /^Content-Type: text\/html; charset=utf-8/m);
});

test("a line break in a subject or an address that some other code hands over makes no header either", async (t) => {
  const { peer, world } = await open(t);
  const options = smtpOptionsOf(world.prism.parts.base.config);
  const mailer = new MailClient(() => options);
  t.after(() => mailer.close());
  await mailer.send({ to: "ann@example.com", subject: "a\r\nBcc: eve@example.com", text: "x", id: "1" });
  const [raw = ""] = peer.accepted;
  assert.match(raw, /^Subject: a Bcc: eve@example.com$/m);
  await assert.rejects(mailer.send({ to: "ann@example.com>\r\nRCPT TO:<eve@example.com", subject: "a", text: "x" }));
  assert.equal(peer.accepted.length, 1);
});

test("who has no mail address gets no mail, and nothing waits for it", async (t) => {
  const { world } = await open(t);
  const ann = await world.person("ann");
  const ben = await world.person("ben");
  await world.prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ email: null }).where("id", "=", ben.id).execute(),
  );
  const id = await world.notify([ann.id, ben.id], ["email"]);
  const { userId } = await world.only(id, "delivered");
  assert.equal(userId, ann.id);
});

test("a server without smtp refuses the channel email, where one with it takes it", async (t) => {
  const world = await DeliveryWorld.open(t);
  const body = { recipients: ["me"], title: "t", message: "m", channels: ["email"] };
  const refused = await world.prism.post<{ error: { code: string } }>("/api/v1/notifications", body);
  assert.deepEqual([refused.status, refused.body.error.code], [501, "NOT_CONFIGURED"]);
  assert.equal(world.deliveries("").length, 0);
});

for (const { name, error, type } of [
  { name: "a refused recipient", error: { responseCode: 550, command: "RCPT TO" }, type: PermanentError },
  { name: "a recipient who is put off", error: { responseCode: 451, command: "RCPT TO" }, type: Deferred },
  { name: "a refused text", error: { responseCode: 554, command: "DATA" }, type: PermanentError },
  { name: "a refused login", error: { responseCode: 535, code: "EAUTH", command: "AUTH PLAIN" }, type: ProviderDown },
  { name: "a login that is put off", error: { responseCode: 454, code: "EAUTH" }, type: NoAnswer },
  { name: "a sender who is put off", error: { responseCode: 451, command: "MAIL FROM" }, type: NoAnswer },
  { name: "a refused sender", error: { responseCode: 550, command: "MAIL FROM" }, type: ProviderDown },
  { name: "missing TLS", error: { code: "ETLS" }, type: ProviderDown },
]) {
  test(`SMTP: ${name} is ${type.name}`, () => {
    const failure = mailFailure(Object.assign(new Error("said no"), error));
    assert.equal(failure.constructor, type);
    assert.equal(failure.message, "said no");
  });
}

test("SMTP: what got no answer is a failure of the network, and so is a server that shuts down", () => {
  for (const error of [{ code: "ECONNECTION" }, { code: "ETIMEDOUT" }, { responseCode: 421, command: "DATA" }]) {
    const thrown = Object.assign(new Error("x"), error);
    const failure = mailFailure(thrown);
    assert.ok(failure instanceof NoAnswer && failure.cause === thrown);
    assert.equal(failure.timedOut, error.code === "ETIMEDOUT");
  }
});

test("SMTP: only a mailbox that does not exist, or no longer, is gone", () => {
  const refused = (text: string) =>
    mailFailure(Object.assign(new Error(text), { responseCode: 550, command: "RCPT TO" }));
  for (const text of ["550 5.1.1 no such user", "550 5.1.6 it has moved", "556 5.1.10 the domain takes no mail"])
    assert.ok(refused(text) instanceof TargetGone, text);
  for (const text of ["550 5.7.1 rejected by policy", "550 no", "552 5.2.2 mailbox full"])
    assert.ok(!(refused(text) instanceof TargetGone), text);
});

test("SMTP: a failure is shown without mail addresses and the name of the mailbox; its cause has the words", () => {
  const [rcpt, login] = [
    { responseCode: 550, command: "RCPT TO" },
    { responseCode: 535, code: "EAUTH" },
  ];
  for (const [error, said, shown] of [
    [rcpt, "550 5.7.1 <viv.b+x@x.test>: rejected", "550 5.7.1 …: rejected"],
    [rcpt, "550 5.7.1 viv.b+x@x.test rejected", "550 5.7.1 … rejected"],
    [rcpt, "550 5.1.1 No such user: Viv.b+x", "550 5.1.1 No such user: …"],
    [rcpt, "550 5.1.1 <viv.b+x> unknown; vivxb+x", "550 5.1.1 <…> unknown; vivxb+x"],
    [{ responseCode: 451, command: "DATA" }, "451 sender p@example.com deferred", "451 sender … deferred"],
    [{ responseCode: 550, command: "MAIL FROM" }, "550 <p@example.com> refused", "550 … refused"],
    [login, "535 p@example.com: bad password", "535 … bad password"],
    [{ code: "ECONNECTION" }, "closed for p@example.com", "closed for …"],
  ] as const) {
    const thrown = Object.assign(new Error(said), error);
    const failure = mailFailure(thrown, "viv.b+x@x.test");
    assert.equal(failure.message, shown);
    assert.equal(failure.cause, thrown);
  }
  const long = mailFailure(Object.assign(new Error(`550 ${"a ".repeat(996)}viv.b+x@x.test`), rcpt), "").message;
  assert.ok(!long.includes("viv"), long.slice(-50));
});

/** A mail server that says nothing any more from some word of the client's on. */
async function stuckAt(t: TestContext, word: "" | "EHLO" | "RCPT" | "."): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    let isData = false;
    const answer = (text: string, isStuck: boolean): void => {
      if (!isStuck) socket.write(`${text}\r\n`);
    };
    answer("220 mail.example.com", word === "");
    socket.on("data", (chunk) => {
      const said = chunk.toString();
      const isEnd = isData && said.endsWith("\r\n.\r\n");
      if (isData && !isEnd) return;
      const verb = isEnd ? "." : said.slice(0, 4);
      isData = verb === "DATA";
      answer(isData ? "354 go on" : "250 fine", word !== "" && verb === word);
    });
  });
  return listening(t, server);
}

for (const word of ["", "EHLO", "RCPT", "."] as const) {
  test(`SMTP: a server that says nothing ${word === "" ? "at all" : `to ${word}`} is given up in time, and tried again`, async (t) => {
    const port = await stuckAt(t, word);
    const options = { host: "127.0.0.1", port, from: "prism@example.com", secure: false, allowPlain: true };
    const mailer = new MailClient(() => ({ ...options, timeoutMs: 200 }));
    t.after(() => mailer.close());
    const thrown = await mailer.send({ to: "ann@example.com", subject: "s", text: "t" }).then(
      () => assert.fail("it was sent"),
      (error: unknown) => error,
    );
    assert.equal((thrown as { code?: string }).code, "ETIMEDOUT");
    const failure = mailFailure(thrown);
    assert.ok(failure instanceof NoAnswer && failure.timedOut && failure.phase === "answer");
  });
}
