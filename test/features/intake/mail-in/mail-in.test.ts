import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { makeCertificate } from "../../../helpers/certificate.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { lastingPort } from "../../../helpers/free-ports.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { DOMAIN, MailInTest } from "./support.ts";

test("a mail to a receiver's token is an event with its subject, text, sender and time", async (t) => {
  const prism = await MailInTest.start(t);
  const receiver = await prism.receiver({ name: "Backups" });
  const reply = await prism.mail({
    to: `backups+${receiver.token}@${DOMAIN.toUpperCase()}`,
    subject: "Grüße 🎉 von db-1",
    text: "Sicherung fertig\n\nمرحبا",
    html: "<p>not this</p>",
    attachments: [{ filename: "log.txt", content: "x" }],
    headers: { "X-Host": "db-1" },
  });
  assert.match(reply, /^250 2\.6\.0 OK: stored/);
  const [event] = await prism.events("mail.received");
  assert.ok(event);
  assert.deepEqual([event.source, event.level], ["Backups", "info"]);
  const { title, message, status, labels, body } = event.payload as Record<string, unknown>;
  assert.deepEqual([title, message, status], ["Grüße 🎉 von db-1", "Sicherung fertig\n\nمرحبا", "event"]);
  assert.deepEqual(labels, { from: "cron@db-1.example" });
  const { attachments, from, isCut } = body as { attachments: unknown; from: unknown; isCut: unknown };
  assert.deepEqual(
    [attachments, from, isCut],
    [[{ filename: "log.txt", type: "text/plain" }], { name: "Cron", address: "cron@db-1.example" }, false],
  );
  const [request] = await prism.requests(receiver);
  assert.deepEqual([request?.result, request?.status], ["accepted", 250]);
  assert.equal(request?.headers["x-host"], "db-1");
  assert.ok(!JSON.stringify([request, event]).includes(receiver.token), "the token is shown nowhere");
});

test("PROBLEM and RECOVERY fire and resolve one alert; the sender's key and threads do so too", async (t) => {
  const prism = await MailInTest.start(t);
  const { address: to } = await prism.receiver();
  const firing = async () => (await prism.alerts()).map(({ labels }) => labels["alertname"]);
  await prism.mail({ to, subject: "** PROBLEM Service Alert: db-1/disk is CRITICAL **" });
  assert.deepEqual(await firing(), ["db-1/disk"]);
  assert.equal((await prism.alerts())[0]?.severity, "critical");
  await prism.mail({ to, subject: "RE: ** RECOVERY Service Alert: db-1/disk is OK **" });
  assert.deepEqual(await firing(), []);

  await prism.mail({ to, subject: "PROBLEM: a", headers: { "X-Alert-Key": "k1" } });
  await prism.mail({ to, subject: "OK: renamed", headers: { "X-Alert-Key": "k1" } });
  assert.deepEqual(await firing(), [], "the key counts, not the subject");

  // One thread of which no first mail arrived: such as mails of another Prism.
  const references = "<incident.1@p.example>";
  await prism.mail({ to, subject: "PROBLEM: b", references, messageId: "<b1@p.example>" });
  await prism.mail({ to, subject: "OK: c", references, messageId: "<b2@p.example>" });
  assert.deepEqual(await firing(), []);

  // A thread with its first mail: its subject was the key.
  await prism.mail({ to, subject: "PROBLEM: d", messageId: "<d1@p.example>" });
  assert.deepEqual(await firing(), ["d"]);
  await prism.mail({ to, subject: "OK: d", references: "<d1@p.example>", messageId: "<d2@p.example>" });
  assert.deepEqual(await firing(), []);
});

test("a repeated Message-ID is accepted and not stored; replies, bounces and mails in a loop are ignored", async (t) => {
  const prism = await MailInTest.start(t);
  const receiver = await prism.receiver();
  const { address: to } = receiver;
  // The date is a part of what is compared.
  const same = { messageId: "<same@a.example>", date: new Date(0) };
  for (const [mail, result] of [
    [same, "accepted"],
    [same, "replayed"],
    [{ headers: { "Auto-Submitted": "auto-replied (vacation)" } }, "ignored"],
    [{ headers: { "Auto-Submitted": "auto-generated" } }, "accepted"],
    [{ headers: { "X-Autoreply": "yes" } }, "ignored"],
    [{ envelope: { from: "", to } }, "ignored"],
    [{ headers: Array.from({ length: 51 }, () => ({ key: "Received", value: "from a by b" })) }, "ignored"],
  ] as const) {
    assert.match(await prism.mail({ to, subject: "s", ...(mail as object) }), /^250/);
    assert.equal((await prism.requests(receiver))[0]?.result, result, JSON.stringify(mail));
  }
  assert.equal((await prism.events("mail.received")).length, 2);
});

test("a mail that this server sent to its own receiver is ignored: no rule can make a loop", async (t) => {
  const port = String(await lastingPort());
  const smtp = { "smtp.host": "127.0.0.1", "smtp.port": port, "smtp.from": `prism@${DOMAIN}` };
  const prism = await MailInTest.start(t, { settings: { "mailIn.port": port, ...smtp } });
  const receiver = await prism.receiver();
  const { id } = await makeUser(prism.prism, "ann", ["User"]);
  await prism.prism.services.db.write((trx) =>
    trx.updateTable("users").set({ email: receiver.address }).where("id", "=", id).execute(),
  );
  const notification = { recipients: [id], channels: ["email"], title: "t", message: "m" };
  assert.equal((await prism.prism.post("/api/v1/notifications", notification)).status, 201);
  const request = await eventually("the mail arrives", async () => (await prism.requests(receiver))[0]);
  assert.equal(request.result, "ignored");
  assert.equal((JSON.parse(request.body) as { automatic: string }).automatic, "loop");
});

test("only receivers of mail are recipients: others are refused, one at a time, and the connection ends", async (t) => {
  const prism = await MailInTest.start(t);
  const { token } = await prism.receiver();
  const { url } = await prism.make({ name: "Other", preset: "generic" });
  const other = url.slice(url.lastIndexOf("/") + 1);
  const raw = await prism.connect(t);
  assert.match(await raw.say("EHLO a"), /^250/);
  assert.match(await raw.say("MAIL FROM:<a@b.example>"), /^250/);
  for (const address of [
    "ann@example.org",
    `${token}@elsewhere.example`,
    `${token.slice(0, -1)}${token.endsWith("a") ? "B" : "A"}@${DOMAIN}`,
    `${other}@${DOMAIN}`,
    `${token}%b.example@${DOMAIN}`,
  ])
    assert.match(await raw.say(`RCPT TO:<${address}>`), /^550 5\.1\.1 No such receiver/, address);
  assert.match(await raw.say("RCPT TO:<x@y.example>"), /^421/);
  await raw.closed();
  assert.equal((await prism.events("mail.received")).length, 0);
});

test("a mail to several receivers is stored for each; a paused one defers it, and nothing is doubled", async (t) => {
  const prism = await MailInTest.start(t);
  const [a, b] = [await prism.receiver({ name: "A" }), await prism.receiver({ name: "B" })];
  const pause = await prism.prism.post(`/api/v1/receivers/${b.id}/pause`, {});
  assert.ok(pause.status < 300, pause.text);
  // As a mail server repeats it: with the same Date.
  const mail = { to: [a.address, b.address], subject: "s", messageId: "<m@a.example>", date: new Date() };
  assert.match(await prism.mail(mail), /^450 4\.2\.1 The receiver is paused/);
  await prism.prism.post(`/api/v1/receivers/${b.id}/resume`, {});
  assert.match(await prism.mail(mail), /^250/);
  assert.deepEqual((await prism.events("mail.received")).map(({ source }) => source).sort(), ["A", "B"]);
});

test("a full disk is 452, a failing database 451, a stopping server 421; the sender keeps the mail", async (t) => {
  const prism = await MailInTest.start(t);
  const { address: to } = await prism.receiver();
  const full = t.mock.getter(prism.prism.parts.base.storage, "problem", () => "disk");
  assert.match(await prism.mail({ to, subject: "s" }), /^452 /);
  full.mock.restore();
  const failing = t.mock.method(prism.prism.services.db, "write", () => Promise.reject(new Error("I/O")));
  assert.match(await prism.mail({ to, subject: "s" }), /^451 4\.3\.0 The mail could not be stored/);
  failing.mock.restore();
  assert.match(await prism.mail({ to, subject: "s" }), /^250/);
  assert.equal((await prism.events("mail.received")).length, 1);
  const idle = await prism.connect(t);
  const open = await prism.connect(t);
  await open.begin(to);
  open.socket.write("Subject: half\r\n\r\n");
  const stopped = prism.prism.stop();
  assert.match(await open.reply(), /^421 /, "a mail that does not end in time is not stored");
  assert.match(await idle.reply(), /^421 /);
  await stopped;
});

test("a mail that is being stored at a stop is answered, and stored", async (t) => {
  const prism = await MailInTest.start(t, { settings: { shutdownMs: "30000" } });
  const { address } = await prism.receiver();
  const raw = await prism.connect(t);
  await raw.begin(address);
  const stopped = prism.prism.stop();
  assert.match(await raw.say("Subject: last\r\n\r\ntext\r\n."), /^250/);
  await stopped;
  await prism.prism.restart();
  assert.equal((await prism.events("mail.received"))[0]?.payload["title"], "last");
});

test("STARTTLS with the configured certificate; without one it is not offered, and AUTH never is", async (t) => {
  const dir = temporaryDir(t);
  const { cert, key } = makeCertificate();
  const [certFile, keyFile] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  const prism = await MailInTest.start(t, { settings: { "mailIn.certFile": certFile, "mailIn.keyFile": keyFile } });
  const { address: to } = await prism.receiver();
  const secure = { ignoreTLS: false, requireTLS: true, tls: { ca: cert, servername: "localhost" } };
  assert.match(await prism.mail({ to, subject: "s" }, secure), /^250/);
  const plain = await MailInTest.start(t);
  const raw = await plain.connect(t);
  const offered = await raw.say("EHLO a");
  assert.doesNotMatch(offered, /STARTTLS|AUTH/);
  assert.match(offered, /SIZE 10485760/);
  for (const command of ["STARTTLS", "AUTH PLAIN AGEAYg==", "VRFY ann", "EXPN all", "WIZ x"])
    assert.match(await raw.say(command), /^50[0-4] /, command);
});

test("without mailIn.port nothing listens; a taken port refuses the start", async (t) => {
  const off = await startPrism(t);
  assert.equal(off.parts.offers.mailIn.port, 0);
  const { body } = await off.post("/api/v1/receivers", { name: "Mail", preset: "mail" });
  assert.equal(body["mailAddress"], null);
  const taken = createServer();
  const port = await new Promise<number>((resolve) => {
    taken.listen(0, "127.0.0.1", () => resolve((taken.address() as { port: number }).port));
  });
  t.after(() => taken.close());
  await assert.rejects(startPrism(t, { settings: { "mailIn.port": String(port) } }), /mailIn\.port: cannot listen/);
});

test("a receiver's own mapping reads the members of a mail, and its test shows what a mail would store", async (t) => {
  const prism = await MailInTest.start(t);
  const mapping = {
    type: "ups.power",
    status: "= contains(body.text, 'on battery') ? 'firing' : 'resolved'",
    key: "= headers['x-ups']",
    title: "UPS {{ headers['x-ups'] }}",
  };
  const receiver = await prism.receiver({ mapping });
  const send = (text: string) => prism.mail({ to: receiver.address, subject: "UPS", text, headers: { "X-UPS": "u1" } });
  await send("now on battery");
  const alertnames = (await prism.alerts()).map(({ labels }) => labels["alertname"]);
  assert.deepEqual(alertnames, ["UPS u1"]);
  await send("on line power");
  assert.equal((await prism.alerts()).length, 0);
  const { body, text } = await prism.prism.post<{ result: string; alerts: { status: string }[] }>(
    `/api/v1/receivers/${receiver.id}/test`,
    { requestId: (await prism.requests(receiver))[0]?.id },
  );
  assert.deepEqual([body.result, body.alerts[0]?.status], ["accepted", "resolved"], text);
});

test("a mail with HTML only is readable: links stay, style sheets and scripts go, cells stand apart", async (t) => {
  const prism = await MailInTest.start(t);
  const { address: to } = await prism.receiver();
  const html =
    "<html><head><title>x</title><style type='text/css'>p{color:red}</style></head><body><!-- hidden -->" +
    "<script>alert(1)</script><p>Hello&nbsp;Ann &ndash; f&uuml;r</p><table><tr><td>Host</td><td>web-1</td></tr>" +
    '<tr><th>State</th><td>down</td></tr></table><a href="https://x.example/?a=1&amp;b=2">open</a> ' +
    '<a href="https://y.example/">https://y.example</a> <a href="javascript:alert(1)">no</a></body></html>';
  await prism.mail({ to, subject: "Report", text: "", html });
  const [event] = await prism.events("mail.received");
  assert.equal(
    event?.payload["message"],
    "Hello Ann – für\nHost web-1\nState down\n\nopen <https://x.example/?a=1&b=2> https://y.example no",
  );
});

test("a mail without text names its files", async (t) => {
  const prism = await MailInTest.start(t);
  const { address: to } = await prism.receiver();
  await prism.mail({ to, subject: "Motion", text: "", attachments: [{ filename: "camera.jpg", content: "x" }] });
  const [event] = await prism.events("mail.received");
  assert.equal(event?.payload["message"], "Attached: camera.jpg");
});

test("an address is read without case", async (t) => {
  const prism = await MailInTest.start(t);
  const { address: to } = await prism.receiver();
  assert.equal(to, to.toLowerCase());
  assert.match(await prism.mail({ to: to.toUpperCase(), subject: "From a printer" }), /^250/);
  assert.equal((await prism.events("mail.received")).length, 1);
});

test("a mail that can never be stored is refused for good, not to be sent again", async (t) => {
  const prism = await MailInTest.start(t);
  const { address: to } = await prism.receiver({ mapping: { title: "= body.subject", source: "prism:alerts" } });
  assert.match(await prism.mail({ to, subject: "x" }), /^550 /);
});
